"""prepare.py recordings: which files, whose, and what was shown, by events in the files or by a table."""

import csv
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from core.formats.contract.signals import ReadOptions
from core.formats.toolboxes.native import save_recording
from core.recording import Recording
from tests.recording_folders import SFREQ, recording, write_runs
from trainer import console
from trainer.datasets.recording_folder import find_recordings, person_and_session
from trainer.datasets.recordings import RecordingsOptions, preprocessing, sessions
from trainer.prepare import main, prepare, summary

# what was shown, in a table


def write_table(path: Path, rows: list[dict]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path


def trials_of(source: Path, out: Path, **options):
    return prepare("recordings", source, out, RecordingsOptions(**options), progress=False).trials()


def test_a_table_of_onsets_says_what_was_shown_to_whom(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=2)
    rows = [
        {
            "file": f"run{run}", "onset": 1.5 + 1.3 * i, "label": "cat" if i % 2 else "dog",
            "image": f"pictures/{i}.png", "caption": f"picture {i}", "subject": "anna", "session": "2",
            "split": "test" if i < 3 else "train",
        }
        for run in (1, 2)
        for i in range(10)
    ]  # fmt: skip
    trials = trials_of(source, tmp_path / "store", table=write_table(tmp_path / "shown.csv", rows))
    assert len(trials) == 20
    assert trials.labels == ("cat", "dog")
    assert trials.image_id[:2].tolist() == ["pictures/0.png", "pictures/1.png"]
    assert trials.caption[3] == "picture 3"
    assert set(trials.subject) == {"anna"}
    assert set(trials.session) == {"2"}
    assert (trials.split == "test").sum() == 6
    assert np.allclose(trials.onset[:10], [1.5 + 1.3 * i for i in range(10)])


def test_rows_of_recordings_that_were_not_asked_for_are_passed_over(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=2)
    rows = [{"file": f"run{run}", "onset": 1.5 + 1.3 * i, "label": "cat"} for run in (1, 2) for i in range(4)]
    table = write_table(tmp_path / "shown.csv", rows)
    assert len(trials_of(source, tmp_path / "store", table=table, files=("run2*",))) == 4
    with pytest.raises(ValueError, match=r"line 10: file 'run3' is no recording of the folder"):
        sessions(source, RecordingsOptions(table=write_table(table, [*rows, {**rows[0], "file": "run3"}])))


def test_what_could_not_be_read_is_listed_by_its_key_with_the_reason_alone(tmp_path):
    save_recording(recording(["a", "b"]), tmp_path / "mine" / "one.safetensors")
    (tmp_path / "mine" / "broken.edf").write_bytes(b"0       " + b"x" * 100)
    store = prepare(
        "recordings", tmp_path / "mine", tmp_path / "store", RecordingsOptions(), progress=False, skip_bad=True
    )
    (reason,) = store.info["failed"].values()
    assert list(store.info["failed"]) == ["broken.edf"]
    assert str(tmp_path) not in reason
    assert summary(store).splitlines()[0] == f"{tmp_path / 'store'}: recordings"


def test_a_table_without_onsets_follows_the_markers_in_order(tmp_path):
    save_recording(recording(["a", "b", "b", "a"]), tmp_path / "one.safetensors")
    write_table(tmp_path / "shown.csv", [{"label": label} for label in ("cup", "hat", "sun", "owl")])
    trials = trials_of(tmp_path, tmp_path / "store", table=Path("shown.csv"))
    assert [trials.labels[i] for i in trials.label] == ["cup", "hat", "sun", "owl"]
    assert np.allclose(trials.onset, [1.5, 2.8, 4.1, 5.4])


def test_markers_that_are_chosen_are_those_a_table_counts(tmp_path):
    save_recording(recording(["a", "pause", "b", "a"]), tmp_path / "one.safetensors")
    write_table(
        tmp_path / "shown.csv", [{"label": label, "marker": m} for label, m in (("x", "a"), ("y", "b"), ("x", "a"))]
    )
    with pytest.raises(ValueError, match=r"3 rows for one.safetensors, which has 4 markers.*--events"):
        trials_of(tmp_path, tmp_path / "s", table=tmp_path / "shown.csv")
    assert len(trials_of(tmp_path, tmp_path / "store", table=tmp_path / "shown.csv", events=("a|b",))) == 3


def test_tables_beside_the_recordings_are_each_their_own(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=2)
    for run, label in ((1, "one"), (2, "two")):
        write_table(source / f"run{run}_shown.tsv", [{"onset": "2.5", "trial_type": label, "duration": "0.1"}])
    trials = trials_of(source, tmp_path / "store", table=Path("shown.tsv"))
    assert [(trials.labels[i], run) for i, run in zip(trials.label, trials.run, strict=True)] == [
        ("one", "run1.safetensors"), ("two", "run2.safetensors"),
    ]  # fmt: skip
    (source / "run2_shown.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"run2.*no table 'shown.tsv' beside it"):
        trials_of(source, tmp_path / "again", table=Path("shown.tsv"))


WRONG = {
    "no label column": ("onset,what\n1,cat\n", "no column says what was shown; its columns are ['onset', 'what']"),
    "not a number": ("onset,label\n1,cat\nsoon,dog\n", "line 3: onset (seconds from the recording's start) is 'soon'"),
    "before the start": ("onset,label\n-1,cat\n", "not a number of at least 0"),
    "milliseconds": ("onset,label\n1500,cat\n2800,dog\n", "2 of 2 onsets lie after the recording's end"),
    "unknown file": ("file,onset,label\nrun7,1,cat\n", "line 2: file 'run7' is no recording of the folder (run1"),
    "no file column": ("onset,label\n1,cat\n", "2 recordings but no column `file`"),
    "ragged": ("file,onset,label\nrun1,1,cat,x\n", "line 2 has 4 cells, the header has 3"),
    "unknown split": ("file,onset,label,split\nrun1,1,cat,maybe\n", "line 2: split 'maybe'"),
    "twice": ("label,label\na,b\n", "columns ['label'] occur more than once"),
    "header only": ("onset,label\n", "a line of column names and rows below it"),
    "out of step": ("file,marker,label\n" + "run1,b,cat\n" * 40, "rows and markers are out of step"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_is_one_line_that_names_the_row_and_writes_nothing(case, tmp_path, monkeypatch, capsys):
    text, says = WRONG[case]
    one = case in ("not a number", "before the start", "milliseconds")
    source = write_runs(tmp_path / "mine", n_runs=1 if one else 2)
    (tmp_path / "shown.csv").write_text(text)
    arguments = ["recordings", "--source", source, "--table", tmp_path / "shown.csv", "--out", tmp_path / "store"]
    monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        console.run(main)
    assert left.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert says in lines[0]
    assert not (tmp_path / "store").exists()


def test_a_row_without_a_label_is_left_out_and_told(tmp_path):
    save_recording(recording(["a"] * 3), tmp_path / "one.safetensors")
    write_table(tmp_path / "shown.csv", [{"onset": 1.5, "label": "cat"}, {"onset": 2.8, "label": "n/a"}])
    store = prepare("recordings", tmp_path, tmp_path / "s", RecordingsOptions(table=Path("shown.csv")), progress=False)
    assert len(store) == 1
    assert dict(store.rejected()) == {"no label in the table": 1}


def test_a_changed_table_does_not_pass_for_the_old_one(tmp_path):
    save_recording(recording(["a"] * 3), tmp_path / "one.safetensors")
    table = write_table(tmp_path / "shown.csv", [{"onset": 1.5, "label": "cat"}])
    trials_of(tmp_path, tmp_path / "store", table=table)
    write_table(tmp_path / "shown.csv", [{"onset": 1.5, "label": "dog"}])
    # the store beside the recordings is none of them
    assert find_recordings(tmp_path, tables=[table]).passed_over == {}
    with pytest.raises(ValueError, match="choose another --out"):
        trials_of(tmp_path, tmp_path / "store", table=table)


# which files, whose, and how they are read


def test_companions_tables_and_notes_are_no_recordings_but_a_damaged_one_is(tmp_path):
    for name in ("a.vhdr", "a.vmrk", "a.eeg", "b.set", "b.fdt", "damaged.edf", "readme.txt", "people.tsv", "shown.csv"):
        (tmp_path / name).write_text("label,onset\n")
    save_recording(recording(["a"]), tmp_path / "good.safetensors")
    (tmp_path / ".hidden.edf").write_text("")
    found = find_recordings(tmp_path, tables=[tmp_path / "shown.csv"])
    assert list(found.recordings) == ["a.vhdr", "b.set", "damaged.edf", "good.safetensors"]
    assert found.passed_over["a.eeg"] == "belongs to a.vhdr"
    assert "not recognised" in found.passed_over["people.tsv"]
    assert list(find_recordings(tmp_path, ["good*"]).recordings) == ["good.safetensors"]


def test_in_bids_names_say_what_is_a_recording(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    eeg = tmp_path / "sub-01" / "ses-2" / "eeg"
    eeg.mkdir(parents=True)
    for name in ("sub-01_ses-2_task-see_eeg.edf", "sub-01_ses-2_task-see_events.tsv", "sub-01_ses-2_task-see_eeg.json"):
        (eeg / name).write_text("x")
    (tmp_path / "derivatives" / "sub-01").mkdir(parents=True)
    (tmp_path / "derivatives" / "sub-01" / "sub-01_task-see_eeg.edf").write_text("x")
    found = find_recordings(tmp_path)
    assert list(found.recordings) == ["sub-01/ses-2/eeg/sub-01_ses-2_task-see_eeg.edf"]
    assert found.passed_over == {}


@pytest.mark.parametrize(
    ("below", "who"),
    [
        ("sub-07/ses-2/eeg/sub-07_ses-2_task-x_eeg.vhdr", ("07", "2")),
        ("subject11_session1_recording.csv", ("11", "1")),
        ("anna/monday.edf", ("anna", "")),
        ("subway.edf", ("", "")),
        ("session3.edf", ("", "3")),
    ],
)
def test_names_say_who_and_which_session(below, who):
    assert person_and_session(below) == who


@pytest.mark.parametrize("command", ["prepare", "generate", "describe"])
def test_every_read_option_has_a_flag_in_every_command(command, capsys):
    import tyro

    from trainer.describe import DescribeOptions
    from trainer.generate import GenerateOptions
    from trainer.prepare import parse

    text = {field.name: "x" for field in fields(ReadOptions)} | {"sfreq": "250", "channels": "map.json"}
    flags = [part for name, value in text.items() for part in (f"--{name}", value)]
    if command == "prepare":
        said = parse(["recordings", "--out", "o", *flags])[2]
    elif command == "describe":
        said = tyro.cli(DescribeOptions, args=["f.edf", *flags]).reading
    else:
        said = tyro.cli(GenerateOptions, args=["f.edf", "--encoder", "e", "--model", "m", *flags]).reading
    for name, value in text.items():
        seen = getattr(said, name)
        assert seen in (value, (value,), 250.0), name


def test_channels_may_be_a_file_names_or_pairs(tmp_path):
    from trainer.config.reading_options import ReadingOptions, read_arguments

    assert read_arguments(ReadingOptions(channels="map.json"))["channels"] == "map.json"
    assert read_arguments(ReadingOptions(channels="Fp1,Fp2"))["channels"] == ["Fp1", "Fp2"]
    assert read_arguments(ReadingOptions(channels="EXG1:Oz"))["channels"] == {"EXG1": "Oz"}
    assert set(read_arguments(ReadingOptions())) == {field.name for field in fields(ReadOptions)}


def test_the_windows_rate_and_headset_are_not_the_files(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=1)
    config = preprocessing(source, RecordingsOptions(to_sfreq=100.0, to_montage="muse-4"))
    assert (config.sfreq, config.ch_names) == (100.0, ("TP9", "AF7", "AF8", "TP10"))
    with pytest.raises(ValueError, match="--to-montage can be"):
        preprocessing(source, RecordingsOptions(to_montage="hat"))
    with pytest.raises(ValueError, match="leave out --events and --table"):
        RecordingsOptions(every=1.0, table=Path("x.csv"))


def test_an_event_that_one_recording_lacks_does_not_stop_the_others(tmp_path):
    save_recording(recording(["a", "b"]), tmp_path / "one.safetensors")
    save_recording(recording(["a", "a"]), tmp_path / "two.safetensors")
    made = sessions(tmp_path, RecordingsOptions(events=("a=x", "b=y")))
    assert [[row["label"] for row in session.load()[1]] for session in made] == [["x", "y"], ["x", "x"]]
    with pytest.raises(ValueError, match=r"--events.*there are a x 2"):
        sessions(tmp_path, RecordingsOptions(events=("c", "d"), files=("two*",)))[0].load()


def test_events_are_what_the_report_counts_where_there_is_no_table(tmp_path):
    one = Recording(np.random.default_rng(0).standard_normal((4, 3000)) * 1e-5, SFREQ, ("TP9", "AF7", "AF8", "TP10"))
    save_recording(one, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="has no events"):
        sessions(tmp_path, RecordingsOptions())[0].load()


def test_a_store_of_another_source_or_other_options_says_what_differs(tmp_path):
    one, two = write_runs(tmp_path / "one", n_runs=2), write_runs(tmp_path / "two", n_runs=1)
    prepare("recordings", one, tmp_path / "store", RecordingsOptions(), progress=False)
    with pytest.raises(ValueError, match=r"holds recordings that .*two does not have \(run2.safetensors\)"):
        prepare("recordings", two, tmp_path / "store", RecordingsOptions(), progress=False)
    with pytest.raises(ValueError, match=r"other preprocessing \(tmax: 0.8 there, 0.7 now\)"):
        prepare("recordings", one, tmp_path / "store", RecordingsOptions(tmax=0.7), progress=False)
    with pytest.raises(ValueError, match=r"\(options: reject_uv None there, 90.0 now\)|\(reject_uv: None there"):
        prepare("recordings", one, tmp_path / "store", RecordingsOptions(reject_uv=90.0), progress=False)
    one.rename(tmp_path / "moved")
    assert len(prepare("recordings", tmp_path / "moved", tmp_path / "store", RecordingsOptions(), progress=False)) == 80


def test_a_recording_without_the_chosen_events_is_left_out_named_and_counted(tmp_path):
    source = write_runs(tmp_path / "mine", n_runs=2)
    save_recording(recording(["rest"] * 4), source / "eyes closed.safetensors")
    motion = "Timestamp,MOT.Q0,MOT.AccX,MOT.AccY\n" + "".join(f"{1.5e9 + i / 64:.3f},0.1,0.2,0.3\n" for i in range(200))
    (source / "walk.mc.csv").write_text(
        f"title:walk, start timestamp:1, headset type:EPOCX, headset serial:1, sampling rate:mot_64\n{motion}"
    )
    store = prepare("recordings", source, tmp_path / "store", RecordingsOptions(events=("a", "b")), progress=False)
    assert sorted(store.info["sessions"]) == ["run1.safetensors", "run2.safetensors"]
    told = summary(store)
    assert "recordings  2, 2 left out" in told
    assert "left out    walk.mc.csv: only motion" in told
    assert "left out    eyes_closed.safetensors:" in told
    assert "rest x 4" in told
