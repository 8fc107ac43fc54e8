"""The leak checks of a single recording and the windows that were cut from it."""

import numpy as np

from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.trials import Trials
from ..recording import Recording
from .check import Check
from .evidence.recording_evidence import evidence_of
from .leak_input import LeakInput
from .registry import run_checks


def checks_of_recording(
    recording: Recording,
    eeg: np.ndarray,
    label: np.ndarray,
    labels: tuple[str, ...],
    onset: np.ndarray,
    config: PreprocessingConfig,
) -> list[Check]:
    """Return every leak check of windows (n, n_channels, n_times) in volts with their label (n,), an index into
    `labels`, and onset (n,) in seconds, and of the recording they were cut from.
    """
    nothing, names = np.full(len(label), "", dtype=np.str_), np.array(labels, dtype=np.str_)[label]
    trials = Trials(
        eeg=eeg,
        label=label,
        labels=labels,
        image_id=names,
        caption=names,
        **dict.fromkeys(("subject", "session", "run", "block", "split"), nothing),
        onset=onset,
        repeats=np.ones(len(label), dtype=np.int64),
    )
    try:
        evidence = {"recording": evidence_of(recording, onset, config)}
    except ValueError:  # too slow or too short for it: those checks could not be made
        evidence = {}
    given = LeakInput(
        trials,
        sfreq=config.sfreq,
        tmin=config.tmin,
        l_freq=config.l_freq,
        recording=np.full(len(label), "recording"),
        evidence=evidence,
    )
    return run_checks(given)
