"""The road that the pages describe, walked with their commands: own recordings to a store, an encoder, a report, a
picture.
"""

import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from tests.pages import read
from tests.recording_folders import random_labels, recording, write_runs
from tests.single_file import write_single_file
from tests.small_encoders import noise_recording, small_encoder
from tests.small_models import small_sd1
from trainer import console, evaluate, generate, prepare, train


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command as the shell does and return its exit status and what it printed."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
        status = 0
        try:
            console.run(module.main)
        except SystemExit as left:
            status = int(left.code or 0)
        printed = capsys.readouterr()
        return status, printed.out + "\n".join(line for line in printed.err.splitlines() if line.startswith("error"))

    return run


COMMANDS = {one.__name__.replace(".", "/") + ".py": one for one in (prepare, train, evaluate, generate)}


def write_muse(path, seed):
    """Write a muse-lsl CSV of noise at 256 Hz in which marker 2 is answered after 200 ms and marker 1 is not."""
    rng, sfreq = np.random.default_rng(seed), 256
    data = 10 * rng.standard_normal((sfreq * 48, 4))
    marker = np.zeros(len(data))
    bump = 40 * np.hanning(sfreq // 4)
    for number, kind in enumerate(rng.permutation([1, 2] * 15)):
        at = round((1.5 + 1.5 * number) * sfreq)
        marker[at] = kind
        if kind == 2:
            data[at + sfreq // 5 : at + sfreq // 5 + len(bump), [0, 3]] += bump[:, None]
    table = np.column_stack([1.5e9 + np.arange(len(data)) / sfreq, data, marker])
    np.savetxt(path, table, "%.6f", ",", header="timestamps,TP9,AF7,AF8,TP10,Marker0", comments="")


def test_the_commands_of_the_page_end_in_a_report_and_pictures(tmp_path, command, monkeypatch):
    """In a folder with blanks and an umlaut, with one checkpoint file for the text states and for drawing."""
    folder, place = small_sd1(tmp_path), tmp_path / "EEG für Bilder"
    (place / "my recordings").mkdir(parents=True)
    for run in (1, 2, 3):
        write_muse(place / "my recordings" / f"run {run}.csv", run)
    write_single_file(folder, place / "model.safetensors")
    monkeypatch.chdir(place)
    section = (
        read("docs/training.md").partition("## Your own recordings")[2].partition("```sh\n")[2].partition("```")[0]
    )
    typed = [shlex.split(line, comments=True) for line in section.replace("\\\n", " ").splitlines()]
    typed = [words[1:] for words in typed if words]
    assert [words[0] for words in typed] == [f"trainer/{name}.py" for name in
                                             ("prepare", "train", "evaluate", "train", "generate")]  # fmt: skip
    # what a computer that is not online, and not fast, adds
    offline = {"--clip": ["--clip-config", folder], "--model": ["--config", folder, "--steps", 1]}
    told = []
    for script, *words in typed:
        more = [word for flag, added in offline.items() if flag in words for word in added]
        status, said = command(COMMANDS[script], *words, *more)
        assert status == 0, said
        told.append(said)
    assert "90 kept" in told[0]
    assert "tested on the last run of the person, run 3.csv: 30 trials. Choose it with --test-run" in told[1]
    assert json.loads(Path("runs/mine-encoder/options.json").read_text())["data"]["test"] == "run"
    accuracy = json.loads(Path("runs/mine-encoder/report.json").read_text())["scores"][0]
    assert (accuracy["name"], accuracy["value"] > 0.75) == ("accuracy", True)
    assert "3 windows of 3 moments" in told[4]
    assert "confidence:" in told[4]
    assert len(list(Path("pictures").iterdir())) == 3

    status, said = command(evaluate, "runs/mine-text", "--model", "model.safetensors", "--config", folder, "--steps", 1)
    assert status == 0, said
    page = Path("runs/mine-text/report.html").read_text(encoding="utf-8")
    assert page.count('<img class="picture') == 12 * 3
    assert "Pictures are not scored" in page


def test_a_person_who_is_left_out_tests_and_the_others_train(tmp_path, command):
    for person in (1, 2):
        write_runs(tmp_path / "own" / f"subject{person}", n_runs=2)
    assert command(prepare, "recordings", "--source", tmp_path / "own", "--out", tmp_path / "store")[0] == 0
    base = ("--preset", "n170", "--data", tmp_path / "store", "--out")
    status, told = command(train, *base, tmp_path / "run", "--test-subject", "2")
    assert status == 0, told
    assert "80 train, 0 val, 80 test trials" in told
    status, told = command(evaluate, tmp_path / "run")
    assert status == 0, told
    status, told = command(train, *base, tmp_path / "both")
    assert "tested on the last run of each person" in told
    assert "2 people's trials are pooled in one encoder (1, 2)" in told
    status, told = command(train, *base, tmp_path / "nobody", "--test-subject", "3")
    assert (status, told.splitlines()[-1]) == (2, "error: no trials of subject '3'; the store has 1, 2")


def test_what_is_not_finished_is_not_trained(tmp_path, command):
    source = write_runs(tmp_path / "own", n_runs=2)
    assert command(prepare, "recordings", "--source", source, "--out", tmp_path / "store")[0] == 0
    path = tmp_path / "store" / "store.json"
    path.write_text(path.read_text().replace('"finished": true', '"finished": false'))
    status, told = command(train, "--preset", "n170", "--data", tmp_path / "store", "--out", tmp_path / "run")
    assert status == 2
    assert "is not finished: 2 of 2 recordings are in it" in told
    assert not (tmp_path / "run").exists()


def test_one_label_is_said_in_words_and_not_trained(tmp_path, command):
    (tmp_path / "own").mkdir()
    save_recording(recording(["a"] * 30), tmp_path / "own" / "run1.safetensors")
    status, told = command(prepare, "recordings", "--source", tmp_path / "own", "--out", tmp_path / "store")
    assert status == 0
    assert "labels      a only: one label, so there is nothing to tell apart" in told
    assert "not measured: there is one label only, 'a', so nothing can be told apart" in told
    status, told = command(train, "--preset", "n170", "--data", tmp_path / "store", "--out", tmp_path / "run")
    assert status == 2
    assert "error: all 30 trials that train have one label, 'a': there is nothing to tell apart" in told
    assert not (tmp_path / "run").exists()


def test_flat_stretches_and_a_copied_recording_are_said_in_words(tmp_path, command):
    source = write_runs(tmp_path / "own", n_runs=2)
    shutil.copy(source / "run1.safetensors", source / "copy of run1.safetensors")
    whole = recording(random_labels(seed=5), seed=5)
    data = np.array(whole.data)
    data[:, data.shape[1] // 2 :] = data[:, data.shape[1] // 2, None]
    save_recording(replace(whole, data=data), source / "run3.safetensors")
    status, told = command(prepare, "recordings", "--source", source, "--out", tmp_path / "store")
    assert status == 0, told
    assert "run3.safetensors: flat from 27.5 to 55.0 s of 55.0 s in TP9, AF7, AF8, TP10: one value, no EEG" in told
    assert "same recording twice" in told.splitlines()[0]
    assert "The same EEG is in two recordings: copy_of_run1.safetensors and run1.safetensors" in told


def test_drawing_says_what_was_left_out_and_how_far_the_prompt_takes_over(tmp_path, command):
    folder = small_sd1(tmp_path)
    save_recording(noise_recording(), tmp_path / "noise.safetensors")
    save_encoder(small_encoder(), tmp_path / "encoder.safetensors")
    asked = (tmp_path / "noise.safetensors", "--encoder", tmp_path / "encoder.safetensors", "--model", folder)
    status, told = command(
        generate, *asked, "--steps", 1, "--time", 2, 11.95, "--init", "auto", "--text", "a cat", "--fallback",
        "--out", tmp_path / "pictures",
    )  # fmt: skip
    assert status == 0, told
    assert "1 of 2 moments left out: outside the recording" in told
    assert "--init auto: the encoder has no saliency or latent head, so pictures start from noise" in told
    assert re.search(r"fallback: \d+% of the picture comes from the prompt 'a cat' \(.+\)\n", told)
    assert len(list((tmp_path / "pictures").iterdir())) == 1
    with pytest.raises(ValueError, match="--fallback needs --text"):
        generate.GenerateOptions(asked[0], asked[2], str(folder), fallback=True)
