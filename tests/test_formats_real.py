"""The readers on real recordings: what other software knows about these files must come out."""

from pathlib import Path

import numpy as np
import pytest

from core.loading.judgement.gaps_and_amplitudes import robust_uv
from core.loading.load import load_recording
from core.recording import describe


def test_n170_muse(shared_data: Path) -> None:
    path = shared_data / "n170_muse" / "subject1_session1_data_2017-09-13-15.30.01.csv.gz"
    recording = load_recording(path)
    assert (recording.ch_names, recording.sfreq) == (("TP9", "AF7", "AF8", "TP10"), 256.0)
    assert recording.n_times == 30732
    labels = [event.label for event in recording.events]
    assert (labels.count("1"), labels.count("2"), len(labels)) == (108, 89, 197)
    spread = robust_uv(recording.data.astype(float), 256.0)
    assert ((spread > 2) & (spread < 60)).all()
    assert "256 Hz as the maker documents; 256.02 Hz by the timestamps (drift +79 ppm)" in describe(recording)
    assert recording.source["timing"]["effective_hz"] == pytest.approx(256.028, abs=1e-3)


def test_every_labelled_muse_recording_loads_at_256_hz(shared_data: Path) -> None:
    paths = sorted(shared_data.glob("ssvep_muse/*.csv.gz"))
    assert paths
    for path in paths:
        recording = load_recording(path, keep=["Right AUX"])
        assert recording.sfreq == 256.0
        assert "Right AUX" in recording.ch_names
        assert {event.label for event in recording.events} == {"1", "2"}


@pytest.mark.parametrize(
    ("name", "n_channels", "sfreq", "n_times", "n_events", "units"),
    [
        ("bdf/mne_test.bdf", 66, 2048.0, 2048, 1, "declared uV"),
        ("bdf/mne_test_bdf_stim_channel.bdf", 3, 500.0, 5000, 9, "declared uV"),
        ("brainvision/test.vhdr", 26, 1000.0, 7900, 13, "declared uV"),
        ("edf/eeglab_test.edf", 16, 256.0, 15360, 0, "declared uV"),
        ("edf/mne_duplicate_channel_labels.edf", 3, 250.0, 2500, 0, "declared uV"),
        ("eeglab/eeglab_data.set", 30, 128.0, 30504, 154, "assumed uV (EEGLAB writes no unit and means uV)"),
        ("fif/wmvanvliet_subject04-epo.fif", 32, 50.0, 12000, 200, "declared V"),
    ],
)
def test_real_files(shared_data: Path, name, n_channels, sfreq, n_times, n_events, units) -> None:
    recording = load_recording(shared_data / "eeg_formats" / name)
    assert recording.data.shape == (n_channels, n_times)
    assert recording.data.dtype == np.float32
    assert np.isfinite(recording.data).all()
    assert recording.sfreq == sfreq
    assert len(recording.events) == recording.source["n_events"] == n_events
    assert recording.source["units"] == units
    assert 0.1 < np.median(robust_uv(recording.data.astype(float), sfreq, recording.segments)) < 200


def test_old_names_and_duplicate_labels_come_out_right(shared_data: Path) -> None:
    names = load_recording(shared_data / "eeg_formats/edf/eeglab_test.edf").ch_names
    assert {"T7", "T8", "P7", "P8"} <= set(names)
    duplicated = load_recording(shared_data / "eeg_formats/edf/mne_duplicate_channel_labels.edf")
    assert duplicated.ch_names == ("F1", "F2", "EEG F1-Ref-1")
    assert any("same place" in note for note in duplicated.source["notes"])


def test_eeglab_positions_and_eye_channels(shared_data: Path) -> None:
    recording = load_recording(shared_data / "eeg_formats/eeglab/eeglab_data.set")
    assert recording.source["dropped"] == {"EOG1": "eye movement", "EOG2": "eye movement"}
    assert np.shape(recording.ch_positions) == (30, 3)
    assert {event.label for event in recording.events} == {"square", "rt"}


def test_fif_epochs_keep_their_labels_and_time_zero(shared_data: Path) -> None:
    recording = load_recording(shared_data / "eeg_formats/fif/wmvanvliet_subject04-epo.fif")
    assert len(recording.segments) == 200
    assert recording.events[3].onset == pytest.approx(3 * 1.2 + 0.2)
    assert {event.label for event in recording.events} == {"related", "unrelated"}
