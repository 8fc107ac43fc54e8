"""Band power is what the sine that was put in has, agrees with scipy, and is mapped and drawn honestly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch

from core.choices import BANDS
from core.loading.load import load_recording
from core.plots.band_power import map_range, plot_band_power, selected_band_power, smooth
from core.preprocessing.selection import raw_means, select_events, select_times, slide
from core.recording import Event, Recording

NAMES = ("F3", "F4", "O1", "O2")
SFREQ = 128.0


def sines(amplitude_uv, hz, seconds=10.0):
    times = np.arange(round(seconds * SFREQ)) / SFREQ
    return 1e-6 * np.asarray(amplitude_uv)[:, None] * np.sin(2 * np.pi * hz * times)


def noise(seed=0, seconds=10.0, n_channels=4):
    return 10e-6 * np.random.default_rng(seed).normal(size=(n_channels, round(seconds * SFREQ)))


@pytest.mark.parametrize(("hz", "band"), [(2.5, "delta"), (6, "theta"), (10.4, "alpha"), (20, "beta"), (37, "gamma")])
def test_a_sine_has_half_its_amplitude_squared(hz, band):
    recording = Recording(sines([20.0] * 4, hz), SFREQ, NAMES)
    found = selected_band_power(select_times(recording, [1.0], tmax=4.0), BANDS[band])
    assert found == pytest.approx(10 * np.log10(20.0**2 / 2), abs=0.15)
    for other in set(BANDS) - {band}:
        leak = selected_band_power(select_times(recording, [1.0], tmax=4.0), BANDS[other])
        assert leak[0] < found[0] - 15


def test_power_agrees_with_scipy():
    recording = Recording(noise(), SFREQ, NAMES)
    row = slide(recording, 4, tmax=1.0)
    freqs, power = welch(raw_means(row)[0].astype(np.float64) * 1e6, SFREQ, nperseg=128, detrend="linear")
    # whole bins of 1 Hz, centred on 8 to 12 Hz
    inside = (freqs >= 8) & (freqs <= 12)
    expected = 10 * np.log10(power[..., inside].sum(axis=-1).mean(axis=1))
    assert selected_band_power(row, (7.5, 12.5)) == pytest.approx(expected, abs=1e-9)
    odd = slide(Recording(noise(), SFREQ, NAMES), 4, tmax=125 / SFREQ)
    odd_freqs, odd_power = welch(raw_means(odd)[0] * 1e6, SFREQ, nperseg=125, detrend="linear")
    step = odd_freqs[1]
    found = selected_band_power(odd, (7.5 * step, 12.5 * step))
    assert found == pytest.approx(10 * np.log10(odd_power[..., 8:13].sum(axis=-1).mean(axis=1) * step), abs=1e-4)
    # to the last bin, which has a twin at negative frequencies only where the length is odd
    for windows, powers, width in ((row, power, 1.0), (odd, odd_power, step)):
        n = powers.shape[-1]
        inside = powers[..., n - 4 :].copy()
        inside[..., -1] *= (SFREQ / 2 - (n - 1.5) * width) / width
        top = selected_band_power(windows, ((n - 4.5) * width, SFREQ / 2))
        assert top == pytest.approx(10 * np.log10(inside.sum(axis=-1).mean(axis=1) * width), abs=1e-4)


def test_adjacent_bands_add_up():
    row = slide(Recording(noise(), SFREQ, NAMES), 2)
    bands = [10 ** (selected_band_power(row, limits) / 10) for limits in BANDS.values()]
    assert np.sum(bands, axis=0) == pytest.approx(10 ** (selected_band_power(row, (1, 45)) / 10), rel=1e-9)


def test_a_ratio_is_of_the_same_windows_and_no_gain_changes_it():
    recording = Recording(noise(), SFREQ, NAMES)
    row = slide(recording, 2)
    single = replace(recording, data=recording.data[:1], ch_names=("F3",))
    alone = slide(single, 2)
    apart = selected_band_power(alone, BANDS["alpha"]) - selected_band_power(alone, BANDS["beta"])
    assert selected_band_power(alone, BANDS["alpha"], "beta") == pytest.approx(apart)
    ratio = selected_band_power(row, BANDS["alpha"], "all bands")
    assert (ratio < 0).all()
    gains = np.array([[1.0], [0.1], [7.0], [3.0]], dtype=np.float32)
    louder = slide(replace(recording, data=recording.data * gains), 2)
    assert selected_band_power(louder, BANDS["alpha"], "all bands") == pytest.approx(ratio, abs=1e-4)


def test_only_the_chosen_channels_are_measured():
    recording = Recording(noise() * 0.01 + sines([0, 0, 20, 40], 10), SFREQ, NAMES)
    row = slide(recording, 1)
    back, front = (selected_band_power(row, BANDS["alpha"], channels=text) for text in ("occipital", "frontal"))
    assert (back > front + 30).all()
    assert selected_band_power(row, BANDS["alpha"], channels="O1") == pytest.approx(10 * np.log10(200), abs=0.2)
    assert back == pytest.approx(10 * np.log10((200 + 800) / 2), abs=0.2)
    with pytest.raises(ValueError, match="no channel here is parietal"):
        selected_band_power(row, BANDS["alpha"], channels="parietal")


def test_a_groups_power_survives_where_its_mean_signal_cancels():
    # ten windows with alpha at opposite phases: their mean is nothing
    events = tuple(Event(0.5 + 0.95 * i, 0.0, "x") for i in range(10))
    recording = Recording(sines([20.0] * 4, 10), SFREQ, NAMES, events=events)
    single = selected_band_power(select_events(recording, tmax=0.9), BANDS["alpha"])
    group = select_events(recording, average="all", tmax=0.9)
    assert selected_band_power(group, BANDS["alpha"]) == pytest.approx(10 * np.log10(np.mean(10 ** (single / 10))))
    assert np.abs(raw_means(group)[0]).max() < 3e-6


def test_drifts_and_offsets_are_no_delta():
    ramp = np.tile(np.linspace(0, 5e-3, 1280), (4, 1)) + 4e-3
    assert (selected_band_power(slide(Recording(ramp, SFREQ, NAMES), 2), BANDS["delta"]) < -20).all()


def test_flat_channels_do_not_count_and_a_silent_window_is_finite():
    data = noise()
    data[0] = 1e-4
    row = slide(Recording(data, SFREQ, NAMES), 1)
    rest = slide(Recording(data[1:], SFREQ, NAMES[1:]), 1)
    for against in ("nothing", "beta"):
        assert selected_band_power(row, BANDS["alpha"], against) == pytest.approx(
            selected_band_power(rest, BANDS["alpha"], against)
        )
        silent = slide(Recording(np.zeros((4, 1280)), SFREQ, NAMES), 1)
        assert (selected_band_power(silent, BANDS["alpha"], against) == -120).all()


def test_batches_change_nothing(monkeypatch):
    import core.plots.band_power as module

    row = slide(Recording(noise(), SFREQ, NAMES), 50)
    whole, seen, cut = selected_band_power(row, BANDS["alpha"]), [], module.cut_raw
    monkeypatch.setattr(module, "cut_raw", lambda selection, samples_at_once: cut(selection, 4 * 128 * 37))
    parts = selected_band_power(row, BANDS["alpha"], progress=lambda done, total: seen.append((done, total)))
    assert parts == pytest.approx(whole, abs=1e-12)
    assert seen[-1] == (len(row), len(row))
    assert len(seen) == -(-len(row) // 37)


@pytest.mark.parametrize(
    ("band", "seconds", "against", "sentence"),
    [
        ((8, 13), 0.3, "nothing", r"8 to 13 Hz needs windows of 0.4 s or more; these are of 0.297 s"),
        ((1, 4), 0.5, "nothing", "windows of 1 s or more"),
        ((10, 10.5), 1.0, "nothing", "windows of 4 s or more"),
        ((8, 13), 0.5, "all bands", r"1 to 45 Hz needs windows of 1 s"),
        ((50, 70), 1.0, "nothing", r"at 128 Hz it holds frequencies up to 64 Hz"),
        ((13, 8), 1.0, "nothing", "to a higher one; got 13 to 8 Hz"),
        ((0, 8), 1.0, "nothing", "above 0 Hz"),
        ((8, 13), 1.0, "alpha", "always 0 dB"),
        ((8, 13), 1.0, "mu", "no band 'mu'"),
    ],
)
def test_what_cannot_be_measured_is_refused(band, seconds, against, sentence):
    row = slide(Recording(noise(), SFREQ, NAMES), 1, tmax=seconds)
    with pytest.raises(ValueError, match=sentence):
        selected_band_power(row, band, against)


def test_samples_that_are_no_numbers_are_refused():
    data = noise()
    data[1, 300] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        selected_band_power(slide(Recording(data, SFREQ, NAMES), 1), BANDS["alpha"])


def test_smoothing_follows_slowly_and_none_changes_nothing():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    assert smooth(values, 0) is values
    assert smooth(values, 0.5) == pytest.approx([0, 0.5, 0.75, 0.875])
    assert values.tolist() == [0, 1, 1, 1]
    for wrong in (1.0, -0.1):
        with pytest.raises(ValueError, match="below 1"):
            smooth(values, wrong)


def test_ranges_are_mapped_and_clipped():
    power = np.array([-20.0, -10.0, 0.0, 5.0, 30.0])
    assert map_range(power, (-10, 10), (0, 1)) == pytest.approx([0, 0, 0.5, 0.75, 1])
    assert map_range(power, (-10, 10), (1, 0)) == pytest.approx([1, 1, 0.5, 0.25, 0])
    many = np.arange(101.0)
    own = map_range(many, None, (0.2, 0.8))
    assert own[[0, 5, 50, 95, 100]] == pytest.approx([0.2, 0.2, 0.5, 0.8, 0.8])
    for alike in ([7.0], [3.0, 3.0, 3.0 + 1e-12]):
        assert map_range(np.array(alike), None, (0, 4)) == pytest.approx(2)
    with pytest.raises(ValueError, match="must rise"):
        map_range(power, (5, 0), (0, 1))


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("average", ["none", "per label", "all"])
def test_power_is_drawn(average, dark):
    events = tuple(Event(0.5 + i, 0.0, "$a$" if i % 2 else "b, which is a very long label") for i in range(8))
    chosen = select_events(Recording(noise(), SFREQ, NAMES, events=events), average=average)
    power = selected_band_power(chosen, BANDS["alpha"], "beta")
    mapped = map_range(power, None, (0, 1))
    picture = plot_band_power(chosen, power, mapped, band="alpha", against="beta", width=500, height=300, dark=dark)
    assert picture.shape == (300, 500, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture)) > 10


def test_real_windows_are_measured(shared_data):
    recording = load_recording(shared_data / "eeg_formats" / "eeglab" / "eeglab_data.set")
    row = slide(recording, 8)
    back, front = (selected_band_power(row, BANDS["alpha"], channels=text) for text in ("Oz, Pz", "F3, F4"))
    assert np.isfinite(back).all()
    assert back.mean() > front.mean()
