"""Three ways for the EEG to act on a prompt: what strength 0 and 1 mean in each, to the last bit."""

import pytest
import torch

from core.choices import STEERING as MODES
from core.choices import check_steering
from core.conditioning.blending import pad_tokens, steer

HALVES = (torch.float16, torch.bfloat16)


def tensors(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    text, eeg = (torch.randn(3, *shape, generator=generator).to(dtype) for _ in range(2))
    return text, eeg, torch.randn(1, *shape, generator=generator).to(dtype)


SHAPES = [(77, 16), (16,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
def test_the_ends_of_every_mode_are_exact(shape, dtype):
    text, eeg, mean = tensors(*shape, dtype=dtype)
    assert torch.equal(steer(text, eeg, mean, mode="replace", strength=1), eeg)
    assert torch.equal(steer(text, eeg, mean, mode="replace", strength=0), mean.expand_as(text))
    assert steer(text, eeg, mean, mode="blend", strength=0) is text
    assert torch.equal(steer(text, eeg, mean, mode="blend", strength=1), eeg)
    assert torch.equal(steer(text, eeg, mean, mode="add", strength=0), text)


@pytest.mark.parametrize("shape", SHAPES)
def test_between_the_ends_each_mode_is_a_straight_line(shape):
    text, eeg, mean = tensors(*shape)
    for strength in torch.linspace(0, 2, 9).tolist():
        moved = strength * (eeg - mean)
        assert torch.allclose(steer(text, eeg, mean, mode="replace", strength=strength), mean + moved, atol=1e-5)
        assert torch.allclose(steer(text, eeg, mean, mode="add", strength=strength), text + moved, atol=1e-5)
        if strength <= 1:
            blended = steer(text, eeg, mean, mode="blend", strength=strength)
            assert torch.allclose(blended, text + strength * (eeg - text), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
def test_a_row_that_is_not_trusted_is_the_text_and_one_that_is_the_eegs(mode, shape, dtype):
    text, eeg, mean = tensors(*shape, dtype=dtype)
    share = torch.tensor([0.0, 1.0, 0.4])
    found = steer(text, eeg, mean, mode=mode, strength=0.7, share=share)
    whole = steer(text, eeg, mean, mode=mode, strength=0.7)
    assert torch.equal(found[0], text[0])
    assert torch.equal(found[1], whole[1])
    wanted = text[2].float() + 0.4 * (whole[2].float() - text[2].float())
    assert torch.allclose(found[2].float(), wanted, atol=1e-5 if dtype == torch.float32 else 5e-2)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_goes_in_is_changed(mode):
    given = tensors(77, 16)
    before = [one.clone() for one in given]
    steer(*given, mode=mode, strength=0.5, share=torch.tensor([0.0, 0.5, 1.0])).add_(1)
    assert all(torch.equal(one, was) for one, was in zip(given, before, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_the_result_has_the_texts_type(mode):
    text, eeg, mean = tensors(77, 16)
    for dtype in HALVES:
        assert steer(text.to(dtype), eeg, mean, mode=mode, strength=0.5).dtype == dtype


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("longer", ["text", "eeg"])
def test_where_lengths_differ_the_last_token_is_repeated(mode, longer):
    text, eeg, mean = tensors(77, 16)
    if longer == "text":
        text = torch.cat([text, text], dim=1)
    else:
        eeg, mean = torch.cat([eeg, eeg], dim=1), torch.cat([mean, mean], dim=1)
    found = steer(text, eeg, mean, mode=mode, strength=0.5)
    assert found.shape == (3, 154, 16)
    both = (pad_tokens(text, 154), pad_tokens(eeg, 154), pad_tokens(mean, 154))
    assert torch.allclose(found, steer(*both, mode=mode, strength=0.5), atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_one_row_of_text_serves_every_window(mode):
    text, eeg, mean = tensors(77, 16)
    found = steer(text[:1], eeg, mean, mode=mode, strength=0.5)
    assert torch.equal(found, steer(text[:1].expand(3, -1, -1), eeg, mean, mode=mode, strength=0.5))


@pytest.mark.parametrize("mode", MODES)
def test_widths_that_differ_are_refused_with_both_shapes(mode):
    text, (_, eeg, mean) = tensors(77, 16)[0], tensors(77, 24)
    with pytest.raises(ValueError, match=r"\(3, 77, 16\).*77, 24\).*different model families"):
        steer(text, eeg, mean, mode=mode, strength=0.5)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan"), float("inf")])
def test_strengths_outside_are_refused(strength):
    for mode in MODES:
        with pytest.raises(
            ValueError, match=f"the strength of '{mode}' lies between 0 and {1 if mode == 'blend' else 2}"
        ):
            check_steering(mode, strength)


def test_blend_goes_no_further_than_the_eeg():
    check_steering("add", 1.5)
    with pytest.raises(ValueError, match=r"the strength of 'blend' lies between 0 and 1, not 1\.5"):
        check_steering("blend", 1.5)


def test_an_unknown_mode_lists_the_known_ones():
    with pytest.raises(ValueError, match="no mode 'mix'; known: replace, blend, add"):
        steer(*tensors(16), mode="mix", strength=1)
