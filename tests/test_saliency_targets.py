import numpy as np
import pytest
import torch

from core.phantom.scenes import PLACES, Scene, draw
from trainer.targets.frozen_targets import load_targets
from trainer.targets.saliency_targets import saliency_target, spectral_residual

PLACE_MIDDLE = {name: (32 + 14.5 * across, 32 + 14.5 * down) for name, (across, down) in PLACES.items()}


def test_a_phantoms_picture_is_its_own_target():
    picture = draw(Scene("star", "red", "at the top left", "large"))
    found = saliency_target(picture, 64)
    assert torch.equal((found * 255).round().to(torch.uint8), torch.from_numpy(picture).permute(2, 0, 1))


@pytest.mark.parametrize("size", [64, 128])
def test_pictures_of_any_size_are_stretched_to_the_square(size):
    picture = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    found = saliency_target(picture, size)
    assert found.shape == (3, size, size)
    assert abs(found.mean() - picture.mean() / 255) < 0.01


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("colour", ["red", "green", "white"])
def test_what_stands_out_is_where_the_shape_is(place, colour):
    found = spectral_residual(draw(Scene("square", colour, place, "large")))
    row, column = np.unravel_index(found.argmax(), found.shape)
    x, y = PLACE_MIDDLE[place]
    assert np.hypot(column - x, row - y) < 20  # its outline: half a diagonal from the middle
    inside = np.hypot(*np.meshgrid(np.arange(64) - x, np.arange(64) - y)) < 20
    assert found[inside].mean() > 3 * found[~inside].mean()


def test_the_map_lies_between_0_and_1_and_is_0_for_a_flat_picture():
    found = spectral_residual(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert found.min() == 0
    assert found.max() == 1
    assert not spectral_residual(np.full((64, 64, 3), 128, np.uint8)).any()


def test_the_map_follows_the_published_formula_on_a_grey_picture():
    from scipy.ndimage import convolve, gaussian_filter

    grey = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    spectrum = np.fft.fft2(grey / 255)
    log = np.log(np.abs(spectrum))
    residual = log - convolve(log, np.full((3, 3), 1 / 9), mode="wrap")
    wanted = gaussian_filter(np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2, 2.5, mode="nearest")
    wanted = (wanted - wanted.min()) / np.ptp(wanted)
    np.testing.assert_allclose(spectral_residual(np.repeat(grey[..., None], 3, 2)), wanted, atol=1e-3)


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="picture or saliency"):
        saliency_target(np.zeros((8, 8, 3), np.uint8), 64, "edges")
    with pytest.raises(ValueError, match="64 or 128"):
        saliency_target(np.zeros((8, 8, 3), np.uint8), 32)


def test_targets_of_the_space_need_no_model_and_differ_by_kind_and_size(tmp_path):
    ids = [Scene("star", "red", place, "large").id for place in PLACES]
    pictures, shape = load_targets("saliency", "", ids, cache=tmp_path, size=64)
    maps, _ = load_targets("saliency", "", ids, cache=tmp_path, size=64, saliency="saliency")
    _, large = load_targets("saliency", "", ids, cache=tmp_path, size=128)
    assert (shape, large) == ((3, 64, 64), (3, 128, 128))
    assert pictures.shape == maps.shape == (9, 3 * 64 * 64)
    assert not torch.equal(pictures, maps)


def test_an_image_id_that_is_a_folder_gets_its_pictures_mean_target(tmp_path):
    from PIL import Image

    (tmp_path / "photos" / "face").mkdir(parents=True)
    for value in (0, 255):
        Image.new("RGB", (80, 80), (value, value, value)).save(tmp_path / "photos" / "face" / f"{value}.png")
    Image.new("RGB", (80, 80), (255, 0, 0)).save(tmp_path / "photos" / "house.png")
    found, _ = load_targets("saliency", "", ["face", "house"], cache=tmp_path, images=tmp_path / "photos", size=64)
    torch.testing.assert_close(found[0], torch.full((3 * 64 * 64,), 0.5))
    assert found[1].view(3, -1).mean(1).tolist() == [1, 0, 0]
