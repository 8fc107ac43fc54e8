import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from core.phantom.scenes import all_scenes
from tests.small_models import small_sd1, small_sdxl
from trainer.targets.frozen_targets import load_targets

SCENES = all_scenes()[:3]
CAPTIONS = [scene.caption for scene in SCENES]
PICTURES = [scene.id for scene in SCENES]


@pytest.fixture(scope="module")
def sd1(tmp_path_factory):
    return str(small_sd1(tmp_path_factory.mktemp("sd1")))


def test_sd1_targets_are_the_pipelines_own_prompt_embeddings(sd1, tmp_path):
    from core.conditioning.diffusers_pipeline import load_pipeline, prompt_encoder

    targets, shape = load_targets("sd1.text", sd1, CAPTIONS, cache=tmp_path)
    context, _ = prompt_encoder(load_pipeline(sd1))(CAPTIONS)
    assert shape == (77, 768)
    torch.testing.assert_close(targets.view(3, 77, 768), context, atol=1e-5, rtol=0)


def test_sdxl_targets_are_the_pipelines_context_and_pooled_vector(tmp_path):
    from core.conditioning.diffusers_pipeline import load_pipeline, prompt_encoder

    folder = small_sdxl(tmp_path)
    targets, shape = load_targets("sdxl.text", str(folder), CAPTIONS, cache=tmp_path / "cache")
    context, pooled = prompt_encoder(load_pipeline(folder))(CAPTIONS)
    assert shape == (77, 2048)
    torch.testing.assert_close(targets[:, : 77 * 2048].view(3, 77, 2048), context, atol=1e-5, rtol=0)
    torch.testing.assert_close(targets[:, 77 * 2048 :], pooled, atol=1e-5, rtol=0)


def test_targets_are_computed_once(sd1, tmp_path, monkeypatch):
    first, _ = load_targets("sd1.text", sd1, CAPTIONS, cache=tmp_path)
    monkeypatch.setattr(
        "trainer.targets.frozen_targets.load_text_encoder", lambda *arguments: pytest.fail("computed again")
    )
    again, _ = load_targets("sd1.text", sd1, CAPTIONS, cache=tmp_path)
    assert torch.equal(first, again)


def test_latents_are_the_scaled_means_of_the_models_autoencoder(sd1, tmp_path):
    targets, shape = load_targets("sd1.latent", sd1, PICTURES, cache=tmp_path)
    assert shape[0] == 4
    assert targets.shape == (3, 4 * shape[1] * shape[2])
    assert torch.isfinite(targets).all()
    assert not torch.equal(targets[0], targets[2])


def test_image_vectors_come_from_a_folder_of_pictures_too(tmp_path):
    from PIL import Image

    from core.phantom.scenes import draw

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16,
        projection_dim=768,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip")
    drawn, shape = load_targets("clip-l.image", str(tmp_path / "clip"), PICTURES, cache=tmp_path / "a")
    assert shape == (768,)
    for scene in SCENES:
        Image.fromarray(draw(scene)).save(tmp_path / f"{scene.id}.png")
    read, _ = load_targets("clip-l.image", str(tmp_path / "clip"), PICTURES, cache=tmp_path / "b", images=tmp_path)
    torch.testing.assert_close(drawn, read)
    with pytest.raises(FileNotFoundError, match="no picture for image id 'zebra'"):
        load_targets("clip-l.image", str(tmp_path / "clip"), ["zebra"], cache=tmp_path / "c", images=tmp_path)


def test_another_familys_text_encoder_is_refused(sd1, tmp_path):
    with pytest.raises(ValueError, match=r"sd2\.text has 78848; use the text encoder of a model of that family"):
        load_targets("sd2.text", sd1, CAPTIONS, cache=tmp_path)


def test_sdxl_needs_both_text_encoders(tmp_path):
    with pytest.raises(ValueError, match="both of SDXL's text encoders"):
        load_targets("sdxl.text", str(tmp_path), CAPTIONS, cache=tmp_path)
