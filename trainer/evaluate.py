"""Evaluate a run on its test split and write report.json and report.html.

    python trainer/evaluate.py runs/first
    python trainer/evaluate.py runs/first --model path/to/stable-diffusion   # pictures too

The report's first line says whether a leak check failed. Beside every score stand chance, the train-mean baseline, the
shuffled-EEG baseline, a permutation p, an interval and, on the phantom, the ideal observer.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import tyro

from core.files import PHANTOM, text_lines
from core.leaks.check import verdict
from trainer.console import run
from trainer.drawing.two_levels import AUTO, DENOISE, NONE, decode_levels, init_of, text_space
from trainer.evaluation.decoding_report import (
    Evaluated,
    decoding_report,
    open_run,
    provenance_section,
    say_unknown_sessions,
    write_card_metrics,
)
from trainer.evaluation.opened import note_test_opening
from trainer.evaluation.protocol_report import FOLDS, protocol_section, protocol_table
from trainer.evaluation.retrieval.report import Asked, retrieval_report
from trainer.protocols.registry import protocol_named

GIVEN = "given-split"
SHOWN = 12  # rows of the report's picture grid
UNSCORED = {
    "title": "Pictures are not scored",
    "table": {"why": "only of the phantom is it known what a picture should look like; these are to be looked at"},
}


@dataclass(frozen=True)
class EvaluateOptions:
    """What is evaluated and how pictures are drawn."""

    run: tyro.conf.Positional[Path]
    """Folder of a finished run."""
    data: Path | None = None
    """Its trial store, where it has moved."""
    protocol: str = GIVEN
    """given-split scores the run's own test split; in-subject, pooled, leave-one-run-out, leave-one-subject-out,
    cross-session and k-fold-by-picture also train anew for each fold and add a table to the report.
    """
    keep_split: bool = False
    """In each fold test only what the store prescribes as a test, and never train on it (another person, and pictures
    that nobody in training saw).
    """
    n_folds: int = 5
    """Into how many folds k-fold-by-picture deals the pictures."""
    beside: Path | None = None
    """Folder of another run, tested on the same windows: what it found stands beside this one's, in figures and in a
    sheet of pictures (an aligned image encoder beside the unaligned one).
    """
    transductive: bool = False
    """Also answers that use all of a person's unlabelled windows at once, as a figure of its own."""
    challenge: bool = False
    """Also the two scores of the NeurIPS 2026 EEG/EMG Foundation Challenge."""
    model: str = ""
    """Stable Diffusion model to draw with: a diffusers folder, a .safetensors checkpoint or a hub id; on the phantom,
    its own by default.
    """
    config: str = ""
    """For a single-file checkpoint while offline: a diffusers folder of the same family."""
    pictures: bool = True
    """Draw pictures where there is a model and the head can drive it."""
    init: str = AUTO
    """What pictures start from: auto (the saliency or latent head, where there is one), saliency, latent or none."""
    denoise: float = DENOISE
    """How much of such a start is redrawn."""
    steps: int = 25
    guidance: float = 3.0
    restore_spread: float = 1.0
    """0 draws regression's shrunken predictions, 1 restores the targets' spread."""
    seed: int = 0


def evaluate(options: EvaluateOptions) -> dict:
    """Evaluate a run, write report.json and report.html into its folder and return the report."""
    from trainer.evaluation.leaks.run_checks import checks_of_run
    from trainer.evaluation.leaks.store_checks import print_checks, with_folds
    from trainer.reports.run_report import write_report
    from trainer.training.splits import fold_options

    protocol = protocol_named(options.protocol).name
    evaluated = open_run(options.run, options.data)
    checks = checks_of_run(evaluated)
    if protocol != GIVEN:
        told = fold_options(evaluated.options, options.n_folds, options.keep_split)
        folds = protocol_named(protocol).folds(evaluated.whole, told)
        images = evaluated.options.targets.images
        checks = with_folds(checks, evaluated.store, evaluated.whole, (fold.parts for fold in folds), images)
    print_checks(checks)  # before anything else is said
    opened = note_test_opening(evaluated)
    say_unknown_sessions(evaluated)
    scores, sections, found = decoding_report(evaluated)
    asked = Asked(options.transductive, options.challenge)
    sections += retrieval_report(evaluated, asked, options.beside, options.data)
    model = options.model or (str(PHANTOM) if evaluated.is_phantom and PHANTOM.is_dir() else "")
    pictures = {}
    drawable = text_space(evaluated.encoder) is not None or init_of(evaluated.encoder, options.init) != NONE
    if options.pictures and model and not drawable:
        print(f"no pictures: Stable Diffusion takes no head of this encoder ({', '.join(evaluated.encoder.spaces)})")
    elif options.pictures and model and evaluated.is_phantom:
        drawn_scores, drawn_sections, pictures = picture_report(evaluated, model, options, found)
        scores, sections = scores + drawn_scores, sections + drawn_sections
    elif options.pictures and model:
        pictures = unscored_pictures(evaluated, model, options)
        sections.append(UNSCORED)
    if protocol != GIVEN:
        folder = options.run / "folds" / protocol
        sections.append(protocol_section(evaluated, protocol, folder, options.n_folds, options.keep_split))
    if opened:
        sections.insert(0, {"title": "The test split was opened before", "table": {"": opened}})
    write_card_metrics(evaluated, scores)
    report = {
        "title": evaluated.encoder.card.get("name", "EEG encoder"),
        "simulated": bool(evaluated.provenance.get("simulated", False)),
        "checks": checks,
        "scores": scores,
        "sections": sections,
        "curve": training_curve(options.run),
        "provenance": provenance_section(evaluated),
    }
    write_report(options.run, report, pictures)
    return report


def picture_report(
    evaluated: Evaluated, model: str, options: EvaluateOptions, found: dict
) -> tuple[list[dict], list[dict], dict]:
    """Draw the test windows and return their rows, their sections and the grid of seen, decoded and nearest ones."""
    from core.conditioning.diffusers_pipeline import load_pipeline
    from core.phantom.judge import load_judge
    from trainer.drawing.scored_pictures import (
        attribute_accuracy,
        class_entries,
        draw_all,
        pixel_entries,
        seen_pictures,
    )
    from trainer.evaluation.phantom_truth import scenes_named
    from trainer.evaluation.picture_metrics import pixel_correlation, ssim

    pipeline = load_pipeline(model, config=options.config or None)
    captions = evaluated.test.caption.tolist()
    levels = decode_levels(
        evaluated.encoder, evaluated.outputs, pipeline, init=options.init, restore_spread=options.restore_spread
    )
    decoded = levels.text
    shown = [scenes_named(image_id)[0].caption for image_id in evaluated.test.image_id.tolist()]
    drawn = draw_all(
        pipeline, decoded, captions, options.seed, options.steps, options.guidance, shown, levels, options.denoise
    )
    judge = load_judge(PHANTOM)
    scores = class_entries(judge, drawn, shown) + pixel_entries(
        drawn, {"pixel correlation": pixel_correlation, "SSIM": ssim}
    )
    sections = [{"title": "What the judge sees in the pictures", "attributes": attribute_accuracy(judge, drawn, shown)}]
    best = [matches[0][0] for matches in found.get(decoded.space, [])[:SHOWN]]
    grid = {
        "captions": shown[:SHOWN],
        "seen": drawn.seen[:SHOWN],
        **({} if levels.start is None else {"pixel level": levels.start[:SHOWN]}),
        "decoded": drawn.decoded[:SHOWN],
        "from caption": drawn.caption[:SHOWN],
    }
    if best:
        grid |= {"nearest": seen_pictures([scenes_named(name)[-1].caption for name in best]), "nearest captions": best}
    return scores, sections, grid


def unscored_pictures(evaluated: Evaluated, model: str, options: EvaluateOptions) -> dict:
    """Return the report's grid of pictures drawn from a few test windows of real EEG, which no judge can score.

    Beside each stand what its true caption and the train mean give with the same noise, and what was seen where the run
    was trained on pictures.
    """
    from core.conditioning.diffusers_pipeline import load_pipeline
    from trainer.drawing.unscored import draw_some, seen_beside, spread_out

    pipeline = load_pipeline(model, config=options.config or None)
    rows = spread_out(evaluated.test, SHOWN)
    outputs = {space: output[rows] for space, output in evaluated.outputs.items()}
    levels = decode_levels(
        evaluated.encoder, outputs, pipeline, init=options.init, restore_spread=options.restore_spread
    )
    captions = evaluated.test.caption[rows].tolist()
    grid = draw_some(pipeline, levels, captions, options.seed, options.steps, options.guidance, options.denoise)
    images = evaluated.options.targets.images
    return {"captions": captions, **seen_beside(images, evaluated.test.image_id[rows].tolist()), **grid}


def training_curve(run_folder: Path) -> list[dict]:
    """Return the rows of metrics.jsonl; none for an encoder fitted in closed form."""
    import json

    path = run_folder / "metrics.jsonl"
    return [json.loads(line) for line in text_lines(path.read_text(encoding="utf-8"))] if path.is_file() else []


def table(report: dict) -> str:
    """Return the report's scores as lines of text."""
    lines = [
        f"{'score':40} {'value':>7} {'95 % interval':>17} {'chance':>7} "
        f"{'mean':>7} {'shuffled':>8} {'p':>7} {'p Holm':>7} {'ceiling':>7}"
    ]
    for entry in report["scores"]:
        low, high = entry["interval"]
        mean = entry["baselines"].get("train mean")
        cells = [f"{entry['value']:7.3f}", f"{low:7.3f} to {high:6.3f}", f"{entry['chance']:7.3f}"]
        cells.append("      -" if mean is None else f"{mean:7.3f}")
        cells += [f"{entry['baselines']['shuffled EEG']:8.3f}", f"{entry['p_value']:7.3g}"]
        family = entry.get("p_holm")
        cells.append("      -" if family is None else f"{family:7.3g}")
        cells.append("      -" if entry["ceiling"] is None else f"{entry['ceiling']:7.3f}")
        lines.append(f"{entry['name']:40} {' '.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, evaluate, and print the table."""
    options = tyro.cli(EvaluateOptions, description=__doc__)
    report = evaluate(options)
    print(f"{table(report)}\n{verdict(report['checks'], report['scores'])}")
    for section in report["sections"]:
        if section["title"].startswith(FOLDS):
            print(protocol_table(section))
    print(f"report: {(options.run / 'report.html').resolve()}")


if __name__ == "__main__":
    run(main)
