"""Pictures and latents at another size."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.choices import RESIZES
from core.conditioning.resizing import resize, wanted_size


@pytest.mark.parametrize(
    ("asked", "got"),
    [((0, 0), (64, 48)), ((512, 0), (512, 384)), ((0, 96), (128, 96)), ((100, 0), (100, 72)), ((3, 5), (3, 5))],
)
def test_a_size_that_is_not_asked_for_follows_in_whole_cells(asked, got):
    assert wanted_size((64, 48), *asked) == got


def test_a_side_never_vanishes():
    assert wanted_size((512, 8), 8, 0) == (8, 8)


@pytest.mark.parametrize("how", RESIZES)
@pytest.mark.parametrize("size", [(40, 24), (8, 6), (16, 16)])
def test_sizes_are_as_asked_and_a_flat_picture_stays_flat(how, size):
    found = resize(torch.full((2, 3, 16, 16), 0.25), size, how)
    assert found.shape == (2, 3, size[1], size[0])
    assert torch.allclose(found, torch.full_like(found, 0.25), atol=1e-6)


@pytest.mark.parametrize("how", RESIZES)
def test_the_same_size_is_the_same_picture(how):
    picture = torch.rand(1, 3, 6, 5)
    assert resize(picture, (5, 6), how, "crop") is picture


@pytest.mark.parametrize(
    ("how", "filtering"), [("bicubic", "BICUBIC"), ("lanczos", "LANCZOS"), ("bilinear", "BILINEAR")]
)
@pytest.mark.parametrize("size", [(24, 20), (5, 4)])
def test_filters_are_pillows_within_a_percent(how, filtering, size):
    torch.manual_seed(0)
    plane = torch.rand(10, 12)
    wanted = np.asarray(Image.fromarray(plane.numpy()).resize(size, getattr(Image.Resampling, filtering)))
    assert resize(plane[None, None], size, how)[0, 0].numpy() == pytest.approx(wanted, abs=0.01)


def test_nearest_leaves_squares():
    found = resize(torch.arange(4.0).reshape(1, 1, 2, 2), (6, 6), "nearest")
    assert torch.equal(found[0, 0, :3, :3], torch.zeros(3, 3))
    assert found.unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("how", RESIZES)
def test_cropping_keeps_proportions_and_the_middle(how):
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 4, 8)  # left to right, twice as wide as high
    cropped = resize(ramp, (16, 16), how, "crop")
    wide = resize(ramp, (32, 16), how)
    assert cropped.shape == (1, 1, 16, 16)
    assert torch.equal(cropped, wide[..., 8:24])
    assert not torch.allclose(cropped, resize(ramp, (16, 16), how))


def test_unknown_ways_list_the_known_ones():
    with pytest.raises(ValueError, match="no way to resize called 'area'; known: bicubic, lanczos, bilinear, nearest"):
        resize(torch.zeros(1, 1, 2, 2), (4, 4), "area")
    with pytest.raises(ValueError, match="no fit called 'pad'; known: stretch, crop"):
        resize(torch.zeros(1, 1, 2, 2), (4, 4), "bicubic", "pad")
