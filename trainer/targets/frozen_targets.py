"""Targets: captions and pictures through frozen text, image and latent models, computed once and cached beside the
store.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.files import write_atomically
from core.model.spaces import find_space, n_values, shape_in

from .saliency_targets import as_tensor, resized, saliency_target

BATCH = 32
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def load_targets(
    space: str,
    clip: str,
    keys: list[str],
    *,
    cache: Path,
    images: Path | None = None,
    vae: str = "",
    size: int = 0,
    saliency: str = "picture",
) -> tuple[Tensor, tuple[int, ...]]:
    """Return targets (n, n_values) float32 for captions (text spaces) or image ids (image, latent and saliency
    spaces), and their shape.

    clip: folder or hub id of the model. cache: folder where they are kept, named by a hash of model, space and keys.
    images: folder of pictures named by image id, or of folders of pictures. vae: autoencoder of latents, by default
    that of `clip`. size: pixels a side to which pictures are stretched for latents (0 keeps them) and saliency
    targets. saliency: which, see `saliency_target`. Raises FileNotFoundError saying how to get the weights, and
    ValueError where the model does not fit the space.
    """
    from safetensors.torch import load_file, save_file

    kind = find_space(space).kind
    if kind == "latent" and vae:
        clip = vae
    if kind == "picture":
        clip = f"{saliency} {size}"  # no model: these two make the target
    elif kind != "latent":
        size = 0
    if not clip:
        raise ValueError(
            f"targets in {space!r} need --clip: a folder or hub id of the model, "
            "for example --clip openai/clip-vit-large-patch14 "
            "or a Stable Diffusion folder in diffusers' format. A `prompts` head (--space prompts) needs none"
        )
    wanted = [space, model_fingerprint(clip), *([size] if size else []), str(images), keys]
    name = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:20]
    path = cache / f"{space}-{name}.safetensors"
    if path.is_file():
        stored = load_file(path)
        return stored["targets"].float(), tuple(stored["shape"].tolist())
    if kind == "text":
        targets, shape = text_states(space, clip, keys), shape_in(find_space(space), None)
    elif kind in ("image", "latent", "picture"):
        targets, shape = picture_targets(space, clip, keys, images, size, saliency)
    else:
        raise ValueError(
            f"the space {space!r} has no targets to compute; "
            "trainable here are text, image, latent and saliency spaces, and prompts"
        )
    with write_atomically(path) as beside:
        save_file({"targets": targets.contiguous(), "shape": torch.tensor(shape)}, beside)
    return targets, shape


def within_reach(values: Tensor, shape: tuple[int, ...], kind: str, empty: Tensor | None = None) -> Tensor:
    """Return text targets (n, n_values) as near to their own as a head of a one-vector kind can come in squared L2.

    shape: (tokens, width). kind: "broadcast" takes each caption's mean over tokens, repeated; "last-token" its last
    token's state, in which a causal text encoder has read the whole caption, after the first ones of `empty`, the empty
    prompt's states (n_values,).
    """
    tokens = values.unflatten(1, shape)
    if kind == "broadcast":
        return tokens.mean(1, keepdim=True).expand_as(tokens).flatten(1)
    assert empty is not None
    found = empty.reshape(1, *shape).repeat(len(values), 1, 1)
    found[:, -1] = tokens[:, -1]
    return found.flatten(1)


def model_fingerprint(clip: str) -> str:
    """Return what tells one model from another: names, sizes and times of a folder's files, or the hub id."""
    folder = Path(clip)
    if not folder.is_dir():
        return clip
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return str([(str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files])


def _load(made, clip: str, subfolder: str = ""):
    """Load a transformers class from a folder or the hub; raises FileNotFoundError with the way to the weights."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours says how far the captions are
    folder = Path(clip)
    arguments = {"subfolder": subfolder} if subfolder and (not folder.is_dir() or (folder / subfolder).is_dir()) else {}
    try:
        return made.from_pretrained(clip, **arguments)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no {made.__name__} at {clip!r}. Give --clip a folder with the weights, or a hub id while online: "
            "`huggingface-cli download openai/clip-vit-large-patch14 --local-dir clip-l` then `--clip clip-l`, "
            "or the folder of a "
            "Stable Diffusion model in diffusers' format"
        ) from error


def _is_diffusers(clip: str) -> bool:
    return (Path(clip) / "model_index.json").is_file()


@torch.no_grad()
def text_states(space: str, clip: str, captions: list[str]) -> Tensor:
    """Return flat text states (n, n_values): the last hidden state, or SDXL's two penultimate ones and the pooled
    vector.
    """
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    wanted = n_values(find_space(space), shape_in(find_space(space), None))
    suffixes = ("", "_2") if space == "sdxl.text" else ("",)
    if space == "sdxl.text" and not _is_diffusers(clip):
        raise ValueError(
            "sdxl.text needs both of SDXL's text encoders: give --clip the folder of an SDXL model in diffusers' format"
        )
    parts = []
    for suffix in suffixes:
        tokenizer = _load(CLIPTokenizer, clip, f"tokenizer{suffix}" if _is_diffusers(clip) else "")
        made = CLIPTextModelWithProjection if suffix else CLIPTextModel
        model = _load(made, clip, f"text_encoder{suffix}" if _is_diffusers(clip) else "").eval()
        found = []
        for start in tqdm(range(0, len(captions), BATCH), desc=f"text states {space}", disable=len(captions) < 200):
            ids = tokenizer(
                captions[start : start + BATCH],
                padding="max_length",
                max_length=77,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            out = model(ids, output_hidden_states=space == "sdxl.text")
            found.append(
                (
                    out.hidden_states[-2] if space == "sdxl.text" else out.last_hidden_state,
                    getattr(out, "text_embeds", None),
                )
            )
        parts.append(found)
    states = torch.cat([torch.cat([state for state, _ in found]) for found in parts], dim=-1).flatten(1)
    if space == "sdxl.text":
        states = torch.cat([states, torch.cat([pooled for _, pooled in parts[1]])], dim=-1)
    if states.shape[-1] != wanted:
        raise ValueError(
            f"the text encoder at {clip!r} gives {states.shape[-1]} values a caption, {space} has {wanted}; "
            "use the text encoder of a model of that family"
        )
    return states.float()


@torch.no_grad()
def picture_targets(
    space: str, model: str, image_ids: list[str], images: Path | None, size: int = 0, saliency: str = "picture"
) -> tuple[Tensor, tuple[int, ...]]:
    """Return flat image vectors, latents or saliency targets (n, n_values) of the pictures shown, and one target's
    shape.

    An image id that stands for several pictures gets the mean of their targets. model: of latents and image vectors.
    size: pixels a side to which pictures are stretched before; 0 keeps them.
    """
    shown = [
        load_pictures(images, image_id) for image_id in tqdm(image_ids, desc="pictures", disable=len(image_ids) < 200)
    ]
    pictures = [picture for several in shown for picture in several]
    kind = find_space(space).kind
    if kind == "picture":
        targets = torch.stack([saliency_target(picture, size, saliency) for picture in pictures])
    elif kind == "latent":
        targets = latent_targets(model, pictures, size)
    else:
        targets = image_vectors(model, pictures)
    means = torch.stack([part.mean(0) for part in targets.split([len(several) for several in shown])])
    shape = shape_in(find_space(space), tuple(means.shape[1:]))
    return means.flatten(1).float(), shape


def latent_targets(model: str, pictures: list[np.ndarray], size: int) -> Tensor:
    """Return the latents (n, 4, h, w) of pictures, stretched to `size` pixels a side; ValueError where sizes differ."""
    from .latents import load_autoencoder, to_latents

    if size:
        pictures = [resized(picture, size) for picture in pictures]
    if len({picture.shape for picture in pictures}) > 1:
        shapes = sorted({picture.shape[:2] for picture in pictures})
        raise ValueError(f"pictures of {shapes} make no one shape of latents; give --latent-size, for example 256")
    vae, found = load_autoencoder(model), []
    for start in tqdm(range(0, len(pictures), BATCH), desc="latents", disable=len(pictures) < 200):
        found.append(to_latents(vae, torch.stack([as_tensor(picture) for picture in pictures[start : start + BATCH]])))
    return torch.cat(found)


def image_vectors(model: str, pictures: list[np.ndarray]) -> Tensor:
    """Return the image encoder's vectors (n, width) of pictures."""
    from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

    encoder, found = _load(CLIPVisionModelWithProjection, model).eval(), []
    size = encoder.config.image_size
    prepare = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    for start in tqdm(range(0, len(pictures), BATCH), desc="image vectors", disable=len(pictures) < 200):
        pixels = prepare(pictures[start : start + BATCH], return_tensors="pt").pixel_values
        found.append(encoder(pixels).image_embeds)
    return torch.cat(found)


def load_pictures(images: Path | None, image_id: str) -> list[np.ndarray]:
    """Return the pictures of an image id: all in the folder of that name, where there is one, else `load_picture`."""
    if images is None or not (images / image_id).is_dir() or image_id in ("", ".", ".."):
        return [load_picture(images, image_id)]
    files = sorted(path for path in (images / image_id).iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{images / image_id} is a folder without pictures ({', '.join(SUFFIXES)})")
    return [load_picture(images / image_id, path.name) for path in files]


def load_picture(images: Path | None, image_id: str) -> np.ndarray:
    """Return the picture of an image id, uint8 (H, W, 3): from the folder, or drawn where the id is a phantom scene's.

    Raises FileNotFoundError naming the folder and the id.
    """
    if images is None:
        from core.phantom.scenes import draw, scene_from_id

        try:
            return draw(scene_from_id(image_id))
        except ValueError as error:
            raise FileNotFoundError(
                f"pictures are needed for image targets: give --images FOLDER (looking for {image_id!r})"
            ) from error
    from PIL import Image

    # ImageNet keeps n02106662_10232.JPEG in a folder n02106662
    places = (images, images / image_id.rpartition("_")[0])
    named = [place / f"{image_id}{suffix}" for place in places for suffix in ("", *SUFFIXES, ".JPEG", ".JPG")]
    for path in named:
        if path.is_file() and path.resolve().is_relative_to(images.resolve()):
            return np.asarray(Image.open(path).convert("RGB"))
    raise FileNotFoundError(
        f"no picture for image id {image_id!r} in {images} (tried it as named, .png, .jpg, .jpeg and .webp)"
    )
