"""The pack in a real ComfyUI: its share of the start beside IP-Adapter's, the time of EEG Encode, and memory.

    python benchmarks/comfyui.py --comfyui ~/ComfyUI --python ~/ComfyUI/venv/bin/python \\
        --ipadapter ~/ComfyUI_IPAdapter_plus

Import seconds are those of the host's own `load_custom_node`, both packs in the same start, the best of three starts.
EEG Encode is timed inside the host round the node's `execute`, on one window of 1 s of a minute of EPOC noise with the
encoder that comes with the pack: the first call after the recording was read, which filters it, and the median of all
later runs, each with another strength so that none comes from the cache. Memory is the process's resident set after 50
runs and after all; the same number of runs of two of the host's own nodes stands beside it.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from core.formats.toolboxes.native import save_recording
from core.montage import MONTAGES
from core.recording import Recording
from tests.host_comfyui.graphs import eeg_graph, encode, node
from tests.host_comfyui.host import Host, new_base, succeeded

ENCODER = "phantom-epoc14.safetensors"
STARTS, WARM_UP = 3, 50
# A pack that wraps the host's loader before it is used, and the node's `execute` once it is loaded.
CLOCK_FIRST = """
import importlib.abc, importlib.util, sys, time

class Nodes(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "nodes":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            load = module.load_custom_node
            async def timed(path, *args, **kwargs):
                started = time.perf_counter()
                done = await load(path, *args, **kwargs)
                print(f"CLOCK {time.perf_counter() - started:.6f} {path}", flush=True)
                return done
            module.load_custom_node = timed
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Nodes())
"""
CLOCK = """
import json, time
import nodes

TAKEN = []

class Clock:
    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "test", "run", (), True
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {"default": ""})}}
    def run(self, name):
        if name:
            watched = nodes.NODE_CLASS_MAPPINGS[name]
            inner = watched.execute.__func__
            def execute(cls, *args, **kwargs):
                started = time.perf_counter()
                out = inner(cls, *args, **kwargs)
                TAKEN.append(1000 * (time.perf_counter() - started))
                return out
            watched.execute = classmethod(execute)
        return {"ui": {"text": [json.dumps(TAKEN)]}}

NODE_CLASS_MAPPINGS = {"Clock": Clock}
"""


def import_seconds(host: Host) -> dict[str, float]:
    """Seconds each pack took in this start, by the name of its folder."""
    found = re.findall(r"^CLOCK ([\d.]+) (\S+)", host.said(), re.MULTILINE)
    return {Path(path).name: float(seconds) for seconds, path in found if "/custom_nodes/" in path}


def ours(number: int, runs: int) -> dict:
    graph = encode(eeg_graph("epoc.safetensors", ENCODER, **{"choose": "times", "choose.times": "30"}))
    graph["encode"]["inputs"]["strength"] = 0.5 + number / runs
    graph["seen"] = node("PreviewAny", source=["encode", 4])
    return graph


def theirs(number: int, runs: int) -> dict:
    return {
        "number": node("PrimitiveFloat", value=0.5 + number / runs),
        "seen": node("PreviewAny", source=["number", 0]),
    }


def growth_mb(host: Host, graph, runs: int) -> float:
    """MB the process grew by in `runs` runs, after as many as warm it up."""
    for number in range(WARM_UP):
        succeeded(host.run(graph(-1 - number, runs)))
    before = host.rss_mb()
    for number in range(runs):
        succeeded(host.run(graph(number, runs)))
    return host.rss_mb() - before


def main() -> None:
    """Start the host, run, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comfyui", type=Path, required=True, help="a ComfyUI checkout")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter it runs with")
    parser.add_argument("--ipadapter", type=Path, help="a checkout of ComfyUI_IPAdapter_plus to start beside us")
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    os.environ |= {"COMFYUI_DIR": str(options.comfyui.resolve()), "COMFYUI_PYTHON": str(options.python.absolute())}
    with tempfile.TemporaryDirectory() as folder:
        base = new_base(Path(folder), *([options.ipadapter.resolve()] if options.ipadapter else []))
        clock = base / "custom_nodes" / "clock"
        clock.mkdir()
        (clock / "prestartup_script.py").write_text(CLOCK_FIRST)
        (clock / "__init__.py").write_text(CLOCK)
        data = 1e-5 * np.random.default_rng(0).standard_normal((14, 60 * 128))
        recording = Recording(data.astype(np.float32), 128.0, MONTAGES["epoc-14"])
        save_recording(recording, base / "input" / "epoc.safetensors")
        host, starts = Host(base), []
        try:
            for _ in range(STARTS):
                starts.append(import_seconds(host.restart()))
                print(starts[-1], flush=True)
            succeeded(host.run({"clock": node("Clock", name="SDEEG_Encode")}))
            grown, control = growth_mb(host, ours, options.runs), growth_mb(host, theirs, options.runs)
            taken = json.loads(succeeded(host.run({"c": node("Clock", name="")}))["outputs"]["c"]["text"][0])
        finally:
            host.stop()
    warm = sorted(taken[WARM_UP:])
    found = {
        "import_s": min(start["sd-eeg"] for start in starts),
        "encode_first_ms": taken[0],
        "encode_warm_median_ms": warm[len(warm) // 2],
        "encode_warm_p95_ms": warm[int(0.95 * len(warm))],
        "runs": options.runs,
        "executed": len(taken),
        "rss_growth_mb": grown,
        "rss_growth_of_host_nodes_mb": control,
    }
    if options.ipadapter:
        found["ipadapter_import_s"] = min(start[options.ipadapter.name] for start in starts)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
