"""Cards of frozen image encoders: what they say is what is computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from core.model.spaces import SPACES, find_space
from trainer.targets.features.pictures import pictures_of
from trainer.targets.frozen_targets import load_targets
from trainer.targets.image_encoders.card import DESCRIPTIVE, ImageEncoder
from trainer.targets.image_encoders.families import FAMILIES, IMAGE_ENCODERS, card_of_space, image_encoder_named
from trainer.targets.image_encoders.features_of import features_of

WIDTH, SIDE = 24, 32


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE,
        patch_size=8, projection_dim=12,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def card(clip):
    return ImageEncoder("small", "clip", clip, WIDTH, "none")


def rows_of(card, photos, cache):
    pictures = [picture for (picture,) in pictures_of(photos, ["0", "1", "2"])]
    rows, index = features_of(card, pictures, cache=cache)
    return torch.from_numpy(rows[index])


def blocks_of(card, photos, squash=False):
    """Each block's output (3, tokens, width), caught by hooks, of pictures that Pillow has cut."""
    model = CLIPVisionModelWithProjection.from_pretrained(card.source).eval()
    stack = []
    for number in range(3):
        picture = Image.open(photos / f"{number}.png")
        picture = picture.resize((SIDE, SIDE) if squash else (48, SIDE), Image.Resampling.BICUBIC)
        left = 0 if squash else 8
        pixels = np.asarray(picture.crop((left, 0, left + SIDE, SIDE))) / 255
        stack.append((pixels - np.array(card.mean)) / np.array(card.std))
    caught = []
    for layer in model.vision_model.encoder.layers:
        layer.register_forward_hook(lambda module, given, out: caught.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        vectors = model(torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2).float()).image_embeds
        return caught, model.vision_model.post_layernorm, vectors


def close(found, wanted):
    torch.testing.assert_close(found, wanted.detach(), atol=2e-5, rtol=1e-4)


def test_every_card_is_whole_and_gives_the_width_of_its_space():
    assert {"clip-l", "clip-h", "clip-g"} <= IMAGE_ENCODERS.keys()
    for name, card in IMAGE_ENCODERS.items():
        assert card.name == name
        assert card.licence
        assert card.source
        assert card.family in FAMILIES
        assert find_space(f"{name}.image").kind == "image"
    for name in ("clip-l", "clip-h", "clip-g"):
        assert SPACES[f"{name}.image"].shape == (IMAGE_ENCODERS[name].width,)


def test_the_models_own_vector_is_the_default(card, photos, tmp_path):
    found = rows_of(replace(card, width=12), photos, tmp_path)
    close(found, blocks_of(card, photos)[2])


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_block_is_pooled_as_the_card_says(card, photos, tmp_path, layer, norm, squash):
    blocks, final, _ = blocks_of(card, photos, squash)
    tokens = final(blocks[layer - 1]) if norm else blocks[layer - 1]
    wanted = {"cls": tokens[:, 0], "patch-mean": tokens[:, 1:].mean(1), "token-mean": tokens.mean(1)}
    for pooling, vectors in wanted.items():
        one = replace(card, layers=(layer,), pooling=pooling, final_norm=norm, resize="squash" if squash else "crop")
        close(rows_of(one, photos, tmp_path), vectors)


def test_several_layers_are_computed_in_one_go(card, photos, tmp_path):
    blocks, *_ = blocks_of(card, photos)
    found = rows_of(replace(card, layers=(3, 1), pooling="cls"), photos, tmp_path)
    close(found, torch.stack([blocks[2][:, 0], blocks[0][:, 0]], dim=1))


def test_a_larger_side_than_the_models_own_and_float16_on_disk(card, photos, tmp_path):
    full = rows_of(replace(card, size=64, layers=(2,), pooling="patch-mean"), photos, tmp_path)
    half = rows_of(replace(card, size=64, layers=(2,), pooling="patch-mean", stored="float16"), photos, tmp_path)
    assert half.dtype == torch.float16
    assert torch.equal(half, full.half())
    assert not torch.allclose(full, rows_of(replace(card, layers=(2,), pooling="patch-mean"), photos, tmp_path))


def test_whatever_changes_the_numbers_changes_the_key_and_nothing_else_does(card, photos, tmp_path):
    rows_of(replace(card, width=12), photos, tmp_path)
    described = replace(card, width=12, licence="MIT", aligned=True)
    rows_of(described, photos, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    other = {"layers": (1,), "pooling": "cls", "final_norm": True, "size": 48, "resize": "squash", "crop_share": 0.9,
             "interpolation": "bilinear", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "blur": (5,),
             "blur_kind": "foveated", "blur_size": 64}  # fmt: skip
    undescribed = {name for name in ImageEncoder.__dataclass_fields__ if name not in DESCRIPTIVE}
    assert other.keys() | {"stored"} == undescribed
    keys = [replace(card, **{"pooling": "cls", name: value}).numbers() for name, value in other.items()]
    assert len({str(key) for key in keys}) == len(other)


def test_what_a_card_cannot_mean_is_refused(card, photos, tmp_path):
    for wrong, said in (
        ({"pooling": "max"}, "known: model, cls"),
        ({"resize": "pad"}, "known: crop, squash"),
        ({"layers": (2,)}, "need pooling cls"),
        ({"layers": (0,), "pooling": "cls"}, "count from 1"),
        ({"crop_share": 0.0}, "crop_share"),
        ({"name": "../clip"}, "letters, digits"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(card, **wrong)
    with pytest.raises(ValueError, match="layer 4 of a model of 3 blocks"):
        rows_of(replace(card, layers=(4,), pooling="cls"), photos, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_model_of_another_width_is_refused_before_anything_is_kept(clip, photos, tmp_path):
    with pytest.raises(ValueError, match=r"clip-l\.image has shape \(768,\), not \(12,\)"):
        load_targets("clip-l.image", clip, ["0"], cache=tmp_path, images=photos)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_given_model_stands_for_a_cards_own_and_for_a_space_without_a_card(clip, photos, tmp_path):
    own = card_of_space("clip-h.image")
    assert own == IMAGE_ENCODERS["clip-h"] == image_encoder_named("clip-h")
    given = card_of_space("clip-h.image", "some/where")
    assert (given.source, given.revision, given.width) == ("some/where", "", 1024)
    for name in ("phantom-clip", "dino-b16"):  # --clip names what Stable Diffusion takes, and no other encoder
        assert card_of_space(f"{name}.image", "some/where") == IMAGE_ENCODERS[name]
    assert load_targets("mine.image", clip, ["0", "1"], cache=tmp_path, images=photos)[0].shape == (2, 12)
    with pytest.raises(ValueError, match=r"need --clip: .*known: .*clip-g, clip-h, clip-l"):
        card_of_space("mine.image")
    with pytest.raises(ValueError, match=r"no image encoder 'mine'; known: .*clip-g"):
        image_encoder_named("mine")
