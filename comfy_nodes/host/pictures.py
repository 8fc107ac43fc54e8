"""Pictures between numpy and the host's IMAGE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def host_images(pictures: Sequence[np.ndarray]) -> Any:
    """Return uint8 pictures (height, width, 3) of one size as the host's IMAGE: (batch, height, width, 3) in 0-1."""
    import comfy.model_management
    import numpy as np
    import torch

    batch = torch.from_numpy(np.stack(pictures)).float() / 255
    return batch.to(comfy.model_management.intermediate_device())


def from_host_images(images: Any) -> np.ndarray:
    """Return the host's IMAGE as uint8 pictures (batch, height, width, 3), an alpha channel left out."""
    return (images[..., :3].detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
