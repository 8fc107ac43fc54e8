"""The phantom's brain does what its parameters say, and the ideal observer is at chance where nothing was shown."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from core.montage import MONTAGES
from core.phantom.background import background_rms
from core.phantom.brain import build_brain, feature_rms, simulate_recording, simulate_rest
from core.phantom.brain_config import BrainConfig
from core.phantom.head import leadfield
from core.phantom.observer import fit_observer
from core.phantom.scenes import PLACES, Scene, all_scenes, split_scenes
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.windows import cut_windows

EPOC = BrainConfig()
QUIET = replace(EPOC, blinks_per_minute=0, line_uv=0, variability_nam=0, latency_jitter_ms=0)
ONLY_BACKGROUND = replace(EPOC, alpha_uv=0, blinks_per_minute=0, line_uv=0, sensor_uv=0)
GALLERY = split_scenes()["test"][:40]
REPEATS = 4
PREPARATION = PreprocessingConfig(
    ch_names=MONTAGES["epoc-14"],
    sfreq=64.0,
    tmin=-0.1,
    tmax=0.9,
    l_freq=0.5,
    h_freq=30.0,
    notch=(50.0,),
    baseline=(-0.1, 0.0),
)


def prepare(recording):
    return prepare_continuous(recording, PREPARATION)


def cut(prepared, onsets):
    return cut_windows(prepared, onsets, PREPARATION).data


def spectrum(recording):
    freqs, power = scipy.signal.welch(recording.data, recording.sfreq, nperseg=int(4 * recording.sfreq))
    return freqs, power


def rms(values):
    return float(np.sqrt(np.mean(np.asarray(values, dtype=np.float64) ** 2)))


@pytest.fixture(scope="module")
def observer():
    return fit_observer(replace(EPOC, snr=0.4), GALLERY, prepare, cut, seed=1)


def top1(observer, snr):
    config = replace(EPOC, snr=snr)
    order = np.random.default_rng(3).permutation(np.repeat(np.arange(len(GALLERY)), REPEATS))
    prepared = prepare(simulate_recording([GALLERY[i] for i in order], config, seed=9))
    windows = cut(prepared, np.array([event.onset for event in prepared.events]))
    means = np.stack([windows[order == i].mean(axis=0) for i in range(len(GALLERY))])
    return float(np.mean(observer.scores(means, REPEATS).argmax(axis=1) == np.arange(len(GALLERY))))


def test_ideal_observer_reads_an_easy_recording_and_chance_at_the_null(observer):
    hits = {snr: top1(observer, snr) for snr in (0.0, 0.08, 0.4)}
    assert hits[0.0] <= 4 / len(GALLERY), "more than chance (1 in 40) allows"
    assert hits[0.0] < hits[0.08] < hits[0.4]
    assert hits[0.4] > 0.5


def test_observer_of_the_null_looks_for_the_default_snr():
    null = fit_observer(replace(EPOC, snr=0.0), GALLERY[:5], prepare, cut, n_noise=300)
    brain = build_brain(EPOC)
    assert np.array_equal(null.amplitudes, brain.common + brain.features(GALLERY[:5]))
    assert len(np.unique(null.scores(np.zeros((1, *null.offset.shape))))) == 5


def test_observer_refuses_windows_of_another_size(observer):
    with pytest.raises(ValueError, match="fitted on"):
        observer.scores(np.zeros((2, 14, 10)))
    with pytest.raises(ValueError, match="n_repeats"):
        observer.scores(np.zeros((2, *observer.offset.shape)), 0)


def test_observer_refuses_a_cut_that_drops_noise_free_windows():
    with pytest.raises(ValueError, match="reject none"):
        fit_observer(EPOC, GALLERY, prepare, lambda prepared, onsets: cut(prepared, onsets[1:]), n_noise=100)


def test_null_differs_from_a_recording_only_by_the_features():
    scenes = all_scenes()[:60]
    null, shown = (simulate_recording(scenes, replace(EPOC, snr=snr), seed=5) for snr in (0.0, 0.3))
    other = simulate_recording(all_scenes()[60:120], replace(EPOC, snr=0.0), seed=5)
    assert np.array_equal(null.data, other.data), "the null depends on what was shown"
    assert [event.onset for event in null.events] == [event.onset for event in shown.events]
    first = int((null.events[0].onset - 0.06) * null.sfreq)
    assert np.array_equal(null.data[:, :first], shown.data[:, :first]), "noise changes with the SNR"
    assert rms(null.data - shown.data) > 0


@pytest.mark.parametrize("montage", ["epoc-14", "muse-4"])
def test_snr_measured_on_recordings_is_the_one_asked_for(montage):
    config = replace(QUIET, montage=montage, snr=0.5, soa_jitter_s=0.0, soa_s=1.0)
    scenes = all_scenes()
    null, shown = (simulate_recording(scenes, replace(config, snr=snr), seed=2) for snr in (0.0, 0.5))
    difference = shown.data - null.data
    spans = [int(np.ceil(event.onset * 128)) + np.arange(int(0.6 * 128)) for event in shown.events]
    signal = rms(difference[:, np.array(spans)])
    noise = rms(simulate_rest(config, 600.0, seed=3).data)
    assert signal / noise == pytest.approx(0.5, rel=0.1)
    assert feature_rms(build_brain(config)) / background_rms(config) == pytest.approx(0.5)


def test_background_is_ten_to_twenty_microvolts():
    data = 1e6 * simulate_recording(all_scenes()[:100], EPOC).data
    spread = np.median(np.abs(data - np.median(data, axis=1, keepdims=True))) / 0.6745
    assert 10 < spread < 20


def test_line_noise_peaks_at_50_hz():
    freqs, power = spectrum(simulate_rest(EPOC, 60.0))
    line = power[:, np.argmin(np.abs(freqs - 50))]
    beside = power[:, (freqs > 44) & (freqs < 48)].mean(axis=1)
    assert np.all(line > 4 * beside)


@pytest.mark.parametrize("exponent", [1.0, 1.6])
def test_background_falls_as_one_over_f(exponent):
    freqs, power = spectrum(simulate_rest(replace(ONLY_BACKGROUND, background_exponent=exponent), 240.0))
    kept = (freqs >= 3) & (freqs <= 40)
    slope = np.polyfit(np.log(freqs[kept]), np.log(power[:, kept].mean(axis=0)), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.15)


def test_background_is_correlated_between_neighbours():
    data = simulate_rest(ONLY_BACKGROUND, 120.0)
    correlation = np.corrcoef(data.pick(["AF3", "F3", "O2"]).data)
    assert correlation[0, 1] > 0.5
    assert correlation[0, 1] > abs(correlation[0, 2]) + 0.2


def test_alpha_is_occipital_and_peaks_at_alpha():
    freqs, power = spectrum(simulate_rest(QUIET, 120.0))
    names = MONTAGES["epoc-14"]
    alpha, beside = (freqs >= 8) & (freqs <= 12), (freqs >= 15) & (freqs <= 19)
    occipital, frontal = ([names.index(name) for name in pair] for pair in (("O1", "O2"), ("AF3", "AF4")))
    peak = power[:, alpha].mean(axis=1) / power[:, beside].mean(axis=1)
    assert peak[occipital].mean() > 2 * peak[frontal].mean()
    assert (
        8 <= freqs[3:][power[occipital][:, 3:][:, freqs[3:] > 6].mean(axis=0).argmax() + np.sum(freqs[3:] <= 6)] <= 12
    )


def test_blinks_are_frontal():
    without, blinking = (simulate_rest(replace(EPOC, blinks_per_minute=n), 60.0) for n in (0, 15))
    blinks = np.ptp(1e6 * (blinking.data - without.data), axis=1)
    names = MONTAGES["epoc-14"]
    frontal = np.mean([blinks[names.index(name)] for name in ("AF3", "AF4")])
    occipital = np.mean([blinks[names.index(name)] for name in ("O1", "O2")])
    assert frontal > 40
    assert frontal > 5 * occipital


@pytest.mark.parametrize("subject", [0, 1, 2])
def test_places_excite_the_other_side(subject):
    brain = build_brain(replace(EPOC, subject=subject))
    times = np.arange(0.06, 0.25, 0.005)
    names = MONTAGES["epoc-14"]
    left, right = ([names.index(name) for name in side] for side in (("O1", "P7"), ("O2", "P8")))

    def strength(side, channels):
        scenes = [Scene("circle", "red", place, "large") for place, at in PLACES.items() if at[0] == side]
        table = brain.tables[2][[scene.codes[2] for scene in scenes]].mean(axis=0)
        return rms(brain.pattern[channels] @ ((brain.common + table)[:, None] * brain.courses(times)))

    # The two sides of a head differ, so each side is compared with itself.
    assert strength(-1, right) / strength(1, right) > strength(-1, left) / strength(1, left)


def test_same_seed_gives_the_same_bytes_and_subjects_differ():
    scenes = all_scenes()[:20]
    first, again = (simulate_recording(scenes, EPOC, seed=4) for _ in range(2))
    assert first.data.tobytes() == again.data.tobytes()
    assert first.events == again.events
    assert not np.array_equal(first.data, simulate_recording(scenes, EPOC, seed=5).data)
    patterns = [build_brain(replace(EPOC, subject=subject)).pattern for subject in (0, 1)]
    assert 0.01 < rms(patterns[0] - patterns[1]) / rms(patterns[0]) < 1.0


@pytest.mark.parametrize("montage", MONTAGES)
@pytest.mark.parametrize("sfreq", [100.0, 256.0])
def test_every_montage_and_rate_runs(montage, sfreq):
    recording = simulate_recording(all_scenes()[:4], BrainConfig(montage=montage, sfreq=sfreq))
    assert recording.ch_names == tuple(MONTAGES[montage])
    assert recording.data.dtype == np.float32
    assert np.isfinite(recording.data).all()
    assert 5 < 1e6 * recording.data.std() < 60
    assert [event.label for event in recording.events] == [scene.id for scene in all_scenes()[:4]]
    assert recording.events[-1].onset + 1 < recording.duration


def test_onsets_lie_between_samples_and_are_followed_exactly():
    config = replace(QUIET, snr=0.0, sfreq=1000.0, background_uv=0.1, alpha_uv=0, sensor_uv=0)
    fine = simulate_recording(all_scenes()[:3], config)
    coarse = simulate_recording(all_scenes()[:3], replace(config, sfreq=128.0))
    onsets = np.array([event.onset for event in fine.events])
    assert np.allclose(onsets, [event.onset for event in coarse.events])
    assert np.ptp(onsets * 128 % 1) > 0.01
    channel = fine.ch_names.index("O1")
    peaks = [int(onset * 1000) + fine.data[channel, int(onset * 1000) :][:800].argmax() for onset in onsets]
    latency = np.array(peaks) / 1000 - onsets
    assert np.ptp(latency) < 0.01


def test_source_says_that_it_is_simulated():
    recording = simulate_recording(all_scenes()[:2], EPOC)
    assert "simulated, not brain data" in recording.source["file"]
    assert recording.source["format"] == "simulated"
    assert recording.source["montage"] == "epoc-14"
    assert recording.source["n_events"] == 2


def test_leadfield_is_strongest_above_a_radial_dipole_and_refuses_what_lies_outside():
    positions = build_brain(EPOC).head.ch_positions
    above = (positions[6] - [0.0, 0.015, 0.040]) / np.linalg.norm(positions[6] - [0.0, 0.015, 0.040])
    gain = leadfield(positions, 0.85 * above[None], above[None])
    assert gain[:, 0].argmax() == 6
    assert 0.05 < 1e6 * 10e-9 * gain[6, 0] < 20, "10 nA·m give microvolts"
    with pytest.raises(ValueError, match="outside"):
        leadfield(positions, np.array([[0.0, 0.0, 1.2]]), np.array([[0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"montage": "helmet"}, "epoc-14"),
        ({"snr": -1.0}, "snr"),
        ({"sfreq": 10.0}, "sfreq"),
        ({"soa_s": 0.05}, "soa_jitter_s"),
        ({"background_uv": float("nan")}, "background_uv"),
    ],
)
def test_config_refuses_what_cannot_be(changes, match):
    with pytest.raises(ValueError, match=match):
        replace(EPOC, **changes)


def test_no_scene_is_refused():
    with pytest.raises(ValueError, match="no scene"):
        simulate_recording([], EPOC)
