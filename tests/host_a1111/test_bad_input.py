"""Bad input stops the job with plain words, by HTTP 500 or on our routes 422, and leaves no trace in later pictures."""

import base64
import dataclasses
import json

import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from tests.host_a1111.host import FailedError, png, same
from tests.small_encoders import noise_recording, small_encoder

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors"}
# Beginnings that a reader recognises, followed by nothing that it can read.
CORRUPT = {
    "broken.edf": b"0       " + b"no EDF at all" * 50,
    "broken.bdf": b"\xffBIOSEMI" + b"\x00" * 300,
    "broken.fif": b"\x00" * 64,
    "broken.vhdr": b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=none.eeg\n",
    "broken.set": b"hello",
    "broken.gdf": b"GDF 2.00" + b"\x01" * 400,
    "broken.csv": b"timestamps,TP9\n1,two\nthree,4\n",
    "broken.safetensors": b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!",
    "empty.edf": b"",
    "song.mp3": b"ID3 and so on",
}


def words(host, eeg, kind: str = "txt2img", **fields) -> str:
    """What the host says of a generation that cannot work."""
    with pytest.raises(FailedError) as caught:
        host.draw(eeg, kind=kind, **fields)
    assert caught.value.status == 500
    said = caught.value.words
    assert said.startswith("EEG conditioning: ")
    assert "Traceback" not in said
    assert 30 < len(said) < 2000
    return said


def refused(host, path: str, body: dict | bytes, status: int = 422) -> str:
    """What a route of ours says of a request that cannot work."""
    with pytest.raises(FailedError) as caught:
        host.call(path, body)
    assert caught.value.status == status, caught.value
    said = json.loads(caught.value.body)["detail"]
    assert said.startswith("sd-eeg: ")
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def quick(host):
    """A plain picture of one step."""
    return host.draw(steps=1).only


@pytest.fixture(autouse=True)
def plain_pictures_stay(host, quick):
    """After every test here the host draws the same plain picture."""
    yield
    drawn = host.draw(steps=1)
    assert same(drawn.only, quick)
    assert "EEG" not in drawn.infotexts[0]


@pytest.mark.parametrize("name", CORRUPT)
def test_a_corrupt_file_is_named(host, name):
    file = {"name": name, "data": base64.b64encode(CORRUPT[name]).decode()}
    by_host = words(host, {**EEG, "recording": file})
    by_route = refused(host, "/sd-eeg/recordings", {"recording": file})
    if CORRUPT[name]:
        assert name in by_host
        assert name in by_route
    assert str(host.data) not in by_host


def test_a_corrupt_file_in_the_folder_is_named_without_the_folder(host):
    (host.data / "eeg_recordings" / "cut.edf").write_bytes(CORRUPT["broken.edf"])
    said = words(host, {**EEG, "recording": "cut.edf"})
    assert "cut.edf" in said
    assert str(host.data) not in said


@pytest.mark.parametrize("recording", ["AAAA" * 100, "no base64 at all! " * 30, "data:;base64,", "data:;base64,@@"])
def test_what_is_no_recording_in_base64_says_so(host, recording):
    said = words(host, {**EEG, "recording": recording})
    assert "base64" in said or "content" in said
    assert "base64" in refused(host, "/sd-eeg/recordings", {"recording": "data:;base64,@@"})


def write(host, name: str, recording) -> str:
    save_recording(recording, host.data / "eeg_recordings" / name)
    return name


def test_implausible_units_are_refused_with_the_field_that_settles_it(host):
    name = write(
        host, "microvolts.safetensors", dataclasses.replace(noise_recording(), data=noise_recording().data * 1e6)
    )
    said = words(host, {**EEG, "recording": name})
    assert "uV" in said or "unit" in said
    assert "allowed" in words(host, {**EEG, "units": "parsec"})


def test_a_montage_that_does_not_fit_is_listed(host):
    strange = dataclasses.replace(noise_recording(), ch_names=tuple(f"X{i}" for i in range(8)))
    said = words(host, {**EEG, "recording": write(host, "strange.safetensors", strange)})
    assert "AF3" in said
    assert "X0" in said


def test_a_recording_without_events_says_what_to_do(host):
    name = write(host, "silent.safetensors", dataclasses.replace(noise_recording(), events=()))
    assert "events" in words(host, {**EEG, "recording": name})


def test_no_recording_and_no_encoder_are_asked_for(host):
    assert "recording" in words(host, {"encoder": "sd1.safetensors"})
    assert "encoder" in words(host, {"recording": "noise.safetensors"})
    assert "encoder" in words(host, {**EEG, "encoder": "nosuch.safetensors"})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../log.txt", "../../../../../../etc/passwd", "a/../../log.txt", "..\\log.txt"]
)
def test_a_path_outside_the_folders_is_refused(host, path):
    said = words(host, {**EEG, "recording": path})
    assert "root:" not in said
    assert "eeg_recordings" in said
    assert "eeg_recordings" in refused(host, "/sd-eeg/encode", {**EEG, "recording": path})


def test_a_link_out_of_the_folder_is_refused(host, tmp_path):
    save_recording(noise_recording(), tmp_path / "private.safetensors")
    link = host.data / "eeg_recordings" / "link.safetensors"
    link.symlink_to(tmp_path / "private.safetensors")
    try:
        words(host, {**EEG, "recording": "link.safetensors"})
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "name", ["bad\x00name.edf", "a" * 300 + ".edf", "nothing-here.edf", "sha256:12345678", "sha256:x"]
)
def test_an_impossible_name_is_said(host, name):
    words(host, {**EEG, "recording": name})


@pytest.mark.parametrize("encoder", ["../../eeg_recordings/noise.safetensors", "/etc/passwd", ""])
def test_an_encoder_outside_its_folder_is_refused(host, encoder):
    assert "eeg_encoders" in words(host, {**EEG, "encoder": encoder})


def test_a_base64_bomb_is_refused_by_its_size(host):
    host.call("/sdapi/v1/options", {"sd_eeg_max_upload_mib": 1})
    try:
        bomb = base64.b64encode(b"0       " + b"0" * (3 << 20)).decode()
        assert "MiB" in words(host, {**EEG, "recording": bomb})
        assert "MiB" in words(host, {**EEG, "recording": {"name": "bomb.edf", "data": bomb}})
        assert "MiB" in refused(host, "/sd-eeg/recordings", {"recording": bomb}, status=413)
        middle = base64.b64encode(b"0       " + b"0" * (3 << 19)).decode()
        assert "MiB" in refused(host, "/sd-eeg/recordings", {"recording": middle})
    finally:
        host.call("/sdapi/v1/options", {"sd_eeg_max_upload_mib": 512})


def test_an_encoder_for_sdxl_on_sd_15_names_both(host):
    said = words(host, {**EEG, "encoder": "sdxl.safetensors"})
    assert all(word in said for word in ("77 x 2048", "SDXL", "768", "prompts"))


def test_an_encoder_deleted_after_it_was_chosen_is_named(host):
    path = host.encoders / "gone.safetensors"
    save_encoder(small_encoder(), path)
    assert "gone.safetensors" in [card["name"] for card in host.get("/sd-eeg/encoders")]
    path.unlink()
    said = words(host, {**EEG, "encoder": "gone.safetensors"})
    assert "gone.safetensors" in said
    assert "sd1.safetensors" in said


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!"])
def test_a_file_that_is_no_encoder_says_so(host, content):
    path = host.encoders / "broken.safetensors"
    path.write_bytes(content)
    try:
        assert "broken.safetensors" in words(host, {**EEG, "encoder": "broken.safetensors"})
        [card] = [card for card in host.get("/sd-eeg/encoders") if card["name"] == "broken.safetensors"]
        assert card["error"]
        assert card["card"] is None
    finally:
        path.unlink()


def test_a_recording_is_no_encoder(host):
    path = host.encoders / "recording.safetensors"
    save_recording(noise_recording(), path)
    try:
        assert "recording.safetensors" in words(host, {**EEG, "encoder": "recording.safetensors"})
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"strenght": 1}, ["strenght", "strength"]),
        ({"strength": "much"}, ["strength", "number"]),
        ({"strength": 99}, ["strength", "2"]),
        ({"mode": "blend", "strength": 1.5}, ["blend", "1"]),
        ({"strength": True}, ["strength"]),
        ({"mode": "louder"}, ["louder", "replace, blend, add"]),
        ({"fallback": "perhaps"}, ["fallback", "true or false"]),
        ({"enabled": "perhaps"}, ["enabled", "true or false"]),
        ({"which": ["0"]}, ["which", "text"]),
        ({"label": {"a": 1}}, ["label", "text"]),
        ({"recording": 5}, ["recording", "base64"]),
        ({"recording": []}, ["recording", "base64"]),
        ({"recording": {"name": "a.edf"}}, ["data"]),
        ({"recording": {"name": "a.edf", "data": 5}}, ["texts"]),
        ({"start": 0.9, "end": 0.1}, ["start"]),
        ({"end": 7}, ["end"]),
        ({"label": "nosuch"}, ["nosuch", "face", "house"]),
        ({"which": "99"}, ["99"]),
        ({"which": "one"}, ["one", "0, 3, 5-9"]),
        ({"choose": "times", "times": ""}, ["seconds"]),
        ({"choose": "times", "times": "500"}, ["500", "12"]),
        ({"choose": "times", "times": "11.9"}, ["12"]),
        ({"init": "saliency"}, ["saliency"]),
        ({"init": "latent"}, ["sd1.latent"]),
        ({"prompts": "only one", "encoder": "prompts.safetensors"}, ["prompts"]),
        ({"prompts": "x" * 30_000}, ["prompts", "20000"]),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(host, fields, said):
    found = words(host, {**EEG, **fields})
    assert all(word in found for word in said), found


@pytest.mark.parametrize("args", [[5], [[1, 2]], ["yes"], [True, 7], [True, "noise.safetensors", "sd1.safetensors", 3]])
def test_wrong_arguments_in_the_accordions_order_are_said(host, args):
    words(host, args)


def test_img2img_fails_as_visibly(host, plain):
    assert "nosuch" in words(host, {**EEG, "label": "nosuch"}, kind="img2img", init_images=[png(plain)])


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b'{"recording": "noise.safetensors", "encoder": "sd1.safetensors", "mode": "add"}']
)
def test_our_routes_say_what_they_want(host, body):
    for path in ("/sd-eeg/recordings", "/sd-eeg/encode"):
        refused(host, path, body)


def test_a_route_that_is_not_ours_stays_the_hosts(host):
    with pytest.raises(FailedError) as caught:
        host.get("/sd-eeg/nosuch")
    assert caught.value.status == 404
