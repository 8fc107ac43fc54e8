"""REVE, pre-trained on many EEG data sets, as a frozen encoder in front of a linear map (El Ouahidi et al. 2025)."""

import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields
from ..context import BuildContext, Settings, eeg_values
from .package import braindecode, check_names, check_text

RATE = 200.0  # hertz that it was trained at
LEAST = 200  # samples at that rate
CLIP = 15.0  # standard deviations
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
SIZES = (
    "embed_dim",
    "depth",
    "heads",
    "head_dim",
    "freqs",
    "patch_size",
    "patch_overlap",
    "mlp_dim_ratio",
    "use_geglu",
)


@dataclass(frozen=True)
class ReveConfig:
    """Windows, weights and sizes; the sizes are those of reve-base, and must be those of the weights.

    weights: an id on the Hugging Face hub, asked for when the encoder is fitted and never again. ch_names: by which
    REVE knows where channels lie.
    """

    n_channels: int = 63
    n_times: int = 250
    sfreq: float = 250.0
    weights: str = "brain-bzh/reve-base"
    ch_names: tuple[str, ...] = ()
    embed_dim: int = 512
    depth: int = 22
    heads: int = 8
    head_dim: int = 64
    mlp_dim_ratio: float = 2.66
    use_geglu: bool = True
    freqs: int = 4
    patch_size: int = 200
    patch_overlap: int = 20

    def __post_init__(self) -> None:
        check_text("ReveConfig.weights", self.weights, 200)
        if not HUB_ID.fullmatch(self.weights):
            raise ValueError(f"ReveConfig.weights is {self.weights!r}; it must be an id such as brain-bzh/reve-base.")
        check_fields(
            self,
            skipped=("weights", "ch_names"),
            n_channels=(1, 1024),
            n_times=(1, 65536),
            sfreq=(1, 1e5),
            embed_dim=(1, 4096),
            depth=(1, 96),
            heads=(1, 64),
            head_dim=(1, 512),
            mlp_dim_ratio=(0.1, 16),
            freqs=(1, 16),
            patch_size=(2, 2000),
            patch_overlap=(0, 1999),
        )
        check_names("ReveConfig.ch_names", self.ch_names, self.n_channels)
        least = max(LEAST, self.patch_size)
        if self.n_resampled < least:
            raise ValueError(
                f"ReveConfig.n_times is {self.n_times} samples, {self.n_times / self.sfreq:.2f} s at {self.sfreq:g} "
                f"Hz; REVE reads at least {least} samples at {RATE:g} Hz, {least / RATE:g} s. Take a longer window."
            )

    @property
    def n_resampled(self) -> int:
        """Return the samples of a window at REVE's own rate."""
        return round(self.n_times * RATE / self.sfreq)


def values(context: BuildContext, settings: Settings) -> Settings:
    """Return a config's values: windows, rate and channels from the context."""
    return {**eeg_values(context, settings), "sfreq": float(context.sfreq), "ch_names": context.ch_names}


class Reve(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, embed_dim), by weights that are never trained here.

    Windows are resampled to 200 Hz, standardised channel by channel and clipped at 15 standard deviations; what the
    network makes of them is averaged over channels and time. El Ouahidi et al., "REVE: A Foundation Model for EEG",
    NeurIPS 2025. `fit_reve` brings the weights; a file holds them and the channels' places, so that loading it asks
    nothing of the hub. Raises ValueError where braindecode, whose network it is, is not installed.
    """

    positions: Tensor

    def __init__(self, config: ReveConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.embed_dim
        self.network = _network(config).requires_grad_(False)
        self.register_buffer("positions", torch.zeros(config.n_channels, 3))

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg in any unit."""
        check_eeg(eeg, self.config)
        if not len(eeg):
            return eeg.new_zeros(0, 1, self.width)
        ready = standardised(resampled(eeg, self.config.n_resampled))
        places = self.positions.to(eeg.dtype).expand(len(eeg), -1, -1)
        found = self.network(ready, pos=places, return_features=True)["features"]
        return found.flatten(1, -2).mean(1, keepdim=True)

    def train(self, mode: bool = True) -> "Reve":
        """Stay in eval mode: the weights are not trained."""
        return super().train(False)


def resampled(eeg: Tensor, n_times: int) -> Tensor:
    """Return eeg (batch, channels, times) with n_times samples, band-limited, mirrored at its ends."""
    mirrored = torch.cat((eeg, eeg.flip(-1)), -1).float()
    spectrum = torch.fft.rfft(mirrored)
    kept = min(spectrum.shape[-1], n_times + 1)
    return (torch.fft.irfft(spectrum[..., :kept], n=2 * n_times) * (n_times / eeg.shape[-1]))[..., :n_times].to(
        eeg.dtype
    )


def standardised(eeg: Tensor) -> Tensor:
    """Return eeg with each channel of each window at mean 0 and deviation 1, clipped; a flat channel is zero."""
    centred = eeg - eeg.mean(-1, keepdim=True)
    spread = centred.square().mean(-1, keepdim=True).sqrt()
    return (centred / torch.where(spread > 0, spread, 1)).clamp(-CLIP, CLIP)


def fit_reve(eeg: Tensor, labels: Tensor, config: ReveConfig) -> Reve:
    """Return a Reve with the hub's weights and the places of the config's channels; eeg and labels are not looked at.

    Raises ValueError where weights or places cannot be had, do not have the config's sizes, or a channel is unknown.
    """
    state, sizes = from_hub(config.weights)
    if other := {name: value for name, value in sizes.items() if value != asdict(config)[name]}:
        told = " ".join(f"{name}={value}" for name, value in other.items())
        raise ValueError(f"the weights {config.weights} have other sizes: add --set {told}")
    made = Reve(config)
    made.network.load_state_dict(state)
    made.positions.copy_(places_of(config.ch_names))
    return made.to(eeg.device).eval()


@lru_cache(maxsize=1)
def from_hub(weights: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of a hub id, without the classifier, and their sizes; ValueError says how to get them."""
    reve = braindecode("models.reve")
    try:
        model = reve.REVE.from_pretrained(weights)
    except Exception as error:  # of hub, network and file, each has its own
        raise ValueError(
            f"the weights {weights} could not be had ({type(error).__name__}: {str(error)[:300]}): accept their "
            f"licence at https://huggingface.co/{weights}, log in with `hf auth login`, and be online once"
        ) from error
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("final_layer")}
    return state, {name: getattr(model, name) for name in SIZES}


def places_of(ch_names: tuple[str, ...]) -> Tensor:
    """Return where REVE has channels of these names (n, 3); ValueError names those that it does not know."""
    try:
        bank = braindecode("models.reve").RevePositionBank()
    except Exception as error:
        raise ValueError(f"the places of REVE's channels could not be had ({error}): be online once") from error
    known = {name.lower(): place for name, place in bank.mapping.items()}
    if unknown := [name for name in ch_names if name.lower() not in known]:
        raise ValueError(f"REVE knows no place for {', '.join(unknown)}: leave these channels out of the store")
    return bank.embedding[[known[name.lower()] for name in ch_names]]


def _network(config: ReveConfig) -> nn.Module:
    """Return REVE's network without weights, classifier and table of places, which it would ask the hub for."""
    reve = braindecode("models.reve")
    sizes = {name: getattr(config, name) for name in SIZES}
    bank = reve.RevePositionBank
    reve.RevePositionBank = nn.Identity
    try:
        made = reve.REVE(n_outputs=1, n_chans=config.n_channels, n_times=config.n_resampled, **sizes)
    except Exception as error:  # whatever another version of the package raises
        raise ValueError(f"this version of braindecode makes no REVE of {sizes}: {error}") from error
    finally:
        reve.RevePositionBank = bank
    made.final_layer = nn.Identity()
    return made
