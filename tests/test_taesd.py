"""TAESD's own files and the autoencoders that latent targets are made with."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.conditioning.taesd import DECODER, ENCODER, is_taesd, load_taesd
from trainer.targets.frozen_targets import load_targets
from trainer.targets.latents import load_autoencoder, to_latents, to_pictures

DATA = os.environ.get("SD_EEG_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SD_EEG_DATA is not set: no real TAESD here")


@pytest.fixture(scope="module")
def tiny():
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    return AutoencoderTiny().eval()


@pytest.fixture
def folder(tiny, tmp_path):
    """The two files as TAESD has them: numbered layers, the decoder's counted from its clamp, bfloat16."""
    files = {ENCODER: {}, DECODER: {}}
    for name, tensor in tiny.state_dict().items():
        part, _, number, rest = name.split(".", 3)
        before = part == "decoder"
        files[DECODER if before else ENCODER][f"{int(number) + before}.{rest}"] = tensor.to(torch.bfloat16).contiguous()
    for name, tensors in files.items():
        save_file(tensors, tmp_path / name)
    return tmp_path


def test_its_files_give_the_autoencoder_they_were_written_from(tiny, folder):
    loaded = load_taesd(folder)
    for name, tensor in tiny.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor.to(torch.bfloat16).float())


def test_a_folder_with_one_file_is_refused(folder):
    (folder / DECODER).unlink()
    assert not is_taesd(folder)
    with pytest.raises(FileNotFoundError, match="needs both"):
        load_taesd(folder)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [({"model.weight": torch.zeros(1)}, "does not have"), ({"0.weight": torch.zeros(64, 3, 3, 3)}, "not TAESD")],
)
def test_other_files_of_that_name_are_refused(folder, tensors, said):
    save_file(tensors, folder / ENCODER)
    with pytest.raises(ValueError, match=said):
        load_taesd(folder)


def test_a_file_that_is_cut_short_is_refused(folder):
    (folder / ENCODER).write_bytes((folder / ENCODER).read_bytes()[:1000])
    with pytest.raises(ValueError, match="cut short"):
        load_taesd(folder)


@pytest.mark.parametrize("where", ["files", "diffusers", "model"])
def test_a_tiny_autoencoder_is_found_wherever_it_lies(tiny, folder, tmp_path, where):
    if where != "files":
        folder = tmp_path / "saved"
        tiny.save_pretrained(folder / "vae" if where == "model" else folder)
    pictures = torch.rand(2, 3, 32, 32)
    found = to_latents(load_autoencoder(str(folder)), pictures)
    assert found.shape == (2, 4, 4, 4)
    torch.testing.assert_close(found, tiny.encode(pictures * 2 - 1).latents.detach(), atol=0.05, rtol=0.05)


def test_where_there_is_none_the_message_says_what_would_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="TAESD's folder"):
        load_autoencoder(str(tmp_path))


def test_a_distributions_latents_are_its_scaled_mean_and_come_back_as_the_model_decodes_them():
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()
    pictures = torch.rand(2, 3, 16, 16)
    latents = to_latents(vae, pictures)
    mean = vae.encode(pictures * 2 - 1).latent_dist.mean.detach()
    torch.testing.assert_close(latents, mean * 0.18215)
    wanted = (vae.decode(mean).sample.detach() / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(to_pictures(vae, latents), wanted)


def test_pictures_of_several_sizes_need_a_size(folder, tmp_path):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (64, 64)).save(photos / "a.png")
    Image.new("RGB", (64, 32)).save(photos / "b.png")
    with pytest.raises(ValueError, match="latent-size"):
        load_targets("sd1.latent", "", ["a", "b"], cache=tmp_path, images=photos, vae=str(folder))
    found, shape = load_targets("sd1.latent", "", ["a", "b"], cache=tmp_path, images=photos, vae=str(folder), size=64)
    assert shape == (4, 8, 8)
    assert found.shape == (2, 256)


@needs_data
def test_the_real_taesd_gives_photographs_back_and_latents_in_the_samplers_scale():
    from trainer.targets.features.pictures import load_picture
    from trainer.targets.saliency_targets import as_tensor, resized

    data = Path(str(DATA))
    photos = data / "images" / "cats_dogs_cc0"
    names = sorted(path.name for path in photos.glob("*.jpg"))[:2]
    pictures = torch.stack([as_tensor(resized(load_picture(photos, name), 256)) for name in names])
    vae = load_autoencoder(str(data / "weights_embeddings" / "taesd"))
    latents = to_latents(vae, pictures)
    assert latents.shape == (2, 4, 32, 32)
    assert 0.5 < latents.std() < 1.5  # SD 1.x's sampler works around a spread of 1
    error = (to_pictures(vae, latents) - pictures).square().mean((1, 2, 3))
    assert (-10 * error.log10()).min() > 22  # decibels
