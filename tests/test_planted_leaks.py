"""A few leaks of benchmarks/planted_leaks.py, through the commands' own mains, and honest experiments beside them."""

import numpy as np
import pytest

from benchmarks.leak_designs.honest import honest
from benchmarks.leak_designs.outside import ALL as LEAKS
from benchmarks.planted_leaks import alarms_of, first_lines, names
from core.leaks.registry import CHECKS


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("recording twice, resampled", ["prepare", "cross_validate"]),
        ("answer before the picture", ["prepare", "train", "evaluate", "hosts"]),
        ("pictures under two names, disguised", ["train", "controls"]),
        ("test pictures trained on, three", ["prepare"]),
    ],
)
def test_a_planted_leak_is_named_in_the_first_line(name, commands, tmp_path, monkeypatch):
    from trainer import controls, cross_validate
    from trainer.quality import decodability

    for module in (controls, cross_validate, decodability):
        if hasattr(module, "PERMUTATIONS"):
            monkeypatch.setattr(module, "PERMUTATIONS", 50)
    lines = first_lines(LEAKS[name], np.random.default_rng(0), tmp_path, commands)
    assert set(lines) == set(commands)
    for command, line in lines.items():
        assert names(line, LEAKS[name].named), (command, line)


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_experiment_raises_no_alarm(seed):
    assert alarms_of(honest(seed)) == []


def test_every_planted_leak_names_checks_that_there_are():
    assert {check for leak in LEAKS.values() for check in leak.named} <= set(CHECKS)
