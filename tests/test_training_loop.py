"""What the loop hands on, what the loss trains, and what is kept for other trainings."""

import math
import multiprocessing
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.files import write_atomically
from core.model.heads import Head, HeadConfig
from tests.small_trials import CONFIG, class_trials
from trainer.config.options import train_options
from trainer.losses.objective import TEMPERATURE_RANGE, Objective
from trainer.targets.frozen_targets import load_targets
from trainer.training.build import build_for
from trainer.training.loop import train_loop
from trainer.training.splits import split_trials, subject_numbers


@pytest.mark.parametrize("where", [0, 1])
def test_a_temperature_beyond_its_clamp_finds_back(where):
    torch.manual_seed(0)
    head = Head(HeadConfig("clip-l.image", "linear"), 1, 4)
    objective = Objective("infonce", temperature=TEMPERATURE_RANGE[where])
    beyond = math.log(TEMPERATURE_RANGE[where]) + (0.5 if where else -0.5)
    objective.log_temperature.data.fill_(beyond)
    assert objective.temperature.item() == pytest.approx(TEMPERATURE_RANGE[where])
    # Right answers want it lower, wrong ones higher: whichever leads back into the range.
    target = torch.randn(6, 768)
    predicted = target if where else target.roll(1, 0)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.02)
    for _ in range(5):
        optimiser.zero_grad()
        objective(head, predicted, target, torch.arange(6)).backward()
        assert objective.log_temperature.grad != 0
        optimiser.step()
        objective.keep_in_range()
    low, high = TEMPERATURE_RANGE
    assert low < objective.temperature < high


def test_the_loop_says_who_a_row_is_of_in_training_and_on_known_people_only(tmp_path, monkeypatch):
    trials = class_trials(2, pictures=4)
    half = np.where(np.arange(len(trials)) % 2, "Zoe", "Ann")
    trials = replace(trials, subject=np.where(trials.split == "val", "Bo", half))
    options = train_options(
        space=("prompts",), set=("kernel=5", "pool=5", "n_filters=2"), epochs=1, batch=8, average="none"
    )
    parts = split_trials(trials, options)
    encoder = build_for(trials, parts["train"], CONFIG, options, {})
    seen: list[tuple[bool, list[int] | None]] = []
    forward = type(encoder.backbone).forward

    def watched(self, eeg, subject=None):
        seen.append((self.training, None if subject is None else subject.tolist()))
        return forward(self, eeg, subject)

    monkeypatch.setattr(type(encoder.backbone), "forward", watched)
    train_loop(encoder, trials, parts, {}, options, tmp_path)
    trained = [who for training, who in seen if training and who is not None]
    assert {number for who in trained for number in who} == {0, 1}
    assert sum(map(len, trained)) >= len(parts["train"]) // 8 * 8
    assert [who for training, who in seen if not training][-1] is None  # a person that training does not know
    rows = parts["train"][:4]
    assert subject_numbers(trials, rows, ("Ann", "Zoe")).tolist() == [
        int(name == "Zoe") for name in trials.subject[rows]
    ]
    assert subject_numbers(trials, rows, ("",)) is None


def test_threads_that_write_one_path_leave_one_whole_file(tmp_path):
    path, failed = tmp_path / "ein Name.txt", []

    def write(letter):
        try:
            for _ in range(30):
                with write_atomically(path) as beside:
                    beside.write_text(letter * 20_000)
        except Exception as error:  # a thread's own are lost
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(path.read_text())) == 1
    assert len(path.read_text()) == 20_000
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def half_written(path):
    """Write half a file and die."""
    import os
    import signal

    with write_atomically(path) as beside:
        beside.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_writer_that_is_killed_leaves_the_old_file_and_the_next_one_clears_up(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    process = multiprocessing.get_context("forkserver").Process(target=half_written, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert path.read_text() == "old"
    assert len(list(tmp_path.glob(".kept.txt.*.part"))) == 1
    with write_atomically(path) as beside:
        beside.write_text("new")
    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["picture", "saliency"])
def test_a_replaced_picture_has_another_target(kind, tmp_path):
    import os

    from PIL import Image

    images, cache = tmp_path / "images", tmp_path / "cache"
    images.mkdir()

    def target(colour):
        picture = np.full((64, 64, 3), colour, np.uint8)
        picture[:32, :32] = 255 - colour
        Image.fromarray(picture).save(images / "one.png")
        os.utime(images / "one.png", (1e9, 1e9))  # a copy may bring its time along
        return load_targets("saliency", "", ["one"], cache=cache, images=images, size=64, saliency=kind)[0]

    first, second, again = target(10), target(90), target(10)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
