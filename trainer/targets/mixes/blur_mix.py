"""A learned mix of levels of blur, a weight for each level and each number of the vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layer_mix import in_rows


class BlurMix(nn.Module):
    """The picture side of "Visual Blur Perception" (AAAI 2026): levels weighed by dimension, then a small adapter.

    n_levels, width: of a picture's rows, one for each kernel of --image-blur. dropout: of the adapter.
    """

    def __init__(self, n_levels: int, width: int, *, dropout: float = 0.85) -> None:
        super().__init__()
        if n_levels < 2:
            raise ValueError(f"a mix of blur needs at least two levels, not {n_levels}; name them with --image-blur")
        self.n_levels, self.width, self.out = n_levels, width, width
        self.logits = nn.Parameter(torch.rand(n_levels, width))
        self.adapter = nn.Sequential(
            nn.ELU(), nn.Linear(width, width), nn.ELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, rows: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the mixed vectors (n, width) of rows (n, n_levels, width), also flattened; people are not told apart.

        Raises ValueError for rows of another number of levels or another width.
        """
        rows = F.normalize(in_rows(rows, self.n_levels, self.width, "levels of blur"), dim=-1)
        return self.adapter((torch.softmax(self.logits, dim=0) * rows).sum(dim=1))
