"""Long work: its progress is on the page, it can be cancelled, and pages do not see each other's."""

import threading

import pytest

from tests.webui_standin import extension

jobs = extension("tab.jobs")
PATIENCE_S = 20


def waiting(gate, words="Working", result=("done", 1), n_outputs=1):
    """A job that reports 1 of 4 and then waits at a gate, where it looks whether it was cancelled."""
    reported = threading.Event()

    def work(job):
        job(1, 4)
        reported.set()
        assert gate.wait(PATIENCE_S)
        job.check()
        return result

    def go_on(previous=""):
        yield from jobs.follow(words, work, n_outputs, previous)

    return go_on, reported


def test_progress_stands_on_the_page_until_the_result_does():
    gate = threading.Event()
    go_on, _ = waiting(gate)
    page = go_on()
    status, job_id, button, output = next(page)
    assert 'role="status"' in status
    assert 'value="1" max="4"' in status
    assert "Working (1 of 4)" in status
    assert button["interactive"] is True
    assert "value" not in output
    gate.set()
    *_, last = page
    assert last[0] == "done"
    assert last[1] == ""
    assert last[2]["interactive"] is False
    assert last[3] == 1
    assert job_id not in jobs._JOBS


def test_work_of_unknown_length_has_a_bar_without_a_value():
    gate = threading.Event()

    def work(job):
        job.say("Reading <file>")
        assert gate.wait(PATIENCE_S)
        return ("read",)

    page = jobs.follow("Opening", work, 0)
    status = next(page)[0]
    assert "Reading &lt;file&gt; ..." in status
    assert "value=" not in status
    gate.set()
    assert list(page)[-1][0] == "read"


def test_a_cancelled_job_says_so_and_changes_nothing():
    gate = threading.Event()
    go_on, reported = waiting(gate)
    page = go_on()
    _, job_id, *_ = next(page)
    assert reported.wait(PATIENCE_S)
    jobs.cancel(job_id)
    gate.set()
    *_, last = page
    assert "Cancelled" in last[0]
    assert last[1] == ""
    assert "value" not in last[3]


def test_a_step_that_cannot_be_interrupted_is_left_behind_and_its_result_dropped(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE_S", 0.0)
    gate = threading.Event()
    page = jobs.follow("Filtering", lambda job: (gate.wait(PATIENCE_S), "late")[1:] * 2, 1)
    _, job_id, *_ = next(page)
    jobs.cancel(job_id)
    *_, last = page
    assert "Cancelled" in last[0]
    assert "value" not in last[3]
    gate.set()


def test_what_is_settled_is_finished_whoever_cancels():
    settled, gate = threading.Event(), threading.Event()

    def work(job):
        job.settle()
        settled.set()
        assert gate.wait(PATIENCE_S)
        job.check()
        return ("written",)

    page = jobs.follow("Saving", work, 0)
    _, job_id, *_ = next(page)
    assert settled.wait(PATIENCE_S)
    jobs.cancel(job_id)
    gate.set()
    assert list(page)[-1][0] == "written"


def test_nothing_is_settled_after_a_cancel():
    job = jobs.Job("Saving")
    job.cancel()
    with pytest.raises(jobs.Cancelled):
        job.settle()


def test_cancelling_one_pages_job_leaves_anothers():
    gates = threading.Event(), threading.Event()
    pages = [waiting(gate, result=(f"page {number}", number))[0]() for number, gate in enumerate(gates)]
    ids = [next(page)[1] for page in pages]
    assert len(set(ids)) == 2
    jobs.cancel(ids[0])
    for gate in gates:
        gate.set()
    assert "Cancelled" in list(pages[0])[-1][0]
    assert list(pages[1])[-1][0] == "page 1"


def test_twenty_jobs_at_once_are_not_mixed_up():
    pages = [jobs.follow("Counting", lambda job, n=n: (f"page {n}", n), 1) for n in range(20)]
    assert [list(page)[-1][3] for page in pages] == list(range(20))
    assert not jobs._JOBS


def test_pressing_the_button_again_cancels_the_pages_first_job():
    gate, open_gate = threading.Event(), threading.Event()
    first = waiting(gate)[0]()
    _, job_id, *_ = next(first)
    open_gate.set()
    assert list(waiting(open_gate)[0](job_id))[-1][0] == "done"
    gate.set()
    assert "Cancelled" in list(first)[-1][0]


def test_a_page_that_goes_away_cancels_its_job():
    gate = threading.Event()
    go_on, _ = waiting(gate)
    page = go_on()
    job = jobs._JOBS[next(page)[1]]
    page.close()
    assert job.cancelled
    assert not jobs._JOBS
    gate.set()


def test_an_error_stands_in_the_status_and_the_outputs_stay():
    def work(job):
        raise ValueError("no event is labelled <face>")

    *_, last = jobs.follow("Decoding", work, 2)
    assert last[0] == '<div class="sd-eeg-alert" role="alert">no event is labelled &lt;face&gt;</div>'
    assert all("value" not in output for output in last[3:])


def test_a_defect_of_ours_is_shown_and_printed_for_whoever_runs_the_host(capsys):
    def work(job):
        raise KeyError("oops")

    *_, last = jobs.follow("Decoding", work, 0)
    assert "KeyError" in last[0]
    assert 'role="alert"' in last[0]
    assert "Traceback" in capsys.readouterr().err
