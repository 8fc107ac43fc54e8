"""Training the phantom's judge on drawn pictures only: it never sees a generated one."""

import torch
from torch.nn import functional as F
from tqdm import tqdm

from core.phantom.judge import ATTRIBUTES, Judge, judge_pictures
from core.phantom.scenes import Scene, all_scenes

from .pictures import draw_many


def scene_codes(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Return the attribute indices (n,) of scenes for each attribute name."""
    return dict(zip(ATTRIBUTES, torch.tensor([scene.codes for scene in scenes]).T, strict=True))


def train_judge(steps: int = 500, batch: int = 96, seed: int = 0) -> tuple[Judge, dict[str, float]]:
    """Train on drawn pictures with blur and noise added, so that softer pictures are judged by what they show.

    Returns the judge in eval mode and its accuracy for each attribute on fresh drawings.
    """
    torch.manual_seed(seed)
    scenes = all_scenes()
    pictures, index = draw_many(scenes, variants=6, seed=5)
    codes = {name: values[index] for name, values in scene_codes(scenes).items()}
    judge = Judge()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    for _ in tqdm(range(steps), desc="judge", mininterval=10):
        chosen = torch.randint(len(pictures), (batch,))
        x = pictures[chosen].float() / 255
        if torch.rand(()) < 0.5:
            x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        x = (x + 0.06 * torch.rand(batch, 1, 1, 1) * torch.randn_like(x)).clamp(0, 1)
        loss = sum(F.cross_entropy(logits, codes[name][chosen]) for name, logits in judge(x).items())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[union-attr]  # never the int 0 of sum
        optimiser.step()
        schedule.step()
    judge.eval()
    fresh, index = draw_many(scenes, variants=1, seed=6)
    found, truth = judge_pictures(judge, fresh.float() / 255), scene_codes(scenes)
    return judge, {name: (found[name] == truth[name]).float().mean().item() for name in ATTRIBUTES}
