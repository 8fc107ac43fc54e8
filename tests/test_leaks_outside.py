"""Leaks in the forms that real data show them in are named, and lists shared by people are none."""

import numpy as np
import pytest

from benchmarks.leak_designs.outside import OUTSIDE, cropped, framed, grey, jpeg, negative, pink_picture, turned
from benchmarks.leak_designs.outside_honest import KINDS, outside_honest
from benchmarks.planted_leaks import alarms_of, store_of
from core.leaks.copies.displaced import displaced
from trainer.evaluation.leaks.store_checks import store_checks


def failed(name, folder):
    store = store_of(OUTSIDE[name].plant(np.random.default_rng(0)), folder / "store")
    return {check.name for check in store_checks(store) if check.passed is False}


@pytest.mark.parametrize(
    "name",
    [
        "copy, channels permuted",
        "copy, reversed in time",
        "trigger after 15 ms, 30 uV",
        "trigger after 23 ms, 15 uV",
        "light sensor, lag of 20 ms",
        "interval after the picture, 60 ms",
        "gaze to a side by class",
        "cue, told by when",
        "cue, two events back",
    ],
)
def test_a_leak_in_another_form_is_named(name, tmp_path):
    assert failed(name, tmp_path) & set(OUTSIDE[name].named)


@pytest.mark.parametrize("change", [jpeg, cropped(2), cropped(8), framed, turned, negative, grey])
def test_a_picture_that_was_changed_is_the_same_picture(change):
    rng = np.random.default_rng(0)
    pictures = [pink_picture(rng) for _ in range(24)]
    assert displaced([*pictures, change(pictures[3], rng)]) == [(3, 24)]


def test_pictures_of_one_kind_are_not_the_same_picture():
    rng = np.random.default_rng(0)
    assert displaced([pink_picture(rng) for _ in range(30)]) == []
    # discs of one size in places of their own: cropped or moved they would all be one
    y, x = np.mgrid[:64, :64]
    places = rng.integers(14, 50, size=(30, 2))
    assert displaced([np.where(np.hypot(x - a, y - b) < 12, 200, 40).astype(np.uint8) for a, b in places]) == []


@pytest.mark.parametrize("number", [0, 2])
def test_one_list_shown_to_five_people_is_no_leak(number):
    kind = KINDS.index("one list for five people")
    assert alarms_of(outside_honest(kind + number * len(KINDS))) == []
