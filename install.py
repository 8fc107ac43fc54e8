"""Sets sd-eeg up; the standard library only.

python install.py                     what ComfyUI and AUTOMATIC1111 run: add what requirements.txt lists and is missing
python install.py demo [--out DIR]    make .venv, train an encoder on the phantom, draw what it decodes (runs/demo)
python install.py app [ARGUMENT ..]   make .venv and open the EEG tab on its own (webui_extension/standalone.py)
python install.py test [ARGUMENT ..]  make .venv with the test extras and run the test suite (arguments go to pytest)
"""

import ast
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "sd-eeg-installed.txt"  # the requirements that were installed, one a line
TORCH = "2.13.0"
# A file is one worker's, for its tests share what they made; tests/conftest.py says which files begin.
IN_PARALLEL = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU_INDEX_PATIENCE_S = 5.0
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:>=\s*([0-9.]+))?\s*(?:#.*)?$")
PLAIN_VERSION = re.compile(r"^[0-9]+(\.[0-9]+)*((a|b|rc|\.post|\.dev)[0-9]+)*(\+[A-Za-z0-9.]+)?$")


def say(text: str) -> None:
    """Print one line at once, so that it stands before what a child process prints."""
    print(f"sd-eeg: {text}", flush=True)


# The host hook


def install_into_host() -> int:
    """Add to the running interpreter what requirements.txt lists and is missing; always 0, for the host must start."""
    try:
        missing = missing_requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
        failed = [name for name in missing if not install_one(name)]
    except Exception as error:  # whatever is odd about this Python, the host starts
        say(f"could not look for missing packages ({type(error).__name__}: {error}); the host goes on")
        return 0
    if failed:
        say(
            f"{', '.join(failed)} could not be installed, so parts of sd-eeg will not work; the host is as it was. "
            f'To try by hand: "{sys.executable}" -m pip install "{failed[0]}"'
        )
    return 0


def missing_requirements(text: str) -> list[str]:
    """Return the lines of a requirements file (`name` or `name>=1.2`) that the running interpreter does not satisfy."""
    missing = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = REQUIREMENT.match(line)
        if match is None:
            raise ValueError(f"requirements.txt: cannot read {line!r} (allowed: name, name>=1.2)")
        name, at_least = match.groups()
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name}>={at_least}" if at_least else name)
            continue
        if at_least and release(installed) < release(at_least):
            missing.append(f"{name}>={at_least}")
    return missing


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `2.13.0+cpu` is (2, 13); trailing zeros do not count."""
    numbers = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    parts = [int(part) for part in numbers.group().split(".")] if numbers else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def install_one(requirement: str) -> bool:
    """Install one requirement with every package of the host pinned where it is; return whether that worked."""
    import tempfile

    pip = pip_command()
    if pip is None:
        say(f"{requirement} is missing, and this Python has neither pip nor uv to install it with")
        return False
    say(f"installing {requirement}")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(host_pins(but=requirement)), encoding="utf-8")
        command = [*pip, "-q", "-c", str(constraints), requirement]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        say(f"installing {requirement} failed: {last_words(done)}")
    return done.returncode == 0


def pip_command() -> list[str] | None:
    """Return what installs into the running interpreter: pip, or uv where an environment of its making lacks pip."""
    import importlib.util

    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--retries", "1", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", sys.executable] if uv else None


def host_pins(but: str) -> list[str]:
    """Return `name==version` for everything installed except the requirement `but`.

    All of it and not only torch and numpy: extensions that moved Pillow, protobuf or pydantic have broken hosts before.
    """
    asked = plain_name(re.split(r"[<>=~! ]", but)[0])
    pins: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        name, version = package.metadata["Name"], package.version
        if name and version and PLAIN_VERSION.match(version) and plain_name(name) != asked:
            pins.setdefault(plain_name(name), version)
    return sorted(f"{name}=={version}" for name, version in pins.items())


def plain_name(name: str) -> str:
    """Return a package's name as pip compares it: `Scikit_Learn` and `scikit-learn` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def last_words(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the line of a failed command that says why: pip's last ERROR, else its last line."""
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [f"exit status {done.returncode}"])[-1]


# The project's own environment: demo, app and test


def demo(arguments: list[str]) -> int:
    """Make the environment and run the phantom demo; `--out` counts from the caller's folder, the rest goes on."""
    out, rest = ROOT / "runs" / "demo", []
    words = iter(arguments)
    for word in words:
        if word == "--out":
            out = Path(next(words, ""))
        elif word.startswith("--out="):
            out = Path(word.removeprefix("--out="))
        else:
            rest.append(word)
    if str(out) == ".":
        say("--out needs a folder, for example --out runs/demo")
        return 2
    out = out.expanduser().absolute()
    return make_venv("demo") or run_in_venv(["trainer/demo.py", "--out", str(out), *rest])


def app(arguments: list[str]) -> int:
    """Make the environment and serve the EEG tab without a host; paths in the arguments count from here."""
    return make_venv("app") or run_in_venv([str(ROOT / "webui_extension" / "standalone.py"), *arguments], Path.cwd())


def test(arguments: list[str]) -> int:
    """Make the environment with the test extras and run pytest in the repository's root; all of it on every core."""
    return make_venv("test") or run_in_venv(["-m", "pytest", *(arguments or IN_PARALLEL)])


def venv_python() -> Path:
    """Return where the environment's interpreter lies on this system."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def venv_environ() -> dict[str, str]:
    """Return this process's environment without what would let another Python's packages in."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    return {key: value for key, value in os.environ.items() if key not in hidden} | {"PYTHONUTF8": "1"}


def run_in_venv(arguments: list[str], folder: Path = ROOT) -> int:
    """Run the environment's interpreter in a folder, by default the repository's root; returns its exit status."""
    return subprocess.run([str(venv_python()), *arguments], cwd=folder, env=venv_environ()).returncode


def make_venv(extra: str) -> int:
    """Make `.venv` hold torch and one extra of pyproject.toml, with no pip call where it does; the exit status."""
    wanted = ["torch", *requirements_of(extra)]
    stamped = set(STAMP.read_text(encoding="utf-8").split("\n")) if STAMP.is_file() else set()
    if set(wanted) <= stamped and venv_works("-c", "pass"):
        return 0
    if not venv_works("-m", "pip", "--version"):
        say(f"making {VENV} with Python {platform.python_version()}")
        # An environment whose interpreter runs is completed in place; one whose interpreter is gone is made anew.
        fresh = [] if not VENV.exists() or venv_works("-c", "pass") else ["--clear"]
        made = subprocess.run([sys.executable, "-m", "venv", *fresh, str(VENV)], capture_output=True, text=True)
        if made.returncode:
            say(f"{VENV} could not be made: {last_words(made)} (on Debian and Ubuntu: apt install python3-venv)")
            return 1
    if status := install_into_venv(wanted):
        return status
    beside = STAMP.with_suffix(".part")
    beside.write_text("\n".join(sorted(stamped.union(wanted))), encoding="utf-8")
    os.replace(beside, STAMP)
    return 0


def venv_works(*arguments: str) -> bool:
    """Return whether the environment's interpreter runs with these arguments."""
    command = [str(venv_python()), *arguments]
    return venv_python().is_file() and subprocess.run(command, capture_output=True, env=venv_environ()).returncode == 0


def install_into_venv(wanted: list[str]) -> int:
    """Install torch and the rest in one pip call, so that no package brings another torch; pip's exit status."""
    others = [name for name in wanted if name != "torch"]
    installed = installed_torch()
    options: list[str] = []
    if installed:
        torch = f"torch=={installed}"
    elif gpu_present() or sys.platform == "darwin":
        torch = f"torch=={TORCH}"
    else:
        torch = f"torch=={TORCH}+cpu"
        if answers(f"{CPU_INDEX}/torch/"):
            options = ["--extra-index-url", CPU_INDEX]
    done = pip_install([*options, torch, *others])
    if done.returncode and torch.endswith("+cpu") and not installed and f"for {torch}" in done.stderr:
        say(f"no {torch} is to be had here: taking the usual index's torch {TORCH}, perhaps with CUDA libraries")
        done = pip_install([f"torch=={TORCH}", *others])
    if done.returncode:
        print(done.stderr, file=sys.stderr, end="")
        say(f"installing into {VENV} failed: {last_words(done)}")
    return done.returncode


def pip_install(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run the environment's pip with these arguments, its errors kept."""
    say(f"installing {', '.join(word for word in arguments if not word.startswith(('-', 'https:')))} (some minutes)")
    command = [str(venv_python()), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, env=venv_environ())


def installed_torch() -> str:
    """Return the version of torch that the environment holds, or an empty string."""
    code = "import importlib.metadata as m; print(next((d.version for d in m.distributions(name='torch')), ''))"
    done = subprocess.run([str(venv_python()), "-c", code], capture_output=True, text=True, env=venv_environ())
    return done.stdout.strip()


def gpu_present() -> bool:
    """Return whether an NVIDIA driver is at work here."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def answers(url: str) -> bool:
    """Return whether a web address answers soon; a network that swallows packets must not hold us up."""
    import threading
    import urllib.request

    replies: list[int] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, method="HEAD"), timeout=CPU_INDEX_PATIENCE_S
            ) as reply:
                replies.append(reply.status)
        except (OSError, ValueError):
            pass  # not reachable: pip's own configuration may still know a CPU wheel

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CPU_INDEX_PATIENCE_S)
    return bool(replies)


def requirements_of(extra: str) -> list[str]:
    """Return pyproject.toml's dependencies together with those of one extra, extras of this project within it unfolded.

    Python 3.10 has no TOML reader, so the lists are read by their form: `name = [ "..", ".." ]`. Raises ValueError for
    an extra that is not there.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return list(dict.fromkeys([*string_list(text, "dependencies"), *unfolded(text, extra)]))


def unfolded(text: str, extra: str) -> list[str]:
    """Return one extra's requirements, with `sd-eeg[other]` replaced by what `other` lists."""
    found: list[str] = []
    for requirement in string_list(text, extra):
        inner = re.fullmatch(r"sd-eeg\[([a-z]+)\]", requirement)
        found += unfolded(text, inner.group(1)) if inner else [requirement]
    return found


def string_list(text: str, name: str) -> list[str]:
    """Return the list of strings that stands as `name = [..]` at the start of a line of a TOML text."""
    match = re.search(rf"^{name}\s*=\s*(\[(?:[^\]\"#]|\"[^\"\n]*\"|#[^\n]*)*\])", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"pyproject.toml has no list called {name!r}")
    return ast.literal_eval(match.group(1))


def main(arguments: list[str]) -> int:
    """Run the command that the arguments name and return the exit status."""
    commands = {"demo": demo, "app": app, "test": test}
    if not arguments:
        return install_into_host()
    if arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments[0] in ("-h", "--help") else 2
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
