"""What a person counts on from run to run: the same again, other for another recording, one picture for each window."""

import os

import pytest
import torch

from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.plots import band_power
from core.preprocessing.selection import select_events
from tests.host_comfyui.graphs import (
    at_sampler,
    checkpoint,
    computed,
    eeg_graph,
    encode,
    node,
    sample,
    save,
    saved,
)
from tests.host_comfyui.host import images, pixels, succeeded
from tests.small_encoders import noise_recording


def drawn(recording: str = "noise.safetensors", **choice) -> dict:
    """EEG to a picture with the smallest checkpoint."""
    graph = checkpoint(eeg_graph(recording, **choice), "sd1", probe="drawn")
    return sample(encode(graph, model=["checkpoint", 0]))


def pictures(host, graph: dict) -> list:
    return [pixels(host, image) for image in images(succeeded(host.run(graph)))]


@pytest.mark.usefixtures("checkpoints")
def test_the_same_seed_gives_the_same_png_after_a_restart(host):
    before = host.view(images(succeeded(host.run(drawn())))[0])
    host.restart()
    assert host.view(images(succeeded(host.run(drawn())))[0]) == before


@pytest.mark.usefixtures("checkpoints")
def test_another_recording_gives_another_picture_and_the_same_one_the_same(host):
    save_recording(noise_recording(seed=0), host.base / "input" / "copy.safetensors")
    noise, other, copy = (
        pictures(host, drawn(f"{name}.safetensors", **{"choose.index": "1"}))[0] for name in ("noise", "other", "copy")
    )
    assert (noise != other).any()
    assert (noise == copy).all()


def test_a_run_is_repeated_where_the_content_changed_even_behind_the_same_size_and_time(host):
    path = host.base / "input" / "changing.safetensors"
    graph = save(encode(eeg_graph("changing.safetensors")), "changing", ("encode", 0))

    def run(seed: int | None) -> tuple[list, torch.Tensor]:
        if seed is not None:
            stamp = path.stat() if path.exists() else None
            save_recording(noise_recording(seed=seed), path)
            if stamp is not None:
                assert path.stat().st_size == stamp.st_size
                os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        entry = succeeded(host.run(graph))
        [cached] = [body["nodes"] for kind, body in entry["status"]["messages"] if kind == "execution_cached"]
        return cached, saved(host, "changing")["0.0"]

    _, first = run(seed=5)
    cached, _ = run(seed=None)
    assert "recording" in cached
    assert "encode" in cached
    cached, second = run(seed=6)
    assert "recording" not in cached
    assert "encode" not in cached
    assert not torch.equal(first, second)


@pytest.mark.usefixtures("checkpoints")
def test_a_batch_of_windows_gives_a_picture_for_each(host):
    graph = drawn(**{"choose.index": "0-2"})
    graph["latent"]["inputs"]["batch_size"] = ["windows", 1]
    found = pictures(host, graph)
    assert len(found) == 3
    assert all((found[a] != found[b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))
    positive, _ = at_sampler(host, "drawn")
    expected = computed(host, "sd1.safetensors", "0-2", family="sd1")
    assert torch.equal(positive["c_crossattn"], expected.text.context)


@pytest.mark.usefixtures("checkpoints")
def test_windows_one_by_one_run_the_graph_once_for_each(host):
    graph = checkpoint(eeg_graph(**{"choose.index": "0-2"}), "sd1")
    sample(save(encode(graph, windows=2, model=["checkpoint", 0]), "single", ("encode", 0)))
    found = pictures(host, graph)
    assert len(found) == 3
    assert all((found[a] != found[b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))
    for number in range(3):
        expected = computed(host, "sd1.safetensors", str(number), family="sd1")
        assert torch.equal(saved(host, "single")[f"{number}.0.0"], expected.text.context)


def blended(amount: float, mode: str = "lerp", driven_by: str = "amount") -> dict:
    graph = encode(eeg_graph(**{"choose.index": "0-1"}), model=["world", 0])
    graph["world"] = node("SDEEG_LoadPhantomWorld")
    graph["model"] = node("ProbeSampler", model=["world", 0], name="blended")
    graph["text"] = node("CLIPTextEncode", clip=["world", 1], text="a large red star at the top")
    graph["blend"] = node(
        "SDEEG_BlendConditioning", text=["text", 0], eeg=["encode", 0], amount=amount, driven_by=driven_by, mode=mode
    )
    save(save(graph, "text", ("text", 0)), "eeg", ("encode", 0))
    return sample(graph, positive=("blend", 0), vae=("world", 2), batch=2)


@pytest.mark.parametrize("mode", ["lerp", "slerp", "concat"])
def test_blending_nothing_is_the_text_at_the_sampler_bit_for_bit(host, mode):
    pictures(host, blended(0.0, mode))
    positive, _ = at_sampler(host, "blended")
    text = saved(host, "text")["0.0"]
    assert torch.equal(positive["c_crossattn"], text.expand(2, -1, -1))


def test_blending_everything_is_the_eeg_and_changes_neither_input(host):
    pictures(host, blended(1.0))
    positive, _ = at_sampler(host, "blended")
    expected = computed(host, "sd1.safetensors", "0-1", family="sd1").text.context
    assert torch.equal(positive["c_crossattn"], expected)
    assert torch.equal(saved(host, "eeg")["0.0"], expected)


def test_blending_by_confidence_falls_back_to_the_text_window_by_window(host):
    pictures(host, blended(1.0, driven_by="amount x confidence"))
    positive, _ = at_sampler(host, "blended")
    found = computed(host, "sd1.safetensors", "0-1", family="sd1").text
    text = saved(host, "text")["0.0"]
    taken = ((positive["c_crossattn"] - text).norm(dim=(1, 2)) / (found.context - text).norm(dim=(1, 2))).tolist()
    assert all(0 <= share < 1 for share in taken)
    order = found.confidence.argsort().tolist()
    assert taken[order[0]] <= taken[order[1]]


def test_band_power_drives_a_sampler_window_by_window(host):
    graph = eeg_graph(**{"choose.index": ""})
    graph["power"] = node(
        "SDEEG_BandPower", windows=["windows", 0], band="alpha", against="nothing", channels="", smoothing=0.0,
        out_low=0.2, out_high=0.9, in_low=0.0, in_high=0.0, custom_low=8.0, custom_high=13.0,
    )  # fmt: skip
    graph["world"] = node("SDEEG_LoadPhantomWorld")
    graph["start"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0x3060C0)
    graph["from"] = node("VAEEncode", pixels=["start", 0], vae=["world", 2])
    graph["words"] = node("CLIPTextEncode", clip=["world", 1], text="a large red star at the top")
    sample(
        graph, positive=("words", 0), negative=("words", 0), model=("world", 0), vae=("world", 2), steps=4,
        denoise=["power", 1],
    )  # fmt: skip
    graph["sampler"]["inputs"]["latent_image"] = ["from", 0]
    del graph["latent"]
    entry = succeeded(host.run(save(graph, "power", ("power", 1))))
    given = [value.item() for _, value in sorted(saved(host, "power").items(), key=lambda item: int(item[0]))]
    chosen = select_events(load_recording(host.base / "input" / "noise.safetensors"))
    measured = band_power.selected_band_power(chosen, band_power.BANDS["alpha"])
    assert given == pytest.approx(band_power.map_range(measured, None, (0.2, 0.9)).tolist(), rel=1e-9)
    found = [pixels(host, image) for image in images(entry)]
    assert len(found) == len(given) == 6
    weakest, strongest = given.index(min(given)), given.index(max(given))
    assert (found[weakest] != found[strongest]).any()
