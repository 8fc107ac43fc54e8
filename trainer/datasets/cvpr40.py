"""The data set `cvpr40`: six people, 40 ImageNet classes, 128 channels (Spampinato et al., CVPR 2017, PeRCeiVe Lab).

Its classes were recorded in one block each, so a block's slow drift tells the class (Li et al. 2021, "The perils and
pitfalls of block design for EEG classification experiments"). The column `block` says so, and the leak check finds it.
"""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.files import text_lines
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from core.recording import Event, Recording

from ..store.dataset import Dataset, Session
from .cvpr40_files import EEG_FILES, SPLIT_FILES, read_signals, read_split

SFREQ = 1000.0
FIRST, LAST = 20, 460  # samples of a segment that are used: the first 20 still hold the picture before
LENGTHS = (450, 600)  # samples a segment may have
WHAT = f"the folder of the data set's .pth files ({', '.join(EEG_FILES.values())}, {', '.join(SPLIT_FILES.values())})"
CREDIT = "Spampinato, Palazzo, Kavasidis, Giordano, Souly, Shah: Deep learning human mind (CVPR 2017)"

# What ImageNet calls the 40 synsets shown.
CLASS_NAMES = {
    "n02106662": "German shepherd", "n02124075": "Egyptian cat", "n02281787": "lycaenid butterfly",
    "n02389026": "sorrel horse", "n02492035": "capuchin monkey", "n02504458": "African elephant",
    "n02510455": "giant panda", "n02607072": "anemone fish", "n02690373": "airliner", "n02906734": "broom",
    "n02951358": "canoe", "n02992529": "cellular telephone", "n03063599": "coffee mug", "n03100240": "convertible",
    "n03180011": "desktop computer", "n03197337": "digital watch", "n03272010": "electric guitar",
    "n03272562": "electric locomotive", "n03297495": "espresso maker", "n03376595": "folding chair",
    "n03445777": "golf ball", "n03452741": "grand piano", "n03584829": "iron", "n03590841": "jack-o'-lantern",
    "n03709823": "mailbag", "n03773504": "missile", "n03775071": "mitten", "n03792782": "mountain bike",
    "n03792972": "mountain tent", "n03877472": "pajama", "n03888257": "parachute", "n03982430": "pool table",
    "n04044716": "radio telescope", "n04069434": "reflex camera", "n04086273": "revolver", "n04120489": "running shoe",
    "n07753592": "banana", "n07873807": "pizza", "n11939491": "daisy", "n13054560": "bolete mushroom",
}  # fmt: skip


@dataclass(frozen=True)
class Cvpr40Options:
    """Which of the published files is used, and whose trials."""

    band: str = "5-95"
    """version of the signals: 5-95, 14-70, 55-95 (hertz) or raw (standardised by the file's own means)"""
    splits: str = "all"
    """split file: all (its numbers count everybody's segments) or single (those of the one --subject)"""
    split: int = 0
    """which of the file's splits, from 0"""
    subject: int = 0
    """1 to 6, or 0 for all"""
    captions: Path | None = None
    """JSON of picture names and captions; with --blip it is made where it is missing ("an image of CLASS")"""
    blip: str = ""
    """captioning model, a folder or a hub id such as Salesforce/blip-image-captioning-base; needs --images"""
    images: Path | None = None
    """folder of the ImageNet pictures that were shown, for --blip"""
    class_names: Path | None = None
    """text file of lines `SYNSET NAME` that go before the built-in names"""
    sd_uv: float = 10.0
    """microvolts that one standard deviation of the files' standardised numbers stands for"""

    def __post_init__(self) -> None:
        for name, allowed in (("band", EEG_FILES), ("splits", SPLIT_FILES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"--{name} is {getattr(self, name)!r}; known: {', '.join(allowed)}")
        if not 0 <= self.subject <= 6:
            raise ValueError(f"--subject is {self.subject}; the data set has subjects 1 to 6 (0: all)")
        if self.splits == "single" and not self.subject:
            raise ValueError("--splits single counts one person's segments; say whose with --subject 1 to 6")
        if self.split < 0:
            raise ValueError(f"--split is {self.split}; splits are counted from 0")
        if not self.sd_uv > 0:
            raise ValueError(f"--sd-uv is {self.sd_uv}; it must be above 0")
        if self.blip and not (self.captions and self.images):
            raise ValueError("--blip needs --images FOLDER to look at and --captions FILE to write to")


@dataclass(frozen=True)
class Trial:
    """One segment: its place in the file, who saw which picture of which synset, in which split it is, and why it is
    refused ("" where it is used).
    """

    row: int
    subject: int
    synset: str
    image: str
    split: str
    refused: str = ""


def sessions(source: Path | None, options: Cvpr40Options) -> list[Session]:
    """Return one session a person and class: that is how they were recorded, and no more is held in memory at once."""
    folder = folder_of(source)
    path = signals_file(folder, options)
    trials = find_trials(folder, options)
    captions = captions_of(trials, options)
    identity = {name: value for name, value in plain(options).items() if name not in ("images", "blip")}
    identity["file"] = {"name": path.name, "bytes": path.stat().st_size}
    grouped: dict[tuple[int, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        grouped[trial.subject, trial.synset].append(trial)
    return [
        Session(
            key=f"subject-{subject}-{synset}",
            load=partial(load_block, path, block, captions, options.sd_uv),
            identity=identity | {"captions": {trial.image: captions[trial.image] for trial in block}},
        )
        for (subject, synset), block in sorted(grouped.items())
        if not all(trial.refused for trial in block)
    ]


def folder_of(source: Path | None) -> Path:
    """Return the data set's folder; raises ValueError or FileNotFoundError saying what is wanted."""
    if source is None:
        raise ValueError(f"--source is needed: {WHAT}")
    if not Path(source).is_dir():
        raise FileNotFoundError(f"{source} does not exist; --source must be {WHAT}")
    if not any(Path(source).glob("*.pth")):
        raise FileNotFoundError(f"{source} holds no file ending in .pth; --source must be {WHAT}")
    return Path(source)


def signals_file(folder: Path, options: Cvpr40Options) -> Path:
    """Return the path of the signals in the wanted band."""
    return folder / EEG_FILES[options.band]


def find_trials(folder: Path, options: Cvpr40Options) -> list[Trial]:
    """Return the segments that the split names, in the file's order; those of a length that is not used are refused.

    Raises ValueError where the split belongs to other signals or nothing is left.
    """
    path = signals_file(folder, options)
    signals = read_signals(path)
    whose = np.array([item["subject"] for item in signals.items])
    there = sorted(set(whose.tolist()))
    if options.subject and options.subject not in there:
        raise ValueError(f"{path.name} has no segments of subject {options.subject}; it has subjects {there}")
    rows = np.flatnonzero(whose == options.subject) if options.splits == "single" else np.arange(len(whose))
    chosen = read_split(folder / SPLIT_FILES[options.splits], options.split)
    largest = max((max(numbers, default=-1) for numbers in chosen.values()), default=-1)
    if largest >= len(rows):
        of = f"subject {options.subject}" if options.splits == "single" else path.name
        raise ValueError(
            f"{SPLIT_FILES[options.splits]} names segment {largest}, {of} has {len(rows)}: the split belongs to other "
            "signals. Take both files from one download, or the other split file (--splits)"
        )
    part_of: dict[int, str] = {}
    for part, numbers in chosen.items():
        for number in numbers:
            row = int(rows[number])
            if part_of.setdefault(row, part) != part:
                raise ValueError(f"{SPLIT_FILES[options.splits]} puts segment {number} into {part_of[row]} and {part}")
    found = []
    for row, part in sorted(part_of.items()):
        item = signals.items[row]
        length = int(item["eeg"].shape[1])
        if options.subject and item["subject"] != options.subject:
            continue
        refused = ""
        if not LENGTHS[0] <= length <= LENGTHS[1]:
            refused = f"{length} samples, not {LENGTHS[0]} to {LENGTHS[1]}"
        elif length < LAST:
            refused = f"{length} samples, and the window ends at {LAST}"
        synset, image = str(signals.labels[item["label"]]), str(signals.images[item["image"]])
        found.append(Trial(row, item["subject"], synset, image, part, refused))
    if all(trial.refused for trial in found):
        why = Counter(trial.refused for trial in found).most_common(4)
        told = ", ".join(f"{n} x {reason}" for reason, n in why) or "it names none"
        raise ValueError(f"no segment is left in split {options.split} of {SPLIT_FILES[options.splits]}: {told}")
    return found


def captions_of(trials: list[Trial], options: Cvpr40Options) -> dict[str, str]:
    """Return a caption for each picture: from the file, made by BLIP, or "an image of CLASS".

    Raises FileNotFoundError where the file is missing without --blip, ValueError where it lacks a picture.
    """
    if options.captions is not None:
        from trainer.targets.captions import caption_pictures, read_captions

        names = sorted({trial.image for trial in trials})
        if options.blip and options.images is not None:
            caption_pictures(names, options.images, options.blip, options.captions)
        return read_captions(options.captions, names)
    words = class_words(options)
    return {trial.image: f"an image of {words.get(trial.synset, trial.synset)}" for trial in trials}


def class_words(options: Cvpr40Options) -> dict[str, str]:
    """Return readable names of synsets; ValueError for a line of --class-names that is not `SYNSET NAME`."""
    words = dict(CLASS_NAMES)
    if options.class_names is None:
        return words
    if not options.class_names.is_file():
        raise FileNotFoundError(f"no file {options.class_names}; --class-names takes lines of `SYNSET NAME`")
    for number, line in enumerate(text_lines(options.class_names.read_text(encoding="utf-8")), 1):
        if line.strip():
            synset, _, name = line.strip().partition(" ")
            if not name.strip():
                raise ValueError(f"{options.class_names}, line {number}: {line!r} is not `SYNSET NAME`")
            words[synset] = name.strip()
    return words


def load_block(
    path: Path, block: list[Trial], captions: dict[str, str], sd_uv: float
) -> tuple[Recording, list[dict[str, Any]]]:
    """Return one person's segments of one class as a recording of as many stretches, and what was shown in each.

    The stretches lie behind each other without the time between them, which the files do not tell: windows never cross
    from one to the next, and nothing is filtered.
    """
    signals = read_signals(path)
    used = [trial for trial in block if not trial.refused]
    parts = [signals.standardised(trial.row)[:, :LAST] for trial in used]
    starts = np.arange(len(parts)) * LAST
    onsets = dict(zip(used, (starts / SFREQ).tolist(), strict=True))
    recording = Recording(
        data=np.concatenate(parts, axis=1) * np.float32(sd_uv * 1e-6),
        sfreq=SFREQ,
        ch_names=MONTAGES["10-05-128"],
        events=tuple(Event(onset, 0.5, trial.image) for trial, onset in onsets.items()),
        segments=tuple(starts.tolist()),
        source={
            "file": path.name,
            "format": "cvpr40",
            "units": f"standard deviations, one taken as {sd_uv:g} µV",
            "sfreq": SFREQ,
        },
    )
    rows = [
        {
            "label": trial.synset,
            "image_id": trial.image,
            "caption": captions[trial.image],
            "subject": f"subject-{trial.subject}",
            "block": f"subject-{trial.subject} {trial.synset}",
            "split": trial.split,
            "onset": onsets.get(trial, 0.0),
            "refused": trial.refused,
        }
        for trial in block
    ]
    return recording, rows


def preprocessing(source: Path | None, options: Cvpr40Options) -> PreprocessingConfig:
    """Return how the segments are cut: samples 20 to 460 at 1 kHz, with no filter beyond the file's own."""
    return PreprocessingConfig(
        ch_names=MONTAGES["10-05-128"],
        sfreq=SFREQ,
        tmin=FIRST / SFREQ,
        tmax=LAST / SFREQ,
        scaling="train",
        clip=20.0,
    )


def provenance(source: Path | None, options: Cvpr40Options) -> dict[str, Any]:
    """Return the account: files by hash, options, and the design that confounds class with block."""
    from core.files import sha256_of

    folder = folder_of(source)
    files = (signals_file(folder, options), folder / SPLIT_FILES[options.splits])
    return {
        "dataset": "cvpr40",
        "description": "PeRCeiVe EEG: 40 ImageNet classes, 6 people, 128 channels; each class recorded in one block",
        "licence": "as its authors publish it; the ImageNet pictures may not be passed on",
        "credit": CREDIT,
        "design": "class = recording block",
        "band": options.band,
        "source": str(folder.resolve()),
        "files": {path.name: sha256_of(path) for path in files},
        "options": plain(options),
    }


def plain(options: Cvpr40Options) -> dict[str, Any]:
    """Return the options as JSON holds them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


DATASET = Dataset(
    name="cvpr40",
    description="PeRCeiVe's 40 ImageNet classes on 128 channels (class = recording block); --source: its .pth files",
    options=Cvpr40Options,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
)
