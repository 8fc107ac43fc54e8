"""What pictures say of the EEG they were drawn from, and drawing them again from that alone."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from core.formats.toolboxes.native import save_recording
from tests.host_a1111.conftest import PROMPTS
from tests.host_a1111.host import SMALL, TITLE, FailedError, as_base64, same, value_of
from tests.small_encoders import noise_recording

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors"}
FIELDS = (
    "recording", "encoder", "label", "which", "average", "times", "mode", "strength", "start", "end", "fallback",
    "negative", "init", "prompts", "units", "reading",
)  # fmt: skip
REQUESTS = {
    "plainly": {"which": "1"},
    "blended": {"which": "0, 2", "mode": "blend", "strength": 0.65, "start": 0.1, "end": 0.9},
    "averaged": {"label": "face", "average": "all", "mode": "add", "strength": 1.5, "negative": "train mean"},
    "by time": {"choose": "times", "times": "2.25, 5", "fallback": True},
    "by prompts": {"encoder": "prompts.safetensors", "which": "1", "prompts": "\n".join(reversed(PROMPTS))},
}


def read(host, file: bytes) -> dict:
    """What the host's PNG Info reads out of a picture file."""
    return host.call("/sdapi/v1/png-info", {"image": base64.b64encode(file).decode()})


def request_of(parameters: dict) -> dict:
    """The request that a picture's parameters describe."""
    found = {name: parameters[f"EEG {name}"] for name in FIELDS if f"EEG {name}" in parameters}
    return {**found, "choose": parameters["EEG windows"]}


def test_the_picture_names_version_hashes_and_window_and_no_path(host):
    drawn = host.draw({**EEG, "which": "1", "recording": str(host.data / "eeg_recordings" / "noise.safetensors")})
    text = read(host, drawn.files[0])["info"]
    assert text == drawn.infotexts[0]
    assert value_of(text, "EEG version").count(".") == 2
    assert len(value_of(text, "EEG encoder hash")) == 10
    assert len(value_of(text, "EEG embedding")) == 10
    assert value_of(text, "EEG recording").startswith("sha256:")
    assert value_of(text, "EEG window") == "face at 2.5 s"
    assert value_of(text, "EEG mode") == "replace"
    assert value_of(text, "EEG strength") == "1"
    assert str(host.data) not in text
    assert "noise.safetensors" not in text
    assert "/" not in text


def test_the_infotext_of_a_plain_picture_has_nothing_of_ours(host):
    host.draw({**EEG, "which": "1"})
    assert "EEG" not in host.draw().infotexts[0]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_png_info_draws_the_picture_again(host, request_):
    drawn = host.draw({**EEG, **request_}, n_iter=2)
    for number in range(len(drawn.files)):
        parameters = read(host, drawn.files[number])["parameters"]
        assert parameters["EEG embedding"] == drawn.digests[number]
    second = host.draw(request_of(read(host, drawn.files[0])["parameters"]), n_iter=2)
    assert all(same(one, other) for one, other in zip(second.pixels, drawn.pixels, strict=True))


@pytest.fixture(scope="module")
def by_infotext(host):
    """Draw through the API from an infotext alone; returns the picture's file."""
    try:
        # Hosts take a line for parameters from three of them on; otherwise this would be 50 steps of 512 x 512.
        host.call("/sdapi/v1/txt2img", {"infotext": "a red circle\nSteps: 1, Seed: 1, Size: 64x64"})
    except FailedError as error:
        pytest.skip(f"this host's API fails over any infotext: {error.words}")
    return lambda text: base64.b64decode(host.call("/sdapi/v1/txt2img", {"infotext": text})["images"][0])


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_apis_infotext_draws_the_picture_again(host, by_infotext, request_):
    drawn = host.draw({**EEG, **request_})
    again = by_infotext(drawn.infotexts[0])
    assert value_of(read(host, again)["info"], "EEG embedding") == drawn.digests[0]
    assert same(drawn.only, decoded(again))


def decoded(file: bytes):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def test_a_plain_pictures_infotext_leaves_the_eeg_off(host, plain, by_infotext):
    assert same(decoded(by_infotext(host.draw().infotexts[0])), plain)


def test_an_uploaded_recording_is_found_again_by_what_its_picture_says(host, tmp_path):
    save_recording(noise_recording(seed=77), tmp_path / "mine.safetensors")
    drawn = host.draw({"recording": as_base64(tmp_path / "mine.safetensors"), "encoder": "sd1.safetensors"})
    parameters = read(host, drawn.files[0])["parameters"]
    assert "mine" not in drawn.infotexts[0]
    assert same(host.draw(request_of(parameters)).only, drawn.only)


def test_arguments_in_the_accordions_order_draw_the_same(host):
    named = host.draw({**EEG, "which": "2"})
    listed = host.draw([True, "noise.safetensors", "sd1.safetensors", "events", "", "2"])
    assert same(named.only, listed.only)
    assert host.draw([False, "noise.safetensors", "sd1.safetensors"]).infotexts == host.draw().infotexts


def test_a_recording_in_base64_alone_is_enough(host):
    file = host.data / "eeg_recordings" / "noise.safetensors"
    text = base64.b64encode(file.read_bytes()).decode()
    drawn = host.draw([text, "", "sd1.safetensors", "events", "", "2"])
    assert same(drawn.only, host.draw({**EEG, "which": "2"}).only)


def test_the_script_is_listed_under_its_name(host):
    scripts = host.get("/sdapi/v1/scripts")
    assert TITLE.lower() in scripts["txt2img"]
    assert TITLE.lower() in scripts["img2img"]
    assert SMALL["steps"] == 2
