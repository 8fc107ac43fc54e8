"""Frozen models: loading them from a folder or the hub, telling one from another, and where they run."""

import os
from pathlib import Path
from typing import Any

import torch


def load_pretrained(
    made: Any, clip: str, subfolder: str = "", revision: str = "", *, way: str = "", **settings: Any
) -> Any:
    """Load a transformers class from a folder or the hub, in eval mode.

    revision: of the hub. way: how to get the weights, where --clip is not it. settings: for the class. Raises
    FileNotFoundError with the way to the weights.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours says how far the captions are
    told = logging.get_verbosity()
    logging.set_verbosity_error()  # the other half of a CLIP, which is not loaded, is no news
    folder = Path(clip)
    arguments = {"subfolder": subfolder} if subfolder and (not folder.is_dir() or (folder / subfolder).is_dir()) else {}
    if revision and not folder.is_dir():
        arguments["revision"] = revision
    try:
        found = made.from_pretrained(clip, **arguments, **settings)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no {made.__name__} at {clip!r}. " + way
            if way
            else f"no {made.__name__} at {clip!r}. Give --clip a folder with the weights, or a hub id while online: "
            "`huggingface-cli download openai/clip-vit-large-patch14 --local-dir clip-l` then `--clip clip-l`, "
            "or the folder of a "
            "Stable Diffusion model in diffusers' format"
        ) from error
    finally:
        logging.set_verbosity(told)
    return found.eval() if hasattr(found, "eval") else found


def model_fingerprint(source: str, revision: str = "") -> str:
    """Return what tells one model from another: names, sizes and times of a folder's files, or hub id and revision."""
    place = Path(source)
    if source and place.is_file():
        return str([(place.name, place.stat().st_size, place.stat().st_mtime_ns)])
    if not source or not place.is_dir():
        return f"{source}@{revision}" if revision else source
    files = sorted(file for file in place.rglob("*") if file.is_file())
    return str([(str(file.relative_to(place)), file.stat().st_size, file.stat().st_mtime_ns) for file in files])


def available_device() -> str:
    """Return cuda (under `accelerate launch` this process's own), mps or cpu."""
    if torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"
