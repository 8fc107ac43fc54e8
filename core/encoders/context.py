"""What an architecture is told when it is built, and what its row in the registry says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

Settings = Mapping[str, object]
Need = Literal["positions", "subjects", "classes"]


@dataclass(frozen=True)
class BuildContext:
    """The data an encoder is built for; a config takes its sizes from it.

    n_times: samples a window, at sfreq hertz. positions: metres from the head's centre, one (x, y, z) a channel, or
    None where unknown. subjects: whose trials it learns from, in the order of their numbers. n_classes: labels that the
    training tells apart. picture: (channels, height, width) of the spectrogram, for architectures that read one.
    """

    n_channels: int
    n_times: int
    sfreq: float
    ch_names: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...] | None = None
    subjects: tuple[str, ...] = ()
    n_classes: int = 0
    picture: tuple[int, int, int] | None = None


def eeg_values(context: BuildContext, settings: Settings) -> dict[str, object]:
    """Return the values of a config whose sizes are n_channels and n_times, and whose other fields are settings."""
    return {**settings, "n_channels": context.n_channels, "n_times": context.n_times}


@dataclass(frozen=True)
class OnePerson:
    """How an architecture is set up for minutes of one person's recording.

    settings: from the context. scaling: as in PreprocessingConfig. baseline: subtract the mean before the event.
    """

    settings: Callable[[BuildContext], Settings]
    scaling: str
    baseline: bool


@dataclass(frozen=True)
class Encoder:
    """One architecture: a row of the registry.

    name: as files and flags hold it. config_class, module_class: a frozen dataclass that JSON can hold, and the module
    made from it. input: what its module is given. values: a config's values from the context and the user's settings.
    fit: fitted in closed form, from training eeg (n, channels, times), labels (n,) and the config to the module; None
    where it is trained by gradient descent. fit_reads_labels: its features know the labels they were fitted to, so what
    is chosen on them is chosen on features fitted without. fit_by_groups: its fit takes groups (n,) too and leaves in
    `held_out` the tokens (n, width) of each window from a fit without its group, which heads are fitted to. one_person:
    how it is set up for a recording of minutes; None where it cannot. patches: its module has what masked pre-training
    calls, see `PatchTransformer`. needs, least_times: what the context must know of, and the fewest samples a window.
    by_subject: its module has a part for each person, and so wants to be told whose windows it is given. package: which
    other package its network is of, without which it can be neither made nor loaded.
    """

    name: str
    config_class: type
    module_class: Callable[[Any], nn.Module]
    input: Literal["eeg", "spectrogram"] = "eeg"
    values: Callable[[BuildContext, Settings], Settings] = eeg_values
    fit: Callable[..., nn.Module] | None = None
    fit_reads_labels: bool = False
    fit_by_groups: bool = False
    one_person: OnePerson | None = None
    patches: bool = False
    needs: tuple[Need, ...] = ()
    least_times: int = 1
    by_subject: bool = False
    package: str = ""

    @property
    def tells_people_apart(self) -> bool:
        """Return whether its module makes anything of who it is."""
        return self.by_subject or "subjects" in self.needs


def check_needs(encoder: Encoder, context: BuildContext) -> None:
    """Raise ValueError where the context lacks what an architecture needs, with what to do about it."""
    if (encoder.input == "spectrogram") != (context.picture is not None):
        raise ValueError(
            f"encoder {encoder.name!r} reads pictures and needs a spectrogram"
            if context.picture is None
            else f"encoder {encoder.name!r} reads eeg and takes no spectrogram"
        )
    known = {
        "positions": context.positions is not None,
        "subjects": any(context.subjects),
        "classes": context.n_classes > 0,
    }
    ways = {
        "positions": "every channel's place on the head: name channels as in 10-05, or give a montage",
        "subjects": "who each trial is from: prepare the store with its subjects",
        "classes": "labelled trials",
    }
    if missing := [need for need in encoder.needs if not known[need]]:
        raise ValueError(f"encoder {encoder.name!r} needs {' and '.join(ways[need] for need in missing)}")
    if context.n_times < encoder.least_times:
        raise ValueError(
            f"encoder {encoder.name!r} needs windows of at least {encoder.least_times} samples, not {context.n_times}; "
            "take a longer window or a higher rate"
        )
