"""The report: one self-contained page, honest in its first line, written whole or not at all."""

import base64
import io
import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from core.leaks.check import Check
from tests.html_reader import Reader
from trainer.reports import run_report as report_module
from trainer.reports.charts import attribute_bars, confusion_table, nice_ticks, number, training_curve
from trainer.reports.run_report import plain, write_report

PASSED = Check("test pictures", True, 0.0, "None of the 5 test pictures was shown in training.")
FAILED = Check("class against recording block", False, 1.0, "Class = recording block: nested.")
OPEN = Check("class against time", None, None, "Times are not known.")


def score(**changed):
    row = {
        "name": "200-way top-1",
        "value": np.float32(0.4),
        "interval": [0.3, 0.5],
        "chance": 0.005,
        "baselines": {"train mean": 0.005, "shuffled EEG": 0.006},
        "p_value": 0.001,
        "ceiling": 0.6,
        "n": 200,
        "note": "",
    }
    return row | changed


def full_report(**changed):
    report = {
        "title": "an encoder",
        "simulated": True,
        "checks": [PASSED],
        "scores": [score(), score(name="SSIM", value=0.2, p_value=0.4, ceiling=None, baselines={"train mean": 0.3})],
        "sections": [
            {"title": "Judge", "attributes": {"shape": {"EEG": 0.6, "caption": 0.9, "chance": 1 / 6}}},
            {"title": "Confusion", "confusion": {"labels": ["a", "b"], "counts": np.array([[3, 1], [0, 4]])}},
            {"title": "Spread", "table": {"before": 0.5, "chance": None, "nested": {"torch": "2.1"}}},
            {"title": "Runs", "table": [{"run": "1", "auc": 0.7}, {"run": "2", "auc": float("nan")}]},
        ],
        "curve": [{"epoch": e, "train_loss": 1 / e, "val_loss": 1 / e + 0.1} for e in range(1, 9)],
        "provenance": {"seed": 0, "licence": "", "versions": {"torch": "2.1"}},
    }
    return report | changed


def pictures_of(n=3, size=16):
    seen = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))
    captions = [f"picture {i}" for i in range(n)]
    return {"captions": captions, "seen": seen, "decoded": seen / 2, "nearest": seen, "nearest captions": captions}


def read(folder):
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_loads_nothing(tmp_path):
    write_report(tmp_path, full_report(), pictures_of())
    found = read(tmp_path)
    assert not found.faults
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    sources = [attrs["src"] for tag, attrs in found.tags if tag == "img"]
    assert len(sources) == 9
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_every_picture_and_table_can_be_read_aloud(tmp_path):
    write_report(tmp_path, full_report(), pictures_of())
    found = read(tmp_path)
    alts = [attrs.get("alt", "") for tag, attrs in found.tags if tag == "img"]
    assert "seen: picture 0" in alts
    assert "nearest: picture 2" in alts
    assert all(alts)
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in found.tags if tag == "th")
    assert dict(found.tags[0][1])["lang"] == "en"


@pytest.mark.parametrize(
    ("checks", "first"),
    [
        ([PASSED, OPEN], "Leak checks: 0 failed, 1 passed, 1 could not be checked."),
        (
            [PASSED, FAILED],
            "LEAK CHECKS: 1 failed (class against recording block), 1 passed, 0 could not be checked: "
            "the score is a leak, not vision.",
        ),
        (
            [FAILED, FAILED],
            "LEAK CHECKS: 2 failed (class against recording block; class against recording block), 0 passed, "
            "0 could not be checked: the score is a leak, not vision.",
        ),
        ([], "Leak checks: none was made, so nothing speaks against a leak."),
    ],
)
def test_the_first_line_says_whether_a_leak_check_failed(tmp_path, checks, first):
    write_report(tmp_path, full_report(checks=checks))
    words = read(tmp_path).words
    assert words[1] == first
    assert (FAILED.sentence in words[:6]) == (FAILED in checks)


def test_both_files_begin_with_the_verdict(tmp_path):
    write_report(tmp_path, full_report(checks=[FAILED]))
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert next(iter(told)) == "verdict"
    assert told["verdict"] == read(tmp_path).words[1]
    assert told["verdict"].startswith("LEAK CHECKS: 1 failed (class against recording block), 0 passed")


def test_a_leak_that_gives_no_score_above_chance_is_said_to_show_nothing(tmp_path):
    write_report(tmp_path, full_report(checks=[FAILED], scores=[score(p_value=0.4, interval=[0.004, 0.006])]))
    assert read(tmp_path).words[1].endswith("no score is above chance; one that is would not show vision.")


def test_a_check_that_could_not_be_made_is_not_called_passed(tmp_path):
    write_report(tmp_path, full_report(checks=[PASSED, OPEN]))
    words = read(tmp_path).words
    assert words[1].endswith("1 passed, 1 could not be checked.")
    assert "not checked" in words


@pytest.mark.parametrize("simulated", [True, False])
def test_the_phantom_is_named_before_its_figures(tmp_path, simulated):
    write_report(tmp_path, full_report(simulated=simulated))
    words = read(tmp_path).words
    banner = "Phantom: simulated EEG, not brain data."
    assert (banner in words) == simulated
    if simulated:
        assert words.index(banner) < words.index("0.400")


def test_a_score_stands_beside_its_baselines(tmp_path):
    write_report(tmp_path, full_report(scores=[score()]))
    words = read(tmp_path).words
    start = words.index("200 trials")
    assert words[start + 1 : start + 8] == ["0.400", "0.300 to 0.500", "0.005", "0.005", "0.006", "0.600", "0.001"]


def test_a_score_at_chance_or_below_the_mean_says_so(tmp_path):
    write_report(tmp_path, full_report())
    words = read(tmp_path).words
    assert words.count("not above chance") == 1
    assert words.count("below the train mean") == 1


def test_what_comes_from_outside_is_escaped(tmp_path):
    evil = '<img src=x onerror=alert(1)>"&'
    hostile = full_report(
        title=evil,
        scores=[score(name=evil, note=evil, baselines={evil: 0.1})],
        checks=[Check(evil, False, None, evil)],
        sections=[
            {"title": evil, "text": evil, "table": {evil: evil}},
            {"title": evil, "attributes": {evil: {evil: 0.1}}, "table": [{evil: evil}]},
            {"title": evil, "confusion": {"labels": [evil], "counts": [[1]]}},
        ],
        provenance={evil: {evil: [evil]}},
    )
    pictures = pictures_of(1)
    write_report(tmp_path, hostile, {"captions": [evil], evil: pictures["seen"], f"{evil} captions": [evil]})
    found = read(tmp_path)
    assert not found.faults
    assert [attrs["alt"] for tag, attrs in found.tags if tag == "img"] == [f"{evil}: {evil}"]
    assert not any("onerror" in attrs for _, attrs in found.tags)


def test_pictures_survive_the_page_exactly(tmp_path):
    stack = torch.randint(256, (1, 3, 12, 20), generator=torch.Generator().manual_seed(1))
    write_report(
        tmp_path, full_report(), {"seen": stack / 255, "decoded": stack.permute(0, 2, 3, 1).numpy().astype(np.uint8)}
    )
    for tag, attrs in read(tmp_path).tags:
        if tag == "img":
            image = Image.open(io.BytesIO(base64.b64decode(attrs["src"].split(",")[1])))
            assert np.array_equal(np.asarray(image), stack[0].permute(1, 2, 0).numpy())


def test_large_pictures_are_shrunk(tmp_path):
    write_report(tmp_path, full_report(), {"seen": torch.rand(1, 3, 600, 400)})
    source = next(attrs["src"] for tag, attrs in read(tmp_path).tags if tag == "img")
    assert Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).size == (171, 256)


def test_report_json_holds_the_figures_as_plain_numbers(tmp_path):
    write_report(tmp_path, full_report(checks=[FAILED]))
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert found["scores"][0]["value"] == pytest.approx(0.4)
    assert found["checks"][0] == {"name": FAILED.name, "passed": False, "figure": 1.0, "sentence": FAILED.sentence}
    assert found["sections"][1]["confusion"]["counts"] == [[3, 1], [0, 4]]
    assert found["sections"][3]["table"][1]["auc"] is None


def test_plain_knows_numpy_torch_and_dataclasses():
    @dataclass
    class Thing:
        value: np.float64

    found = plain(
        {"a": Thing(np.float64(1)), "b": torch.tensor([1.5]), "c": np.bool_(True), 3: float("inf"), "d": (1,)}
    )
    assert found == {"a": {"value": 1.0}, "b": [1.5], "c": True, "3": None, "d": [1]}
    assert json.dumps(found)


def test_a_report_with_a_title_only_is_a_page(tmp_path):
    write_report(tmp_path, {"title": "empty"})
    assert not read(tmp_path).faults
    with pytest.raises(ValueError, match="title"):
        write_report(tmp_path, {"scores": []})


def test_a_failure_leaves_the_old_report(tmp_path, monkeypatch):
    write_report(tmp_path, {"title": "old"})
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(ValueError, match="one picture a trial"):
        write_report(tmp_path, {"title": "new"}, {"seen": torch.rand(2, 3, 8, 8), "decoded": torch.rand(3, 3, 8, 8)})
    with pytest.raises(ValueError, match="must be"):
        write_report(tmp_path, {"title": "new"}, {"seen": torch.rand(2, 8, 8)})
    monkeypatch.setattr(report_module.Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, {"title": "new"})
    assert (tmp_path / "report.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_figures_are_written_plainly():
    shown = [number(v) for v in (None, 0.12345, -0.5, 0.0001, 12.34, 1234.5, 7)]
    assert shown == ["–", "0.123", "−0.500", "0.0001", "12.3", "1234", "7"]


def test_ticks_are_round_and_inside():
    assert nice_ticks(0.31, 1.16) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(1, 60, 5) == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    assert nice_ticks(2.0, 2.0) == [2.0]


def test_charts_hold_their_figures():
    assert "width:60.0%" in attribute_bars({"shape": {"EEG": 0.6, "chance": 0.25}})
    assert "--share:0.750" in confusion_table(["a", "b"], [[3, 1], [0, 0]])
    assert "lowest, 0.500, at epoch 2" in training_curve([{"epoch": 1, "val_loss": 0.6}, {"epoch": 2, "val_loss": 0.5}])
    assert training_curve([{"epoch": 1, "train_loss": 0.6}]) == ""
    assert training_curve([]) == ""
