"""Whether anything is decodable: yes for the encoder's own person, no for whatever is none of it; p is honest."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.conditioning.for_host import answer
from core.evidence.association import association_p
from core.evidence.background import background, bands_of, layout_of
from core.evidence.locking import filter_recording, filter_windows, locked_to, locked_trials, matched_filter
from core.evidence.scores import cancelled
from core.fitting.calibration import guess_p_of
from core.fitting.personal_encoder import fit_personal_encoder
from core.model.checkpoint import HEADER_KEY, load_encoder, read_header, save_encoder
from core.model.confidence import confidence_share
from core.model.decodable import decodable, decodable_windows, unable
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import all_scenes
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.selection import prepared, select_events, select_times
from core.recording import Event, Recording
from tests.small_encoders import small_encoder, small_preprocessing

SCENES = [all_scenes()[i] for i in (0, 217)]


def sitting(seed: int, n: int = 120, **changes) -> Recording:
    order = np.random.default_rng([seed, 5]).integers(0, 2, n)
    return simulate_recording([SCENES[i] for i in order], BrainConfig(**{"snr": 0.6, **changes}), seed)


@pytest.fixture(scope="module")
def encoder():
    return fit_personal_encoder(sitting(0, 200)).encoder


@pytest.fixture(scope="module")
def fresh():
    return sitting(9)


def moved(recording: Recording, by: float) -> Recording:
    events = tuple(replace(e, onset=(e.onset + by) % (recording.duration - 1)) for e in recording.events)
    return replace(recording, events=tuple(sorted(events, key=lambda e: e.onset)))


def white(recording: Recording) -> Recording:
    noise = np.random.default_rng(1).standard_normal(recording.data.shape)
    return replace(recording, data=(recording.data.std(axis=1, keepdims=True) * noise).astype(np.float32))


def pink(recording: Recording) -> Recording:
    spectrum = np.fft.rfft(recording.data.astype(np.float64), axis=1)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * np.random.default_rng(2).random(spectrum.shape))
    return replace(recording, data=np.fft.irfft(turned, recording.n_times, axis=1).astype(np.float32))


NULLS = {
    "white noise": white,
    "noise with the recording's own spectra": pink,
    "channels in another order": lambda r: replace(r, data=np.ascontiguousarray(r.data[::-1])),
    "every channel named as its neighbour": lambda r: replace(r, data=np.ascontiguousarray(np.roll(r.data, 1, axis=0))),
    "markers 3.7 s late": lambda r: moved(r, 3.7),
    "markers half a recording late": lambda r: moved(r, 61.0),
    "SNR 0": lambda r: sitting(9, snr=0.0),
    "a flat recording": lambda r: replace(r, data=np.zeros_like(r.data)),
}


def test_the_next_sitting_of_the_same_person_is_decodable(encoder, fresh):
    found = decodable(encoder, select_events(fresh))
    assert found.gate == 1
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.line().startswith("anything decodable here: yes (p = ")
    said = answer(encoder, select_events(fresh))
    assert said.confidence > 0.6
    assert "right with probability" in said.report


@pytest.mark.parametrize("name", list(NULLS))
@pytest.mark.parametrize("average", ["none", "per label"])
def test_where_there_is_nothing_the_encoder_draws_nothing(encoder, fresh, name, average):
    selection = select_events(NULLS[name](fresh), average=average)
    found = answer(encoder, selection)
    judged = decodable(encoder, selection)
    assert not judged.is_decodable
    assert judged.reasons
    assert found.confidence < 0.55
    assert judged.reasons[0] in found.report


@pytest.mark.parametrize("average", ["none", "per label", "all"])
def test_one_window_is_judged_as_its_recording_is(encoder, fresh, average):
    selection = select_events(fresh, average=average)
    one = decodable(encoder, selection.only(0))
    assert one.gate == 1


def test_a_single_moment_that_is_no_event_tells_too_little(encoder, fresh):
    found = decodable(encoder, select_times(fresh, [5.0]))
    assert not found.is_decodable
    assert "1 moments tell little" in found.line()


def labelled(recording: Recording, labels) -> Recording:
    events = tuple(replace(e, label=str(label)) for e, label in zip(recording.events, labels, strict=True))
    return replace(recording, events=events)


def test_answers_that_contradict_the_labels_are_no_decoding(encoder, fresh):
    names = encoder.evidence.labels
    assert set(names) == {e.label for e in fresh.events}
    swapped = labelled(fresh, [names[1 - names.index(e.label)] for e in fresh.events])
    found = decodable(encoder, select_events(swapped))
    assert not found.is_decodable
    assert "do not go with the recording's own labels" in found.line()


def test_a_response_to_what_training_did_not_tell_apart_is_no_decoding(encoder, fresh):
    others = labelled(fresh, np.random.default_rng(4).choice(["x", "y"], len(fresh.events)))
    found = decodable(encoder, select_events(others))
    assert not found.is_decodable
    assert "do not differ" in found.line()


def test_where_answers_cannot_be_tested_a_response_alone_means_perhaps(encoder, fresh, tmp_path):
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    unscored = load_encoder(tmp_path / "encoder.safetensors")
    nothing = (0,) * len(unscored.evidence.scored[0])
    unscored.evidence = replace(unscored.evidence, scored=(nothing, nothing))
    found = decodable(unscored, select_events(labelled(fresh, ["picture"] * len(fresh.events))))
    assert found.word == "perhaps"
    assert 0 < found.gate <= 0.2
    assert "too little to tell whether its answers mean anything" in found.line()


def test_flicker_in_long_windows_is_seen_by_few_of_them():
    config = PreprocessingConfig(("A", "B"), 128.0, 0.0, 2.5, None, None)
    rng, times = np.random.default_rng(0), np.arange(320) / 128
    flicker = 0.25 * np.sin(2 * np.pi * 15 * times)

    def run() -> np.ndarray:
        noise = np.cumsum(rng.standard_normal((30, 2, 320)), axis=2) / 4 + rng.standard_normal((30, 2, 320))
        return 1e-5 * (noise - noise.mean(axis=2, keepdims=True) + flicker)

    response = matched_filter([run() for _ in range(3)])
    assert locked_trials(filter_windows(response, run()), np.zeros((5, 65))).p_value < 0.001
    silent = run() - 1e-5 * flicker
    assert locked_trials(filter_windows(response, silent), np.zeros((5, 65))).p_value > 0.05
    assert response.shape == (len(config.ch_names), config.n_times)


def test_a_steady_delay_of_the_markers_is_named(encoder, fresh):
    found = decodable(encoder, select_events(moved(fresh, 0.15)))
    assert not found.is_decodable
    assert "are the markers late?" in found.line()


def test_a_channel_with_another_amplitude_is_named(encoder, fresh):
    data = fresh.data.copy()
    data[fresh.ch_names.index("P7")] *= 6
    found = decodable(encoder, select_events(replace(fresh, data=data)))
    assert found.gate < 1
    assert "P7 has 5.9 times the amplitude" in found.line()


def test_an_encoder_that_guessed_on_left_out_windows_has_no_confidence():
    found = fit_personal_encoder(sitting(3, 200, snr=0.0)).encoder
    said = answer(found, select_events(sitting(4, snr=0.0)))
    assert said.confidence == 0
    assert "no better than guessing" in said.report


def test_labels_shown_in_blocks_leave_no_confidence():
    order = np.repeat([0, 1], 80)
    blocked = simulate_recording([SCENES[i] for i in order], BrainConfig(snr=0.6), 0)
    found = fit_personal_encoder(blocked).encoder
    assert "failed a leak check" in decodable(found, select_events(sitting(9))).line()


def test_an_old_file_loads_and_says_that_it_cannot_tell(encoder, fresh, tmp_path):
    path = tmp_path / "old.safetensors"
    save_encoder(encoder, path)
    tensors = {name: t for name, t in load_file(path).items() if not name.startswith("evidence.")}
    header = read_header(path)
    del header["evidence"]
    header["format_version"] = 1
    header["confidence"] = {"prompts": {"slope": 1.0, "intercept": 0.0, "chance": 0.5, "n": 40}}
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(header)})
    loaded = load_encoder(path)
    found = answer(loaded, select_events(fresh))
    assert found.confidence == 0
    assert "it cannot tell whether it reads anything" in found.report
    assert "cannot tell, this file keeps no evidence" in loaded.card_text()


def test_evidence_and_calibration_survive_the_file(encoder, fresh, tmp_path):
    save_encoder(encoder, tmp_path / "one file ü.safetensors")
    loaded = load_encoder(tmp_path / "one file ü.safetensors")
    for name, array in encoder.evidence.to_arrays().items():
        assert np.array_equal(loaded.evidence.to_arrays()[name], array)
    assert loaded.evidence.to_json() == encoder.evidence.to_json()
    assert loaded.confidence == encoder.confidence
    again, first = decodable(loaded, select_events(fresh)), decodable(encoder, select_events(fresh))
    assert replace(again, likeness=first.likeness) == first
    assert again.likeness == pytest.approx(first.likeness, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["evidence"].update(n_runs=10**9),
        lambda h: h["evidence"].update(n_runs="two"),
        lambda h: h["evidence"].update(scored=[1]),
        lambda h: h["evidence"].update(guess_p=[1]),
        lambda h: h["evidence"].pop("locked"),
        lambda h: h.update(evidence=[1]),
        lambda h: h["confidence"]["prompts"].update(slope="steep"),
        lambda h: h["confidence"]["prompts"].update(chance=0),
        lambda h: h["confidence"]["prompts"].update(others=[3]),
    ],
)
def test_hostile_evidence_is_one_readable_error(encoder, tmp_path, change):
    path = tmp_path / "encoder.safetensors"
    save_encoder(encoder, path)
    tensors, header = load_file(path), read_header(path)
    change(header)
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(header)})
    with pytest.raises(ValueError, match=r"encoder\.safetensors"):
        load_encoder(path)


def test_windows_without_their_recording_are_judged_too(encoder, fresh):
    ready = prepared(fresh, encoder.preprocessing)
    from core.preprocessing.windows import cut_windows

    eeg = cut_windows(ready, [e.onset for e in fresh.events], encoder.preprocessing).data
    assert decodable_windows(encoder, eeg).gate == 1
    later = cut_windows(ready, [e.onset + 0.5 for e in fresh.events[:-2]], encoder.preprocessing).data
    assert not decodable_windows(encoder, later).is_decodable
    assert decodable_windows(encoder, eeg[:0]).gate == 0


def test_p_values_of_random_moments_are_uniform(encoder, fresh):
    config, rng = encoder.preprocessing, np.random.default_rng(0)
    ready = prepared(fresh, config)
    found = filter_recording(encoder.evidence.response, ready, config)
    p = []
    for _ in range(150):
        onsets = np.sort(rng.uniform(1, fresh.duration - 2, rng.choice([1, 4, 12, 60])))
        p.append(locked_to(found, ready, onsets, config, encoder.evidence.nothing).p_value)
    assert np.mean(np.array(p) <= 0.05) <= 0.08
    assert np.mean(np.array(p) <= 0.01) <= 0.02


def test_labels_that_tell_nothing_give_uniform_p_values_and_blocks_none():
    rng = np.random.default_rng(0)
    p = [association_p(rng.standard_normal((60, 2)), rng.integers(0, 2, 60)) for _ in range(120)]
    assert np.mean([one is not None and one <= 0.05 for one in p]) <= 0.1
    assert association_p(rng.standard_normal((60, 2)), np.repeat([0, 1], 30)) is None
    label = rng.integers(0, 2, 60)
    assert association_p(rng.standard_normal((60, 2)) + 1.5 * label[:, None], label) < 0.01


def test_answers_that_know_nothing_are_no_better_than_guessing():
    torch.manual_seed(0)
    p = [guess_p_of(torch.randn(50, 6), torch.randint(0, 6, (50,)), np.repeat([0, 1], 25)) for _ in range(60)]
    assert np.mean(np.array(p) <= 0.05) <= 0.12
    truth = torch.randint(0, 6, (50,))
    assert guess_p_of(torch.randn(50, 6) + 2 * torch.nn.functional.one_hot(truth, 6), truth) == pytest.approx(0.001)


def test_what_was_shown_is_cancelled_and_its_noise_is_not():
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 4, 400)
    pictures = 3 * rng.standard_normal((4, 2, 10))
    eeg = (5 + pictures[shown] + rng.standard_normal((400, 2, 10))).astype(np.float32)
    for averaged in (1, 4):
        left = cancelled(eeg, shown, averaged, 0)
        assert left.mean(axis=0) == pytest.approx(eeg.mean(axis=0), abs=0.3)
        assert left.std(axis=0).mean() == pytest.approx(1 / np.sqrt(averaged), rel=0.1)
    assert not len(cancelled(eeg[:6], shown[:6], 16, 0))


@pytest.mark.parametrize(
    ("n_times", "sfreq", "l_freq", "h_freq"), [(16, 128, 1, 40), (115, 128, None, None), (4, 64, 2, 8)]
)
def test_every_window_has_a_background_of_the_length_that_its_layout_says(n_times, sfreq, l_freq, h_freq):
    config = PreprocessingConfig(("A", "B", "C"), sfreq, 0.0, n_times / sfreq, l_freq, h_freq)
    found = background(np.random.default_rng(0).standard_normal((5, 3, config.n_times)), config)
    assert found.shape == (5, len(layout_of(config).kind))
    assert np.isfinite(found).all()
    assert all(low < high for low, high in bands_of(config))


def test_whoever_cannot_tell_gives_a_share_of_zero():
    encoder = small_encoder()
    encoder.evidence = None
    assert unable(encoder) is not None
    recording = Recording(
        np.zeros((8, 1280), np.float32), 128.0, small_preprocessing().ch_names, None, (Event(2.0, 0.1, "x"),)
    )
    found = answer(encoder, select_events(recording))
    assert found.confidence == 0
    assert confidence_share(torch.zeros(1), 0.5) == 0
