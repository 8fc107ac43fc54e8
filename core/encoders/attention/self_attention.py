"""Multi-head self-attention with its own head width, scale and dropout of the weights."""

from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Map tokens (batch, n, width) to the same through `n_heads` heads of `head_width` values each.

    scale: what scores are multiplied with. dropout: of the attention weights.
    """

    def __init__(self, width: int, n_heads: int, head_width: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.scale = scale
        self.to_qkv = nn.Linear(width, 3 * n_heads * head_width)
        self.project = nn.Linear(n_heads * head_width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what the tokens take from each other."""
        query, key, value = self.to_qkv(tokens).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        weights = self.dropout((query @ key.mT * self.scale).softmax(-1))
        return self.project((weights @ value).transpose(1, 2).flatten(2))
