"""What is trained on the pictures' side: layer mix, blur mix and visual LoRA."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import CLIPVisionModelWithProjection

from core.files import PHANTOM
from core.phantom.scenes import split_scenes
from trainer.targets.features.pictures import pictures_of
from trainer.targets.image_encoders.affine import read_card
from trainer.targets.image_encoders.families import FAMILIES, IMAGE_ENCODERS
from trainer.targets.image_encoders.features_of import features_of
from trainer.targets.image_encoders.lora import VisualLora, with_lora, write_lora
from trainer.targets.mixes.blur_mix import BlurMix
from trainer.targets.mixes.layer_mix import LayerMix


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_layer_mix_has_the_published_sizes_and_starts_as_published():
    mix = LayerMix((20, 24, 28, 32, 36), 3200, n_subjects=10)
    assert count(mix.first) == 3_277_824
    assert [count(own) for own in mix.each] == [524_800] * 5
    assert count(mix.share) == 262_656
    wanted = torch.tensor([0.067, 0.183, 0.498, 0.183, 0.067])
    torch.testing.assert_close(mix.eval().weights(1)[0], wanted, atol=6e-4, rtol=0)


def small_mix(**changes):
    torch.manual_seed(0)
    return LayerMix((1, 2, 3), 8, n_subjects=2, hidden=6, out=4, **changes)


def test_the_layer_mix_is_the_weighted_sum_of_projected_layers():
    mix, rows = small_mix().eval(), torch.randn(5, 3, 8)
    weights = torch.softmax(mix.logits, 0)
    wanted = sum(weights[k] * mix.each[k](mix.first(rows[:, k])) for k in range(3))
    torch.testing.assert_close(mix(rows), mix.share(wanted))
    torch.testing.assert_close(mix(rows.flatten(1)), mix(rows))


def test_a_persons_bias_counts_in_training_only_and_not_always():
    mix = small_mix()
    with torch.no_grad():
        mix.bias[1] = torch.tensor([9.0, 0.0, 0.0])
    person = torch.ones(4000, dtype=torch.int64)
    first = mix.weights(4000, person)[:, 0]
    assert (first > 0.9).float().mean() == pytest.approx(0.7, abs=0.03)
    assert (mix.weights(4000, torch.zeros_like(person))[:, 0] < 0.9).all()
    assert torch.equal(mix.eval().weights(3, person[:3]), mix.weights(3))
    dropped = small_mix(dropout=0.9).weights(2000)
    assert torch.isfinite(dropped).all()
    assert (dropped == 0).any()


def test_the_layer_mix_learns_which_layer_tells_and_its_shared_map_can_be_frozen():
    mix = small_mix(centre=2)
    rows, target = torch.randn(256, 3, 8), torch.randn(256, 4)
    rows[:, 0, :4] = 3 * target
    optimiser = torch.optim.Adam(mix.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        (mix(rows) - target).square().mean().backward()
        optimiser.step()
    assert mix.weights(1)[0].argmax() == 0
    mix.freeze_share()
    mix.zero_grad()
    mix(rows).sum().backward()
    assert mix.share.weight.grad is None
    assert mix.first.weight.grad is not None


def test_the_blur_mix_weighs_unit_rows_by_dimension():
    torch.manual_seed(0)
    mix, rows = BlurMix(12, 16).eval(), torch.randn(3, 12, 16)
    assert (mix.logits >= 0).all()
    assert count(mix.adapter) == 2 * (16 * 16 + 16)
    unit = torch.nn.functional.normalize(rows, dim=-1)
    torch.testing.assert_close(mix(rows), mix.adapter((torch.softmax(mix.logits, 0) * unit).sum(1)))
    assert not torch.equal(mix.train()(rows), mix(rows))


@pytest.mark.parametrize("mix", [LayerMix((1, 2), 8, hidden=4, out=4), BlurMix(2, 8)])
def test_features_of_another_card_are_refused(mix):
    with pytest.raises(
        ValueError, match=r"are \(3, 8\) a picture; the mix was made for 2 .* of 8: they are of another"
    ):
        mix(torch.zeros(4, 3, 8))


def test_a_mix_of_one_is_refused():
    with pytest.raises(ValueError, match="at least two, not \\(3,\\)"):
        LayerMix((3,), 8)
    with pytest.raises(ValueError, match="at least two levels, not 1"):
        BlurMix(1, 8)


@pytest.fixture
def tuned():
    pytest.importorskip("peft", exc_type=ImportError)
    card = replace(IMAGE_ENCODERS["phantom-clip"], source=str(PHANTOM / "clip"))
    model = CLIPVisionModelWithProjection.from_pretrained(card.source, dtype=torch.float32)
    torch.manual_seed(0)
    return VisualLora(card, model, rank=2, alpha=4)


def scenes_of(n):
    return [picture for (picture,) in pictures_of(None, [scene.id for scene in split_scenes()["test"][:n]])]


def test_visual_lora_trains_little_and_leaves_the_untuned_space_as_it_was(tuned, tmp_path):
    plain = FAMILIES["clip"].load(tuned.card, "cpu")
    pictures = scenes_of(4)
    pixels = torch.stack([plain.prepare(picture.read()) for picture in pictures])
    with torch.no_grad():
        before = plain.encode(list(pixels))
    torch.testing.assert_close(tuned(pixels), before)
    trained = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in trained) < 0.1 * count(tuned)
    optimiser = torch.optim.Adam(trained, lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        tuned(pixels).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(tuned.untuned(pixels), before)
    after = tuned(pixels).detach()
    assert not torch.allclose(after, before, atol=0.01)

    file = tmp_path / "tuned.safetensors"
    write_lora(file, "phantom-tuned", tuned, {"epochs": 3})
    assert file.stat().st_size < 100_000
    card, about = read_card(file)
    assert (card.name, card.base, about) == ("phantom-tuned", "phantom-clip", {"epochs": 3})
    rows, index = features_of(card, pictures, cache=tmp_path / "cache")
    np.testing.assert_allclose(rows[index], after.numpy(), atol=1e-4)
    plain_rows, index = features_of(tuned.card, pictures, cache=tmp_path / "cache")
    np.testing.assert_allclose(plain_rows[index], before.numpy(), atol=1e-4)
    with pytest.raises(ValueError, match="a name of its own"):
        write_lora(file, "phantom-clip", tuned, {})
    larger = CLIPVisionModelWithProjection(
        type(tuned.model.config)(hidden_size=32, num_attention_heads=2, image_size=64)
    )
    with pytest.raises(ValueError, match=r"no tuning of phantom-clip(, or|: its)"):
        with_lora(card, larger)


def test_without_peft_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ValueError, match=r"pip install peft$"):
        VisualLora(IMAGE_ENCODERS["clip-b32"], torch.nn.Linear(2, 2))
