"""What loaders of image encoders share: optional packages, the way to weights, consent to code, a block's tokens."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from .card import ImageEncoder

CONSENT = "SD_EEG_TRUST_CODE"


def optional_package(module: str, package: str, card: ImageEncoder) -> Any:
    """Import a package that only some image encoders need; ValueError where it is not there or broken."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:  # a torchvision of another torch raises RuntimeError
        said = " ".join(str(error).split())[:120]
        raise ValueError(
            f"image encoder {card.name} is loaded through {package}, which cannot be imported here ({said}); "
            f"install it: pip install {package}"
        ) from error


def way_to(card: ImageEncoder) -> str:
    """Return how to get a card's weights from the hub."""
    revision, hub = f" --revision {card.revision}" if card.revision else "", card.origin or card.source
    return (
        f"Its weights are at https://huggingface.co/{hub}: `huggingface-cli download {hub}{revision} "
        f"--local-dir {card.name}` while online, then --image-source {card.name}"
    )


def check_consent(card: ImageEncoder, code: str) -> None:
    """Raise ValueError where a model runs downloaded code and nobody has said that it may."""
    if os.environ.get(CONSENT) != "1":
        raise ValueError(
            f"image encoder {card.name} runs code that is downloaded from {code}; read it, then set {CONSENT}=1"
        )


def blocks_of(model: nn.Module) -> Sequence[nn.Module]:
    """Return a transformer's blocks: its longest list of modules."""
    lists = [list(found) for found in model.modules() if isinstance(found, nn.ModuleList | nn.Sequential)]
    return max(lists, key=lambda modules: (len({type(one) for one in modules}) == 1, len(modules)))


def outputs_of(blocks: Iterable[nn.Module], run: Callable[[], object]) -> list[Tensor]:
    """Run a model and return what each of its blocks put out, before anything that comes after the last one."""
    caught: list[Tensor] = []

    def catch(_module: nn.Module, _given: object, out: Any) -> None:
        caught.append(out[0] if isinstance(out, tuple) else out)

    hooks = [block.register_forward_hook(catch) for block in blocks]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return caught
