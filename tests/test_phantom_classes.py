"""The phantom's coarse classes, its block design and the drift of its electrodes."""

from collections import Counter

import numpy as np
import pytest

from core.montage import MONTAGES
from core.phantom.brain import simulate_recording, simulate_rest
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import all_scenes, class_names, scene_from_id, scenes_of_class, split_scenes
from core.scoring.scores import topk_accuracy
from trainer.datasets.phantom import PhantomOptions, brain_config, presentations, sessions
from trainer.evaluation.phantom_truth import ideal_scores, scenes_named
from trainer.prepare import prepare


def shown(**options):
    return [pair for run in presentations(PhantomOptions(**options)) for pair in run]


def test_forty_classes_are_the_first_pairs_of_shape_and_colour():
    names = class_names(40)
    assert len(set(names)) == 40
    assert names[:2] == ("red circle", "orange circle")
    assert names[-1] == "black cross"
    assert {scene.class_name for scene, _ in shown(classes=40)} == set(names)


def test_a_class_has_nine_places_in_two_sizes():
    scenes = scenes_of_class("a red star")
    assert scenes == scenes_of_class("red star")
    assert len({(scene.place, scene.size) for scene in scenes}) == len(scenes) == 18
    assert {(scene.colour, scene.shape) for scene in scenes} == {("red", "star")}
    with pytest.raises(ValueError, match="no class 'a pink star'"):
        scenes_of_class("a pink star")


def test_test_pictures_are_unseen_and_their_classes_are_trained_on():
    where: dict = {"train": set(), "val": set(), "test": set()}
    for scene, split in shown(classes=40):
        where[split].add(scene)
    assert not where["train"] & (where["test"] | where["val"])
    assert {s.class_name for s in where["test"]} <= {s.class_name for s in where["train"]}
    assert {split: len(scenes) for split, scenes in where.items()} == {"train": 497, "val": 53, "test": 170}
    assert where["test"] < set(split_scenes()["test"])


def test_labels_and_captions_tell_the_class_only():
    (session, *_) = sessions(None, PhantomOptions(montage="muse-4", classes=4, train_repeats=1, scenes_per_run=30))
    _, rows = session.load()
    for row in rows:
        scene = scene_from_id(row["image_id"])
        assert row["label"] == scene.class_name
        assert row["caption"] == f"a {scene.class_name}"


def test_in_blocks_every_run_holds_one_class_and_all_of_it():
    runs = presentations(PhantomOptions(classes=40, design="blocks"))
    assert len(runs) == 40
    assert all(len({scene.class_name for scene, _ in run}) == 1 for run in runs)
    assert Counter(pair for run in runs for pair in run) == Counter(shown(classes=40))
    assert all("test" in {split for _, split in run[len(run) // 2 :]} for run in runs if ("test" in dict(run).values()))
    assert [run[0][0].class_name for run in runs] != list(class_names(40))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"classes": 49}, "1 to 48 classes"),
        ({"classes": 0}, "1 to 48 classes"),
        ({"design": "random"}, "--design is 'random'; known: shuffled, blocks"),
        ({"design": "blocks"}, "say how many with --classes"),
        ({"l_freq": -1.0}, "must not be negative"),
        ({"drift_uv": -1.0}, "drift_uv"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        PhantomOptions(**options)


def quiet(**more):
    return BrainConfig(
        montage="muse-4", snr=0.0, background_uv=0.1, alpha_uv=0, blinks_per_minute=0, line_uv=0, sensor_uv=0,
        variability_nam=0, **more,
    )  # fmt: skip


def test_drift_has_its_size_and_stays_put_for_seconds():
    levels = np.stack([simulate_rest(quiet(drift_uv=50.0), 3.0, seed).data for seed in range(60)]) * 1e6
    assert np.sqrt(np.mean(levels**2)) == pytest.approx(50, rel=0.15)
    within = levels[:, :, -1] - levels[:, :, 0]
    assert np.sqrt(np.mean(within**2)) < 10
    # recordings and channels have levels of their own
    apart = levels[:, :, 0]
    assert abs(np.corrcoef(apart[:-1].ravel(), apart[1:].ravel())[0, 1]) < 0.2
    assert abs(np.corrcoef(apart[:, 0], apart[:, 1])[0, 1]) < 0.4


def test_without_drift_recordings_are_what_they_were():
    scenes = all_scenes()[:3]
    still, drifting = (simulate_recording(scenes, BrainConfig(drift_uv=uv), 3) for uv in (0.0, 40.0))
    moved = drifting.data - still.data
    assert np.abs(moved).max() > 1e-5
    # nothing but the drift differs, and it is smooth
    assert np.abs(np.diff(moved, axis=1)).max() < 1e-6


def test_a_store_remembers_its_drift_and_band(tmp_path):
    options = PhantomOptions(
        montage="muse-4", classes=2, design="blocks", drift_uv=30.0, l_freq=0.0, train_repeats=1, test_repeats=1
    )
    store = prepare("phantom", None, tmp_path / "store", options, progress=False)
    assert brain_config(store.info["provenance"]).drift_uv == 30.0
    assert store.config.l_freq is None
    assert store.labels == ("orange circle", "red circle")


def test_the_ideal_observer_tells_classes_best_by_all_their_scenes(tmp_path):
    options = PhantomOptions(classes=10, train_repeats=1, val_repeats=0, train_scenes=40, test_repeats=2)
    store = prepare("phantom", None, tmp_path / "store", options, progress=False)
    trials = store.trials()
    test = trials.select(trials.split == "test")
    scores = ideal_scores(test, list(trials.labels), store.config, store.info["provenance"])
    assert scores.shape == (len(test), 10)
    right = topk_accuracy(scores, test.label, (1,))[1]
    assert right > 0.6
    # one scene for a class, as if place and size were known to be other than they are
    one = [scenes_of_class(name)[0].caption for name in trials.labels]
    single = ideal_scores(test, one, store.config, store.info["provenance"])
    assert topk_accuracy(single, test.label, (1,))[1] < right


def test_names_of_every_kind_stand_for_scenes():
    scene = all_scenes()[100]
    assert scenes_named(scene.id) == scenes_named(scene.caption) == [scene]
    assert scenes_named(f"a {scene.class_name}") == scenes_of_class(scene.class_name)
    with pytest.raises(ValueError, match="no class"):
        scenes_named("a dog")


def test_a_dense_cap_can_be_simulated():
    recording = simulate_recording(all_scenes()[:2], BrainConfig(montage="10-05-128"), 0)
    assert recording.data.shape[0] == len(set(MONTAGES["10-05-128"])) == 128
    assert recording.ch_names[:2] == ("Fp1", "Fp2")
    assert np.isfinite(recording.data).all()


def test_pictures_of_a_class_store_are_scored_by_the_scenes_that_were_shown(tmp_path):
    from trainer.config.options import train_options
    from trainer.evaluate import PHANTOM, EvaluateOptions, evaluate
    from trainer.train import train

    options = PhantomOptions(classes=6, train_repeats=2, val_repeats=0, test_repeats=8)
    prepare("phantom", None, tmp_path / "store", options, progress=False)
    run = tmp_path / "run"
    train(
        train_options(data=tmp_path / "store", out=run, encoder="linear", set=("n_bins=8",), rank=5, clip=str(PHANTOM))
    )
    report = evaluate(EvaluateOptions(run, steps=1))
    rows = {row["name"]: row for row in report["scores"]}
    (top1,) = [row for name, row in rows.items() if name.endswith("-way top-1")]
    assert top1["ceiling"] > 0.9
    (places,) = [s["attributes"]["place"] for s in report["sections"] if "attributes" in s]
    assert places["caption"] < 0.6  # captions do not tell it
