"""The ablation: what is drawn, what stands beside it, and that the test split chooses nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.model.checkpoint import load_encoder, save_encoder
from trainer.ablation import ablate
from trainer.ablations import choice as ablation_choice
from trainer.ablations.choice import best_share
from trainer.ablations.options import AblationOptions
from trainer.ablations.scores import Seen, difference, score_pictures
from trainer.ablations.tables import text_table
from trainer.config.options import train_options
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.evaluation.decoding_report import open_run
from trainer.evaluation.picture_classifiers import PHANTOM, judge_classifier, look_at
from trainer.evaluation.plain_classifier import classify_plainly, label_captions
from trainer.prepare import prepare
from trainer.train import train

SHOWN = PhantomOptions(
    classes=10, train_scenes=80, val_scenes=10, test_scenes=16, train_repeats=2, val_repeats=3, test_repeats=3, snr=1.0
)
ARMS = ("pixel only", "sample only, label caption", "sample only, full caption", "both, label caption",
        "both, full caption")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with text and latent heads in closed form, on ten classes."""
    folder = tmp_path_factory.mktemp("ablation")
    prepare("phantom", None, folder / "store", SHOWN, progress=False)
    train(train_options(data=folder / "store", out=folder / "run", clip=str(PHANTOM), encoder="linear",
                       set=("n_bins=16",), space=("sd1.text", "sd1.latent"), rank=20))  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def report(run):
    return ablate(AblationOptions(run, limit=10, steps=3, strengths=(0.4, 0.7), validation_seeds=1))


def pictures_of(trials):
    from trainer.targets.features.pictures import load_picture

    stack = np.stack([load_picture(None, name) for name in trials.image_id.tolist()])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255


def test_every_level_and_every_control_is_drawn_and_scored(report):
    result = report["ablation"]
    assert tuple(result["arms"])[: len(ARMS)] == ARMS
    assert {"plain EEG classifier + prompt", "true label + prompt, no EEG", "pixel only, mean map",
            "both, label caption, mean-map pixel level",
            "both, label caption, another trial's pixel level"} <= set(result["controls"])  # fmt: skip
    for row in result["arms"].values():
        assert {"ACC", "IS", "SSIM", "class", "place", "FID"} <= set(row)
        for score in row.values():
            low, high = score["interval"]
            assert low <= score["value"] + 1e-9 or high >= score["value"] - 1e-9
    assert result["denoise"] in (0.4, 0.7)
    assert result["n"] == 10


def test_the_table_stands_in_the_runs_report_with_a_row_of_pictures_for_each_arm(run, report):
    kept = json.loads((run / "report.json").read_text())
    assert kept["ablation"]["arms"].keys() == report["ablation"]["arms"].keys()
    page = (run / "report.html").read_text()
    assert "Ablation: what each level is worth" in page
    assert "not brain data" in page
    assert page.count("sample only, label caption") > 10  # in the table and under every picture
    lines = text_table(report["ablation"]).splitlines()
    assert any(line.startswith("chance") for line in lines)
    assert sum(line.startswith("  shuffled EEG") for line in lines) == len(ARMS)


def test_a_second_ablation_replaces_the_first_and_keeps_the_rest(run, report):
    evaluate(EvaluateOptions(run, pictures=False))
    again = ablate(AblationOptions(run, limit=4, steps=2, denoise=0.5))
    titles = [section["title"] for section in again["sections"]]
    assert titles.count("Ablation: what each level is worth") == 1
    assert "Spread of sd1.text" in titles
    assert any(entry["name"].endswith("top-1") for entry in again["scores"])


def test_the_test_split_chooses_nothing(run, monkeypatch):
    """The share to redraw is the same whatever the test trials hold."""
    chosen = []
    options = AblationOptions(run, steps=2, strengths=(0.5, 1.0), validation_seeds=1)
    for scramble in (False, True):
        evaluated = open_run(run)
        if scramble:
            test = replace(evaluated.test, eeg=np.zeros_like(evaluated.test.eeg))
            evaluated = replace(evaluated, test=test, outputs={}, parts={**evaluated.parts, "test": np.zeros(0, int)})
        from core.conditioning.diffusers_pipeline import load_pipeline
        from trainer.ablation import _eyes

        chosen.append(
            ablation_choice.choose_denoise(evaluated, load_pipeline(PHANTOM), _eyes(evaluated, options), options)
        )
    assert chosen[0] == chosen[1]


def test_the_share_with_the_best_place_is_taken_among_those_that_cost_little():
    tried = [
        {"denoise": 0.5, "ACC": 0.70, "SSIM": 0.9, "place": 0.9},
        {"denoise": 0.7, "ACC": 0.88, "SSIM": 0.7, "place": 0.6},
        {"denoise": 0.9, "ACC": 0.90, "SSIM": 0.8, "place": 0.3},
    ]
    assert best_share(tried, 0.90) == 0.7
    assert best_share(tried, 0.70) == 0.5
    assert best_share(tried, 1.00) == 0.9  # none is harmless: the least harmful
    unplaced = [{name: value for name, value in row.items() if name != "place"} for row in tried]
    assert best_share(unplaced, 0.90) == 0.9  # SSIM, where nobody knows the place


def test_true_pictures_score_everything_and_other_trials_pictures_nothing(run):
    evaluated = open_run(run)
    pictures, judge = pictures_of(evaluated.test), judge_classifier()
    places = np.array([name.split("-", 3)[3] for name in evaluated.test.image_id])
    lookup = {picture.numpy().tobytes(): place for picture, place in zip(pictures, places, strict=True)}
    seen = Seen(pictures, look_at(judge, pictures), evaluated.test.image_id, places)

    def told(drawn):
        return np.array([lookup[picture.numpy().tobytes()] for picture in drawn])

    own = score_pictures(pictures, seen, judge, told)
    other = score_pictures(pictures.roll(1, 0), seen, judge, told)
    assert own["ACC"].value == own["class"].value == own["place"].value == 1
    assert own["SSIM"].value == pytest.approx(1)
    assert own["FID"].value == pytest.approx(0, abs=1e-6)
    assert own["ACC"].p_value < 0.01
    assert other["class"].value < 0.4
    assert abs(other["class"].value - own["class"].shuffled) < 0.2
    assert other["class"].p_value > 0.01
    assert own["class"].chance == pytest.approx(1 / len(np.unique(evaluated.test.label)))
    apart = difference(own["class"], other["class"], seen.image_id)
    assert apart["interval"][0] > 0.5
    with pytest.raises(ValueError, match="whole sets"):
        difference(own["IS"], other["IS"], seen.image_id)


def test_the_plain_classifier_finds_classes_it_was_trained_on_and_never_sees_the_test(run):
    evaluated = open_run(run)
    found, source = classify_plainly(evaluated, evaluated.test)
    assert (found == evaluated.test.label).mean() > 0.5
    assert source in ("EEG", "the run's features")
    wiped = replace(evaluated, test=replace(evaluated.test, label=np.zeros_like(evaluated.test.label)))
    assert (classify_plainly(wiped, evaluated.test)[0] == found).all()


def test_a_label_caption_tells_the_label_only(run):
    trials = open_run(run).trials
    assert set(label_captions(trials)) == {f"a {label}" for label in trials.labels}
    several = replace(trials, caption=trials.image_id)
    assert set(label_captions(several, "an image of {}")) == {f"an image of {label}" for label in trials.labels}


def test_an_encoder_with_one_level_is_refused_before_anything_is_drawn(run, tmp_path):
    folder = run.parent / "text-only"
    train(train_options(data=run.parent / "store", out=folder, clip=str(PHANTOM), encoder="linear", set=("n_bins=8",)))
    with pytest.raises(ValueError, match="needs both levels"):
        ablate(AblationOptions(folder))


def test_a_run_of_one_level_is_evaluated_with_both_where_it_has_them(run):
    report = evaluate(EvaluateOptions(run, steps=2, denoise=0.5))
    assert "pixel level" in (run / "report.html").read_text()
    assert any("EEG to picture" in entry["name"] for entry in report["scores"])
    assert load_encoder(run / "encoder.safetensors").spaces == ("sd1.text", "sd1.latent")
    save_encoder(load_encoder(run / "encoder.safetensors"), run / "encoder.safetensors")


def test_a_store_of_photographs_is_ablated_with_a_classifier_of_files_and_clip(run, tmp_path, monkeypatch):
    from PIL import Image
    from safetensors.torch import save_file

    from tests.test_classifiers import small_clip
    from trainer.evaluation.decoding_report import Evaluated
    from trainer.evaluation.squeezenet import SqueezeNet
    from trainer.targets.features.pictures import load_picture

    monkeypatch.setattr(Evaluated, "is_phantom", False)
    with pytest.raises(ValueError, match="--model"):
        ablate(AblationOptions(run))
    with pytest.raises(ValueError, match="--classifier"):
        ablate(AblationOptions(run, model=str(PHANTOM)))
    torch.manual_seed(0)
    save_file(SqueezeNet(60).state_dict(), tmp_path / "eyes.safetensors")
    small_clip(tmp_path / "clip")
    evaluated = open_run(run)
    (tmp_path / "images").mkdir()
    for name in np.unique(np.concatenate([evaluated.test.image_id, evaluated.trials.image_id])).tolist():
        Image.fromarray(load_picture(None, name)).resize((90, 70)).save(tmp_path / "images" / f"{name}.png")
    found = ablate(AblationOptions(run, model=str(PHANTOM), classifier=str(tmp_path / "eyes.safetensors"), limit=4,
                                   clip=str(tmp_path / "clip"), images=tmp_path / "images", steps=2,
                                   denoise=0.5))["ablation"]  # fmt: skip
    assert found["n_way"] == 50
    row = found["arms"]["both, label caption"]
    assert "place" not in row
    assert -1 <= row["CLIP"]["value"] <= 1
    assert "sample only, full caption" not in found["arms"]  # this store has label captions only
