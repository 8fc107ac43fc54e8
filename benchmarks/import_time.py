"""What loading the pack costs each host beyond torch, beside what importing torch itself costs.

Fresh interpreters, medians, in milliseconds beyond torch and numpy. Prints a JSON object as its last line: root_ms (the
root package), comfyui_ms (the nodes and their schemas), a1111_ms (scripts/sd_eeg.py), torch_ms. Target: 50 ms each.

    python benchmarks/import_time.py [--repeats 7]
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

# Every measurement starts from what a host has already loaded, and imports the host's own modules first as stand-ins.
BEFORE = """
import importlib.util, pathlib, sys, time, types
sys.dont_write_bytecode = False
root = pathlib.Path({root!r})
start = time.perf_counter()
import numpy, torch
torch_ms = (time.perf_counter() - start) * 1000

def stand_in(name, **attributes):
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(attributes)
    return module

def execute(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
"""
AFTER = """
print((time.perf_counter() - start) * 1000, torch_ms)
"""
ROOT_PACKAGE = """
start = time.perf_counter()
execute("sd-eeg", root / "__init__.py")
"""
COMFYUI = """
sys.path.insert(0, str(root))
from tests.comfy_standin import comfy_modules, load_pack
sys.path.remove(str(root))
made = comfy_modules(pathlib.Path({models!r}), pathlib.Path({models!r}))
start = time.perf_counter()
assert len(load_pack(made)) >= 12
"""
A1111 = """
import gradio
def nothing(*args, **options):
    pass
before_ui = []
modules = stand_in("modules")
modules.script_callbacks = stand_in("modules.script_callbacks", on_before_ui=before_ui.append, on_ui_settings=nothing,
                                    on_ui_tabs=nothing, on_app_started=nothing, on_cfg_denoiser=nothing,
                                    remove_callbacks_for_function=nothing)
modules.scripts = stand_in("modules.scripts", Script=object, AlwaysVisible=object(), scripts_data=[])
sys.path.insert(0, str(root))
start = time.perf_counter()
execute("sd_eeg.py", root / "scripts" / "sd_eeg.py")
for callback in before_ui:
    callback()
"""


def measure(body: str, models: str) -> tuple[float, float]:
    """Return milliseconds of one way of loading and of importing torch, in one fresh interpreter."""
    code = (BEFORE + body).format(root=str(ROOT), models=models) + AFTER
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if missing := re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'$", done.stderr, re.MULTILINE):
        raise ModuleNotFoundError(missing[0], name=missing[1])
    if done.returncode:
        raise RuntimeError(done.stderr or f"the interpreter that was measured ended with exit status {done.returncode}")
    took, torch_ms = done.stdout.split()[-2:]
    return float(took), float(torch_ms)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="fresh interpreters for each figure (default 7)")
    repeats = parser.parse_args().repeats
    figures, torch_times = {}, []
    with tempfile.TemporaryDirectory() as models:
        for key, body in (("root_ms", ROOT_PACKAGE), ("comfyui_ms", COMFYUI), ("a1111_ms", A1111)):
            measure(body, models)  # compiles the bytecode, as a host's first start does
            runs = [measure(body, models) for _ in range(repeats)]
            figures[key] = round(statistics.median(took for took, _ in runs), 2)
            torch_times += [torch_ms for _, torch_ms in runs]
            print(f"{key}: {figures[key]} (of {', '.join(f'{took:.1f}' for took, _ in sorted(runs))})")
    print(json.dumps({**figures, "torch_ms": round(statistics.median(torch_times), 1), "repeats": repeats}))


if __name__ == "__main__":
    main()
