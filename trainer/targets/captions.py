"""Captions of pictures by BLIP (Li et al., ICML 2022) through transformers, kept in a JSON file."""

import json
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core.files import write_atomically

from .features.pictures import SUFFIXES, load_picture

BATCH = 8
LONGEST = 30  # tokens
BETWEEN_WRITES = 25  # batches; what is done is kept when the rest is stopped


def read_captions(path: Path, names: list[str]) -> dict[str, str]:
    """Return the captions of the named pictures; FileNotFoundError or ValueError where the file lacks some."""
    if not path.is_file():
        raise FileNotFoundError(f"no captions at {path}; make them with trainer/captions.py, or give --blip MODEL")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); it must map picture names to captions") from error
    if not isinstance(held, dict) or not all(isinstance(text, str) and text.strip() for text in held.values()):
        raise ValueError(f"{path} must map picture names to captions, both text")
    if missing := [name for name in names if name not in held]:
        raise ValueError(f"{path} has no caption for {len(missing)} of {len(names)} pictures, e.g. {missing[0]}")
    return {name: held[name] for name in names}


@torch.no_grad()
def caption_pictures(names: list[str], images: Path, model: str, out: Path, seed: int = 0) -> dict[str, str]:
    """Describe the pictures that `out` does not describe yet, write it as it grows, and return all it holds.

    names: image ids, files in `images`. model: BLIP by folder or hub id. Raises FileNotFoundError where a picture or
    the model is missing, before anything is written.
    """
    held = json.loads(out.read_text(encoding="utf-8")) if out.is_file() and read_captions(out, []) == {} else {}
    left = [name for name in names if name not in held]
    if not left:
        return held
    for name in left:
        load_picture(images, name)
    processor, blip = load_blip(model)
    torch.manual_seed(seed)
    for count, start in enumerate(tqdm(range(0, len(left), BATCH), desc="captions", disable=len(left) < 50)):
        part = left[start : start + BATCH]
        pictures = processor(images=[load_picture(images, name) for name in part], return_tensors="pt")
        texts = processor.batch_decode(blip.generate(**pictures, max_new_tokens=LONGEST), skip_special_tokens=True)
        # a model may say nothing at all; an empty caption would be no condition
        held |= {name: text.strip() or "a picture" for name, text in zip(part, texts, strict=True)}
        if count % BETWEEN_WRITES == BETWEEN_WRITES - 1 or start + BATCH >= len(left):
            with write_atomically(out) as beside:
                beside.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return held


def load_blip(model: str) -> tuple[Any, Any]:
    """Return BLIP's processor and network; raises FileNotFoundError with the way to the weights."""
    from transformers import BlipForConditionalGeneration, BlipProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return BlipProcessor.from_pretrained(model), BlipForConditionalGeneration.from_pretrained(model).eval()
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no BLIP at {model!r}: give a folder with its weights, or a hub id while online: `huggingface-cli "
            "download Salesforce/blip-image-captioning-base --local-dir blip`"
        ) from error


def pictures_in(folder: Path) -> list[str]:
    """Return the names, without suffix, of all pictures in a folder and those in it; FileNotFoundError for none."""
    found = sorted(path.stem for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no pictures in {folder} ({', '.join(SUFFIXES)})")
    return found
