"""Spectrograms as a torch module: a short-time power spectrum, or Braincoder's coloured picture of each channel."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encoders.config_bounds import check_fields
from .viridis import viridis

PICTURE_WINDOW = 256  # samples, matplotlib's default NFFT
RENDERED_ROWS = 480  # of matplotlib's default figure, 6.4 x 4.8 inches at 100 dots per inch
LEVELS = (0.01, 0.999)  # shares of the training's levels that lie below the lowest and the highest one drawn
LEAST_DB = 10.0  # between them, whatever is measured
MEASURED = 512  # windows
CHUNK = 128  # signals transformed at once: their frames stay in the processor's cache


@dataclass(frozen=True)
class SpectrogramConfig:
    """How a window becomes a picture. The first fields serve `stft`, the last two `braincoder`.

    `braincoder` looks at samples only: its publication calls the rate 125 Hz where the recordings have 128, but a wrong
    rate shifts every level by the same number of decibels, which the scaling of each picture takes away again.
    """

    kind: str = "stft"
    sfreq: float = 128.0  # Hz, of the signal
    window_s: float = 0.5
    hop_s: float = 0.0625
    n_fft: int = 0  # samples the window is padded to with zeros; 0: the window's own length
    unit_v: float = 1e-6  # the amplitude that counts as 1: dB re 1 uV^2/Hz for volts; 1 for an already scaled signal
    min_db: float = -30.0  # drawn as 0
    max_db: float = 40.0  # drawn as 1
    image_height: int = 240
    image_width: int = 320

    def __post_init__(self) -> None:
        check_fields(
            self,
            kind=("stft", "braincoder"),
            sfreq=(1, 1e6),
            window_s=(1e-4, 60),
            hop_s=(1e-5, 60),
            n_fft=(0, 65536),
            unit_v=(1e-12, 1e3),
            min_db=(-300, 300),
            max_db=(-300, 300),
            image_height=(1, 2048),
            image_width=(1, 2048),
        )
        if self.min_db >= self.max_db:
            raise ValueError(f"SpectrogramConfig.min_db is {self.min_db}; it must lie below max_db, {self.max_db}.")
        if self.kind == "stft" and (self.window < 2 or self.window > 65536):
            raise ValueError(
                f"SpectrogramConfig.window_s is {self.window_s} s, {self.window} samples at {self.sfreq:g} Hz; it must "
                "come to 2 to 65536 samples."
            )
        if self.kind == "stft" and self.n_fft and self.n_fft < self.window:
            raise ValueError(
                f"SpectrogramConfig.n_fft is {self.n_fft}, less than the window's {self.window} samples; give 0 "
                "or more than that."
            )

    @property
    def window(self) -> int:
        """Return the length of the window in samples."""
        return round(self.window_s * self.sfreq)

    @property
    def hop(self) -> int:
        """Return the step between frames in samples, at least one."""
        return max(1, round(self.hop_s * self.sfreq))

    @property
    def n_freqs(self) -> int:
        """Return the number of frequencies from 0 to half the rate."""
        return ((self.n_fft or self.window) if self.kind == "stft" else PICTURE_WINDOW) // 2 + 1


class Spectrogram(nn.Module):
    """Map eeg (batch, channels, times) in volts to pictures with values in [0, 1]; differentiable.

    `stft`: (batch, channels, freqs, frames), the power density in decibels with `min_db` to `max_db` mapped to 0 to 1,
    from Hann windows centred on every hop-th sample of the signal, which is mirrored at its ends. The density is
    one-sided and every frequency is treated alike: 0 and half the rate are doubled too, 3 dB above what scipy gives.

    `braincoder`: (batch, 3 * channels, image_height, image_width), see `Picture`.
    """

    window: Tensor

    def __init__(self, config: SpectrogramConfig) -> None:
        super().__init__()
        self.config = config
        self.picture = Picture(config.image_height, config.image_width) if config.kind == "braincoder" else None
        if config.kind == "stft":
            # On the CPU also where shapes alone are asked for: its sum is needed here.
            window = torch.hann_window(config.window, dtype=torch.float64, device="cpu")
            # The density of power that an amplitude of 1 in the transform stands for, against the lowest one drawn.
            density = 2 / (config.sfreq * float(window.square().sum())) / config.unit_v**2
            window *= math.sqrt(density / 10 ** (config.min_db / 10))
            self.register_buffer("window", window.float(), persistent=False)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the pictures of eeg (batch, channels, times); ValueError for another shape or too short a window."""
        if eeg.ndim != 3:
            raise ValueError(f"eeg has shape {tuple(eeg.shape)}; a spectrogram takes (batch, channels, times).")
        return self.levels(eeg.float()) if self.picture is None else self.picture(eeg)

    def densities(self, eeg: Tensor) -> Tensor:
        """Return the power density of eeg (batch, channels, times), that of `min_db` being 1: (batch, channels, freqs,
        frames).
        """
        parts = torch.view_as_real(torch.fft.rfft(self.frames(eeg) * self.window, n=self.config.n_fft or None))
        return parts.square().sum(-1).unflatten(0, eeg.shape[:2]).mT

    def frames(self, eeg: Tensor) -> Tensor:
        """Return what lies under the windows of eeg (batch, channels, times): (batch * channels, frames, window)."""
        config = self.config
        half = config.window // 2
        if eeg.shape[2] <= half:
            raise ValueError(
                f"The signal has {eeg.shape[2]} samples; a spectrogram window of {config.window} "
                f"({config.window_s:g} s) needs more than {half}. Take more of the signal or a smaller window_s."
            )
        signals = eeg.flatten(0, 1)
        before, after = signals[:, 1 : half + 1].flip(1), signals[:, -half - 1 : -1].flip(1)
        frames = torch.cat((before, signals, after), 1).unfold(1, config.window, config.hop)
        return frames[:, : 1 + eeg.shape[2] // config.hop]

    def levels(self, eeg: Tensor) -> Tensor:
        """Return the fixed-range decibel levels of eeg (batch, channels, times): (batch, channels, freqs, frames)."""
        config = self.config
        top = (config.max_db - config.min_db) / 10 * math.log(10)
        if torch.is_grad_enabled() and eeg.requires_grad:
            return self.densities(eeg).clamp(1, math.exp(top)).log() / top
        frames = self.frames(eeg)
        levels = eeg.new_empty(*frames.shape[:2], config.n_freqs)
        # All chunks are transformed in the same memory, so that it is fetched once.
        windowed = eeg.new_empty(min(CHUNK, len(frames)), frames.shape[1], config.window)
        spectra = torch.empty_like(levels[: len(windowed)], dtype=torch.complex64)
        for chunk, power in zip(frames.split(CHUNK), levels.split(CHUNK), strict=True):
            within, spectrum = windowed[: len(chunk)], spectra[: len(chunk)]
            torch.mul(chunk, self.window, out=within)
            torch.fft.rfft(within, n=config.n_fft or config.window, out=spectrum)
            decibels_(spectrum, power, top)
        return levels.unflatten(0, eeg.shape[:2]).mT


@torch.no_grad()
def fit_range(config: SpectrogramConfig, eeg: Tensor) -> SpectrogramConfig:
    """Return the config with the decibels that training windows (n, channels, times) span: from the level below which
    1 % of their levels lie to the one below which 99.9 % do.

    eeg: as the module will be given it, in `unit_v`. `braincoder` scales every picture by itself and is returned as it
    is. Raises ValueError where the windows are flat.
    """
    if config.kind != "stft":
        return config
    step = max(1, len(eeg) // MEASURED)
    power = Spectrogram(config).densities(eeg[::step].float()).numpy().ravel()
    if not (power > 0).any():
        raise ValueError("every training window is flat: a spectrogram of them shows nothing")
    low, high = (config.min_db + 10 * math.log10(level) for level in np.quantile(power[power > 0], LEVELS))
    low = min(low, high - LEAST_DB)
    return replace(config, min_db=round(low, 1), max_db=round(high, 1))


def decibels_(spectrum: Tensor, level: Tensor, top: float) -> None:
    """Write the logarithm of the power of spectrum (...), complex, into level (...), 1 to exp(top) becoming 0 to 1.

    The spectrum is used up. Where the processor has AVX-512 numpy's absolute values and logarithms are the faster ones;
    elsewhere complex absolute values, like sums over pairs, are several times slower than squares.
    """
    if spectrum.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        np.absolute(spectrum.numpy(), out=level.numpy())
        level.clamp_(1, math.exp(top / 2))
        np.log(level.numpy(), out=level.numpy())
        level.mul_(2 / top)
        return
    squares = torch.view_as_real(spectrum)
    squares.mul_(squares)
    torch.add(squares[..., 0], squares[..., 1], out=level)
    level.clamp_(1, math.exp(top)).log_().mul_(1 / top)


class Picture(nn.Module):
    """Draw each channel of eeg (batch, channels, times) as Braincoder does: (batch, 3 * channels, height, width).

    Red, green and blue of the first channel come first, then those of the next. The rows hold one power spectrum,
    highest frequency on top, and every column is the same: the result is a view that repeats one column
    (`.contiguous()` writes it out). Windows longer than 256 samples are cropped, shorter ones padded with the channel's
    mean.

    What the published code does, and this reproduces without drawing: matplotlib's `specgram` of 256 samples (symmetric
    Hann window, one frame, 10 log10 of the one-sided density, colours scaled to that frame's own lowest and highest
    level, viridis in 256 steps) fills a 6.4 x 4.8 inch figure whose axes are off and whose margins are 0; saved with a
    tight box and no padding at 100 dots per inch it is 640 x 480 pixels, each row the colour of the nearest of the 129
    frequencies. The file is loaded as RGB and resized by Pillow's bilinear filter, which averages when it shrinks.
    """

    hann: Tensor
    density: Tensor
    colours: Tensor
    rows: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.width = width
        n_freqs = PICTURE_WINDOW // 2 + 1
        hann = torch.hann_window(PICTURE_WINDOW, periodic=False, dtype=torch.float64)
        density = torch.full((n_freqs,), 2.0, dtype=torch.float64)
        density[[0, -1]] = 1.0
        source = (torch.arange(RENDERED_ROWS) + 0.5) * n_freqs / RENDERED_ROWS
        rendered = F.one_hot(n_freqs - 1 - source.long(), n_freqs).float()
        for name, value in {
            "hann": hann,
            "density": density,
            "colours": viridis(),
            "rows": (resize_weights(RENDERED_ROWS, height) @ rendered).mT.contiguous(),
        }.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the pictures of eeg (batch, channels, times) in any unit: the colours show relative levels only."""
        # Double precision where there is any: a deep dip in the spectrum sets the lower end of the colours.
        eeg = eeg[..., :PICTURE_WINDOW].to(torch.float32 if eeg.device.type == "mps" else torch.float64)
        if missing := PICTURE_WINDOW - eeg.shape[-1]:
            eeg = torch.cat((eeg, eeg.mean(-1, keepdim=True).expand(-1, -1, missing)), -1)
        squares = torch.view_as_real(torch.fft.rfft(eeg * self.hann.to(eeg.dtype))).square()
        power = (squares[..., 0] + squares[..., 1]) * self.density.to(eeg.dtype)
        # A frequency without any power (only in made-up signals) is drawn like the weakest that has some.
        weakest = power.masked_fill(power <= 0, float("inf")).amin(-1, keepdim=True)
        decibels = power.maximum(weakest.nan_to_num(posinf=1.0)).log()
        low, high = decibels.amin(-1, keepdim=True), decibels.amax(-1, keepdim=True)
        level = (decibels - low) / torch.where(high > low, high - low, 1.0)
        columns = self.coloured(level.float()).mT @ self.rows  # (batch, channels, 3, height)
        return columns.flatten(1, 2)[..., None].expand(-1, -1, -1, self.width)

    def coloured(self, level: Tensor) -> Tensor:
        """Return the colours (..., 3) of levels (...) in [0, 1], the table's 256 steps joined by straight lines."""
        steps = len(self.colours)
        position = (level * steps - 0.5).clamp(0, steps - 1)
        below = position.detach().long().clamp_max(steps - 2)
        share = (position - below)[..., None]
        return self.colours[below] * (1 - share) + self.colours[below + 1] * share


def resize_weights(size: int, new_size: int) -> Tensor:
    """Return Pillow's bilinear filter, a triangle that averages when it shrinks, as a matrix (new_size, size)."""
    scale = size / new_size
    reach = max(scale, 1.0)
    centre = (torch.arange(new_size, dtype=torch.float64)[:, None] + 0.5) * scale
    distance = (torch.arange(size, dtype=torch.float64) + 0.5 - centre) / reach
    weights = (1 - distance.abs()).clamp_min(0)
    return (weights / weights.sum(1, keepdim=True)).float()
