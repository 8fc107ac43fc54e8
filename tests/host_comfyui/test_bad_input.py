"""Bad input is a readable message on the node, never a traceback, and the host goes on serving."""

import dataclasses

import pytest

from core.formats.toolboxes.native import save_recording
from tests.host_comfyui.graphs import eeg_graph, encode, node, save
from tests.host_comfyui.host import Host, RefusedError, failure, succeeded
from tests.small_encoders import noise_recording

LONG = "a" * 100_000 + ".edf"


def said(host: Host, graph: dict) -> str:
    """What a person reads, whether the host refuses the graph or a node fails in it."""
    try:
        message = failure(host.run(graph))
    except RefusedError as error:
        message = error.messages()
    assert "Traceback" not in message
    assert 10 < len(message) < 2000, message[:3000]
    return message


def still_serves(host: Host) -> None:
    """A good graph runs after a bad one."""
    succeeded(host.run(save(encode(eeg_graph()), "after", ("encode", 4))))


def reading(file: str, **more) -> dict:
    return {"recording": node("SDEEG_LoadRecording", file=file, **more),
            "seen": node("PreviewAny", source=["recording", 1])}  # fmt: skip


@pytest.mark.parametrize("file", ["../log.txt", "../../../../../../etc/passwd", "/etc/passwd", "a/../../log.txt"])
def test_a_path_outside_the_input_folder_is_refused(host, file):
    message = said(host, reading(file))
    assert "input folder" in message
    still_serves(host)


def test_a_file_that_is_not_there_is_named_with_the_folder(host):
    message = said(host, reading("nothing-here.edf"))
    assert "nothing-here.edf" in message
    assert "input folder" in message


@pytest.mark.parametrize("file", [LONG, "a" * 300 + ".edf", "bad\x00name.edf", ""])
def test_an_impossible_name_is_shortened_in_the_message(host, file):
    said(host, reading(file))
    still_serves(host)


def test_an_upload_with_an_endless_name_leaves_the_host_serving(host):
    with pytest.raises(OSError, match=r"HTTP Error [45]|reset|Broken pipe"):
        host.upload(LONG, b"nothing")
    still_serves(host)


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.edf", b"no EDF at all" * 50), ("broken.fif", b"\x00" * 64), ("empty.bdf", b""), ("text.set", b"hello")],
)
def test_a_broken_recording_is_named_on_the_node(host, name, content):
    answered = host.upload(name, content)
    message = said(host, reading(answered["name"]))
    assert name in message
    still_serves(host)


def test_a_file_of_no_known_kind_lists_what_is_read(host):
    answered = host.upload("song.mp3", b"ID3")
    message = said(host, reading(answered["name"]))
    assert "EDF (version 0" in message
    assert "song.mp3" in message


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!", b"\xff" * 4096])
def test_a_file_that_is_no_encoder_says_so(host, content):
    name = f"broken-{len(content)}.safetensors"
    (host.base / "models" / "eeg_encoders" / name).write_bytes(content)
    graph = {"encoder": node("SDEEG_LoadEncoder", encoder=name), "seen": node("PreviewAny", source=["encoder", 1])}
    assert name in said(host, graph)
    still_serves(host)


def test_weights_of_something_else_are_no_encoder(host):
    # A recording in the project's own format is a good safetensors file, and no encoder.
    save_recording(noise_recording(), host.base / "models" / "eeg_encoders" / "recording.safetensors")
    graph = {"encoder": node("SDEEG_LoadEncoder", encoder="recording.safetensors"),
             "seen": node("PreviewAny", source=["encoder", 1])}  # fmt: skip
    message = said(host, graph)
    assert "recording.safetensors" in message
    assert "encoder" in message


def test_an_encoder_outside_its_folder_is_refused(host):
    graph = {"encoder": node("SDEEG_LoadEncoder", encoder="../../input/noise.safetensors"),
             "seen": node("PreviewAny", source=["encoder", 1])}  # fmt: skip
    assert "eeg_encoders" in said(host, graph)


def test_channels_that_do_not_match_are_listed(host):
    strange = dataclasses.replace(noise_recording(), ch_names=tuple(f"X{i}" for i in range(8)))
    save_recording(strange, host.base / "input" / "strange.safetensors")
    message = said(host, save(encode(eeg_graph("strange.safetensors")), "never", ("encode", 0)))
    assert "AF3" in message
    assert "X0" in message


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"choose.label": "nosuch"}, ["nosuch", "face", "house"]),
        ({"choose.index": "99"}, ["99"]),
        ({"choose.index": "one"}, ["one", "0, 3, 5-9"]),
        ({"choose": "times", "choose.times": ""}, ["seconds"]),
        ({"choose": "times", "choose.times": "500"}, ["500", "12"]),
        ({"choose": "sliding", "choose.per_second": 1.0, "choose.start": 11.9, "choose.stop": 0.0}, ["window"]),
    ],
)
def test_an_empty_selection_says_what_there_is(host, choice, words):
    message = said(host, save(encode(eeg_graph(**choice)), "never", ("encode", 0)))
    assert all(word in message for word in words), message


def test_a_window_that_lies_over_the_end_says_how_long_the_recording_is(host):
    graph = encode(eeg_graph(**{"choose": "times", "choose.times": "11.9"}))
    assert "12" in said(host, save(graph, "never", ("encode", 0)))


def test_a_recording_without_events_says_what_to_do(host):
    save_recording(dataclasses.replace(noise_recording(), events=()), host.base / "input" / "silent.safetensors")
    message = said(host, save(encode(eeg_graph("silent.safetensors")), "never", ("encode", 0)))
    assert "events" in message
    assert "time" in message


def test_a_graph_of_the_older_layout_is_refused_with_the_input_it_lacks(host):
    graph = eeg_graph()
    graph["encode"] = node(
        "SDEEG_Encode", encoder=["encoder", 0], recording=["recording", 0], event="face", index=-1, strength=1.0
    )
    message = said(host, save(graph, "never", ("encode", 0)))
    assert "windows" in message
    still_serves(host)


def test_a_node_that_no_longer_exists_is_named(host):
    graph = {"old": node("SDEEG_LoadEEG", file="noise.safetensors"), "seen": node("PreviewAny", source=["old", 0])}
    assert "SDEEG_LoadEEG" in said(host, graph)
    still_serves(host)


@pytest.mark.parametrize(("setting", "value"), [("strength", 99.0), ("family", "sd9"), ("strength", "much")])
def test_a_value_out_of_range_is_refused_by_name(host, setting, value):
    graph = encode(eeg_graph(), **{setting: value})
    message = said(host, save(graph, "never", ("encode", 0)))
    assert setting in message
