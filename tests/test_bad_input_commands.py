"""Bad input at the command line: one readable line, exit status 2, nothing written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.recording import Recording
from tests.small_encoders import noise_recording, small_encoder

ROOT = Path(__file__).resolve().parent.parent


def text_called_edf(folder: Path) -> Path:
    path = folder / "notes.edf"
    path.write_text("this is a shopping list\n")
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.edf"
    path.touch()
    return path


def four_of_many_channels(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    data = (1e-5 * rng.standard_normal((3, 2000))).astype(np.float32)
    save_recording(Recording(data, 128.0, ("Cz", "Pz", "Oz")), folder / "few.safetensors")
    return folder / "few.safetensors"


def shorter_than_the_window(folder: Path) -> Path:
    save_recording(noise_recording(seconds=0.5), folder / "short.safetensors")
    return folder / "short.safetensors"


def rate_below_twice_the_low_pass(folder: Path) -> Path:
    save_recording(noise_recording(sfreq=64.0), folder / "slow.safetensors")
    return folder / "slow.safetensors"


def volts_that_are_microvolts(folder: Path) -> Path:
    loud = noise_recording()
    save_recording(
        Recording(loud.data * 1e6, loud.sfreq, loud.ch_names, None, loud.events), folder / "loud.safetensors"
    )
    return folder / "loud.safetensors"


CASES = {
    text_called_edf: "notes.edf",
    empty_file: "empty",
    four_of_many_channels: "AF3",
    shorter_than_the_window: "window",
    rate_below_twice_the_low_pass: "40",
    volts_that_are_microvolts: "units",
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_generate_says_it_in_one_line_and_writes_nothing(make, tmp_path, monkeypatch, capsys):
    from trainer.console import run
    from trainer.generate import main

    save_encoder(small_encoder(), tmp_path / "e.safetensors")
    arguments = ["generate.py", str(make(tmp_path)), "--encoder", str(tmp_path / "e.safetensors")]
    monkeypatch.setattr(
        sys, "argv", [*arguments, "--model", str(ROOT / "assets" / "phantom"), "--out", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as stopped:
        run(main)
    assert stopped.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert CASES[make] in said[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["trainer/train.py", "--preset", "nothing"], "known: phantom"),
        (["trainer/train.py", "--data", "nowhere"], "nowhere"),
        (["trainer/evaluate.py", "nowhere"], "no run at nowhere"),
    ],
)
def test_the_real_commands_exit_with_status_2(command, says, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
