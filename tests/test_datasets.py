"""The data sets: what was shown when, and that the windows lie there."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.montage import MONTAGES
from core.recording import Event, Recording
from trainer.datasets import DATASETS, braincoder, n170, phantom, recordings
from trainer.datasets.braincoder_timing import Clock, Interval, check_intervals, read_clock

EPOC = MONTAGES["epoc-14"]
START_S = 1_700_003_000.25  # inside what the test's header can express


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_names_itself_and_has_plain_options(name):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.description
    json.dumps(dataset.options().__dict__, default=str)


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.needs_source])
def test_a_missing_folder_is_an_error_that_says_what_is_wanted(name, tmp_path):
    dataset = DATASETS[name]
    with pytest.raises(FileNotFoundError, match="--source must be"):
        dataset.sessions(tmp_path / "absent", dataset.options())
    with pytest.raises(FileNotFoundError, match="no file"):
        dataset.sessions(tmp_path, dataset.options())


# phantom


def test_every_scene_is_shown_as_often_as_asked():
    shown = Counter(pair for run in phantom.presentations(phantom.PhantomOptions()) for pair in run)
    by_split = {split: [n for (_, s), n in shown.items() if s == split] for split in ("train", "val", "test")}
    assert by_split == {"train": [4] * 600, "val": [8] * 64, "test": [8] * 200}


def test_splits_are_interleaved_in_every_run():
    for run in phantom.presentations(phantom.PhantomOptions()):
        kinds = [split for _, split in run]
        counts = Counter(kinds)
        assert counts["train"] > counts["test"] > counts["val"] > 0
        halves = kinds[: len(kinds) // 2], kinds[len(kinds) // 2 :]
        assert all({"train", "val", "test"} == set(half) for half in halves)


def test_repeats_of_a_scene_spread_over_runs():
    runs = phantom.presentations(phantom.PhantomOptions())
    where: dict = {}
    for number, run in enumerate(runs):
        for scene, split in run:
            if split == "test":
                where.setdefault(scene, set()).add(number)
    assert np.mean([len(runs) for runs in where.values()]) > 5


def small(**more):
    return phantom.PhantomOptions(
        **{"montage": "muse-4", "train_scenes": 6, "val_scenes": 2, "test_scenes": 3, "scenes_per_run": 40, **more}
    )


def test_rows_follow_the_simulation():
    session = phantom.sessions(None, small())[0]
    recording, rows = session.load()
    assert [row["onset"] for row in rows] == [event.onset for event in recording.events]
    assert [row["image_id"] for row in rows] == [event.label for event in recording.events]
    assert rows[0]["caption"].startswith("a ")
    assert {row["run"] for row in rows} == {"run-001"}


def test_runs_differ_in_noise_and_repeat_exactly():
    first, second = phantom.sessions(None, small(scenes_per_run=20))[:2]
    a, again, b = first.load()[0].data, first.load()[0].data, second.load()[0].data
    assert np.array_equal(a, again)
    assert abs(np.corrcoef(a[0][:1000], b[0][:1000])[0, 1]) < 0.5


def test_the_simulation_can_be_rebuilt_from_the_provenance():
    options = small(snr=0.3, subject=4)
    stored = json.loads(json.dumps(phantom.provenance(None, options)))
    assert phantom.brain_config(stored) == options.brain()
    assert stored["simulated"] is True
    with pytest.raises(ValueError, match="n170"):
        phantom.brain_config({"dataset": "n170"})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"train_repeats": -1}, "--train-repeats"),
        ({"scenes_per_run": 0}, "--scenes-per-run"),
        ({"montage": "none-9"}, "epoc-14"),
        ({"snr": -1.0}, "snr"),
    ],
)
def test_wrong_phantom_options_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        small(**wrong)


def test_more_scenes_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="64 val scenes"):
        phantom.presentations(small(val_scenes=65))


# n170


def write_muse(path, n=1280, every=160, labels=("1", "2")):
    """Write a muse-lsl CSV of noise in which a marked sample of TP9 stands 300 uV high."""
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["timestamps", "TP9", "AF7", "AF8", "TP10", "Right AUX", "Marker0"])
        for i in range(n):
            marker = labels[i // every % 2] if i % every == every // 2 else 0
            values = 10 * rng.standard_normal(5)
            out.writerow([f"{1000 + i / 256:.3f}", *(f"{v:.3f}" for v in values), marker])


def test_markers_become_houses_and_faces(tmp_path):
    write_muse(tmp_path / "subject3_session2_a.csv")
    session = n170.sessions(tmp_path, n170.N170Options())[0]
    _, rows = session.load()
    assert [row["label"] for row in rows][:3] == ["house", "face", "house"]
    assert rows[1]["caption"] == "a photograph of a face"
    assert (rows[0]["subject"], rows[0]["session"], rows[0]["run"]) == ("3", "2", "subject3_session2_a")
    assert rows[0]["onset"] == pytest.approx(80 / 256)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_one_person_needs_no_option_and_several_are_asked_for(tmp_path):
    touch(tmp_path, "subject2_session1_a.csv", "subject2_session1_b.csv.gz")
    assert [run.subject for run in n170.runs_of(tmp_path, None)] == [2, 2]
    touch(tmp_path, "subject1_session1_a.csv")
    with pytest.raises(ValueError, match=r"several people: subject 1 \(session 1: 1 run\); subject 2 .*--subject 1"):
        n170.runs_of(tmp_path, None)
    assert len(n170.runs_of(tmp_path, 2)) == 2
    assert len(n170.runs_of(tmp_path, "all")) == 3
    with pytest.raises(ValueError, match=r"no recording of subject 7; it has subject 1 \("):
        n170.runs_of(tmp_path, 7)


LAYOUTS = {
    "as published first": ("data/visual/N170/subject{}/session{}/data_2017-09-13.csv", "data/visual/P300"),
    "as published later": ("visual-N170/eegnb_examples/muse2016/subject{:04}/session{:03}/recording_2018.csv", "other"),
    "in one folder": ("subject{}_session{}_data_2017.csv.gz", None),
    "a name in both": ("subject{}/session{}/subject{}_session{}_recording.csv.csv", None),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_public_repositorys_folders_say_whose_a_run_is(tmp_path, layout):
    form, other = LAYOUTS[layout]
    shown = [(1, 1), (1, 2), (11, 1)]
    touch(tmp_path, *(form.format(*pair, *pair) for pair in shown))
    if other:
        touch(tmp_path, f"{other}/subject1/session1/data_2017-09-13.csv")
    runs = n170.runs_of(tmp_path, "all")
    assert [(run.subject, run.session) for run in runs] == [(1, "1"), (1, "2"), (11, "1")]
    assert len({run.name for run in runs}) == 3
    assert n170.told(tmp_path, n170.N170Options(subject=1)) == (
        "found subject 1 (session 1: 1 run, session 2: 1 run); subject 11 (session 1: 1 run); "
        "taken: subject 1 (session 1: 1 run, session 2: 1 run)"
    )
    assert len({session.key for session in n170.sessions(tmp_path, n170.N170Options(subject=1))}) == 2
    one = next(iter(tmp_path.rglob("subject1"))) if "published first" in layout else tmp_path
    assert {run.subject for run in n170.runs_of(one, 1)} == {1}


def test_a_session_may_be_called_otherwise(tmp_path):
    touch(tmp_path, "subject2/test/data_a.csv", "subject2/session1/data_a.csv", "subject2_test_data_b.csv")
    runs = n170.runs_of(tmp_path, None)
    assert [(run.session, run.name) for run in runs] == [
        ("1", "subject2_session1_data_a"), ("test", "subject2_test_data_a"), ("test", "subject2_test_data_b"),
    ]  # fmt: skip


def test_a_folder_without_subject_names_is_one_person(tmp_path):
    touch(tmp_path, "a.csv", "b.csv")
    assert [run.path.name for run in n170.runs_of(tmp_path, None)] == ["a.csv", "b.csv"]


def test_a_run_packed_and_unpacked_counts_once(tmp_path):
    for name in ("subject1_session1_a.csv", "subject1_session1_a.csv.gz"):
        (tmp_path / name).write_bytes(b"")
    assert len(n170.sessions(tmp_path, n170.N170Options())) == 1


def test_other_markers_are_an_error(tmp_path):
    write_muse(tmp_path / "subject1_session1_a.csv", labels=("7", "8"))
    with pytest.raises(ValueError, match="marker 1"):
        n170.sessions(tmp_path, n170.N170Options())[0].load()


def test_the_control_window_ends_where_the_picture_appears():
    response = n170.preprocessing(None, n170.N170Options())
    control = n170.preprocessing(None, n170.N170Options(window="prestimulus"))
    assert control.tmax <= 0
    assert control.n_times == response.n_times == 230


def test_subject_one_has_six_runs_of_both_classes(shared_data):
    sessions = n170.sessions(shared_data / "n170_muse", n170.N170Options(subject=1))
    assert len(sessions) == 6
    recording, rows = sessions[0].load()
    assert recording.sfreq == 256
    counts = Counter(row["label"] for row in rows)
    assert min(counts["house"], counts["face"]) > 80
    stored = n170.provenance(shared_data / "n170_muse", n170.N170Options(subject=1))
    assert "BSD" in stored["licence"]
    assert "Barachant" in stored["credit"]


# recordings


@pytest.fixture
def folder(tmp_path):
    from core.formats.toolboxes.native import save_recording

    rng = np.random.default_rng(1)
    for person in ("anna", "ben"):
        events = [Event(i + 1.0, 0.0, f"stim/{'cat' if i % 2 else 'dog'}") for i in range(6)]
        events.append(Event(3.3, 0.0, "pause"))
        data = 1e-5 * rng.standard_normal((4, 2000)).astype(np.float32)
        made = Recording(data, 200.0, ("Fz", "Cz", "Pz", "Oz"), events=tuple(events))
        (tmp_path / person).mkdir()
        save_recording(made, tmp_path / person / "run.safetensors")
    return tmp_path


def test_own_events_are_labels_and_captions(folder):
    options = recordings.RecordingsOptions(events=("stim/.*",))
    sessions = recordings.sessions(folder, options)
    assert [session.key for session in sessions] == ["anna__run.safetensors", "ben__run.safetensors"]
    _, rows = sessions[1].load()
    assert Counter(row["label"] for row in rows) == {"stim/cat": 3, "stim/dog": 3}
    assert rows[0]["subject"] == "ben"
    config = recordings.preprocessing(folder, options)
    assert (config.ch_names, config.sfreq) == (("Fz", "Cz", "Pz", "Oz"), 200.0)


def test_labels_may_be_listed(folder):
    options = recordings.RecordingsOptions(events=("pause", "stim/cat"))
    assert len(recordings.sessions(folder, options)[0].load()[1]) == 4


def test_no_matching_event_lists_what_there_is(folder):
    with pytest.raises(ValueError, match=r"--events.*stim/dog x 3"):
        recordings.sessions(folder, recordings.RecordingsOptions(events=("tree",)))[0].load()


def test_unlabelled_windows_are_cut_at_even_steps_and_each_is_its_own_picture(folder):
    options = recordings.RecordingsOptions(every=0.5, tmin=0.0, tmax=0.75)
    recording, rows = recordings.sessions(folder, options)[0].load()
    assert {row["label"] for row in rows} == {"unlabelled"}
    assert np.allclose(np.diff([row["onset"] for row in rows]), 0.5)
    assert rows[0]["onset"] == 0.0
    assert recording.duration - 0.75 - 0.5 <= rows[-1]["onset"] < recording.duration - 0.75
    assert len({row["image_id"] for row in rows}) == len(rows)
    with pytest.raises(ValueError, match="--every cuts without events"):
        recordings.RecordingsOptions(every=0.5, events=("a",))
    with pytest.raises(ValueError, match="--every is 0"):
        recordings.RecordingsOptions(every=0.0)


def test_a_wrong_pattern_is_an_error():
    with pytest.raises(ValueError, match="regular expression"):
        recordings.RecordingsOptions(events=("(",))


# braincoder


def write_epoc(path, clicks_s, duration_s=60, relative=False, jump_at=None, jump_s=0.0):
    """Write an Emotiv-like EDF: 14 channels at 128 Hz about 4200 uV, a click of one sample at each absolute second.

    `relative` counts the stamps from the recording's start. `jump_at` is a sample before which `jump_s` were lost.
    """
    import datetime

    from edfio import Edf, EdfSignal

    n = duration_s * 128
    stamps = START_S + np.arange(n) / 128
    if jump_at is not None:
        stamps[jump_at:] += jump_s
    rng = np.random.default_rng(5)
    eeg = 4200 + 8 * rng.standard_normal((14, n))
    for click in clicks_s:
        eeg[:, int(np.argmin(np.abs(stamps - click)))] += 400
    shown = stamps - (START_S - 0.25 if relative else 0)
    low, high = (0, 10000) if relative else (1.7e9, 1.70001e9)
    ms = np.round(1000 * (shown % 1)) % 1000
    whole = np.floor(shown + 0.0005)
    signals = [EdfSignal(whole - low, 128, label="TIME_STAMP_s", physical_range=(0, high - low))]
    signals.append(EdfSignal(ms, 128, label="TIME_STAMP_ms", physical_range=(0, 1000)))
    signals += [
        EdfSignal(row, 128, label=name, physical_dimension="uV", physical_range=(-8400, 8400))
        for name, row in zip(EPOC, eeg, strict=True)
    ]
    start = datetime.datetime.fromtimestamp(START_S - 0.25, datetime.timezone.utc)
    edf = Edf(signals, starttime=start.time())
    edf.write(path)
    raw = bytearray(path.read_bytes())
    raw[168:176] = start.strftime("%d.%m.%y").encode()
    # edfio does not write limits of ten digits; as exponents they fit the header's eight characters
    count = len(signals)
    for field, value in ((104, low), (112, high)):
        at = 256 + count * field
        raw[at : at + 8] = f"{value:.0f}".ljust(8).encode() if relative else f"{value / 1e4:.0f}e4".ljust(8).encode()
    path.write_bytes(bytes(raw))


def write_table(path, rows):
    with open(path, "w", newline="") as file:
        out = csv.DictWriter(file, ["id", "start", "end", "caption", "participant"])
        out.writeheader()
        out.writerows(rows)


def table_rows(starts_s, lasts_s=2.0, participant="p"):
    return [
        {
            "id": f"img{i}",
            "start": round(1000 * start),
            "end": round(1000 * (start + lasts_s)),
            "caption": f"picture {i}",
            "participant": participant,
        }
        for i, start in enumerate(starts_s)
    ]


SHOWN = [START_S + 3.1 + 6.013 * i for i in range(8)]


@pytest.fixture
def epoc(tmp_path):
    write_epoc(tmp_path / "a.edf", SHOWN)
    write_table(tmp_path / "table.csv", table_rows(SHOWN))
    return tmp_path


def windows_of(folder, **more):
    from core.preprocessing.continuous import prepare_continuous
    from core.preprocessing.windows import cut_windows

    options = braincoder.BraincoderOptions(**more)
    config = braincoder.preprocessing(folder, options)
    session = braincoder.sessions(folder, options)[0]
    recording, rows = session.load()
    kept = [row for row in rows if not row["refused"]]
    cut = cut_windows(prepare_continuous(recording, config), np.array([row["onset"] for row in kept]), config)
    return cut, kept, rows


def test_windows_begin_at_the_click_within_a_sample(epoc):
    windows, kept, _ = windows_of(epoc)
    assert windows.data.shape == (8, 14, 256)
    assert [row["caption"] for row in kept] == [f"picture {i}" for i in range(8)]
    peaks = windows.data.mean(axis=1)[:, :40].argmax(axis=1)
    assert peaks.max() <= 1


def test_published_windows_keep_the_headsets_offset(epoc):
    assert np.median(windows_of(epoc)[0].data) == pytest.approx(4.2e-3, rel=0.01)
    assert abs(windows_of(epoc, remove_dc=True)[0].data.mean(axis=2)).max() < 1e-8


def test_stamps_from_the_recordings_start_need_the_headers_zone(tmp_path):
    write_epoc(tmp_path / "a.edf", SHOWN, relative=True)
    write_table(tmp_path / "table.csv", table_rows(SHOWN))
    with pytest.raises(ValueError, match="--utc-offset-h"):
        braincoder.sessions(tmp_path, braincoder.BraincoderOptions())
    windows, _, _ = windows_of(tmp_path, utc_offset_h=0.0)
    assert windows.data.mean(axis=1)[:, :40].argmax(axis=1).max() <= 1


def test_lost_samples_move_what_follows_and_no_window_crosses_them(tmp_path):
    shown = [START_S + 5, START_S + 18.5, START_S + 32]
    write_epoc(tmp_path / "a.edf", shown, jump_at=19 * 128, jump_s=4.0)
    write_table(tmp_path / "table.csv", table_rows(shown))
    windows, _, _ = windows_of(tmp_path)
    assert windows.reasons[1] is not None
    assert windows.data.mean(axis=1)[:, :40].argmax(axis=1).max() <= 1
    assert windows.kept.tolist() == [True, False, True]


def test_the_blank_of_the_second_page_is_not_labelled_as_picture(tmp_path):
    # the page shows 2 s after 4 s of countdown, and the server writes start = end - 6 s
    write_epoc(tmp_path / "a.edf", SHOWN)
    write_table(tmp_path / "table.csv", table_rows([at - 4 for at in SHOWN[1:]], lasts_s=6.0))
    _, kept, rows = windows_of(tmp_path)
    assert kept == []
    assert {row["refused"].split(";")[0][:60] for row in rows}.pop().startswith(
        "lasts 6 s in a sitting with a picture every"
    )
    windows, kept, _ = windows_of(tmp_path, timing="end")
    assert len(kept) == 7
    assert windows.data.mean(axis=1)[:, :40].argmax(axis=1).max() <= 1
    assert windows_of(tmp_path, timing="trust")[1][0]["onset"] == pytest.approx(SHOWN[1] - 4 - START_S, abs=0.01)


def spans(*pairs):
    return [Interval(i, start, end) for i, (start, end) in enumerate(pairs)]


def verdicts(*pairs, timing="check"):
    return [interval.refused for interval in check_intervals(spans(*pairs), timing)]


def test_six_and_four_seconds_pass():
    assert verdicts((0, 6), (10, 16), (20.1, 26.1)) == [None] * 3


def test_two_seconds_pass():
    assert verdicts((0, 2), (6, 8), (12, 14)) == [None] * 3


def test_a_long_pause_does_not_hide_the_wrong_page():
    assert all("4 s of it may be countdown" in reason for reason in verdicts((0, 6), (6.1, 12.1), (100, 106)))


def test_mixed_lengths_make_the_long_ones_ambiguous():
    first, second = verdicts((0, 6), (20, 22))
    assert "2 s intervals too" in first
    assert second is None


def test_odd_lengths_and_overlaps_are_ambiguous():
    assert "3.400 s" in verdicts((0, 3.4))[0]
    assert all("overlaps" in reason for reason in verdicts((0, 2), (1, 3)))


@pytest.mark.parametrize("timing", ["check", "trust", "start", "end"])
def test_what_holds_no_window_is_always_refused(timing):
    backwards, short = verdicts((5, 4), (20, 21), timing=timing)
    assert "before it starts" in backwards
    assert "less than the 2 s window" in short


def test_timing_settles_ambiguous_rows_only():
    pairs = (0, 6), (6, 12)
    assert [i.onset for i in check_intervals(spans(*pairs), "start")] == [0, 6]
    assert [i.onset for i in check_intervals(spans(*pairs), "end")] == [4, 10]
    assert [i.onset for i in check_intervals(spans((0, 6), (10, 16)), "end")] == [0, 10]


def test_rows_outside_the_recording_say_by_how_much(epoc):
    rows = table_rows([*SHOWN, START_S - 30, START_S + 59])
    write_table(epoc / "table.csv", rows)
    refused = {row["image_id"]: row["refused"] for row in windows_of(epoc)[2] if row["refused"]}
    assert refused["img8"].startswith("starts 30.0")
    assert refused["img9"].startswith("ends 1.0")
    assert set(refused) == {"img8", "img9"}


def test_a_table_of_another_day_is_an_error(epoc):
    write_table(epoc / "table.csv", table_rows([at + 86400 for at in SHOWN]))
    with pytest.raises(ValueError, match=r"falls into a recording.*\+864"):
        braincoder.sessions(epoc, braincoder.BraincoderOptions())


def test_a_known_skew_of_the_clocks_can_be_given(epoc):
    write_table(epoc / "table.csv", table_rows([at - 1.5 for at in SHOWN]))
    windows, _, _ = windows_of(epoc, offset_ms=1500.0)
    assert windows.data.mean(axis=1)[:, :40].argmax(axis=1).max() <= 1


def test_held_out_people_hold_out_their_pictures(epoc):
    rows = table_rows(SHOWN)
    rows[6] |= {"participant": "zed", "id": "img1"}
    write_table(epoc / "table.csv", rows)
    found = windows_of(epoc, test_participants=("zed",))[2]
    assert Counter(row["split"] for row in found) == {"train": 7, "test": 1}
    assert [row["refused"] for row in found if row["refused"]] == ["its picture is in the test split"]


def test_tables_may_be_json(epoc):
    (epoc / "table.csv").unlink()
    (epoc / "shown.json").write_text(json.dumps(table_rows(SHOWN)))
    assert len(windows_of(epoc)[1]) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "soon"}, "row 1: start is 'soon'"),
        ({"start": "1700003003"}, "milliseconds since 1970"),
        ({"caption": ""}, "has no caption"),
    ],
)
def test_a_wrong_row_is_named(epoc, change, message):
    rows = table_rows(SHOWN)
    rows[0] |= change
    write_table(epoc / "table.csv", rows)
    with pytest.raises(ValueError, match=message):
        braincoder.sessions(epoc, braincoder.BraincoderOptions())


def test_two_tables_need_a_choice(epoc):
    (epoc / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="--table"):
        braincoder.sessions(epoc, braincoder.BraincoderOptions())


def test_bursts_of_stamps_do_not_move_the_clock(epoc):
    clock = read_clock(epoc / "a.edf", 128.0)
    assert np.abs(clock.stamps - (START_S + np.arange(60 * 128) / 128)).max() < 1 / 128
    assert clock.jumps.size == 0
    with pytest.raises(ValueError, match=r"runs at 128\.0 Hz, by its header at 256"):
        read_clock(epoc / "a.edf", 256.0)


def test_seconds_are_counted_in_samples():
    clock = Clock(np.r_[np.arange(100), 200 + np.arange(100)] / 10.0, 10.0)
    assert clock.seconds_into(np.array([5.0, 25.0])).tolist() == pytest.approx([5.0, 15.0])
    assert clock.jumps.tolist() == [100]


def test_sessions_can_be_replaced_by_frozen_copies(epoc):
    session = braincoder.sessions(epoc, braincoder.BraincoderOptions())[0]
    assert replace(session, key="other").identity == session.identity
