"""Recordings come by upload, in base64 or from an allowed folder, and from nowhere else."""

import base64
import os
import random
import re
import threading

import mne
import numpy as np
import pybv
import pytest

from core.formats.toolboxes.native import save_recording
from core.recording import describe
from tests.small_encoders import CHANNELS, noise_recording
from tests.webui_standin import extension

recordings = extension("folders.recordings")
Shelf = recordings.Shelf


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "kept", (tmp_path / "allowed", tmp_path / "more"), (tmp_path / "uploads",), 1 << 20)
    for folder in (*made.folders, *made.uploads):
        folder.mkdir()
    return made


def allowed(shelf):
    return shelf.folders[0]


def write_native(path, seed: int = 0):
    save_recording(noise_recording(seed=seed), path)
    return path


def write_brainvision(folder, name: str = "session"):
    recording = noise_recording()
    events = np.array([[round(event.onset * 128), 0, 1 + i % 2] for i, event in enumerate(recording.events)])
    pybv.write_brainvision(
        data=recording.data, sfreq=128, ch_names=list(CHANNELS), fname_base=name, folder_out=str(folder),
        events=events[:, [0, 2]],
    )  # fmt: skip
    return [folder / f"{name}{suffix}" for suffix in (".vhdr", ".vmrk", ".eeg")]


def write_fif(path, name: str = "raw.fif"):
    recording = noise_recording()
    raw = mne.io.RawArray(recording.data, mne.create_info(list(CHANNELS), 128.0, "eeg"), verbose="ERROR")
    raw.save(path / name, verbose="ERROR")
    return path / name


def as_base64(path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


# Uploads


def test_an_upload_is_kept_and_found_by_its_digest(shelf):
    path = write_native(shelf.uploads[0] / "noise.safetensors")
    reference = shelf.keep_files([("noise.safetensors", path)])
    assert re.fullmatch("sha256:[0-9a-f]{10}", reference)
    path.unlink()
    assert shelf.load(reference).duration == 12.0
    assert shelf.find(reference).name == "noise.safetensors"
    assert shelf.reference(shelf.find(reference)) == reference
    assert shelf.find(f"  {reference.upper().replace('SHA256', 'sha256')} ") == shelf.find(reference)


def test_the_same_content_is_the_same_recording_whatever_its_name_and_way(shelf):
    path = write_native(shelf.uploads[0] / "noise.safetensors")
    references = {
        shelf.keep_files([("noise.safetensors", path)]),
        shelf.keep_files([("other name.safetensors", path)]),
        shelf.keep_base64(as_base64(path)),
        shelf.keep_base64_set([("third.safetensors", as_base64(path))]),
        shelf.reference(path),
    }
    assert len(references) == 1
    assert len(list(shelf.kept.iterdir())) == 1


def test_a_brainvision_set_is_one_recording(shelf):
    files = write_brainvision(shelf.uploads[0])
    reference = shelf.keep_files([(path.name, path) for path in files])
    assert shelf.find(reference).suffix == ".vhdr"
    recording = shelf.load(reference)
    assert recording.n_channels == len(CHANNELS)
    assert len(recording.events) == 6
    assert shelf.keep_base64_set([(path.name, as_base64(path)) for path in reversed(files)]) == reference
    assert shelf.reference(files[0]) == reference
    for path in files:
        (allowed(shelf) / path.name).write_bytes(path.read_bytes())
    shelf.kept.rename(shelf.kept.with_name("gone"))
    assert shelf.find(reference) == allowed(shelf) / "session.vhdr"


def test_of_a_recording_and_tables_beside_it_the_recording_is_read(shelf):
    path = write_fif(shelf.uploads[0])
    for name in ("0_shown.csv", "raw.trg"):
        (shelf.uploads[0] / name).write_text("".join(f"{i},{i * 2},{i * 3}\n" for i in range(20)))
    uploaded = [(name, shelf.uploads[0] / name) for name in ("0_shown.csv", "raw.trg", path.name)]
    assert shelf.find(shelf.keep_files(uploaded)).name == "raw.fif"


@pytest.mark.parametrize("missing", [".vhdr", ".vmrk", ".eeg"])
def test_a_set_with_a_file_missing_says_which(shelf, missing):
    files = [path for path in write_brainvision(shelf.uploads[0]) if path.suffix != missing]
    reference = shelf.keep_files([(path.name, path) for path in files])
    if missing == ".vmrk":
        assert "session.vmrk' are missing beside it: read without events" in describe(shelf.load(reference))
        return
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        shelf.load(reference)
    assert str(shelf.kept) not in str(caught.value)
    assert missing in str(caught.value)


def test_a_header_that_names_a_file_elsewhere_is_refused(shelf, tmp_path):
    header, markers, _ = write_brainvision(shelf.uploads[0])
    (tmp_path / "secret.eeg").write_bytes(b"\x00" * 1024)
    for elsewhere in (tmp_path / "secret.eeg", "../../secret.eeg"):
        text = re.sub("DataFile=.*", f"DataFile={elsewhere}", header.read_text())
        header.write_text(text)
        reference = shelf.keep_files([(path.name, path) for path in (header, markers)])
        with pytest.raises(FileNotFoundError, match=r"secret\.eeg' is not beside it"):
            shelf.load(reference)


def test_a_file_that_lies_elsewhere_is_no_upload(shelf, tmp_path):
    path = write_native(tmp_path / "elsewhere.safetensors")
    with pytest.raises(ValueError, match=r"'elsewhere\.safetensors' is no uploaded file"):
        shelf.keep_files([("elsewhere.safetensors", path)])
    (shelf.uploads[0] / "link.safetensors").symlink_to(path)
    with pytest.raises(ValueError, match="is no uploaded file"):
        shelf.keep_files([("link.safetensors", shelf.uploads[0] / "link.safetensors")])
    with pytest.raises(ValueError, match="is no uploaded file"):
        shelf.keep_files([("a.safetensors", shelf.uploads[0] / ".." / "elsewhere.safetensors")])


@pytest.mark.parametrize(
    "name", ["..", ".", "", "   ", "a:b.edf", "x\x00.edf", "a\n.edf", "x" * 201, "what?.edf", "../"]
)
def test_names_that_cannot_stand_in_a_folder_are_refused(shelf, name):
    path = write_native(shelf.uploads[0] / "noise.safetensors")
    with pytest.raises(ValueError, match="is no name of a file"):
        shelf.keep_files([(name, path)])
    with pytest.raises(ValueError, match="is no name of a file"):
        shelf.keep_base64_set([(name, as_base64(path))])


@pytest.mark.parametrize("name", ["../../noise.safetensors", "/etc/noise.safetensors", "C:\\data\\noise.safetensors"])
def test_of_a_name_with_folders_only_the_last_part_counts(shelf, name):
    path = write_native(shelf.uploads[0] / "noise.safetensors")
    found = shelf.find(shelf.keep_base64_set([(name, as_base64(path))]))
    assert found.name == "noise.safetensors"
    assert found.parent.parent == shelf.kept


def test_an_upload_that_is_too_large_is_refused(shelf):
    path = shelf.uploads[0] / "large.edf"
    path.write_bytes(bytes(shelf.max_bytes + 1))
    with pytest.raises(ValueError, match="the recording has 1 MiB; at most 1 are taken"):
        shelf.keep_files([("large.edf", path)])
    assert not shelf.kept.exists()


# Base64


def test_base64_over_the_limit_is_refused_before_it_is_decoded(shelf, monkeypatch):
    monkeypatch.setattr(recordings.base64, "b64decode", lambda *args, **kwargs: pytest.fail("was decoded"))
    bomb = "A" * (shelf.max_bytes * 4 // 3 + 8)
    half = bomb[: len(bomb) // 2 + 8]
    with pytest.raises(ValueError, match="at most 1 are taken"):
        shelf.keep_base64(bomb)
    with pytest.raises(ValueError, match="at most 1 are taken"):
        shelf.keep_base64(f"data:application/octet-stream;base64,{bomb}")
    with pytest.raises(ValueError, match="at most 1 are taken"):
        shelf.keep_base64_set([("a.vhdr", half), ("a.eeg", half)])


@pytest.mark.parametrize("text", ["!!!!", "ABC", "====", "ä" * 8, "AAAA\x00"])
def test_what_is_no_base64_is_refused(shelf, text):
    with pytest.raises(ValueError, match="is no base64"):
        shelf.keep_base64(text)


@pytest.mark.parametrize("text", ["", "data:,", "\n"])
def test_nothing_is_no_recording(shelf, text):
    with pytest.raises(ValueError, match="the recording is empty"):
        shelf.keep_base64(text)


def test_content_without_a_name_is_recognised_or_says_what_would_be(shelf):
    for path in (write_native(shelf.uploads[0] / "a.safetensors"), write_fif(shelf.uploads[0])):
        reference = shelf.keep_base64(as_base64(path))
        assert shelf.find(reference).suffix == path.suffix
        assert shelf.load(reference).n_channels == len(CHANNELS)
    with pytest.raises(ValueError, match=r"not recognised; looked for EDF .*send"):
        shelf.keep_base64(base64.b64encode(b"no recording at all").decode())


def test_random_bytes_end_in_a_sentence(shelf):
    """Whatever comes under a known signature or suffix, reading it says what is wrong, without the folder."""
    generator = random.Random(0)
    starts = [b"0       ", b"\xffBIOSEMI", b"Brain Vision Data Exchange Header", b"GDF 2.20", b"timestamps,TP9,TP10\n"]
    names = ["a.edf", "a.bdf", "a.vhdr", "a.set", "a.fif", "a.gdf", "a.csv", "a.safetensors"]
    for number in range(60):
        content = generator.choice([b"", *starts]) + generator.randbytes(generator.choice([0, 3, 300, 5000]))
        given = base64.b64encode(content or b"\x00").decode()
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            shelf.load(shelf.keep_base64_set([(names[number % len(names)], given)]))
        assert str(shelf.kept) not in str(caught.value)


def test_files_cut_short_end_in_a_sentence_or_are_read_as_far_as_they_go(shelf):
    whole = [write_native(shelf.uploads[0] / "a.safetensors"), write_fif(shelf.uploads[0])]
    for path in whole:
        content = path.read_bytes()
        for share in (0.01, 0.3, 0.7, 0.999):
            cut = base64.b64encode(content[: int(len(content) * share)]).decode()
            reference = shelf.keep_base64_set([(path.name, cut)])
            said = ""
            try:
                assert shelf.load(reference).n_channels == len(CHANNELS)
            except (ValueError, FileNotFoundError) as error:
                said = str(error)
            assert str(shelf.kept) not in said


# Allowed folders


def test_a_file_of_an_allowed_folder_is_named_by_its_path(shelf):
    (shelf.folders[1] / "sub").mkdir()
    path = write_native(shelf.folders[1] / "sub" / "noise.safetensors")
    assert shelf.find("sub/noise.safetensors") == path
    assert shelf.find(str(path)) == path
    assert shelf.names() == ["sub/noise.safetensors"]


def test_a_digest_finds_a_file_of_an_allowed_folder(shelf):
    write_native(allowed(shelf) / "other.safetensors", seed=1)
    path = write_native(shelf.folders[1] / "noise.safetensors")
    assert shelf.find(shelf.reference(path)) == path
    path.rename(path.with_name("renamed.safetensors"))
    assert shelf.find(shelf.reference(path.with_name("renamed.safetensors"))).name == "renamed.safetensors"


@pytest.mark.parametrize(
    "reference", ["../secret.safetensors", "sub/../../secret.safetensors", "{}/secret.safetensors"]
)
def test_a_path_outside_is_refused(shelf, tmp_path, reference):
    write_native(tmp_path / "secret.safetensors")
    with pytest.raises(ValueError, match="lies outside of what may be opened"):
        shelf.find(reference.format(tmp_path))


def test_a_link_that_leads_out_is_refused_by_path_and_by_digest(shelf, tmp_path):
    secret = write_native(tmp_path / "secret.safetensors")
    (allowed(shelf) / "link.safetensors").symlink_to(secret)
    (allowed(shelf) / "folder").symlink_to(tmp_path)
    for reference in ("link.safetensors", "folder/secret.safetensors", shelf.reference(secret)):
        with pytest.raises(FileNotFoundError):
            shelf.find(reference)
    assert shelf.names() == []


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("", "no recording chosen"),
        ("  ", "no recording chosen"),
        ("a\x00.edf", "is no name of a file"),
        ("x" * 5000, r"\(5000 letters\)"),
        ("gone.edf", "no recording called 'gone.edf' in .*allowed or .*more"),
        ("/etc/passwd", "lies outside of what may be opened"),
        ("sha256:", "names no recording"),
        ("sha256:0123", "has 8 to 64 of the digits"),
        ("sha256:../../x", "names no recording"),
        ("sha256:*", "names no recording"),
        ("sha256:" + "0" * 65, "names no recording"),
        ("sha256:0123456789", "is not at hand; upload it again, or put it into"),
        (".", "no recording called"),
    ],
)
def test_what_cannot_be_named_says_what_can(shelf, reference, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        shelf.find(reference)


def test_a_shelf_without_folders_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"no folder \(none is allowed here\)"):
        Shelf(tmp_path).find("")
    with pytest.raises(ValueError, match="lies outside"):
        Shelf(tmp_path).find("/etc/hostname")


# Keeping and loading


def test_the_oldest_uploads_go(shelf, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_KEPT", 3)
    path = shelf.uploads[0] / "noise.safetensors"
    references = []
    for seed in range(5):
        write_native(path, seed)
        references.append(shelf.keep_files([(path.name, path)]))
        os.utime(shelf.find(references[-1]).parent, (seed, seed))
    assert len(list(shelf.kept.iterdir())) == 3
    for reference in references[:2]:
        with pytest.raises(FileNotFoundError, match="is not at hand"):
            shelf.find(reference)
    for reference in references[2:]:
        shelf.find(reference)


def test_a_recording_is_read_once_and_again_when_it_changes(shelf):
    path = write_native(allowed(shelf) / "noise.safetensors")
    first = shelf.load("noise.safetensors")
    assert shelf.load(str(path)) is first
    assert shelf.load(shelf.keep_files([("a.safetensors", path)])) is first
    assert shelf.load("noise.safetensors", reading="events=face") is not first
    times = path.stat()
    write_native(path, seed=1)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not np.array_equal(shelf.load("noise.safetensors").data, first.data)


def test_only_so_many_stay_loaded(shelf):
    for seed in range(recordings.MAX_LOADED + 2):
        write_native(allowed(shelf) / f"{seed}.safetensors", seed)
        shelf.load(f"{seed}.safetensors")
    assert len(recordings._LOADED) == recordings.MAX_LOADED


def test_a_recording_made_here_is_kept_like_an_upload(shelf):
    reference = shelf.keep_recording(noise_recording(), "phantom")
    assert shelf.find(reference).name == "phantom.safetensors"
    assert np.array_equal(shelf.load(reference).data, noise_recording().data)
    with pytest.raises(ValueError, match="is no name of a file"):
        shelf.keep_recording(noise_recording(), "..")


def test_many_uploads_at_a_time_are_each_kept_whole(shelf):
    texts = []
    for seed in range(8):
        texts.append(as_base64(write_native(shelf.uploads[0] / "noise.safetensors", seed)))
    found: dict[int, object] = {}

    def keep(number: int) -> None:
        found[number] = shelf.load(shelf.keep_base64(texts[number % 8]))

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    for number, recording in found.items():
        assert np.array_equal(recording.data, noise_recording(seed=number % 8).data)
    assert len(list(shelf.kept.iterdir())) == 8


def test_what_the_file_does_not_say_is_told_in_a_line(shelf):
    rows = np.random.default_rng(0).standard_normal((1280, 4)) * 20
    lines = [f"{number / 256:.5f},{','.join(f'{value:.3f}' for value in row)}" for number, row in enumerate(rows)]
    (shelf.folders[0] / "a.csv").write_text("\n".join(["timestamps,TP9,AF7,AF8,TP10", *lines]))
    told = shelf.load("a.csv", reading="channels=TP9:O1,TP10:O2")
    assert {"O1", "O2"} <= set(told.ch_names)
    assert shelf.load("a.csv").ch_names == ("TP9", "AF7", "AF8", "TP10")
    for reading, says in (
        ("pace=5", "no `name=value`"),
        ("units=mV", "told as 'mV'"),
        ("events=/etc/passwd@*", "beside"),
    ):
        with pytest.raises(ValueError, match=says):
            shelf.load("a.csv", units="uV", reading=reading)
