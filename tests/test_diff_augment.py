import pytest
import torch

from trainer.training.gan import POLICIES, diff_augment


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_pass_through_each_change(policy):
    torch.manual_seed(0)
    pictures = torch.rand(4, 3, 32, 32, requires_grad=True)
    diff_augment(pictures, (policy,)).square().sum().backward()
    assert pictures.grad.abs().sum(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_each_picture_is_changed_in_its_own_way_and_alike_from_one_seed(policy):
    picture = torch.rand(1, 3, 32, 32).expand(6, -1, -1, -1)
    torch.manual_seed(3)
    found = diff_augment(picture, (policy,))
    torch.manual_seed(3)
    assert torch.equal(found, diff_augment(picture, (policy,)))
    assert len({tuple(one.flatten().tolist()) for one in found}) > 3
    assert found.shape == picture.shape


def test_translation_moves_by_an_eighth_at_most_and_brings_in_zeros():
    torch.manual_seed(0)
    pictures = torch.zeros(200, 3, 32, 32)
    pictures[:, :, 16, 16] = 1
    place = diff_augment(pictures, ("translation",))[:, 0].flatten(1).argmax(1)
    rows, columns = place // 32 - 16, place % 32 - 16
    assert rows.abs().max() == columns.abs().max() == 4
    assert set(rows.tolist()) == set(range(-4, 5))
    moved = diff_augment(torch.ones(50, 3, 32, 32), ("translation",))
    assert 0 < (moved == 0).float().mean() < 0.25


def test_cutout_takes_a_square_of_at_most_half_the_sides():
    torch.manual_seed(0)
    cut = (diff_augment(torch.ones(300, 3, 32, 32), ("cutout",))[:, 0] == 0).float()
    assert cut.sum((1, 2)).max() == 16 * 16
    assert cut.amax(2).sum(1).max() == 16


def test_colour_moves_brightness_by_half_at_most():
    torch.manual_seed(0)
    found = diff_augment(torch.full((500, 3, 4, 4), 0.5), ("colour",)).mean((1, 2, 3))
    assert 0 <= found.min() < 0.1
    assert 0.9 < found.max() <= 1


def test_an_unknown_change_is_named():
    with pytest.raises(ValueError, match="no augmentation 'flip'"):
        diff_augment(torch.rand(1, 3, 8, 8), ("flip",))
