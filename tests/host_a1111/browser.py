"""A webui's page in a real Chromium, used as a person does: by its labels, buttons and what stands on the page.

gradio 3 (AUTOMATIC1111, reForge) and gradio 4 (Forge, Neo) draw the same fields, so one class drives both.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.host_a1111.host import Host

PATIENCE_MS = 120_000
SETTLED_MS = 400
TYPED_AT_MOST = 5
# On a busy machine a page may still have to draw what happened before; it is idle once it has.
IDLE = "() => new Promise((done) => requestIdleCallback(() => requestIdleCallback(done, {timeout: 9000})))"
OURS = re.compile(r"sd[-_]eeg|EEG", re.IGNORECASE)
READY = "() => document.querySelector('#txt2img_generate') && typeof opts === 'object' && opts.samples_save"
SHOWN = """(tab) => {
  const gallery = document.querySelector(`#${tab}_gallery`);
  const images = gallery ? [...gallery.querySelectorAll('img')].filter((one) => !one.closest('.livePreview')) : [];
  const log = document.querySelector(`#html_log_${tab}`);
  return [[...new Set(images.map((one) => one.src))], log ? log.innerText : ''];
}"""


class Page:
    """One page of a running webui."""

    def __init__(self, page: Any, host: Host):
        self.page, self.host = page, host
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on(
            "response",
            lambda reply: self.complaints.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None,
        )

    def open(self) -> Page:
        """Open the page, or open it again, and wait until its scripts have run."""
        self.page.goto(self.host.address, wait_until="domcontentloaded")
        self.page.wait_for_function(READY, timeout=PATIENCE_MS)
        self.page.wait_for_timeout(1500)
        return self

    def ours(self) -> list[str]:
        """What the page complained of that names us."""
        return [text for text in self.complaints if OURS.search(text)]

    # Fields, by element id.

    def find(self, element: str) -> Any:
        """The element of an id; gradio 3 gives the id of HTML to what lies inside it too."""
        return self.page.locator(f"#{element}").first

    def settle(self, ms: int = SETTLED_MS) -> None:
        """Wait a moment, for gradio redraws after an event."""
        self.page.wait_for_timeout(ms)

    def tab(self, name: str) -> None:
        """Open one of the host's tabs, or one inside the EEG tab, by its title; Forge writes Txt2img."""
        title = re.compile(rf"^\s*{re.escape(name)}\s*$", re.IGNORECASE)
        self.page.get_by_role("tab", name=title).or_(
            self.page.locator("#tabs > .tab-nav button, .tabs > .tab-nav button").filter(has_text=title)
        ).locator("visible=true").first.click()
        self.settle()

    def text(self, element: str) -> str:
        """What can be read in an element."""
        return self.find(element).inner_text().strip()

    def value(self, element: str) -> str:
        """What stands in a text field, a number, a slider or a dropdown; of a radio, the choice."""
        return self.find(element).evaluate(
            """(at) => {
              const chosen = at.querySelector('input[type=radio]:checked');
              if (chosen) return chosen.closest('label').innerText.trim();
              const box = at.querySelector('input[type=checkbox]');
              if (box) return String(box.checked);
              return (at.querySelector('textarea, input[type=number], input') ?? {}).value ?? '';
            }"""
        )

    def fill(self, element: str, text: str | float) -> None:
        """Type into a text field, a number or a slider's number, and leave it once what was typed stays.

        gradio fills a field a moment after its accordion opens, and what was typed until then is lost: type again.
        """
        field = self.find(element).locator("textarea, input[type=number], input").first
        for _ in range(TYPED_AT_MOST):
            field.fill(str(text))
            field.blur()
            self.settle()
            self.page.evaluate(IDLE)
            if field.input_value() == str(text):
                return
        raise AssertionError(f"{element}: {text!r} was typed, {field.input_value()!r} stands there")

    def pick(self, element: str, choice: str) -> None:
        """Choose in a dropdown or a radio by what is written there."""
        at = self.find(element)
        if at.locator("input[type=radio]").count():
            at.locator("label").filter(has_text=re.compile(rf"^\s*{re.escape(choice)}\s*$")).click()
        else:
            at.locator("input").first.click()
            option = self.page.locator("ul.options li:visible").filter(has_text=re.compile(rf"{re.escape(choice)}\s*$"))
            option.first.click()
        self.settle()

    def choices(self, element: str) -> list[str]:
        """What a dropdown offers."""
        field = self.find(element).locator("input").first
        field.click()
        self.settle()
        found = [text.replace("✓", "").strip() for text in self.page.locator("ul.options li:visible").all_inner_texts()]
        field.press("Escape")
        field.blur()
        self.settle()
        return found

    def click(self, element: str) -> None:
        """Press a button."""
        self.find(element).locator("visible=true").first.click()
        self.settle()

    def upload(self, element: str, *files: Path) -> None:
        """Choose files in an upload field; what lay there before is taken out first."""
        self.clear_upload(element)
        self.find(element).locator("input[type=file]").first.set_input_files([str(file) for file in files])
        self.settle(800)

    def clear_upload(self, element: str) -> None:
        """Take out what lies in an upload field, where something does."""
        clear = self.find(element).locator(
            "button[aria-label=Clear], button[title=Clear], .icon-buttons button, button[aria-label='Remove this file']"
        )
        if clear.count():
            clear.first.click()
            self.settle(800)

    def until(self, element: str, words: str, patience_ms: int = PATIENCE_MS) -> str:
        """Wait until words stand in an element; returns all of its text."""
        self.page.wait_for_function(
            "([id, words]) => document.getElementById(id)?.innerText.includes(words)",
            arg=[element, words],
            timeout=patience_ms,
        )
        return self.text(element)

    def put_picture(self, element: str, file: Path) -> None:
        """Choose a picture in one of the host's picture fields, instead of the one there."""
        at = self.find(element)
        remove = at.locator("button[aria-label='Remove Image'], button[aria-label=Clear], button[title=Clear]")
        if remove.count():
            remove.first.click()
            self.settle(800)
        at.locator("input[type=file]").first.set_input_files(str(file))
        self.settle(1500)

    def absolute(self, source: str) -> str:
        """The whole address of something that the page names."""
        return source if source.startswith("http") else f"{self.host.address}/{source.lstrip('/')}"

    # The accordion.

    def eeg_is_on(self, tab: str = "txt2img") -> bool:
        """Whether the accordion of a tab is switched on."""
        return self.page.locator(f"#sd_eeg_{tab}-visible-checkbox").is_checked()

    def eeg(self, on: bool, tab: str = "txt2img") -> None:
        """Switch the EEG on or off by the accordion's box."""
        box = self.page.locator(f"#sd_eeg_{tab}-visible-checkbox")
        if box.is_checked() != on:
            box.click()
            self.settle()

    def unfold(self, tab: str = "txt2img") -> None:
        """Open the accordion by its title, which switches it on the first time."""
        if not self.is_open(tab):
            self.find(f"sd_eeg_{tab}").locator(".label-wrap").first.click()
            self.settle(800)

    def is_open(self, tab: str = "txt2img") -> bool:
        """Whether the fields of the accordion can be seen."""
        return self.find(f"sd_eeg_{tab}_recording").is_visible()

    def fields(self, tab: str, *names: str) -> dict[str, str]:
        """What stands in fields of the accordion."""
        return {name: self.value(f"sd_eeg_{tab}_{name}") for name in names}

    def give_recording(self, file: Path, tab: str = "txt2img", words: str = "channels") -> str:
        """Open the accordion, upload a recording there; returns what is said of it."""
        self.unfold(tab)
        self.eeg(True, tab)
        self.upload(f"sd_eeg_{tab}_upload", file)
        return self.until(f"sd_eeg_{tab}_recording_status", words)

    def choose_script(self, name: str) -> None:
        """Choose one of the host's scripts in txt2img."""
        self.page.locator("#txt2img_script_container #script_list input").first.click()
        self.page.locator("ul.options li:visible").filter(has_text=name).first.click()
        self.settle(1000)

    # Pictures.

    def settings(self, tab: str = "txt2img", *, size: int = 64, steps: int = 4, seed: int = 1) -> None:
        """Set what is small enough for a test."""
        for name, value in (("width", size), ("height", size), ("steps", steps), ("seed", seed)):
            self.fill(f"{tab}_{name}", value)

    def generate(self, tab: str = "txt2img", patience_ms: int = PATIENCE_MS) -> list[np.ndarray]:
        """Press Generate and wait for the end; returns the pictures, none where the page shows an error."""
        before = self.page.evaluate(SHOWN, tab)
        self.find(f"{tab}_generate").click()
        end = time.monotonic() + patience_ms / 1000
        self.settle(300)
        last = before
        while True:
            now = self.page.evaluate(SHOWN, tab)
            busy = self.find(f"{tab}_interrupt").is_visible()
            # Words and pictures may come one after the other, so nothing may have changed since the last look.
            if not busy and now != before and now == last:
                break
            last = now
            if time.monotonic() > end:
                raise TimeoutError(f"nothing new was shown: {now}\n{self.host.said()[-2000:]}")
            self.settle(700)
        return self.pictures(tab)

    def pictures(self, tab: str = "txt2img") -> list[np.ndarray]:
        """The pixels of the pictures in a tab's gallery."""
        return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in self.files(tab)]

    def files(self, tab: str = "txt2img") -> list[bytes]:
        """The files of the pictures in a tab's gallery, as the host serves them."""
        sources, _ = self.page.evaluate(SHOWN, tab)
        return [self.page.request.get(source).body() for source in sources]

    def infotext(self, tab: str = "txt2img") -> str:
        """What stands under the picture."""
        return self.text(f"html_info_{tab}")

    def error(self, tab: str = "txt2img") -> str:
        """What the host says went wrong, empty where nothing did."""
        found = self.page.locator(f"#html_log_{tab} .error")
        return found.first.inner_text() if found.count() else ""

    def photograph(self, **how: Any) -> Image.Image:
        """A picture of the page, or of a part of it."""
        return Image.open(io.BytesIO(self.page.screenshot(**how))).convert("RGB")


@contextmanager
def webui_page(browser: Any, host: Host, size: tuple[int, int] = (1400, 1200)) -> Iterator[Page]:
    """Open a webui's page in a window of this size."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(PATIENCE_MS)
    try:
        yield Page(page, host).open()
    finally:
        with contextlib.suppress(Exception):
            page.close()
