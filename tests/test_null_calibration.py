"""The short form of benchmarks/null_calibration.py: on noise p is seldom small, and intervals hold the truth."""

import json
import sys

import pytest

from benchmarks import null_calibration
from benchmarks.null_calibration import KINDS, experiments_of


@pytest.mark.parametrize(
    ("kind", "n"),
    [("one split, recurring pictures", 16), ("2 runs", 8), ("retrieval, recurring pictures", 60),
     ("accuracy 0.97", 40), ("accuracy 0.02", 20)],
)  # fmt: skip
def test_where_nothing_is_found_p_is_seldom_small_and_intervals_hold_the_truth(kind, n):
    for row in experiments_of(kind, n, seed=3).values():
        assert row["coverage"] > 0.79
        if "p05" in row:
            assert row["p05"] < 0.21
            assert row["p01"] < 0.13


def test_the_benchmark_ends_in_one_json_object(monkeypatch, capsys, tmp_path):
    out = tmp_path / "figures.json"
    argv = ["null_calibration.py", "--kinds", "retrieval", "--experiments", "3", "--seed", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", argv)
    null_calibration.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert set(found) >= {"p05", "p01", "coverage"}
    assert set(found["coverage"]) == {"retrieval top-1", "retrieval top-5"}


def test_every_kind_of_the_designs_is_there():
    told = {"one split", "2 runs", "3 runs", "6 runs", "personal", "recurring pictures", "6 people", "blocks"}
    assert told <= set(KINDS)
