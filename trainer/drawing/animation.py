"""The training's animation: one held-out recording's picture, drawn as training goes on, in a GIF."""

import numpy as np

from core.conditioning.conditioning import condition
from core.conditioning.diffusers_pipeline import generate, load_pipeline, prompt_encoder
from core.files import write_atomically
from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.session_normaliser import by_sessions
from core.preprocessing.trials import Trials

from ..config.training_options import OutputOptions

FRAME_MS = 250
LAST_FRAME_MS = 2000
STEPS = 20


class Animation:
    """Frames of one trial's picture; the same noise each time, so that only the encoder changes."""

    def __init__(self, trial: Trials, options: OutputOptions, seed: int) -> None:
        self.trial = trial
        self.out, self.seed = options.out, seed
        self.pipeline = load_pipeline(options.model)
        self.folder = options.out / "animation"

    def draw(self, epoch: int, encoder: EegEncoder) -> None:
        """Draw the trial's picture with the encoder as it stands and write animation.gif anew with all frames so far.

        Frames are kept as PNG files, so that a resumed run goes on with the same animation.
        """
        from PIL import Image

        eeg = encode_ready(encoder, by_sessions(self.trial, encoder.normaliser).eeg[:])
        decoded = condition(encoder, eeg, encode_prompts=prompt_encoder(self.pipeline))
        picture = generate(self.pipeline, decoded, steps=STEPS, seed=self.seed)[0]
        pixels = (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        with write_atomically(self.folder / f"{epoch:05d}.png") as beside:
            Image.fromarray(pixels).save(beside, format="PNG")
        frames = [Image.open(path) for path in sorted(self.folder.glob("[0-9]*.png"))]
        durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
        with write_atomically(self.out / "animation.gif") as beside:
            frames[0].save(beside, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
