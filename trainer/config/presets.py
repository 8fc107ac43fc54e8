"""Presets: one plain table of training options, named as users type them."""

from core.files import PHANTOM as PHANTOM_FOLDER

from .flags import with_flags
from .options import TrainOptions, train_options
from .things_presets import THINGS_PRESETS

PHANTOM = str(PHANTOM_FOLDER)

PRESETS: dict[str, TrainOptions] = {
    # The demo: NICE's TSConv on the phantom, to the text states of the phantom's own text encoder.
    "phantom": train_options(
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
    "phantom-linear": train_options(encoder="linear", set=("n_bins=32",), rank=24, clip=PHANTOM),
    # Faces against houses on four dry electrodes.
    "n170": train_options(
        encoder="tangent", space=("prompts",), scaling="none", clip_sd=0.0, average="none", val_share=0.0
    ),
    # A few labels on any electrodes, responses or rhythms: what benchmarks/real_eeg.py holds against pyRiemann.
    "filter-bank": train_options(
        encoder="filter-bank", space=("prompts",), scaling="none", clip_sd=0.0, average="none", val_share=0.0
    ),
    # Braincoder's run 1027_10: CoAtNet on colour-mapped spectra, 0.9 MSE + 0.1 cosine.
    "braincoder": train_options(
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
    "nice": train_options(
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
    # f_θ as published (Kavasidis et al. 2017) with NeuroImagen's triplet loss, then class names from frozen features.
    "contrastive": train_options(
        encoder="lstm",
        space=("prompts",),
        average="random",
        contrastive=100,
        freeze="backbone",
        epochs=60,
        batch=160,
        lr=1e-3,
        patience=0,
    ),
    # NeuroImagen (Lan et al. 2023). The paper gives no sizes. NICE's TSConv stands in for its LSTM, which stays at
    # chance on the phantom with the same triplets (benchmarks/contrastive.py).
    "neuroimagen": train_options(
        encoder="nice",
        set=("kernel=13", "pool=17", "stride=4", "n_filters=40", "dropout=0.5"),
        space=("sd1.text", "saliency"),
        head="basis",
        rank=39,
        clip="openai/clip-vit-large-patch14",
        average="all",
        contrastive=60,
        margin=0.1,
        loss="infonce-mse",
        alphas=(0.1, 0.05, 4.0),
        gan_epochs=8,
        epochs=40,
        batch=160,
        lr=2e-3,
        weight_decay=0.1,
        patience=0,
    ),
    # The pixel level alone: features that tell pictures apart, then a generator on them.
    "saliency": train_options(
        encoder="nice",
        set=("kernel=13", "pool=17", "stride=4", "n_filters=40", "dropout=0.5"),
        space=("saliency",),
        head_dropout=0.2,
        average="random",
        contrastive=60,
        contrast="image_id",
        margin=0.1,
        alphas=(0.1, 0.05, 4.0),
        epochs=60,
        gan_epochs=8,
        batch=64,
        lr=2e-3,
        weight_decay=0.1,
        patience=0,
    ),
    # Takagi & Nishimoto (CVPR 2023), direct: ridge regression to the picture's latent. Add --vae.
    "latent": train_options(
        encoder="linear", set=("n_bins=32",), space=("sd1.latent",), head="basis", rank=64, latent_size=256
    ),
    # The same by a small residual network.
    "latent-network": train_options(
        encoder="nice",
        set=("kernel=13", "pool=17", "stride=4", "n_filters=32", "dropout=0.3"),
        space=("sd1.latent",),
        head="basis",
        rank=64,
        projector=256,
        head_dropout=0.3,
        latent_size=256,
        average="random",
        loss="infonce-mse",
        epochs=40,
        lr=2e-3,
        patience=0,
    ),
    # DreamDiffusion's first stage: hidden patches of unlabelled windows predicted from the others.
    "masked-pretrain": train_options(
        encoder="patch-transformer",
        average="none",
        masked=100,
        batch=128,
        lr=1e-3,
        weight_decay=0.05,
        betas=(0.9, 0.95),
    ),
}
PRESETS.update(THINGS_PRESETS)
# Transfer to another person: what Braincoder's fine-tuning meant to do, with learning rates that are really used.
PRESETS["braincoder-finetune"] = with_flags(
    PRESETS["braincoder"], set=("dropout=0.5",), lr=1e-3, backbone_lr=1e-4, weight_decay=0.1, batch=14, epochs=200
)


def preset_named(name: str) -> TrainOptions:
    """Return a preset's options; an unknown name raises ValueError listing the known ones."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
