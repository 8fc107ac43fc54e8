"""Time a training step of the NICE encoder with and without folding its temporal convolution into the pooling.

python benchmarks/nice_folding.py [--repeats 5]
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import torch

from core.encoders.nice import Nice, NiceConfig

BATCH, CHANNELS, TIMES = 128, 63, 250


def step(encoder: Nice, eeg: torch.Tensor) -> float:
    """Run forward and backward once; return the processor time, which other programs do not lengthen."""
    start = time.process_time()
    encoder.zero_grad()
    encoder(eeg).square().mean().backward()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)  # processor time is then the duration
    torch.manual_seed(0)
    # Without dropout, whose random numbers would make the two outputs differ.
    folded, unfolded = (
        Nice(NiceConfig(n_channels=CHANNELS, n_times=TIMES, dropout=0.0, folded=flag)) for flag in (True, False)
    )
    unfolded.load_state_dict(folded.state_dict())
    eeg = torch.randn(BATCH, CHANNELS, TIMES)
    with torch.no_grad():
        difference = float((folded(eeg) - unfolded(eeg)).abs().max())  # in training mode
        folded.eval(), unfolded.eval()
        difference = max(difference, float((folded(eeg) - unfolded(eeg)).abs().max()))
    folded.train(), unfolded.train()
    times: dict[str, list[float]] = {"folded": [], "unfolded": []}
    for repeat in range(options.repeats + 1):
        for name, encoder in (("folded", folded), ("unfolded", unfolded)):
            seconds = step(encoder, eeg)
            if repeat:  # the first round warms up
                times[name].append(seconds)
    folded_ms, unfolded_ms = (1000 * statistics.median(times[name]) for name in ("folded", "unfolded"))
    result = {
        "speedup": round(unfolded_ms / folded_ms, 3),
        "max_difference": difference,
        "folded_ms": round(folded_ms, 1),
        "unfolded_ms": round(unfolded_ms, 1),
        "batch": [BATCH, CHANNELS, TIMES],
        "parameters": sum(parameter.numel() for parameter in folded.parameters()),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
