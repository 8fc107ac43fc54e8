"""The coatnet encoder: Braincoder's arithmetic, any picture size, and the defects of the original left out."""

import pytest
import torch

from core.encoders.coatnet import Coatnet, CoatnetConfig, RelativeAttention


def test_published_sizes_give_300_tokens_of_768():
    config = CoatnetConfig()
    assert config.grids == ((120, 160), (60, 80), (30, 40), (15, 20))
    encoder = Coatnet(config)
    assert (encoder.n_tokens, encoder.width) == (300, 768)
    # SYSTEMS 1: 22.9 M with the projection of 300 positions to 77 tokens (weights and biases).
    total = sum(parameter.numel() for parameter in encoder.parameters()) + 300 * 77 + 77
    assert round(total / 1e6, 1) == 22.9


def test_published_sizes_run_on_a_picture():
    encoder = Coatnet(CoatnetConfig()).eval()
    with torch.no_grad():
        assert encoder(torch.rand(1, 42, 240, 320)).shape == (1, 300, 768)


@pytest.mark.parametrize(("depths", "millions"), [((2, 3, 5, 2), 17.1), ((1, 1, 1, 1), 4.3)], ids=["2352", "1111"])
def test_other_published_depths_have_the_published_number_of_parameters(depths, millions):
    encoder = Coatnet(CoatnetConfig(depths=depths))
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (16, 16), (7, 50)])
def test_any_picture_size_is_halved_rounding_up(size):
    height, width = size
    config = CoatnetConfig(2, height, width, "CT", (1, 1), (4, 8), 2, 4, 0.0)
    encoder = Coatnet(config).eval()
    rows, columns = -(-height // 4), -(-width // 4)
    assert encoder(torch.rand(2, 2, height, width)).shape == (2, rows * columns, 8)
    assert encoder.n_tokens == rows * columns


def test_attention_bias_depends_on_the_relative_position_only():
    config = CoatnetConfig(n_heads=2, head_width=4)
    attention = RelativeAttention(6, 6, (3, 4), config)
    index = attention.relative_index
    position = [(row, column) for row in range(3) for column in range(4)]
    seen: dict[tuple[int, int], int] = {}
    for i, (row, column) in enumerate(position):
        for j, (other_row, other_column) in enumerate(position):
            offset = (row - other_row, column - other_column)
            assert seen.setdefault(offset, int(index[i, j])) == int(index[i, j])
    assert len(set(seen.values())) == len(seen) == len(attention.bias_table)


def test_evaluation_leaves_running_statistics_alone():
    encoder = Coatnet(CoatnetConfig(2, 16, 16, "CT", (1, 1), (4, 8), 2, 4)).eval()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder(torch.rand(2, 2, 16, 16))
    assert all(torch.equal(value, encoder.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (2, 2, 2)}, "one depth and one width for each stage"),
        ({"stages": "TTCC"}, "known: T"),
        ({"stages": "TTTT"}, "attend over 19200 positions"),
        ({"widths": (2048,) * 4, "depths": (32,) * 4}, "M parameters"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_impossible_sizes_say_what_to_change(changes, message):
    with pytest.raises(ValueError, match=message):
        CoatnetConfig(**changes)
