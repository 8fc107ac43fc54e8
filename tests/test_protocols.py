"""Protocols: folds are disjoint and cover, keep apart what they promise to, and say what they need."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.preprocessing.trials import Trials, build_trials
from trainer.protocols.fold import FoldOptions, TooLittle
from trainer.protocols.held_out_test import choose_test
from trainer.protocols.registry import PROTOCOLS, protocol_named

COLUMN = {"leave-one-run-out": "run", "leave-one-subject-out": "subject", "k-fold-by-picture": "image_id"}


def trials_of(rows, **same) -> Trials:
    eeg = np.zeros((len(rows), 1, 2), dtype=np.float32)
    return build_trials(eeg, [{"label": "a", "onset": float(i), **same, **row} for i, row in enumerate(rows)])


@st.composite
def stores(draw):
    """Trials in any order of a few people, sessions, runs and pictures, each picture of one class."""
    n_people, n_sessions, n_runs, n_pictures = (draw(st.integers(2, most)) for most in (3, 3, 4, 12))
    n_classes = draw(st.integers(1, 3))
    n = draw(st.integers(10, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rows = []
    for _ in range(n):
        picture = int(rng.integers(n_pictures))
        rows.append(
            {
                "label": f"class {picture % n_classes}",
                "image_id": f"picture {picture}",
                "subject": f"p{rng.integers(n_people)}",
                "session": f"day {rng.integers(n_sessions)}",
                "run": f"run {rng.integers(n_runs)}",
                "split": str(rng.choice(["train", "val", "test"])),
            }
        )
    return trials_of(rows)


@settings(max_examples=60, deadline=None)
@given(stores(), st.sampled_from(sorted(PROTOCOLS)), st.sampled_from([0.0, 0.2]), st.integers(2, 5), st.integers(0, 9))
def test_folds_are_disjoint_and_cover_and_follow_from_the_seed(trials, name, val_share, n_folds, seed):
    options = FoldOptions(val_share=val_share, n_folds=n_folds, seed=seed)
    try:
        folds = list(protocol_named(name).folds(trials, options))
    except TooLittle:  # what each needs is asked below
        return
    except ValueError as error:  # a store may prescribe that everything is tested
        if "no trials are left to train on" not in str(error):
            raise
        return
    assert folds
    assert len({fold.name for fold in folds}) == len(folds)
    for fold in folds:
        everyone = np.concatenate([fold.train, fold.val, fold.test])
        assert len(fold.test)
        if name == "in-subject":
            assert sorted(everyone.tolist()) == np.flatnonzero(trials.subject == fold.name).tolist()
        else:
            assert sorted(everyone.tolist()) == list(range(len(trials)))
    if PROTOCOLS[name].by_split:
        tested = np.sort(np.concatenate([fold.test for fold in folds]))
        assert tested.tolist() == np.flatnonzero(trials.split == "test").tolist()
    else:
        assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(trials)))
    again = list(protocol_named(name).folds(trials, options))
    for one, other in zip(folds, again, strict=True):
        assert all(np.array_equal(one.parts[part], other.parts[part]) for part in one.parts)


@settings(max_examples=60, deadline=None)
@given(stores(), st.sampled_from(sorted(COLUMN)), st.integers(2, 5), st.integers(0, 9))
def test_what_a_protocol_keeps_apart_never_stands_on_both_sides(trials, name, n_folds, seed):
    values = getattr(trials, COLUMN[name])
    try:
        folds = list(PROTOCOLS[name].folds(trials, FoldOptions(val_share=0.2, n_folds=n_folds, seed=seed)))
    except TooLittle:
        return
    for fold in folds:
        known = set(values[np.concatenate([fold.train, fold.val])])
        assert not known & set(values[fold.test])
        if name == "k-fold-by-picture":
            assert not set(values[fold.train]) & set(values[fold.val])


def test_cross_session_tests_each_session_of_each_person_by_all_others():
    trials = trials_of([{"subject": who, "session": day} for who in "ab" for day in ("1", "2") for _ in range(3)])
    folds = list(PROTOCOLS["cross-session"].folds(trials, FoldOptions()))
    assert [fold.name for fold in folds] == ["a 1", "a 2", "b 1", "b 2"]
    assert folds[1].test.tolist() == [3, 4, 5]
    assert folds[1].train.tolist() == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    of_one = list(PROTOCOLS["cross-session"].folds(trials, FoldOptions(only_subject="b")))
    assert [fold.name for fold in of_one] == ["1", "2"]
    assert of_one[0].train.tolist() == [9, 10, 11]


def test_k_fold_deals_each_classes_pictures_evenly():
    rows = [{"label": f"c{c}", "image_id": f"{c}-{p}"} for c in range(3) for p in range(8) for _ in range(2)]
    trials = trials_of(rows)
    for fold in PROTOCOLS["k-fold-by-picture"].folds(trials, FoldOptions(n_folds=4)):
        assert np.bincount(trials.label[fold.test]).tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("leave-one-run-out", r"leave-one-run-out needs at least two runs; the store has one run \(1\)"),
        ("leave-one-subject-out", r"leave-one-subject-out needs at least two people; the store has one person \(p\)"),
        ("cross-session", r"cross-session needs at least two sessions of each person; person p has one \(no name\)"),
        ("k-fold-by-picture", r"needs at least 5 different pictures \(--n-folds\); there are 1"),
        ("in-subject", r"in-subject needs a test of each person's own.*; person p has none"),
        ("pooled", r"pooled needs at least two people; the store has one person \(p\)"),
        ("given-split", r"given-split needs test trials: a store with a test split, or --test-run RUN; there are none"),
    ],
)
@pytest.mark.parametrize("n", [1, 6])
def test_one_trial_one_run_one_person_say_what_the_protocol_needs(name, told, n):
    trials = trials_of([{"run": "1", "subject": "p"}] * n)
    with pytest.raises(TooLittle, match=told):
        list(PROTOCOLS[name].folds(trials, FoldOptions()))


def test_no_trials_at_all_say_what_the_protocol_needs():
    empty = trials_of([{"run": "1"}]).select(np.zeros(1, dtype=bool))
    for name in PROTOCOLS:
        with pytest.raises(ValueError, match=r"every protocol needs trials; the store has none"):
            list(PROTOCOLS[name].folds(empty, FoldOptions()))


def test_a_person_who_was_there_once_makes_cross_session_another_question():
    trials = trials_of([{"subject": "a", "session": "1"}, {"subject": "a", "session": "2"}, {"subject": "b"}])
    with pytest.raises(TooLittle, match="person b has one"):
        list(PROTOCOLS["cross-session"].folds(trials, FoldOptions()))


def test_validation_that_would_leave_no_picture_to_train_on_is_refused():
    trials = trials_of([{"image_id": str(i)} for i in range(2)])
    with pytest.raises(TooLittle, match=r"pictures to train on beside those that validate \(--val-share 0\)"):
        list(PROTOCOLS["k-fold-by-picture"].folds(trials, FoldOptions(val_share=0.5, n_folds=2)))


def split_by(trials, **options):
    (fold,) = PROTOCOLS["given-split"].folds(trials, FoldOptions(**options))
    assert not set(fold.train) & set(fold.test)
    return fold


DESIGNS = {
    # what is shown: subject, run, picture of trial i; which test suits it, and what is said
    "one person, runs": (lambda i: ("a", f"r{i // 20}", ""), "run", "the last run of the person, r2: 20 trials"),
    "two people, runs": (
        lambda i: ("ab"[i % 2], f"{'ab'[i % 2]}{i // 20}", ""), "run", "the last run of each person, a2, b2"
    ),
    "runs of the same pictures": (
        lambda i: ("a", f"r{i // 20}", f"p{i % 20}"), "picture",
        "4 of 20 pictures.*not by run: the other runs show the same",
    ),
    "a run a person": (
        lambda i: ("abc"[i // 20], f"{i // 20}", ""), "person", "another person, c: 20 .*nothing to leave out"
    ),
    "one run": (lambda i: ("a", "r", ""), "time", "the last fifth of each run, 5 s apart from what trains: 12 trials"),
    "one run of pictures": (
        lambda i: ("a", "r", f"p{i % 20}"), "picture", "4 of 20 pictures with all their repeats: 12"
    ),
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_what_tests_is_chosen_by_what_the_data_allow_and_said(design):
    shown, way, said = DESIGNS[design]
    rows = []
    for i in range(60):
        subject, run, picture = shown(i)
        label = str(i // 2 % 2)
        rows.append({"label": label, "subject": subject, "run": run, "onset": 2.0 * i, "image_id": f"{label}{picture}"})
    trials = trials_of(rows)
    found, sentence = choose_test(trials, np.arange(60), FoldOptions())
    assert (found, bool(re.search(said, sentence))) == (way, True), sentence
    fold = split_by(trials, test=way)
    assert len(np.unique(trials.label[fold.test])) == 2
    if way == "time":
        assert trials.onset[fold.test].min() - trials.onset[fold.train].max() > 5
        assert len(fold.train) + len(fold.test) < 60
    if way == "picture":
        assert not set(trials.image_id[fold.train]) & set(trials.image_id[fold.test])
    else:
        assert 10 <= len(fold.test) <= 20


def test_labels_that_cannot_be_told_apart_are_not_tested():
    one = trials_of([{"label": "a", "run": str(i % 2)} for i in range(8)])
    assert choose_test(one, np.arange(8), FoldOptions()) == (
        "none", "nothing is held out for a test: there is one label only"
    )  # fmt: skip
    a_run_each = trials_of([{"label": "ab"[i % 2], "run": "ab"[i % 2], "onset": float(i)} for i in range(40)])
    way, sentence = choose_test(a_run_each, np.arange(40), FoldOptions())
    assert way == "time"
    assert "not by run: what would be left out has one label only" in sentence
    with pytest.raises(ValueError, match=r"--test run is not possible here: what would be left out has one label"):
        split_by(a_run_each, test="run")


def things(people="ab"):
    """Each person sees six training pictures of three concepts and two test pictures, twice, in two sessions."""
    shown = [(f"train {i}", f"concept {i // 2}", "train") for i in range(6)] + [
        (f"test {i}", f"test concept {i}", "test") for i in range(2)
    ]
    rows = [
        {"image_id": image, "label": concept, "split": split, "subject": who, "session": day, "run": who + day}
        for who in people
        for day in "12"
        for image, concept, split in shown
    ]
    return trials_of(rows)


@pytest.mark.parametrize("name", ["leave-one-subject-out", "cross-session", "leave-one-run-out"])
def test_folds_that_keep_the_stores_split_test_new_pictures_in_new_people_and_days(name):
    trials = things()
    folds = list(PROTOCOLS[name].folds(trials, FoldOptions(keep_split=True)))
    for fold in folds:
        assert set(trials.split[fold.train]) == {"train"}
        assert set(trials.split[fold.test]) == {"test"}
        column = "subject" if name == "leave-one-subject-out" else "run"
        assert not set(getattr(trials, column)[fold.train]) & set(getattr(trials, column)[fold.test])
    assert sum(len(fold.test) for fold in folds) == (trials.split == "test").sum()
    blank = replace(trials, split=np.full(len(trials), ""))
    with pytest.raises(TooLittle, match=r"--keep-split needs a store that prescribes.*has 0 to train on and 0"):
        list(PROTOCOLS[name].folds(blank, FoldOptions(keep_split=True)))


def test_validation_by_concept_holds_out_concepts_with_all_their_pictures_and_people():
    trials = things("abc")
    for seed in range(5):
        (fold,) = PROTOCOLS["pooled"].folds(trials, FoldOptions(val_share=0.2, val_by="concept", seed=seed))
        parts = [set(trials.label[part].tolist()) for part in fold.parts.values()]
        assert len(parts[1]) == 2
        assert not parts[0] & parts[1]
        assert sum(map(len, parts)) == len(set(trials.label.tolist()))
    two = trials.select(np.isin(trials.image_id, ["train 0", "train 2"]))
    two = replace(two, split=np.full(len(two), ""))
    with pytest.raises(ValueError, match="at least three concepts to train on; there are 2"):
        split_by(two, val_share=0.2, val_by="concept")


def test_a_share_of_the_training_is_of_pictures_and_a_larger_one_holds_the_smaller():
    trials = things()
    found = [split_by(trials, train_share=share, seed=3) for share in (0.34, 0.67, 1.0)]
    pictures = [set(trials.image_id[fold.train]) for fold in found]
    assert [len(one) for one in pictures] == [2, 4, 6]
    assert pictures[0] < pictures[1] < pictures[2]
    assert all(np.array_equal(fold.test, found[0].test) for fold in found)
    for fold in PROTOCOLS["k-fold-by-picture"].folds(trials, FoldOptions(n_folds=4, train_share=0.5)):
        assert len(set(trials.image_id[fold.train])) == 3


def test_a_person_is_held_out_by_name_and_one_who_is_not_there_is_refused():
    trials = trials_of([{"label": "ab"[i % 2], "subject": "xy"[i // 10 % 2]} for i in range(20)])
    assert split_by(trials, test_subject="y").test.tolist() == list(range(10, 20))
    for wrong, said in (({"test_subject": "z"}, "no trials of subject 'z'; the store has x, y"),
                        ({"test_subject": "x", "test_run": "1"}, "not both"),
                        ({"test": "run"}, "not possible here: there is nothing to leave out")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            split_by(trials, **wrong)
    prescribed = replace(trials, split=np.array(["train", "test"] * 10))
    with pytest.raises(ValueError, match=r"--test-subject: the store prescribes its own split"):
        split_by(prescribed, test_subject="x")


def test_an_unknown_protocol_lists_the_known_ones():
    with pytest.raises(ValueError, match=f"no protocol 'bootstrap'; known: {', '.join(PROTOCOLS)}"):
        protocol_named("bootstrap")


def test_the_given_split_is_the_stores_own_or_one_run():
    trials = trials_of(
        [{"run": str(i % 3), "split": s} for i, s in enumerate(["train", "train", "val", "test", "test"])]
    )
    (fold,) = PROTOCOLS["given-split"].folds(trials, FoldOptions())
    assert [part.tolist() for part in fold.parts.values()] == [[0, 1], [2], [3, 4]]
    blank = replace(trials, split=np.full(5, ""))
    (fold,) = PROTOCOLS["given-split"].folds(blank, FoldOptions(test_run="1"))
    assert fold.test.tolist() == [1, 4]
