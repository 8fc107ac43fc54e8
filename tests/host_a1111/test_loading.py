"""The extension at the host's start: no traceback, odd Pythons and neighbours, "Reload UI", and install.py."""

import re
import subprocess
import time

import pytest

from tests.host_a1111.host import ROOT, FailedError, same

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors", "which": "0"}
OUR_FILES = re.compile(r'File ".*(?:webui_extension|scripts/sd_eeg\.py|sd-eeg/).*", line')
INSTALLED = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"


def test_the_start_has_no_traceback_of_ours(host):
    assert not OUR_FILES.search(host.start_log), host.start_log[-4000:]
    assert "Startup time" in host.start_log


def test_tab_accordions_and_settings_are_there(host):
    config = host.get("/config")
    ids = {one["props"].get("elem_id") for one in config["components"]}
    assert {"sd_eeg_txt2img", "sd_eeg_img2img", "sd_eeg_txt2img_upload", "sd_eeg_img2img_upload"} <= ids
    assert "tab_sd_eeg" in ids
    names = ("encoder_folder", "recording_folders", "max_upload_mib")
    assert {f"setting_sd_eeg_{name}" for name in names} <= ids


def test_the_accordion_is_off_in_the_api_too(host, plain):
    # A job that names no script of ours gets the accordion's own values.
    assert same(host.draw(alwayson_scripts={}).only, plain)


def test_reload_ui_doubles_nothing(host, plain):
    given = {**EEG, "mode": "add", "strength": 0.7}
    before = host.draw(given)
    listed = [one for one in host.axes()["args"][0]["choices"] if one.startswith("[EEG]")]
    for _ in range(2):
        host.reload_ui()
    # Added twice, the windows would push the picture twice as far.
    after = host.draw(given)
    assert same(after.only, before.only)
    assert after.digests == before.digests
    assert same(host.draw().only, plain)
    assert [one for one in host.axes()["args"][0]["choices"] if one.startswith("[EEG]")] == listed
    assert host.get("/sdapi/v1/scripts")["txt2img"].count("eeg conditioning") == 1
    ids = [one["props"].get("elem_id") for one in host.get("/config")["components"]]
    assert ids.count("tab_sd_eeg") == ids.count("sd_eeg_txt2img_upload") == 1
    assert host.get("/sd-eeg/encoders")
    assert not OUR_FILES.search(host.reload_log), host.reload_log[-4000:]


def test_another_folder_of_encoders_is_taken_from_the_settings(host):
    own = host.data / "my encoders"
    own.mkdir(exist_ok=True)
    (own / "mine.safetensors").write_bytes((host.encoders / "sd1.safetensors").read_bytes())
    before = host.draw(EEG)
    host.call("/sdapi/v1/options", {"sd_eeg_encoder_folder": str(own)})
    try:
        names = [one["name"] for one in host.get("/sd-eeg/encoders")]
        assert "mine.safetensors" in names
        assert "sd1.safetensors" not in names
        assert host.draw({**EEG, "encoder": "mine.safetensors"}).digests == before.digests
    finally:
        host.call("/sdapi/v1/options", {"sd_eeg_encoder_folder": ""})
    assert host.draw(EEG).digests == before.digests


def test_beside_an_extension_that_owns_core_neither_sees_the_other(host):
    # All pictures of these tests are drawn beside it; here it is only made sure of that it was there first.
    assert "the decoy owns core" in host.start_log
    assert "decoy" not in [one["card"]["name"] for one in host.get("/sd-eeg/encoders") if one["card"]]


def test_without_mne_the_host_starts_and_shows_the_accordion(odd):
    assert not OUR_FILES.search(odd.start_log), odd.start_log[-4000:]
    assert "eeg conditioning" in odd.get("/sdapi/v1/scripts")["txt2img"]
    assert odd.get("/sd-eeg/encoders")


@pytest.mark.parametrize("recording", ["noise.safetensors", "needs-mne.fif"])
def test_without_mne_eeg_fails_with_how_to_install_it_and_plain_pictures_stay(odd, plain, recording):
    with pytest.raises(FailedError) as caught:
        odd.draw({**EEG, "recording": recording})
    assert caught.value.status == 500
    assert "'mne'" in caught.value.words
    assert "-m pip install mne" in caught.value.words
    with pytest.raises(FailedError) as caught:
        odd.call("/sd-eeg/encode", {**EEG, "recording": recording})
    assert caught.value.status == 422
    assert "-m pip install mne" in caught.value.words
    assert same(odd.draw().only, plain)


def test_install_moves_no_package_and_asks_for_nothing_where_all_is_there(host):
    def installed() -> str:
        return run(host, "-c", INSTALLED)

    before = installed()
    missing = [name for name in ("mne", "scipy", "safetensors") if f"('{name}'," not in before.lower()]
    if missing:
        pytest.skip(f"install.py would fetch {', '.join(missing)}, and these tests fetch nothing")
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        said = run(host, str(ROOT / "install.py"))
        taken.append(time.perf_counter() - started)
        assert said == ""
    assert installed() == before
    print(f"\n{host.kind}: install.py took {taken[0]:.2f} s, then {taken[1]:.2f} s")


def test_install_offline_leaves_the_host_as_it_was_and_ends_well(host, tmp_path):
    # Hidden from importlib.metadata, every requirement seems missing; without a network none can be fetched.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.version\n"
        "def version(name):\n    if name == 'mne':\n        raise m.PackageNotFoundError(name)\n    return real(name)\n"
        "m.version = version\n"
    )
    before = run(host, "-c", INSTALLED)
    env = {"PYTHONPATH": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_NO_INPUT": "1"}
    said = run(host, str(ROOT / "install.py"), env=env)
    if "('mne'," not in before:
        assert "could not be installed" in said
        assert "by hand" in said
    assert "Traceback" not in said
    assert run(host, "-c", INSTALLED) == before


def run(host, *arguments: str, env: dict | None = None) -> str:
    """What the host's interpreter says; it must end with status 0."""
    environment = {**host.environment(), "PYTHONPATH": "", **(env or {})}
    done = subprocess.run([host.checkout.python, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
