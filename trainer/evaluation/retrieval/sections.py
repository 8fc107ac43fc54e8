"""The report's sections on retrieval in one space: smaller galleries, people, class templates, geometry, and what is
asked for beside them.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from core.scoring.challenge import NAME, TOP, ChallengeScores, challenge_scores
from core.scoring.design import Units
from core.scoring.geometry import FEWEST, likeness
from core.scoring.retrieval import similarities
from core.scoring.transductive import one_to_one, recovered

from ..decoding_report import Evaluated, decoded, distinct_targets
from ..design import retrieval_units
from .figures import Found, class_templates, how_scored, rows_of, template_found
from .people import person_rows

GEOMETRY_SHUFFLES = 1000


@dataclass(frozen=True)
class Asked:
    """What is reported only where it is asked for: figures of other questions than an encoder's at use."""

    transductive: bool = False
    challenge: bool = False


@dataclass(frozen=True, eq=False)
class Decoded:
    """A space's predictions and gallery where they are compared: queries (n, d), items (m, d), each query's own item
    (n,), and the items' names.
    """

    queries: np.ndarray
    items: np.ndarray
    truth: np.ndarray
    names: list[str]


def compared(evaluated: Evaluated, space: str) -> Decoded:
    """Return what a regression space decoded of the test split."""
    head = evaluated.encoder.head(space)
    gallery, names, truth = distinct_targets(evaluated, space)
    found = head.comparable(evaluated.outputs[space]).detach().double().numpy()
    return Decoded(found, head.comparable(gallery).detach().double().numpy(), truth, names)


def found_of(evaluated: Evaluated, one: Decoded) -> Found:
    """Return how near each query is to each item, by cosine."""
    scores = similarities(torch.from_numpy(one.queries), torch.from_numpy(one.items)).numpy()
    return Found(scores, one.truth, retrieval_units(evaluated.test, one.truth), one.items)


def retrieval_sections(evaluated: Evaluated, asked: Asked | None = None) -> list[dict]:
    """Return the sections of every regression space of an evaluated run."""
    sections: list[dict] = []
    for space in evaluated.encoder.spaces:
        if evaluated.encoder.head(space).config.kind == "prompts":
            continue
        one = compared(evaluated, space)
        if len(one.names) < 2:
            continue
        found = found_of(evaluated, one)
        of = "pictures" if evaluated.targets[space].column == "image_id" else "captions"
        how = how_scored(evaluated.test, evaluated.options, len(one.names))
        title = f"Retrieval of {space}: exact {of}"
        sections.append({"title": title, "text": f"{how} {of}.", "table": rows_of(found.entries())})
        sections += _people(evaluated, space, found)
        sections += _templates(evaluated, space, one, how)
        sections += _geometry(space, one)
        if asked is not None and asked.transductive:
            sections.append(transductive_section(evaluated, space, one, how))
        if asked is not None and asked.challenge and of == "pictures":
            sections.append(challenge_section(evaluated, space))
    return sections


def _people(evaluated: Evaluated, space: str, found: Found) -> list[dict]:
    person = evaluated.test.subject
    if len(np.unique(person)) < 2:
        return []
    rows = person_rows(found.top(1), person, found.units.unit, 1 / found.gallery, f"{found.gallery}-way top-1")
    return [{"title": f"Each person, {space}", "table": rows}]


def _templates(evaluated: Evaluated, space: str, one: Decoded, how: str) -> list[dict]:
    """Return the section on class templates, where every class has several test pictures."""
    test = evaluated.test
    if evaluated.targets[space].column != "image_id":
        return []
    classes, label = np.unique(test.label, return_inverse=True)
    of_item = np.full(len(one.names), -1)
    of_item[one.truth] = label.reshape(-1)
    templates = class_templates(one.items, of_item) if len(classes) < len(one.names) else None
    if templates is None:
        return []
    found = template_found(
        one.queries, templates, one.truth, label.reshape(-1), retrieval_units(test, label.reshape(-1))
    )
    top = found.entry(f"{len(classes)}-way class template top-1", found.shares(1), 1 / len(classes))
    text = f"Which class, by the mean of its other test pictures; not the exact picture. {how} pictures."
    return [{"title": f"Class templates of {space}", "text": text, "table": rows_of([top])}]


def _geometry(space: str, one: Decoded) -> list[dict]:
    """Return the section on whether the EEG holds apart what the targets hold apart, a picture's rows meaned."""
    if len(one.names) < FEWEST:
        return []
    sums = np.zeros_like(one.items)
    np.add.at(sums, one.truth, one.queries)
    seen = np.bincount(one.truth, minlength=len(one.items))
    found = likeness(sums / np.maximum(seen, 1)[:, None], one.items, GEOMETRY_SHUFFLES)
    table = {
        "Spearman's correlation of distances": found.correlation,
        "p (pictures shuffled)": found.p_value,
        "shuffled EEG, 95 % of": list(found.shuffled_range),
        "pictures": found.n,
    }
    return [{"title": f"Representational similarity of {space}", "table": table}]


def transductive_section(evaluated: Evaluated, space: str, one: Decoded, how: str) -> dict:
    """Return the section of answers that use all of a person's unlabelled windows at once."""
    person, scores = evaluated.test.subject, np.zeros((len(one.truth), len(one.items)))
    warnings: list[str] = []
    for name in np.unique(person):
        own = person == name
        scores[own] = recovered(one.queries[own], one.items)
        warnings.append(one_to_one(int(own.sum()), len(one.items)))
    found = Found(scores, one.truth, retrieval_units(evaluated.test, one.truth), one.items)
    n = len(one.names)
    rows = [found.top_entry(f"transductive {n}-way top-{k}", k) for k in (1, 5) if k < n]
    text = (
        "Transductive: each answer uses all of the person's windows and the whole gallery, which no encoder has at "
        f"use; not to be put beside the other figures. {how}."
    )
    warning = next((one for one in warnings if one), "")
    return {"title": f"Transductive, {space}", "text": f"{text} {warning}".strip(), "table": rows_of(rows)}


def challenge_section(evaluated: Evaluated, space: str) -> dict:
    """Return the section of the challenge's two scores, of single presentations whatever the run averages.

    Predictions are compared as they are, by cosine, as its board does. A simulated store's figures are called so.
    """
    trials, rows = evaluated.trials, evaluated.parts["test"]
    single = trials.select_columns(rows)
    target = evaluated.targets[space]
    once = replace(evaluated.options.data, test_average="none", test_repeats=0)
    predicted = decoded(evaluated.encoder, trials, rows, once)[space].numpy()
    wanted = target.values[torch.from_numpy(target.rows(single))].numpy()
    simulated = " (Simulated)" if evaluated.provenance.get("simulated") else ""
    entries = []
    for scores, of in zip(
        challenge_scores(predicted, wanted, single.subject, single.image_id),
        ("single epochs", "mean a person and picture"),
        strict=True,
    ):
        entries.append(_challenge_entry(scores, f"{NAME}{simulated} top-{TOP}, {of}"))
    counts = np.bincount(single.groups("subject", "image_id")[1])
    text = (
        "Cosine of predictions as they are with all different test targets: of single epochs (k = 1), and of the mean "
        f"of each person's for a picture (k = {counts.min()} to {counts.max()})."
    )
    return {"title": f"{NAME}{simulated}, {space}", "text": text, "table": rows_of(entries)}


def _challenge_entry(scores: ChallengeScores, name: str) -> dict:
    unit = np.unique(scores.picture, return_inverse=True)[1].reshape(-1)
    units = Units("picture", unit, np.zeros(unit.max() + 1, dtype=np.int64))
    return Found(scores.alike, scores.truth, units).top_entry(name, TOP)
