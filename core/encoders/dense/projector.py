"""The projector that NICE and its successors end in: linear, a residual layer, layer norm."""

from torch import Tensor, nn


class Projector(nn.Module):
    """NICE's projector (Song et al., ICLR 2024): linear, residual GELU-linear-dropout, layer norm; (batch, n) →
    (batch, width).
    """

    def __init__(self, n_features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(n_features, width)
        self.residual = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (batch, width) for features (batch, n)."""
        entered = self.enter(features)
        return self.norm(entered + self.residual(entered))
