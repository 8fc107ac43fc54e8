"""The controls tell a block, a person and slow drift from an answer to the picture."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.preprocessing.trials import build_trials
from trainer.controls import ControlOptions, controls, load_material, table
from trainer.datasets.cvpr40 import CLASS_NAMES, Cvpr40Options
from trainer.datasets.cvpr40_files import EEG_FILES, SPLIT_FILES
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluation.band_views import edges_within, filter_windows
from trainer.evaluation.plain_decoder import decode, features_of, features_of_trials, solve_shrunken
from trainer.prepare import prepare

SYNSETS = list(CLASS_NAMES)[:8]
PICTURES = 5  # a class


def cvpr40_set(folder, *, shared, drift, seed=0, bands=("5-95",)):
    """Write signals of three people: each class has a pattern that all people share (`shared` sd) and each block, one
    person's pictures of one class, a level of its own (`drift` sd, not in 55-95).
    """
    rng = np.random.default_rng(seed)
    pattern = rng.normal(size=(len(SYNSETS), 128, 1)) * np.hanning(480)
    images = [f"{synset}_{i}" for synset in SYNSETS for i in range(PICTURES)]
    plain = []
    for subject in (1, 2, 3):
        levels = rng.normal(size=(len(SYNSETS), 128, 1))
        for number in rng.permutation(len(images)):
            label = number // PICTURES
            noise = rng.normal(size=(128, 480))
            plain.append((noise + shared * pattern[label], drift * levels[label], int(number), int(label), subject))
    for band in bands:
        items = []
        for eeg, level, number, label, subject in plain:
            signal = eeg + level * (band != "55-95")
            eeg32 = torch.from_numpy(signal.astype(np.float32))
            items.append({"eeg": eeg32, "image": number, "label": label, "subject": subject})
        torch.save({"dataset": items, "labels": SYNSETS, "images": images}, folder / EEG_FILES[band])
    # a picture is in one part for everybody: two of each class are tested
    test = {number for number in range(len(images)) if number % PICTURES < 2}
    rows = {"val": [], "test": [i for i, one in enumerate(plain) if one[2] in test]}
    rows["train"] = [i for i, one in enumerate(plain) if one[2] not in test]
    torch.save({"splits": [rows]}, folder / SPLIT_FILES["all"])
    return folder


def store_of(folder, **how):
    source = folder / "source"
    source.mkdir()
    cvpr40_set(source, **how)
    return prepare("cvpr40", source, folder / "store", Cvpr40Options(), progress=False).folder


def found(rows):
    return {row["control"].strip(): row for row in rows}


@pytest.fixture(scope="module")
def drifting(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("drift"), shared=0.0, drift=1.0, bands=("5-95", "55-95"))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("seen"), shared=1.0, drift=0.0)


def test_what_blocks_alone_tell_scores_and_does_not_pass_to_another_person(drifting):
    rows = found(controls(ControlOptions(drifting, leave_one_subject_out=True)))
    assert rows["no control"]["accuracy"] > 0.9
    assert rows["leave one subject out"]["accuracy"] < 0.4
    assert rows["subject-2"]["trials"] == 16
    assert rows["subject-2"]["chance"] == 1 / 8
    assert rows["subject-2"]["note"].startswith("fitted to the others; blocks count as one")


def test_what_people_share_passes_to_another_person(seeing):
    rows = found(controls(ControlOptions(seeing, leave_one_subject_out=True)))
    assert rows["leave one subject out"]["accuracy"] > 0.9
    assert min(rows[f"subject-{i}"]["accuracy"] for i in (1, 2, 3)) > 0.8


def test_wrong_names_of_blocks_are_learnt_as_well_as_true_ones_where_blocks_are_decoded(drifting, seeing):
    name = "blocks given one another's labels"
    assert found(controls(ControlOptions(drifting, block_permuted=True)))[name]["accuracy"] > 0.9
    assert found(controls(ControlOptions(seeing, block_permuted=True)))[name]["accuracy"] < 0.5


def test_labels_shuffled_inside_blocks_keep_what_the_block_tells(drifting):
    rows = found(controls(ControlOptions(drifting, block_permuted=True)))
    assert rows["labels shuffled inside blocks"]["accuracy"] == rows["no control"]["accuracy"]


def test_bands_come_from_the_published_files_and_a_missing_one_is_named(drifting):
    rows = found(controls(ControlOptions(drifting, bands=True)))
    assert rows["band 5-95 Hz"]["accuracy"] == rows["no control"]["accuracy"]
    assert rows["band 5-95 Hz"]["note"].startswith("eeg_5_95_std.pth; 24 blocks shuffled and drawn as wholes")
    assert rows["band 55-95 Hz"]["accuracy"] < 0.5
    assert rows["band raw"]["accuracy"] is None
    assert "no eeg_signals_raw_with_mean_std.pth in" in rows["band raw"]["note"]


def test_a_block_designs_report_begins_with_the_leak(drifting, tmp_path):
    from trainer.config.options import train_options
    from trainer.evaluate import EvaluateOptions, evaluate
    from trainer.train import train

    run = tmp_path / "run"
    train(
        train_options(data=drifting, out=run, encoder="linear", set=("n_bins=4",), space=("prompts",), average="none")
    )
    report = evaluate(EvaluateOptions(run, pictures=False))
    assert report["scores"][0]["value"] > 0.8
    html = (run / "report.html").read_text(encoding="utf-8")
    first = html.partition("<strong>")[2]
    named = "class against recording block; class against recording; implausibly large class difference"
    assert first.startswith(f"LEAK CHECKS: 3 failed ({named}), ")
    assert "could not be checked: the score is a leak, not vision." in first.partition("</strong>")[0]
    told = "Class = recording block: every recording block holds one class only (97.5% right"
    assert told in html.partition("</ul>")[0]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    options = PhantomOptions(
        montage="muse-4", snr=0.0, classes=8, design="blocks", drift_uv=60.0, l_freq=0.0,
        train_repeats=1, val_repeats=1, test_repeats=2,
    )  # fmt: skip
    return prepare("phantom", None, folder / "store", options, progress=False).folder


def test_a_high_pass_takes_the_planted_drift_away(leaking):
    rows = found(controls(ControlOptions(leaking, bands=True)))
    assert rows["band raw"]["interval"][0] > 0.5
    assert rows["band raw"]["note"].startswith("unfiltered; 8 blocks shuffled and drawn as wholes")
    assert rows["band 5-95 Hz"]["accuracy"] < rows["band raw"]["accuracy"] - 0.2
    assert "the sampling rate of 128 Hz leaves no more" in rows["band 5-95 Hz"]["note"]
    assert rows["band 55-95 Hz"]["accuracy"] is None
    assert rows["band 55-95 Hz"]["note"].startswith("impossible here: 55 to 95 Hz")


def test_labels_shuffled_inside_blocks_of_many_classes_leave_nothing_of_what_was_seen(tmp_path):
    options = PhantomOptions(snr=3.0, classes=4, train_repeats=2, val_repeats=0, test_repeats=4, scenes_per_run=60)
    store = prepare("phantom", None, tmp_path / "store", options, progress=False)
    rows = found(controls(ControlOptions(store.folder, block_permuted=True)))
    assert rows["no control"]["accuracy"] > 0.9
    assert rows["labels shuffled inside blocks"]["accuracy"] < 0.5
    assert "blocks given one another's labels" not in rows


def test_one_person_cannot_be_left_out(leaking):
    rows = found(controls(ControlOptions(leaking, leave_one_subject_out=True)))
    assert rows["leave one subject out"]["note"] == "impossible here: the store has one person (phantom-0)"


def test_every_row_has_its_chance_interval_and_count(leaking):
    rows = controls(ControlOptions(leaking, block_permuted=True))
    for row in rows:
        assert row["chance"] == 1 / 8
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
        assert row["trials"] > 0
        assert 0 < row["p"] <= 1
    assert all(row["control"] in table(rows) for row in rows)


def test_controls_stand_in_the_runs_report_once(leaking, tmp_path):
    from trainer.config.options import train_options
    from trainer.evaluate import EvaluateOptions, evaluate
    from trainer.train import train

    run = tmp_path / "run"
    train(train_options(data=leaking, out=run, encoder="linear", set=("n_bins=8",), space=("prompts",), average="none"))
    evaluate(EvaluateOptions(run, pictures=False))
    before = (run / "report.html").read_text(encoding="utf-8")
    for _ in range(2):
        controls(ControlOptions(run, block_permuted=True))
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"].endswith("the score is a leak, not vision.")
    (section,) = [section for section in report["sections"] if section["title"] == "Controls"]
    assert section["table"][0]["control"] == "no control"
    html = (run / "report.html").read_text(encoding="utf-8")
    assert html.count("<h2>Controls</h2>") == 1
    assert html.count("labels shuffled inside blocks") == 1
    assert html.index("<h2>Scores") < html.index("<h2>Controls") < html.index('<section class="provenance">')
    start, end = html.index("<!-- added: Controls -->"), html.index("<!-- end: Controls -->")
    assert html[:start] + html[end:].partition("\n")[2] == before


def test_classes_that_were_never_trained_on_are_refused(tmp_path):
    options = PhantomOptions(montage="muse-4", train_scenes=20, val_scenes=0, test_scenes=10, scenes_per_run=60)
    store = prepare("phantom", None, tmp_path / "store", options, progress=False)
    with pytest.raises(ValueError, match="none of the test classes was trained on"):
        load_material(ControlOptions(store.folder))


def test_a_band_is_cut_to_what_the_data_hold():
    assert edges_within((5, 95), 1000, None) == (5, 95, "")
    assert edges_within((14, 70), 256, 40.0)[:2] == (14, 40)
    with pytest.raises(ValueError, match="impossible here: 55 to 95 Hz lies above what the low-pass at 40 Hz leaves"):
        edges_within((55, 95), 256, 40.0)


def test_windows_are_filtered_each_by_itself(leaking):
    from trainer.store.store import open_store

    config = replace(open_store(leaking).config, tmin=0.0, tmax=0.75, l_freq=5.0, h_freq=40.0)
    windows = np.random.default_rng(0).normal(size=(5, 4, 96)).astype(np.float32) * 1e-5
    whole = filter_windows(windows, config)
    np.testing.assert_array_equal(whole[3:4], filter_windows(windows[3:4], config))
    assert abs(whole.mean()) < 0.02 * np.abs(windows).mean()


def test_the_plain_decoder_sees_levels_and_rhythms():
    rng = np.random.default_rng(0)
    label = np.arange(200) % 4
    windows = rng.normal(size=(200, 3, 128)) * 1e-5
    windows[label == 1, 0] += 1e-5  # a level
    windows[label == 2, 1] += 2e-5 * np.sin(2 * np.pi * 0.4 * np.arange(128))  # a rhythm far above the bins' rate
    windows[label == 3, 2, 40:60] += 2e-5  # a response
    features = features_of(windows.astype(np.float32))
    scored = decode(features, label, np.arange(100), np.arange(100, 200))
    assert (scored.labels == label[100:]).mean() > 0.95


@pytest.mark.parametrize(("n", "d"), [(60, 20), (20, 60)])
def test_the_shrunken_covariance_is_ledoit_and_wolfs(n, d):
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    rows -= rows.mean(axis=0)
    wanted = rng.normal(size=(d, 3))
    expected = np.linalg.solve(covariance.ledoit_wolf(rows, assume_centered=True)[0], wanted)
    np.testing.assert_allclose(solve_shrunken(rows, wanted), expected, rtol=1e-3)


def test_plain_classes_are_numbers_of_the_trials_labels():
    rng = np.random.default_rng(0)
    rows = [{"label": "xyz"[i % 3], "onset": i} for i in range(90)]
    eeg = rng.normal(size=(90, 2, 32)).astype(np.float32) * 1e-6
    eeg += 1e-5 * (np.arange(90) % 3)[:, None, None].astype(np.float32)
    trials = build_trials(eeg, rows, labels=("a", "x", "y", "z"))
    guessed = decode(features_of_trials(trials), trials.label, np.arange(60), np.arange(60, 90)).labels
    np.testing.assert_array_equal(guessed, trials.label[60:])
