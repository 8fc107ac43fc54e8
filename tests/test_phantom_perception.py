"""The phantom's person sees by a stated geometry where asked to, and its image encoder knows the scenes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPModel

from core.files import PHANTOM
from core.phantom.brain import build_brain, feature_rms, simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.perception import (
    WEIGHTS,
    attribute_vectors,
    geometry_vectors,
    judge_triplets,
    pair_probabilities,
    triplet_ceiling,
)
from core.phantom.scenes import Scene, all_scenes, split_scenes
from trainer.datasets.phantom import PhantomOptions, provenance, sessions
from trainer.phantom_world.image_encoder import caption_top1, new_image_encoder, to_normalised, train_image_encoder
from trainer.phantom_world.text import new_tokenizer

SCENES = all_scenes()


def distances(rows):
    return ((rows[:, None] - rows[None]) ** 2).sum(-1)


def test_without_a_geometry_every_recording_is_as_before():
    recording = simulate_recording(SCENES[:6], BrainConfig(montage="muse-4", blinks_per_minute=0), 5)
    assert build_brain(BrainConfig()).whole is None
    found = np.round(1e6 * recording.data[:, :400].astype(np.float64), 1)
    kept = np.load(PHANTOM.parent.parent / "tests" / "written_before" / "phantom_recording.npy", allow_pickle=False)
    np.testing.assert_allclose(found, kept, atol=0.11)
    options = PhantomOptions(train_scenes=1, val_repeats=0, test_repeats=0)
    assert "geometry" not in sessions(None, options)[0].identity
    assert "geometry" not in provenance(None, options)["brain"]
    assert provenance(None, replace(options, geometry="encoder"))["brain"]["geometry"] == "encoder"


def test_the_perceptual_geometry_is_a_weighing_of_attributes():
    parts = attribute_vectors()
    for values in parts.values():
        assert np.allclose(values.mean(axis=0), 0)
        assert np.mean(np.sum(values**2, axis=1)) == pytest.approx(1)
    whole = geometry_vectors("perceptual", SCENES)
    np.testing.assert_allclose(whole, np.concatenate([WEIGHTS[name] * parts[name] for name in parts], axis=1))
    red, large, blue = (
        Scene("star", colour, "on the left", size)
        for colour, size in (("red", "small"), ("red", "large"), ("blue", "small"))
    )
    near, far = geometry_vectors("perceptual", [red, large, blue])[[1, 2]] - geometry_vectors("perceptual", [red])
    assert np.linalg.norm(far) > 4 * np.linalg.norm(near)


@pytest.mark.parametrize("geometry", ["perceptual", "encoder"])
def test_scenes_lie_in_the_responses_as_in_perception(geometry):
    config = BrainConfig(geometry=geometry)
    brain = build_brain(config)
    found, wanted = (distances(rows[::37]) for rows in (brain.features(SCENES), geometry_vectors(geometry, SCENES)))
    np.testing.assert_allclose(found / found.max(), wanted / wanted.max(), atol=1e-9)
    assert np.allclose(brain.features(SCENES).mean(axis=0), 0, atol=1e-12)
    assert feature_rms(brain) == pytest.approx(feature_rms(build_brain(BrainConfig())))
    other = build_brain(replace(config, subject=1)).features(SCENES[:5])
    assert not np.allclose(other, brain.features(SCENES[:5]), rtol=0.1)
    quiet = replace(config, snr=0.0)
    data = [simulate_recording(SCENES[:3], replace(quiet, geometry=name), 1).data for name in ("", geometry)]
    assert np.array_equal(*data)


def test_an_unknown_geometry_is_refused():
    with pytest.raises(ValueError, match="no geometry 'flat'; known: perceptual, encoder"):
        BrainConfig(geometry="flat")
    with pytest.raises(ValueError, match="no geometry ''; known"):
        geometry_vectors("", SCENES)


def test_triplets_are_judged_as_the_geometry_says():
    vectors = geometry_vectors("perceptual", SCENES)
    judged = judge_triplets(vectors, 20_000, seed=1)
    assert judged.shape == (20_000, 3)
    assert (np.diff(np.sort(judged, axis=1), axis=1) > 0).all()
    odds = pair_probabilities(vectors, judged)
    assert (odds.argmax(axis=1) == 0).mean() == pytest.approx(triplet_ceiling(vectors, judged), abs=0.01)
    assert np.array_equal(judged, judge_triplets(vectors, 20_000, seed=1))
    null = judge_triplets(vectors, 20_000, seed=1, sharpness=0)
    assert (pair_probabilities(vectors, null).argmax(axis=1) == 0).mean() == pytest.approx(1 / 3, abs=0.015)
    assert triplet_ceiling(vectors, null, sharpness=0) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="three of at least three items"):
        judge_triplets(vectors[:2], 5, seed=0)
    with pytest.raises(ValueError, match="no three of them differ"):
        judge_triplets(np.ones((4, 2)), 5, seed=0)


@pytest.fixture(scope="module")
def encoder():
    return CLIPModel.from_pretrained(PHANTOM / "clip", dtype=torch.float32).eval()


def test_the_phantoms_image_encoder_is_small_and_tells_held_out_scenes_from_their_captions(encoder):
    size = sum(file.stat().st_size for file in (PHANTOM / "clip").iterdir())
    assert size < 3e6
    assert encoder.config.vision_config.num_hidden_layers == 6
    tokenizer = AutoTokenizer.from_pretrained(PHANTOM / "clip")
    assert caption_top1(encoder, tokenizer, split_scenes()["test"]) > 0.95


def test_the_encoders_own_geometry_is_that_of_its_vectors(encoder):
    from core.phantom.scenes import draw

    pictures = torch.from_numpy(np.stack([draw(scene) for scene in SCENES[::16]])).permute(0, 3, 1, 2)
    with torch.no_grad():
        seen = encoder.vision_model(to_normalised(pictures)).pooler_output
        seen = torch.nn.functional.normalize(encoder.visual_projection(seen), dim=-1)
    found, wanted = (distances(rows)[np.triu_indices(len(rows), 1)] for rows in (
        geometry_vectors("encoder", SCENES[::16]), seen.double().numpy()))  # fmt: skip
    assert np.corrcoef(found, wanted)[0, 1] > 0.99


def test_training_moves_the_model_and_scores_it(tmp_path):
    tokenizer = new_tokenizer(tmp_path)
    torch.manual_seed(0)
    start = new_image_encoder(tokenizer).visual_projection.weight
    model, top1 = train_image_encoder(tokenizer, steps=3, batch=8, seed=0, variants=1)
    assert not model.training
    assert model.logit_scale <= 4.6052
    assert not torch.equal(model.visual_projection.weight, start)
    assert 0 <= top1 <= 1
