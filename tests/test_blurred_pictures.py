"""Levels of blur in front of an image encoder are those of the papers, and layers and spaces are named by users."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.phantom.scenes import draw, split_scenes
from trainer.config.image_options import ImageOptions
from trainer.config.model_options import TargetOptions
from trainer.targets.features.computing import Model
from trainer.targets.features.pictures import pictures_of
from trainer.targets.frozen_targets import load_targets
from trainer.targets.image_encoders.blur import BLUR_MIX_KERNELS, UBP_KERNELS, blurred, foveal_mask, gaussian, with_blur
from trainer.targets.image_encoders.chosen import check_taken, chosen_card
from trainer.targets.image_encoders.families import IMAGE_ENCODERS
from trainer.targets.image_encoders.features_of import features_of
from trainer.targets.target import levelled

SCENES = split_scenes()["test"][:6]
NAMES = [scene.id for scene in SCENES]


def test_the_gaussian_is_the_one_that_a_kernel_alone_means():
    spot = torch.zeros(3, 41, 41)
    spot[:, 20, 20] = 1
    for kernel in (3, 9, 15):
        sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
        at = np.arange(-(kernel // 2), kernel // 2 + 1)
        weights = np.exp(-(at**2) / (2 * sigma**2))
        wanted = np.outer(weights, weights) / weights.sum() ** 2
        half = kernel // 2
        found = gaussian(spot, kernel)[0, 20 - half : 21 + half, 20 - half : 21 + half].numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert torch.equal(gaussian(spot, 1), spot)
    flat = torch.full((3, 70, 70), 7.0)
    torch.testing.assert_close(gaussian(flat, 63), flat)
    with pytest.raises(ValueError, match="too large for a picture"):
        gaussian(spot, 101)


def test_a_foveated_picture_is_half_sharp_at_the_middle_and_soft_at_the_edge():
    mask = foveal_mask(224, 224)
    assert mask[112, 112] == pytest.approx(0.5)
    assert mask[0, 0] == pytest.approx(0.5 * np.exp(-3.0))
    assert mask[112, 0] == pytest.approx(0.5 * np.exp(-3.0 / np.sqrt(2)), rel=1e-4)
    picture = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 64, 64))).float()
    m, soft = foveal_mask(64, 64), gaussian(picture, 15)
    torch.testing.assert_close(blurred(picture, 15, "foveated"), m * picture + (1 - m) * soft)


def test_the_published_kernels_are_there():
    assert BLUR_MIX_KERNELS == (1, 3, 9, 15, 21, 27, 33, 39, 45, 51, 57, 63)
    assert UBP_KERNELS == (45, 45, 51)


def test_each_level_is_the_encoders_row_of_the_blurred_picture(tmp_path):
    card = IMAGE_ENCODERS["phantom-clip"]
    levels = replace(card, blur=(1, 9, 21), blur_size=64)
    pictures = [picture for (picture,) in pictures_of(None, NAMES)]
    rows, index = features_of(levels, pictures, cache=tmp_path)
    assert rows.shape[1:] == (3, 64)
    plain, where = features_of(card, pictures, cache=tmp_path)
    np.testing.assert_allclose(rows[index][:, 0], plain[where], atol=1e-4)
    soft = [gaussian(torch.from_numpy(draw(scene)).permute(2, 0, 1).float(), 9).round().byte() for scene in SCENES]
    folder = tmp_path / "soft"
    folder.mkdir()
    for name, picture in zip(NAMES, soft, strict=True):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
    blurry, where = features_of(card, [one for (one,) in pictures_of(folder, NAMES)], cache=tmp_path)
    np.testing.assert_allclose(rows[index][:, 1], blurry[where], atol=1e-4)
    both = replace(levels, layers=(2, 4), pooling="patch-mean")
    rows, _ = features_of(both, pictures, cache=tmp_path)
    assert rows.shape[1:] == (3, 2, 64)


def test_pictures_of_any_size_are_squashed_before_they_are_blurred():
    seen = []
    card = replace(IMAGE_ENCODERS["phantom-clip"], blur=(1, 3), blur_size=32)
    model = with_blur(card, Model(lambda picture: seen.append(picture.shape) or torch.zeros(1), torch.stack))
    assert model.encode([model.prepare(np.zeros((50, 90, 3), np.uint8))] * 2).shape == (2, 2, 1)
    assert set(seen) == {(32, 32, 3)}


@pytest.mark.parametrize(("space", "options", "shape"), [
    ("phantom-clip.image", ImageOptions(layers=(2, 4, 6)), (3, 64)),
    ("phantom-clip.image", ImageOptions(layers=(5,), pooling="cls"), (64,)),
    ("phantom-clip@2-4.image", ImageOptions(), (2, 64)),
    ("phantom-clip@3.image", ImageOptions(layers=(5, 6)), (64,)),
    ("phantom-clip.image", ImageOptions(blur=(1, 9), blur_size=64), (2, 64)),
    ("phantom-clip.image", ImageOptions(resize="squash", size=32), (64,)),
])  # fmt: skip
def test_users_name_layers_and_blur(tmp_path, space, options, shape):
    values, found = load_targets(space, "", NAMES, cache=tmp_path, image=options)
    assert found == shape
    assert values.shape == (6, np.prod(shape))


def test_a_named_layer_is_pooled_over_patches_unless_said_otherwise():
    card = chosen_card("clip-l@8-20.image")
    assert (card.layers, card.pooling, card.row_width) == ((8, 20), "patch-mean", 1024)
    assert chosen_card("clip-l@8.image", options=ImageOptions(pooling="cls")).pooling == "cls"
    assert chosen_card("internvit-6b.image", options=ImageOptions(source="here")).source == "here"


def test_spaces_that_stable_diffusion_takes_stay_as_they_are():
    card = chosen_card("clip-l.image", options=ImageOptions(layers=(3,)))
    assert card == IMAGE_ENCODERS["clip-l"]
    check_taken(("clip-l.image", "phantom-clip.image"), ImageOptions(layers=(3,)))
    with pytest.raises(ValueError, match=r"change no target \(clip-l.image\).*--space clip-l@20.image"):
        check_taken(("clip-l.image", "sd1.text"), ImageOptions(layers=(3,)))


@pytest.mark.parametrize(("changes", "said"), [
    ({"layers": (0,)}, "counts from 1"),
    ({"pooling": "max"}, "--image-pooling is 'max'"),
    ({"blur_kind": "box"}, "--image-blur-kind is 'box'"),
    ({"size": -1}, "must be 0 and 8 or more"),
    ({"blur_use": "uncertain", "blur": (3, 5)}, "takes three kernels"),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        ImageOptions(**changes)


def test_a_kernel_that_is_even_is_refused():
    with pytest.raises(ValueError, match="odd pixels"):
        chosen_card("phantom-clip.image", options=ImageOptions(blur=(4,)))


def test_three_levels_are_less_usual_and_more_blur_where_training_chooses(tmp_path):
    options = TargetOptions(
        image=ImageOptions(blur=(9, 9, 21), blur_size=64, blur_kind="foveated", blur_use="uncertain")
    )
    values, shape = load_targets("phantom-clip.image", "", NAMES, cache=tmp_path, image=options.image)
    usual, own, levels = levelled(values, shape, "phantom-clip.image", options.image)
    assert own == (64,)
    assert [level.shape for level in levels] == [(6, 64)] * 3
    assert torch.equal(usual, levels[1])
    assert torch.equal(levels[0], levels[1])
    assert not torch.allclose(levels[1], levels[2], atol=1e-3)
    assert levelled(values, shape, "phantom-clip.image", ImageOptions())[2] == ()
    assert levelled(values, shape, "clip-l.image", options.image)[2] == ()


def test_training_takes_layers_cards_and_levels_of_blur_and_its_options_are_read_back(tmp_path):
    from core.model.checkpoint import load_encoder
    from trainer.config.options import TrainOptions
    from trainer.config.options_file import read_options
    from trainer.prepare import main as prepare
    from trainer.train import parse_options, train

    store = tmp_path / "store"
    few = ["--train-scenes", "20", "--train-repeats", "2", "--val-scenes", "6", "--val-repeats", "2"]
    with pytest.MonkeyPatch.context() as patch:
        given = ["phantom", "--geometry", "perceptual", *few, "--test-scenes", "6", "--test-repeats", "1"]
        patch.setattr("sys.argv", ["prepare.py", *given, "--out", str(store)])
        prepare()
    blur = ["--image-blur", "3", "3", "9", "--image-blur-size", "64", "--image-blur-kind", "foveated"]
    given = ["--data", str(store), "--preset", "phantom", "--epochs", "1", "--head", "linear", "--loss", "infonce"]
    given += [
        "--space",
        "phantom-clip@2-5.image",
        *blur,
        "--image-blur-use",
        "uncertain",
        "--out",
        str(tmp_path / "run"),
    ]
    options = parse_options(given)
    train(options)
    encoder = load_encoder(tmp_path / "run" / "encoder.safetensors")
    assert encoder.head("phantom-clip@2-5.image").config.shape == (2, 64)
    assert read_options(TrainOptions, tmp_path / "run" / "options.json").targets.image == options.targets.image


def test_a_corrupt_picture_is_one_sentence_and_nothing_is_kept(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    with pytest.raises(OSError, match=r"cannot identify image file .*one.png.*replace it"):
        load_targets("phantom-clip.image", "", ["one"], cache=tmp_path / "cache", images=folder)
    assert not list(Path(tmp_path / "cache").rglob("*.safetensors"))
