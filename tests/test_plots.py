"""Plots: pixels without pyplot, power in the right units, maps the right way up."""

import sys

import numpy as np
import pytest

from core.choices import PLOTS as KINDS
from core.loading.load import load_recording
from core.montage import standard_positions
from core.plots.plots import plot, plot_psd, plot_spectrogram, plot_topomap, plot_traces
from core.plots.power_spectrum import band_amplitude, power_spectrum
from core.plots.topomap import _directions, _flat
from core.preprocessing.selection import raw_means, select_events, select_times, slide
from core.recording import Event, Recording

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


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_recording_is_one_picture_of_each_kind(recording, kind):
    (picture,) = plot(recording, kind, dark=True)
    is_picture(picture, *picture.shape[:2])
    (part,) = plot(recording, kind, channels="C3, frontal", dark=True)
    assert part.shape != picture.shape or differs(part, picture)


@pytest.mark.parametrize("kind", list(KINDS))
def test_windows_are_one_picture_each_of_one_size(recording, kind):
    seen = []
    pictures = plot(select_events(recording, tmin=-0.2), kind, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len({picture.shape for picture in pictures}) == 1
    for picture in pictures:
        is_picture(picture, *picture.shape[:2])
    assert differs(pictures[0], pictures[1])


def test_plots_are_those_of_their_functions(recording):
    assert np.array_equal(plot(recording, "traces", start=2, duration=3)[0], plot_traces(recording, 2, 3))
    assert np.array_equal(plot(recording, "traces", start=9, duration=3600)[0], plot_traces(recording, 9, 7))
    assert np.array_equal(plot(recording, "spectrum", up_to=30, dark=True)[0], plot_psd(recording, 30, dark=True))
    assert np.array_equal(plot(recording, "scalp map", low=4, high=8)[0], plot_topomap(recording, band=(4, 8)))
    assert np.array_equal(plot(recording, "spectrogram", up_to=30)[0], plot_spectrogram(recording, fmax=30))


def test_a_window_is_drawn_about_its_moment(recording):
    chosen = select_times(recording, [3.0], tmin=-0.25, tmax=0.75)
    window = Recording(raw_means(chosen)[0][0], 128.0, NAMES, events=(Event(0.25, 0.0, ""),))
    assert np.array_equal(plot(chosen, "traces")[0], plot_traces(window, 0, 1, width=760, title="3 s", zero_s=0.25))
    late = plot(select_times(recording, [2.5], tmin=0.25, tmax=1.25), "traces")[0]
    assert not np.array_equal(plot(chosen, "traces")[0], late)


def test_the_axis_starts_where_it_is_told_to(recording):
    cut = Recording(recording.data[:, 1024:1408], 128.0, NAMES, events=(Event(0.5, 0.0, "a"),))
    longer = Recording(recording.data, 128.0, NAMES, events=(Event(8.5, 0.0, "a"),))
    assert np.array_equal(plot_traces(cut, 0, 3), plot_traces(longer, 8, 3, zero_s=8.0))
    plain, moved = plot_spectrogram(cut), plot_spectrogram(cut, zero_s=1.0)
    # the same picture over other numbers
    assert np.array_equal(plain[:350], moved[:350])
    assert not np.array_equal(plain[350:], moved[350:])


def test_windows_share_one_scale(recording):
    # ten times the signal would look the same, were each picture on a scale of its own
    data = recording.data.copy()
    data[:, 512:640] *= 10
    loud = Recording(data, 128.0, NAMES)
    for kind in KINDS:
        together = plot(select_times(loud, [2.0, 4.0]), kind)[0]
        alone = plot(select_times(loud, [2.0]), kind)[0]
        assert together.shape == alone.shape
        assert not np.array_equal(together, alone)


def test_short_windows_are_drawn_or_refused_readably(recording):
    short = select_times(recording, [1.0, 2.0], tmax=0.2)
    for kind in KINDS:
        assert len(plot(short, kind)) == 2
    tiny = select_times(recording, [1.0, 2.0], tmax=0.05)
    assert len(plot(tiny, "traces")) == 2
    with pytest.raises(ValueError, match="8 samples"):
        plot(tiny, "spectrum")
    with pytest.raises(ValueError, match="16 samples"):
        plot(tiny, "spectrogram")
    with pytest.raises(ValueError, match="8 samples"):
        plot(tiny, "scalp map")


def test_flat_windows_are_drawn():
    flat = Recording(np.zeros((6, 1280)), 128.0, NAMES)
    for kind in KINDS:
        assert len(plot(select_times(flat, [1.0, 2.0]), kind)) == 2
        assert len(plot(flat, kind)) == 1


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("topomap", {}, "known: traces, spectrum, scalp map, spectrogram"),
        ("traces", {"up_to": 3.0}, "has no up_to; it has start, duration"),
        ("traces", {"start": 99.0}, "lasts 16 s"),
        ("traces", {"channels": "Q9"}, "no channel 'Q9'"),
        ("scalp map", {"low": 13.0, "high": 8.0}, "got 13 to 8 Hz"),
        ("scalp map", {"low": 50.0, "high": 70.0}, "up to 64 Hz"),
        ("scalp map", {"channels": "O1, O2"}, "three channels"),
        ("spectrogram", {"up_to": 1.0}, "1 Hz apart"),
        ("spectrum", {"up_to": 0.5}, "0.5 Hz apart"),
    ],
)
def test_what_cannot_be_drawn_is_refused(recording, kind, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        plot(recording, kind, **options)


def test_too_many_windows_are_refused(recording):
    with pytest.raises(ValueError, match="at most 240 windows"):
        plot(slide(recording, 30, stop=8.0 + 3), "traces")
    many = Recording(np.tile(recording.data[:, :1024], (10, 1)), 128.0, tuple(f"channel {i}" for i in range(60)))
    with pytest.raises(ValueError, match=r"200 pictures of 760 x 1600 pixels are too many; select at most 90"):
        plot(slide(many, 28.5), "traces")


def test_the_mean_of_a_group_counts_what_was_cut(recording, monkeypatch):
    import core.plots.plots as module

    titles = []
    monkeypatch.setattr(module, "_draw", lambda kind, recording, title, *_: titles.append(title) or np.zeros((1, 1, 3)))
    events = (*(Event(1.0 + i, 0.0, "a") for i in range(3)), Event(15.9, 0.0, "a"), Event(4.0, 0.0, "b"))
    labelled = Recording(recording.data, 128.0, NAMES, events=events)
    plot(select_events(labelled, average="per label"), "traces")
    assert titles == ["a, mean of 3", "b, at 4 s"]


def test_real_windows_are_drawn(shared_data):
    muse = load_recording(next((shared_data / "n170_muse").glob("subject1_*.csv.gz")))
    eeglab = load_recording(shared_data / "eeg_formats" / "eeglab" / "eeglab_data.set")
    for chosen in (select_events(muse, average="per label", tmin=-0.1, tmax=0.6), select_events(eeglab, places="0-1")):
        for kind in KINDS:
            assert len(plot(chosen, kind, dark=True)) == 2
