"""The pictures of image ids: found in a folder or drawn, told apart by what is in them."""

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.files import sha256_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Picture:
    """One picture: a file, or a phantom's scene where `path` is None.

    name: the file relative to the folder of pictures, or the scene's id. key: SHA-256 of the file's bytes, or of the
    drawn pixels.
    """

    name: str
    key: str
    path: Path | None = None

    def read(self) -> np.ndarray:
        """Return it, uint8 (H, W, 3); ValueError where the file has changed since it was hashed."""
        if self.path is None:
            return draw_scene(self.name)
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.key:
            raise ValueError(f"{self.path} was changed while its features were computed; run it again")
        return _decoded(self.path, data)

    def size(self) -> tuple[int, int]:
        """Return height and width, read from the file's beginning."""
        from PIL import Image

        if self.path is None:
            return draw_scene(self.name).shape[:2]
        with Image.open(self.path) as picture:
            return picture.height, picture.width


def pictures_of(images: Path | None, image_ids: Sequence[str]) -> list[list[Picture]]:
    """Return the pictures of each image id: all in the folder of that name, where there is one, else its picture.

    images: None draws phantom scenes. Raises FileNotFoundError naming the folder and the id.
    """
    if images is None:
        return [[Picture(name, _pixel_hash(draw_scene(name)))] for name in image_ids]
    found = [picture_files(images, image_id) for image_id in image_ids]
    files = [path for several in found for path in several]
    with ThreadPoolExecutor() as pool:
        keys = iter(list(pool.map(sha256_of, files)))
    return [[Picture(_name_in(images, path), next(keys), path) for path in several] for several in found]


def distinct_pictures(images: Path | None, image_ids: Sequence[str]) -> list[Picture]:
    """Return one picture for each image id, all of them different.

    Raises FileNotFoundError for an id without a picture, naming how many there are; ValueError for an id with several,
    and for two ids of the same picture.
    """
    if images is not None:
        unknown = [name for name in image_ids if not _has_picture(images, name)]
        if unknown:
            raise FileNotFoundError(
                f"{len(unknown)} of {len(image_ids)} names have no picture in {images}: {', '.join(unknown[:3])}"
                f"{' ...' if len(unknown) > 3 else ''}"
            )
    found: list[Picture] = []
    seen: dict[str, str] = {}
    for name, several in zip(image_ids, pictures_of(images, image_ids), strict=True):
        if len(several) > 1:
            raise ValueError(f"{name!r} stands for {len(several)} pictures; one is needed")
        if (twin := seen.setdefault(several[0].key, name)) != name:
            raise ValueError(f"{twin!r} and {name!r} are the same picture: take one of the two out")
        found += several
    return found


def _has_picture(images: Path, image_id: str) -> bool:
    try:
        return bool(picture_files(images, image_id))
    except FileNotFoundError:
        return False


def picture_files(images: Path, image_id: str) -> list[Path]:
    """Return the files of an image id: all in the folder of that name, where there is one, else its file."""
    folder = images / image_id
    if image_id in ("", ".", "..") or not folder.is_dir():
        return [picture_file(images, image_id)]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} is a folder without pictures ({', '.join(SUFFIXES)})")
    return [picture_file(folder, path.name) for path in files]


def picture_file(images: Path, image_id: str) -> Path:
    """Return the file of an image id; raises FileNotFoundError naming the folder and the id."""
    # ImageNet keeps n02106662_10232.JPEG in a folder n02106662
    places = (images, images / image_id.rpartition("_")[0])
    named = (place / f"{image_id}{suffix}" for place in places for suffix in ("", *SUFFIXES, ".JPEG", ".JPG"))
    for path in named:
        if path.is_file() and path.resolve().is_relative_to(images.resolve()):
            return path
    raise FileNotFoundError(
        f"no picture for image id {image_id!r} in {images} (tried it as named, .png, .jpg, .jpeg and .webp)"
    )


def load_picture(images: Path | None, image_id: str) -> np.ndarray:
    """Return the picture of an image id, uint8 (H, W, 3): from the folder, or drawn where the id is a phantom scene's.

    Raises FileNotFoundError naming the folder and the id.
    """
    if images is None:
        return draw_scene(image_id)
    path = picture_file(images, image_id)
    return _decoded(path, path.read_bytes())


def draw_scene(image_id: str) -> np.ndarray:
    """Return a phantom's scene, uint8 (H, W, 3); FileNotFoundError where the id is none."""
    from core.phantom.scenes import draw, scene_from_id

    try:
        return draw(scene_from_id(image_id))
    except ValueError as error:
        raise FileNotFoundError(
            f"pictures are needed for image targets: give --images FOLDER (looking for {image_id!r})"
        ) from error


def _decoded(path: Path, data: bytes) -> np.ndarray:
    from PIL import Image

    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except OSError as error:  # cut off, or no picture: Pillow names the file only where it opens it itself
        raise OSError(f"cannot identify image file {str(path)!r}, or it is cut off; replace it") from error


def _pixel_hash(picture: np.ndarray) -> str:
    return hashlib.sha256(str(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def _name_in(images: Path, path: Path) -> str:
    return (path.relative_to(images) if path.is_relative_to(images) else path).as_posix()
