"""ATM-S: channels attend to each other and to who it is, then NICE's convolutions (Li et al., NeurIPS 2024)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from ..context import BuildContext, Settings, eeg_values
from ..nice import Nice, NiceConfig
from .self_attention import SelfAttention


@dataclass(frozen=True)
class AtmsConfig:
    """Sizes of the network; the defaults are the published ones for 63 channels and 1 s at 250 Hz.

    width: what each channel's window is mapped to, and so the samples that the convolutions see. n_subjects: people
    with a token of their own. withheld: the share of training windows that are treated as an unknown person's.
    """

    n_channels: int = 63
    n_times: int = 250
    n_subjects: int = 0
    width: int = 250
    n_heads: int = 4
    feed_forward: int = 256
    dropout: float = 0.25
    withheld: float = 0.1
    n_filters: int = 40
    kernel: int = 25  # of `width` samples
    pool: int = 51
    stride: int = 5
    convolution_dropout: float = 0.5

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_subjects=(0, 100_000),
            width=(1, 2048),
            n_heads=(1, 64),
            feed_forward=(1, 8192),
            dropout=(0, 0.95),
            withheld=(0, 0.95),
            n_filters=(1, 512),
            kernel=(1, 1024),
            pool=(1, 1024),
            stride=(1, 1024),
            convolution_dropout=(0, 0.95),
        )
        if self.width < self.n_heads:
            raise ValueError(f"AtmsConfig.width is {self.width}; it must be at least n_heads, {self.n_heads}.")
        if self.width < self.kernel + self.pool - 1:
            raise ValueError(
                f"AtmsConfig.width is {self.width}; kernel {self.kernel} and pool {self.pool} need at least "
                f"{self.kernel + self.pool - 1}."
            )
        check_window(self, 1, "channels")
        widths = self.n_times + self.n_subjects + 4 * self.width + 2 * self.feed_forward
        check_weights(self, self.width * widths)

    def convolutions(self) -> NiceConfig:
        """Return the config of the convolutions behind the attention."""
        sizes = (self.n_channels, self.width, self.n_filters, self.kernel, self.pool, self.stride)
        return NiceConfig(*sizes, dropout=self.convolution_dropout)


def values(context: BuildContext, settings: Settings) -> Settings:
    """Return a config's values: sizes from the context, a token for each person that trains."""
    known = len(context.subjects) if any(context.subjects) else 0
    return {**eeg_values(context, settings), "n_subjects": known}


class Atms(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_filters * frames): 1440 at the published sizes.

    Li et al., "Visual Decoding and Reconstruction via EEG Embeddings with Guided Diffusion", NeurIPS 2024. Each channel
    is one token of self-attention, in front of them stands that of the person; the last row of the table is shared by
    everyone it does not know, and learned from windows whose person is withheld. The person's token is dropped again
    before the convolutions, where the published code drops the last channel; its table of ten rows counts from one, so
    that the tenth person has none, ours has one for each. The projector is the head's (`--projector 1024`).
    """

    def __init__(self, config: AtmsConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Linear(config.n_times, config.width)
        self.people = nn.Parameter(torch.randn(config.n_subjects + 1, config.width))
        self.withhold = nn.Dropout(config.withheld)
        self.dropout = nn.Dropout(config.dropout)
        self.block = ChannelBlock(config)
        self.norm = nn.LayerNorm(config.width)
        self.convolutions = Nice(config.convolutions())
        self.n_tokens, self.width = self.convolutions.n_tokens, self.convolutions.width

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller.

        subject: (batch,), a number into the table, -1 for someone unknown; None where nobody is known.
        """
        check_eeg(eeg, self.config)
        channels = self.embedding(eeg)
        tokens = torch.cat((self.tokens_of(subject, len(eeg)).to(channels.dtype)[:, None], channels), 1)
        tokens = self.norm(self.block(self.dropout(tokens)))
        return self.convolutions(tokens[:, 1:])

    def tokens_of(self, subject: Tensor | None, n: int) -> Tensor:
        """Return each window's token of who it is (n, width), in training sometimes the shared one instead."""
        shared = self.config.n_subjects
        if subject is None or not shared:
            return self.people[shared].expand(n, -1)
        if len(subject) and int(subject.max()) >= shared:
            raise ValueError(f"subject {int(subject.max())} is beyond the {shared} people that this encoder knows")
        # A dropout's zeros say who is withheld, so that several processes draw as one does.
        kept = self.withhold(torch.ones(n, 1, device=subject.device))[:, 0] > 0
        return self.people[torch.where(kept & (subject >= 0), subject, shared)]


class ChannelBlock(nn.Module):
    """One post-norm encoder layer between channels: (batch, n_channels + 1, width) to the same.

    A head is as wide as the width holds times the heads, rounded down (4 x 62 of 250).
    """

    def __init__(self, config: AtmsConfig) -> None:
        super().__init__()
        head_width = config.width // config.n_heads
        self.attention = SelfAttention(config.width, config.n_heads, head_width, config.dropout, head_width**-0.5)
        self.attention_norm = nn.LayerNorm(config.width)
        self.widen = nn.Linear(config.width, config.feed_forward)
        self.narrow = nn.Linear(config.feed_forward, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the layer's output."""
        tokens = self.attention_norm(tokens + self.dropout(self.attention(tokens)))
        changed = self.dropout(self.narrow(self.dropout(F.gelu(self.widen(tokens)))))
        return self.norm(tokens + changed)
