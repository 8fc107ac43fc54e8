"""From trials and options to an encoder ready to be fitted: preprocessing, normaliser, targets, heads."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from core.encoders import ENCODERS, BuildContext, config_for, encoder_named
from core.model.backbone_file import load_backbone_into
from core.model.build_context import context_of
from core.model.checkpoint import EegEncoder
from core.model.heads import ONE_TOKEN, HeadConfig
from core.model.spaces import find_space
from core.model.spectrogram import SpectrogramConfig, fit_range
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.normaliser import Normaliser, fit_normaliser, normalise
from core.preprocessing.session_normaliser import by_sessions, fit_sessions, session_names
from core.preprocessing.trials import Trials

from ..config.data_options import DataOptions
from ..config.model_options import EncoderOptions, TargetOptions
from ..config.options import TrainOptions
from ..store.store import open_store
from ..targets.target import Target
from .finetuned import add_people, check_person_layers, check_shown, finetuned
from .splits import subjects_of

NORMALISER_TRIALS = 4000  # enough for medians and covariances; keeps memory flat on large stores


def parse_settings(pairs: tuple[str, ...]) -> dict[str, object]:
    """Return `key=value` settings as a dict, values read as whole numbers, numbers, true/false, lists with commas, or
    text.

    Raises ValueError for a setting without an equals sign.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"--set takes key=value, not {pair!r}")
        settings[key.strip()] = tuple(_value(part) for part in text.split(",")) if "," in text else _value(text)
    return settings


def _value(text: str) -> object:
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def preprocessing_of(stored: PreprocessingConfig, options: DataOptions) -> PreprocessingConfig:
    """Return the store's preprocessing with the steps that are fitted on training data filled in from the options."""
    whitening = "mvnn" if options.whitening == "prepared" else options.whitening
    return replace(
        stored,
        scaling=options.scaling,
        clip=options.clip_sd or None,
        whitening=whitening,
        new_sessions=options.new_sessions,
    )


def fit_training_normaliser(trials: Trials, train: np.ndarray, config: PreprocessingConfig, seed: int) -> Normaliser:
    """Fit the normaliser on the training trials, or on a random 4,000 of them."""
    train = _some(train, seed)
    return fit_normaliser(np.asarray(trials.eeg[train]), config, trials.label[train])


def _some(train: np.ndarray, seed: int) -> np.ndarray:
    if len(train) <= NORMALISER_TRIALS:
        return train
    return np.sort(np.random.default_rng([seed, 5]).permutation(train)[:NORMALISER_TRIALS])


def normaliser_of(trials: Trials, train: np.ndarray, config: PreprocessingConfig, options: TrainOptions) -> Normaliser:
    """Return the training trials' normaliser, with `--normalise session` with those of their sessions."""
    seed = options.training.seed
    names = session_names(trials)[train]
    if options.data.whitening == "prepared":
        return prepared_whitening(options, config.ch_names, names.tolist())
    pooled = fit_training_normaliser(trials, train, config, seed)
    if options.data.normalise != "session":
        return pooled
    return fit_sessions(pooled, trials, {str(n): _some(train[names == n], seed) for n in np.unique(names)}, config)


def prepared_whitening(options: TrainOptions, ch_names: tuple[str, ...], sessions: list[str]) -> Normaliser:
    """Return the normaliser that the store was prepared with: each of the sessions by its own noise covariance.

    Raises ValueError where the store keeps none.
    """
    kept = open_store(options.data.store).whitening()
    if kept is None:
        raise ValueError(
            f"--whitening prepared: {options.data.store} keeps no covariances of its sessions; prepare.py things-eeg2 "
            "writes them. --whitening mvnn fits one to the training trials"
        )
    return kept.normaliser(ch_names, sessions)


def spectrogram_of(
    options: TrainOptions, trials: Trials, train: np.ndarray, config: PreprocessingConfig, normaliser: Normaliser
) -> SpectrogramConfig | None:
    """Return the spectrogram that the options name, at the preprocessing's rate, None for none; its range is that of
    the training windows as the encoder will be given them.

    Raises ValueError where these are flat.
    """
    kind = options.encoder.spectrogram
    if kind == "none":
        return None
    if kind == "braincoder":
        return SpectrogramConfig(kind="braincoder")
    in_volts = config.scaling == "none" and config.whitening == "none"
    made = SpectrogramConfig(kind="stft", sfreq=config.sfreq, unit_v=1e-6 if in_volts else 1.0)
    return fit_range(made, _shown(trials, train, config, normaliser, options))


def _shown(
    trials: Trials, train: np.ndarray, config: PreprocessingConfig, normaliser: Normaliser, options: TrainOptions
) -> Tensor:
    """Return normalised training windows (n, channels, times), single ones and, where training averages, means."""
    train = _some(train, options.training.seed)
    seen = by_sessions(trials, normaliser).select(train)
    windows = [np.asarray(seen.eeg)]
    if options.data.average != "none":
        windows.append(seen.average_repeats().eeg)
    return torch.as_tensor(normalise(np.concatenate(windows), config, normaliser), dtype=torch.float32)


def backbone_config(options: EncoderOptions, context: BuildContext) -> object:
    """Return the backbone's config: sizes from the context, everything else from --set.

    Raises ValueError for an unknown architecture or setting, listing the known ones, or what the architecture needs
    and the store does not have.
    """
    if encoder_named(options.name).input == "spectrogram":
        if context.picture is None:
            raise ValueError(f"--encoder {options.name} reads pictures: add --spectrogram stft or braincoder")
    elif context.picture is not None:
        readers = [name for name, row in ENCODERS.items() if row.input == "spectrogram"]
        raise ValueError(f"--encoder {options.name} reads eeg, not spectrograms; use --encoder {' or '.join(readers)}")
    return config_for(options.name, context, parse_settings(options.settings))


def people_of(options: EncoderOptions, context: BuildContext) -> tuple[str, ...]:
    """Return the people that the encoder has a part of its own for; none for most.

    Raises ValueError where layers a person are asked for that cannot be trained.
    """
    row = encoder_named(options.name)
    if options.person_layers:
        check_person_layers(row.name, context.subjects)
    return context.subjects if (options.person_layers or row.tells_people_apart) and any(context.subjects) else ()


def training_context(
    trials: Trials, train: np.ndarray, config: PreprocessingConfig, spectrogram: SpectrogramConfig | None = None
) -> BuildContext:
    """Return what an architecture is told of the training trials: windows, subjects (in sorted order) and classes."""
    return context_of(config, spectrogram, subjects_of(trials, train), len(np.unique(trials.label[train])))


def head_configs(
    options: TargetOptions, trials: Trials, targets: dict[str, Target], train: np.ndarray
) -> list[HeadConfig]:
    """Return one head config for each of the options' spaces."""
    heads = []
    for space in options.space:
        if find_space(space).kind == "prompts":
            heads.append(HeadConfig(space, "prompts", prompts=class_prompts(trials), dropout=options.head_dropout))
            continue
        target = targets[space]
        if find_space(space).kind == "picture":
            heads.append(
                HeadConfig(
                    space,
                    "generator",
                    shape=target.shape,
                    projector=options.projector or None,
                    dropout=options.head_dropout,
                    channels=options.generator_channels,
                )
            )
            continue
        seen = np.unique(target.rows(trials.select_columns(train)))
        # What a picture side makes is not known before it is trained, so that nothing can be told of its spread.
        head = options.head if target.side is None else "linear"
        rank = min(options.rank, len(seen) - 1) if head == "basis" else None
        compare = options.compare if head in ("linear", "basis") and target.side is None else 0
        # The one-vector kinds are for text; what else the encoder speaks is then predicted value by value.
        kind = "linear" if head in ONE_TOKEN and find_space(space).kind != "text" else head
        heads.append(
            HeadConfig(
                space,
                kind,
                shape=target.predicted_shape,
                rank=rank,
                projector=options.projector or None,
                dropout=options.head_dropout,
                concepts=() if kind == "positions" else tuple(target.names[i] for i in seen),
                compare=compare or None,
            )
        )
    return heads


def class_prompts(trials: Trials) -> tuple[str, ...]:
    """Return one caption for each label, in the labels' order; raises ValueError where a label has several captions."""
    prompts = []
    for number, label in enumerate(trials.labels):
        captions = np.unique(trials.caption[trials.label == number])
        if len(captions) > 1:
            raise ValueError(
                f"label {label!r} has {len(captions)} captions; a `prompts` head needs one caption a label"
            )
        prompts.append(str(captions[0]) if len(captions) else label)
    return tuple(prompts)


def build_for(
    trials: Trials, train: np.ndarray, stored: PreprocessingConfig, options: TrainOptions, targets: dict[str, Target]
) -> EegEncoder:
    """Return an unfitted encoder for the training trials, its heads holding the training targets' mean, basis and
    gallery.

    With --finetune the encoder comes from that file, its normaliser fitted anew on this store's training trials; with
    --pretrained its backbone's weights do. Raises ValueError where the file does not match the store or the options.
    """
    start, seed = options.stages.finetune, options.training.seed
    if start.file is not None:
        encoder = finetuned(stored, options, targets, lambda: class_prompts(trials))
        add_people(encoder, subjects_of(trials, train), options.encoder.person_layers)
        encoder.normaliser = normaliser_of(trials, train, encoder.preprocessing, options)
        check_shown(encoder, _shown(trials, train, encoder.preprocessing, encoder.normaliser, options))
        return encoder
    config = preprocessing_of(stored, options.data)
    normaliser = normaliser_of(trials, train, config, options)
    spectrogram = spectrogram_of(options, trials, train, config, normaliser)
    torch.manual_seed(seed)
    context = training_context(trials, train, config, spectrogram)
    encoder = EegEncoder(
        config,
        normaliser,
        options.encoder.name,
        backbone_config(options.encoder, context),
        head_configs(options.targets, trials, targets, train),
        spectrogram,
        people=people_of(options.encoder, context),
        person_layers=options.encoder.person_layers,
    )
    if start.pretrained is not None:
        load_backbone_into(encoder, start.pretrained)
    for space, target in targets.items():
        if target.side is not None:
            continue
        head = encoder.head(space)
        values = target.values[np.unique(target.rows(trials.select_columns(train)))]
        head.set_target(values)
        if head.config.concepts:
            head.keep_gallery(values)
    return encoder
