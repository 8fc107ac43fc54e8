"""What differs between gradio 3.41 (AUTOMATIC1111, reForge), 4.40 (Forge, Neo) and the current one (on its own)."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def major() -> int:
    """Return gradio's major version."""
    import gradio

    return int(gradio.__version__.partition(".")[0])


def uploaded_files(value: Any) -> list[tuple[str, Path]]:
    """Return (name, path) of every file in a gr.File's value: a wrapper or a list of them in gradio 3, text later."""
    if value is None:
        return []
    found = []
    for one in value if isinstance(value, (list, tuple)) else [value]:
        path = Path(getattr(one, "name", one))
        found.append((str(getattr(one, "orig_name", None) or path.name), path))
    return found


def upload_folders() -> tuple[Path, ...]:
    """Return where gradio puts uploaded files."""
    import os
    import tempfile

    named = os.environ.get("GRADIO_TEMP_DIR")
    return (Path(named) if named else Path(tempfile.gettempdir()) / "gradio",)


def js(code: str) -> dict[str, Any]:
    """Return the keyword argument that runs JavaScript with an event: `_js` in gradio 3, `js` later."""
    return {"_js" if major() < 4 else "js": code}


def lossless() -> dict[str, Any]:
    """Return the keyword argument that keeps a gallery's pictures as PNG; gradio 3 always does."""
    return {} if major() < 4 else {"format": "png"}


def at_once(pages: int = 8) -> dict[str, Any]:
    """Return the keyword argument that lets an event run for several pages at a time; gradio 3 always does."""
    return {} if major() < 4 else {"concurrency_limit": pages}
