"""The extension in a real webui: its share of the start, its time in each sampling step, and memory.

    python benchmarks/webui.py --dir ~/stable-diffusion-webui --python ~/stable-diffusion-webui/venv/bin/python

Start: seconds inside the host's own calls that load our script, build our accordions and tab and run our callbacks,
the best of three starts, beside each other extension of the same start and the host's own "Startup time". Step: time
inside our `on_cfg_denoiser` beside the time from one call of it to the next, 20 steps of 256 x 256 pixels, the median
of all but the first step of each picture. Memory: growth of the process's resident set by 50 pictures with EEG after 50
that warm it up, beside as many without. The checkpoint is small and of random weights.
"""

import argparse
import json
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from core.checkpoint import save_encoder
from core.formats.native import save_recording
from core.heads import HeadConfig
from tests.host_a1111.checkpoints import CHECKPOINTS
from tests.host_a1111.host import Checkout, Host, kind_of, new_data
from tests.small_encoders import noise_recording, small_encoder

STARTS, PICTURES, RUNS = 3, 5, 50
EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors"}
# A sitecustomize.py that puts clocks round what the host does with each script and callback.
CLOCK = """
import dataclasses, importlib.abc, importlib.util, os, sys, time

def say(what, seconds, file):
    print(f"\\nCLOCK {what} {seconds:.6f} {file}", flush=True)

def timed(what, function, file):
    def run(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            say(what, time.perf_counter() - started, file(*args) if callable(file) else file)
    return run

def script_loading(module):
    module.load_module = timed("load", module.load_module, lambda path: path)

def scripts(module):
    runner = module.ScriptRunner
    runner.create_script_ui = timed("ui", runner.create_script_ui, lambda self, script: script.filename)

def script_callbacks(module):
    ordered, last = module.ordered_callbacks, {}
    def ordered_callbacks(category, *args, **kwargs):
        def clocked(one):
            if category != "cfg_denoiser":
                return timed(category, one.callback, one.script)
            def step(*given):
                started = time.perf_counter()
                one.callback(*given)
                ended = time.perf_counter()
                say("step", ended - started, f"{started - last.get(one.script, started):.6f} {one.script}")
                last[one.script] = started
            return step
        return [dataclasses.replace(one, callback=clocked(one)) for one in ordered(category, *args, **kwargs)]
    module.ordered_callbacks = ordered_callbacks

CLOCKS = {f"modules.{f.__name__}": f for f in (script_loading, scripts, script_callbacks)}

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in CLOCKS:
            return None
        wrap = CLOCKS.pop(name)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            wrap(module)
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
for folder in sys.path:
    hidden = os.path.join(folder, "sitecustomize.py")
    if os.path.isfile(hidden) and not os.path.samefile(hidden, __file__):
        exec(compile(open(hidden).read(), hidden, "exec"), {"__name__": "hidden", "__file__": hidden})
        break
"""


def owner(file: str) -> str:
    """The extension that a file belongs to: ours, another's folder, or the host."""
    if "/sd-eeg/" in file or file.startswith(str(ROOT)):
        return "sd-eeg"
    found = re.search(r"/extensions(?:-builtin)?/([^/]+)/", file)
    return found.group(1) if found else "host"


def start_seconds(log: str) -> dict[str, dict[str, float]]:
    """Seconds of a start by extension and by what they were spent on."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for what, seconds, file in re.findall(r"^CLOCK (\S+) ([\d.]+) (\S+)$", log, re.MULTILINE):
        found[owner(file)][what] += float(seconds)
    return {name: dict(parts) for name, parts in found.items()}


def steps_ms(log: str) -> tuple[float, float]:
    """Median milliseconds inside our callback, and from one call to the next."""
    steps = re.findall(r"^CLOCK step ([\d.]+) ([\d.]+) (\S+)$", log, re.MULTILINE)
    ours = [(1000 * float(own), 1000 * float(whole)) for own, whole, file in steps if owner(file) == "sd-eeg"]
    within = [(own, whole) for number, (own, whole) in enumerate(ours) if number % 20]
    return median(own for own, _ in within), median(whole for _, whole in within)


def growth_mb(host: Host, eeg: dict | None) -> float:
    """MB the process grew by in RUNS pictures, after as many that warm it up."""
    for number in range(RUNS):
        host.draw(eeg and {**eeg, "which": str(number % 6)}, seed=number, steps=1)
    before = host.rss_mb()
    for number in range(RUNS):
        host.draw(eeg and {**eeg, "which": str(number % 6)}, seed=number, steps=1)
    return host.rss_mb() - before


def main() -> None:
    """Start the host, draw, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="a checkout of AUTOMATIC1111, Forge, Neo or reForge")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter it runs with")
    options = parser.parse_args()
    folder = options.dir.resolve()
    checkout = Checkout(folder, str(options.python.absolute()), kind_of(folder))
    with tempfile.TemporaryDirectory() as temporary:
        data = new_data(Path(temporary), checkout.kind)
        save_recording(noise_recording(), data / "eeg_recordings" / "noise.safetensors")
        save_encoder(
            small_encoder(HeadConfig("sd1.text", "basis", rank=2)), data / "models/eeg_encoders/sd1.safetensors"
        )
        CHECKPOINTS[checkout.kind][0](data / "models" / "Stable-diffusion")
        (data / "clock").mkdir()
        (data / "clock" / "sitecustomize.py").write_text(CLOCK)
        host, starts, totals = Host(checkout, data, env={"PYTHONPATH": str(data / "clock")}), [], []
        try:
            for _ in range(STARTS):
                host.stop()
                host.start()
                starts.append(start_seconds(host.start_log))
                totals.append(float(re.findall(r"Startup time: ([\d.]+)s", host.start_log)[-1]))
                print(totals[-1], starts[-1].get("sd-eeg"), flush=True)
            for number in range(PICTURES):
                host.draw(EEG, steps=20, width=256, height=256, seed=number)
            step, whole = steps_ms(host.said())
            grown, control = growth_mb(host, EEG), growth_mb(host, None)
        finally:
            host.stop()
    sums = [{name: sum(parts.values()) for name, parts in one.items()} for one in starts]
    best = min(range(STARTS), key=lambda number: sums[number]["sd-eeg"])
    others = sorted(((s, name) for name, s in sums[best].items() if name not in ("sd-eeg", "host")), reverse=True)
    found = {
        "host": checkout.kind,
        "start_s": sums[best]["sd-eeg"],
        "start_parts_s": {what: round(seconds, 4) for what, seconds in starts[best]["sd-eeg"].items()},
        "host_startup_s": totals[best],
        "share": sums[best]["sd-eeg"] / totals[best],
        "other_extensions_s": {name: round(seconds, 4) for seconds, name in others[:5]},
        "step_ms": step,
        "whole_step_ms": whole,
        "rss_growth_mb": grown,
        "rss_growth_without_eeg_mb": control,
        "pictures": RUNS,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
