"""Take the pictures of AUTOMATIC1111 in the README: docs/a1111-*.png, from real runs in a real browser.

    A1111_DIR=... A1111_PYTHON=... python -m tests.host_a1111.make_screenshots [name ...]

Needs playwright, a Chromium ($CHROMIUM, /usr/bin/chromium) and a font with emoji, which the webui has on its buttons.
The recording is simulated, and the checkpoint is the phantom's tiny diffusion model, which draws 64 × 64: the gallery
shows that larger, and for the plot Hires. fix makes it so.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.host_a1111.browser import Page, webui_page
from tests.host_a1111.host import ROOT, Host, checkouts, new_data
from tests.host_a1111.phantom_world.checkpoint import write_phantom
from tests.host_comfyui.browser import chromium
from tests.host_comfyui.recordings import write_edf

DOCS = ROOT / "docs"
SCENES = (
    "a large red star at the top",
    "a small blue ring on the right",
    "a large orange triangle on the left",
    "a small yellow circle at the bottom",
)
PROMPT = "a large white cross at the bottom right"
PHANTOM = "phantom-epoc14.safetensors"
WIDTH, HEIGHT, TALL = 1360, 1180, 1560
GAP = 12
PATIENCE_MS = 600_000
GUIDANCE = 3  # what the phantom's pictures are drawn with everywhere
# The phantom draws 64 × 64: its pictures are shown as large as the gallery is.
LARGE = "#txt2img_gallery .preview > button img { width: 100%; height: 100%; object-fit: contain; }"


def prepared(page: Page, edf: Path) -> None:
    """Upload the recording in txt2img, choose the phantom's encoder and the size that the phantom draws."""
    page.settings(size=64, steps=20)
    page.fill("txt2img_cfg_scale", GUIDANCE)
    page.give_recording(edf)
    page.pick("sd_eeg_txt2img_encoder", PHANTOM)
    page.pick("sd_eeg_txt2img_average", "per label")


def accordion(page: Page, edf: Path) -> bytes:
    """The accordion in txt2img and a picture of each scene that was shown."""
    prepared(page, edf)
    page.fill("txt2img_batch_size", len(SCENES))
    page.generate(patience_ms=PATIENCE_MS)
    page.page.add_style_tag(content=LARGE)
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
    page.page.set_viewport_size({"width": WIDTH, "height": TALL})  # down to what was read in the windows
    page.settle(1500)
    return page.page.screenshot()


def enlarge(page: Page) -> None:
    """Have Hires. fix make pictures four times as large, for the plot writes its words as large as its pictures."""
    page.find("txt2img_hr").locator(".label-wrap").first.click()  # opens it and switches it on
    page.settle(800)
    page.pick("txt2img_hr_upscaler", "Lanczos")
    page.fill("txt2img_hr_scale", 4)
    page.fill("txt2img_denoising_strength", 0)


def xyz(page: Page, edf: Path) -> bytes:
    """The X/Y/Z plot over strength and window: its fields, and under them the grid that it drew."""
    prepared(page, edf)
    page.fill("txt2img_prompt", PROMPT)
    page.pick("sd_eeg_txt2img_mode", "blend")
    enlarge(page)
    page.choose_script("X/Y/Z plot")
    for letter, axis, values in (("x", "Strength", "0, 0.33, 0.67, 1"), ("y", "Window", "0, 1, 2")):
        page.pick(f"script_txt2img_xyz_plot_{letter}_type", f"[EEG] {axis}")
        page.fill(f"script_txt2img_xyz_plot_{letter}_values", values)
    page.generate(patience_ms=PATIENCE_MS)
    [grid] = page.files()
    drawn = Image.open(io.BytesIO(grid)).convert("RGB")
    drawn.thumbnail((WIDTH // 2, HEIGHT))
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
        write_phantom(data / "models" / "Stable-diffusion")
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
