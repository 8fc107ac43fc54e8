"""The host's front end in a real Chromium ($CHROMIUM, /usr/bin/chromium): opened, filled, run, photographed.

What a test or a script builds by call is built by the front end's own functions; what it does as a person is done by
mouse and keyboard.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.host_comfyui.host import Host

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    "Comfy.RightSidePanel.IsOpen": False,
    "Comfy.Workflow.Persist": False,
}
READY = "Boolean(window.app?.graph && window.LiteGraph?.registered_node_types.SDEEG_Encode)"

BUILD = """async ([nodes, groups]) => {
  // under the same graph's id the front end would give a new node the values of an old one
  const id = crypto.randomUUID();
  await app.loadGraphData({ id, nodes: [], links: [], groups: [], config: {}, extra: {}, version: 0.4 });
  app.nodeOutputs = {};
  const made = {};
  for (const { key, type, title, widgets } of nodes) {
    const node = LiteGraph.createNode(type);
    if (!node) throw new Error(`no node type ${type}`);
    app.graph.add(node);
    if (title) node.title = title;
    for (const [name, value] of Object.entries(widgets)) {
      const widget = node.widgets.find((one) => one.name === name) ?? (name === "" ? node.widgets[0] : null);
      if (!widget) throw new Error(`${type} has no widget ${name}: ${node.widgets.map((one) => one.name)}`);
      widget.value = value;
      widget.callback?.(value);
    }
    made[key] = node;
  }
  for (const { key, links } of nodes) {
    for (const [input, [from, output]] of Object.entries(links)) {
      const index = made[key].inputs.findIndex((slot) => slot.name === input);
      if (index < 0) throw new Error(`${key} has no input ${input}: ${made[key].inputs.map((slot) => slot.name)}`);
      if (!made[from].connect(output, made[key], index)) throw new Error(`${from} does not fit ${key}.${input}`);
    }
  }
  for (const { key, pos, size, properties } of nodes) {
    const [width, height] = made[key].computeSize();
    made[key].pos = [...pos];
    made[key].setSize([Math.max(width, size[0]), Math.max(height, size[1])]);
    Object.assign(made[key].properties, properties);
  }
  for (const { title, bounding } of groups) {
    const group = new LiteGraph.LGraphGroup(title);
    app.graph.add(group);
    group.pos = [bounding[0], bounding[1]];
    group.size = [bounding[2], bounding[3]];
  }
  app.canvas.setDirty(true, true);
  const said = ([key, node]) => [key, { id: String(node.id), size: [...node.size] }];
  return Object.fromEntries(Object.entries(made).map(said));
}"""
BOUNDS = """(ids) => {
  const chosen = app.graph._nodes.filter((node) => !ids.length || ids.includes(String(node.id)));
  const groups = ids.length ? [] : app.graph._groups.map((group) => [...group.pos, ...group.size]);
  const boxes = [...chosen.map((node) => [...node.getBounding()]), ...groups];
  const left = Math.min(...boxes.map((b) => b[0])), right = Math.max(...boxes.map((b) => b[0] + b[2]));
  const top = Math.min(...boxes.map((b) => b[1])), bottom = Math.max(...boxes.map((b) => b[1] + b[3]));
  return [left, top, right - left, bottom - top];
}"""
SHOW = """([x, y, scale]) => {
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [x, y];
  app.canvas.deselectAll?.();
  app.canvas.setDirty(true, true);
}"""
PLACE = """([id, kind, name]) => {
  const node = app.graph.getNodeById(id), box = app.canvas.canvas.getBoundingClientRect(), ds = app.canvas.ds;
  let at;
  if (kind === "widget") {
    const widget = node.widgets.find((one) => one.name === name);
    at = [node.pos[0] + node.size[0] / 2, node.pos[1] + widget.y + (widget.computedHeight ?? 20) / 2];
  } else if (kind === "title") {
    at = [node.pos[0] + node.size[0] / 2, node.pos[1] - 15];
  } else {
    const slots = kind === "input" ? node.inputs : node.outputs;
    const index = typeof name === "number" ? name : slots.findIndex((slot) => slot.name === name);
    if (index < 0) throw new Error(`${node.type} has no ${kind} ${name}: ${slots.map((slot) => slot.name)}`);
    at = node.getConnectionPos(kind === "input", index);
  }
  return [box.left + (at[0] + ds.offset[0]) * ds.scale, box.top + (at[1] + ds.offset[1]) * ds.scale];
}"""

DROP = """([x, y, files]) => {
  const dataTransfer = new DataTransfer();
  for (const [name, bytes] of files) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer, clientX: x, clientY: y, bubbles: true, cancelable: true });
    document.elementFromPoint(x, y).dispatchEvent(event);
  }
}"""


@dataclass(frozen=True)
class Node:
    """A node to build: widgets by name, links as {input: (key, output)}, and at least this size."""

    key: str
    type: str
    widgets: dict[str, Any] = field(default_factory=dict)
    links: dict[str, tuple[str, int]] = field(default_factory=dict)
    pos: tuple[float, float] = (0, 0)
    size: tuple[float, float] = (0, 0)
    title: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


class FrontEnd:
    """One page of the front end of a running host."""

    def __init__(self, page: Any, host: Host, nodes2: bool):
        self.page, self.host, self.nodes2 = page, host, nodes2
        self.left, self.top = 90, 110  # what the side bar and the tabs cover

    def build(self, nodes: list[Node], groups: list[dict[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
        """Replace the graph by these nodes and groups ({title, bounding}); returns {id, size} by key."""
        return self.page.evaluate(BUILD, [[vars(node) for node in nodes], groups or []])

    def load(self, graph: dict) -> None:
        """Open a saved workflow."""
        self.page.evaluate("(graph) => app.loadGraphData(graph)", graph)
        self.page.wait_for_timeout(500)

    def saved(self) -> dict:
        """What the front end would save."""
        return json.loads(self.page.evaluate("() => JSON.stringify(app.graph.serialize())"))

    def prompt(self) -> dict:
        """What the front end would queue."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def nodes(self, kind: str) -> list[str]:
        """The ids of the nodes of a type."""
        return self.page.evaluate("(kind) => app.graph._nodes.filter((n) => n.type === kind).map((n) => n.id)", kind)

    def widget(self, node: str, name: str) -> Any:
        """The value of a widget."""
        return self.page.evaluate(
            "([id, name]) => app.graph.getNodeById(id).widgets.find((w) => w.name === name).value", [node, name]
        )

    def place(self, node: str, kind: str, name: str | int = 0) -> tuple[float, float]:
        """Where on the page an input, an output, a widget or the title of a node lies."""
        x, y = self.page.evaluate(PLACE, [node, kind, name])
        return x, y

    def bounds(self, *nodes: str) -> list[float]:
        """Left, top, width and height of these nodes, or of everything in the graph."""
        return self.page.evaluate(BOUNDS, [str(node) for node in nodes])

    def look_at(self, *nodes: str, scale: float = 1.0) -> dict[str, float]:
        """Move these nodes, or all, beside the side bar; returns what to photograph."""
        x, y, width, height = self.bounds(*nodes)
        self.page.evaluate(SHOW, [self.left / scale - x, self.top / scale - y, scale])
        self.page.wait_for_timeout(800)
        margin = 16
        return {
            "x": self.left - margin,
            "y": self.top - margin,
            "width": width * scale + 2 * margin,
            "height": height * scale + 2 * margin,
        }

    def add_by_search(self, words: str, at: tuple[float, float]) -> str:
        """Add a node as a person does: double click, type, Enter; returns its id."""
        before = set(self.page.evaluate("() => app.graph._nodes.map((n) => n.id)"))
        results = self.page.get_by_test_id("result-item")
        for _ in range(5):  # two clicks on a busy machine may lie too far apart for a double click
            self.page.mouse.dblclick(*at)
            self.page.wait_for_timeout(1000)
            if results.count():
                break
        self.page.keyboard.type(words, delay=15)
        results.first.filter(has_text=words).wait_for()
        self.page.keyboard.press("Enter")
        results.first.wait_for(state="hidden")
        # a node that was just added hangs on the pointer until it is put down
        self.page.mouse.move(at[0] + 1, at[1])
        self.page.mouse.click(*at)
        self.page.wait_for_timeout(300)
        [added] = set(self.page.evaluate("() => app.graph._nodes.map((n) => n.id)")) - before
        return added

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the mouse."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=6)
        mouse.move(*end, steps=6)
        mouse.up()
        self.page.wait_for_timeout(250)

    def connect(self, start: str, output: str | int, end: str, entry: str | int) -> None:
        """Drag a link from an output to an input."""
        self.drag(self.place(start, "output", output), self.place(end, "input", entry))

    def choose_files(self, node: str, *files: Path) -> None:
        """Press the upload button and choose files; waits until they are sent, in success or not."""
        with self.page.expect_file_chooser() as chooser:
            self.press_upload(node)
        chooser.value.set_files([str(file) for file in files])
        self.wait_until_sent(node)

    def press_upload(self, node: str) -> None:
        """Press the upload button of a node."""
        if self.nodes2:
            self.page.get_by_test_id("node-widgets").get_by_role("button", name="upload EEG file(s)").click()
        else:
            self.page.mouse.click(*self.place(node, "widget", "eeg_upload"))

    def wait_until_sent(self, node: str) -> None:
        """Wait until the upload button of a node reads as it does at rest."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(
            "(id) => app.graph.getNodeById(id).widgets.some((w) => w.label === 'upload EEG file(s)')", arg=node
        )

    def run(self) -> dict:
        """Press Run; returns the history entry of the run that it starts."""
        before = set(self.host.get("/history"))
        self.page.get_by_test_id("queue-button").click()
        end = time.monotonic() + 300
        while not (ended := set(self.host.get("/history")) - before):
            if time.monotonic() > end:
                raise TimeoutError(self.host.said()[-3000:])
            time.sleep(0.2)
        self.page.wait_for_timeout(1500)
        return self.host.get("/history")[ended.pop()]

    def open_template(self, name: str) -> None:
        """Open one of the pack's examples from the template browser."""
        self.page.get_by_role("button", name="Templates").first.click()
        self.page.get_by_text("sd-eeg", exact=True).first.click()
        self.page.get_by_test_id(f"template-workflow-{name}").click()
        self.page.get_by_test_id(f"template-workflow-{name}").wait_for(state="hidden")
        self.page.wait_for_timeout(1000)

    def drop(self, at: tuple[float, float], *files: Path) -> None:
        """Drop files there, as from a file manager."""
        self.page.evaluate(DROP, [*at, [[file.name, list(file.read_bytes())] for file in files]])

    def toasts(self) -> str:
        """What the messages in the corner say; they are closed."""
        said = "\n".join(self.page.locator(".p-toast-message, [data-testid=toast]").all_inner_texts())
        # Front ends before 1.58 call it removeAll.
        self.page.evaluate(
            "() => { const { dismissAll, removeAll } = app.extensionManager.toast; (dismissAll ?? removeAll)() }"
        )
        self.page.wait_for_timeout(300)
        return said


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a Chromium; one at a time in a process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def front_end(
    browser: Any, host: Host, *, nodes2: bool = False, size: tuple[int, int] = (1400, 900)
) -> Iterator[FrontEnd]:
    """Open the front end with an empty graph, in the classic canvas or in Nodes 2.0."""
    host.post("/settings", {**QUIET, "Comfy.VueNodes.Enabled": nodes2})
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    try:
        page.goto(host.address)
        page.wait_for_function(READY, timeout=120_000)
        page.wait_for_timeout(1500)
        page.keyboard.press("Escape")
        page.evaluate("() => app.graph.clear()")
        yield FrontEnd(page, host, nodes2)
    finally:
        page.close()
