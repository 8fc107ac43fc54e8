"""Take the pictures of AUTOMATIC1111 in the README: docs/a1111-*.png, from real runs in a real browser.

    A1111_DIR=... A1111_PYTHON=... python -m tests.host_a1111.make_screenshots [name ...]

Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium). The recording is simulated, and the checkpoint is of
random weights: what it draws is noise.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.host_a1111.browser import Page, webui_page
from tests.host_a1111.checkpoints import CHECKPOINTS
from tests.host_a1111.host import ROOT, Host, checkouts, new_data
from tests.host_comfyui.browser import chromium
from tests.host_comfyui.recordings import write_edf

DOCS = ROOT / "docs"
SCENES = (
    "a large red star at the top",
    "a small blue ring on the right",
    "a large green square in the middle",
)
PHANTOM = "phantom-epoc14.safetensors"
WIDTH, HEIGHT = 1360, 1180
GAP = 12
PATIENCE_MS = 300_000


def prepared(page: Page, edf: Path) -> None:
    """Upload the recording in txt2img, choose the phantom's encoder and set small pictures."""
    page.fill("txt2img_prompt", "oil painting")
    page.settings(size=256, steps=8)
    page.give_recording(edf)
    page.pick("sd_eeg_txt2img_encoder", PHANTOM)


def accordion(page: Page, edf: Path) -> bytes:
    """The accordion in txt2img and three pictures, one a window."""
    prepared(page, edf)
    page.fill("txt2img_batch_size", 3)
    page.generate(patience_ms=PATIENCE_MS)
    page.settle(1500)
    return page.page.screenshot()


def tab(page: Page, edf: Path) -> bytes:
    """The EEG tab with a decoded recording."""
    page.tab("EEG")
    page.upload("sd_eeg_tab_upload", edf)
    page.until("sd_eeg_tab_recording_status", "channels")
    page.tab("Decode")
    page.pick("sd_eeg_tab_encoder", PHANTOM)
    page.fill("sd_eeg_tab_which", "0-4")
    page.click("sd_eeg_tab_decode")
    page.until("sd_eeg_tab_readings", "Confidence")
    page.settle(1500)
    return page.page.screenshot()


def xyz(page: Page, edf: Path) -> bytes:
    """The X/Y/Z plot over strength and window: its fields, and under them the grid that it drew."""
    prepared(page, edf)
    page.settings(size=96)
    page.pick("sd_eeg_txt2img_mode", "blend")
    page.choose_script("X/Y/Z plot")
    for letter, axis, values in (("x", "Strength", "0, 0.33, 0.67, 1"), ("y", "Window", "0, 6, 12")):
        page.pick(f"script_txt2img_xyz_plot_{letter}_type", f"[EEG] {axis}")
        page.fill(f"script_txt2img_xyz_plot_{letter}_values", values)
    page.generate(patience_ms=PATIENCE_MS)
    [grid] = page.files()
    drawn = Image.open(io.BytesIO(grid)).convert("RGB")
    container = page.page.locator("#txt2img_script_container").first
    container.scroll_into_view_if_needed()
    first, last = (page.find(name).bounding_box() for name in ("script_list", "script_txt2img_xyz_plot_y_type"))
    top = container.bounding_box()["y"]
    above = Image.open(io.BytesIO(container.screenshot())).convert("RGB")
    above = above.crop((0, int(first["y"] - top), above.width, int(last["y"] + last["height"] - top)))
    whole = Image.new("RGB", (max(above.width, drawn.width), above.height + GAP + drawn.height), "white")
    whole.paste(above, (0, 0))
    whole.paste(drawn, ((whole.width - drawn.width) // 2, above.height + GAP))
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


SCREENSHOTS: dict[str, Callable[[Page, Path], bytes]] = {
    "a1111-accordion": accordion,
    "a1111-tab": tab,
    "a1111-xyz": xyz,
}


def main(names: list[str]) -> None:
    """Take the pictures that are named, or all."""
    checkout = checkouts()[0]
    with tempfile.TemporaryDirectory() as folder:
        data, edf = new_data(Path(folder) / "data", checkout.kind), Path(folder) / "phantom-simulated.edf"
        CHECKPOINTS[checkout.kind][0](data / "models" / "Stable-diffusion")
        write_edf(list(SCENES), edf, "epoc-14")
        host = Host(checkout, data)
        try:
            host.start()
            with chromium() as browser:
                for name in names or SCREENSHOTS:
                    with webui_page(browser, host, (WIDTH, HEIGHT)) as page:
                        picture = Image.open(io.BytesIO(SCREENSHOTS[name](page, edf))).convert("RGB")
                    path = DOCS / f"{name}.png"
                    picture.save(path, optimize=True)
                    print(name, picture.size, path.stat().st_size // 1000, "kB")
        finally:
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
