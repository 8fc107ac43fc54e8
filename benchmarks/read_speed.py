"""What loading a recording costs beside MNE's own preloaded read of the same file: time and peak memory.

One hour of 64 channels at 256 Hz as EDF and BDF (edfio), BrainVision (pybv) and FIF (MNE). Ours is the whole of
`load_recording`: recognising, reading, events, channels, the plausibility gate. Each read runs in a
fresh process that has imported MNE; the two sides take turns, and the median of the pairs' ratios is what counts.
The best of each side is compared as well: where the system hands out memory slowly, as virtual machines do, the pairs
favour whoever asks for less. Memory is the highest resident size less that before the read. Targets: time 1.3 x by both
measures, memory 1.5 x. Prints one JSON object as its last line.

    python benchmarks/read_speed.py [--repeats 5] [--hours 1] [--formats EDF BDF BrainVision FIF]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

N_CHANNELS, SFREQ = 64, 256.0
TARGETS = {"time": 1.3, "memory": 1.5}

# both sides are timed between the same two lines of the same program
PROGRAM = """
import gc, json, re, sys, time
from pathlib import Path
sys.path[:0] = [{root!r}]
path, side = {path!r}, {side!r}
import mne, scipy.signal
mne.io.read_raw
from core.loading.load import load_recording
read = {{
    "edf": mne.io.read_raw_edf, "bdf": mne.io.read_raw_bdf,
    "vhdr": mne.io.read_raw_brainvision, "fif": mne.io.read_raw_fif,
}}[path.rsplit(".")[-1]]
def kib(field):
    return int(re.search(rf"^{{field}}:\\s+(\\d+)", Path("/proc/self/status").read_text(), re.M)[1])
{warm_up}
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the highest resident size starts anew
before, start = kib("VmRSS"), time.perf_counter()
if side == "mne":
    found = read(path, preload=True, verbose="ERROR")
    shape = found._data.shape
else:
    found = load_recording(path)
    shape = found.data.shape
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "mib": (kib("VmHWM") - before) / 1024, "shape": list(shape)}}))
"""
# modules that are imported on first use are no part of reading, on either side
WARM_UP = """
small = {small!r}
read(small, preload=True, verbose="ERROR")
load_recording(small)
"""


def write(folder: Path, kind: str, seconds: float) -> Path:
    """Write EEG-like noise of 64 channels with an event a second as one of the four formats; return its path."""
    rng = np.random.default_rng(0)
    names = [f"E{i}" for i in range(N_CHANNELS - 2)] + ["Fz", "Oz"]
    data = rng.standard_normal((N_CHANNELS, round(seconds * SFREQ)), dtype=np.float32)
    data *= 2e-5
    onsets = np.arange(1.0, seconds, 1.0)
    if kind in ("EDF", "BDF"):
        import edfio

        one, whole = (edfio.EdfSignal, edfio.Edf) if kind == "EDF" else (edfio.BdfSignal, edfio.Bdf)
        rows = [
            one(row * 1e6, SFREQ, label=name, physical_dimension="uV", physical_range=(-3276.8, 3276.7))
            for name, row in zip(names, data.astype(np.float64), strict=True)
        ]
        path = folder / f"r.{kind.lower()}"
        whole(rows, annotations=[edfio.EdfAnnotation(onset, None, "1") for onset in onsets]).write(path)
        return path
    if kind == "BrainVision":
        import pybv

        marks = np.stack([onsets * SFREQ, np.ones_like(onsets)], axis=1).astype(int)
        pybv.write_brainvision(
            data=data, sfreq=SFREQ, ch_names=names, fname_base="r", folder_out=str(folder), events=marks
        )
        return folder / "r.vhdr"
    import mne

    raw = mne.io.RawArray(data.astype(np.float64), mne.create_info(names, SFREQ, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(onsets, 0.0, ["1"] * len(onsets)))
    path = folder / "r_raw.fif"
    raw.save(path, fmt="single", verbose="ERROR")
    return path


def measure(path: Path, small: Path, side: str) -> dict:
    """Return seconds, MiB beyond what was held before, and the shape, of one read in a fresh process."""
    code = PROGRAM.format(root=str(ROOT), path=str(path), side=side, warm_up=WARM_UP.format(small=str(small)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare(path: Path, small: Path, repeats: int) -> dict:
    """Return medians of both sides and of the ratios of the pairs; which side goes first alternates."""
    measure(path, small, "mne")  # the file is in the page cache from here on, for both
    pairs = []
    for i in range(repeats):
        order = ("mne", "ours") if i % 2 else ("ours", "mne")
        seen = {side: measure(path, small, side) for side in order}
        if seen["mne"]["shape"] != seen["ours"]["shape"]:
            raise RuntimeError(f"{path.name}: MNE reads {seen['mne']['shape']}, we {seen['ours']['shape']}")
        pairs.append(seen)
    found: dict = {"file_mib": round(sum(one.stat().st_size for one in path.parent.iterdir()) / 2**20, 1)}
    for side in ("mne", "ours"):
        found[f"{side}_s"] = round(statistics.median(pair[side]["seconds"] for pair in pairs), 3)
        found[f"{side}_mib"] = round(statistics.median(pair[side]["mib"] for pair in pairs))
        found[f"{side}_best_s"] = round(min(pair[side]["seconds"] for pair in pairs), 3)
    found["best_ratio"] = round(found["ours_best_s"] / found["mne_best_s"], 3)
    for key, name in (("seconds", "time"), ("mib", "memory")):
        ratios = sorted(pair["ours"][key] / pair["mne"][key] for pair in pairs)
        found[f"{name}_ratio"] = round(statistics.median(ratios), 3)
        found[f"{name}_ratios"] = [round(ratio, 3) for ratio in ratios]
    return found


def main() -> None:
    """Write each file, measure it, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="pairs of fresh processes for each format (default 5)")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--formats", nargs="+", default=["EDF", "BDF", "BrainVision", "FIF"])
    options = parser.parse_args()
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit("peak memory is read from /proc, so this runs on Linux only")
    figures = {}
    for kind in options.formats:
        with tempfile.TemporaryDirectory() as folder:
            big, small = (Path(folder) / name for name in ("big", "small"))
            big.mkdir()
            small.mkdir()
            found = compare(write(big, kind, options.hours * 3600), write(small, kind, 20.0), options.repeats)
        figures[kind] = found
        print(
            f"{kind} ({found['file_mib']} MiB): MNE {found['mne_s']} s, {found['mne_mib']} MiB; "
            f"ours {found['ours_s']} s, {found['ours_mib']} MiB: "
            f"{found['time_ratio']} x the time ({found['best_ratio']} x at best), {found['memory_ratio']} x the memory"
        )
    met = all(
        one["best_ratio"] <= TARGETS["time"] and all(one[f"{name}_ratio"] <= most for name, most in TARGETS.items())
        for one in figures.values()
    )
    print(json.dumps({"formats": figures, "targets": TARGETS, "met": met, "repeats": options.repeats}))


if __name__ == "__main__":
    main()
