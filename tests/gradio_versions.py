"""Runs the tests of the user interface under each gradio that a host has: python -m tests.gradio_versions

Each version gets a small environment under .venv/gradio-<version> with the packages that its hosts pin beside it;
everything else (torch, mne, pytest ...) comes from the environment that this runs in. The current gradio is the one of
that environment itself.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("test_webui_tab*.py", "test_webui_accordion.py", "test_webui_localizations.py")
    for path in (ROOT / "tests").glob(pattern)
)
# numpy is 1.26.4 where the hosts pin 1.26.2: every newer build of scipy asks for it; of mne pip
# takes the newest that runs on it, as install.py does in the hosts.
PINS = {
    "3.41.2": [  # AUTOMATIC1111 1.10.1, reForge
        *("gradio==3.41.2", "fastapi==0.94.0", "pydantic==1.10.15", "httpx==0.24.1", "httpcore==0.15"),
        *("Pillow==9.5.0", "numpy==1.26.4", "scipy<1.15", "mne>=1.6", "huggingface_hub<0.26"),
    ],
    "4.40.0": [  # Forge, Forge Neo
        *("gradio==4.40.0", "fastapi==0.104.1", "pydantic==2.8.2", "httpx==0.24.1", "huggingface_hub==0.26.2"),
        *("Pillow==9.5.0", "numpy==1.26.4", "scipy<1.15", "mne>=1.6"),
    ],
}


def environment(version: str) -> Path:
    """Return the interpreter of the small environment of a version, made at first use."""
    folder = Path(sys.prefix) / f"gradio-{version}"
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    wanted = "\n".join(PINS[version])
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS[version]]
        subprocess.run(pip, check=True)
        # After its own packages, those of the environment around it.
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "around.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        stamp.write_text(wanted)
    return python


def main() -> int:
    """Run the tests under each version; returns how many of them failed."""
    failed = []
    for version, python in [*((v, environment(v)) for v in PINS), ("the current", Path(sys.executable))]:
        print(f"gradio {version}", flush=True)
        # Old gradio on new packages warns of much that is not ours.
        done = subprocess.run([str(python), "-m", "pytest", "-W", "default", *TESTS], cwd=ROOT)
        if done.returncode:
            failed.append(version)
    print(f"failed under gradio {', '.join(failed)}" if failed else "the user interface runs under every gradio")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
