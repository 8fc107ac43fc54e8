"""What an encoder says of each window, as numbers that stand on their own."""

import math

import pytest
import torch

from core.conditioning.nearest_concepts import read_windows
from core.model.heads import HeadConfig
from core.preprocessing.selection import select_events, select_times
from tests.small_encoders import conditioned, noise_recording, small_encoder

NAMES = ("a dog", "a cat", "a house", "a tree", "a cup", "a car", "a boat")


@pytest.fixture(scope="module")
def gallery():
    encoder = small_encoder(HeadConfig("clip-h.image", "basis", rank=4, concepts=NAMES))
    encoder.head().set_target(torch.randn(len(NAMES), 1024, generator=torch.Generator().manual_seed(1)))
    return encoder


def test_every_window_is_read_as_it_is_decoded():
    encoder, recording = small_encoder(), noise_recording()
    found = read_windows(encoder, select_events(recording))
    assert [one.label for one in found] == ["house", "face"] * 3
    assert [one.onset for one in found] == [1.0, 2.5, 4.0, 5.5, 7.0, 8.5]
    decoded = conditioned(encoder, select_events(recording))
    for row, one in enumerate(found):
        assert dict(one.best) == pytest.approx(dict(zip(decoded.prompts, decoded.weights[row].tolist(), strict=True)))
        assert one.confidence == pytest.approx(decoded.confidence[row].item())
        assert one.chance == 0.5
        assert one.averaged == 1


def test_the_best_stands_first_and_only_so_many_are_named(gallery):
    for one in read_windows(gallery, select_events(noise_recording()), n_best=3):
        scores = [score for _, score in one.best]
        assert scores == sorted(scores, reverse=True)
        assert len(one.best) == 3
        assert all(-1.001 <= score <= 1.001 for score in scores)
        assert {name for name, _ in one.best} <= set(NAMES)
    assert len(read_windows(gallery, select_events(noise_recording()), n_best=99)[0].best) == len(NAMES)


def test_an_average_says_of_how_many_and_begins_with_its_first():
    found = read_windows(small_encoder(), select_events(noise_recording(), average="per label"))
    assert [(one.label, one.averaged, one.onset) for one in found] == [("house", 3, 1.0), ("face", 3, 2.5)]


def test_a_window_alone_reads_as_it_does_among_others():
    encoder, chosen = small_encoder(), select_times(noise_recording(), [1.0, 3.3, 5.0])
    together = read_windows(encoder, chosen)
    for one, alone in zip(together, chosen.one_by_one(), strict=True):
        (read,) = read_windows(encoder, alone)
        assert dict(read.best) == pytest.approx(dict(one.best), abs=1e-5)
        assert read.confidence == pytest.approx(one.confidence, abs=1e-5)


def test_reworded_prompts_are_what_is_named():
    words = ("ein Gesicht", "ein Haus")
    found = read_windows(small_encoder(), select_events(noise_recording()), prompts=words)
    assert {name for name, _ in found[0].best} == set(words)
    with pytest.raises(ValueError, match="3 prompts given, the encoder has 2"):
        read_windows(small_encoder(), select_events(noise_recording()), prompts=(*words, "noch eins"))


def test_a_head_without_names_names_nothing_and_an_uncalibrated_one_is_not_sure():
    encoder = small_encoder(HeadConfig("sd1.text", "basis", rank=2))
    encoder.confidence = {}
    for one in read_windows(encoder, select_events(noise_recording())):
        assert one.best == ()
        assert one.confidence is None
        assert one.chance is None


def test_every_number_is_one_that_json_can_hold(gallery):
    for encoder in (gallery, small_encoder()):
        for one in read_windows(encoder, select_events(noise_recording())):
            numbers = [one.onset, *(score for _, score in one.best), *filter(None, [one.confidence])]
            assert all(type(number) is float and math.isfinite(number) for number in numbers)


def test_a_window_that_cannot_be_cut_is_named():
    with pytest.raises(ValueError, match=r"window 2 .*cannot be cut"):
        read_windows(small_encoder(), select_times(noise_recording(), [2.0, 11.9]))
