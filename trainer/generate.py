"""Draw pictures from a recording with an encoder file and any Stable Diffusion model, outside a host.

    python trainer/generate.py recording.edf --encoder encoder.safetensors --model path/to/sd15 --label face
    python trainer/generate.py recording.edf --encoder encoder.safetensors --model sdxl.safetensors --index 0 3 7

Every option has a flag; --help lists them.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.choices import BLEND_MODES
from trainer.config.reading_options import ReadingOptions, read_file
from trainer.console import run

if TYPE_CHECKING:
    from core.conditioning.conditioning import Conditioning
    from core.model.checkpoint import EegEncoder
    from core.preprocessing.config import PreprocessingConfig
    from core.preprocessing.selection import Selection
    from core.recording import Recording

DTYPES = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class GenerateOptions:
    """Which recording, which windows of it, and how they are drawn."""

    recording: tyro.conf.Positional[Path]
    """EEG file in any format that is read."""
    encoder: Path
    """Encoder file."""
    model: str
    """Stable Diffusion 1.x, 2.x or SDXL: a diffusers folder, a .safetensors checkpoint or a hub id."""
    config: str = ""
    """For a single-file checkpoint while offline: a diffusers folder of the same family."""
    out: Path = Path("pictures")
    """Folder for the PNG files."""

    label: str = ""
    """Decode the events with this label."""
    index: tuple[int, ...] = ()
    """Decode these events by number, the first is 0."""
    time: tuple[float, ...] = ()
    """Decode the windows at these seconds."""
    average: bool = False
    """Decode the mean of the chosen windows: one picture."""
    space: str = ""
    """Which of the encoder's heads; by default its main one."""

    eeg_strength: float = 1.0
    """0 is the train mean, 1 what was decoded."""
    restore_spread: float = 1.0
    """0 keeps regression's shrunken predictions, 1 restores the targets' spread."""
    recall: bool = True
    """Pull a regression head's answer back among its training targets."""
    prompts: tuple[str, ...] = ()
    """Reword the prompts of a prompts head, same number and order."""
    text: str = ""
    """Blend the EEG with this prompt."""
    blend: float = 1.0
    """Share of the EEG in the blend with --text."""
    blend_mode: str = "lerp"
    """lerp, slerp or concat."""
    fallback: bool = False
    """With --text: let the prompt take over as far as the decoder is unsure, and say how far and why."""

    negative: str = "empty"
    """empty (the empty prompt) or train-mean."""
    guidance: float = 7.5
    steps: int = 30
    init: str = "none"
    """Start from what the encoder's own head draws: saliency, latent, auto (whichever it has) or none."""
    init_image: Path | None = None
    """Start from this picture (img2img)."""
    strength: Annotated[float, tyro.conf.arg(aliases=["--denoise"])] = 0.8
    """With --init or --init-image: how much is redrawn."""
    width: int = 0
    """Pixels; 0 takes the model's own."""
    height: int = 0
    seed: int = 0
    batch: int = 4
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    dtype: str = "auto"
    """auto (float16 on a GPU, float32 on a CPU), float32, float16 or bfloat16."""
    reading: Annotated[ReadingOptions, tyro.conf.arg(name="")] = field(default_factory=ReadingOptions)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"--dtype is {self.dtype!r}; known: {', '.join(DTYPES)}")
        if self.blend_mode not in BLEND_MODES:
            raise ValueError(f"--blend-mode is {self.blend_mode!r}; known: {', '.join(BLEND_MODES)}")
        if sum(bool(chosen) for chosen in (self.label, self.index, self.time)) > 1:
            raise ValueError("give one of --label, --index and --time, not several")
        if self.init != "none" and self.init_image is not None:
            raise ValueError("--init and --init-image are two pictures to start from; give one of them")
        if self.fallback and not self.text:
            raise ValueError("--fallback needs --text, the prompt that takes over where the decoder is unsure")
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"--steps and --batch must be at least 1, not {self.steps} and {self.batch}")


def generate_pictures(options: GenerateOptions) -> list[Path]:
    """Decode the chosen windows, draw one picture for each, and return the PNG files."""
    import torch
    from PIL import Image
    from tqdm import tqdm

    from core.conditioning.blending import blend_rows
    from core.conditioning.conditioning import Conditioning, condition
    from core.conditioning.diffusers_pipeline import generate, load_pipeline, prompt_encoder
    from core.conditioning.for_host import confidence_lines, repeats_of, selection_lines
    from core.files import write_atomically
    from core.model.checkpoint import load_encoder
    from core.model.decodable import decodable
    from core.model.prediction import encoder_input
    from trainer.drawing.two_levels import INITS, NONE, as_start, empty_prompt, init_of, picture_size, text_space

    encoder = load_encoder(options.encoder)
    recording = read_file(options.recording, options.reading)
    device = options.device if options.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float16 if device != "cpu" else torch.float32
    if options.dtype != "auto":
        dtype = getattr(torch, options.dtype)
    pipeline = load_pipeline(options.model, device, dtype, options.config or None)
    encode = prompt_encoder(pipeline)
    begin = init_of(encoder, options.init)
    chosen = chosen_windows(recording, encoder.preprocessing, options)
    eeg, judged = encoder_input(chosen, encoder), decodable(encoder, chosen)
    print("\n".join([*selection_lines(chosen, encoder), *told_of(encoder, recording, options, begin)]))

    def decoded_as(space: str | None) -> Conditioning:
        return condition(
            encoder,
            eeg,
            space=space,
            strength=options.eeg_strength,
            restore_spread=options.restore_spread,
            recall=options.recall,
            encode_prompts=encode,
            prompts=options.prompts or None,
            decodable=judged,
            averaged=repeats_of(chosen),
        )

    pixel_level = decoded_as(INITS[begin]) if begin != NONE else None
    if pixel_level is not None and not options.space and text_space(encoder) is None:
        assert pixel_level.picture is not None
        decoded = empty_prompt(pipeline, len(pixel_level.picture))
    else:
        decoded = decoded_as(options.space or (text_space(encoder) if begin != NONE else None))
        print("\n".join([*confidence_lines(decoded), decoded.report]))
    if options.text and decoded.context is not None:
        context, pooled = encode([options.text])
        sure = (decoded.confidence, decoded.chance) if options.fallback else None
        mixed, mixed_pooled = blend_rows(
            context, decoded.context.to(context), options.blend, options.blend_mode, (pooled, decoded.pooled), sure
        )
        if options.fallback:
            print(fallback_line(decoded, options.text))
        n = len(decoded.context)
        mixed_pooled = None if mixed_pooled is None else mixed_pooled.expand(n, -1)
        decoded = Conditioning(decoded.space, mixed.expand(n, -1, -1), mixed_pooled, negative=decoded.negative)
    init = None
    if options.init_image is not None:
        pixels = np.asarray(Image.open(options.init_image).convert("RGB"))
        init = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    if pixel_level is not None:
        assert pixel_level.picture is not None
        size = picture_size(pipeline)
        init = as_start(pipeline, begin, pixel_level.picture, (options.width or size[0], options.height or size[1]))
    n = len(decoded.context) if decoded.context is not None else 0
    with tqdm(total=n, desc="pictures") as bar:
        pictures = generate(
            pipeline,
            decoded,
            negative=options.negative,
            guidance=options.guidance,
            steps=options.steps,
            strength=options.strength,
            init_image=init,
            seed=options.seed,
            batch=options.batch,
            width=options.width or None,
            height=options.height or None,
            progress=lambda done: bar.update(done - bar.n),
        )
    written = []
    for number, picture in enumerate(pictures):
        path = options.out / f"{options.recording.name.split('.')[0]}-{number:03d}.png"
        with write_atomically(path) as beside:
            pixels = (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(beside, format="PNG")
        written.append(path)
    return written


def told_of(encoder: "EegEncoder", recording: "Recording", options: GenerateOptions, begin: str) -> list[str]:
    """Return sentences on what was asked for and is not done, with the reason."""
    from core.model.spaces import find_space
    from trainer.drawing.two_levels import NONE

    told = []
    if not recording.events and not options.time:
        told.append("the recording has no events: windows end to end are drawn")
    if options.init == "auto" and begin == NONE:
        told.append("--init auto: the encoder has no saliency or latent head, so pictures start from noise")
    if options.text and options.blend == 1 and not options.fallback:
        told.append("--text has no share: --blend is 1, all of it EEG (or add --fallback)")
    if not options.space and find_space(encoder.spaces[0]).kind not in ("text", "prompts"):
        told.append(f"the encoder's heads: {', '.join(encoder.spaces)}; the first is taken (--space)")
    return told


def fallback_line(decoded: "Conditioning", text: str) -> str:
    """Return how far the prompt takes over from the EEG, and why."""
    from core.model.confidence import confidence_share

    assert decoded.confidence is not None
    share = float(confidence_share(decoded.confidence, decoded.chance or 0.0).mean())
    why = "the decoder is as sure as it can be" if share >= 1 else "as far as the decoder is unsure"
    if decoded.decodable is not None and decoded.decodable.gate < 1:
        why = "; ".join(decoded.decodable.reasons) or "nothing decodable was found"
    return f"fallback: {1 - share:.0%} of the picture comes from the prompt {text!r} ({why})"


def chosen_windows(recording: "Recording", config: "PreprocessingConfig", options: GenerateOptions) -> "Selection":
    """Return the windows that an encoder cuts about the chosen moments, those left out that it cannot cut.

    Without a choice: every event, or windows end to end where there are no events. Raises ValueError where nothing is
    left, or the recording holds no such events.
    """
    from core.preprocessing.selection import Selection, end_to_end, in_seconds, select_events, that_fit

    if options.time:
        chosen = Selection(recording, tuple((time,) for time in options.time), tuple(map(in_seconds, options.time)))
    elif recording.events or options.label or options.index:
        chosen = select_events(recording, options.label, ", ".join(map(str, options.index)))
    else:
        chosen = end_to_end(recording, config)
    return that_fit(chosen.averaged("mean") if options.average else chosen, config)


def main() -> None:
    """Parse the command line and draw."""
    for path in generate_pictures(tyro.cli(GenerateOptions, description=__doc__)):
        print(path)


if __name__ == "__main__":
    run(main)
