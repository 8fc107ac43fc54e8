"""Everything of core and trainer is imported where Unix alone has a module: as on Windows."""

import subprocess
import sys

from tests.comfy_standin import ROOT

SCRIPT = """
import importlib, pathlib, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios", "posix_ipc"):
    sys.modules[name] = None
failed = []
for side in ("core", "trainer"):
    for path in sorted(pathlib.Path(side).rglob("*.py")):
        module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        try:
            importlib.import_module(module)
        except ImportError as error:
            failed.append(f"{module}: {error}")
print("\\n".join(failed))
"""


def test_no_module_needs_what_windows_lacks():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip(), done.stdout
