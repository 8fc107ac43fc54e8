"""The routes as a client sees them, in a real FastAPI app."""

import base64
import json
import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.conditioning.nearest_concepts import read_windows
from core.formats.toolboxes.native import save_recording
from core.preprocessing.selection import select_events
from tests.small_encoders import CHANNELS, noise_recording
from tests.webui_standin import encoder, standing_in, write_encoders

fastapi = pytest.importorskip("fastapi")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones would rather have another client than the one gradio brings
    testclient = pytest.importorskip("starlette.testclient")

ROUTES = (("GET", "/sd-eeg/encoders"), ("POST", "/sd-eeg/recordings"), ("POST", "/sd-eeg/encode"))
ASKED = {"recording": "noise.safetensors", "encoder": "words.safetensors"}


@pytest.fixture
def host(tmp_path):
    with standing_in(tmp_path) as made:
        write_encoders(made.encoders, "words", "text")
        save_recording(noise_recording(), made.recordings / "noise.safetensors")
        yield made


@pytest.fixture
def client(host):
    app = fastapi.FastAPI()
    host.callbacks.call("app_started", None, app)
    assert host.reported == []
    # What we do not answer ourselves would be raised here.
    with testclient.TestClient(app) as made:
        yield made


def in_base64(seed: int, tmp_path) -> str:
    path = tmp_path / f"{seed}.safetensors"
    save_recording(noise_recording(seed=seed), path)
    return base64.b64encode(path.read_bytes()).decode()


def detail(answer, status: int) -> str:
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert set(found) == {"detail"}
    assert found["detail"].startswith("sd-eeg: ")
    return found["detail"]


def test_encoders_are_listed_with_their_cards_or_what_is_wrong(client, host):
    (host.encoders / "broken.safetensors").write_bytes(b"not an encoder")
    found = {one["name"]: one for one in client.get("/sd-eeg/encoders").json()}
    assert found["words.safetensors"] == {
        "name": "words.safetensors", "card": {"name": "untrained, for tests"}, "error": None,
    }  # fmt: skip
    assert "broken.safetensors is not an encoder file" in found["broken.safetensors"]["error"]
    assert "phantom-epoc14.safetensors" in found


def test_a_recording_is_kept_and_described(client, tmp_path):
    answer = client.post("/sd-eeg/recordings", json={"recording": in_base64(3, tmp_path)})
    found = answer.json()
    assert answer.status_code == 200
    assert found["events"] == {"house": 3, "face": 3}
    assert found["channels"] == list(CHANNELS)
    assert (found["sfreq"], found["duration"]) == (128.0, 12.0)
    assert "8 channels at 128 Hz" in found["description"]
    again = client.post("/sd-eeg/recordings", json={"recording": found["reference"]}).json()
    assert again == found
    read = client.post("/sd-eeg/encode", json={**ASKED, "recording": found["reference"]}).json()
    assert read["recording"] == found["reference"]


def test_windows_are_read_as_core_reads_them(client):
    found = client.post("/sd-eeg/encode", json=ASKED).json()
    wanted = read_windows(encoder("words"), select_events(noise_recording()))
    assert found["space"] == "prompts"
    assert found["encoder"] == "words.safetensors"
    for one, reading in zip(found["windows"], wanted, strict=True):
        assert (one["label"], one["time"], one["averaged"]) == (reading.label, reading.onset, reading.averaged)
        assert [best["text"] for best in one["best"]] == [text for text, _ in reading.best]
        assert [best["score"] for best in one["best"]] == pytest.approx([score for _, score in reading.best])
        assert one["confidence"] == pytest.approx(reading.confidence)
        assert one["chance"] == 0.5


def test_windows_and_words_are_chosen_as_in_a_picture(client):
    given = {**ASKED, "choose": "times", "times": 2.5, "prompts": "one\ntwo"}
    (one,) = client.post("/sd-eeg/encode", json=given).json()["windows"]
    assert (one["time"], {best["text"] for best in one["best"]}) == (2.5, {"one", "two"})


@pytest.mark.parametrize(
    ("route", "given", "words"),
    [
        ("encode", {}, "no EEG encoder chosen"),
        ("encode", {**ASKED, "encoder": "gone"}, "no EEG encoder called 'gone'"),
        ("encode", {**ASKED, "recording": "gone.edf"}, "no recording called 'gone.edf'"),
        ("encode", {**ASKED, "recording": "/etc/passwd"}, "lies outside of what may be opened"),
        ("encode", {**ASKED, "label": "cat"}, "no event is labelled 'cat'"),
        ("encode", {**ASKED, "colour": 1}, "there is no field colour"),
        ("encode", {**ASKED, "times": [1]}, "EEG times: a text is needed"),
        ("encode", {**ASKED, "strength": 1, "mode": "add"}, "mode, strength only matter where a picture is drawn"),
        ("encode", {**ASKED, "prompts": "only one"}, "1 prompts given, the encoder has 2"),
        ("encode", {**ASKED, "choose": "times", "times": "11.9"}, "no window is left of 1"),
        ("recordings", {}, "send `recording`"),
        ("recordings", {"recording": ""}, "send `recording`"),
        ("recordings", {"recording": "noise.safetensors", "mode": "add"}, "not mode"),
        ("recordings", {"recording": "A" * 400}, "its content is not recognised"),
        ("recordings", {"recording": "!" * 400}, "is no base64"),
        ("recordings", {"recording": {"name": "a.edf"}}, "each file is"),
        ("recordings", {"recording": "noise.safetensors", "units": "volts"}, "EEG units: 'volts' is not known"),
        ("recordings", {"recording": 1e400}, "EEG recording: send a reference"),
    ],
)
def test_what_cannot_work_is_422_with_the_words(client, host, route, given, words):
    answer = client.post(f"/sd-eeg/{route}", content=json.dumps(given))
    assert words in detail(answer, 422)
    assert host.reported == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
        b"name=value",
    ],
    ids=range(10),
)
def test_a_body_that_is_no_json_object_is_422(client, body):
    assert "the request's body" in detail(client.post("/sd-eeg/encode", content=body), 422)


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_413(client, host, declared):
    host.shared.opts.sd_eeg_max_upload_mib = 1
    body = b'{"recording": "' + b"A" * (3 << 20) + b'"}'
    content = body if declared else iter([body[:1000], body[1000:]])
    assert "larger than 2 MiB" in detail(client.post("/sd-eeg/recordings", content=content), 413)
    assert "at most 1 are taken" in detail(client.post("/sd-eeg/recordings", json={"recording": "A" * (3 << 19)}), 422)


def test_a_defect_of_ours_is_500_and_printed(client, host, monkeypatch, capfd):
    def fail(*args):
        raise KeyError("windows")

    monkeypatch.setattr(host.ours("api"), "readings", fail)
    assert "KeyError: 'windows'" in detail(client.post("/sd-eeg/encode", json=ASKED), 500)
    assert "Traceback" in capfd.readouterr().err


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "right"),
    [
        (None, False), (basic("a:b"), True), (basic("c:d:e"), True), (basic("ä:ß"), True), (basic("a:d:e"), False),
        (basic("a:"), False), (basic("a"), False), (basic(""), False), (basic("x:b"), False), ("Basic !", False),
        ("Basic", False), ("", False), ("Basic \xe4\xf6\xfc", False), ("Basic ////", False),
        ("Bearer " + basic("a:b")[6:], False), ("basic " + basic("a:b")[6:], True), (basic("A:b"), False),
    ],
)  # fmt: skip
def test_every_route_asks_for_the_hosts_name_and_password(client, host, authorization, right):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for method, path in ROUTES:
        assert client.request(method, path, headers=headers, json={}).status_code != 401
    host.shared.cmd_opts.api_auth = "a:b,c:d:e,ä:ß,no colon"
    for method, path in ROUTES:
        answer = client.request(method, path, headers=headers, content=b"{}")
        if right:
            assert answer.status_code != 401
        else:
            assert "name and password" in detail(answer, 401)
            assert answer.headers["www-authenticate"] == "Basic"


def test_without_the_password_nothing_of_a_request_is_read(client, host):
    host.shared.cmd_opts.api_auth = "a:b"
    host.shared.opts.sd_eeg_max_upload_mib = 1
    assert client.post("/sd-eeg/recordings", content=b"x" * (5 << 20)).status_code == 401


def test_the_schema_of_the_hosts_api_can_still_be_made(client):
    assert {"/sd-eeg/encoders", "/sd-eeg/recordings", "/sd-eeg/encode"} <= set(
        client.get("/openapi.json").json()["paths"]
    )


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_method_is_405(client, method, path):
    assert client.request("GET" if method == "POST" else "POST", path).status_code == 405


def test_fifty_requests_at_a_time_are_each_answered_with_their_own(client, tmp_path):
    data = {seed: in_base64(seed, tmp_path) for seed in range(10)}

    def ask(number: int):
        given = {"recording": data[number % 10], "encoder": "words.safetensors", "which": str(number % 6)}
        return client.post("/sd-eeg/encode", json=given)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    for number, answer in enumerate(answers):
        assert answer.status_code == 200, answer.text
        chosen = select_events(noise_recording(seed=number % 10), places=str(number % 6))
        (wanted,), (one,) = read_windows(encoder("words"), chosen), answer.json()["windows"]
        assert one["time"] == wanted.onset
        assert one["best"][0]["text"] == wanted.best[0][0]
        assert math.isclose(one["best"][0]["score"], wanted.best[0][1], abs_tol=1e-5)
