"""The quality report of a person's own recordings: its first line says whether the labels leak."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.leaks.evidence.windows_before import seconds_before, windows_before
from core.recording import Recording
from tests.recording_folders import SFREQ, random_labels, recording, write_runs
from trainer import console
from trainer.datasets.recordings import RecordingsOptions
from trainer.prepare import main, prepare, quality
from trainer.quality.decodability import decode_labels
from trainer.quality.line_noise import excerpt, line_noise
from trainer.quality.quality_text import rate_text


def measured(source: Path, out: Path, **options) -> tuple[str, dict]:
    """Prepare a folder and return the report's text and quality.json."""
    chosen = RecordingsOptions(l_freq=1.0, h_freq=30.0, **options)
    store = prepare("recordings", source, out, chosen, progress=False)
    text = quality("recordings", source, store, chosen)
    assert text is not None
    return text, json.loads((out / "quality.json").read_text())


# the report


def test_the_first_line_says_that_labels_can_be_decoded_and_do_not_leak(tmp_path, monkeypatch, capsys):
    source = write_runs(tmp_path / "mine", mains_uv=20.0, response_uv=7.0)
    (source / "notes.txt").write_text("nothing here\n")
    arguments = ["recordings", "--source", source, "--events", "a=house", "b=face", "--out", tmp_path / "store"]
    monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, arguments)])
    console.run(main)
    printed = capsys.readouterr().out.splitlines()
    report = json.loads((tmp_path / "store" / "quality.json").read_text())
    assert printed[0] == report["verdict"]
    assert printed[0].startswith("Leak checks: 0 failed")
    assert "the labels can be decoded" in printed[0]
    assert report["after"]["value"] > 0.75 > 0.65 > report["before"]["value"]
    assert report["after"]["interval"][0] < report["after"]["value"] < report["after"]["interval"][1]
    assert report["after"]["p_value"] <= 0.01 < report["before"]["p_value"]
    assert set(report["trials"]["labels"]) == {"house", "face"}
    text = "\n".join(printed)
    for said in ("4 kept: TP9, AF7, AF8, TP10", "50 Hz", "STRONG", "128 Hz", "notes.txt: not recognised", "75 uV"):
        assert said in text, said


def test_an_answer_before_the_picture_is_called_a_leak_in_the_first_line(tmp_path):
    text, report = measured(write_runs(tmp_path / "mine", response_s=-0.5), tmp_path / "store")
    assert text.splitlines()[0].startswith("LEAK CHECKS: 2 failed (before the picture; markers locked to the EEG)")
    assert report["before"]["p_value"] <= 0.01


def test_labels_that_nothing_answers_are_called_undecodable(tmp_path):
    text, _ = measured(write_runs(tmp_path / "mine", response_s=None), tmp_path / "store")
    assert "THE LABELS CANNOT BE TOLD APART" in text.splitlines()[0]


def test_a_run_for_each_label_is_called_a_block_design(tmp_path):
    (tmp_path / "mine").mkdir()
    for run, label in enumerate("abab"):
        save_recording(recording([label] * 20, seed=run), tmp_path / "mine" / f"run{run}.safetensors")
    # neither run has both events: each item means something in the folder
    text, report = measured(tmp_path / "mine", tmp_path / "store", events=("a", "b"))
    assert text.splitlines()[0].startswith("LEAK CHECKS: ")
    assert "class against recording block" in text.splitlines()[0]
    assert report["after"]["value"] is None
    assert "one label only" in report["after"]["note"]


def test_labels_shown_in_long_rows_are_called_a_leak(tmp_path):
    save_recording(recording(["a"] * 20 + ["b"] * 20), tmp_path / "one.safetensors")
    text, _ = measured(tmp_path, tmp_path / "store")
    assert text.startswith("LEAK")
    assert "class against time" in text.splitlines()[0]


def test_rejected_trials_and_dropped_channels_are_told_with_their_reasons(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=2)
    blink = recording(random_labels(seed=9), seed=9)
    blink.data[0, round(blink.events[5].onset * SFREQ)] += 4e-4
    save_recording(blink, source / "run3.safetensors")
    text, report = measured(source, tmp_path / "store", reject_uv=150.0, to_montage="muse-4")
    assert report["trials"]["rejected"] == {"amplitude # uV over # uV": 1}
    assert "rejected  1 x amplitude # uV over # uV" in text
    assert "over_uv" not in report["trials"]


def test_a_channel_that_a_recording_lacks_is_told_as_interpolated(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=1)
    whole = recording(random_labels(seed=4), seed=4)
    save_recording(whole.pick(["TP9", "AF7", "TP10"]), source / "run2.safetensors")
    text, _ = measured(source, tmp_path / "store")
    assert "rebuilt  AF8 (in 1 of 2)" in text


def test_simulated_recordings_are_named_in_the_first_line(tmp_path):
    made = recording(random_labels())
    made.source["notes"] = ["phantom: simulated, not brain data"]
    save_recording(made, tmp_path / "run.safetensors")
    assert measured(tmp_path, tmp_path / "store")[0].startswith("Phantom, simulated EEG. ")


def test_faces_and_houses_on_a_muse_are_decodable_after_the_picture_only(shared_data, tmp_path):
    source = shared_data / "n170_muse"
    options = {"events": ("1=house", "2=face"), "files": ("subject1_*15.3*",)}
    text, report = measured(source, tmp_path / "store", **options)
    assert text.startswith("Leak checks: 0 failed")
    assert report["after"]["value"] > 0.66
    assert report["after"]["p_value"] <= 0.001
    assert abs(report["before"]["value"] - 0.5) < 0.06
    assert len(report["recordings"]) == 3
    for one in report["recordings"].values():
        assert 255.9 < one["timing"]["measured_hz"] < 256.1
        assert one["line_noise"]["60"]["median_db"] > one["line_noise"]["50"]["median_db"] + 3


def test_an_answer_that_always_follows_its_picture_leaks_into_the_time_before_it(shared_data, tmp_path):
    options = {"events": ("square", "rt"), "files": ("*.set",)}
    text, report = measured(shared_data / "eeg_formats" / "eeglab", tmp_path / "store", **options)
    assert "before the picture" in text.splitlines()[0]
    assert report["before"]["value"] > 0.7


# the parts of the report


def test_nothing_from_after_the_onset_is_in_the_window_before_it():
    rng = np.random.default_rng(0)
    data = 1e-5 * rng.standard_normal((4, 2000))
    changed = data.copy()
    onset = 5.003
    changed[:, int(np.ceil(onset * SFREQ)) :] = 1e-3
    config = preprocessing_of(recording(["a"]))
    both = [
        windows_before(Recording(one, SFREQ, ("TP9", "AF7", "AF8", "TP10")), np.array([onset]), config, 0.8, 128.0)
        for one in (data, changed)
    ]
    assert both[0].shape == (1, 4, 102)
    assert np.array_equal(*both)
    assert both[0].std() > 1e-6


def preprocessing_of(one: Recording):
    from core.preprocessing.config import PreprocessingConfig

    return PreprocessingConfig(ch_names=one.ch_names, sfreq=one.sfreq, tmin=0.0, tmax=0.8, l_freq=1.0, h_freq=30.0)


def test_windows_before_do_not_reach_over_a_gap():
    one = Recording(np.ones((4, 1000)), 100.0, ("TP9", "AF7", "AF8", "TP10"), segments=(0, 500))
    assert np.allclose(seconds_before(one, np.array([2.0, 5.0, 5.3])), [2.0, 0.0, 0.3])
    cut = windows_before(one, np.array([2.0, 5.3, 9.0]), preprocessing_of(one), 0.5, 100.0)
    assert np.isfinite(cut).all(axis=(1, 2)).tolist() == [True, False, True]


@pytest.mark.parametrize(("amplitude_uv", "least", "most"), [(0.0, -2.0, 2.0), (20.0, 15.0, 40.0)])
def test_line_noise_is_the_mains_over_their_neighbours(amplitude_uv, least, most):
    found = line_noise(recording(["a"] * 20, mains_uv=amplitude_uv))
    assert least < found["50"]["median_db"] < most
    assert found["60"] is None or abs(found["60"]["median_db"]) < 2


def test_a_falling_spectrum_is_no_line_noise():
    rng = np.random.default_rng(0)
    brown = np.cumsum(rng.standard_normal((3, 60_000)), axis=1) * 1e-6
    found = line_noise(Recording(brown, 1000.0, ("Cz", "Pz", "Oz")))
    assert abs(found["50"]["median_db"]) < 2
    assert abs(found["60"]["median_db"]) < 2


def test_a_rate_that_does_not_hold_the_mains_says_so():
    slow = Recording(np.random.default_rng(0).standard_normal((2, 3000)), 50.0, ("Cz", "Pz"))
    assert line_noise(slow) == {"50": None, "60": None}


def test_an_excerpt_is_as_long_as_asked_and_made_of_whole_stretches():
    long = Recording(
        np.arange(100 * 3600, dtype=np.float32)[None] * np.ones((2, 1)), 100.0, ("Cz", "Pz"), segments=(0, 1000)
    )
    few = excerpt(long, 120.0)
    assert few.duration == pytest.approx(120.0, abs=13)
    for start, stop in few.spans:
        assert np.all(np.diff(few.data[0, start:stop]) == 1)
    assert few.data[0, -1] > 0.9 * long.data[0, -1]
    assert excerpt(few, 500.0) is few


def test_noise_decodes_at_chance_and_says_with_what_certainty():
    rng = np.random.default_rng(1)
    windows = rng.standard_normal((120, 4, 60)) * 1e-5
    label, run = np.arange(120) % 2, np.repeat([0, 1, 2], 40)
    found = decode_labels(windows, label, ("a", "b"), np.zeros(120), run, np.arange(120.0), 0.5)
    assert found.value is not None
    assert found.interval is not None
    assert found.p_value is not None
    assert 0.35 < found.value < 0.65
    assert found.p_value > 0.01
    assert found.interval[0] < 0.5 < found.interval[1]
    assert list(found.each) == ["0", "1", "2"]
    assert found.n_trials == 120


def test_the_area_is_that_of_the_curve():
    from core.scoring.scores import mean_ranks, roc_auc
    from trainer.quality.decodability import _auc

    rng = np.random.default_rng(3)
    score, truth = np.round(rng.standard_normal(60), 1), rng.integers(0, 2, 60)
    both = score[:, None] * np.array([-1.0, 1.0])
    assert _auc(mean_ranks(both), truth) == pytest.approx(roc_auc(score, truth))


def test_too_little_is_not_measured_and_says_what_it_takes():
    few = decode_labels(np.zeros((4, 2, 30)), np.array([0, 1, 0, 1]), ("a", "b"), *([np.zeros(4)] * 3), 0.5)
    assert few.value is None
    assert "it takes 20 trials" in few.text()


def test_three_labels_are_each_told_against_the_rest():
    rng = np.random.default_rng(2)
    label = np.arange(90) % 3
    windows = rng.standard_normal((90, 4, 60)) * 1e-5
    windows[label == 2, :, 20:30] += 3e-5
    found = decode_labels(windows, label, tuple("abc"), np.zeros(90), np.repeat([0, 1], 45), np.arange(90.0), 0.5)
    assert found.value is not None
    assert 0.6 < found.value < 0.95


def test_the_rate_is_told_with_what_arrived_and_what_was_lost():
    timing = {
        "stated_hz": 256.0,
        "stated_by": "declared",
        "measured_hz": 256.02,
        "effective_hz": 250.0,
        "drift_ppm": 78,
    }
    told = rate_text({**timing, "gaps": 2, "gap_s": 1.5, "lost_samples": 384})
    assert told == (
        "256 Hz declared, 256.020 Hz measured (+78 ppm), 250.000 Hz effective, gaps counted, 2 gaps of 1.5 s in all, "
        "384 samples lost"
    )
    assert "no timestamps" in rate_text({"stated_hz": 128.0, "stated_by": "declared"})
