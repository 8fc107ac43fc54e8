"""Take the pictures of ComfyUI that the README shows, each after a real run in the real host.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python -m tests.host_comfyui.make_readme_pictures [name ...]

Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium). All EEG in them is the phantom's, and says so.
"""

import sys
import tempfile
from pathlib import Path

from tests.host_comfyui.browser import FrontEnd, Node, chromium, front_end
from tests.host_comfyui.host import ROOT, Host, new_base, succeeded
from tests.host_comfyui.recordings import write_edf
from tests.host_comfyui.workflows import PHANTOM_ENCODER, SCENES

DOCS = ROOT / "docs"
NOTE = """**Simulated.** The file *two-scenes.edf* was written from the phantom: nobody's brain. It was chosen \
with the button of *EEG Load Recording*; the graph below decodes it and draws a picture for each of its two labels."""


def take(page: FrontEnd, name: str, scale: float) -> None:
    """Photograph the whole graph, at a scale at which its words can be read."""
    page.page.wait_for_timeout(1500)
    clip = page.look_at(scale=scale)
    page.page.wait_for_timeout(1500)
    page.page.screenshot(path=DOCS / f"comfyui-{name}.png", clip=clip)


def phantom(page: FrontEnd) -> None:
    """The example from the template browser, after its run."""
    page.open_template("phantom-round-trip")
    succeeded(page.run())
    take(page, "phantom", 0.62)


def band_power(page: FrontEnd) -> None:
    """The example in which a rhythm drives the denoise."""
    page.open_template("band-power-denoise")
    succeeded(page.run())
    take(page, "band-power", 0.62)


def upload(page: FrontEnd, edf: Path) -> None:
    """An EDF that was uploaded with the button, seen, decoded and drawn."""
    page.build([])
    built = page.build(
        [
            Node("note", "MarkdownNote", {"": NOTE}, pos=(0, 0), size=(340, 150), title="What this is"),
            Node("recording", "SDEEG_LoadRecording", pos=(0, 220), size=(340, 0)),
            Node("encoder", "SDEEG_LoadEncoder", {"encoder": PHANTOM_ENCODER}, pos=(0, 500), size=(340, 0)),
            Node("world", "SDEEG_LoadPhantomWorld", pos=(0, 690), size=(340, 0)),
            Node(
                "windows", "SDEEG_SelectWindows", {"choose.average": "repeats of a label"},
                {"recording": ("recording", 0)}, pos=(390, 0), size=(320, 0),
            ),
            Node(
                "encode", "SDEEG_Encode", {},
                {"encoder": ("encoder", 0), "windows": ("windows", 0), "model": ("world", 0)}, pos=(390, 380),
                size=(380, 0),
            ),
            Node(
                "traces", "SDEEG_Plot", {"kind.duration": 6.0}, {"eeg": ("recording", 0)}, pos=(760, 0), size=(300, 0)
            ),
            Node(
                "latent", "EmptyLatentImage", {"width": 64, "height": 64}, {"batch_size": ("windows", 1)},
                pos=(820, 300), size=(300, 0),
            ),
            Node(
                "sampler", "KSampler",
                {"seed": 1, "steps": 20, "cfg": 3.0, "control_after_generate": "fixed", "sampler_name": "euler"},
                {
                    "model": ("world", 0), "positive": ("encode", 0), "negative": ("encode", 1),
                    "latent_image": ("latent", 0),
                },
                pos=(820, 480), size=(300, 0),
            ),
            Node(
                "pixels", "VAEDecode", {}, {"samples": ("sampler", 0), "vae": ("world", 2)}, pos=(820, 830),
                size=(300, 0),
            ),
            Node("seen", "PreviewImage", {}, {"images": ("traces", 0)}, pos=(1170, 0), size=(520, 340), title="Traces"),
            Node(
                "drawn", "PreviewImage", {}, {"images": ("pixels", 0)}, pos=(1170, 400), size=(520, 330),
                title="Drawn, one picture a label",
            ),
            Node("said", "PreviewAny", {}, {"source": ("encode", 5)}, pos=(1170, 790), size=(520, 160), title="Report"),
        ]
    )  # fmt: skip
    page.look_at(scale=0.62)
    page.choose_files(built["recording"]["id"], edf)
    succeeded(page.run())
    take(page, "upload", 0.75)


def main(names: list[str]) -> None:
    """Take the pictures that are named, or all."""
    with tempfile.TemporaryDirectory() as folder:
        edf = Path(folder) / "two-scenes.edf"
        write_edf(list(SCENES[:2]), edf, "epoc-14", repeats=8)
        host = Host(new_base(Path(folder) / "base"))
        try:
            host.start()
            with chromium() as browser:
                for name in names or ["phantom", "band-power", "upload"]:
                    with front_end(browser, host, nodes2=name == "upload", size=(2000, 1300)) as page:
                        if name == "upload":
                            upload(page, edf)
                        else:
                            {"phantom": phantom, "band-power": band_power}[name](page)
        finally:
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
