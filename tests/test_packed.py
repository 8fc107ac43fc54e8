"""Recordings inside .gz and .zip: chosen, bounded, named as the user named them, and gone afterwards."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.loading.load import load_recording


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch) -> Path:
    """All temporary folders are made in one that must be empty in the end."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def npy(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).standard_normal((4, 2000)) * 20)
    return buffer.getvalue()


def csv() -> bytes:
    rows = [
        f"{i / 250},{x:.3f},{y:.3f}" for i, (x, y) in enumerate(np.random.default_rng(0).standard_normal((2000, 2)))
    ]
    return ("time,Fz [uV],Oz [uV]\n" + "\n".join(rows) + "\n").encode()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_recording_is_found_among_other_files(tmp_path: Path) -> None:
    files = {
        "a/README.txt": b"read me",
        "__MACOSX/._r.npy": npy(),
        "a/r.npy": npy(),
        "a/.DS_Store": b"x",
        "p.png": b"y",
    }
    path = zipped(tmp_path / "r.zip", files)
    recording = load_recording(path, units="uV", sfreq=250)
    assert recording.source["unpacked"] == "r.npy"
    assert recording.source["file"] == "r.zip"


def test_several_recordings_are_listed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "r.zip", {"a/r.npy": npy(), "b/r.npy": npy(1), "b/s.npy": npy(2)})
    # arrays only would be NumPy's own .npz
    path = zipped(tmp_path / "r.zip", {"a/r.npy": npy(), "b/r.npy": npy(1), "b/s.npy": npy(2), "notes.md": b"x"})
    with pytest.raises(ValueError, match=r"3 recordings inside; say which: member='a/r.npy' \(--member\)") as caught:
        load_recording(path, units="uV", sfreq=250)
    assert "\n" not in str(caught.value)
    assert load_recording(path, units="uV", sfreq=250, member="b/r.npy").n_times == 2000
    assert load_recording(path, units="uV", sfreq=250, member="s.npy").n_times == 2000
    for wrong in ("r.npy", "c.npy", "../r.npy"):
        with pytest.raises(ValueError, match="inside; it has"):
            load_recording(path, units="uV", sfreq=250, member=wrong)


def test_packed_twice(tmp_path: Path) -> None:
    path = zipped(tmp_path / "r.zip", {"r.csv.gz": gzip.compress(csv()), "x.md": b"x"})
    assert load_recording(path).ch_names == ("Fz", "Oz")
    deep = csv()
    for _ in range(5):
        deep = gzip.compress(deep)
    (tmp_path / "r.csv.gz").write_bytes(deep)
    with pytest.raises(ValueError, match="packed more than 3 times over"):
        load_recording(tmp_path / "r.csv.gz")


def test_several_gzip_members_after_one_another_are_one(tmp_path: Path) -> None:
    whole = csv()
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(whole[:5000]) + gzip.compress(whole[5000:]) + bytes(100))
    assert load_recording(tmp_path / "r.csv.gz").n_times == 2000


def test_gzip_without_its_suffix_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(gzip.compress(csv()))
    assert load_recording(tmp_path / "r.csv").n_times == 2000


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.99])
def test_cut_off_archives_say_so(tmp_path: Path, keep: float) -> None:
    packed = gzip.compress(csv())
    (tmp_path / "r.csv.gz").write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(ValueError, match=r"r.csv.gz: cut off: its gzip data end inside"):
        load_recording(tmp_path / "r.csv.gz")
    path = zipped(tmp_path / "r.zip", {"r.csv": csv(), "x.md": b"x"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(ValueError, match=r"r.zip: a damaged or cut off zip file"):
        load_recording(path)


def test_errors_name_what_the_user_named(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(b"Fz,Oz\nno,numbers\nat,all\n"))
    path = zipped(tmp_path / "r.zip", {"sub/r.edf": b"0       " + bytes(300), "x.md": b"x"})
    for name, shown in ((tmp_path / "r.csv.gz", "r.csv.gz: "), (path, "r.zip/sub/r.edf: ")):
        with pytest.raises(ValueError, match=r"r\.(edf|csv\.gz): ") as caught:
            load_recording(name, sfreq=250)
        assert str(caught.value).startswith(str(tmp_path / shown))
        assert str(temporary) not in str(caught.value)


def test_bombs_are_stopped_early(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("core.loading.archives.ALWAYS_ALLOWED", 1 << 20)
    bomb = bytes(30 << 20)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(bomb))
    zipped(tmp_path / "r.zip", {"r.csv": bomb, "x.md": b"x"})
    for name in ("r.csv.gz", "r.zip"):
        with pytest.raises(ValueError, match=r"unpacks to more than \d+ MiB"):
            load_recording(tmp_path / name)


def test_names_that_lead_out_of_the_folder_are_passed_over(tmp_path: Path) -> None:
    files = {"../out.npy": npy(), "/tmp/out.npy": npy(), "C:\\out.npy": npy(), "in.npy": npy(), "x.md": b"x"}
    recording = load_recording(zipped(tmp_path / "a.zip", files), units="uV", sfreq=250)
    assert recording.source["unpacked"] == "in.npy"
    assert not (tmp_path / "out.npy").exists()


def test_backslashes_between_folders(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"sub/r.npy": npy(), "x.md": b"x"})
    path.write_bytes(path.read_bytes().replace(b"sub/r.npy", b"sub\\r.npy"))
    assert load_recording(path, units="uV", sfreq=250).source["unpacked"] == "r.npy"


def test_locked_office_and_empty_archives_say_what_they_are(tmp_path: Path) -> None:
    locked = zipped(tmp_path / "r.zip", {"r.npy": npy(), "x.md": b"x"})
    content = bytearray(locked.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := content.find(mark, start)) >= 0:
            content[start + at] |= 1
            start += 4
    locked.write_bytes(content)
    with pytest.raises(ValueError, match="locked with a password"):
        load_recording(locked, sfreq=250)
    with pytest.raises(ValueError, match="an Office document"):
        load_recording(zipped(tmp_path / "r.xlsx", {"[Content_Types].xml": b"x", "xl/sheet.xml": b"y"}))
    with pytest.raises(ValueError, match=r"no recording inside; it has a\.md"):
        load_recording(zipped(tmp_path / "e.zip", {"a.md": b"x"}))


def test_real_archive_of_ten_recordings(shared_data: Path) -> None:
    path = shared_data / "eeg_formats/emotiv/brain_download_baseline_insight5.zip"
    with pytest.raises(ValueError, match="10 recordings inside"):
        load_recording(path)
    recording = load_recording(path, member="Closed_20sx1_201227-103149.csv")
    assert recording.ch_names == ("AF3", "T7", "Pz", "T8", "AF4")
    assert recording.source["format"] == "emotiv"
