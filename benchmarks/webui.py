"""The extension in a real webui: its share of the start, its time in each sampling step, and memory.

    python benchmarks/webui.py --dir ~/stable-diffusion-webui --python ~/stable-diffusion-webui/venv/bin/python

Start: seconds inside the host's own calls that load our script, build our accordions and tab and run our callbacks,
the best of three starts, beside each other extension of the same start and the host's own "Startup time"; and the
thread's processor time in them, which other work on the machine does not change. Step: time
inside our `on_cfg_denoiser` beside the time from one call of it to the next, 20 steps of 256 x 256 pixels, the median
of all but the first step of each picture. Parallel: three rounds of 50 requests at a time without EEG, then three with;
of each round the seconds, the growth of the process's resident set, and how many pictures were lost or name another
embedding than their window has alone. The checkpoint is small and of random weights.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from tests.host_a1111.checkpoints import CHECKPOINTS
from tests.host_a1111.host import Checkout, Host, kind_of, new_data
from tests.small_encoders import noise_recording, small_encoder

STARTS, PICTURES, AT_A_TIME, ROUNDS, WINDOWS = 3, 5, 50, 3, 6
EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors"}
# A sitecustomize.py that puts clocks round what the host does with each script and callback.
CLOCK = """
import dataclasses, importlib.abc, importlib.util, os, sys, time

def say(what, seconds, cpu, file):
    print(f"\\nCLOCK {what} {seconds:.6f} {cpu:.6f} {file}", flush=True)

def timed(what, function, file):
    def run(*args, **kwargs):
        started, cpu = time.perf_counter(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            taken = time.perf_counter() - started, time.thread_time() - cpu
            say(what, *taken, file(*args) if callable(file) else file)
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
                started, cpu = time.perf_counter(), time.thread_time()
                one.callback(*given)
                taken = time.perf_counter() - started, time.thread_time() - cpu
                say("step", *taken, f"{started - last.get(one.script, started):.6f} {one.script}")
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


def start_seconds(log: str, cpu: bool = False) -> dict[str, dict[str, float]]:
    """Seconds of a start, or of processor time in it, by extension and by what they were spent on."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for what, *seconds, file in re.findall(r"^CLOCK (\S+) ([\d.]+) ([\d.]+) (\S+)$", log, re.MULTILINE):
        found[owner(file)][what] += float(seconds[cpu])
    return {name: dict(parts) for name, parts in found.items()}


def steps_ms(log: str) -> tuple[float, float, float]:
    """Median milliseconds inside our callback, processor time of that, and from one call to the next."""
    steps = re.findall(r"^CLOCK step ([\d.]+) ([\d.]+) ([\d.]+) (\S+)$", log, re.MULTILINE)
    ours = [[1000 * float(one) for one in times] for *times, file in steps if owner(file) == "sd-eeg"]
    own, cpu, whole = zip(*(times for number, times in enumerate(ours) if number % 20), strict=True)
    return median(own), median(cpu), median(whole)


def rounds(host: Host, eeg: dict | None, expected: list[str]) -> dict[str, list[float]]:
    """Seconds, MB the process grew by, and pictures lost or mixed up, of each round of AT_A_TIME parallel requests.

    expected: what a picture of each window says it was drawn from.
    """

    def draw(number: int) -> list[str]:
        return host.draw(eeg and {**eeg, "which": str(number % WINDOWS)}, seed=number, steps=1).digests

    found: dict[str, list[float]] = {"seconds": [], "growth_mb": [], "lost_or_mixed_up": []}
    for _ in range(ROUNDS):
        before, started = host.rss_mb(), time.perf_counter()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            drawn = list(pool.map(draw, range(AT_A_TIME)))
        found["seconds"].append(round(time.perf_counter() - started, 2))
        found["growth_mb"].append(round(host.rss_mb() - before, 1))
        wrong = sum(one != [expected[number % WINDOWS]] for number, one in enumerate(drawn))
        found["lost_or_mixed_up"].append(wrong)
    return found


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
        host, starts, cpu, totals = Host(checkout, data, env={"PYTHONPATH": str(data / "clock")}), [], [], []
        try:
            for _ in range(STARTS):
                host.stop()
                host.start()
                starts.append(start_seconds(host.start_log))
                cpu.append(start_seconds(host.start_log, cpu=True).get("sd-eeg", {}))
                totals.append(float(re.findall(r"Startup time: ([\d.]+)s", host.start_log)[-1]))
                print(totals[-1], starts[-1].get("sd-eeg"), cpu[-1], flush=True)
            for number in range(PICTURES):
                host.draw(EEG, steps=20, width=256, height=256, seed=number)
            step, step_cpu, whole = steps_ms(host.said())
            alone = [host.draw({**EEG, "which": str(number)}, steps=1).digests[0] for number in range(WINDOWS)]
            assert len(set(alone)) == WINDOWS
            without, with_eeg = rounds(host, None, [""] * WINDOWS), rounds(host, EEG, alone)
        finally:
            host.stop()
    sums = [{name: sum(parts.values()) for name, parts in one.items()} for one in starts]
    best = min(range(STARTS), key=lambda number: sums[number]["sd-eeg"])
    least = min(cpu, key=lambda parts: sum(parts.values()))
    others = sorted(((s, name) for name, s in sums[best].items() if name not in ("sd-eeg", "host")), reverse=True)
    found = {
        "host": checkout.kind,
        "start_s": sums[best]["sd-eeg"],
        "start_cpu_s": sum(least.values()),
        "start_cpu_parts_s": {what: round(seconds, 4) for what, seconds in least.items()},
        "start_parts_s": {what: round(seconds, 4) for what, seconds in starts[best]["sd-eeg"].items()},
        "host_startup_s": totals[best],
        "share": sums[best]["sd-eeg"] / totals[best],
        "other_extensions_s": {name: round(seconds, 4) for seconds, name in others[:5]},
        "step_ms": step,
        "step_cpu_ms": step_cpu,
        "whole_step_ms": whole,
        "at_a_time": AT_A_TIME,
        "rounds_with_eeg": with_eeg,
        "rounds_without_eeg": without,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
