"""What the numbers in THINGS-EEG2's markers stand for: `image_metadata.npy`, or the numbers themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.formats.containers.unpickler_on_disk import read_npy

METADATA = "image_metadata.npy"
N_TRAIN, N_TEST, A_CONCEPT = 16540, 200, 10
FOLDERS = {"training": "training_images", "test": "test_images"}
KEYS = {"training": "train", "test": "test"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Pictures:
    """files, concepts: of each part ("training", "test") by number less one. named: whether a file says them."""

    files: dict[str, tuple[str, ...]]
    concepts: dict[str, tuple[str, ...]]
    named: bool

    def count(self, part: str) -> int:
        """Return how many pictures a part has."""
        return len(self.files[part])

    def row(self, part: str, number: int) -> dict[str, str]:
        """Return label, image id and caption of a picture by its number, from 1."""
        concept, name = self.concepts[part][number - 1], self.files[part][number - 1]
        label = concept.partition("_")[2] if concept.partition("_")[0].isdigit() else concept
        in_folder = name.lower().endswith(SUFFIXES)
        words = label.replace("_", " ")
        return {
            "label": label,
            "image_id": f"{FOLDERS[part]}/{concept}/{name}" if in_folder else name,
            "caption": f"a photograph of {'an' if words[:1] in 'aeiou' else 'a'} {words}",
            "split": "train" if part == "training" else "test",
        }


def find_pictures(folder: Path, given: Path | None) -> Pictures:
    """Return the pictures: of the metadata file given, else of the one in the folder or above it, else by number.

    Raises FileNotFoundError where the given file is missing, ValueError where it is no such file.
    """
    if given is None:
        places = (folder, folder.parent, folder / "image_metadata", folder.parent / "image_metadata", folder / "images")
        given = next((place / METADATA for place in places if (place / METADATA).is_file()), None)
    if given is None:
        counts = {"training": N_TRAIN, "test": N_TEST}
        files = {part: tuple(f"{part}-{k:05d}" for k in range(1, n + 1)) for part, n in counts.items()}
        concepts = {
            "training": tuple(f"training-concept-{k // A_CONCEPT + 1:04d}" for k in range(N_TRAIN)),
            "test": tuple(f"test-concept-{k + 1:03d}" for k in range(N_TEST)),
        }
        return Pictures(files, concepts, named=False)
    held = read_npy(Path(given))
    wanted = {part: (f"{key}_img_files", f"{key}_img_concepts") for part, key in KEYS.items()}
    if not isinstance(held, dict) or not all(name in held for names in wanted.values() for name in names):
        told = sorted(held) if isinstance(held, dict) else type(held).__name__
        raise ValueError(f"{given} has {told}; the pictures' metadata has {[n for ns in wanted.values() for n in ns]}")
    files = {part: _texts(held[names[0]]) for part, names in wanted.items()}
    concepts = {part: _texts(held[names[1]]) for part, names in wanted.items()}
    for part in files:
        if not files[part] or len(files[part]) != len(concepts[part]):
            raise ValueError(f"{given}: {len(files[part])} {part} files and {len(concepts[part])} concepts")
        if any("/" in text or "\\" in text or text in ("", ".", "..") for text in (*files[part], *concepts[part])):
            raise ValueError(f"{given}: names of {part} pictures that are no names of files")
    if both := sorted(set(concepts["training"]) & set(concepts["test"])):
        raise ValueError(f"{given}: concepts {both[:4]} are trained and tested; THINGS-EEG2 tests others")
    return Pictures(files, concepts, named=True)


def _texts(value: Any) -> tuple[str, ...]:
    values = value.tolist() if hasattr(value, "tolist") else value
    return tuple(str(one) for one in values) if isinstance(values, list) else ()
