import pytest
import torch

from core.conditioning.blending import blend
from core.conditioning.conditioning import mix_prompts
from core.model.spaces import check_fits


def test_mixing_equals_the_weighted_sum_of_the_prompts():
    context, pooled = torch.randn(3, 7, 16), torch.randn(3, 5)
    weights = torch.softmax(torch.randn(4, 3), -1)
    mixed, mixed_pooled = mix_prompts(weights, context, pooled)
    torch.testing.assert_close(mixed[2], sum(weights[2, i] * context[i] for i in range(3)))
    torch.testing.assert_close(mixed_pooled, weights @ pooled)


def test_one_certain_prompt_is_that_prompt_in_half_precision_too():
    context = torch.randn(2, 4, 8).half()
    mixed, _ = mix_prompts(torch.tensor([[0.0, 1.0]]), context)
    assert mixed.dtype == torch.float16
    assert torch.equal(mixed[0], context[1])


def test_mixing_refuses_another_number_of_prompts():
    with pytest.raises(ValueError, match="2 prompt weights but 3 encoded"):
        mix_prompts(torch.tensor([[0.5, 0.5]]), torch.randn(3, 4, 8))


@pytest.mark.parametrize("mode", ["lerp", "slerp", "concat"])
def test_zero_strength_returns_the_text_bit_for_bit(mode):
    text, eeg = torch.randn(1, 77, 768).half(), torch.randn(2, 77, 768)
    assert blend(text, eeg, 0.0, mode) is text


@pytest.mark.parametrize("mode", ["lerp", "slerp"])
def test_full_strength_returns_the_eeg_bit_for_bit(mode):
    text, eeg = torch.randn(1, 77, 768), torch.randn(2, 77, 768)
    assert torch.equal(blend(text, eeg, 1.0, mode), eeg)


def test_each_row_takes_its_own_amount():
    text, eeg = torch.zeros(1, 4, 8), torch.ones(3, 4, 8)
    mixed = blend(text, eeg, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(mixed[:, 0, 0], torch.tensor([0.0, 0.25, 1.0]))


def test_slerp_keeps_the_length_between_vectors_of_equal_length():
    text = torch.nn.functional.normalize(torch.randn(1, 6, 32), dim=-1)
    eeg = torch.nn.functional.normalize(torch.randn(1, 6, 32), dim=-1)
    torch.testing.assert_close(blend(text, eeg, 0.5, "slerp").norm(dim=-1), torch.ones(1, 6), atol=1e-4, rtol=0)


def test_concat_puts_tokens_side_by_side():
    assert blend(torch.randn(1, 77, 8), torch.randn(2, 77, 8), 0.5, "concat").shape == (2, 154, 8)


def test_a_longer_prompt_is_met_by_repeating_the_last_token():
    text, eeg = torch.randn(1, 154, 8), torch.randn(1, 77, 8)
    mixed = blend(text, eeg, 1.0)
    assert mixed.shape == (1, 154, 8)
    assert torch.equal(mixed[0, 100], eeg[0, -1])


def test_blending_does_not_change_its_inputs():
    text, eeg = torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    before = text.clone(), eeg.clone()
    blend(text, eeg, 0.3, "slerp")
    assert torch.equal(text, before[0])
    assert torch.equal(eeg, before[1])


def test_other_families_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"\(1, 77, 768\).*\(1, 77, 2048\)"):
        blend(torch.randn(1, 77, 768), torch.randn(1, 77, 2048), 0.5)
    with pytest.raises(
        ValueError, match=r"77 x 768, which fits Stable Diffusion 1\.x; the model takes tokens x 2048 \(SDXL\)"
    ):
        check_fits(torch.randn(1, 77, 768), 2048)


@pytest.mark.parametrize("amount", [-0.1, 1.5])
def test_amounts_outside_zero_to_one_are_refused(amount):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        blend(torch.randn(1, 4, 8), torch.randn(1, 4, 8), amount)
