from dataclasses import replace

import pytest

from tests.small_models import small_sd1
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluate import EvaluateOptions, evaluate, table
from trainer.prepare import prepare
from trainer.train import train

SHOWN = PhantomOptions(train_scenes=60, val_scenes=20, test_scenes=30, train_repeats=2, val_repeats=4, test_repeats=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(small_sd1(tmp_path_factory.mktemp("sd1")))


def trained(folder, clip, snr, **more):
    store = folder / "store"
    prepare("phantom", None, store, replace(SHOWN, snr=snr), progress=False)
    options = train_options(data=store, out=folder / "run", clip=clip, encoder="linear", set=("n_bins=16",), rank=20)
    train(with_flags(options, **more))
    return evaluate(EvaluateOptions(folder / "run", pictures=False))


def row(report, name):
    return next(entry for entry in report["scores"] if entry["name"] == name)


def test_a_clear_signal_beats_every_baseline_and_stays_under_the_ideal_observer(tmp_path, clip):
    report = trained(tmp_path, clip, snr=1.0)
    top1 = row(report, "30-way top-1")
    assert top1["p_value"] < 0.01
    assert top1["interval"][0] > max(top1["baselines"].values())
    assert top1["value"] <= top1["ceiling"] + 0.05
    assert report["simulated"]
    assert all(check.passed is not False for check in report["checks"])
    assert "30-way top-1" in table(report)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "not brain data" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_at_snr_zero_neither_we_nor_the_ideal_observer_find_anything(tmp_path, clip):
    top1 = row(trained(tmp_path, clip, snr=0.0), "30-way top-1")
    assert top1["value"] <= 0.2
    assert top1["ceiling"] <= 0.2
    assert top1["p_value"] > 0.01


def test_a_latent_head_is_scored_by_retrieval_too(tmp_path, clip):
    report = trained(tmp_path, clip, snr=1.0, space=("sd1.latent",))
    assert row(report, "30-way top-5")["ceiling"] > 0.9
