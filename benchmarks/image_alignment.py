"""Aligning an image encoder to a person whose geometry is known: the geometry recovered, and retrieval from EEG.

    .venv/bin/python benchmarks/image_alignment.py [--subjects 3]

Everything is simulated. The phantom's image encoder is aligned to triplets that a person judges about training scenes;
a ridge regression then reads the EEG of that person towards the encoder as it is and aligned, from the same windows,
with the same penalty. Three worlds: a person who sees by weighed attributes (alignment must help), one who sees as the
encoder does (it must not), and answers that go with nothing (nothing may be found).
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from core.montage import MONTAGES
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import split_scenes
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.windows import cut_windows
from trainer.align import AlignOptions, align
from trainer.config.image_options import ImageOptions
from trainer.targets.frozen_targets import load_targets

PREPARATION = PreprocessingConfig(
    ch_names=MONTAGES["epoc-14"], sfreq=64.0, tmin=0.0, tmax=0.75, l_freq=0.5, h_freq=25.0
)
REPEATS = {"train": 4, "test": 8}
SNR = {"perceptual": 0.35, "encoder": 0.1}  # so that neither lies at its ceiling
PENALTY = 0.1  # fixed beforehand, the same for both targets


def windows_of(scenes, repeats, config, seed):
    """Return the mean window of each scene, (n_scenes, n_channels · n_times), in units of their own spread."""
    recording = simulate_recording([scene for _ in range(repeats) for scene in scenes], config, seed)
    onsets = np.array([event.onset for event in recording.events])
    cut = cut_windows(prepare_continuous(recording, PREPARATION), onsets, PREPARATION).data
    return cut.reshape(repeats, len(scenes), -1).mean(axis=0).astype(np.float64) * 1e6


def hits_of(train, test, targets):
    """Return whether the nearest of the 200 test scenes is the one that was shown, (200,), by ridge and cosine."""
    (x, y), (seen, gallery) = (train, targets["train"]), (test, targets["test"])
    mean, spread, middle = x.mean(axis=0), x.std(), y.mean(axis=0)
    x, seen = (x - mean) / spread, (seen - mean) / spread
    weights = np.linalg.solve(x.T @ x + PENALTY * len(x) * np.eye(x.shape[1]), x.T @ (y - middle))
    found, gallery = seen @ weights, gallery - middle
    found, gallery = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (found, gallery))
    return (found @ gallery.T).argmax(axis=1) == np.arange(len(gallery))


def difference_interval(differences):
    """Return the 95 % interval of the mean, resampling scenes, each with all of its people."""
    rng = np.random.default_rng(0)
    per_scene = differences.mean(axis=0)
    means = [per_scene[rng.integers(0, len(per_scene), len(per_scene))].mean() for _ in range(2000)]
    return [round(float(value), 4) for value in np.quantile(means, [0.025, 0.975])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=3, help="simulated people in each world")
    options = parser.parse_args()
    scenes, result = split_scenes(), {"simulated": True, "subjects": options.subjects, "chance_triplets": 1 / 3}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "targets"
        for world in SNR:
            card = Path(folder) / f"{world}.safetensors"
            found = align(AlignOptions("phantom-clip", card, geometry=world, name=f"seen-{world}", cache=cache))
            result |= {
                f"{world}_triplets_{name}": round(found[name], 4) for name in ("unaligned", "aligned", "ceiling")
            }
            result[f"{world}_triplets_gain_interval"] = [round(value, 4) for value in found["gain_interval"]]
            spaces = {"unaligned": "phantom-clip.image", "aligned": f"seen-{world}.image"}
            hits = {name: [] for name in spaces}
            for subject in range(options.subjects):
                config = BrainConfig(subject=subject, snr=SNR[world], geometry=world)
                eeg = {part: windows_of(scenes[part], n, config, 10 * subject + n) for part, n in REPEATS.items()}
                for name, space in spaces.items():
                    image = ImageOptions(cards=(card,)) if name == "aligned" else None
                    targets = {
                        part: load_targets(space, "", [one.id for one in scenes[part]], cache=cache, image=image)[
                            0
                        ].numpy()
                        for part in REPEATS
                    }
                    hits[name].append(hits_of(eeg["train"], eeg["test"], targets))
            result |= {f"{world}_top1_{name}": round(float(np.mean(several)), 4) for name, several in hits.items()}
            differences = np.array(hits["aligned"], float) - np.array(hits["unaligned"], float)
            result[f"{world}_aligned_minus_unaligned"] = round(float(differences.mean()), 4)
            result[f"{world}_aligned_minus_unaligned_interval"] = difference_interval(differences)
        null = align(
            AlignOptions(
                "phantom-clip", Path(folder) / "null.safetensors", geometry="perceptual", sharpness=0, cache=cache
            )
        )
        result |= {"null_triplets_aligned": round(null["aligned"], 4), "null_p": round(null["p_value"], 4)}
        result["null_found"] = null["found"]
    result |= {"gallery": 200, "repeats_averaged": REPEATS["test"], "chance_top1": 0.005}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
