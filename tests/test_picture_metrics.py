"""Pixel correlation and SSIM against numpy and the formula, and what they reward."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from trainer.evaluation.picture_metrics import pixel_correlation, shuffled_pairs, ssim


@pytest.fixture
def pictures():
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def ssim_by_formula(a, b, window, sigma):
    values = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        radius = window // 2

        def blur(z, radius=radius):
            return gaussian_filter(z, sigma, radius=radius)[radius:-radius, radius:-radius]

        for p, q in zip(x, y, strict=True):
            mp, mq = blur(p), blur(q)
            vp, vq, c = blur(p * p) - mp**2, blur(q * q) - mq**2, blur(p * q) - mp * mq
            values.append(((2 * mp * mq + 1e-4) * (2 * c + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))).mean())
    return np.array(values).reshape(len(a), 3).mean(axis=1)


def test_pixel_correlation_matches_numpy(pictures):
    other = pictures.flip(0)
    expected = [np.corrcoef(a.numpy().ravel(), b.numpy().ravel())[0, 1] for a, b in zip(pictures, other, strict=True)]
    assert np.allclose(pixel_correlation(pictures, other).numpy(), expected, atol=1e-6)


def test_a_picture_is_wholly_like_itself_and_opposite_to_its_negative(pictures):
    assert torch.allclose(pixel_correlation(pictures, pictures), torch.ones(6))
    assert torch.allclose(pixel_correlation(pictures, 1 - pictures), -torch.ones(6))
    assert torch.allclose(ssim(pictures, pictures), torch.ones(6))


def test_brightness_and_contrast_do_not_change_pixel_correlation(pictures):
    other = pictures.flip(0)
    assert torch.allclose(pixel_correlation(0.2 + 0.5 * pictures, other), pixel_correlation(pictures, other), atol=1e-5)


def test_a_flat_picture_correlates_with_nothing(pictures):
    flat = torch.full_like(pictures, 0.1)
    assert torch.equal(pixel_correlation(flat, pictures), torch.zeros(6))
    assert torch.equal(pixel_correlation(flat, flat), torch.zeros(6))


@pytest.mark.parametrize(("size", "window"), [(32, 11), (8, 7), (9, 9)])
def test_ssim_matches_the_formula_also_in_small_pictures(pictures, size, window):
    a, b = pictures[..., :size, :size], pictures.flip(0)[..., :size, :size] * 0.5 + 0.2
    assert np.allclose(ssim(a, b).numpy(), ssim_by_formula(a, b, window, 1.5 * window / 11), atol=1e-5)


def test_the_mean_picture_beats_shuffled_pictures():
    base = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    noise = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    seen = 0.3 * base + 0.7 * noise
    of_the_mean = pixel_correlation(seen.mean(0).expand_as(seen), seen).mean()
    assert of_the_mean > shuffled_pairs(pixel_correlation, seen.flip(0), seen, n_draws=20).mean() + 0.1
    assert float(ssim(seen, seen).mean()) == pytest.approx(1)


def test_shuffling_inside_single_groups_changes_nothing(pictures):
    alone = shuffled_pairs(pixel_correlation, pictures, pictures, n_draws=3, groups=np.arange(6))
    assert torch.allclose(alone, torch.ones(3))
    assert (shuffled_pairs(pixel_correlation, pictures, pictures, n_draws=3) < 0.9).all()


def test_misfits_are_refused(pictures):
    with pytest.raises(ValueError, match="resize"):
        ssim(pictures, pictures[..., :16, :16])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        pixel_correlation(pictures * 255, pictures)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        pixel_correlation(pictures * float("nan"), pictures)
    with pytest.raises(ValueError, match="3 × 3"):
        ssim(pictures[..., :2], pictures[..., :2])
