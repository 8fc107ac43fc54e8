"""The data set `things-preprocessed`: THINGS-EEG2 as others have cut and whitened it, in a trial store as it is."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.channel_groups import pick_channels
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig

from ...store.dataset import Cut, Dataset, Session, file_identity
from .eeg2 import CREDIT
from .pictures import Pictures, find_pictures
from .raw import PARTS
from .variants import NAMES, Part, form_of, read_part

WHAT = f"the folder of sub-XX folders of preprocessed files ({'; '.join(NAMES.values())}), or one of them"
NO_ORDER_S = 0.0  # files by picture do not tell when it was shown


@dataclass(frozen=True)
class PreprocessedOptions:
    """Whose files, and what is expected of them."""

    subjects: tuple[int, ...] = ()
    """numbers of people, all that are there by default"""
    sfreq: float = 250.0
    """the rate that the files must have: what presets such as alignvis-nice are for is 250"""
    channels: str = "things-63"
    """the channels that the files must have, in the order to put them in: things-63, things-17, names or groups"""
    metadata: Path | None = None
    """image_metadata.npy, which names pictures and things; found in the folder or beside it"""


def people(source: Path | None, options: PreprocessedOptions) -> list[tuple[str, Path, str]]:
    """Return name, folder and form of each person asked for.

    Raises ValueError or FileNotFoundError where there is none, or one that was asked for is missing.
    """
    if source is None:
        raise ValueError(f"--source is needed: {WHAT}")
    source = Path(source)
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist; --source must be {WHAT}")
    folders = [source, *sorted(path for path in source.rglob("sub-*") if path.is_dir())]
    found = {folder.name: (folder, form) for folder in folders if (form := form_of(folder)) is not None}
    if not found:
        hint = ". It holds raw files: use `things-eeg2`" if any(source.rglob("raw_eeg_training.npy")) else ""
        raise FileNotFoundError(f"{source} holds no file of the known forms; --source must be {WHAT}{hint}")
    wanted = {f"sub-{number:02d}" for number in options.subjects}
    if unknown := sorted(wanted - set(found)):
        raise ValueError(f"--subjects: {unknown} are not in {source}; it has {sorted(found)}")
    return [(name, *of) for name, of in sorted(found.items()) if not wanted or name in wanted]


def channels_of(options: PreprocessedOptions) -> tuple[str, ...]:
    """Return the wanted channels; ValueError for those that the cap does not have."""
    if options.channels in MONTAGES:
        return MONTAGES[options.channels]
    return pick_channels(MONTAGES["things-63"], options.channels)


def checked(folder: Path, form: str, part: str, options: PreprocessedOptions, pictures: Pictures) -> Part:
    """Return a part's outline if it is what is expected; else raise ValueError saying what it is."""
    found, names = read_part(folder, form, part), channels_of(options)
    if found.sfreq != options.sfreq:
        raise ValueError(
            f"{found.path} is at {found.sfreq:g} Hz ({found.said()}), and {options.sfreq:g} Hz are asked for, which "
            f"presets such as alignvis-nice are for. --sfreq {found.sfreq:g} takes it as it is; `things-eeg2` makes "
            "250 Hz of the raw files"
        )
    if missing := [name for name in names if name not in found.ch_names]:
        fits = " --channels things-17 takes what is there" if set(MONTAGES["things-17"]) <= set(found.ch_names) else ""
        raise ValueError(
            f"{found.path} lacks {len(missing)} of {len(names)} channels: {', '.join(missing[:8])} "
            f"({found.said()}).{fits}"
        )
    if (n := found.data.shape[0]) != pictures.count(part):
        raise ValueError(
            f"{found.path} holds {n} of {pictures.count(part)} {part} pictures, and which are missing is not told: the "
            "file is cut or another set's. Take it from its authors' own download"
        )
    return found


def sessions(source: Path | None, options: PreprocessedOptions) -> list[Session]:
    """Return one session a person and part; every file's outline is read first."""
    found, pictures = people(source, options), find_pictures(Path(source or "."), options.metadata)
    made, spans = [], {}
    for name, folder, form in found:
        for part in PARTS:
            outline = checked(folder, form, part, options, pictures)
            spans[outline.path] = (outline.tmin, outline.data.shape[3])
            made.append(
                Session(
                    key=f"{name}-{part}",
                    cut=partial(cut_part, folder, form, part, name, options, pictures),
                    identity=file_identity(outline.path),
                )
            )
    if len(set(spans.values())) > 1:
        told = "; ".join(f"{path}: {n} samples from {tmin:g} s" for path, (tmin, n) in list(spans.items())[:4])
        raise ValueError(f"files of different windows cannot share a store ({told})")
    return made


def cut_part(
    folder: Path, form: str, part: str, who: str, options: PreprocessedOptions, pictures: Pictures,
    config: PreprocessingConfig,
) -> Cut:  # fmt: skip
    """Return a part's rows and windows, picture after picture."""
    found = checked(folder, form, part, options, pictures)
    repeats = int(found.data.shape[1])
    rows = [
        {**pictures.row(part, number), "subject": who, "onset": NO_ORDER_S}
        for number in range(1, found.data.shape[0] + 1)
        for _ in range(repeats)
    ]
    places = np.array([found.ch_names.index(name) for name in config.ch_names])

    def pieces() -> Iterator[np.ndarray]:
        yield from found.windows(places)

    return Cut(rows, {"format": f"things-preprocessed, {form}", "files": [found.path.name], "units": "none"}, pieces())


def preprocessing(source: Path | None, options: PreprocessedOptions) -> PreprocessingConfig:
    """Return what the files say of their windows; nothing more is done to them."""
    _, folder, form = people(source, options)[0]
    found = read_part(folder, form, "training")
    return PreprocessingConfig(
        ch_names=channels_of(options),
        sfreq=found.sfreq,
        tmin=found.tmin,
        tmax=found.tmin + found.data.shape[3] / found.sfreq,
        scaling="train",
    )


def provenance(source: Path | None, options: PreprocessedOptions) -> dict[str, Any]:
    """Return the account, which says that these windows are no volts."""
    told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    return {
        "dataset": "things-preprocessed",
        "description": "THINGS-EEG2, preprocessed and whitened by others: no volts, and not in the order shown",
        "licence": "as its authors publish it",
        "credit": CREDIT,
        "unit": "whitened, none",
        "options": {name: value for name, value in told.items() if name not in ("subjects", "metadata")},
    }


def told(source: Path | None, options: PreprocessedOptions) -> str:
    """Return in words which form was found, and what it cannot do."""
    lines = []
    for name, folder, form in people(source, options):
        lines += [f"{name}, {part}: {read_part(folder, form, part).said()}" for part in PARTS]
    lines.append(
        "These windows are whitened and no volts, so that an encoder of theirs reads such files and no recording; "
        "their order and sessions are not told, so that leak checks on them cannot be made. `things-eeg2` reads the "
        "raw files"
    )
    return "\n".join(lines)


DATASET = Dataset(
    name="things-preprocessed",
    description="THINGS-EEG2 as others preprocessed it (pickled .npy, .pt, info.json); --source: its folder",
    options=PreprocessedOptions,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    told=told,
)
