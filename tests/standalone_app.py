"""The EEG tab's standalone app, started as a user does, and its page in a real Chromium."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.host_a1111.browser import PATIENCE_MS, Page
from tests.webui_standin import ROOT

START_S = 60
HERE = "127.0.0.1"
# Of each picture in an element: its width, and how far its colours reach.
PICTURES = """(id) => Promise.all([...document.querySelectorAll(`#${id} .thumbnail-item img`)].map(async (image) => {
  image.loading = 'eager';
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const values = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let low = 255, high = 0;
  for (let i = 0; i < values.length; i += 4) {
    low = Math.min(low, values[i], values[i + 1], values[i + 2]);
    high = Math.max(high, values[i], values[i + 1], values[i + 2]);
  }
  return [image.naturalWidth, high - low];
}))"""


@dataclass
class App:
    """A running app: its address, and the files that its output goes to."""

    address: str
    folder: Path

    def errors(self) -> str:
        """What the app has written to stderr."""
        return (self.folder / "stderr.txt").read_text()


class TabPage(Page):
    """The app's page; `hosts` are all that it has asked for anything."""

    def __init__(self, page: Any, app: Any):
        super().__init__(page, app)
        self.hosts: set[str] = set()
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or HERE))  # data: has none

    def complained(self) -> list[str]:
        """What went wrong in the browser, other than gradio hanging up its stream of events when nothing is left."""
        ended = f"failed: {self.host.address}/gradio_api/queue/data?"
        return [said for said in self.complaints if not said.startswith(ended)]

    def open(self) -> TabPage:
        """Open the page and wait until gradio has built it."""
        self.page.goto(self.host.address, wait_until="domcontentloaded")
        self.find("sd_eeg_tab_decode").wait_for()
        self.settle()
        return self

    def pick(self, element: str, choice: str) -> None:
        """Choose in a radio, or in a dropdown as the current gradio draws it."""
        at = self.find(element)
        if at.locator("input[type=radio]").count():
            super().pick(element, choice)
        else:
            at.locator("input").first.click()
            self.page.get_by_role("option", name=choice, exact=True).click()
            self.settle()

    def words(self, element: str, *words: str) -> str:
        """Wait until the last of these words stands in an element; returns its text, which must have all of them."""
        text = self.until(element, words[-1])
        assert all(word in text for word in words), text
        return text

    def pictures(self, element: str, count: int) -> list[tuple[int, int]]:
        """Wait for so many pictures; returns the width of each and the range of its colours, from the pixels."""
        self.page.wait_for_function(
            "([id, count]) => document.querySelectorAll(`#${id} .thumbnail-item img`).length === count",
            arg=[f"sd_eeg_tab_{element}", count],
        )
        return [tuple(one) for one in self.page.evaluate(PICTURES, f"sd_eeg_tab_{element}")]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind((HERE, 0))
        return listening.getsockname()[1]


@contextmanager
def running(folder: Path, arguments: Sequence[str] = ()) -> Iterator[App]:
    """Run `python webui_extension/standalone.py` with its files under `folder`, from there, until the block ends."""
    port = free_port()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "XDG_DATA_HOME": str(folder / "data")}
    command = [sys.executable, str(ROOT / "webui_extension" / "standalone.py"), "--port", str(port), *arguments]
    said = folder / "stdout.txt"
    with said.open("w") as output, (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=errors)
        app = App(f"http://{HERE}:{port}", folder)
        try:
            end = time.monotonic() + START_S
            while app.address not in said.read_text():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the app did not start:\n{said.read_text()}{app.errors()}")
                time.sleep(0.1)
            yield app
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def tab_page(browser: Any, app: App, size: tuple[int, int] = (1400, 1000), **more: Any) -> Iterator[TabPage]:
    """Open the app's page in a window of this size."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **more)
    page.set_default_timeout(PATIENCE_MS)
    try:
        yield TabPage(page, app).open()
    finally:
        page.close()
