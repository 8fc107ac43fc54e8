"""A new protocol is one file and one registry row."""

import json

from tests.copied_tree import add_row, command, copied_trainer
from tests.people_store import people_store
from trainer.config.flags import with_flags
from trainer.config.presets import PRESETS
from trainer.train import train

TOY = '''"""Odd trials tested by even ones."""

from collections.abc import Iterator

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, fold_of, trials_of


def odd_and_even(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield both halves."""
    chosen = trials_of(trials, options)
    for name, rest in (("even", 0), ("odd", 1)):
        yield fold_of(name, trials, chosen, chosen % 2 == rest, options)
'''


def test_a_toy_protocol_is_one_file_and_one_row_for_all_three_commands(tmp_path):
    folder = copied_trainer(tmp_path / "copy")
    (folder / "trainer" / "protocols" / "odd_and_even.py").write_text(TOY)
    registry = folder / "trainer" / "protocols" / "registry.py"
    row = '        Protocol("odd-and-even", odd_and_even, "half", "halves"),\n'
    add_row(registry, '"session", "sessions"),\n', row, "from .odd_and_even import odd_and_even\n")
    store = people_store(tmp_path / "store", people=1, days=1).folder
    protocol = ("--protocol", "odd-and-even")
    command(folder, "cross_validate.py", "--data", store, "--out", tmp_path / "cv", *protocol)
    figures = json.loads((tmp_path / "cv" / "cross_validation.json").read_text())
    assert len(figures["auc_runs"]) == 2
    assert figures["auc_mean"] > 0.8
    assert "odd and even" in command(folder, "controls.py", store, *protocol)
    train(with_flags(PRESETS["n170"], data=store, out=tmp_path / "run", test_run="p0 day 0 run 1"))
    told = command(folder, "evaluate.py", tmp_path / "run", *protocol)
    assert "Folds: odd-and-even\nmean of 2 halves" in told
