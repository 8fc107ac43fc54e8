"""Plots: pixels without pyplot, power in the right units, maps the right way up."""

import sys

import numpy as np
import pytest

from core.montage import standard_positions
from core.plots import plot_psd, plot_spectrogram, plot_topomap, plot_traces
from core.power import band_amplitude, power_spectrum
from core.recording import Event, Recording, load_recording
from core.scalp_map import _directions, _flat

NAMES = ("Fp1", "Fp2", "C3", "C4", "O1", "O2")


@pytest.fixture(scope="module")
def recording():
    # 20 uV at 10 Hz on O1 and O2, noise of 2 uV everywhere, a gap after 8 s
    rng, times = np.random.default_rng(0), np.arange(0, 16, 1 / 128)
    data = 2e-6 * rng.normal(size=(6, len(times)))
    data[4:] += 20e-6 * np.sin(2 * np.pi * 10 * times)
    events = (Event(1.0, 0.0, "$house"), Event(2.0, 0.0, r"$\bad$"), Event(3.0, 0.0, "a label that is far too long"))
    return Recording(data, 128.0, NAMES, events=events, segments=(0, 1024))


def is_picture(picture, height, width):
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture)) > 10


def differs(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean() > 0.5


def test_traces_have_the_size_that_was_asked_for(recording):
    is_picture(plot_traces(recording, 0, 5, width=640, height=400), 400, 640)


def test_traces_show_only_the_chosen_channels_and_stretch(recording):
    whole = plot_traces(recording, 0, 8, width=500, height=300)
    assert differs(whole, plot_traces(recording, 0, 8, channels=["o1", "C3"], width=500, height=300))
    assert differs(whole, plot_traces(recording, 8, 8, width=500, height=300))
    with pytest.raises(ValueError, match=r"lasts 16 s"):
        plot_traces(recording, 20, 5)
    with pytest.raises(ValueError, match="Q9"):
        plot_traces(recording, channels=["Q9"])


def test_flat_and_nan_channels_are_drawn(recording):
    data = recording.data.copy()
    data[0], data[1, :100] = 0.0, np.nan
    is_picture(plot_traces(Recording(data, 128.0, NAMES), 0, 4, width=400, height=300), 300, 400)


def test_a_peak_survives_long_stretches():
    data = np.zeros((1, 200_000), np.float32)
    plain = plot_traces(Recording(data, 100.0, ("Cz",)), 0, 2000, scale_uv=100, width=400, height=260)
    data[0, 123_456] = 80e-6
    assert not np.array_equal(
        plain, plot_traces(Recording(data, 100.0, ("Cz",)), 0, 2000, scale_uv=100, width=400, height=260)
    )


def test_a_spectrum_integrates_to_the_variance(recording):
    freqs, power = power_spectrum(recording)
    assert power.shape == (6, len(freqs))
    assert power.sum(axis=1) * freqs[1] == pytest.approx(recording.data.var(axis=1), rel=0.1)


def test_band_amplitude_is_the_root_mean_square_in_microvolts(recording):
    alpha = band_amplitude(recording, (8, 13))
    assert alpha[4:] == pytest.approx(20 / np.sqrt(2), rel=0.05)
    assert (alpha[:4] < 1.5).all()
    with pytest.raises(ValueError, match="64 Hz"):
        band_amplitude(recording, (70, 80))


def test_spectra_do_not_cross_gaps():
    # two constant stretches: the step between them is no signal
    data = np.repeat([0.0, 1e-4], 512)[None]
    assert power_spectrum(Recording(data, 128.0, ("Cz",), segments=(0, 512)))[1].max() < 1e-20
    assert power_spectrum(Recording(data, 128.0, ("Cz",)))[1].max() > 1e-12


@pytest.mark.parametrize("dark", [True, False])
def test_psd_is_drawn_for_few_and_many_channels(recording, dark):
    is_picture(plot_psd(recording, width=500, height=300, dark=dark), 300, 500)
    many = Recording(np.tile(recording.data, (3, 1)), 128.0, tuple(f"channel {i}" for i in range(18)))
    is_picture(plot_psd(many, width=500, height=300, dark=dark), 300, 500)


def test_spectrogram_is_drawn_and_too_short_stretches_are_refused(recording):
    is_picture(plot_spectrogram(recording, width=500, height=260), 260, 500)
    with pytest.raises(ValueError, match="the longest is 8 s"):
        plot_spectrogram(recording, window_s=9)


def test_the_nose_is_up_and_the_left_ear_left():
    fpz, oz, t7, t8, cz = _flat(_directions(standard_positions(["Fpz", "Oz", "T7", "T8", "Cz"])))
    assert fpz[1] > 0.8
    assert oz[1] < -0.8
    assert t7[0] == pytest.approx(-t8[0], abs=0.05)
    assert t7[0] < -0.9
    assert np.abs(cz).max() < 0.02


def test_alpha_at_the_back_of_the_head_is_mapped_there(recording):
    picture = plot_topomap(recording, names=False, size=400).astype(int)
    yellow = (picture[..., 0] > 150) & (picture[..., 1] > 180) & (picture[..., 2] < 120)
    yellow[:, 320:] = False  # the colour bar
    assert np.nonzero(yellow)[0].mean() > 220


def test_a_scalp_map_needs_places(recording):
    unplaced = Recording(recording.data, 128.0, ("a1x", "b2x", "c3x", "d4x", "O1", "O2"))
    with pytest.raises(ValueError, match="three channels"):
        plot_topomap(unplaced)
    with pytest.raises(ValueError, match="6 channels"):
        plot_topomap(recording, np.zeros(5))
    is_picture(
        plot_topomap(recording, np.array([np.nan, 1, -2, 3, -4, 5]), title="170 ms", size=300, dark=True), 282, 300
    )


def test_real_recordings_are_drawn_without_pyplot(shared_data):
    recording = load_recording(next((shared_data / "n170_muse").glob("subject1_*.csv.gz")))
    before = "matplotlib.pyplot" in sys.modules
    for picture in (plot_traces(recording), plot_psd(recording), plot_topomap(recording), plot_spectrogram(recording)):
        assert picture.ndim == 3
    assert ("matplotlib.pyplot" in sys.modules) == before
