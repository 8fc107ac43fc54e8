"""What a report says of retrieval: on a clear signal, on none, of two runs, in words and pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.phantom.scenes import draw, scene_from_id
from core.scoring.design import Units
from tests.small_trials import FOUR_CLASSES
from trainer.config.options import train_options
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.evaluation.retrieval.figures import Found, class_templates, template_found
from trainer.evaluation.retrieval.pictures import embedding_map, top_k_sheet, two_dimensions
from trainer.prepare import prepare
from trainer.store.store import open_store
from trainer.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("runs")
    shown = replace(FOUR_CLASSES, train_scenes=40, test_scenes=15, train_repeats=2, test_repeats=3)
    store = prepare("phantom", None, folder / "store", shown, progress=False).folder
    (folder / "pictures").mkdir()
    for name in np.unique(open_store(store).trials().image_id).tolist():
        Image.fromarray(draw(scene_from_id(name))).save(folder / "pictures" / f"{name}.png")
    for name, space in (("first", "phantom-clip.image"), ("second", "phantom-clip@2.image")):
        train(
            train_options(
                data=store, out=folder / name, encoder="linear", set=("n_bins=12",), space=(space,), rank=8,
                images=folder / "pictures",
            )
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def report(runs):
    return evaluate(
        EvaluateOptions(runs / "first", pictures=False, beside=runs / "second", transductive=True, challenge=True)
    )


def section(report, title):
    return next(one for one in report["sections"] if title in one["title"])


def test_every_figure_says_k_the_epochs_rule_and_the_gallery(report):
    exact = section(report, "exact pictures")
    assert "k = 3 presentations averaged; fitted in closed form; a gallery of 15 pictures" in exact["text"]
    assert [row["score"] for row in exact["table"]] == [
        "2-way, expected", "4-way, expected", "10-way, expected", "mean average precision"
    ]  # fmt: skip
    for row in exact["table"]:
        assert row["interval"][0] <= row["value"] <= row["interval"][1]
        assert 0 < row["p"] <= row["p (Holm)"] <= 1


def test_other_questions_stand_apart_and_say_what_they_are(report):
    apart = section(report, "Transductive")
    assert "no encoder has at use" in apart["text"]
    assert "may be exploited" in apart["text"]
    assert apart["table"][0]["score"].startswith("transductive 15-way")
    challenge = section(report, "challenge-2026 (Simulated)")
    assert [row["n"] for row in challenge["table"]] == [45, 15]
    assert section(report, "Class templates")["table"][0]["score"].endswith("class template top-1")
    assert -1 <= section(report, "Representational")["table"]["Spearman's correlation of distances"] <= 1
    assert not any("transductive" in row["name"] for row in report["scores"])


def test_two_runs_stand_beside_each_other_with_their_pictures(report, runs):
    rows = section(report, "Beside second")["table"]
    assert rows[0]["difference"] == pytest.approx(rows[0]["first"] - rows[0]["second (beside)"])
    page = (runs / "first" / "report.html").read_text()
    assert page.count('class="sheet"') == 2
    assert "first (phantom-clip.image) | second (phantom-clip@2.image)" in page
    assert "base64" not in (runs / "first" / "report.json").read_text()


def test_on_noise_every_figures_p_is_uniform_and_its_interval_holds_chance():
    rng, held, p = np.random.default_rng(0), {}, {}
    for _ in range(120):
        n, m = 40, 20
        vectors = rng.standard_normal((m, 6))
        truth = np.arange(n) % m
        found = Found(
            rng.standard_normal((n, 6)) @ vectors.T, truth, Units("trial", np.arange(n), np.zeros(n, int)), vectors
        )
        for entry in [found.top_entry("top-1", 1), *found.entries()]:
            low, high = entry["interval"]
            held.setdefault(entry["name"], []).append(low <= entry["chance"] <= high)
            p.setdefault(entry["name"], []).append(entry["p_value"])
    for name, values in held.items():
        assert np.mean(values) > 0.89, name
        for level in (0.05, 0.2, 0.5):
            share, spread = np.mean(np.array(p[name]) <= level), np.sqrt(level * (1 - level) / 120)
            assert share < level + 3.2 * spread, name
        assert np.mean(p[name]) < 0.62, name


def test_a_class_template_never_holds_the_picture_that_is_asked_about():
    rng = np.random.default_rng(1)
    values, label = rng.standard_normal((6, 4)), np.array([0, 0, 1, 1, 2, 2])
    templates = class_templates(values, label)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(templates[0, 0], unit[1])
    np.testing.assert_allclose(templates[0, 1], unit[2:4].mean(0))
    assert class_templates(values, np.array([0, 0, 1, 1, 1, 2])) is None
    units = Units("trial", np.arange(6), np.zeros(6, int))
    own = template_found(values, templates, np.arange(6), label, units)
    whole = template_found(values, np.repeat(templates[:1], 6, 0), np.arange(6), label, units)
    assert own.scores.shape == whole.scores.shape == (6, 3)


def test_a_sheet_has_a_row_a_trial_and_frames_what_is_right():
    pictures = {name: np.full((8, 8, 3), shade, np.uint8) for name, shade in (("a", 10), ("b", 200))}
    sheet = top_k_sheet(pictures, ["a", "b"], [[["b", "a"], ["b", "a"]], [["a", "b"], ["gone", "a"]]])
    assert sheet.dtype == np.uint8
    assert (sheet == (31, 107, 117)).all(axis=2).any()
    assert not (top_k_sheet(pictures, ["a"], [[["b"]]]) == (31, 107, 117)).all(axis=2).any()


def test_a_map_is_of_principal_components_where_umap_is_missing_and_says_so(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    vectors = np.random.default_rng(0).standard_normal((9, 5))
    plane, how = two_dimensions(vectors)
    assert "needs the package umap-learn" in how
    assert plane.var(0)[0] >= plane.var(0)[1]
    assert two_dimensions(np.ones((1, 3)))[0].shape == (1, 2)
    drawn, _ = embedding_map(vectors, vectors[:4], np.arange(9) % 4)
    assert drawn.shape[2] == 3
    assert torch.from_numpy(drawn).float().std() > 0
