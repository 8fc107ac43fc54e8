"""Fewer channels, shorter windows, fewer repeats; a training that holds no test rows; who opened the test split."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.model.checkpoint import load_encoder
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from tests.small_trials import CONFIG, FOUR_CLASSES, class_trials
from trainer.config.options import train_options
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.prepare import prepare
from trainer.store.narrowed import as_read, narrowed
from trainer.store.openings import FILE, earlier_openings, note_opening, opened_before
from trainer.targets.target import Target
from trainer.train import train
from trainer.training import fit
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_trials, trials_at_use, without_test


def test_channels_and_times_are_those_of_the_whole_windows():
    trials = class_trials()
    found, config = narrowed(trials, CONFIG, "P8,O1", (0.125, 0.375))
    wanted = trials.eeg[:, [3, 0], 8:24]
    assert config.ch_names == ("P8", "O1")
    assert (config.tmin, config.tmax, config.n_times) == (0.125, 0.375, 16)
    assert found.eeg.shape == wanted.shape
    np.testing.assert_array_equal(np.asarray(found.eeg), wanted)
    np.testing.assert_array_equal(found.eeg[5], wanted[5])
    np.testing.assert_array_equal(found.eeg[[1, 3], 0], wanted[[1, 3], 0])
    np.testing.assert_array_equal(found.eeg[np.arange(len(trials)) > 60], wanted[61:])
    np.testing.assert_array_equal(np.asarray(found.unread(np.array([4, 2])).eeg), wanted[[4, 2]])
    np.testing.assert_array_equal(np.asarray(as_read(trials, CONFIG, config).eeg), wanted)
    assert narrowed(trials, CONFIG)[0] is trials


@pytest.mark.parametrize(("people", "wanted"), [(("a",), "things-17"), (("a", "b"), "things-63")])
def test_auto_takes_the_back_of_the_head_within_a_person_and_all_of_it_across(people, wanted):
    config = PreprocessingConfig(MONTAGES["things-63"], 100.0, 0.0, 0.5)
    trials = class_trials(2, 3, 1)
    trials = replace(
        trials, eeg=np.zeros((len(trials), 63, 50), np.float32), subject=np.resize(np.array(people), len(trials))
    )
    assert narrowed(trials, config, "auto")[1].ch_names == MONTAGES[wanted]
    for layout in ("epoc-14", "muse-4"):
        assert narrowed(trials, config, layout)[1].ch_names == MONTAGES[layout]
    assert narrowed(class_trials(), CONFIG, "auto")[1] == CONFIG


@pytest.mark.parametrize(
    ("more", "channels", "window", "told"),
    [
        ({}, "Fz", None, "no channel 'Fz'.*It takes all, auto, a layout"),
        ({}, "muse-4", None, "--channels muse-4: no channel 'TP9'"),
        ({}, "all", (0.2, 0.6), r"--window 0\.2 0\.6 is not inside the store's 0 to 0\.5 s"),
        ({"reference": "average"}, "O1", None, "reference .average. needs channels that would be left out"),
        ({"baseline": (0.0, 0.1)}, "all", (0.2, 0.4), "leaves out the store's baseline"),
    ],
)
def test_what_the_store_does_not_have_is_refused_in_words(more, channels, window, told):
    with pytest.raises(ValueError, match=told):
        narrowed(class_trials(), replace(CONFIG, **more), channels, window)


def test_exactly_so_many_repeats_are_averaged():
    trials = class_trials(repeats=5)
    rows = np.flatnonzero(trials.split == "test")
    for k, n in ((1, 5), (2, 2), (4, 1), (5, 1)):
        found = trials_at_use(trials, rows, train_options(test_repeats=k).data)
        assert set(found.repeats.tolist()) == {k}
        assert len(found) == 4 * n
    with pytest.raises(ValueError, match="--test-repeats 6: no picture was shown to a person so often; the most is 5"):
        trials_at_use(trials, rows, train_options(test_repeats=6).data)


def test_what_trains_holds_no_test_window_label_or_target(monkeypatch):
    import torch

    trials = class_trials()
    names = np.unique(trials.image_id).tolist()
    targets = {"toy.image": Target(torch.randn(len(names), 6), tuple(names), (6,), "image_id")}
    options = train_options(space=("toy.image",), encoder="linear", set=("n_bins=4",), average="none", rank=4)
    parts = split_trials(trials, options)
    view, left, own = without_test(trials, parts, targets)
    tested = set(trials.image_id[parts["test"]])
    assert len(left["test"]) == 0
    assert len(view) == len(parts["train"]) + len(parts["val"])
    for name in ("train", "val"):
        np.testing.assert_array_equal(view.eeg[left[name]], trials.eeg[parts[name]])
    assert not tested & (set(view.image_id) | set(own["toy.image"].names))
    with pytest.raises(IndexError):
        view.eeg[parts["test"].max() + len(view)]
    seen = []
    monkeypatch.setattr(fit, "build_for", lambda trials, *rest: seen.append(trials) or build(trials, *rest))
    build = __import__("trainer.training.build", fromlist=["build_for"]).build_for
    fit_encoder(trials, parts, CONFIG, targets, options)
    assert seen
    assert not any(tested & set(given.image_id) for given in seen)


def test_openings_are_appended_and_the_next_look_is_told(tmp_path):
    assert opened_before(earlier_openings(tmp_path, "s"), "e") == ""
    note_opening(tmp_path, "s", "first", "e", "evaluate")
    note_opening(tmp_path, "other split", "first", "e", "evaluate")
    assert "once before" in opened_before(earlier_openings(tmp_path, "s"), "e")
    assert "always by this encoder" in opened_before(earlier_openings(tmp_path, "s"), "e")
    with open(tmp_path / FILE, "a") as file:
        file.write('{"cut off')
    for number in range(6):
        note_opening(tmp_path, "s", f"run {number}", str(number), "evaluate")
    told = opened_before(earlier_openings(tmp_path, "s"), "e")
    assert "7 times before" in told
    assert "by 6 other encoders (of run 0, run 1, run 2, run 3 and 2 more)" in told
    assert "could not be written" in note_opening(tmp_path / "gone", "s", "r", "e", "evaluate")


def test_a_narrow_encoder_says_what_it_reads_and_a_second_look_at_its_test_is_said_in_the_report(tmp_path, capsys):
    store = prepare("phantom", None, tmp_path / "store", FOUR_CLASSES, progress=False).folder
    options = train_options(
        data=store, out=tmp_path / "run", encoder="linear", space=("prompts",), set=("n_bins=4",), average="none",
        channels="occipital, P7, P8", window=(0.125, 0.5),
    )  # fmt: skip
    train(options)
    encoder = load_encoder(tmp_path / "run" / "encoder.safetensors")
    assert encoder.preprocessing.ch_names == ("O1", "O2", "P7", "P8")
    assert encoder.preprocessing.n_times == 48
    assert "trials of 4 channels x 48 samples at 128 Hz" in capsys.readouterr().out
    first = evaluate(EvaluateOptions(tmp_path / "run", pictures=False))
    assert first["scores"]
    assert not any("opened before" in section["title"] for section in first["sections"])
    again = evaluate(EvaluateOptions(tmp_path / "run", pictures=False))
    assert "opened once before" in again["sections"][0]["table"][""]
    assert [json.loads(line)["run"] for line in (store / FILE).read_text().splitlines()] == ["run", "run"]
    assert [row["value"] for row in first["scores"]] == [row["value"] for row in again["scores"]]
