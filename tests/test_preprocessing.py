"""Preprocessing: what each step does to a known signal, and that training and use see the same numbers."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest
import torch

from core.covariances import covariances
from core.loading.load import load_recording
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.normaliser import Normaliser, fit_normaliser, normalise
from core.preprocessing.selection import (
    Selection,
    end_to_end,
    select_events,
    select_times,
    selected_eeg,
    that_fit,
)
from core.preprocessing.windows import cut_windows
from core.recording import Event, Recording

EPOC = MONTAGES["epoc-14"]
UNFITTED = Normaliser(np.zeros(14, np.float32), np.ones(14, np.float32))


def a_config(**changes) -> PreprocessingConfig:
    values = {"ch_names": EPOC, "sfreq": 128.0, "tmin": 0.0, "tmax": 1.0, "scaling": "none"}
    return PreprocessingConfig(**{**values, **changes})


def noise(seconds: float = 10.0, sfreq: float = 128.0, names: tuple[str, ...] = EPOC, seed: int = 0, **kw) -> Recording:
    data = np.random.default_rng(seed).standard_normal((len(names), round(seconds * sfreq))) * 2e-5
    return Recording(data.astype(np.float32), sfreq, names, **kw)


def used(selection: Selection, config: PreprocessingConfig, normaliser: Normaliser = UNFITTED) -> np.ndarray:
    """What an encoder is given of the selected windows."""
    return normalise(selected_eeg(selection, config), config, normaliser)


def tone(frequency: float, seconds: float = 10.0, sfreq: float = 512.0, uv: float = 20.0) -> Recording:
    times = np.arange(round(seconds * sfreq)) / sfreq
    row = (uv * 1e-6 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)
    return Recording(np.tile(row, (14, 1)), sfreq, EPOC)


def level(recording: Recording) -> float:
    """Amplitude in the middle of the recording, in uV of a sine."""
    n = recording.n_times
    return float(recording.data[0, n // 4 : -n // 4].std() * np.sqrt(2) * 1e6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ch_names": ()}, "ch_names"),
        ({"ch_names": ("Cz", "Cz")}, "each once"),
        ({"sfreq": 0.0}, "sfreq"),
        ({"sfreq": float("inf")}, "sfreq"),
        ({"tmax": 0.0}, "end after it starts"),
        ({"tmax": 1e9}, "samples"),
        ({"l_freq": 40.0, "h_freq": 10.0}, "below h_freq"),
        ({"h_freq": 64.0}, "64"),
        ({"l_freq": -1.0}, "above 0"),
        ({"notch": (0.0,)}, "notch"),
        ({"filter_order": 99}, "1 to 10"),
        ({"reference": "linked"}, "reference"),
        ({"reference": ("Cz",)}, "reference"),
        ({"baseline": (-0.5, 0.0)}, "baseline"),
        ({"scaling": "zscore"}, "known: none, train, window"),
        ({"whitening": "pca"}, "known: none, mvnn"),
        ({"clip": 0.0}, "clip"),
        ({"reject_uv": -1.0}, "reject_uv"),
        ({"min_matched_channels": 0.0}, "min_matched"),
        ({"ch_positions": ((0.0, 0.0, 1.0),)}, "ch_positions"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_config(**changes)


def test_settings_survive_json() -> None:
    config = a_config(
        tmin=-0.2,
        baseline=(-0.2, 0.0),
        notch=(50.0,),
        reference=("O1", "O2"),
        clip=6.0,
        ch_positions=((0, 0, 1.0),) * 14,
    )
    back = PreprocessingConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config
    assert hash(back) == hash(config)
    assert config.n_times == 154
    with pytest.raises(ValueError, match=r"unknown settings \['lfreq'\]"):
        PreprocessingConfig.from_dict({**config.to_dict(), "lfreq": 1})
    with pytest.raises(ValueError, match=r"\['sfreq'\] are missing"):
        PreprocessingConfig.from_dict({k: v for k, v in config.to_dict().items() if k != "sfreq"})
    with pytest.raises(ValueError, match=r"numbers|wrong type"):
        PreprocessingConfig.from_dict({**config.to_dict(), "sfreq": "fast"})


@pytest.mark.parametrize("frequency", [10.0, 20.0])
def test_the_band_passes_what_is_in_it(frequency: float) -> None:
    prepared = prepare_continuous(tone(frequency), a_config(l_freq=1.0, h_freq=40.0))
    assert level(prepared) == pytest.approx(20.0, rel=0.02)


@pytest.mark.parametrize("frequency", [0.1, 90.0])
def test_the_band_stops_what_is_outside(frequency: float) -> None:
    prepared = prepare_continuous(tone(frequency, 60.0), a_config(l_freq=1.0, h_freq=40.0))
    assert level(prepared) < 0.2


def test_the_notch_takes_the_line_and_leaves_the_rest() -> None:
    config = a_config(notch=(50.0,))
    assert level(prepare_continuous(tone(50.0), config)) < 1.0
    assert level(prepare_continuous(tone(40.0), config)) == pytest.approx(20.0, rel=0.03)


def test_filters_agree_with_mne() -> None:
    recording = noise(20.0, 256.0)
    ours = prepare_continuous(recording, a_config(sfreq=256.0, l_freq=1.0, h_freq=40.0)).data
    theirs = mne.filter.filter_data(
        recording.data.astype(float), 256.0, 1.0, 40.0, method="iir", iir_params={"order": 4, "ftype": "butter"},
        verbose="ERROR",
    )  # fmt: skip
    middle = slice(512, -512)
    assert np.abs(ours[:, middle] - theirs[:, middle]).max() < 1e-3 * np.abs(theirs).max()


def test_filters_are_zero_phase() -> None:
    data = np.zeros((14, 2561), np.float32)
    data[:, 1280] = 1e-4
    prepared = prepare_continuous(Recording(data, 128.0, EPOC), a_config(l_freq=1.0, h_freq=30.0))
    assert np.abs(prepared.data[0]).argmax() == 1280
    np.testing.assert_allclose(prepared.data[0], prepared.data[0, ::-1], atol=1e-9)


def test_filters_never_cross_a_segment() -> None:
    one, two = noise(5.0, seed=1), noise(5.0, seed=2)
    config = a_config(l_freq=1.0, h_freq=40.0, notch=(50.0,))
    # an offset of 4 mV in the second half would ring into the first through a filter that did not stop
    joined = Recording(np.concatenate([one.data, two.data + 4e-3], axis=1), 128.0, EPOC, segments=(0, 640))
    prepared = prepare_continuous(joined, config)
    np.testing.assert_array_equal(prepared.data[:, :640], prepare_continuous(one, config).data)
    np.testing.assert_allclose(prepared.data[:, 640:], prepare_continuous(two, config).data, atol=2e-8)


def test_segments_too_short_to_pad_or_to_filter_are_borne() -> None:
    recording = noise(5.0, segments=(0, 2, 10, 600))
    prepared = prepare_continuous(recording, a_config(l_freq=0.5, h_freq=40.0, notch=(50.0,)))
    assert np.isfinite(prepared.data).all()
    assert (prepared.data[:, :2] == 0).all()
    assert prepared.segments == recording.segments


def test_a_rate_below_twice_the_low_pass_is_an_error_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"40 Hz needs a recording at more than 80 Hz; this one is at 64 Hz"):
        prepare_continuous(noise(sfreq=64.0), a_config(h_freq=40.0))


def test_a_notch_above_half_the_rate_is_left_out_and_noted() -> None:
    prepared = prepare_continuous(noise(), a_config(notch=(50.0, 100.0)))
    assert prepared.source["prepared"]["notes"] == [
        "no notch at 100 Hz: it is not below half of the recording's rate, 64 Hz"
    ]


def test_samples_that_are_not_numbers_are_refused() -> None:
    recording = noise()
    recording.data[3, 5] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        prepare_continuous(recording, a_config())


@pytest.mark.parametrize("sfreq", [100.0, 250.0, 256.0, 500.0, 512.0, 1000.0, 2048.0, 64.0, 127.3])
def test_resampling_keeps_duration(sfreq: float) -> None:
    recording = noise(7.0, sfreq, events=(Event(3.25, 0.0, "x"),))
    prepared = prepare_continuous(recording, a_config())
    assert prepared.sfreq == 128.0
    assert abs(prepared.duration - recording.duration) <= 0.5 / 128.0 + 1e-9
    assert prepared.events == recording.events


@pytest.mark.parametrize("sfreq", [100.0, 256.0, 1000.0])
def test_resampling_keeps_a_tone_in_its_place(sfreq: float) -> None:
    times = np.arange(round(10 * sfreq)) / sfreq
    row = (4e-3 + 2e-5 * np.sin(2 * np.pi * 10 * times)).astype(np.float32)
    prepared = prepare_continuous(Recording(np.tile(row, (14, 1)), sfreq, EPOC), a_config())
    at = np.arange(prepared.n_times) / 128.0
    expected = 4e-3 + 2e-5 * np.sin(2 * np.pi * 10 * at)
    assert np.abs(prepared.data[0] - expected)[64:-64].max() < 3e-7


def test_resampled_segments_start_when_they_did() -> None:
    n_epochs, length = 100, 60
    data = np.random.default_rng(0).standard_normal((14, n_epochs * length)).astype(np.float32) * 1e-5
    events = tuple(Event(i * 1.2 + 0.2, 0.0, "x") for i in range(n_epochs))
    recording = Recording(data, 50.0, EPOC, events=events, segments=tuple(range(0, 6000, 60)))
    prepared = prepare_continuous(recording, a_config())
    assert len(prepared.segments) == n_epochs
    assert np.abs(np.array(prepared.segments) / 128.0 - np.arange(n_epochs) * 1.2).max() <= 0.5 / 128 + 1e-9
    # a window as long as the epoch still fits in each, whichever way its ends were rounded
    whole = cut_windows(prepared, [e.onset for e in events], a_config(tmin=-0.2, tmax=0.99))
    assert whole.kept.all()


def test_average_and_named_references() -> None:
    prepared = prepare_continuous(noise(), a_config(reference="average"))
    assert np.abs(prepared.data.mean(axis=0)).max() < 1e-10
    prepared = prepare_continuous(noise(), a_config(reference=("O1", "O2")))
    assert np.abs(prepared.data[[EPOC.index("O1"), EPOC.index("O2")]].mean(axis=0)).max() < 1e-10


def test_channels_are_matched_interpolated_and_reported() -> None:
    names = (*[name for name in EPOC if name != "O1"][::-1], "Oz", "weird")
    recording = noise(names=names)
    prepared = prepare_continuous(recording, a_config())
    assert prepared.ch_names == EPOC
    np.testing.assert_array_equal(prepared.data[0], recording.data[names.index("AF3")])
    about = prepared.source["prepared"]
    assert (about["interpolated"], about["unused"]) == (["O1"], ["weird"])
    with pytest.raises(ValueError, match="4 of the 63 channels"):
        prepare_continuous(noise(names=MONTAGES["muse-4"]), a_config(ch_names=MONTAGES["things-63"]))


def test_windows_are_cut_where_the_event_is() -> None:
    data = np.tile(np.arange(1280, dtype=np.float32), (14, 1))
    windows = cut_windows(Recording(data, 128.0, EPOC), [2.0, 5.0], a_config(tmin=-0.5, tmax=0.5))
    assert windows.data.shape == (2, 14, 128)
    assert windows.data.dtype == np.float32
    assert windows.data[0, 0, 0] == 192
    assert windows.data[0, 3, 64] == 256
    assert windows.kept.all()
    assert windows.reasons == (None, None)


def test_windows_that_cannot_be_cut_say_why() -> None:
    recording = noise(10.0, segments=(0, 640))
    windows = cut_windows(recording, [0.2, 4.8, 9.5, 6.0, -3.0, 50.0], a_config(tmin=-0.5, tmax=0.5))
    assert windows.kept.tolist() == [False, False, True, True, False, False]
    outside = "outside the recording"
    assert windows.reasons == (outside, "crosses a gap", None, None, outside, outside)
    assert len(windows.data) == 2


def test_rejected_windows_are_not_in_the_data_unless_asked_for() -> None:
    recording = noise()
    recording.data[2, 300] = 3e-4
    config = a_config(reject_uv=250.0)
    windows = cut_windows(recording, [1.0, 2.0, 4.0], config)
    assert windows.kept.tolist() == [True, False, True]
    assert windows.reasons[1] is not None
    assert windows.reasons[1].startswith("amplitude 3")
    assert windows.reasons[1].endswith("uV over 250 uV")
    assert len(windows.data) == 2
    kept = cut_windows(recording, [1.0, 2.0, 4.0], config, keep_rejected=True)
    assert kept.kept.all()
    assert kept.reasons == windows.reasons
    np.testing.assert_array_equal(kept.data[[0, 2]], windows.data)


def test_baseline_is_zero_over_its_span() -> None:
    config = a_config(tmin=-0.25, tmax=0.75, baseline=(-0.25, 0.0))
    windows = cut_windows(noise(), [2.0, 3.0], config)
    assert np.abs(windows.data[:, :, :32].mean(axis=2)).max() < 1e-11
    raw = cut_windows(noise(), [2.0, 3.0], a_config(tmin=-0.25, tmax=0.75))
    np.testing.assert_allclose(np.diff(windows.data), np.diff(raw.data), atol=1e-11)


def test_a_window_longer_than_the_recording_is_an_error_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"window of 2 s .* longer than the recording, which lasts 1 s"):
        used(select_times(noise(1.0), [0.0]), a_config(tmax=2.0))


def test_cutting_what_was_not_prepared_is_an_error() -> None:
    with pytest.raises(ValueError, match="prepare_continuous first"):
        cut_windows(noise(sfreq=256.0), [1.0], a_config())


def test_scaling_by_training_gives_median_zero_and_spread_one() -> None:
    eeg = np.random.default_rng(0).standard_normal((50, 14, 128)).astype(np.float32) * 1e-5
    eeg *= np.arange(1, 15)[None, :, None]
    eeg[3, 5] = 1.0  # an outlier of a volt moves neither
    config = a_config(scaling="train", clip=8.0)
    done = normalise(eeg, config, fit_normaliser(eeg, config))
    assert done.dtype == np.float32
    per_channel = done.transpose(1, 0, 2).reshape(14, -1)
    np.testing.assert_allclose(np.median(per_channel, axis=1), 0.0, atol=1e-5)
    low, high = np.percentile(per_channel, [25, 75], axis=1)
    np.testing.assert_allclose((high - low) / 1.349, 1.0, rtol=1e-3)
    assert np.abs(done).max() == 8.0


def test_scaling_by_window_needs_nothing_fitted() -> None:
    eeg = np.random.default_rng(0).standard_normal((5, 14, 128)).astype(np.float32) * 1e-5
    done = normalise(eeg * 7 + 4e-3, a_config(scaling="window"), UNFITTED)
    np.testing.assert_allclose(np.median(done, axis=2), 0.0, atol=1e-3)
    np.testing.assert_allclose(np.subtract(*np.percentile(done, [75, 25], axis=2)) / 1.349, 1.0, rtol=1e-3)


def test_a_dead_channel_does_not_blow_up() -> None:
    eeg = np.random.default_rng(0).standard_normal((5, 14, 128)).astype(np.float32) * 1e-5
    eeg[:, 4] = 1e-5
    for scaling in ("train", "window"):
        config = a_config(scaling=scaling)
        done = normalise(eeg, config, fit_normaliser(eeg, config))
        assert (done[:, 4] == 0).all()
        assert np.isfinite(done).all()


def correlated(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.eye(14) + 0.3 * rng.standard_normal((14, 14))
    return (mixing @ rng.standard_normal((n, 14, 128)) * 1e-5).astype(np.float32)


def shrunk_covariances(eeg: np.ndarray) -> np.ndarray:
    return covariances(torch.from_numpy(eeg.astype(np.float64)), "lwf").numpy()


def test_shrinkage_matches_sklearn() -> None:
    from sklearn.covariance import ledoit_wolf

    eeg = correlated(6)
    expected = np.array([ledoit_wolf(window.T.astype(float) * 1e6)[0] for window in eeg]) * 1e-12
    np.testing.assert_allclose(shrunk_covariances(eeg), expected, rtol=1e-6, atol=1e-18)


def test_whitening_makes_the_mean_covariance_the_identity() -> None:
    eeg = correlated(80)
    config = a_config(whitening="mvnn")
    whitener = fit_normaliser(eeg, config).whitener.astype(float)
    np.testing.assert_allclose(whitener @ shrunk_covariances(eeg).mean(axis=0) @ whitener, np.eye(14), atol=1e-3)
    done = normalise(eeg, config, fit_normaliser(eeg, config))
    correlation = np.mean([np.corrcoef(window) for window in done], axis=0)
    assert np.abs(correlation - np.eye(14)).max() < 0.3
    assert np.abs(np.corrcoef(eeg[0]) - np.eye(14)).max() > 0.5


def test_whitening_weighs_every_class_alike() -> None:
    quiet, loud = correlated(90, 1), correlated(10, 2) * 30
    eeg, labels = np.concatenate([quiet, loud]), np.repeat([0, 1], [90, 10])
    config = a_config(whitening="mvnn")
    balanced = fit_normaliser(eeg, config, labels).whitener
    again = fit_normaliser(np.concatenate([quiet[:10], loud]), config, np.repeat([0, 1], 10)).whitener
    plain = fit_normaliser(eeg, config).whitener
    assert np.abs(balanced - again).max() < 0.1 * np.abs(balanced).max()
    assert np.abs(plain - balanced).max() > 0.5 * np.abs(balanced).max()


def test_whitening_survives_an_average_reference() -> None:
    eeg = correlated(50)
    eeg -= eeg.mean(axis=1, keepdims=True)
    config = a_config(whitening="mvnn", scaling="train")
    assert np.isfinite(normalise(eeg, config, fit_normaliser(eeg, config))).all()


def test_fitting_refuses_what_it_cannot_use() -> None:
    config = a_config(scaling="train", whitening="mvnn")
    with pytest.raises(ValueError, match=r"\(n, 14, n_times\)"):
        fit_normaliser(np.zeros((3, 4, 5), np.float32), config)
    with pytest.raises(ValueError, match="3 labels for 5"):
        fit_normaliser(correlated(5), config, np.zeros(3))
    broken = correlated(5)
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        fit_normaliser(broken, config)
    with pytest.raises(ValueError, match="14 channels"):
        normalise(np.zeros((3, 4, 5), np.float32), config, UNFITTED)


def test_a_normaliser_survives_its_arrays_and_refuses_bent_ones() -> None:
    config = a_config(scaling="train", whitening="mvnn")
    normaliser = fit_normaliser(correlated(20), config)
    arrays = {name: torch.from_numpy(value) for name, value in normaliser.to_arrays().items()}
    back = Normaliser.from_arrays(arrays)
    for name, value in normaliser.to_arrays().items():
        np.testing.assert_array_equal(getattr(back, name), value)
    with pytest.raises(ValueError, match="missing"):
        Normaliser.from_arrays({"center": arrays["center"]})
    with pytest.raises(ValueError, match="disagree"):
        Normaliser.from_arrays({**arrays, "scale": arrays["scale"][:3]})


@pytest.mark.parametrize("scaling", ["none", "train", "window"])
@pytest.mark.parametrize("whitening", ["none", "mvnn"])
def test_a_window_alone_and_in_a_batch_and_as_a_tensor_is_the_same(scaling: str, whitening: str) -> None:
    eeg = correlated(40)
    config = a_config(scaling=scaling, whitening=whitening, clip=5.0)
    normaliser = fit_normaliser(eeg, config)
    before = eeg.copy()
    done = normalise(eeg, config, normaliser)
    np.testing.assert_array_equal(eeg, before)
    np.testing.assert_array_equal(normalise(eeg[7:8], config, normaliser)[0], done[7])
    np.testing.assert_array_equal(normalise(eeg[7], config, normaliser), done[7])
    tensor = normalise(torch.from_numpy(eeg), config, normaliser)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), done)


EVENTS = tuple(Event(0.8 + 0.75 * i, 0.0, str(1 + i % 2)) for i in range(11))


@pytest.mark.parametrize("sfreq", [128.0, 256.0, 500.0])
def test_training_and_use_see_the_same_tensors_bit_for_bit(sfreq: float) -> None:
    names = (*[name for name in EPOC if name != "P7"], "Pz", "Oz")
    recording = noise(10.0, sfreq, names=names, events=EVENTS, segments=(0, round(5 * sfreq)))
    config = a_config(
        tmin=-0.1, tmax=0.6, l_freq=1.0, h_freq=40.0, notch=(50.0,), reference="average", baseline=(-0.1, 0.0),
        scaling="train", whitening="mvnn", clip=6.0, reject_uv=500.0,
    )  # fmt: skip
    # training: prepare, cut all, keep in a store, fit on them, normalise in shuffled batches
    prepared = prepare_continuous(recording, config)
    cut = cut_windows(prepared, np.array([event.onset for event in EVENTS]), config)
    normaliser = fit_normaliser(cut.data, config, np.array([int(EVENTS[i].label) for i in np.flatnonzero(cut.kept)]))
    order = np.random.default_rng(0).permutation(len(cut.data))
    trained_on = np.empty_like(cut.data)
    for batch in np.array_split(order, 3):
        trained_on[batch] = normalise(cut.data[batch], config, normaliser)
    # use: the encoder's file, the recording, and a selection
    config = PreprocessingConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    normaliser = Normaliser.from_arrays(normaliser.to_arrays())
    chosen = that_fit(select_events(recording), config)
    np.testing.assert_array_equal(used(chosen, config, normaliser), trained_on)
    assert chosen.groups == tuple((EVENTS[at].onset,) for at in np.flatnonzero(cut.kept))
    for i, at in enumerate(np.flatnonzero(cut.kept)):
        by_place, by_time = select_events(recording, places=str(at)), select_times(recording, [EVENTS[at].onset])
        np.testing.assert_array_equal(used(by_place, config, normaliser)[0], trained_on[i])
        np.testing.assert_array_equal(used(by_time, config, normaliser)[0], trained_on[i])


def test_real_recording_is_the_same_in_training_and_in_use(shared_data: Path) -> None:
    recording = load_recording(shared_data / "n170_muse" / "subject1_session1_data_2017-09-13-15.30.01.csv.gz")
    config = a_config(
        ch_names=MONTAGES["muse-4"], sfreq=256.0, tmin=-0.1, tmax=0.8, l_freq=1.0, h_freq=30.0, scaling="train",
        reject_uv=75.0,
    )  # fmt: skip
    onsets = np.array([event.onset for event in recording.events])
    cut = cut_windows(prepare_continuous(recording, config), onsets, config)
    assert 0.8 < cut.kept.mean() <= 1.0
    assert set(cut.reasons) - {None} <= {r for r in cut.reasons if r and (r.startswith("amplitude") or "outside" in r)}
    normaliser = fit_normaliser(cut.data, config)
    is_two = np.array([event.label == "2" for event in recording.events])
    clean_two = select_times(recording, onsets[is_two & cut.kept])
    wanted = normalise(cut.data[is_two[cut.kept]], config, normaliser)
    np.testing.assert_array_equal(used(clean_two, config, normaliser), wanted)


def test_windows_are_chosen_by_label_place_and_time() -> None:
    recording = noise(events=EVENTS)
    config = a_config()
    everything = used(select_events(recording), config)
    assert len(everything) == 11
    np.testing.assert_array_equal(used(select_events(recording, "2"), config), everything[1::2])
    np.testing.assert_array_equal(used(select_events(recording, places="3, -1"), config), everything[[3, -1]])
    np.testing.assert_array_equal(used(select_events(recording, "2", "1"), config)[0], everything[3])
    at = used(select_times(recording, [EVENTS[0].onset, EVENTS[4].onset]), config)
    np.testing.assert_array_equal(at, everything[[0, 4]])


def test_without_events_windows_lie_end_to_end() -> None:
    recording = noise(3.5, segments=(0, 160))
    config = a_config(tmin=-0.5, tmax=0.5)
    windows = used(end_to_end(recording, config), config)
    assert windows.shape == (3, 14, 128)
    np.testing.assert_array_equal(windows[0], recording.data[:, :128])
    np.testing.assert_array_equal(windows[1], recording.data[:, 160:288])
    with pytest.raises(ValueError, match=r"not one window of 9 s \(-4.5 to 4.5 s\) fits .* lasts 3.5 s"):
        end_to_end(recording, a_config(tmin=-4.5, tmax=4.5))


def test_a_selection_of_nothing_says_what_there_is() -> None:
    recording = noise(events=EVENTS)
    with pytest.raises(ValueError, match=r"no event is labelled 'face'; this recording's events: '1' x 6, '2' x 5"):
        select_events(recording, "face")
    with pytest.raises(ValueError, match="no event 5: this recording has 5 events labelled '2'"):
        select_events(recording, "2", "5")
    with pytest.raises(ValueError, match=r"no window is left of 1: outside the recording .* lasts 10 s"):
        that_fit(Selection(recording, ((99.0,),), ("99 s",)), a_config())
    none = cut_windows(recording, [event.onset for event in EVENTS], a_config(reject_uv=1.0))
    assert len(none.data) == 0
    assert all("amplitude" in reason for reason in none.reasons)


def test_windows_that_cannot_be_cut_are_left_out_where_asked_and_named_otherwise() -> None:
    recording, config = noise(events=EVENTS, segments=(0, 320)), a_config()
    chosen = that_fit(select_events(recording), config)
    cut = cut_windows(recording, [event.onset for event in EVENTS], config)
    assert 0 < len(chosen) < 11
    np.testing.assert_array_equal(used(chosen, config), cut.data)
    assert chosen.labels == tuple(event.label for event, kept in zip(EVENTS, cut.kept, strict=True) if kept)
    with pytest.raises(ValueError, match=r"window 2 .* cannot be cut: crosses a gap"):
        used(select_events(recording), config)
    # one window of a group is enough
    assert that_fit(select_events(recording, average="per label"), config).labels == ("1", "2")


def test_the_average_is_taken_in_volts_of_clean_windows() -> None:
    recording = noise(events=EVENTS)
    recording.data[0, 110] = 1e-2
    config = a_config(scaling="window", reject_uv=500.0)
    mean = used(select_events(recording).averaged("mean"), config)
    cut = cut_windows(recording, [event.onset for event in EVENTS], config)
    assert not cut.kept.all()
    expected = normalise(cut.data.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32), config, UNFITTED)
    assert mean.shape == (1, 14, 128)
    np.testing.assert_array_equal(mean, expected)
    np.testing.assert_array_equal(used(select_events(recording, average="all"), config), expected)
