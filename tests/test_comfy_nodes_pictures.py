"""EEG Saliency and EEG to Latent, on real recordings and encoders, with ComfyUI's own modules stood in for."""

from types import SimpleNamespace

import pytest
import torch

from core.conditioning.init_images import init_latents, init_pictures
from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.selection import select_events
from tests.comfy_standin import SD15, hosted
from tests.small_encoders import noise_recording, small_encoder

EVENTS = {"choose": "events", "label": "", "index": "", "average": "no"}
HEADS = (
    HeadConfig("sd1.text", "basis", rank=2),
    HeadConfig("saliency", "basis", rank=2, shape=(3, 16, 24)),
    HeadConfig("sd1.latent", "basis", rank=2, shape=(4, 8, 8)),
)


@pytest.fixture(scope="module")
def comfy(tmp_path_factory):
    """The nodes in the stand-in, with a recording of noise, and an encoder with each of the heads and one without."""
    base = tmp_path_factory.mktemp("comfy")
    (base / "input").mkdir()
    (base / "models" / "eeg_encoders").mkdir(parents=True)
    save_recording(noise_recording(), base / "input" / "noise.safetensors")
    for name, heads in {"both": HEADS, "text": HEADS[:1]}.items():
        save_encoder(small_encoder(*heads), base / "models" / "eeg_encoders" / f"{name}.safetensors")
    with hosted(base / "models", base / "input") as host:
        yield host


def run(comfy, node: str, **inputs):
    """Execute a node with its schema's defaults for what is not given; returns its outputs."""
    made = comfy.nodes[f"SDEEG_{node}"]
    given = {item.id: item.default for item in made.define_schema().inputs if item.default is not None}
    return made.execute(**{**given, **inputs}).args


@pytest.fixture(scope="module")
def given(comfy) -> dict:
    """What both nodes are connected to: six windows, and the encoder with both heads."""
    recording = run(comfy, "LoadRecording", file="noise.safetensors")[0]
    windows = run(comfy, "SelectWindows", recording=recording, choose=EVENTS)[0]
    return {"encoder": run(comfy, "LoadEncoder", encoder="both.safetensors")[0], "windows": windows}


@pytest.fixture
def computed(comfy):
    """What core says of the same recording."""
    chosen = select_events(load_recording(comfy.inputs / "noise.safetensors"))
    return lambda make, **more: make(small_encoder(*HEADS), chosen, **more)


def model(comfy, family: str, width: int | None = None, scale: float = 0.18215):
    """Stands for a MODEL: told by its class and configuration, with latents of its own scale."""
    inner = getattr(comfy.modules["comfy.model_base"], family)()
    inner.model_config = SimpleNamespace(unet_config={} if width is None else {"context_dim": width})
    return SimpleNamespace(model=inner, get_model_object={"latent_format": SD15(scale)}.__getitem__)


def test_the_saliency_picture_is_the_hosts_image_with_its_mask_and_the_mean(comfy, given, computed):
    image, mask, mean, confidence, report = run(comfy, "Saliency", **given, width=64, height=48)
    wanted = computed(init_pictures, width=64, height=48)
    assert image.shape == (6, 48, 64, 3)
    assert torch.allclose(image, wanted.values.permute(0, 2, 3, 1), atol=1e-5)
    assert torch.allclose(mask, wanted.mask, atol=1e-4)
    assert mask.shape == (6, 48, 64)
    assert mean.shape == (1, 48, 64, 3)
    assert confidence == 0
    assert "head: saliency, 24 x 16 pixels, resized to 64 x 48" in report


def test_pictures_are_512_where_nothing_is_said_and_the_encoders_own_size_at_zero(comfy, given):
    assert run(comfy, "Saliency", **given)[0].shape == (6, 512, 512, 3)
    assert run(comfy, "Saliency", **given, width=0, height=0)[0].shape == (6, 16, 24, 3)
    assert run(comfy, "ToLatent", **given)[0]["samples"].shape == (6, 4, 64, 64)
    assert run(comfy, "ToLatent", **given, width=0, height=0)[0]["samples"].shape == (6, 4, 8, 8)


def test_every_setting_of_the_picture_reaches_core(comfy, given, computed):
    settings = {"width": 64, "height": 64, "strength": 0.5}
    image = run(comfy, "Saliency", **given, **settings, resize="nearest", fit="crop", spread=0.0)[0]
    wanted = computed(init_pictures, **settings, how="nearest", fit="crop", restore_spread=0.0)
    assert torch.allclose(image, wanted.values.permute(0, 2, 3, 1), atol=1e-5)


def test_every_setting_of_the_latent_reaches_core(comfy, given, computed):
    settings = {"width": 128, "height": 64, "strength": 0.5}
    latent = run(comfy, "ToLatent", **given, **settings, resize="nearest", spread=0.0)[0]
    wanted = computed(init_latents, **settings, how="nearest", restore_spread=0.0)
    assert torch.allclose(latent["samples"] * 0.18215, wanted.values, atol=1e-5)


def test_a_latent_is_as_the_vae_gives_it_so_that_the_sampler_has_it_as_decoded(comfy, given, computed):
    """The host multiplies by the model's own scale where it samples."""
    wanted = computed(init_latents)
    for connected, scale in ((None, 0.18215), (model(comfy, "BaseModel", 768, 0.38), 0.38)):
        latent, mean, confidence, report = run(comfy, "ToLatent", **given, width=0, height=0, model=connected)
        assert set(latent) == {"samples"}
        assert torch.allclose(latent["samples"] * scale, wanted.values, atol=1e-5)
        assert torch.allclose(mean["samples"] * scale, wanted.mean, atol=1e-5)
        assert (confidence, mean["samples"].shape) == (0, (1, 4, 8, 8))
        assert "sd1.latent" in report


@pytest.mark.parametrize(("family", "width"), [("SDXL", None), ("BaseModel", 1024), ("SD3", None), ("Flux", None)])
def test_a_model_with_other_latents_is_refused(comfy, given, family, width):
    with pytest.raises(ValueError, match=r"latents are those of Stable Diffusion 1\.x, and the connected model is"):
        run(comfy, "ToLatent", **given, model=model(comfy, family, width))


def test_one_by_one_gives_the_rows_of_the_batch(comfy, given):
    together = run(comfy, "Saliency", **given, width=0, height=0)
    singles = [
        run(comfy, "Saliency", encoder=given["encoder"], windows=one, width=0, height=0)
        for one in given["windows"].one_by_one()
    ]
    for index in (0, 1):
        assert torch.allclose(torch.cat([single[index] for single in singles]), together[index], atol=1e-4)


@pytest.mark.parametrize(("node", "space"), [("Saliency", "saliency"), ("ToLatent", r"sd1\.latent")])
def test_an_encoder_without_the_head_is_told_which_it_has(comfy, given, node, space):
    text = run(comfy, "LoadEncoder", encoder="text.safetensors")[0]
    with pytest.raises(ValueError, match=rf"needs an encoder with a '{space}' head; this one has sd1\.text$"):
        run(comfy, node, encoder=text, windows=given["windows"])


def test_defaults_and_tooltips_say_what_cannot_be_known(comfy):
    known = {item.id: item for item in comfy.nodes["SDEEG_ToLatent"].define_schema().inputs}
    assert known["model"].optional
    assert "does not say what it is of" in known["model"].tooltip
    mask = comfy.nodes["SDEEG_Saliency"].define_schema().outputs[1]
    assert mask.io_type == "MASK"
    assert "luminance" in mask.tooltip
    assert "training mean" in mask.tooltip
