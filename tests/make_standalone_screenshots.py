"""Take the pictures of the standalone app for docs/standalone.md: docs/standalone-*.png, from a run in a real browser.

    python -m tests.make_standalone_screenshots

Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium). What is seen is the phantom's: simulated.
"""

import tempfile
from pathlib import Path

from PIL import Image

from tests.host_comfyui.browser import chromium
from tests.standalone_app import TabPage, running, tab_page
from tests.webui_standin import ROOT

DOCS = ROOT / "docs"
SIZE = (1280, 1900)
MARGIN = 12


def photograph(page: TabPage, first: str, last: tuple[str, ...]) -> Image.Image:
    """Return a picture of the page from the top of one element to the lowest end of others."""
    page.page.mouse.move(0, 0)
    page.page.evaluate("() => document.activeElement?.blur()")
    page.settle(1000)
    boxes = [page.find(f"sd_eeg_tab_{name}").bounding_box() for name in (first, *last)]
    left = page.find("sd_eeg_tab_topics").bounding_box()
    top, bottom = boxes[0]["y"] - MARGIN, max(box["y"] + box["height"] for box in boxes) + MARGIN
    width = left["width"] + 2 * MARGIN
    return page.photograph(clip={"x": left["x"] - MARGIN, "y": top, "width": width, "height": bottom - top})


def save(picture: Image.Image, name: str) -> None:
    """Write docs/NAME.png and say how large it is."""
    path = DOCS / f"{name}.png"
    picture.save(path, optimize=True)
    print(name, picture.size, path.stat().st_size // 1000, "kB")


def main() -> None:
    """Simulate a sitting, decode and draw it, and train an encoder from it, with a picture of each."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as app,
        chromium() as browser,
        tab_page(browser, app, SIZE) as page,
    ):
        page.click("sd_eeg_tab_simulate")
        page.until("sd_eeg_tab_recording_status", "note: phantom")
        page.click("sd_eeg_tab_decode")
        page.until("sd_eeg_tab_readings", "Confidence")
        page.click("sd_eeg_tab_draw")
        page.pictures("truth", 4)
        save(photograph(page, "recording_status", ("readings", "truth")), "standalone-decode")
        page.tab("Train an encoder")
        page.click("sd_eeg_tab_training_fill")
        page.click("sd_eeg_tab_training_train")
        page.until("sd_eeg_tab_training_status", "saved as")
        save(photograph(page, "recording_status", ("training_status",)), "standalone-train")


if __name__ == "__main__":
    main()
