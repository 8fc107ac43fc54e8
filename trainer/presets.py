"""Presets: one plain table of training options, named as users type them."""

from dataclasses import replace
from pathlib import Path

from .options import TrainOptions

ROOT = Path(__file__).resolve().parent.parent
PHANTOM = str(ROOT / "assets" / "phantom")

PRESETS = {
    # The demo: NICE's TSConv on the phantom, to the text states of the phantom's own text encoder.
    "phantom": TrainOptions(
        encoder="nice",
        set=("kernel=13", "pool=17", "stride=4", "n_filters=32", "dropout=0.3"),
        space=("sd1.text",),
        head="basis",
        rank=24,
        clip=PHANTOM,
        average="random",
        loss="infonce-mse",
        epochs=40,
        batch=128,
        lr=2e-3,
        patience=0,
    ),
    # The same target without gradient descent.
    "phantom-linear": TrainOptions(encoder="linear", set=("n_bins=32",), rank=24, clip=PHANTOM),
    # Faces against houses on four dry electrodes.
    "n170": TrainOptions(
        encoder="tangent", space=("prompts",), scaling="none", clip_sd=0.0, average="none", val_share=0.0
    ),
    # Braincoder's run 1027_10: CoAtNet on colour-mapped spectra, 0.9 MSE + 0.1 cosine.
    "braincoder": TrainOptions(
        encoder="coatnet",
        spectrogram="braincoder",
        head="positions",
        clip="openai/clip-vit-large-patch14",
        scaling="none",
        clip_sd=0.0,
        average="none",
        loss="braincoder",
        epochs=400,
        batch=42,
        lr=1e-3,
        schedule="constant",
        warmup=0.0,
        weight_decay=0.2,
        betas=(0.96, 0.99),
        max_norm=5.0,
        patience=40,
        seed=1123498,
    ),
    # NICE (Song et al., ICLR 2024): contrastive alignment to CLIP image vectors.
    "nice": TrainOptions(
        encoder="nice",
        space=("clip-l.image",),
        head="linear",
        projector=768,
        head_dropout=0.5,
        clip="openai/clip-vit-large-patch14",
        whitening="mvnn",
        loss="infonce",
        batch=1000,
        epochs=200,
        lr=2e-4,
        betas=(0.5, 0.999),
    ),
}
# Transfer to another person: what Braincoder's fine-tuning meant to do, with learning rates that are really used.
PRESETS["braincoder-finetune"] = replace(
    PRESETS["braincoder"], set=("dropout=0.5",), lr=1e-3, backbone_lr=1e-4, weight_decay=0.1, batch=14, epochs=200
)


def preset_named(name: str) -> TrainOptions:
    """Return a preset's options; an unknown name raises ValueError listing the known ones."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
