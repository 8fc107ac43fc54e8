import pytest
import torch

from core.model.heads import Head, HeadConfig

TEXT = (77, 768)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (HeadConfig("prompts", "prompts", prompts=("a face", "a house")), (3, 2)),
        (HeadConfig("sd1.text", "positions"), (3, 77 * 768)),
        (HeadConfig("sd2.text", "positions"), (3, 77 * 1024)),
        (HeadConfig("sdxl.text", "basis", rank=4), (3, 77 * 2048 + 1280)),
        (HeadConfig("clip-h.image", "linear", projector=32, dropout=0.5), (3, 1024)),
        (HeadConfig("dreamsim.image", "linear", shape=(1792,)), (3, 1792)),
        (HeadConfig("sd1.latent", "linear", shape=(4, 8, 8)), (3, 256)),
    ],
)
def test_each_head_gives_the_shape_of_its_space(config, shape):
    head = Head(config, n_tokens=5, width=8)
    assert head(torch.randn(3, 5, 8)).shape == shape


def test_a_new_regression_head_starts_at_the_train_mean_whatever_comes_in():
    head = Head(HeadConfig("clip-l.image", "basis", rank=3), 2, 4)
    targets = torch.randn(10, 768) + 5
    head.set_target(targets)
    with torch.no_grad():
        head.last.weight.zero_()
        head.last.bias.zero_()
    torch.testing.assert_close(head(torch.randn(2, 2, 4)), targets.mean(0).expand(2, -1))


def test_a_full_basis_reproduces_its_targets():
    head = Head(HeadConfig("clip-l.image", "basis", rank=9), 2, 4)
    targets = torch.randn(10, 768)
    head.set_target(targets)
    torch.testing.assert_close(head.from_coordinates(head.coordinates(targets)), targets, atol=1e-4, rtol=1e-4)


def test_the_basis_is_the_targets_principal_components():
    torch.manual_seed(0)
    head = Head(HeadConfig("clip-l.image", "basis", rank=5), 2, 4)
    targets = torch.randn(40, 768) @ torch.randn(768, 768)
    head.set_target(targets)
    _, sizes, directions = torch.linalg.svd((targets - targets.mean(0)).double(), full_matrices=False)
    torch.testing.assert_close((head.basis.double() @ directions[:5].T).abs(), torch.eye(5).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(head.target_spread.double(), sizes[:5] / 39**0.5, rtol=1e-4, atol=0)


def test_spread_restoration_gives_shrunken_predictions_the_targets_spread():
    torch.manual_seed(0)
    head = Head(HeadConfig("clip-l.image", "basis", rank=4), 2, 4)
    targets = torch.randn(200, 4) @ torch.randn(4, 768)
    head.set_target(targets)
    shrunken = head.target_mean + 0.4 * (targets - head.target_mean)
    head.fit_spread_gain(shrunken, targets)
    torch.testing.assert_close(head.restore_spread(shrunken), targets, atol=1e-3, rtol=1e-3)


def test_spread_restoration_is_bounded_where_nothing_was_decoded():
    head = Head(HeadConfig("clip-l.image", "basis", rank=4), 2, 4)
    targets = torch.randn(50, 768)
    head.set_target(targets)
    head.fit_spread_gain(head.target_mean.expand(50, -1) + 1e-6 * torch.randn(50, 768), targets)
    assert head.spread_gain.max() <= 3


def test_weights_sum_to_one_and_follow_the_temperature():
    head = Head(HeadConfig("prompts", "prompts", prompts=("a", "b", "c")), 1, 4)
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    cool = head.weights(logits)
    head.temperature.fill_(4.0)
    warm = head.weights(logits)
    torch.testing.assert_close(cool.sum(), torch.tensor(1.0))
    assert warm.max() < cool.max()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"space": "sd9.text", "kind": "basis", "rank": 2}, "known: prompts"),
        ({"space": "sd1.text", "kind": "guess"}, "known: prompts, positions"),
        ({"space": "sd1.text", "kind": "prompts", "prompts": ("a", "b")}, "cannot speak"),
        ({"space": "prompts", "kind": "prompts", "prompts": ("a",)}, "2 to"),
        ({"space": "sd1.text", "kind": "basis"}, "rank from 1"),
        ({"space": "sdxl.text", "kind": "positions"}, "pooled"),
        ({"space": "sd1.latent", "kind": "linear"}, "give the target's shape"),
        ({"space": "sd1.latent", "kind": "linear", "shape": (4, 99999, 99999)}, "67 million"),
        ({"space": "sd1.text", "kind": "linear", "shape": (77, 1024)}, "has shape"),
    ],
)
def test_a_config_that_does_not_go_together_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        HeadConfig(**arguments)


def test_a_basis_larger_than_its_targets_is_refused():
    head = Head(HeadConfig("clip-l.image", "basis", rank=8), 2, 4)
    with pytest.raises(ValueError, match="more than that many different targets"):
        head.set_target(torch.randn(8, 768))
