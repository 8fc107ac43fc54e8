"""prepare.py: one command from recordings to a trial store, one readable line where that cannot be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer import console
from trainer.datasets import DATASETS
from trainer.datasets.phantom import PhantomOptions
from trainer.prepare import main, parse, prepare, summary
from trainer.store.store import open_store

ROOT = Path(__file__).resolve().parent.parent
SMALL = PhantomOptions(montage="muse-4", train_scenes=5, val_scenes=2, test_scenes=2, scenes_per_run=30)
FLAGS = [
    "--montage",
    "muse-4",
    "--train-scenes",
    "5",
    "--val-scenes",
    "2",
    "--test-scenes",
    "2",
    "--scenes-per-run",
    "30",
]


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_a_command_with_its_options(name):
    chosen, store, options = parse([name, "--out", "somewhere"])
    assert chosen == name
    assert store.out == Path("somewhere")
    assert options == DATASETS[name].options()


def test_flags_reach_the_options():
    _, store, options = parse(["phantom", "--out", "a", "--jobs", "2", *FLAGS])
    assert store.jobs == 2
    assert options == SMALL
    _, _, options = parse(["recordings", "--out", "a", "--events", "face", "house", "--h-freq", "None"])
    assert options.events == ("face", "house")
    assert options.h_freq is None


def test_the_phantom_is_prepared_and_summed_up(tmp_path):
    store = prepare("phantom", None, tmp_path / "store", SMALL, progress=False)
    trials = store.trials()
    assert len(trials) == 5 * 4 + 2 * 8 + 2 * 8
    assert set(trials.split.tolist()) == {"train", "val", "test"}
    assert store.config.n_times == trials.eeg.shape[2]
    text = summary(store)
    assert "recordings  2" in text
    assert "52 kept, 0 rejected" in text
    assert "not brain data" in text


def test_a_subject_of_n170_is_prepared_with_reasons(shared_data, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for path in sorted((shared_data / "n170_muse").glob("subject1_*"))[:2]:
        (source / path.name).symlink_to(path)
    store = prepare("n170", source, tmp_path / "store", progress=False)
    trials = store.trials()
    assert trials.labels == ("house", "face")
    assert 300 < len(trials) < 420
    whole = np.asarray(trials.eeg)
    assert 1e6 * np.ptp(whole, axis=2).max() <= store.config.reject_uv
    assert list(store.rejected()) == ["amplitude # uV over # uV"]
    assert "BSD" in store.info["provenance"]["licence"]
    assert all(len(source["sha256"]) == 64 for entry in store.info["sessions"].values() for source in entry["sources"])


def test_the_command_works_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "trainer" / "prepare.py"), "phantom", "--out", "store", *FLAGS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "52 kept" in done.stdout
    assert len(open_store(tmp_path / "store")) == 52


@pytest.mark.parametrize("case", ["unknown", "no source", "absent", "text as edf", "empty", "wrong option", "mixed"])
def test_bad_input_is_one_line_and_writes_nothing(case, tmp_path, monkeypatch, capsys):
    source = tmp_path / "source"
    source.mkdir()
    out = tmp_path / "store"
    arguments = {
        "unknown": ["thing-eeg", "--out", out],
        "no source": ["n170", "--out", out],
        "absent": ["n170", "--out", out, "--source", tmp_path / "nowhere"],
        "text as edf": ["recordings", "--out", out, "--source", source],
        "empty": ["n170", "--out", out, "--source", source],
        "wrong option": ["phantom", "--out", out, "--montage", "none-9"],
        "mixed": ["n170", "--out", out, "--source", source],
    }[case]
    if case == "text as edf":
        (source / "a.edf").write_text("this is no EDF file\n" * 50)
    if case == "empty":
        (source / "subject1_session1_a.csv").write_bytes(b"")
    if case == "mixed":
        from tests.test_datasets import write_muse

        write_muse(source / "subject1_session1_a.csv")
        (source / "subject1_session1_b.csv").write_text("timestamps,TP9\nnot,numbers\n")
    monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        console.run(main)
    assert left.value.code == 2
    printed = capsys.readouterr().err
    # a progress bar ends in a carriage return's line; what is left is the error
    lines = [line for line in printed.splitlines() if line.strip() and not line.startswith("recordings:")]
    assert len(lines) == 1, printed
    assert lines[0].startswith("error: ")
    assert not out.exists()
    if case == "unknown":
        assert all(name in lines[0] for name in DATASETS)


def test_the_console_turns_errors_into_a_line(capsys):
    def wrong():
        raise ValueError("first line\n  second line")

    with pytest.raises(SystemExit) as left:
        console.run(wrong)
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: first line second line\n"


def test_the_console_lets_programming_errors_through():
    with pytest.raises(ZeroDivisionError):
        console.run(lambda: print(1 / 0))


def test_a_missing_file_is_named(capsys, tmp_path):
    with pytest.raises(SystemExit):
        console.run(lambda: (tmp_path / "absent").read_text())
    assert "absent: No such file" in capsys.readouterr().err
