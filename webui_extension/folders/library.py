"""The encoder files of a host: by name, loaded once, with their digests and cards."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.model.checkpoint import EegEncoder

SHIPPED_ENCODERS = Path(__file__).resolve().parents[2] / "assets" / "encoders"
DIGITS = 10
MAX_LOADED = 4
_LOADED: OrderedDict[tuple[str, str], EegEncoder] = OrderedDict()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Library:
    """Folders of encoder files; new ones are written to the first, and a file there hides a later one of its name."""

    folders: tuple[Path, ...]

    def files(self) -> dict[str, Path]:
        """Return the encoder files by the name a user picks them by."""
        files: dict[str, Path] = {}
        for folder in self.folders:
            for path in sorted(folder.glob("**/*.safetensors")) if folder.is_dir() else []:
                files.setdefault(path.relative_to(folder).as_posix(), path)
        return files

    def names(self) -> list[str]:
        """Return the names, sorted as the files are."""
        return list(self.files())

    def path(self, name: str) -> Path:
        """Return where an encoder lies; FileNotFoundError names the folders and what there is."""
        files = self.files()
        if name not in files:
            there = ", ".join(files) or "none"
            first = self.folders[0]
            wanted = f"no EEG encoder called {name!r}" if name else "no EEG encoder chosen"
            raise FileNotFoundError(f"{wanted}; there are: {there}. Put its .safetensors file into {first}")
        return files[name]

    def load(self, name: str) -> EegEncoder:
        """Return an encoder on the CPU, as its file is now; loaded ones are shared and must not be changed.

        Raises FileNotFoundError or ValueError, which name the file.
        """
        from ...core.files import digest_of
        from ...core.model.checkpoint import load_encoder

        path = self.path(name)
        key = (str(path), digest_of(path))
        with _LOCK:
            if key not in _LOADED:
                _LOADED[key] = load_encoder(path)
                while len(_LOADED) > MAX_LOADED:
                    _LOADED.popitem(last=False)
            _LOADED.move_to_end(key)
            return _LOADED[key]

    def digest(self, name: str) -> str:
        """Return the first digits of an encoder file's SHA-256, as pictures name it."""
        from ...core.files import digest_of

        return digest_of(self.path(name))[:DIGITS]

    def save(self, encoder: EegEncoder, filename: str) -> str:
        """Write an encoder under a name that is free; returns the name."""
        from ...core.files import free_path
        from ...core.model.checkpoint import save_encoder

        path = free_path(self.folders[0], filename, ".safetensors")
        save_encoder(encoder, path)
        return path.name

    def cards(self) -> list[dict[str, Any]]:
        """Return every file's name with its card, or with the reason why it cannot be read."""
        from ...core.model.checkpoint import read_header
        from ...core.model.file_checks import check_card

        found = []
        for name, path in self.files().items():
            try:
                # A card may hold NaN, which JSON cannot: it goes out as null.
                card = json.loads(json.dumps(read_header(path).get("card", {})), parse_constant=lambda _: None)
                check_card(card)
                found.append({"name": name, "card": card, "error": None})
            except (ValueError, OSError) as error:
                found.append({"name": name, "card": None, "error": str(error).replace(str(path), name)})
        return found
