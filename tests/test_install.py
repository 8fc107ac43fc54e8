"""install.py: the hosts' hook leaves the host alone, and the project's own environment gets a CPU torch."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def install():
    """install.py as a module of its own for each test."""
    spec = importlib.util.spec_from_file_location("sd_eeg_install", ROOT / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_hook(folder: Path, requirements: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a copy of install.py as A1111 does: no argument, another working folder, another PYTHONPATH."""
    pack, webui = folder / "pack", folder / "webui"
    pack.mkdir()
    webui.mkdir()
    shutil.copy(ROOT / "install.py", pack)
    (pack / "requirements.txt").write_text(requirements)
    command = [sys.executable, str(pack / "install.py")]
    return subprocess.run(
        command, cwd=webui, env={**os.environ, "PYTHONPATH": str(webui), **environ}, capture_output=True, text=True
    )


def test_nothing_missing_costs_no_pip_call_and_little_time(tmp_path):
    before = os.times()
    done = run_hook(tmp_path, "numpy>=1.26\npytest\n# a comment\n\n", PIP_INDEX_URL="http://127.0.0.1:9")
    after = os.times()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # Processor time, not the clock: the machine may be busy with something else.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.3


def test_a_failure_names_the_package_and_lets_the_host_start(tmp_path):
    done = run_hook(tmp_path, "numpy>=1.26\nsd-eeg-no-such-package>=1\n", PIP_NO_INDEX="1")
    assert done.returncode == 0
    assert "sd-eeg-no-such-package>=1 could not be installed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unreadable_list_lets_the_host_start(tmp_path):
    done = run_hook(tmp_path, "numpy @ https://example.org/numpy.zip\n")
    assert done.returncode == 0
    assert "cannot read" in done.stdout


def test_what_is_too_old_is_missing(install):
    numpy = importlib.metadata.version("numpy")
    assert install.missing_requirements(f"numpy>={numpy}\nnumpy\n") == []
    assert install.missing_requirements("numpy>=99.1\nsd-eeg-no-such-package") == [
        "numpy>=99.1",
        "sd-eeg-no-such-package",
    ]


@pytest.mark.parametrize(
    ("version", "numbers"), [("2.13.0+cpu", (2, 13)), ("1.26.4", (1, 26, 4)), ("2.0rc1", (2,)), ("odd", ())]
)
def test_versions_compare_by_their_numbers(install, version, numbers):
    assert install.release(version) == numbers


def test_a_missing_package_is_installed_with_the_host_pinned(install, monkeypatch):
    seen = []

    def pretend(command, **_):
        seen.append((command, Path(command[command.index("-c") + 1]).read_text().split("\n")))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", pretend)
    assert install.install_one("scipy>=99")
    (command, pins), *_ = seen
    assert "scipy>=99" in command
    assert not {"-U", "--upgrade"} & set(command)
    for name in ("torch", "numpy"):
        assert f"{name}=={importlib.metadata.version(name)}" in pins
    assert not [pin for pin in pins if pin.startswith("scipy==")]


def test_a_host_without_pip_uses_uv(install, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install.shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    assert install.pip_command() == ["/bin/uv", "pip", "install", "--python", sys.executable]
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    assert install.install_one("scipy>=99") is False


def test_the_lists_are_read_as_a_toml_reader_reads_them(install):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader to compare with")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert install.requirements_of("train") == [*project["dependencies"], *extras["train"]]
    tools = [name for name in (*extras["app"], *extras["formats"], *extras["test"]) if not name.startswith("sd-eeg[")]
    assert set(install.requirements_of("test")) == {*project["dependencies"], *extras["train"], *tools}


def test_an_unknown_extra_is_an_error(install):
    with pytest.raises(ValueError, match="no list called 'nosuch'"):
        install.requirements_of("nosuch")


def test_requirements_txt_is_what_the_hosts_lack_of_the_projects_dependencies(install):
    listed = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    brought_by_every_host = {"numpy", "tqdm"}
    project = install.string_list((ROOT / "pyproject.toml").read_text(), "dependencies")
    assert set(listed) == {line for line in project if line.split(">")[0] not in brought_by_every_host}
    assert not {"torch", "numpy", "pillow", "pydantic", "gradio"} & {line.split(">")[0].lower() for line in listed}


@pytest.fixture
def pip_calls(install, monkeypatch):
    """What make_venv would give to pip, on a machine with no GPU, no torch yet and no CPU index in reach."""
    calls = []

    def pretend(arguments):
        calls.append(arguments)
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(install, "pip_install", pretend)
    monkeypatch.setattr(install, "gpu_present", lambda: False)
    monkeypatch.setattr(install, "installed_torch", lambda: "")
    monkeypatch.setattr(install, "answers", lambda url: False)
    monkeypatch.setattr(install.sys, "platform", "linux")
    return calls


def test_without_a_gpu_torch_is_a_cpu_one(install, pip_calls):
    assert install.install_into_venv(["torch", "mne>=1.6"]) == 0
    assert pip_calls == [[f"torch=={install.TORCH}+cpu", "mne>=1.6"]]


def test_the_cpu_index_is_asked_only_where_it_answers(install, pip_calls, monkeypatch):
    monkeypatch.setattr(install, "answers", lambda url: url.startswith(install.CPU_INDEX))
    install.install_into_venv(["torch"])
    assert pip_calls == [["--extra-index-url", install.CPU_INDEX, f"torch=={install.TORCH}+cpu"]]


def test_with_a_gpu_torch_is_the_usual_one(install, pip_calls, monkeypatch):
    monkeypatch.setattr(install, "gpu_present", lambda: True)
    install.install_into_venv(["torch"])
    assert pip_calls == [[f"torch=={install.TORCH}"]]


def test_an_installed_torch_is_kept(install, pip_calls, monkeypatch):
    monkeypatch.setattr(install, "installed_torch", lambda: "2.4.1+cu121")
    install.install_into_venv(["torch", "mne"])
    assert pip_calls == [["torch==2.4.1+cu121", "mne"]]


def test_where_no_cpu_torch_is_to_be_had_the_usual_one_is_taken_aloud(install, pip_calls, monkeypatch, capsys):
    def pretend(arguments):
        pip_calls.append(arguments)
        absent = f"ERROR: No matching distribution found for torch=={install.TORCH}+cpu\n"
        failed = f"torch=={install.TORCH}+cpu" in arguments
        return subprocess.CompletedProcess(arguments, int(failed), "", absent if failed else "")

    monkeypatch.setattr(install, "pip_install", pretend)
    assert install.install_into_venv(["torch", "mne"]) == 0
    assert pip_calls[-1] == [f"torch=={install.TORCH}", "mne"]
    assert "CUDA" in capsys.readouterr().out


def test_a_failed_install_leaves_no_stamp(install, pip_calls, monkeypatch, tmp_path):
    monkeypatch.setattr(install, "STAMP", tmp_path / "stamp.txt")
    monkeypatch.setattr(install, "venv_works", lambda *arguments: True)
    failure = subprocess.CompletedProcess([], 1, "", "ERROR: no network\n")
    monkeypatch.setattr(install, "pip_install", lambda arguments: failure)
    assert install.make_venv("demo") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_complete_environment_costs_no_pip_call(install, pip_calls, monkeypatch, tmp_path):
    monkeypatch.setattr(install, "STAMP", tmp_path / "stamp.txt")
    monkeypatch.setattr(install, "venv_works", lambda *arguments: True)
    assert install.make_venv("test") == install.make_venv("test") == install.make_venv("demo") == 0
    assert len(pip_calls) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stamp.txt"]


def test_an_environment_whose_interpreter_is_gone_is_made_anew(install, pip_calls, monkeypatch, tmp_path):
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setattr(install, "STAMP", venv / "stamp.txt")
    made = []

    def pretend(command, **_):
        made.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", pretend)
    assert install.make_venv("demo") == 0
    assert made == [[sys.executable, "-m", "venv", "--clear", str(venv)]]


@pytest.mark.parametrize("given", [["--out", "there"], ["--out=there"]])
def test_out_counts_from_the_callers_folder_and_the_rest_goes_on(install, monkeypatch, tmp_path, given):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(install, "make_venv", lambda extra: 0)
    monkeypatch.setattr(install, "run_in_venv", lambda arguments: arguments)
    assert install.demo([*given, "--seed", "3"]) == ["trainer/demo.py", "--out", str(tmp_path / "there"), "--seed", "3"]


def test_the_demo_writes_to_runs_demo_by_default(install, monkeypatch):
    monkeypatch.setattr(install, "make_venv", lambda extra: 0)
    monkeypatch.setattr(install, "run_in_venv", lambda arguments: arguments)
    assert install.demo([]) == ["trainer/demo.py", "--out", str(ROOT / "runs" / "demo")]


def test_an_address_that_does_not_answer_is_given_up_soon(install):
    assert install.answers("http://127.0.0.1:9/") is False


def test_an_unknown_command_says_what_there_is(install, capsys):
    assert install.main(["dmeo"]) == 2
    assert "install.py demo" in capsys.readouterr().out
