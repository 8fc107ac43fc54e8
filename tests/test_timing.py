"""Rates by timestamps: drift, bursts, gaps, lost samples, and files that lie about their rate."""

from pathlib import Path

import numpy as np
import pytest

from core.formats.contract.clock import onsets_of, rate_of_steps, read_clock, usual_rate
from core.formats.contract.signals import Signals
from core.loading.judgement.rate import settle_rate
from core.recording import Event

FILE = Path("r.csv")


def signals(stamps: np.ndarray | None, sfreq: float = 256.0, said: str = "declared", **more) -> Signals:
    n_times = 4096 if stamps is None else len(stamps)
    return Signals(
        data=np.zeros((2, n_times)),
        sfreq=sfreq,
        ch_names=["Cz", "Oz"],
        ch_types=["eeg", "eeg"],
        units=["uV", "uV"],
        sfreq_said=said,
        stamps=stamps,
        **more,
    )


def even(rate: float, seconds: float = 20.0, start: float = 1.7e9) -> np.ndarray:
    return start + np.arange(round(seconds * rate)) / rate


def in_bursts(stamps: np.ndarray, size: int = 24, late: float = 0.06, seed: int = 0) -> np.ndarray:
    """Stamps as Bluetooth delivers them: a packet's samples share one, and packets come late by chance."""
    rng = np.random.default_rng(seed)
    packets = np.arange(len(stamps)) // size
    last = np.minimum((packets + 1) * size - 1, len(stamps) - 1)
    return stamps[last] + rng.exponential(late / 3, packets[-1] + 1)[packets]


def test_a_rate_that_timestamps_confirm_stands_and_its_drift_is_reported() -> None:
    what = signals(even(256.0 * (1 + 150e-6), 60.0))
    about = settle_rate(FILE, what, None)
    assert what.sfreq == 256.0
    assert about["stated_by"] == "declared"
    assert about["drift_ppm"] == pytest.approx(150, abs=2)
    assert about["measured_hz"] == pytest.approx(256.0384, abs=1e-3)
    assert what.segments == (0,)
    assert not what.notes


@pytest.mark.parametrize(("declared", "true"), [(256.0, 250.0), (250.0, 256.0), (128.0, 256.0), (1000.0, 500.0)])
def test_a_file_that_lies_about_its_rate_is_refused_with_both_rates_and_the_option(declared, true) -> None:
    for stamps in (even(true), in_bursts(even(true))):
        with pytest.raises(
            ValueError, match=rf"declares {declared:g} Hz.*timestamps tell.*sfreq={true:g} or sfreq=.*--sf"
        ):
            settle_rate(FILE, signals(stamps, declared), None)


def test_a_few_seconds_of_jittery_timestamps_prove_nothing() -> None:
    settle_rate(FILE, signals(in_bursts(even(250.0, 3.0)), 256.0), None)


def test_a_given_rate_is_taken_and_a_contradiction_noted() -> None:
    what = signals(even(250.0), 256.0, events=[Event(256 / 256, 0.5, "a")], marker_events={"m": [Event(2.0, 0.0, "b")]})
    about = settle_rate(FILE, what, 250.0)
    assert (what.sfreq, about["stated_by"], what.notes) == (250.0, "given", [])
    # events belong to samples
    assert (what.events[0].onset, what.marker_events["m"][0].onset) == (256 / 250, 512 / 250)
    what = signals(even(250.0), 256.0)
    settle_rate(FILE, what, 256.0)
    assert "sfreq=256 was given, though its timestamps tell 250 Hz" in what.notes
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"--sfreq\) is no rate"):
            settle_rate(FILE, signals(None), wrong)


def test_a_file_without_a_rate_is_measured_or_asked_about() -> None:
    what = signals(in_bursts(even(256.1, 60.0)), np.nan, "measured")
    about = settle_rate(FILE, what, None)
    assert (what.sfreq, about["stated_by"]) == (256.0, "measured")
    assert about["drift_ppm"] == pytest.approx(390, abs=120)
    what = signals(even(190.0), np.nan, "measured")
    settle_rate(FILE, what, None)
    assert what.sfreq == pytest.approx(190.0)
    with pytest.raises(ValueError, match=r"r\.csv: it states no sampling rate.*--sfreq"):
        settle_rate(FILE, signals(None, np.nan, "measured"), None)
    with pytest.raises(ValueError, match="states no sampling rate"):
        settle_rate(FILE, signals(np.zeros(4096), 0.0, "measured"), None)


@pytest.mark.parametrize("sfreq", [1e-300, 0.01, 1e7, 1e300])
def test_a_rate_that_no_eeg_has_is_refused(sfreq: float) -> None:
    for what, given in ((signals(None, sfreq), None), (signals(None), sfreq)):
        with pytest.raises(ValueError, match=r"r\.csv: a sampling rate of .* Hz .*no EEG has.*--sfreq"):
            settle_rate(FILE, what, given)


def test_what_a_maker_documents_gives_way_to_timestamps() -> None:
    what = signals(even(256.03, 60.0), 256.0, "documented")
    assert settle_rate(FILE, what, None)["stated_by"] == "documented"
    assert what.sfreq == 256.0
    what = signals(even(220.0, 60.0), 256.0, "documented")
    assert settle_rate(FILE, what, None)["stated_by"] == "measured"
    assert what.sfreq == 220.0
    assert any("not the 256 Hz that the maker documents" in note for note in what.notes)


@pytest.mark.parametrize("jitter", [False, True])
def test_a_gap_in_the_timestamps_is_a_segment_and_its_samples_are_lost(jitter: bool) -> None:
    stamps = even(256.0, 30.0)
    stamps[2000:] += 0.5
    stamps[5000:] += 3.0
    if jitter:
        stamps = in_bursts(stamps, size=8)
    what = signals(stamps)
    about = settle_rate(FILE, what, None)
    assert what.segments == (0, 2000, 5000)
    assert (about["gaps"], about["gap_s"]) == (2, pytest.approx(3.5, abs=0.05))
    assert about["lost_samples"] == pytest.approx(3.5 * 256, abs=12)
    assert about["measured_hz"] == pytest.approx(256.0, rel=1e-3)
    assert about["effective_hz"] == pytest.approx(256 * 30 / 33.5, rel=1e-2)
    assert "2 gaps of 0.1 s and more in the timestamps" in what.notes[0]


def test_a_packet_that_comes_late_is_no_gap() -> None:
    stamps = even(256.0, 30.0)
    # nothing for 0.4 s, then everything at once
    held = slice(3000, 3000 + 102)
    stamps[held] = stamps[held.stop]
    what = signals(stamps)
    about = settle_rate(FILE, what, None)
    assert what.segments == (0,)
    assert "lost_samples" not in about


def test_a_late_packet_beside_a_gap_is_not_another_one() -> None:
    for late in (slice(1990, 2000), slice(2000, 2010), slice(2010, 2020)):
        stamps = even(256.0, 30.0)
        stamps[2000:] += 0.5
        stamps[late] += 0.15
        what = signals(stamps)
        settle_rate(FILE, what, None)
        assert what.segments == (0, 2000), late


def test_a_clock_that_goes_back_is_a_segment_too() -> None:
    stamps = even(256.0, 30.0)
    stamps[4000:] -= 100.0
    what = signals(stamps)
    about = settle_rate(FILE, what, None)
    assert what.segments == (0, 4000)
    assert (about["gaps"], about["lost_samples"]) == (0, 0)
    assert "1 times the clock goes back" in what.notes[0]
    assert about["measured_hz"] == pytest.approx(256.0, rel=1e-4)


def test_samples_that_a_counter_saw_lost_do_not_make_the_rate_a_lie() -> None:
    # every 25th sample is lost, which stamps show as 4 % less
    stamps = np.delete(even(256.0, 40.0), np.s_[::25])
    what = signals(stamps, lost=410)
    about = settle_rate(FILE, what, None)
    assert about["lost_samples"] == 410
    assert about["measured_hz"] == pytest.approx(256.0, rel=1e-3)
    with pytest.raises(ValueError, match="timestamps tell"):
        settle_rate(FILE, signals(stamps), None)


def test_timestamps_with_holes_repeats_or_noise_never_break_the_reading() -> None:
    stamps = even(256.0, 20.0)
    stamps[::7] = np.nan
    assert settle_rate(FILE, signals(stamps), None)["measured_hz"] == pytest.approx(256.0, rel=1e-4)
    rng = np.random.default_rng(0)
    for noise in (
        rng.standard_normal(5000) * 1e300,
        rng.standard_normal(400_000) * 1e3,
        np.full(5000, np.inf),
        rng.choice([-1.7e308, 1.7e308], 5000),
        np.full(5000, 3.0),
        np.zeros(1),
        -even(256.0),
    ):
        about = settle_rate(FILE, signals(noise), None)
        assert about["stated_hz"] == 256.0
        assert onsets_of(signals(noise), [1.0]) is not None


def test_timestamps_that_are_not_one_a_sample_are_not_used() -> None:
    what = signals(even(250.0), 256.0)
    what.data = what.data[:, :-5]
    assert "measured_hz" not in settle_rate(FILE, what, None)
    assert "5000 timestamps for 4995 samples: they were not used" in what.notes


def test_times_of_a_clock_become_samples_across_gaps_and_bursts() -> None:
    stamps = even(256.0, 30.0)
    stamps[3000:] += 1.0
    what = signals(in_bursts(stamps, size=8))
    settle_rate(FILE, what, None)
    wanted = [stamps[100], stamps[2990], stamps[3100], stamps[7000]]
    found = np.array(onsets_of(what, wanted, absolute=True)) * 256
    # bursts are late by their length and a little more, and no line through them can tell by how much
    np.testing.assert_allclose(found, [100, 2990, 3100, 7000], atol=15)
    first = read_clock(what.stamps).period  # type: ignore[union-attr,arg-type]
    assert first == pytest.approx(1 / 256, rel=1e-3)
    assert onsets_of(signals(None), [1.0, 2.0]) == [1.0, 2.0]
    beyond = onsets_of(what, [stamps[0] - 10, stamps[-1] + 10], absolute=True)
    assert beyond[0] < -9
    assert beyond[1] > 30 + 9


def test_rates_near_one_that_amplifiers_run_at_are_that_rate() -> None:
    assert [usual_rate(hz) for hz in (249.6, 256.4, 127.9, 253.0, 190.0)] == [250.0, 256.0, 128.0, 253.0, 190.0]


def test_another_place_that_tells_another_rate_is_a_lie_until_the_user_settles_it() -> None:
    with pytest.raises(ValueError, match=r"declares 256 Hz, but its notes\.txt tells 250 Hz.*sfreq=250 or sfreq=256"):
        settle_rate(FILE, signals(None, rates_told={"notes.txt": 250.0}), None)
    what = signals(None, rates_told={"notes.txt": 250.0, "nothing": np.nan, "near": 255.0})
    settle_rate(FILE, what, 256.0)
    assert what.notes == ["sfreq=256 was given, though its notes.txt tells 250 Hz"]


@pytest.mark.parametrize(
    ("step", "declared", "told"),
    [(0.004, 256, 250), (4, 256, 250), (1, 1000, 1000), (1, 256, np.nan), (0, 256, np.nan)],
)
def test_an_axis_of_times_is_in_seconds_or_milliseconds_or_counts(step: float, declared: float, told: float) -> None:
    np.testing.assert_allclose(rate_of_steps(step, declared), told)


def test_stamps_that_were_computed_tell_the_same_in_the_short_way_as_in_the_long_one() -> None:
    stamps, segments = even(256.0, 60.0), (0, 5000)
    jitter = np.random.default_rng(0).uniform(-1e-5, 1e-5, len(stamps))
    short, long = read_clock(stamps, segments), read_clock(stamps + jitter, segments)
    assert short is not None
    assert long is not None
    np.testing.assert_allclose(
        [short.period, short.length, short.span], [long.period, long.length, long.span], rtol=1e-5
    )
    assert short.jumps == long.jumps == ()
