"""The commands that loop over protocols: what is there is found under each of them, and nothing where nothing is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.scoring import permutations
from tests.people_store import people_store
from tests.train_options import made
from trainer import controls as controls_module
from trainer import cross_validate
from trainer.config.presets import preset_named
from trainer.controls import ControlOptions, controls
from trainer.cross_validate import auc_figures, cross_validated_figures, left_out_scores
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.evaluation import decoding_scores
from trainer.protocols.registry import PROTOCOLS
from trainer.train import train

FOLDS = {"leave-one-run-out": 8, "leave-one-subject-out": 2, "cross-session": 4, "k-fold-by-picture": 5}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Enough for a p below 0.01; how many there are is no part of what is tested."""
    for module in (cross_validate, controls_module, decoding_scores):
        monkeypatch.setattr(module, "PERMUTATIONS", 200)
    monkeypatch.setattr(permutations, "FEWEST_REFITS", 4)
    monkeypatch.setattr(permutations, "FEWEST_LINKED", 4)
    monkeypatch.setattr(permutations, "MOST_REFITS", 6)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return people_store(tmp_path_factory.mktemp("people") / "store")


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    return people_store(tmp_path_factory.mktemp("silent") / "store", response_uv=0.0, seed=7)


@pytest.mark.parametrize("protocol", sorted(FOLDS))
def test_what_is_there_is_found_in_every_fold(store, protocol):
    figures = cross_validated_figures(store, preset_named("n170"), protocol=protocol)
    assert len(figures["auc_runs"]) == FOLDS[protocol]
    assert min(figures["auc_runs"]) > 0.7
    assert figures["p_value"] < 0.01
    assert figures["n_trials"] == 8 * 24
    assert 0.4 < figures["shuffled_auc"] < 0.6


@pytest.mark.parametrize("protocol", sorted(FOLDS))
def test_where_nothing_is_there_nothing_is_found(silent, protocol):
    figures = cross_validated_figures(silent, preset_named("n170"), protocol=protocol)
    assert 0.35 < figures["auc_mean"] < 0.65
    assert figures["auc_interval"][0] < 0.55
    assert figures["p_value"] > 0.01


def test_pictures_are_shuffled_as_wholes_where_folds_are_of_pictures():
    """Scores that are one number a picture say nothing about labels, however often the picture was shown."""
    from tests.small_trials import class_trials

    rng = np.random.default_rng(0)
    pictures, repeats = 10, 30
    trials = class_trials(2, pictures=pictures, repeats=repeats)
    one = np.full(len(trials), "all")
    same = replace(trials, run=one)
    single = replace(same, image_id=np.arange(len(trials)).astype(str))
    pictures_p, singles_p = [], []
    for _ in range(8):
        own = rng.standard_normal(2 * pictures).repeat(repeats)
        pictures_p.append(auc_figures(own, same, 0, one)["p_value"])
        singles_p.append(auc_figures(own, single, 0, one)["p_value"])
    assert min(pictures_p) > 0.01
    assert min(singles_p) < 0.01


def test_a_fold_of_one_label_says_that_a_roc_auc_needs_both(store):
    trials = store.trials()
    one_each = replace(trials, image_id=np.array(trials.labels)[trials.label])

    class Store:
        config = store.config

        @staticmethod
        def trials():
            return one_each

    with pytest.raises(ValueError, match=r"k-fold-by-picture fold 1 tests '[ab]' only, and a ROC-AUC needs both"):
        left_out_scores(Store, preset_named("n170"), "k-fold-by-picture", n_folds=2)


def test_controls_take_the_folds_of_any_protocol(store):
    rows = {row["control"].strip(): row for row in controls(ControlOptions(store.folder, protocol=tuple(FOLDS)))}
    assert rows["leave one run out"]["note"] == "8 runs; what runs differ by counts in the interval"
    assert rows["cross session"]["accuracy"] > 0.7
    assert rows["p1 day 0"]["note"].startswith("fitted to the others")
    assert rows["k fold by picture"]["trials"] == rows["leave one run out"]["trials"] == rows["no control"]["trials"]
    assert "band raw" not in rows
    (row,) = [r for r in controls(ControlOptions(store.folder, protocol=("given-split",))) if "given" in r["control"]]
    assert row["note"] == "impossible here: there are none"


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    chosen = {"encoder": "tangent", "space": ("prompts",), "scaling": "none", "clip_sd": 0.0, "average": "none"}
    train(made(data=store.folder, out=out, test_run="p1 day 1 run 1", val_share=0.0, **chosen))
    return out


@pytest.mark.parametrize("protocol", ["leave-one-subject-out", "k-fold-by-picture"])
def test_evaluation_trains_anew_for_each_fold_and_tells_every_score(run, protocol):
    plain = evaluate(EvaluateOptions(run, pictures=False))
    report = evaluate(EvaluateOptions(run, pictures=False, protocol=protocol))
    assert report["scores"] == plain["scores"]
    (section,) = [section for section in report["sections"] if section["title"] == f"Folds: {protocol}"]
    rows = [row for row in section["table"] if row["score"] == "ROC-AUC"]
    assert rows[0]["fold"] == f"mean of {FOLDS[protocol]} {PROTOCOLS[protocol].units}"
    assert rows[0]["n"] == 8 * 24
    assert len(rows) == 1 + FOLDS[protocol]
    assert min(row["value"] for row in rows) > 0.7
    assert f"Folds: {protocol}" in (run / "report.html").read_text(encoding="utf-8")
    assert len(json.loads((run / "report.json").read_text(encoding="utf-8"))["sections"]) == len(report["sections"])


def test_gradient_descent_has_a_folder_for_each_fold(store, tmp_path):
    options = made(
        encoder="nice", set=("kernel=9", "pool=9", "n_filters=4"), space=("prompts",), average="none", epochs=2,
        batch=16, val_share=0.1, patience=0,
    )  # fmt: skip
    figures = cross_validated_figures(store, options, protocol="leave-one-subject-out", out=tmp_path)
    assert len(figures["auc_runs"]) == 2
    assert {path.parent.name for path in tmp_path.glob("*/state.pt")} == {"p0", "p1"}
