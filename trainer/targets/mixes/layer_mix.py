"""A learned mix of an image encoder's layers, with a bias for each person."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SPREAD = 4.0  # layers: how fast the starting weights fall off


class LayerMix(nn.Module):
    """SAMGA's picture side (arXiv 2604.17782): layers projected each, weighed by a softmax, a last map shared.

    layers: the blocks that rows hold, in their order. width: of one. centre: the block that weighs most at the start;
    by default the middle one. hidden, out: widths behind the projection that all layers share, and behind each
    layer's own. n_subjects: how many people have a bias on the weights. with_bias: share of the training rows in which
    it counts; nobody's counts in evaluation. dropout: share of the layers that are left out in training, never all.
    """

    def __init__(
        self,
        layers: Sequence[int],
        width: int,
        n_subjects: int = 1,
        *,
        centre: int | None = None,
        hidden: int = 1024,
        out: int = 512,
        with_bias: float = 0.7,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(layers) < 2:
            raise ValueError(f"a mix of layers needs at least two, not {tuple(layers)}; name them with --image-layer")
        self.layers, self.width, self.out = tuple(layers), width, out
        self.with_bias, self.dropout = with_bias, dropout
        middle = sorted(layers)[len(layers) // 2] if centre is None else centre
        self.logits = nn.Parameter(-(torch.tensor(self.layers, dtype=torch.float32) - middle).abs() / SPREAD)
        self.bias = nn.Parameter(torch.zeros(max(1, n_subjects), len(layers)))
        self.first = nn.Linear(width, hidden)
        self.each = nn.ModuleList(nn.Linear(hidden, out) for _ in layers)
        self.share = nn.Linear(out, out)

    def weights(self, n: int, subject: Tensor | None = None) -> Tensor:
        """Return each row's weight of each layer (n, n_layers), summing to 1. subject: (n,) number of each person."""
        logits = self.logits.expand(n, -1)
        if self.training and subject is not None:
            chosen = (torch.rand(n, 1, device=logits.device) < self.with_bias).to(logits)
            logits = logits + chosen * self.bias[subject]
        if self.training and self.dropout:
            left_out = torch.rand(n, len(self.layers), device=logits.device) < self.dropout
            left_out &= ~left_out.all(dim=1, keepdim=True)
            logits = logits.masked_fill(left_out, -torch.inf)
        return torch.softmax(logits, dim=-1)

    def forward(self, rows: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the mixed vectors (n, out), not normalised, of rows (n, n_layers, width), also flattened.

        Raises ValueError for rows of another number of layers or another width.
        """
        rows = in_rows(rows, len(self.layers), self.width, "layers")
        each = torch.stack([own(self.first(rows[:, k])) for k, own in enumerate(self.each)], dim=1)
        return self.share((self.weights(len(rows), subject)[..., None] * each).sum(dim=1))

    def freeze_share(self) -> None:
        """Leave the shared map as it is from now on (SAMGA's second stage)."""
        self.share.requires_grad_(False)


def in_rows(rows: Tensor, count: int, width: int, what: str) -> Tensor:
    """Return rows as (n, count, width); ValueError, naming both shapes, where they are not so many numbers."""
    if rows.ndim not in (2, 3) or rows[0].numel() != count * width:
        raise ValueError(
            f"these features are {tuple(rows.shape[1:])} a picture; the mix was made for {count} {what} of {width}: "
            "they are of another card, or of other layers"
        )
    return rows.reshape(len(rows), count, width)
