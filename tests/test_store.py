"""The trial store: atomic, resumable, appendable, read by memory map."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from core.files import held
from core.formats.contract.signals import NoEeg
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording
from trainer.store.dataset import Session
from trainer.store.store import LOCK, open_store, write_store

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("TP9", "AF7", "AF8", "TP10")
CONFIG = PreprocessingConfig(ch_names=NAMES, sfreq=128.0, tmin=0.0, tmax=0.5, reject_uv=400.0)
PROVENANCE = {"dataset": "made up", "licence": "none"}


def load(number, n_trials=5, calls=None):
    """Return a recording of noise with one presentation a second; the last one is cut off by the recording's end."""
    if calls is not None:
        calls.append(number)
    rng = np.random.default_rng(number)
    data = 1e-5 * rng.standard_normal((4, 128 * n_trials)).astype(np.float32)
    rows = [
        {"label": "ab"[i % 2], "image_id": f"{number}-{i}", "onset": i + 0.25, "run": str(number), "split": "train"}
        for i in range(n_trials)
    ]
    rows[-1]["onset"] = n_trials - 0.25
    return Recording(data, 128.0, NAMES, source={"file": f"{number}.xyz", "units": "declared uV"}), rows


def sessions(n=3, calls=None, **identity):
    return [Session(f"run-{i}", partial(load, i, calls=calls), identity=identity) for i in range(n)]


def make(folder, n=3, config=CONFIG, provenance=PROVENANCE, calls=None, identity=None, **more):
    found = sessions(n, calls, **(identity or {}))
    return write_store(folder, found, config, provenance=provenance, progress=False, **more)


def test_a_store_gives_back_what_was_cut(tmp_path):
    store = make(tmp_path / "store")
    trials = store.trials()
    assert len(trials) == len(store) == 12
    assert trials.eeg.shape == (12, 4, 64)
    assert trials.eeg.dtype == np.float32
    assert trials.labels == store.labels == ("a", "b")
    recording, rows = load(1)
    expected = recording.data[:, 160:224]
    row = trials.image_id.tolist().index("1-1")
    assert np.allclose(trials.eeg[row], expected, atol=1e-9)
    assert trials.onset[row] == rows[1]["onset"]


def test_store_json_tells_the_whole_story(tmp_path):
    make(tmp_path / "store")
    info = json.loads((tmp_path / "store" / "store.json").read_text())
    assert info["version"] == 1
    assert info["sfreq"] == 128.0
    assert info["ch_names"] == list(NAMES)
    assert info["window_s"] == [0.0, 0.5]
    assert info["label_counts"] == {"a": 6, "b": 6}
    assert info["provenance"] == PROVENANCE
    entry = info["sessions"]["run-0"]
    assert entry["recording"]["units"] == "declared uV"
    assert [trial["reason"] for trial in entry["rejected"]] == ["outside the recording"]
    assert str(tmp_path) not in (tmp_path / "store" / "store.json").read_text()


def test_the_index_has_a_row_a_trial(tmp_path):
    make(tmp_path / "store")
    rows = [json.loads(line) for line in (tmp_path / "store" / "index.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert rows[0]["shard"] == "shards/run-0.safetensors"
    assert [row["row"] for row in rows[:4]] == [0, 1, 2, 3]


def test_sources_are_hashed(tmp_path):
    from core.files import sha256_of

    (tmp_path / "raw.bin").write_bytes(b"x" * 1000)
    session = Session("one", partial(load, 0), sources=(tmp_path / "raw.bin",))
    store = write_store(tmp_path / "store", [session], CONFIG, provenance=PROVENANCE, progress=False)
    assert store.info["sessions"]["one"]["sources"] == [{"file": "raw.bin", "sha256": sha256_of(tmp_path / "raw.bin")}]


def test_the_configuration_comes_back(tmp_path):
    config = replace(CONFIG, reference=("TP9",), notch=(50.0,), baseline=(0.0, 0.1))
    assert open_store(make(tmp_path / "store", config=config).folder).config == config


def test_windows_are_indexed_like_an_array(tmp_path):
    eeg = make(tmp_path / "store").trials().eeg
    whole = np.asarray(eeg)
    assert np.array_equal(eeg[3], whole[3])
    assert np.array_equal(eeg[-1], whole[-1])
    assert np.array_equal(eeg[2:9], whole[2:9])
    assert np.array_equal(eeg[[7, 0, 7]], whole[[7, 0, 7]])
    mask = np.arange(12) % 3 == 0
    assert np.array_equal(eeg[mask], whole[mask])
    assert np.array_equal(eeg[2:9, 1], whole[2:9, 1])
    assert np.array_equal(eeg[4, 1, 5:], whole[4, 1, 5:])
    assert np.array_equal(eeg[[]], whole[np.array([], dtype=int)])
    assert eeg[:].flags.writeable
    assert np.asarray(eeg, dtype=np.float64).dtype == np.float64
    with pytest.raises(IndexError):
        eeg[12]


def test_a_subset_stays_on_disk(tmp_path):
    trials = make(tmp_path / "store").trials()
    part = trials.eeg.subset(trials.label == 1)
    assert type(part) is type(trials.eeg)
    assert np.array_equal(np.asarray(part), trials.select(trials.label == 1).eeg)
    assert np.array_equal(part[[1, 0]], trials.eeg[np.flatnonzero(trials.label == 1)[[1, 0]]])
    assert np.array_equal(pickle.loads(pickle.dumps(part))[:], part[:])  # noqa: S301  (a data loader's worker)


def test_opening_reads_no_windows(tmp_path, monkeypatch):
    make(tmp_path / "store")
    from trainer.store import lazy_windows

    opened = []
    monkeypatch.setattr(
        lazy_windows, "where", lambda path, real=lazy_windows.where: opened.append(path.name) or real(path)
    )
    trials = open_store(tmp_path / "store").trials()
    assert opened == []
    trials.eeg[0]
    assert opened == ["run-0.safetensors"]


def test_memory_does_not_grow_with_the_store(tmp_path):
    config = replace(CONFIG, tmax=1.0, sfreq=2048.0, reject_uv=None)
    n = 400

    def big(number):
        data = np.zeros((4, 2048 * (n + 2)), np.float32)
        return Recording(data, 2048.0, NAMES), [{"label": "a", "onset": float(i)} for i in range(n)]

    found = [Session(f"run-{i}", partial(big, i)) for i in range(3)]
    write_store(tmp_path / "store", found, config, provenance=PROVENANCE, progress=False)
    script = (
        "import resource, sys; from trainer.store.store import open_store\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); eeg = open_store(sys.argv[1]).trials().eeg; eeg[[0, 500, 1100]]\n"
        "print((peak() - before) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "store")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 15  # of 39 MB of windows


def test_finished_recordings_are_not_done_again(tmp_path):
    calls = []
    make(tmp_path / "store", 2, calls=calls)
    make(tmp_path / "store", 3, calls=calls)
    assert calls == [0, 1, 2]
    assert len(open_store(tmp_path / "store")) == 12


def test_appending_keeps_what_is_not_asked_for_again(tmp_path):
    make(tmp_path / "store", 2)
    extra = Session("later", partial(load, 9))
    store = write_store(tmp_path / "store", [extra], CONFIG, provenance=PROVENANCE, progress=False)
    assert sorted(store.info["sessions"]) == ["later", "run-0", "run-1"]
    assert len(store.trials()) == 12


def test_two_processes_write_the_same_store(tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two", jobs=2)
    assert np.array_equal(np.asarray(one.trials().eeg), np.asarray(two.trials().eeg))
    names = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*") if path.is_file())
    assert len(names) > 5
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)


KILLED = """
import sys, time
sys.path.insert(0, {root!r})
from tests.test_store import CONFIG, PROVENANCE, load
from functools import partial
from trainer.store.dataset import Session
from trainer.store.store import write_store

def slowly(number):
    if number == 2:
        print("at the third", flush=True)
        time.sleep(60)
    return load(number)

found = [Session(f"run-{{i}}", partial(slowly, i)) for i in range(3)]
write_store({folder!r}, found, CONFIG, provenance=PROVENANCE, progress=False)
"""


def test_a_kill_leaves_a_valid_store_that_goes_on(tmp_path):
    folder = tmp_path / "store"
    script = KILLED.format(root=str(ROOT), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "at the third\n"
        deadline = time.monotonic() + 20
        while not (folder / "store.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ValueError, match=r"store is not finished: [12] of 3 recordings are in it.*prepare\.py"):
        open_store(folder)
    half = open_store(folder, unfinished=True)
    assert 4 <= len(half) <= 8
    assert np.isfinite(np.asarray(half.trials().eeg)).all()
    calls = []
    make(folder, calls=calls)
    assert calls == [2]
    make(tmp_path / "whole")
    for name in ("store.json", "index.jsonl"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


FULL = """
import resource, sys
sys.path.insert(0, {root!r})
from tests.test_store import PROVENANCE, CONFIG, of_rising_size
from trainer import console
from trainer.store.store import write_store

resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
console.run(lambda: write_store({folder!r}, of_rising_size(), CONFIG, provenance=PROVENANCE, progress=False))
"""


def of_rising_size(calls=None):
    return [Session(f"run-{i}", partial(load, i, n, calls)) for i, n in enumerate((5, 6, 300))]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not bound the size of files")
def test_a_full_disk_is_one_sentence_and_what_was_finished_is_gone_on_with(tmp_path):
    """A bound on the size of files stands for the full disk; the third recording is over it."""
    folder = tmp_path / "store"
    script = FULL.format(root=str(ROOT), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert re.fullmatch(
        r"error: .*run-2\.safetensors cannot be written: .+\. 2 of 3 recordings are in .*store: make room and run the "
        r"same command again, which goes on from there",
        line,
    )
    with pytest.raises(ValueError, match="not finished: "):
        open_store(folder)
    assert [path.name for path in (folder / "shards").iterdir() if path.suffix != ".safetensors"] == []
    calls = []
    store = write_store(folder, of_rising_size(calls), CONFIG, provenance=PROVENANCE, progress=False)
    assert calls == [2]
    assert len(store) == 4 + 5 + 299


def no_eeg():
    raise NoEeg("walk.csv: only motion")


def test_what_holds_no_eeg_is_left_out_and_named(tmp_path):
    resting = Session("resting", lambda: (load(5)[0], []))
    short = Session("short", lambda: (replace(load(6)[0], data=np.zeros((4, 20), np.float32)), load(6)[1]))
    other = Session("other", lambda: (replace(load(7)[0], ch_names=("A", "B", "C", "D")), load(7)[1]))
    found = [*sessions(2), Session("walk", no_eeg), short, other, resting]
    store = write_store(tmp_path / "store", found, CONFIG, provenance=PROVENANCE, progress=False)
    assert len(store.trials()) == 8
    assert store.info["failed"]["walk"] == "walk.csv: only motion"
    assert store.info["failed"]["short"].startswith("a window of 0.5 s (0 to 0.5 s) is longer than the recording")
    assert "TP9" in store.info["failed"]["other"]
    assert store.info["finished"]
    again = [Session("walk", no_eeg), Session("walk-2", no_eeg)]
    with pytest.raises(ValueError, match=r"no trial is left of 2 recordings: walk.csv: only motion$"):
        write_store(tmp_path / "none", again, CONFIG, provenance=PROVENANCE, progress=False)
    assert not (tmp_path / "none").exists()


def test_a_file_of_the_same_name_and_size_is_another_recording(tmp_path):
    for folder, byte in (("one", b"x"), ("two", b"y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "raw.bin").write_bytes(byte * 100)
    made = [
        [Session("raw.bin", partial(load, 0), identity={"bytes": 100}, sources=(tmp_path / one / "raw.bin",))]
        for one in ("one", "two")
    ]
    write_store(tmp_path / "store", made[0], CONFIG, provenance=PROVENANCE, progress=False)
    with pytest.raises(ValueError, match=r"holds recording 'raw.bin' made from a file of other content than .*two"):
        write_store(tmp_path / "store", made[1], CONFIG, provenance=PROVENANCE, progress=False)


def test_a_store_that_another_process_writes_is_left_alone(tmp_path):
    make(tmp_path / "store", 1)
    with held(tmp_path / "store", LOCK), pytest.raises(ValueError, match=r"store is in use: another process"):
        make(tmp_path / "store", 2)
    assert len(make(tmp_path / "store", 2).info["sessions"]) == 2
    assert not any(path.name.startswith(".") for path in (tmp_path / "store").iterdir())


def test_another_preprocessing_is_an_error(tmp_path):
    make(tmp_path / "store")
    with pytest.raises(ValueError, match=r"other preprocessing \(h_freq: None there, 30.0 now\)"):
        make(tmp_path / "store", config=replace(CONFIG, h_freq=30.0))


def test_another_data_set_is_an_error(tmp_path):
    make(tmp_path / "store")
    with pytest.raises(ValueError, match="other data set or options"):
        make(tmp_path / "store", provenance={"dataset": "another"})


def test_a_recording_made_otherwise_is_an_error(tmp_path):
    make(tmp_path / "store", identity={"bytes": 1})
    with pytest.raises(ValueError, match="run-0"):
        make(tmp_path / "store", identity={"bytes": 2})


def test_without_resume_a_store_is_left_alone(tmp_path):
    make(tmp_path / "store")
    with pytest.raises(ValueError, match="already"):
        make(tmp_path / "store", resume=False)


def bad(message="nothing but noise"):
    raise ValueError(message)


def test_bad_input_writes_nothing(tmp_path):
    found = [*sessions(2), Session("bad", bad)]
    with pytest.raises(ValueError, match="nothing but noise"):
        write_store(tmp_path / "store", found, CONFIG, provenance=PROVENANCE, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_leaves_an_old_store_as_it_was(tmp_path):
    make(tmp_path / "store", 2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    found = [*sessions(3), Session("bad", bad)]
    with pytest.raises(ValueError, match="nothing but noise"):
        write_store(tmp_path / "store", found, CONFIG, provenance=PROVENANCE, progress=False)
    after = {path.name: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert after == before


def test_bad_recordings_can_be_skipped_and_are_listed(tmp_path):
    found = [*sessions(1), Session("bad", bad)]
    store = write_store(tmp_path / "store", found, CONFIG, provenance=PROVENANCE, progress=False, skip_bad=True)
    assert store.info["failed"] == {"bad": "nothing but noise"}
    assert len(store) == 4


def test_no_trial_left_is_an_error_that_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"no trial is left of 3 recordings: 1[25] x amplitude"):
        make(tmp_path / "store", config=replace(CONFIG, reject_uv=0.001))
    assert list(tmp_path.iterdir()) == []


def test_a_store_needs_no_pickle_and_no_absolute_path(tmp_path):
    make(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "moved")
    assert len(open_store(tmp_path / "moved").trials().eeg[:]) == 12


@pytest.mark.parametrize("key", ["", "a/b", "../up", ".hidden", "blank space"])
def test_keys_are_file_names(tmp_path, key):
    with pytest.raises(ValueError, match="keys"):
        write_store(tmp_path / "s", [Session(key, partial(load, 0))], CONFIG, provenance=PROVENANCE, progress=False)


def test_a_folder_without_a_store_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"prepare\.py"):
        open_store(tmp_path)


def test_a_newer_store_is_an_error(tmp_path):
    make(tmp_path / "store")
    path = tmp_path / "store" / "store.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 99', 1))
    with pytest.raises(ValueError, match="newer"):
        open_store(tmp_path / "store")


@pytest.mark.parametrize("damage", ["cut", "text", "header", "gone"])
def test_a_damaged_shard_is_an_error_that_names_it(tmp_path, damage):
    store = make(tmp_path / "store")
    path = tmp_path / "store" / "shards" / "run-0.safetensors"
    content = path.read_bytes()
    broken = {"cut": content[:-100], "text": b"hello", "header": b"\xff" * 8 + content[8:]}
    path.write_bytes(broken[damage]) if damage != "gone" else path.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=r"run-0\.safetensors"):
        store.trials().eeg[0]
