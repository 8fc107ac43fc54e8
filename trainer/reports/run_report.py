"""A run's report: report.json for programs and report.html, one page that opens from disk with no network."""

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from core.files import write_atomically
from core.leaks.check import verdict

from .run_page import page, with_section

LARGEST_SIDE = 256  # pixels; larger pictures are shrunk for the page
LARGEST_SHEET = 1600


def write_report(folder: str | Path, report: Mapping[str, Any], pictures: Mapping[str, Any] | None = None) -> None:
    """Write report.json and report.html into a folder, each beside the old one and renamed.

    Both begin with the verdict of the leak checks.

    report: `title` and, all optional, `simulated` (bool), `checks` (`Check` or dicts of its fields), `scores`
    (dicts with `name`, `value`, `interval`, `chance`, `baselines`, `p_value`, `ceiling`, `n`, `note`), `sections`
    (dicts with `title` and any of `text`, `table`, `attributes`, `confusion`, and `picture`, uint8 (H, W, 3), for the
    page alone), `curve` (a dict an epoch) and `provenance`. Numbers may be numpy's or torch's. pictures: stacks (n, 3,
    H, W) in [0, 1] or uint8 (n, H, W, 3) under the names they are shown by (`seen`, `decoded`, `nearest`), beside
    `captions` and `<name> captions` (n texts).

    Raises ValueError where the report has no title or stacks differ in number; nothing is written then.
    """
    told = verdict(report.get("checks") or [], report.get("scores") or [])
    sections = [dict(section) for section in report.get("sections") or []]
    drawn = [section.pop("picture", None) for section in sections]
    content = {"verdict": told, **plain({**report, "sections": sections})}
    if not content.get("title"):
        raise ValueError("a report needs a 'title'; its keys are " + ", ".join(map(str, content)))
    shown = [
        section if picture is None else {**section, "picture": data_uri(picture, LARGEST_SHEET)}
        for section, picture in zip(content["sections"], drawn, strict=True)
    ]
    html = page({**content, "sections": shown}, picture_rows(pictures or {}))
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    for name, written in (("report.json", text + "\n"), ("report.html", html)):
        with write_atomically(Path(folder) / name) as beside:
            beside.write_text(written, encoding="utf-8")


def append_section(folder: str | Path, section: Mapping[str, Any]) -> None:
    """Add a section to a written report, in both files; one of the same title is replaced.

    section: `title` and any of `text`, `table`, `attributes`, `confusion`. Raises FileNotFoundError where the folder
    holds no report.
    """
    paths = {name: Path(folder) / name for name in ("report.json", "report.html")}
    if missing := [path for path in paths.values() if not path.is_file()]:
        raise FileNotFoundError(f"no {missing[0]}; write the report with trainer/evaluate.py first")
    added = plain(section)
    report = json.loads(paths["report.json"].read_text(encoding="utf-8"))
    others = [one for one in report.get("sections") or [] if one.get("title") != added["title"]]
    report["sections"] = [*others, added]
    html = with_section(paths["report.html"].read_text(encoding="utf-8"), added)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    for name, written in (("report.json", text + "\n"), ("report.html", html)):
        with write_atomically(paths[name]) as beside:
            beside.write_text(written, encoding="utf-8")


def plain(value: Any) -> Any:
    """Return a value in what JSON knows: dataclasses become dicts, arrays lists, NaN and infinities None."""
    if is_dataclass(value):
        return plain(asdict(cast(Any, value)))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | bool) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def picture_rows(pictures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one dict a trial: its `caption` and `pictures`, tuples of name, data URI, own caption or "", width."""
    stacks = {name: _as_uint8(name, stack) for name, stack in pictures.items() if not name.endswith("captions")}
    counts = {name: len(stack) for name, stack in stacks.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"every stack of pictures needs one picture a trial; got {counts}")
    n = max(counts.values(), default=0)
    captions = list(pictures.get("captions") or [""] * n)
    rows = []
    for i in range(n):
        shown = []
        for name, stack in stacks.items():
            own = pictures.get(f"{name} captions")
            shown.append((name, data_uri(stack[i]), str(own[i]) if own is not None else "", stack.shape[2]))
        rows.append({"caption": str(captions[i]), "pictures": shown})
    return rows


def data_uri(picture: np.ndarray, largest: int = LARGEST_SIDE) -> str:
    """Return a picture, uint8 (H, W, 3), as a PNG in a data URI, shrunk to at most so many pixels a side."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((largest, largest))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _as_uint8(name: str, stack: Any) -> np.ndarray:
    array = stack.detach().cpu().float().numpy() if hasattr(stack, "detach") else np.asarray(stack)
    if array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] == 3:
        return array
    if array.ndim != 4 or array.shape[1] != 3 or array.dtype == np.uint8:
        raise ValueError(
            f"pictures {name!r} must be (n, 3, H, W) in [0, 1] or uint8 (n, H, W, 3); got {array.dtype} {array.shape}"
        )
    return (np.nan_to_num(array).clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
