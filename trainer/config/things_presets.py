"""Presets of retrieval on THINGS-EEG2: what published systems train, with honest choices of the epoch."""

from .flags import with_flags
from .options import TrainOptions, train_options

# Retrieval on THINGS-EEG2: windows of 0 to 1 s at 250 Hz, repetitions averaged, whitened by training trials, and, what
# the published code lacks, epochs chosen by training concepts that were held out, or fixed.
THINGS = train_options(
    head="linear",
    channels="auto",
    scaling="none",
    clip_sd=0.0,
    whitening="mvnn",
    average="all",
    val_by="concept",
    loss="infonce",
    schedule="constant",
    warmup=0.0,
    weight_decay=1e-4,
    max_norm=0.0,
    patience=0,
)
THINGS_PRESETS: dict[str, TrainOptions] = {
    # AlignVis (ICLR 2025) with NICE: SynCLR aligned to human judgements by DreamSim. Its temperature was never trained.
    "alignvis-nice": with_flags(
        THINGS,
        encoder="nice",
        space=("dreamsim-synclr-vitb16.image",),
        channels="all",
        projector=768,
        head_dropout=0.5,
        similarity="cosine:25:fixed",
        lr=2e-4,
        weight_decay=0.1,
        max_norm=1.0,
        batch=128,
        epochs=50,
        patience=30,
    ),
    # AlignVis with ATM-S.
    "alignvis-atms": with_flags(
        THINGS,
        encoder="atm-s",
        space=("dreamsim-synclr-vitb16.image",),
        channels="all",
        projector=768,
        head_dropout=0.5,
        similarity="cosine:25:fixed",
        lr=2e-4,
        weight_decay=0.1,
        max_norm=1.0,
        batch=128,
        epochs=200,
        patience=30,
    ),
    # Shallow Alignment: one block at 60 % of InternViT's depth, one linear map a side. The paper gives no temperature.
    "shallow-alignment": with_flags(
        THINGS,
        encoder="eegproject",
        space=("internvit-6b@28.image",),
        compare_width=1024,
        similarity="cosine:14.3:learned",
        lr=1e-4,
        batch=1024,
        epochs=50,
        keep="last",
    ),
    # SAMGA (arXiv 2604.17782) within a person, at its fixed epoch; without its smoothing of EEG, drawn once at load.
    "samga": with_flags(
        THINGS,
        encoder="eegproject",
        space=("internvit-6b@20-24-28-32-36.image",),
        mix="layers",
        compare_width=512,
        loss="mmd-infonce",
        mmd_epochs=20,
        similarity="brain-length:2.727:fixed",
        lr=1e-4,
        second_stage=20,
        second_lr=5e-5,
        batch=512,
        epochs=60,
        keep="last",
    ),
    # The Uncertainty-aware Blur Prior (CVPR 2025) within a person, with the kernels that its code really uses.
    "ubp": with_flags(
        THINGS,
        encoder="eegproject",
        space=("clip-rn50.image",),
        image_blur=(45, 45, 51),
        image_blur_kind="foveated",
        image_blur_use="uncertain",
        similarity="brain-length:2.727:learned",
        lr=1e-4,
        batch=1024,
        epochs=50,
        keep="last",
    ),
    # Visual Blur Perception (AAAI 2026): twelve levels of blur of a small CLIP, all 63 channels.
    "blur-mix-rn50": with_flags(
        THINGS,
        encoder="vbp",
        space=("clip-rn50.image",),
        channels="all",
        image_blur=(1, 3, 9, 15, 21, 27, 33, 39, 45, 51, 57, 63),
        mix="blur",
        similarity="brain-length:1:fixed",
        lr=1e-4,
        weight_decay=0.01,
        batch=1024,
        epochs=50,
        keep="last",
    ),
}
