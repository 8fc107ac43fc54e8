"""The accordion under the gradio that is installed: what it is made of, and what its events do."""

import json
from types import SimpleNamespace

import pytest

from core.formats.toolboxes.native import save_recording
from tests.small_encoders import noise_recording
from tests.webui_standin import standing_in, write_encoders


@pytest.fixture
def host(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    with standing_in(tmp_path / "webui") as made:
        write_encoders(made.encoders, "text")
        yield made


def uploaded(host, tmp_path, name="noise.safetensors", content=None):
    """What gr.File hands on: a path where gradio puts uploads, as text or, in gradio 3, as a wrapper."""
    path = tmp_path / "uploads" / name
    if content is None:
        save_recording(noise_recording(), path)
    else:
        path.write_bytes(content)
    if host.ours("gradio_versions").major() < 4:
        return [SimpleNamespace(name=str(path), orig_name=name)]
    return [str(path)]


@pytest.mark.parametrize("is_img2img", [False, True])
def test_it_is_off_and_its_values_are_a_requests_defaults(host, is_img2img):
    runner, values = host.interface(is_img2img)
    script = runner.script("EEG conditioning")
    mine = values[script.args_from : script.args_to]
    request = host.ours("generation.request")
    assert mine[0] is False
    found = dict(zip(request.FIELDS, mine[1:], strict=True))
    assert found.pop("encoder") in host.ours("host.host").library().names()
    assert found == {name: value for name, value in request.DEFAULTS.items() if name != "encoder"}
    assert request.from_args(mine, host.ours("host.host").shelf()) is None


def test_every_field_is_pasted_from_a_picture(host):
    runner, _ = host.interface(False)
    script = runner.script("EEG conditioning")
    assert len(script.infotext_fields) == 1 + len(host.ours("generation.request").FIELDS)
    assert set(script.paste_field_names) == set(host.ours("generation.infotext").NAMES.values())


def test_an_upload_becomes_a_reference_that_says_what_was_read(host, tmp_path):
    fields, shelf = host.ours("generation.fields"), host.ours("host.host").shelf()
    status, reference = fields.kept(shelf, uploaded(host, tmp_path))
    assert status == ""
    assert reference.startswith("sha256:")
    said, labels = fields.described(shelf, reference, "from the file", "")
    assert "at 128 Hz" in said
    assert set(labels["choices"] if isinstance(labels, dict) else labels.choices) >= {"", "house"}


def test_a_corrupt_upload_says_so_and_changes_nothing_else(host, tmp_path):
    fields, shelf = host.ours("generation.fields"), host.ours("host.host").shelf()
    _, reference = fields.kept(shelf, uploaded(host, tmp_path, "broken.edf", b"0       " + b"x" * 300))
    said, labels = fields.described(shelf, reference, "from the file", "")
    assert 'role="alert"' in said
    assert "broken.edf" in said
    assert "Traceback" not in said
    assert "choices" not in (labels if isinstance(labels, dict) else vars(labels))


def test_a_file_that_was_not_uploaded_is_refused(host, tmp_path):
    fields = host.ours("generation.fields")
    outside = tmp_path / "secret.edf"
    outside.write_bytes(b"0       ")
    said, _ = fields.kept(host.ours("host.host").shelf(), [SimpleNamespace(name=str(outside), orig_name="secret.edf")])
    assert "no uploaded file" in said


def test_folders_and_limits_changed_in_the_settings_act_at_once(host, tmp_path):
    sources = host.ours("generation.host_sources").HostSources()
    assert sources.library.folders[0] == host.encoders
    settings = host.ours("host.host")
    setattr(host.shared.opts, settings.FOLDER_OPTION, str(tmp_path / "elsewhere"))
    setattr(host.shared.opts, settings.RECORDINGS_OPTION, str(tmp_path / "recordings"))
    setattr(host.shared.opts, settings.SIZE_OPTION, 3)
    assert sources.library.folders[0] == tmp_path / "elsewhere"
    assert sources.shelf.folders == (tmp_path / "recordings",)
    assert sources.shelf.max_bytes == 3 << 20


def test_what_the_tab_sends_fills_the_fields_it_names_and_switches_the_accordion_on(host):
    host.interface(False)
    send, request = host.ours("tab.send"), host.ours("generation.request")
    values = send.spread(json.dumps({"recording": "sha256:0123456789", "which": "3"}))
    found = dict(zip(("enabled", *request.FIELDS), values, strict=True))
    assert (found["enabled"], found["recording"], found["which"]) == (True, "sha256:0123456789", "3")
    assert found["mode"] == found["strength"] == send.gr.update()
    assert send.spread("") == [send.gr.update()] * len(values)
