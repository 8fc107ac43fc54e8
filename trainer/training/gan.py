"""Stage 3: a saliency head's generator against a discriminator, on features of a frozen backbone.

NeuroImagen's pixel level (Lan et al. 2023): hinge losses (its eq. 2 and 3), mode seeking (eq. 4) and SSIM (eq. 5),
weighted as in eq. 6. The paper gives no sizes, weights or rates; those here are ours, chosen on the phantom.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from core.model.checkpoint import EegEncoder
from core.model.heads import Head
from core.model.picture_generator import ProjectionDiscriminator
from core.model.prediction import tokens_of
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..losses.picture import ssim_loss
from ..processes.together import rank_and_world
from ..targets.target import Target
from .batches import Batches
from .run_folder import is_main_process
from .splits import subject_numbers, subjects_of, trials_at_use
from .stage_state import Progress, copied, load_state, save_state, write_history

STATE = "gan.pt"
SPACE = "saliency"
RATES = {"generator": 2e-4, "discriminator": 4e-4}  # two time-scales (Heusel et al., NeurIPS 2017)
BETAS = (0.0, 0.9)
DECAY = 0.99  # of the generator's moving average
DRAWS = 8  # of noise, where the mean over several pictures does better than z = 0
SEPARATION = 1e-5  # keeps the reciprocal form finite, as EEG2Image has it


def train_gan(
    encoder: EegEncoder,
    trials: Trials,
    parts: dict[str, np.ndarray],
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path,
) -> Progress:
    """Train the saliency head in place; afterwards it holds the generator's moving average of the best epoch.

    The backbone and the other heads stay as they are. Best is the mean SSIM on the validation split (the last epoch,
    without one), where z = 0 or the mean over eight fixed draws is chosen too. A row an epoch is added to
    metrics.jsonl, state is kept for `--resume`, and everything follows from the seed.
    """
    settings, stage = options.training, options.stages.gan
    head, target = encoder.head(SPACE), targets[SPACE]
    device = next(head.parameters()).device
    encoder.eval().requires_grad_(False)
    head.requires_grad_(True)
    torch.manual_seed(settings.seed * 1_000_003 + 3)
    n_features, size = encoder.backbone.n_tokens * encoder.backbone.width, target.shape[1]
    discriminator = ProjectionDiscriminator(n_features, size).to(device)
    optimisers: dict[str, torch.optim.Optimizer] = {
        "generator": torch.optim.Adam(head.parameters(), lr=RATES["generator"], betas=BETAS),
        "discriminator": torch.optim.Adam(discriminator.parameters(), lr=RATES["discriminator"], betas=BETAS),
    }
    average = copy.deepcopy(head).eval().requires_grad_(False)
    progress = Progress()
    kept = {f"{name} optimiser": optimiser for name, optimiser in optimisers.items()}
    modules = {"head": head, "average": average, "discriminator": discriminator, **kept}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, modules)
    whole = settings.batch * rank_and_world()[1]  # each process of several does the same
    batches = Batches(trials, parts["train"], options.data.average, whole, settings.seed)
    subjects = encoder.people or subjects_of(trials, parts["train"])
    rows = target.rows(trials)
    held_out = trials_at_use(trials, parts["val"], options.data)
    tokens = tokens_of(encoder, held_out.eeg, people=held_out.subject).to(device)
    seen = target.values[torch.from_numpy(target.rows(held_out))].to(device)
    # A resumed stage has moved on from where it began, which its first row tells.
    first = progress.history[0] if progress.history else {}
    before = first["val_ssim_before"] if "val_ssim_before" in first else mean_ssim(average, tokens, seen)
    bar = tqdm(range(progress.epoch, stage.epochs), desc="against the discriminator", initial=progress.epoch,
               total=stage.epochs)  # fmt: skip
    for epoch in bar:
        torch.manual_seed((settings.seed * 1_000_003 + epoch) * 97 + 31)
        head.train()
        totals: dict[str, list[float]] = {}
        for number, (eeg, chosen) in enumerate(batches.epoch(settings.epochs + epoch, encoder)):
            with torch.no_grad():
                features = encoder.tokens(eeg.to(device), subject_numbers(trials, chosen, subjects, device))
            real = target.values[torch.from_numpy(rows[chosen])].to(device)
            losses = gan_step(head, discriminator, optimisers, features, real.view(-1, *target.shape), options)
            follow(average, head, epoch * batches.count() + number)
            for name, value in losses.items():
                totals.setdefault(name, []).append(value)
        row = {"stage": "gan", "epoch": epoch, **{name: float(np.mean(values)) for name, values in totals.items()}}
        if not all(np.isfinite(value) for value in row.values() if not isinstance(value, str)):
            raise ValueError(f"a loss is not a number at GAN epoch {epoch}; lower --alphas or look for broken trials")
        if len(held_out):
            row |= {"val_ssim": mean_ssim(average, tokens, seen), "val_ssim_before": before}
        progress.epoch = epoch + 1
        progress.history.append(row)
        if 1 - row.get("val_ssim", np.inf) < progress.best:
            progress.best, progress.best_epoch = 1 - row.get("val_ssim", -1.0), epoch
            progress.best_weights = copied(average)
        bar.set_postfix({name: f"{row[name]:.3f}" for name in ("d_loss", "g_loss", "val_ssim") if name in row},
                        refresh=False)  # fmt: skip
        if is_main_process():
            save_state(out / STATE, modules, progress)
            write_history(out / "metrics.jsonl", progress.history, "gan")
    if progress.best_weights:
        head.load_state_dict(progress.best_weights)
    head.eval()
    if len(held_out):
        choose_noise(head, tokens, seen, settings.seed)
    return progress


def gan_step(
    head: Head,
    discriminator: ProjectionDiscriminator,
    optimisers: dict[str, torch.optim.Optimizer],
    tokens: Tensor,
    real: Tensor,
    options: TrainOptions,
) -> dict[str, float]:
    """Make one step of both networks and return their losses.

    tokens: (batch, n_tokens, width), without gradient. real: (batch, 3, size, size).
    """
    adversarial, seeking, similar = options.training.alphas
    features = tokens.flatten(1)
    noise, other = torch.randn(2, len(real), head.config.noise, device=real.device)
    first, second = head(tokens, noise).view_as(real), head(tokens, other).view_as(real)

    optimisers["discriminator"].zero_grad(set_to_none=True)
    d_loss = discriminator_loss(
        discriminator(diff_augment(real), features), discriminator(diff_augment(first.detach()), features)
    )
    d_loss.backward()
    optimisers["discriminator"].step()

    optimisers["generator"].zero_grad(set_to_none=True)
    discriminator.requires_grad_(False)
    fooled = [-discriminator(diff_augment(fake), features).mean() for fake in (first, second)]
    parts = {
        "g_adversarial": (fooled[0] + fooled[1]) / 2,
        "g_mode_seeking": mode_seeking(first, second, noise, other, options.stages.gan.mode_seeking),
        "g_ssim": (ssim_loss(first, real) + ssim_loss(second, real)) / 2,
    }
    g_loss = adversarial * parts["g_adversarial"] + seeking * parts["g_mode_seeking"] + similar * parts["g_ssim"]
    g_loss.backward()
    discriminator.requires_grad_(True)
    optimisers["generator"].step()
    return {"d_loss": d_loss.item(), "g_loss": g_loss.item(), **{name: value.item() for name, value in parts.items()}}


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator's verdicts (batch,) on real and fake pairs (Lim & Ye 2017)."""
    return (F.relu(1 - real) + F.relu(1 + fake)).mean()


def mode_seeking(first: Tensor, second: Tensor, noise: Tensor, other: Tensor, form: str) -> Tensor:
    """Return the loss that keeps pictures (batch, 3, H, W) of different noise (batch, width) apart.

    With the ratio of the mean absolute differences of pictures and noise: "negative" is minus the ratio (NeuroImagen's
    eq. 4), "reciprocal" one over it (EEG2Image; Mao et al., CVPR 2019), "none" is 0. Raises ValueError for another
    form.
    """
    if form == "none":
        return first.new_zeros(())
    ratio = (first - second).abs().mean(dim=(1, 2, 3)) / (noise - other).abs().mean(dim=1).clamp(min=SEPARATION)
    if form == "negative":
        return -ratio.mean()
    if form == "reciprocal":
        return 1 / (ratio.mean() + SEPARATION)
    raise ValueError(f"no mode seeking {form!r}; known: negative, reciprocal, none")


@torch.no_grad()
def follow(average: Head, head: Head, step: int) -> None:
    """Move the moving average towards the head's weights, faster at first."""
    decay = min(DECAY, (1 + step) / (10 + step))
    for kept, now in zip(average.parameters(), head.parameters(), strict=True):
        kept.lerp_(now, 1 - decay)
    for kept, now in zip(average.buffers(), head.buffers(), strict=True):
        kept.copy_(now)


@torch.no_grad()
def mean_ssim(head: Head, tokens: Tensor, seen: Tensor, batch: int = 128) -> float:
    """Return the mean SSIM of a head's pictures of tokens (n, n_tokens, width) to flat pictures (n, n_values)."""
    head.eval()
    total = 0.0
    for start in range(0, len(tokens), batch):
        found, wanted = head(tokens[start : start + batch]), seen[start : start + batch]
        total += (1 - ssim_loss(head.unpack(found)[0], head.unpack(wanted)[0]).item()) * len(wanted)
    return total / max(1, len(tokens))


def choose_noise(head: Head, tokens: Tensor, seen: Tensor, seed: int) -> None:
    """Fix the noise a head draws with: z = 0, or eight draws to take the mean over where that has the higher SSIM on
    held-out tokens and pictures; shapes as `mean_ssim`.
    """
    width, device = head.config.noise, tokens.device
    several = torch.randn(DRAWS, width, generator=torch.Generator().manual_seed(seed)).to(device)
    found = {}
    for noise in (torch.zeros(1, width, device=device), several):
        head.fix_noise(noise)
        found[len(noise)] = mean_ssim(head, tokens, seen)
    if found[1] >= found[DRAWS]:
        head.fix_noise(torch.zeros(1, width, device=device))


POLICIES = ("colour", "translation", "cutout")
SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side


def diff_augment(pictures: Tensor, policies: tuple[str, ...] = POLICIES) -> Tensor:
    """Return pictures (batch, 3, H, W), each changed at random by the named policies, in their order.

    Raises ValueError for an unknown policy.
    """
    for policy in policies:
        if policy not in POLICIES:
            raise ValueError(f"no augmentation {policy!r}; known: {', '.join(POLICIES)}")
        pictures = {"colour": colour, "translation": translation, "cutout": cutout}[policy](pictures)
    return pictures


def colour(pictures: Tensor) -> Tensor:
    """Return pictures with brightness shifted by up to 0.5, saturation scaled by 0 to 2 and contrast by 0.5 to 1.5."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)

    pictures = pictures + uniform(-0.5, 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + (pictures - grey) * uniform(0.0, 2.0)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * uniform(0.5, 1.5)


def translation(pictures: Tensor) -> Tensor:
    """Return pictures moved by up to an eighth of their sides, zeros coming in."""
    rows, inside_y = _shifted(pictures, pictures.shape[2])
    columns, inside_x = _shifted(pictures, pictures.shape[3])
    picture = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    moved = pictures[picture, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return moved * (inside_y[:, None, :, None] & inside_x[:, None, None, :])


def _shifted(pictures: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return where each position along a side comes from and whether that lies inside, both (batch, side)."""
    most = int(side * SHIFT + 0.5)
    by = torch.randint(-most, most + 1, (len(pictures), 1), device=pictures.device)
    source = torch.arange(side, device=pictures.device)[None] + by
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def cutout(pictures: Tensor) -> Tensor:
    """Return pictures with a square of half their sides set to zero, its middle anywhere in the picture."""
    kept_y, kept_x = _cut(pictures, pictures.shape[2]), _cut(pictures, pictures.shape[3])
    return pictures * (kept_y[:, None, :, None] | kept_x[:, None, None, :])


def _cut(pictures: Tensor, side: int) -> Tensor:
    """Return whether each position along a side lies outside the square, bool (batch, side)."""
    half = int(side * CUT + 0.5) / 2
    middle = torch.randint(0, side + 1, (len(pictures), 1), device=pictures.device)
    return (torch.arange(side, device=pictures.device)[None] + 0.5 - middle).abs() > half
