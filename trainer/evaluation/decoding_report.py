"""Evaluating a run on its test split: every figure beside chance, baselines, an interval and, on the phantom, the
ceiling.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.conditioning.conditioning import gate_for
from core.evidence.background import spread_evenly
from core.files import sha256_of
from core.model.checkpoint import EegEncoder, load_encoder, save_encoder
from core.model.confidence import confidence_score
from core.model.decodable import Decodable, decodable_windows
from core.model.prediction import predict
from core.preprocessing.session_normaliser import by_sessions, unknown_sessions, with_new_sessions
from core.preprocessing.trials import Trials
from core.scoring.retrieval import nearest

from ..config.data_options import DataOptions
from ..config.options import TrainOptions
from ..store.narrowed import as_read
from ..store.store import TrialStore, open_store
from ..targets.mixes.picture_side import load_sides
from ..targets.target import Target, trial_targets
from ..training.run_folder import load_options
from ..training.splits import split_hash, split_trials, trials_at_use
from .decoding_scores import confidence_section, prompt_entries, retrieval_entries, spread_section, with_family
from .design import retrieval_units, units_of

MAX_JUDGED = 2000  # windows of a run


@dataclass(frozen=True)
class Evaluated:
    """A run with its test split loaded: what every part of the evaluation needs.

    trials: as the encoder reads them. whole: as the store holds them, where it reads less. given: the targets before
    what the run trained on the pictures' side.
    """

    run: Path
    options: TrainOptions
    store: TrialStore
    trials: Trials
    parts: dict[str, np.ndarray]
    test: Trials
    encoder: EegEncoder
    targets: dict[str, Target]
    outputs: dict[str, Tensor]
    whole: Trials
    given: dict[str, Target]

    @property
    def provenance(self) -> dict:
        """Return the store's account of where its data come from."""
        return self.store.info.get("provenance", {})

    @property
    def is_phantom(self) -> bool:
        """Tell whether the store was simulated, so that the truth is known."""
        return self.provenance.get("dataset") == "phantom"


def open_run(run: Path, data: Path | None = None) -> Evaluated:
    """Load a run, its store and its encoder, and decode its test split.

    data: the store, where it has moved. Raises FileNotFoundError or ValueError where something is missing, or the test
    split is empty or differs from the one the encoder's card names.
    """
    options = load_options(run)
    encoder = load_encoder(run / "encoder.safetensors")
    store = open_store(data or options.data.store)
    trials = store.trials()
    parts = split_trials(trials, options)
    if not len(parts["test"]):
        raise ValueError(
            f"the run at {run} kept no test trials; train with --test run, --test-run RUN, --test-subject "
            "NAME or --test picture, or prepare a store with a test split"
        )
    if not str(encoder.card.get("split", "")).startswith(split_hash(trials, parts)):
        raise ValueError(
            f"the store at {store.folder} is not the one {run} was trained on: "
            "its split differs from the encoder's card"
        )
    whole, trials = trials, as_read(trials, store.config, encoder.preprocessing)
    test = trials_at_use(trials, parts["test"], options.data)
    given = trial_targets(
        trials.select_columns(np.sort(np.concatenate(list(parts.values())))), options.targets, store.folder / "targets"
    )
    targets = load_sides(run, given, options.targets)
    outputs = decoded(encoder, trials, parts["test"], options.data)
    return Evaluated(run, options, store, trials, parts, test, encoder, targets, outputs, whole, given)


def say_unknown_sessions(evaluated: Evaluated) -> None:
    """Print which test sessions training has not seen, where each has its own normaliser."""
    if unknown := unknown_sessions(evaluated.trials, evaluated.parts["test"], evaluated.encoder.normaliser):
        how = (
            "by their own windows"
            if evaluated.encoder.preprocessing.new_sessions == "own"
            else "as all sessions together"
        )
        print(f"not seen in training, normalised {how}: {', '.join(unknown)}")


def decoded(encoder: EegEncoder, trials: Trials, rows: np.ndarray, data: DataOptions) -> dict[str, Tensor]:
    """Return each head's raw outputs for rows of the trials as they are decoded, by their sessions' own normalisers
    where the encoder has them.
    """
    normaliser = with_new_sessions(encoder.normaliser, trials, rows, encoder.preprocessing)
    used = trials_at_use(by_sessions(trials, normaliser), rows, data)
    return predict(encoder, used.eeg, people=used.subject)


def distinct_targets(evaluated: Evaluated, space: str) -> tuple[Tensor, list[str], np.ndarray]:
    """Return the test gallery of a space (n_gallery, n_values), its names, and each test window's row of it."""
    target = evaluated.targets[space]
    rows = target.rows(evaluated.test)
    distinct, truth = np.unique(rows, return_inverse=True)
    return target.values[torch.from_numpy(distinct)], [target.names[i] for i in distinct], truth.reshape(-1)


def decoding_report(evaluated: Evaluated) -> tuple[list[dict], list[dict], dict]:
    """Return the decoding rows, the sections that go with them, and each regression space's nearest test concepts."""
    scores, sections, found = [], [], {}
    ideal_of: dict[tuple[str, ...], np.ndarray] = {}  # fitting the observer takes seconds; heads share galleries
    test, encoder = evaluated.test, evaluated.encoder
    judged: dict[int, Decodable] | None = None
    run_of = _run_numbers(test)
    for space in encoder.spaces:
        head, output = encoder.head(space), evaluated.outputs[space]
        fitted, n_way = encoder.confidence.get(space), None
        if head.config.kind == "prompts":
            train_label = evaluated.trials.label[evaluated.parts["train"]]
            scores += prompt_entries(head, output, test.label, train_label, units_of(test))
            right = output.argmax(-1).numpy() == test.label
        else:
            gallery, names, truth = distinct_targets(evaluated, space)
            gallery_names = tuple(names)
            if evaluated.is_phantom and gallery_names not in ideal_of:
                ideal_of[gallery_names] = _ideal(evaluated, names)
            ideal = ideal_of.get(gallery_names)
            of = "" if space == encoder.spaces[0] else f"{space}: "
            entries, similarity = retrieval_entries(
                head, output, gallery, truth, ideal, of, retrieval_units(test, truth)
            )
            scores += entries
            sections.append(
                {"title": f"Spread of {space}", "table": spread_section(head, output, gallery[torch.from_numpy(truth)])}
            )
            found[space] = nearest(head.comparable(output), head.comparable(gallery), names, 3)
            right, n_way = similarity.argmax(1) == truth, len(names)
        if fitted is not None:
            chance = fitted.chance if n_way is None else 1 / n_way
            repeats = torch.from_numpy(np.asarray(test.repeats))
            values = fitted.probability(confidence_score(head, output), repeats, chance)
            judged = judged_by_run(evaluated) if judged is None else judged
            gates = torch.tensor([gate_for(encoder, space, judged[run]) for run in run_of])
            said = sorted({one.line() for one in judged.values()})
            table = confidence_section(values, right, chance, gates, said)
            sections.append({"title": f"Confidence of {space}", "table": table})
    return with_family(scores), sections, found


def judged_by_run(evaluated: Evaluated) -> dict[int, Decodable]:
    """Return for each run of the test windows whether anything is decodable in it, told from its single presentations.

    A mean over several runs counts to the run of its first presentation.
    """
    single = evaluated.trials.unread(evaluated.parts["test"])
    names = evaluated.test.groups("subject", "session", "run")
    found: dict[int, Decodable] = {}
    columns = np.array(list(zip(single.subject, single.session, single.run, strict=True)))
    for number, first in enumerate(names[0]):
        test = evaluated.test
        rows = (columns == [test.subject[first], test.session[first], test.run[first]]).all(axis=1)
        chosen = spread_evenly(int(rows.sum()), MAX_JUDGED)
        of = np.flatnonzero(rows)[chosen]
        found[number] = decodable_windows(evaluated.encoder, np.asarray(single.eeg[of]), single.image_id[of])
    return found


def _run_numbers(trials: Trials) -> np.ndarray:
    return trials.select_columns(np.arange(len(trials))).groups("subject", "session", "run")[1]


def _ideal(evaluated: Evaluated, gallery: list[str]) -> np.ndarray:
    from .phantom_truth import ideal_scores

    return ideal_scores(evaluated.test, gallery, evaluated.encoder.preprocessing, evaluated.provenance)


def card_line(entry: dict) -> str:
    """Return one score with its interval, chance, baselines, p and n as a line of the card."""
    (low, high), baselines = entry["interval"], entry["baselines"]
    beside = ", ".join(f"{name} {value:.3f}" for name, value in baselines.items())
    spread = f"95 % {low:.3f} to {high:.3f}, chance {entry['chance']:.3f}, {beside}"
    family = f", {entry['p_holm']:.3g} of all rows (Holm)" if "p_holm" in entry else ""
    return f"{entry['value']:.3f} ({spread}, p = {entry['p_value']:.3g}{family}, n = {entry['n']})"


def write_card_metrics(evaluated: Evaluated, scores: list[dict]) -> None:
    """Write the test figures with their baselines into the encoder file's card."""
    evaluated.encoder.card["metrics"] = {entry["name"]: card_line(entry) for entry in scores}
    save_encoder(evaluated.encoder, evaluated.run / "encoder.safetensors")


def weights_hash(encoder: EegEncoder) -> str:
    """Return the SHA-256 of an encoder's weights, which evaluating it does not change (its card it does)."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def provenance_section(evaluated: Evaluated) -> dict:
    """Return where everything came from: data, split, encoder hash, seeds and versions."""
    card = evaluated.encoder.card
    return {
        "data": evaluated.provenance.get("description") or evaluated.provenance.get("dataset", ""),
        "licence": card.get("licence", ""),
        "credit": card.get("credit", ""),
        "split": card.get("split", ""),
        "encoder sha256": sha256_of(evaluated.run / "encoder.safetensors"),
        "seed": evaluated.options.training.seed,
        "versions": card.get("versions", {}),
    }
