"""Lost samples by a headset's counter."""

import numpy as np
import pytest

from core.formats.containers.sample_counter import lost_by_counter


def without(counter: np.ndarray, *gone: int) -> np.ndarray:
    return np.delete(counter.astype(float), gone)


@pytest.mark.parametrize(
    "counter",
    [
        np.arange(2000) % 256,  # OpenBCI Cyton
        np.arange(2000) * 2 % 256,  # Cyton and Daisy
        np.arange(2000) % 128,  # EmotivPRO
        np.arange(2000) % 129,  # the first EPOC
        (np.arange(2000) + 1) // 2 % 101,  # Ganglion, two samples a packet
        np.arange(2000) + 308202,  # Unicorn
    ],
    ids=["cyton", "daisy", "emotiv", "epoc", "ganglion", "unicorn"],
)
def test_nothing_is_lost_where_the_counter_runs_on(counter: np.ndarray) -> None:
    lost = lost_by_counter(counter.astype(float))
    assert lost is not None
    assert lost[0] == 0
    assert lost[1].size == 0


def test_missing_samples_are_counted_across_the_wrap() -> None:
    lost = lost_by_counter(without(np.arange(2000) % 256, 100, 101, 255, 256, 257, 1500))
    assert lost is not None
    assert lost[0] == 6
    assert lost[1].tolist() == [100, 253, 1495]


def test_a_lost_packet_of_a_ganglion_is_two_samples() -> None:
    lost = lost_by_counter(without((np.arange(2000) + 1) // 2 % 101, 501, 502))
    assert lost is not None
    assert lost[0] == 2
    with_zeros = np.concatenate([[0], np.repeat(np.arange(101, 201), 2)])
    lost = lost_by_counter(np.tile(with_zeros, 5).astype(float))
    assert lost is not None
    assert lost[0] == 0


@pytest.mark.parametrize(
    "counter",
    [np.zeros(500), np.full(500, np.nan), np.arange(5.0), np.random.default_rng(0).integers(0, 256, 500).astype(float)],
    ids=["constant", "missing", "short", "random"],
)
def test_what_is_no_counter_tells_nothing(counter: np.ndarray) -> None:
    assert lost_by_counter(counter) is None
