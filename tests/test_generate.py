from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.conditioning.conditioning import Conditioning, condition
from core.conditioning.diffusers_pipeline import generate, load_pipeline, prompt_encoder
from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.selection import select_events
from tests.single_file import write_single_file
from tests.small_encoders import conditioned, noise_recording, small_encoder, small_preprocessing
from tests.small_models import small_sd1, small_sdxl
from trainer.generate import GenerateOptions, chosen_windows, generate_pictures


@pytest.fixture(scope="module")
def sd1(tmp_path_factory):
    return small_sd1(tmp_path_factory.mktemp("sd1"))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    return small_sdxl(tmp_path_factory.mktemp("sdxl"))


def text_conditioning(n: int, width: int = 768, pooled: int | None = None) -> Conditioning:
    torch.manual_seed(3)
    mean = Conditioning("sd1.text", torch.zeros(1, 77, width), torch.zeros(1, pooled) if pooled else None)
    return Conditioning(
        "sd1.text", torch.randn(n, 77, width), torch.randn(n, pooled) if pooled else None, negative=mean
    )


def test_one_picture_a_window_and_the_same_whatever_the_batch(sd1):
    pipeline = load_pipeline(sd1)
    together = generate(pipeline, text_conditioning(3), steps=2, batch=3)
    one_by_one = generate(pipeline, text_conditioning(3), steps=2, batch=1)
    assert together.shape == (3, 3, 16, 16)
    assert together.min() >= 0
    assert together.max() <= 1
    torch.testing.assert_close(together, one_by_one, atol=2e-3, rtol=0)


def test_the_pictures_equal_the_stock_pipelines_own(sd1):
    pipeline = load_pipeline(sd1)
    context, _ = prompt_encoder(pipeline)(["a small red star on the left"])
    ours = generate(pipeline, Conditioning("sd1.text", context), steps=3, guidance=4.0, seed=7)
    stock = pipeline("a small red star on the left", num_inference_steps=3, guidance_scale=4.0, output_type="pt",
                     generator=torch.Generator().manual_seed(7)).images  # fmt: skip
    torch.testing.assert_close(ours, stock.float(), atol=1e-5, rtol=0)


def test_the_seed_repeats_and_another_differs(sd1):
    pipeline = load_pipeline(sd1)
    first = generate(pipeline, text_conditioning(1), steps=2, seed=1)
    assert torch.equal(first, generate(pipeline, text_conditioning(1), steps=2, seed=1))
    assert not torch.equal(first, generate(pipeline, text_conditioning(1), steps=2, seed=2))


def test_the_train_mean_as_negative_changes_the_picture(sd1):
    pipeline = load_pipeline(sd1)
    empty = generate(pipeline, text_conditioning(1), steps=2)
    assert not torch.equal(empty, generate(pipeline, text_conditioning(1), steps=2, negative="train-mean"))


def test_every_step_of_every_batch_is_counted_and_can_end_the_drawing(sd1):
    pipeline, seen = load_pipeline(sd1), []
    counted = generate(
        pipeline, text_conditioning(3), steps=2, batch=2, on_step=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert torch.equal(counted, generate(pipeline, text_conditioning(3), steps=2, batch=2))

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        generate(pipeline, text_conditioning(1), steps=2, on_step=stop)


def test_img2img_with_little_strength_stays_near_its_start(sd1):
    pipeline = load_pipeline(sd1)
    start = torch.rand(1, 3, 16, 16)
    near = generate(pipeline, text_conditioning(2), init_image=start, strength=0.1, steps=20)
    far = generate(pipeline, text_conditioning(2), init_image=start, strength=1.0, steps=20)
    assert near.shape == (2, 3, 16, 16)
    assert not torch.equal(near, far)


def test_sdxl_takes_context_and_pooled(sdxl):
    pipeline = load_pipeline(sdxl)
    pictures = generate(pipeline, text_conditioning(2, 2048, 1280), steps=2, height=32, width=32, negative="train-mean")
    assert pictures.shape == (2, 3, 32, 32)


def test_sdxl_without_a_pooled_vector_is_refused_in_words(sdxl):
    with pytest.raises(ValueError, match="SDXL needs a pooled vector"):
        generate(load_pipeline(sdxl), text_conditioning(1, 2048), steps=2)


def test_another_familys_width_is_refused_before_sampling(sdxl):
    with pytest.raises(ValueError, match=r"77 x 768, which fits Stable Diffusion 1\.x; the model takes tokens x 2048"):
        generate(load_pipeline(sdxl), text_conditioning(1), steps=2)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_prompts_head_drives_every_family(family, request):
    pipeline = load_pipeline(request.getfixturevalue(family))
    chosen = select_events(noise_recording(), places="0")
    decoded = conditioned(small_encoder(), chosen, encode_prompts=prompt_encoder(pipeline))
    assert generate(pipeline, decoded, steps=2, height=16, width=16).shape == (1, 3, 16, 16)


def test_zero_strength_is_the_train_mean():
    encoder = small_encoder(HeadConfig("sd1.text", "basis", rank=3))
    decoded = condition(encoder, torch.randn(2, 8, 128), strength=0.0)
    torch.testing.assert_close(decoded.context, decoded.negative.context.expand(2, -1, -1))


def test_a_single_file_checkpoint_is_refused_unless_it_is_safetensors(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"only \.safetensors"):
        load_pipeline(tmp_path / "model.ckpt")
    with pytest.raises(FileNotFoundError, match="no model at"):
        load_pipeline(tmp_path / "nothing" / "here")
    with pytest.raises(ValueError, match="not a diffusers folder"):
        load_pipeline(tmp_path)


def test_a_single_file_checkpoint_draws_what_its_diffusers_folder_draws(sd1, tmp_path):
    single = load_pipeline(write_single_file(sd1, tmp_path / "one.safetensors"), config=sd1)
    folder = load_pipeline(sd1)
    prompt = ["a small red star on the left"]
    assert torch.equal(prompt_encoder(single)(prompt)[0], prompt_encoder(folder)(prompt)[0])
    assert torch.equal(generate(single, text_conditioning(1), steps=2), generate(folder, text_conditioning(1), steps=2))


def test_a_single_file_whose_configuration_cannot_be_had_says_what_to_give(tmp_path, monkeypatch):
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import save_file

    def offline(*arguments, **more):
        raise FileNotFoundError("no network")

    monkeypatch.setattr(StableDiffusionPipeline, "from_single_file", offline)
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(2)}, tmp_path / "sd15.safetensors")
    with pytest.raises(FileNotFoundError, match=r"sd15\.safetensors is a single file.*--config"):
        load_pipeline(tmp_path / "sd15.safetensors")


def test_the_command_writes_a_png_for_each_window(sd1, tmp_path):
    save_encoder(small_encoder(), tmp_path / "e.safetensors")
    save_recording(noise_recording(), tmp_path / "r.safetensors")
    shared = {
        "recording": tmp_path / "r.safetensors",
        "encoder": tmp_path / "e.safetensors",
        "model": str(sd1),
        "steps": 2,
    }
    written = generate_pictures(GenerateOptions(**shared, out=tmp_path / "out", label="face"))
    assert [path.name for path in written] == ["r-000.png", "r-001.png", "r-002.png"]
    blended = generate_pictures(
        GenerateOptions(**shared, out=tmp_path / "b", label="face", average=True, text="a star", blend=0.5)
    )
    assert len(blended) == 1


@pytest.mark.parametrize(
    ("flags", "groups"),
    [
        ({}, ((1.0,), (2.5,), (4.0,), (5.5,), (7.0,), (8.5,))),
        ({"label": "face"}, ((2.5,), (5.5,), (8.5,))),
        ({"index": (3, -1)}, ((5.5,), (8.5,))),
        ({"time": (0.5, 3.0, 99.0)}, ((0.5,), (3.0,))),
        ({"time": (0.5, 3.0), "average": True}, ((0.5, 3.0),)),
        ({"label": "house", "average": True}, ((1.0, 4.0, 7.0),)),
        ({"average": True}, ((1.0, 2.5, 4.0, 5.5, 7.0, 8.5),)),
    ],
)
def test_the_commands_flags_choose_windows_and_leave_out_what_cannot_be_cut(flags, groups):
    options = GenerateOptions(Path("r.edf"), Path("e.safetensors"), "model", **flags)
    assert chosen_windows(noise_recording(), small_preprocessing(), options).groups == groups


def test_without_events_the_command_decodes_windows_end_to_end():
    options = GenerateOptions(Path("r.edf"), Path("e.safetensors"), "model")
    silent = replace(noise_recording(seconds=3.5), events=())
    assert chosen_windows(silent, small_preprocessing(), options).groups == ((0.0,), (1.0,), (2.0,))
    with pytest.raises(ValueError, match=r"'house' x 3, 'face' x 3"):
        chosen_windows(noise_recording(), small_preprocessing(), replace(options, label="car"))
    with pytest.raises(ValueError, match="no window is left of 1"):
        chosen_windows(noise_recording(), small_preprocessing(), replace(options, time=(99.0,)))


def test_the_command_takes_one_way_to_choose():
    with pytest.raises(ValueError, match="one of --label, --index and --time"):
        GenerateOptions(Path("r.edf"), Path("e.safetensors"), "model", label="face", time=(1.0,))
