"""Recordings as files that a person would upload; they are simulated."""

from pathlib import Path

import numpy as np

from core.phantom import session


def write_edf(captions: list[str], path: Path, montage: str, repeats: int = 6, **more) -> None:
    """Show scenes to the phantom and write its EEG as an EDF+ file, the scenes' captions as annotations."""
    from edfio import Edf, EdfAnnotation, EdfSignal

    scenes = session.scenes_from_captions("\n".join(captions))
    recording = session.show(scenes, repeats=repeats, montage=montage, **more).recording
    seconds = int(recording.duration)  # a file is made of whole seconds
    signals = [
        EdfSignal(
            row[: round(seconds * recording.sfreq)].astype(np.float64) * 1e6,
            recording.sfreq,
            label=name,
            physical_dimension="uV",
        )
        for name, row in zip(recording.ch_names, recording.data, strict=True)
    ]
    notes = [EdfAnnotation(e.onset, e.duration, e.label) for e in recording.events if e.onset < seconds - 1]
    Edf(signals, annotations=notes).write(path)
