"""Time the spectrogram module beside Braincoder's matplotlib-PNG route and beside a bare torch.stft of the same batch.

Times are the processor's, on one thread; `..._wall_ratio` is by the clock.

python benchmarks/spectrogram.py [--repeats 15]
"""

import argparse
import io
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.model.spectrogram import Spectrogram, SpectrogramConfig

CHANNELS = 14


def draw_png(signal: np.ndarray) -> np.ndarray:
    """Return one channel's picture (240, 320, 3) by way of a matplotlib figure and a PNG held in memory."""
    import matplotlib.pyplot as plt
    from PIL import Image

    plt.specgram(signal, Fs=125, noverlap=1)
    plt.axis("off")
    plt.subplots_adjust(left=0, right=1, bottom=0, top=1)
    plt.margins(0)
    file = io.BytesIO()
    plt.savefig(file, format="png", bbox_inches="tight", pad_inches=0)
    plt.clf()
    picture = Image.open(file).convert("RGB").resize((320, 240), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32) / 255


def seconds(call) -> np.ndarray:
    """Return the time by the clock and the processor's time of a call: on one thread both, less what others take."""
    start = np.array([time.perf_counter(), time.process_time()])
    call()
    return np.array([time.perf_counter(), time.process_time()]) - start


def ratio(times: dict[str, list[np.ndarray]], name: str, beside: str, which: int) -> float:
    """Return the median over rounds of one call's time over another's of the same round, so that a busy machine weighs
    on both. which: 0 by the clock, 1 of the processor.
    """
    return statistics.median(a[which] / b[which] for a, b in zip(times[name], times[beside], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats

    import matplotlib as mpl

    mpl.use("Agg")
    warnings.filterwarnings("ignore", message="Only one segment is calculated")
    # One thread for everybody: matplotlib has no more, and the figures then mean work done rather than cores left idle.
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    batch = 2e-5 * torch.randn(256, CHANNELS, 256, generator=generator)
    trials = batch[:8]
    signal = trials[0, 0].numpy()
    picture = Spectrogram(SpectrogramConfig(kind="braincoder"))
    config = SpectrogramConfig()
    spectrogram = Spectrogram(config)
    hann = torch.hann_window(config.window)

    def bare(eeg: torch.Tensor) -> torch.Tensor:
        return torch.stft(eeg.flatten(0, 1), config.window, config.hop, window=hann, return_complex=True)

    calls = {
        "picture": lambda: picture(trials),
        # The module returns a view that repeats one column; here it is also written out in full.
        "written": lambda: picture(trials).contiguous(),
        "png": lambda: draw_png(signal),
        "stft": lambda: spectrogram(batch),
        "bare": lambda: bare(batch),
        # 64 trials: all of torch.stft's own work fits into the cache, so the logarithm weighs most.
        "small_stft": lambda: spectrogram(batch[:64]),
        "small_bare": lambda: bare(batch[:64]),
    }
    times: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    with torch.inference_mode():
        for call in calls.values():
            call()
        for _ in range(repeats):
            for name, call in calls.items():
                times[name].append(seconds(call))
    ms = {name: 1000 * statistics.median(cpu for _, cpu in values) for name, values in times.items()}
    png_ms, picture_ms = CHANNELS * ms["png"], ms["picture"] / len(trials)
    result = {
        "png_ratio": png_ms / picture_ms,
        "stft_ratio": ratio(times, "stft", "bare", 1),
        "stft_wall_ratio": ratio(times, "stft", "bare", 0),
        "png_ms": png_ms,
        "picture_ms": picture_ms,
        "written_png_ratio": png_ms * len(trials) / ms["written"],
        "stft_ms": ms["stft"],
        "bare_stft_ms": ms["bare"],
        "small_stft_ratio": ratio(times, "small_stft", "small_bare", 1),
        "small_stft_wall_ratio": ratio(times, "small_stft", "small_bare", 0),
        "stft_batch": list(batch.shape),
        "window": config.window,
        "hop": config.hop,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}))


if __name__ == "__main__":
    main()
