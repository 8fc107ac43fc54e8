"""The EEG tab on its own, with no host: a page on this computer, drawing with diffusers.

    python webui_extension/standalone.py
    python webui_extension/standalone.py --model path/to/sd15 --recordings ~/eeg

Without --model it draws with the phantom's tiny model: simulated scenes of 64 x 64 pixels, for trying everything with
no headset and no download. Nothing of the phantom is brain data.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PHANTOM_MODEL = ROOT / "assets" / "phantom"
PORT = 7866


def stand_alone() -> str:
    """Make the package importable under a name of its own, as the hosts' entry does; returns this file's package.

    Python has put this file's folder on the path, where `settings` or `messages` would hide others' modules.
    """
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "webui_extension"]
    package = ModuleType("sd_eeg")
    package.__path__ = [str(ROOT)]
    sys.modules["sd_eeg"] = package
    return importlib.import_module("sd_eeg.webui_extension").__name__


if __name__ == "__main__":
    __package__ = stand_alone()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    what, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=what, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        default="",
        help="Stable Diffusion 1.x, 2.x or SDXL: a diffusers folder or a .safetensors file; default: the phantom's",
    )
    parser.add_argument(
        "--config", default="", help="for a single file while offline: a diffusers folder of its family"
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder whose recordings may be named on the page; may be given several times",
    )
    parser.add_argument(
        "--encoders",
        type=Path,
        metavar="FOLDER",
        help="where encoders are looked for and saved; default: models/eeg_encoders here, else in your data folder",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--listen",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; others than 127.0.0.1 let the network in, with no password",
    )
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser.parse_args(arguments)


def encoder_folder(chosen: Path | None) -> Path:
    """Return where encoders are saved: what was chosen, models/eeg_encoders beside a models folder, or the user's."""
    if chosen is not None:
        return chosen.expanduser().resolve()
    if Path("models").is_dir():
        return Path("models/eeg_encoders").resolve()
    home = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".local" / "share"
    return Path(home) / "sd-eeg" / "eeg_encoders"


def place_of(options: argparse.Namespace) -> Any:
    """Return the place that the tab stands in here; raises ValueError where a folder is not one."""
    from .folders.kept_folder import kept_folder
    from .folders.library import SHIPPED_ENCODERS, Library
    from .folders.recordings import Shelf
    from .generation.fields import Sources
    from .gradio_versions import upload_folders
    from .tab.painter import Painter
    from .tab.tab import Place
    from .tab.tab_draw import DrawSettings

    folders = tuple(folder.expanduser().resolve() for folder in options.recordings)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"--recordings {folder}: there is no such folder")
    sources = Sources(
        Shelf(kept_folder(), folders, upload_folders()), Library((encoder_folder(options.encoders), SHIPPED_ENCODERS))
    )
    painter = Painter(options.model or str(PHANTOM_MODEL), options.config, options.device)
    phantom = not options.model
    return Place(
        sources,
        painter.text_encoder,
        draw=partial(painter.draw, sources),
        about="the phantom's tiny model, simulated scenes" if phantom else Path(options.model).name,
        pixels=phantom,
        settings=DrawSettings(guidance=3.0) if phantom else DrawSettings(guidance=7.5, steps=30),
    )


def serve(options: argparse.Namespace, block: bool = True) -> Any:
    """Build the page and serve it until Ctrl-C; returns gradio's Blocks."""
    from .folders.kept_folder import kept_folder

    # Uploads and pictures go when the process does; nothing is asked of, or told to, any other computer.
    os.environ["GRADIO_TEMP_DIR"] = str(kept_folder() / "pages")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from gradio.themes import Base

    from .tab.tab import build_tab

    place = place_of(options)
    page = build_tab(place)
    page.queue(default_concurrency_limit=8)
    page.launch(
        server_name=options.listen,
        server_port=options.port,
        inbrowser=options.open,
        share=False,
        show_error=True,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=place.sources.shelf.max_bytes,
        theme=Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]).set(
            block_info_text_color="*neutral_500"  # what explains a field is too faint to read otherwise
        ),
        css_paths=[ROOT / "style.css"],
        footer_links=[],
    )
    print(f"EEG for Stable Diffusion: {page.local_url}  (Ctrl-C stops it)", flush=True)
    if block:
        page.block_thread()
    return page


def main() -> int:
    """Serve; a mistake in the options is one line and exit status 2."""
    from .messages import READABLE, sentence

    try:
        serve(parse())
    except READABLE as error:
        print(sentence(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
