"""Human alignment: a known geometry is recovered, answers that go with nothing are said, and the card is usable."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.phantom.perception import geometry_vectors, judge_triplets, triplet_ceiling
from core.phantom.scenes import all_scenes, draw
from trainer.align import AlignOptions, align, main, told
from trainer.alignment.fit import AlignmentSettings, evidence_of, fit_affine
from trainer.alignment.objective import choice_accuracy, choice_loss, distance_to_identity, neighbour_loss, pair_scores
from trainer.alignment.triplets import Triplets, agreement, read_triplets, split_triplets
from trainer.config.image_options import ImageOptions
from trainer.targets.frozen_targets import load_targets
from trainer.targets.image_encoders.affine import Affine, read_card, read_transform, write_card
from trainer.targets.image_encoders.families import IMAGE_ENCODERS

SCENES = all_scenes()
ROOT = Path(__file__).resolve().parent.parent
FAST = {"epochs": 4, "n_triplets": 16_000}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def recovered(cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("cards") / "aligned.safetensors"
    options = AlignOptions("phantom-clip", out, geometry="perceptual", cache=cache, **FAST)
    return options, align(options)


def test_a_known_geometry_is_recovered_on_pictures_that_were_held_out(recovered):
    options, found = recovered
    assert found["n_held_out"] > 300
    assert found["gain_interval"][0] > 0.1
    assert found["ceiling"] > 0.78
    assert found["aligned"] > 0.9 * found["ceiling"]
    assert found["p_value"] < 1e-10
    assert options.out.is_file()
    said = told(found, options.out)
    assert "simulated" in said
    assert "guessing 0.333, ceiling 0.8" in said
    assert "--space phantom-clip-aligned.image" in said


def test_where_the_person_sees_as_the_encoder_does_there_is_nothing_to_gain(cache, tmp_path):
    options = AlignOptions("phantom-clip", tmp_path / "a.safetensors", geometry="encoder", cache=cache, **FAST)
    found = align(options)
    assert abs(found["aligned"] - found["unaligned"]) < 0.02
    assert found["unaligned"] > 0.95 * found["ceiling"]
    assert "brought nothing" in told(found, options.out)


@pytest.mark.parametrize("seed", [0, 1])
def test_answers_that_go_with_nothing_stay_at_chance_and_no_card_is_written(cache, tmp_path, seed):
    out = tmp_path / "a.safetensors"
    options = AlignOptions("phantom-clip", out, geometry="perceptual", sharpness=0, cache=cache, seed=seed, **FAST)
    found = align(options)
    assert found["aligned"] == pytest.approx(1 / 3, abs=0.06)
    assert found["ceiling"] == pytest.approx(1 / 3)
    assert not found["found"]
    assert not out.exists()
    assert "no better than by guessing" in told(found, out) or "better than by guessing: no card" in told(found, out)


def test_the_card_is_a_space_that_every_command_takes(recovered, cache):
    options, found = recovered
    card, about = read_card(options.out)
    assert (card.name, card.base, card.aligned, card.row_width) == ("phantom-clip-aligned", "phantom-clip", True, 64)
    assert about["aligned"] == found["aligned"]
    assert card.source == IMAGE_ENCODERS["phantom-clip"].source
    assert str(ROOT).encode() not in options.out.read_bytes()  # the file may go to another machine
    names = [scene.id for scene in SCENES[:5]]
    image = ImageOptions(cards=(options.out,))
    values, shape = load_targets("phantom-clip-aligned.image", "", names, cache=cache, image=image)
    plain, _ = load_targets("phantom-clip.image", "", names, cache=cache)
    assert shape == (64,)
    torch.testing.assert_close(values, read_transform(options.out)(plain))
    with pytest.raises(ValueError, match="align that layer or pooling with"):
        load_targets("phantom-clip-aligned@3.image", "", names, cache=cache, image=image)
    with pytest.raises(ValueError, match="has a map behind it already; align phantom-clip"):
        align(replace(options, card="phantom-clip-aligned", image=image))
    with pytest.raises(ValueError, match="need --clip"):
        load_targets("phantom-clip-aligned.image", "", names, cache=cache)


def test_an_aligned_layer_is_a_card_too(cache, tmp_path):
    out = tmp_path / "layer.safetensors"
    found = align(AlignOptions("phantom-clip@4", out, geometry="perceptual", cache=cache, name="fourth", **FAST))
    assert found["gain_interval"][0] > 0
    card, _ = read_card(out)
    assert (card.layers, card.pooling, card.name) == ((4,), "patch-mean", "fourth")
    assert load_targets("fourth.image", "", [SCENES[0].id], cache=cache, image=ImageOptions(cards=(out,)))[1] == (64,)
    with pytest.raises(ValueError, match="has 2 layers and 0 levels of blur; align one"):
        align(AlignOptions("phantom-clip@4-5", tmp_path / "b.safetensors", geometry="perceptual", cache=cache, **FAST))


def test_glocals_published_form_is_taken_over(cache, tmp_path):
    rng = np.random.default_rng(0)
    given = {"weights": rng.normal(size=(64, 64)), "bias": rng.normal(size=64), "mean": 0.1, "std": 2.0}
    np.savez(tmp_path / "transform.npz", **given)
    out = tmp_path / "card.safetensors"
    align(AlignOptions("phantom-clip", out, transform=tmp_path / "transform.npz", name="phantom-glocal"))
    names = [scene.id for scene in SCENES[:3]]
    values, _ = load_targets("phantom-glocal.image", "", names, cache=cache, image=ImageOptions(cards=(out,)))
    plain = load_targets("phantom-clip.image", "", names, cache=cache)[0].numpy()
    wanted = (plain - 0.1) / 2.0 @ given["weights"] + given["bias"]
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-3, atol=1e-3)
    np.savez(tmp_path / "transform.npz", **{**given, "weights": np.ones((32, 32)), "bias": np.ones(32)})
    with pytest.raises(ValueError, match="maps rows of 32 numbers; phantom-clip has 64"):
        align(AlignOptions("phantom-clip", tmp_path / "b.safetensors", transform=tmp_path / "transform.npz"))
    np.savez(tmp_path / "transform.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"allow_pickle|holds no transform"):
        align(AlignOptions("phantom-clip", tmp_path / "b.safetensors", transform=tmp_path / "transform.npz"))
    assert not (tmp_path / "b.safetensors").exists()


def test_the_losses_are_what_the_paper_writes():
    torch.manual_seed(0)
    rows, triplets = torch.randn(6, 4, dtype=torch.float64), torch.tensor([[0, 1, 2], [5, 3, 4]])
    scores = torch.stack(
        [torch.stack([rows[a] @ rows[b], rows[a] @ rows[c], rows[b] @ rows[c]]) for a, b, c in triplets]
    )
    torch.testing.assert_close(pair_scores(rows, triplets), scores)
    wanted = -(scores[:, 0].exp() / scores.exp().sum(1)).log().mean()
    torch.testing.assert_close(choice_loss(rows, triplets), wanted)
    torch.testing.assert_close(choice_accuracy(rows, triplets), (scores.argmax(1) == 0).double())
    weights = torch.randn(4, 4)
    off = weights - weights.trace() / 4 * torch.eye(4)
    torch.testing.assert_close(distance_to_identity(weights), off.norm() ** 2)
    assert distance_to_identity(3 * torch.eye(4)) == 0
    unit = torch.nn.functional.normalize(rows, dim=-1)
    own = neighbour_loss(rows, 2 * rows, 0.5)
    p = torch.stack(
        [torch.softmax(torch.cat([(unit @ unit[i] / 0.5)[:i], (unit @ unit[i] / 0.5)[i + 1 :]]), 0) for i in range(6)]
    )
    torch.testing.assert_close(own, -(p * p.log()).sum(1).mean())
    assert neighbour_loss(rows, torch.randn(6, 4, dtype=torch.float64), 0.5) > own


def test_local_structure_is_kept_where_it_is_asked_for():
    vectors = geometry_vectors("perceptual", SCENES)
    rng = np.random.default_rng(0)
    rows = np.concatenate([vectors, rng.normal(size=(len(vectors), 12))], axis=1).astype(np.float32)
    train = judge_triplets(vectors, 4000, seed=3)
    both = []
    for local in (0.0, 0.6):
        affine = fit_affine(rows, train, AlignmentSettings(local=local, epochs=8))
        x = torch.from_numpy((rows[:300] - affine.mean) / affine.std)
        both.append(float(neighbour_loss(x, affine(torch.from_numpy(rows[:300])), 0.1)))
    assert both[1] < both[0]


def test_nothing_is_fitted_to_pictures_that_are_held_out():
    vectors = geometry_vectors("perceptual", SCENES)
    triplets = Triplets(judge_triplets(vectors, 3000, seed=1), tuple(scene.id for scene in SCENES))
    train, held_out = split_triplets(triplets, "pictures", 0.3, seed=0)
    assert not set(train.ravel()) & set(held_out.ravel())
    changed = vectors.copy()
    changed[np.setdiff1d(np.arange(len(vectors)), train)] = 1e6
    maps = [fit_affine(rows, train, AlignmentSettings(epochs=1)) for rows in (vectors, changed)]
    assert np.array_equal(maps[0].weights, maps[1].weights)
    assert np.array_equal(maps[0].mean, maps[1].mean)
    train, held_out = split_triplets(triplets, "triplets", 0.3, seed=0)
    assert not set(map(tuple, np.sort(train, 1))) & set(map(tuple, np.sort(held_out, 1)))
    with pytest.raises(ValueError, match="give more triplets, or --held-out triplets"):
        split_triplets(Triplets(triplets.judged[:100], triplets.names), "pictures", 0.3, seed=0)


def test_the_ceiling_is_how_often_people_agree():
    judged = np.array([[0, 1, 2]] * 4 + [[1, 2, 0]] + [[3, 4, 5]] * 3)
    assert agreement(judged) == pytest.approx(0.8)
    assert agreement(judged[5:]) is None
    vectors = geometry_vectors("perceptual", SCENES)
    some = judge_triplets(vectors, 500, seed=0)
    assert 1 / 3 < triplet_ceiling(vectors, some) < 1


def test_evidence_counts_ties_as_guesses():
    affine = Affine(
        np.zeros((2, 2), np.float32), np.zeros(2, np.float32), np.zeros(2, np.float32), np.ones((), np.float32)
    )
    held_out = np.array([[0, 1, 2]] * 40)
    found = evidence_of(np.eye(3, 2, dtype=np.float32), affine, held_out, held_out)
    assert found.aligned == pytest.approx(1 / 3)
    assert not found.found


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a.png,b.png,c.png\n",
        "image_1,image_2,odd\na.png,b.png,c.png\n",
        "a.png\tb.png\tc.png\n\n",
        "a.png b.png c.png\n",
    ],
)
def test_tables_are_read_as_people_write_them(tmp_path, text):
    found = read_triplets(written(tmp_path / "t.csv", text))
    assert found.names == ("a.png", "b.png", "c.png")
    assert found.judged.tolist() == [[0, 1, 2]]


def test_a_table_of_numbers_has_its_names_beside_it(tmp_path):
    names = written(tmp_path / "names.txt", "aardvark\nabacus\naccordion\nacorn\n")
    found = read_triplets(written(tmp_path / "t.txt", "2 0 3\n1 3 0\n"), names)
    assert found.judged.tolist() == [[2, 0, 3], [1, 3, 0]]
    assert found.names[3] == "acorn"
    with pytest.raises(ValueError, match=r"line 1: '4' is none of the 4 names"):
        read_triplets(written(tmp_path / "t.txt", "2 0 4\n"), names)


@pytest.mark.parametrize(("text", "said"), [
    ("a,b,c\na,b\n", "line 2: 2 columns; a triplet has three"),
    ("a,b,c,d\n", "line 1: 4 columns"),
    ("a,b,a\n", "line 1: a picture is in its triplet twice"),
    ("image_1,image_2,odd\n", "holds no triplets"),
    ("", "holds no triplets"),
])  # fmt: skip
def test_a_table_that_is_none_is_refused_by_line(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_triplets(written(tmp_path / "t.csv", text))


@pytest.fixture
def photos(tmp_path):
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for number, scene in enumerate(SCENES[:12]):
        Image.fromarray(draw(scene)).save(folder / f"{number}.png")
    rng = np.random.default_rng(0)
    rows = [rng.choice(12, 3, replace=False) for _ in range(400)]
    table = written(tmp_path / "t.csv", "".join(",".join(map(str, row)) + "\n" for row in rows))
    return folder, table


def bad(tmp_path, folder, table, match, error=ValueError):
    out = tmp_path / "out.safetensors"
    with pytest.raises(error, match=match) as caught:
        align(
            AlignOptions("phantom-clip", out, triplets=table, images=folder, held_out="triplets", cache=tmp_path / "c")
        )
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert not list((tmp_path / "c").rglob("*.safetensors")) or "cannot identify" in str(caught.value)


def test_pictures_that_are_missing_corrupt_or_the_same_are_one_sentence_and_nothing_is_written(tmp_path, photos):
    folder, table = photos
    (folder / "3.png").rename(folder / "other.png")
    bad(tmp_path, folder, table, "1 of 12 names have no picture in .*: 3$", FileNotFoundError)
    (folder / "3.png").write_bytes((folder / "4.png").read_bytes())
    bad(tmp_path, folder, table, "'[34]' and '[34]' are the same picture")
    (folder / "3.png").write_bytes((folder / "other.png").read_bytes()[:60])
    bad(tmp_path, folder, table, "cannot identify image file", OSError)


def test_a_card_of_another_model_or_cut_off_is_said(recovered, tmp_path, cache):
    options, _ = recovered
    names = [SCENES[0].id]
    narrow = tmp_path / "narrow.safetensors"
    small = Affine(
        np.eye(8, dtype=np.float32), np.zeros(8, np.float32), np.zeros(8, np.float32), np.ones((), np.float32)
    )
    write_card(narrow, replace(IMAGE_ENCODERS["phantom-clip"], name="narrow", base="phantom-clip"), small, {})
    with pytest.raises(ValueError, match="takes rows of 8 numbers, not 64; it was made for another image encoder"):
        load_targets("narrow.image", "", names, cache=cache, image=ImageOptions(cards=(narrow,)))
    short = tmp_path / "short.safetensors"
    short.write_bytes(options.out.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is no card of an image encoder"):
        load_targets("x.image", "", names, cache=cache, image=ImageOptions(cards=(short,)))
    with pytest.raises(FileNotFoundError, match="no card of an image encoder at"):
        load_targets("x.image", "", names, cache=cache, image=ImageOptions(cards=(tmp_path / "none.safetensors",)))
    with pytest.raises(ValueError, match="there is an image encoder 'phantom-clip-aligned' already"):
        load_targets("x.image", "", names, cache=cache, image=ImageOptions(cards=(options.out, options.out)))


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "give one of --triplets"),
    ({"geometry": "flat"}, "--geometry is 'flat'; known: perceptual, encoder"),
    ({"geometry": "encoder", "held_out": "people"}, "--held-out is 'people'"),
    ({"geometry": "encoder", "share": 1.5}, "--share lies in"),
    ({"geometry": "encoder", "out": Path("card.npz")}, "ends in .safetensors"),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        AlignOptions(**{"card": "phantom-clip", "out": Path("a.safetensors"), **changes})


def test_the_command_ends_with_one_json_object_and_bad_input_with_one_line(
    tmp_path, photos, cache, monkeypatch, capsys
):
    folder, table = photos
    out = tmp_path / "o.safetensors"
    given = ["--card", "phantom-clip", "--cache", str(cache), "--images", str(folder), "--held-out", "triplets"]
    given += ["--epochs", "2", "--out", str(out), "--triplets", str(table)]
    monkeypatch.setattr(sys, "argv", ["align.py", *given])
    main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["chance"] == pytest.approx(1 / 3)
    assert found["found"] == out.exists()
    table.write_text("1,2\n")
    ran = subprocess.run(
        [sys.executable, str(ROOT / "trainer" / "align.py"), *given], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "2 columns; a triplet has three" in ran.stderr
