"""EEG Saliency and EEG to Latent in the real host: where img2img starts, what comes of it, and what is refused."""

import numpy as np
import pytest
import torch

from core.conditioning.init_images import init_latents, init_pictures
from core.loading.load import load_recording
from core.model.checkpoint import load_encoder
from core.preprocessing.selection import select_events
from tests.host_comfyui.graphs import checkpoint, eeg_graph, node, save, saved
from tests.host_comfyui.host import failure, images, pixels, succeeded
from tests.host_comfyui.workflows import HELD_OUT, PICTURE_ENCODER

PHANTOM_SCALE = 0.3795508412857679  # of the phantom's latents; assets/phantom/vae/config.json


def of_core(host, make, **settings):
    """What core says of the same recording with the same encoder, in this process."""
    encoder = load_encoder(host.base / "models" / "eeg_encoders" / "pictures.safetensors")
    return make(
        encoder, select_events(load_recording(host.base / "input" / "noise.safetensors"), "", "0-1"), **settings
    )


def start(node_type: str, encoder: str = "pictures.safetensors", **inputs) -> dict:
    """Two windows into one of the two nodes, `start`."""
    graph = eeg_graph(encoder=encoder, **{"choose.index": "0-1"})
    common = {"width": 64, "height": 64, "strength": 1.0, "spread": 1.0, "resize": "bicubic"}
    common |= {"fit": "stretch"} if node_type == "SDEEG_Saliency" else {}
    graph["start"] = node(node_type, encoder=["encoder", 0], windows=["windows", 0], **common | inputs)
    return graph


def redrawn(graph: dict, latent: tuple[str, int], denoise: float) -> dict:
    """Encode, sample the latent in the phantom's world at a denoise, decode, preview."""
    graph["world"] = node("SDEEG_LoadPhantomWorld")
    graph["words"] = node("CLIPTextEncode", clip=["world", 1], text="")
    graph["sampler"] = node(
        "KSampler", model=["world", 0], positive=["words", 0], negative=["words", 0], latent_image=list(latent),
        seed=1, steps=5, cfg=1.0, sampler_name="euler", scheduler="normal", denoise=denoise,
    )  # fmt: skip
    graph["pixels"] = node("VAEDecode", samples=["sampler", 0], vae=["world", 2])
    graph["image"] = node("PreviewImage", images=["pixels", 0])
    return graph


def test_the_picture_the_mask_and_the_mean_are_what_core_computes(host):
    graph = start("SDEEG_Saliency", width=96, height=64, fit="crop", resize="lanczos")
    for index, name in enumerate(("image", "mask", "mean")):
        save(graph, name, ("start", index))
    graph["seen"] = node("PreviewImage", images=["start", 0])
    graph["as picture"] = node("MaskToImage", mask=["start", 1])
    graph["mask seen"] = node("PreviewImage", images=["as picture", 0])
    assert len(images(succeeded(host.run(graph)))) == 4
    wanted = of_core(host, init_pictures, width=96, height=64, fit="crop", how="lanczos")
    for name, tensor in (("image", wanted.values), ("mean", wanted.mean)):
        assert torch.allclose(saved(host, name)["value"], tensor.movedim(1, -1), atol=1e-5)
    assert torch.allclose(saved(host, "mask")["value"], wanted.mask, atol=1e-3)
    assert saved(host, "mask")["value"].shape == (2, 64, 96)


def test_the_picture_decides_at_a_low_denoise_and_hardly_at_a_full_one(host):
    def difference(denoise: float) -> float:
        """Between what is drawn from the decoded picture and from the training mean, all else the same."""
        drawn = []
        for output in (0, 2):
            graph = start("SDEEG_Saliency", strength=2.0)
            graph["latent"] = node("VAEEncode", pixels=["start", output], vae=["world", 2])
            entry = succeeded(host.run(redrawn(graph, ("latent", 0), denoise)))
            drawn.append(pixels(host, entry["outputs"]["image"]["images"][0]).astype(float))
        return np.abs(drawn[0] - drawn[1]).mean()

    assert difference(0.3) > max(5, 3 * difference(1.0))


def test_a_latent_reaches_the_sampler_as_it_was_decoded(host):
    """The host multiplies by the model's scale: without a MODEL by SD 1.x's, with the phantom's by the phantom's."""
    wanted = of_core(host, init_latents)
    for connected, scale in (({}, 0.18215), ({"model": ["world", 0]}, PHANTOM_SCALE)):
        graph = start("SDEEG_ToLatent", **connected)
        graph["world"] = node("SDEEG_LoadPhantomWorld")
        save(save(graph, "latent", ("start", 0)), "mean latent", ("start", 1))
        succeeded(host.run(graph))
        assert torch.allclose(saved(host, "latent")["samples"] * scale, wanted.values, atol=1e-4)
        assert torch.allclose(saved(host, "mean latent")["samples"] * scale, wanted.mean, atol=1e-4)


def test_the_host_scales_a_latent_as_we_count_on(host):
    """Where next to nothing is redrawn, the sampler gives back what it was given, in and out of its scale."""
    graph = redrawn(start("SDEEG_ToLatent", model=["world", 0]), ("start", 0), 0.02)
    graph["sampler"]["inputs"]["steps"] = 1
    save(save(graph, "given", ("start", 0)), "drawn", ("sampler", 0))
    succeeded(host.run(graph))
    given, drawn = (saved(host, name)["samples"] for name in ("given", "drawn"))
    assert given.shape == drawn.shape == (2, 4, 8, 8)
    assert (given - drawn).abs().mean() < 0.3 * given.abs().mean()


def test_the_mask_keeps_what_the_eeg_says_nothing_about(host):
    graph = start("SDEEG_Saliency")
    graph["own"] = node("EmptyImage", width=64, height=64, batch_size=2, color=0x808080)
    graph["latent"] = node("VAEEncode", pixels=["own", 0], vae=["world", 2])
    graph["hard"] = node("ThresholdMask", mask=["start", 1], value=0.5)
    graph["masked"] = node("SetLatentNoiseMask", samples=["latent", 0], mask=["hard", 0])
    redrawn(graph, ("masked", 0), 1.0)
    for name, source in (("before", ("latent", 0)), ("after", ("sampler", 0)), ("kept", ("hard", 0))):
        save(graph, name, source)
    succeeded(host.run(graph))
    changed = (saved(host, "after")["samples"] - saved(host, "before")["samples"]).abs().amax(dim=1)
    mask = torch.nn.functional.max_pool2d(saved(host, "kept")["value"][:, None], 8)[:, 0]
    assert 0 < mask.mean() < 1
    assert changed[mask == 0].max() < 1e-3
    assert changed[mask > 0].max() > 0.1


@pytest.mark.parametrize(("kind", "space"), [("SDEEG_Saliency", "saliency"), ("SDEEG_ToLatent", "sd1.latent")])
def test_an_encoder_without_the_head_is_told_which_it_has(host, kind, space):
    said = failure(host.run(save(start(kind, "sd1.safetensors"), "never", ("start", 0))))
    assert f"needs an encoder with a '{space}' head; this one has sd1.text, clip-h.image" in said


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize(
    ("family", "named"), [("sdxl", "SDXL"), ("sd2", "Stable Diffusion 2.x"), ("sd3", "Stable Diffusion 3")]
)
def test_a_model_with_other_latents_is_refused_before_it_samples(host, family, named):
    graph = checkpoint(start("SDEEG_ToLatent", model=["checkpoint", 0]), family)
    said = failure(host.run(save(graph, "never", ("start", 0))))
    assert f"latents are those of Stable Diffusion 1.x, and the connected model is {named}: " in said


def test_the_shipped_encoders_latents_decode_to_what_was_shown(host):
    graph = {
        "phantom": node("SDEEG_Phantom", **{"scenes": "captions", "scenes.captions": "\n".join(HELD_OUT)}, repeats=8,
                        montage="epoc-14", snr=1.0, subject=0, seed=3),
        "windows": node("SDEEG_SelectWindows", recording=["phantom", 0], choose="events",
                        **{"choose.label": "", "choose.index": "", "choose.average": "repeats of a label"}),
        "encoder": node("SDEEG_LoadEncoder", encoder=PICTURE_ENCODER),
        "world": node("SDEEG_LoadPhantomWorld"),
        "start": node("SDEEG_ToLatent", encoder=["encoder", 0], windows=["windows", 0], width=0, height=0,
                      strength=1.0, resize="bicubic", model=["world", 0]),
        "pixels": node("VAEDecode", samples=["start", 0], vae=["world", 2]),
    }  # fmt: skip
    save(save(graph, "drawn", ("pixels", 0)), "truth", ("phantom", 1))
    succeeded(host.run(graph))
    drawn, truth = saved(host, "drawn")["value"], saved(host, "truth")["value"]
    far = (drawn[:, None] - truth[None]).abs().mean(dim=(2, 3, 4))
    assert (far.argmin(dim=1) == torch.arange(4)).sum() >= 3
