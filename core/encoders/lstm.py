"""One LSTM over time and a linear layer: the feature network f_θ of NeuroImagen (Kavasidis et al. 2017)."""

from dataclasses import dataclass

from torch import Tensor, nn

from .config_bounds import check_eeg, check_fields


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of the network; the defaults are the published ones for 128 channels and 440 samples."""

    n_channels: int = 128
    n_times: int = 440
    hidden: int = 128
    n_layers: int = 1
    width: int = 128
    relu: bool = False  # the published network ends in one; features for distances are better off without

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            hidden=(1, 2048),
            n_layers=(1, 8),
            width=(1, 8192),
        )


class Lstm(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, width): the last state through a linear layer.

    Kavasidis et al., "Brain2Image", ACM MM 2017, and Palazzo et al., "Decoding Brain Representations by Multimodal
    Learning", TPAMI 2020. The state starts at zero, so that a window's features depend on the window alone.
    """

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.width
        self.lstm = nn.LSTM(config.n_channels, config.hidden, config.n_layers, batch_first=True)
        self.last = nn.Linear(config.hidden, config.width)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        if not len(eeg):  # the recurrent kernels refuse an empty batch
            return eeg.new_zeros(0, 1, self.width)
        states, _ = self.lstm(eeg.transpose(1, 2))
        features = self.last(states[:, -1])
        return (features.relu() if self.config.relu else features)[:, None]
