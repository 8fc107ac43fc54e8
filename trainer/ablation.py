"""What each level of a run is worth: pixel level alone, sample level alone, both, and the controls beside them.

    python trainer/ablation.py runs/neuroimagen
    python trainer/ablation.py runs/neuroimagen --model sd15 --classifier vit --images pictures

NeuroImagen's table 3 (Lan et al. 2023) with our own numbers: N-way accuracy, inception score and SSIM, then class and
place as a classifier sees them, each with its interval, shuffled EEG and chance. The first line names any
leak check that failed. The share to redraw is chosen on validation pictures; the test pictures are looked at once.
"""

import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import tyro

from core.files import PHANTOM
from trainer.ablations.arms import arms_of, check_levels, chosen_windows, draw_arm
from trainer.ablations.choice import Eyes, choose_denoise, truth_of
from trainer.ablations.options import AblationOptions
from trainer.ablations.scores import n_way_of, score_pictures
from trainer.ablations.tables import TITLE, ablation_sections, differences, picture_grid, text_table
from trainer.console import peak_megabytes, run
from trainer.evaluation.decoding_report import Evaluated, decoding_report, open_run, provenance_section
from trainer.evaluation.picture_classifiers import JUDGE, load_classifier


def ablate(options: AblationOptions) -> dict:
    """Draw and score every arm, write the ablation into the run's report and return it under `ablation`.

    Raises ValueError where the encoder has no pixel or no sample level, or model, classifier or pictures are missing.
    """
    from core.conditioning.diffusers_pipeline import load_pipeline
    from trainer.evaluation.leaks.run_checks import checks_of_run
    from trainer.evaluation.leaks.store_checks import print_checks
    from trainer.reports.run_report import write_report

    evaluated = open_run(options.run, options.data)
    if evaluated.encoder.normaliser.sessions:
        raise ValueError(f"{options.run} was trained with --normalise session; the ablation needs --normalise pooled")
    check_levels(evaluated.encoder, options.init)
    checks = checks_of_run(evaluated)
    print_checks(checks)
    pipeline, eyes = load_pipeline(_model(evaluated, options)), _eyes(evaluated, options)
    clock = Clock()
    denoise, choices = choose_denoise(evaluated, pipeline, eyes, options)
    clock.stop("choosing the share to redraw")
    test, outputs = chosen_windows(evaluated, options)
    seen = truth_of(evaluated, test, pipeline, eyes, options)
    arms = arms_of(evaluated, test, outputs, pipeline, options)
    clock.stop("second sample level and plain classifier")
    drawn = {arm.name: draw_arm(pipeline, arm, denoise, options) for arm in arms}
    clock.stop("drawing")
    scores = {arm.name: score_pictures(drawn[arm.name], seen, eyes.classifier, eyes.places, eyes.clip) for arm in arms}
    clock.stop("scoring")
    result = {
        "arms": {name: {column: score.to_json() for column, score in row.items()} for name, row in scores.items()},
        "controls": [arm.name for arm in arms if arm.control],
        "notes": {arm.name: arm.note for arm in arms if arm.note},
        "differences": differences(scores, seen.image_id),
        "denoise": denoise,
        "choices": choices,
        "classifier": eyes.classifier.name,
        "n_way": n_way_of(eyes.classifier),
        "n": len(test),
        "steps": options.steps,
        "stages": clock.stages,
    }
    report = _whole_report(evaluated, options) | {"checks": checks, "ablation": result}
    kept = [section for section in report["sections"] if not str(section["title"]).startswith(TITLE)]
    report["sections"] = ablation_sections(result) + kept
    write_report(options.run, report, picture_grid(test, seen, drawn))
    return report


class Clock:
    """Seconds and the process's largest memory so far, stage by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self.since = time.monotonic()

    def stop(self, name: str) -> None:
        """Note the stage that ends now."""
        now = time.monotonic()
        peak = peak_megabytes()
        self.stages[name] = {"seconds": round(now - self.since, 1), "peak_mb": round(peak)}
        self.since = now


def _model(evaluated: Evaluated, options: AblationOptions) -> str:
    if options.model:
        return options.model
    if evaluated.is_phantom:
        return str(PHANTOM)
    raise ValueError("pictures need --model: a diffusers folder, a .safetensors checkpoint or a hub id")


def _eyes(evaluated: Evaluated, options: AblationOptions) -> Eyes:
    """Return who looks; on the phantom also a function from pictures to the places that its judge sees."""
    if not options.classifier and not evaluated.is_phantom:
        raise ValueError(
            "scores need --classifier: a transformers folder or hub id (google/vit-base-patch16-224), "
            "torchvision:NAME, or a SqueezeNet .safetensors file"
        )
    classifier = load_classifier(options.classifier or JUDGE)
    if not evaluated.is_phantom:
        return Eyes(classifier, None, options.clip)
    from core.phantom.judge import judge_pictures, load_judge

    judge = load_judge(PHANTOM)
    return Eyes(classifier, lambda pictures: judge_pictures(judge, pictures)["place"].numpy(), options.clip)


def _whole_report(evaluated: Evaluated, options: AblationOptions) -> dict:
    """Return the run's report as it is, or its decoding scores where evaluate.py has not written one."""
    path = options.run / "report.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    from trainer.evaluate import training_curve

    scores, sections, _ = decoding_report(evaluated)
    return {
        "title": evaluated.encoder.card.get("name", "EEG encoder"),
        "simulated": bool(evaluated.provenance.get("simulated", False)),
        "scores": scores,
        "sections": sections,
        "curve": training_curve(options.run),
        "provenance": provenance_section(evaluated),
    }


def main() -> None:
    """Parse the command line, draw, and print the table."""
    options = tyro.cli(AblationOptions, description=__doc__)
    report = ablate(options)
    print(text_table(report["ablation"]))
    print(f"report: {(options.run / 'report.html').resolve()}")


if __name__ == "__main__":
    run(main)
