"""The data set cvpr40, on small files of the structure that its authors published."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.leaks.leak_input import LeakInput
from core.leaks.registry import run_checks
from core.montage import MONTAGES
from tests.small_blip import small_blip
from trainer.datasets import cvpr40
from trainer.datasets.cvpr40 import Cvpr40Options
from trainer.datasets.cvpr40_files import EEG_FILES, SPLIT_FILES, read_signals
from trainer.prepare import prepare

SYNSETS = ["n02389026", "n03888257", "n03584829"]
PER_CLASS = 4
SUBJECTS = (1, 4)


def a_set(folder, *, bands=("5-95",), seed=0, lengths=None, old_format=False):
    """Write signals of two people, three classes and four pictures each, and both split files; return the items."""
    rng = np.random.default_rng(seed)
    images = [f"{synset}_{100 + i}" for i in range(PER_CLASS) for synset in SYNSETS]
    items = []
    for subject in SUBJECTS:
        for image in rng.permutation(len(images)):
            length = 500 if lengths is None else lengths[len(items) % len(lengths)]
            eeg = torch.from_numpy(rng.normal(size=(128, length)).astype(np.float32))
            label = SYNSETS.index(images[image].partition("_")[0])
            items.append({"eeg": eeg, "image": int(image), "label": label, "subject": subject})
    each = len(images)
    for band in bands:
        made = {"dataset": items, "labels": SYNSETS, "images": images}
        if band == "raw":
            made |= {"means": torch.full((128, 1), 2.0), "stddevs": torch.full((128, 1), 4.0)}
        torch.save(made, folder / EEG_FILES[band], _use_new_zipfile_serialization=not old_format)
    for name, n in (("all", len(items)), ("single", each)):
        splits = []
        for k in range(6 if name == "all" else 2):
            order = np.random.default_rng(k).permutation(n).tolist()
            splits.append({"train": order[: n // 2], "val": order[n // 2 : 3 * n // 4], "test": order[3 * n // 4 :]})
        torch.save({"splits": splits}, folder / SPLIT_FILES[name])
    return items, images


def prepared(source, out, **options):
    return prepare("cvpr40", source, out, Cvpr40Options(**options), progress=False)


def test_windows_are_samples_20_to_460_of_the_files_and_nothing_else(tmp_path):
    items, images = a_set(tmp_path)
    trials = prepared(tmp_path, tmp_path / "store").trials()
    assert trials.eeg.shape == (24, 128, 440)
    for subject in SUBJECTS:
        for image in images:
            (item,) = [i for i in items if i["subject"] == subject and images[i["image"]] == image]
            (row,) = np.flatnonzero((trials.subject == f"subject-{subject}") & (trials.image_id == image))
            np.testing.assert_allclose(trials.eeg[row] * 1e5, item["eeg"][:, 20:460].numpy(), rtol=1e-5, atol=1e-6)


def test_names_come_by_index_and_captions_by_class(tmp_path):
    items, images = a_set(tmp_path)
    store = prepared(tmp_path, tmp_path / "store")
    trials = store.trials()
    assert store.config.ch_names == MONTAGES["10-05-128"]
    assert set(trials.labels) == set(SYNSETS)
    for label, image, caption in zip(trials.label, trials.image_id, trials.caption, strict=True):
        assert image.startswith(trials.labels[label])
        assert caption == f"an image of {cvpr40.CLASS_NAMES[trials.labels[label]]}"
    assert sorted(trials.image_id.tolist()) == sorted([images[i["image"]] for i in items])


def test_the_report_says_first_that_class_is_recording_block(tmp_path):
    a_set(tmp_path)
    trials = prepared(tmp_path, tmp_path / "store").trials()
    parts = {part: np.flatnonzero(trials.split == part) for part in ("train", "val", "test")}
    parts["test"] = np.arange(len(trials))  # six test trials are too few for a p of 0.01
    first = run_checks(LeakInput(trials, parts))[0]
    assert first.passed is False
    assert first.sentence.startswith("Class = recording block: every recording block holds one class only")


@pytest.mark.parametrize("number", [0, 3])
def test_any_of_the_splits_can_be_taken(tmp_path, number):
    items, images = a_set(tmp_path)
    trials = prepared(tmp_path, tmp_path / "store", split=number).trials()
    wanted = torch.load(tmp_path / SPLIT_FILES["all"], weights_only=True)["splits"][number]
    for part, rows in wanted.items():
        told = {(f"subject-{items[i]['subject']}", images[items[i]["image"]]) for i in rows}
        chosen = trials.split == part
        assert told == set(zip(trials.subject[chosen].tolist(), trials.image_id[chosen].tolist(), strict=True))


def test_the_single_split_counts_one_persons_segments(tmp_path):
    items, images = a_set(tmp_path)
    trials = prepared(tmp_path, tmp_path / "store", splits="single", subject=4, split=1).trials()
    own = [item for item in items if item["subject"] == 4]
    wanted = torch.load(tmp_path / SPLIT_FILES["single"], weights_only=True)["splits"][1]
    assert set(trials.subject.tolist()) == {"subject-4"}
    for part, rows in wanted.items():
        told = {images[own[i]["image"]] for i in rows}
        assert told == set(trials.image_id[trials.split == part].tolist())


def test_one_person_of_the_whole_split(tmp_path):
    a_set(tmp_path)
    trials = prepared(tmp_path, tmp_path / "store", subject=1).trials()
    assert set(trials.subject.tolist()) == {"subject-1"}
    assert len(trials) == 12


def test_the_raw_file_is_standardised_by_its_own_means(tmp_path):
    a_set(tmp_path, bands=("raw", "5-95"))
    raw = prepared(tmp_path, tmp_path / "raw", band="raw").trials()
    plain = prepared(tmp_path, tmp_path / "plain").trials()
    np.testing.assert_allclose(raw.eeg[:], (plain.eeg[:] - 2e-5) / 4, rtol=1e-4, atol=1e-10)


def test_segments_of_other_lengths_are_left_out(tmp_path):
    items, images = a_set(tmp_path, lengths=(449, 459, 460, 600, 601, 500))
    store = prepared(tmp_path, tmp_path / "store")
    trials = store.trials()
    used = [item for item in items if 460 <= item["eeg"].shape[1] <= 600]
    assert len(trials) == len(used) == 12
    assert sorted(trials.image_id.tolist()) == sorted(images[item["image"]] for item in used)
    assert dict(store.rejected()) == {"# samples, not # to #": 8, "# samples, and the window ends at #": 4}


def test_pytorchs_old_file_format_is_read_too(tmp_path):
    a_set(tmp_path, old_format=True)
    assert len(prepared(tmp_path, tmp_path / "store")) == 24


def test_class_names_from_a_file_go_first(tmp_path):
    a_set(tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("n02389026 brown horse\n", encoding="utf-8")
    trials = prepared(tmp_path, tmp_path / "store", class_names=names).trials()
    assert "an image of brown horse" in trials.caption.tolist()
    names.write_text("n02389026\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 1: 'n02389026' is not `SYNSET NAME`"):
        prepared(tmp_path, tmp_path / "other", class_names=names)


def test_forty_classes_have_a_name_each():
    assert len(cvpr40.CLASS_NAMES) == len(set(cvpr40.CLASS_NAMES.values())) == 40


def test_blip_describes_each_picture_once(tmp_path, monkeypatch):
    from PIL import Image

    import trainer.targets.captions

    _, images = a_set(tmp_path)
    for number, image in enumerate(images):
        place = tmp_path / "pictures" / image.partition("_")[0]
        place.mkdir(parents=True, exist_ok=True)
        colour = tuple(np.random.default_rng(number).integers(0, 255, 3).tolist())
        Image.new("RGB", (32, 32), colour).save(place / f"{image}.JPEG")
    wanted = {
        "captions": tmp_path / "captions.json",
        "blip": str(small_blip(tmp_path / "blip")),
        "images": tmp_path / "pictures",
    }
    trials = prepared(tmp_path, tmp_path / "store", **wanted).trials()
    held = json.loads((tmp_path / "captions.json").read_text())
    assert set(held) == set(images)
    assert all(held[image] == caption for image, caption in zip(trials.image_id, trials.caption, strict=True))
    # nothing is described again
    monkeypatch.setattr(trainer.targets.captions, "load_blip", None)
    assert len(prepared(tmp_path, tmp_path / "again", **wanted)) == 24


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"band": "1-40"}, "--band is '1-40'; known: 5-95, 14-70, 55-95, raw"),
        ({"splits": "half"}, "--splits is 'half'; known: all, single"),
        ({"subject": 7}, "--subject is 7; the data set has subjects 1 to 6"),
        ({"splits": "single"}, "say whose with --subject"),
        ({"split": -1}, "counted from 0"),
        ({"sd_uv": 0.0}, "must be above 0"),
        ({"blip": "model"}, "--blip needs --images"),
    ],
)
def test_options_that_cannot_be_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        Cvpr40Options(**options)


def broken(change):
    """Return what spoils the signals file of a folder."""

    def spoil(folder):
        made = torch.load(folder / EEG_FILES["5-95"], weights_only=True)
        torch.save(change(made), folder / EEG_FILES["5-95"])

    return spoil


def first_item(**values):
    return broken(lambda made: made | {"dataset": [made["dataset"][0] | values, *made["dataset"][1:]]})


@pytest.mark.parametrize(
    ("spoil", "options", "error", "told"),
    [
        (lambda f: None, {"band": "raw"}, FileNotFoundError, "no eeg_signals_raw_with_mean_std.pth in"),
        (lambda f: (f / SPLIT_FILES["all"]).unlink(), {}, FileNotFoundError, "no block_splits_by_image_all.pth"),
        (broken(lambda made: [1, 2]), {}, ValueError, "has a list; signals have `dataset`, `labels` and `images`"),
        (broken(lambda made: made | {"dataset": []}), {}, ValueError, "`dataset` must be a list with something"),
        (first_item(eeg=torch.zeros(14, 500)), {}, ValueError, r"must be \(128, length\); got shape \(14, 500\)"),
        (first_item(label=3), {}, ValueError, "`label` of segment 0 is 3; it must be 0 to 2"),
        (first_item(subject=0), {}, ValueError, "`subject` of segment 0 is 0; it must be 1 to 6"),
        (first_item(eeg=torch.full((128, 500), torch.nan)), {}, ValueError, "segment 0 holds samples that are not"),
        (broken(lambda made: made | {"dataset": made["dataset"][:20]}), {}, ValueError, "belongs to other signals"),
        (lambda f: None, {"split": 6}, ValueError, "has 6 splits, counted from 0; --split is 6"),
        (lambda f: None, {"subject": 2}, ValueError, r"no segments of subject 2; it has subjects \[1, 4\]"),
        (lambda f: torch.save({"a": 1}, f / SPLIT_FILES["all"]), {}, ValueError, "a split file has a list of `splits`"),
        (lambda f: torch.save(f, f / EEG_FILES["5-95"]), {}, ValueError, "is not a file of plain tensors"),
        (lambda f: (f / EEG_FILES["5-95"]).write_bytes(b"nothing"), {}, ValueError, "is not a file of plain tensors"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_what_is_wrong(tmp_path, spoil, options, error, told):
    a_set(tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=told):
        prepared(tmp_path, tmp_path / "store", **options)
    assert not (tmp_path / "store" / "store.json").exists()


def test_no_trial_left_says_why(tmp_path):
    a_set(tmp_path, lengths=(300,))
    with pytest.raises(ValueError, match=r"no segment is left in split 0 of .*: 24 x 300 samples, not 450 to 600"):
        prepared(tmp_path, tmp_path / "store")


def test_a_split_that_holds_a_segment_twice_is_refused(tmp_path):
    a_set(tmp_path)
    torch.save({"splits": [{"train": [0, 1], "val": [], "test": [1]}]}, tmp_path / SPLIT_FILES["all"])
    with pytest.raises(ValueError, match="puts segment 1 into train and test"):
        prepared(tmp_path, tmp_path / "store")


def test_signals_stay_on_disk_until_they_are_used(tmp_path):
    a_set(tmp_path)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list what is mapped")
    signals = read_signals(tmp_path / EEG_FILES["5-95"])
    assert len(signals.items) == 24
    assert str(tmp_path / EEG_FILES["5-95"]) in maps.read_text()
