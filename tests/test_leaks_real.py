"""Leak checks on real recordings: honest sets pass, markers that nothing is locked to and neighbours in time do not."""

import gzip

import numpy as np
import pytest

from core.leaks.leak_input import LeakInput
from core.leaks.registry import run_checks
from core.preprocessing.trials import build_trials
from trainer.datasets.recordings import RecordingsOptions
from trainer.evaluation.leaks.store_checks import store_checks
from trainer.prepare import prepare

FACES = ("1=house", "2=face")
FLICKER = ("1=30 Hz", "2=20 Hz")


def failed(source, out, **options):
    chosen = RecordingsOptions(l_freq=1.0, h_freq=30.0, **options)
    checks = store_checks(prepare("recordings", source, out, chosen, progress=False))
    return [check.name for check in checks if check.passed is False]


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("n170_muse", {"events": FACES, "files": ("subject1_*15.3*",)}),
        ("ssvep_muse", {"events": FLICKER, "files": ("subject1_*",), "tmin": 0.0, "tmax": 2.5}),
        ("left_right_muse", {"events": ("1=left", "2=right"), "files": ("*18.4*", "*18.5*")}),
        ("gratings_muse", {"events": ("Marker0@1=low", "Marker0@2=high")}),
    ],
)
def test_an_honest_set_raises_no_alarm(shared_data, tmp_path, folder, options):
    assert failed(shared_data / folder, tmp_path / "store", **options) == []


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("broken_markers", {"events": ("1=a", "2=b"), "files": ("cueing*",)}),
        ("ssvep_muse", {"events": FLICKER, "files": ("subject4_*",), "tmin": 0.0, "tmax": 2.5}),
    ],
)
def test_markers_that_nothing_is_locked_to_are_named(shared_data, tmp_path, folder, options):
    assert "markers locked to the EEG" in failed(shared_data / folder, tmp_path / "store", **options)


def test_a_file_in_two_sessions_is_named(shared_data, tmp_path):
    source = tmp_path / "mine"
    files = sorted((shared_data / "n170_muse").glob("subject2_*"))
    for session, file in (("ses-1", files[0]), ("ses-2", files[0]), ("ses-2", files[1])):
        (source / session).mkdir(parents=True, exist_ok=True)
        (source / session / file.name.replace("recording", session)).write_bytes(file.read_bytes())
    assert "same recording twice" in failed(source, tmp_path / "store", events=FACES)


def test_stretches_of_open_and_closed_eyes_are_told_by_time(shared_data):
    text = gzip.decompress((shared_data / "eeg_formats" / "emotiv" / "EEG_Eye_State.arff.gz").read_bytes()).decode()
    values = np.array([line.split(",") for line in text.partition("@DATA")[2].split()], dtype=float)
    n = len(values) // 64
    eeg = values[: n * 64, :14].reshape(n, 64, 14).transpose(0, 2, 1) * 1e-6
    closed = values[: n * 64, 14].reshape(n, 64).mean(axis=1) > 0.5
    rows = [{"label": "closed" if one else "open", "onset": i / 2, "image_id": str(i)} for i, one in enumerate(closed)]
    test = np.random.default_rng(0).random(n) < 0.2
    given = LeakInput(build_trials(eeg.astype(np.float32), rows), {"train": ~test, "test": test}, sfreq=128.0)
    assert "class against time" in [check.name for check in run_checks(given) if check.passed is False]
