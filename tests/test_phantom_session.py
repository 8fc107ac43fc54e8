"""A sitting shows the scenes that words or pictures name, and says that it is simulated."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.phantom import session
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import all_scenes, draw, split_scenes
from core.preprocessing.selection import select_events, select_times
from core.recording import describe

STAR, RING, CROSS = session.scenes_from_captions(
    "a large red star at the top left\na small blue ring on the right\na small black cross in the middle"
)


def test_every_caption_and_id_names_its_scene():
    scenes = all_scenes()
    assert session.scenes_from_captions("\n".join(scene.caption for scene in scenes)) == scenes
    assert session.scenes_from_captions("\n".join(scene.id for scene in scenes)) == scenes


@pytest.mark.parametrize(
    "line",
    [
        "A Large  RED star\tat the top left.",
        "large red star at the top left",
        "  the large, red star at the top left  ",
    ],
)
def test_captions_are_read_forgivingly(line):
    assert session.scenes_from_captions(f"\n\n{line}\r\n \n") == [STAR]


def test_a_line_that_is_no_scene_is_named_with_the_vocabulary():
    with pytest.raises(ValueError, match=r"line 3, 'a large purple star', is no scene.*orange.*triangle.*at the top"):
        session.scenes_from_captions(f"{STAR.caption}\n\na large purple star")
    with pytest.raises(ValueError, match=r"no caption given.*small, large"):
        session.scenes_from_captions(" \n")


@pytest.mark.parametrize("size", [(64, 64), (96, 200), (512, 512)])
def test_scenes_are_seen_in_pictures_of_any_size(size):
    scenes = split_scenes()["test"][:20]
    small = torch.from_numpy(np.stack([draw(scene, seed=5) for scene in scenes])).permute(0, 3, 1, 2).float()
    pictures = torch.nn.functional.interpolate(small, size, mode="bilinear").permute(0, 2, 3, 1).byte().numpy()
    found = session.scenes_in_pictures(pictures)
    assert np.mean([a == b for a, b in zip(found, scenes, strict=True)]) >= 0.9


def test_pictures_are_seen_in_and_out_of_inference_mode():
    session._judge.cache_clear()
    pictures = np.stack([draw(STAR), draw(RING)])
    with torch.inference_mode():
        assert session.scenes_in_pictures(pictures) == [STAR, RING]
    assert session.scenes_in_pictures(pictures) == [STAR, RING]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 64, 64, 4), np.uint8),
        np.zeros((1, 64, 64, 3)),
        np.zeros((0, 9, 9, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(ValueError, match="uint8"):
        session.scenes_in_pictures(wrong)


def test_training_scenes_are_never_test_scenes():
    scenes = session.training_scenes(600, seed=3)
    assert len(set(scenes)) == 600
    assert not set(scenes) & set(split_scenes()["test"] + split_scenes()["val"])
    assert session.training_scenes(20, 1) == session.training_scenes(20, 1) != session.training_scenes(20, 2)
    for wrong in (0, 601):
        with pytest.raises(ValueError, match="1 to 600"):
            session.training_scenes(wrong)


def test_scenes_shown_once_keep_their_order():
    sitting = session.show([RING, STAR, RING, CROSS], seed=4)
    assert [event.label for event in sitting.recording.events] == [s.caption for s in (RING, STAR, RING, CROSS)]
    assert sitting.scenes == (RING, STAR, CROSS)
    assert len(sitting.pictures) == 3
    assert all(
        np.array_equal(picture, draw(scene)) for picture, scene in zip(sitting.pictures, sitting.scenes, strict=True)
    )


def test_repeats_after_the_first_are_shuffled_by_the_seed():
    orders = [
        [e.label for e in session.show([STAR, RING, CROSS], repeats=8, seed=s).recording.events] for s in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert Counter(orders[0]) == {scene.caption: 8 for scene in (STAR, RING, CROSS)}
    assert orders[0][:3] == [scene.caption for scene in (STAR, RING, CROSS)]
    assert orders[0] != [scene.caption for scene in (STAR, RING, CROSS)] * 8


def test_averages_by_label_stand_in_the_order_of_the_pictures():
    sitting = session.show([STAR, RING, CROSS], repeats=4, seed=1)
    averages = select_events(sitting.recording, average="per label")
    assert averages.labels == tuple(scene.caption for scene in sitting.scenes)
    assert [len(group) for group in averages.groups] == [4, 4, 4]


def test_a_sitting_is_the_brains_own_recording_with_captions_for_labels():
    sitting = session.show([STAR, RING], montage="muse-4", snr=1.5, subject=7, seed=11)
    same = simulate_recording([STAR, RING], BrainConfig(montage="muse-4", snr=1.5, subject=7), 11)
    assert np.array_equal(sitting.recording.data, same.data)
    assert [event.onset for event in sitting.recording.events] == [event.onset for event in same.events]
    other = session.show([STAR, RING], montage="muse-4", snr=1.5, subject=8, seed=11)
    assert not np.array_equal(other.recording.data, sitting.recording.data)


def test_a_sitting_says_that_it_is_simulated():
    assert describe(session.show([STAR]).recording).count("simulated") >= 2


def test_the_picture_of_a_simulated_window_is_found_by_its_label():
    sitting = session.show([STAR, RING], repeats=2)
    windows = select_events(sitting.recording, average="per label")
    for shown, truth in zip(session.pictures_shown(windows), sitting.pictures, strict=True):
        assert np.array_equal(shown, truth)
    assert session.pictures_shown(select_events(sitting.recording, average="all")) == [None]
    assert session.pictures_shown(select_times(sitting.recording, [1.0, 2.0])) == [None, None]


def test_labels_of_a_real_recording_are_no_pictures_whatever_they_say():
    sitting = session.show([STAR])
    real = replace(sitting.recording, source={"file": "someone.edf"})
    assert session.pictures_shown(select_events(real)) == [None]


@pytest.mark.parametrize(
    ("scenes", "asked", "sentence"),
    [
        ([], {}, "nothing to show"),
        ([STAR], {"repeats": 0}, "nothing to show"),
        ([STAR], {"montage": "hat-3"}, "epoc-14"),
        ([STAR], {"snr": -1}, "snr"),
        ([STAR], {"seed": -1}, "seed is -1"),
        ([STAR] * 600, {"repeats": 200}, "120000 presentations; at most 20000"),
        ([STAR] * 600, {"repeats": 20, "montage": "things-63"}, "at most 6349 can be simulated with the 63 channels"),
    ],
)
def test_what_cannot_be_shown_is_refused(scenes, asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        session.show(scenes, **asked)
