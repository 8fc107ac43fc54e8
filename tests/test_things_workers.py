"""Preparing things-eeg2 where it is cut off, and on a cluster."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.things_files import Shape, write_raw
from core.montage import MONTAGES
from trainer.datasets.things import eeg2
from trainer.datasets.things.eeg2 import Eeg2Options
from trainer.prepare import parse, prepare
from trainer.store.backends import parallel_on
from trainer.store.store import TrialStore, open_store

ROOT = Path(__file__).resolve().parent.parent
SMALL = Shape(n_train=8, n_test=4, test_repeats=2, a_concept=4, channels=MONTAGES["things-63"])


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    write_raw(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def store(raw):
    return prepare("things-eeg2", raw, raw / "store", Eeg2Options(), progress=False)


def same(one, other):
    np.testing.assert_allclose(np.asarray(one.trials().eeg), np.asarray(other.trials().eeg), atol=1e-11)
    found, expected = one.whitening().covariances, other.whitening().covariances
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[name], expected[name], rtol=1e-9, atol=0) for name in found)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows knows no SIGKILL")
def test_what_is_killed_in_the_middle_of_a_session_goes_on_with_the_sessions_that_were_done(raw, store, tmp_path):
    script = (
        "import sys, os, signal; sys.path.insert(0, sys.argv[1])\n"
        "from trainer.datasets.things import eeg2\n"
        "usual, count = eeg2.windows_of, [0]\n"
        "def windows_of(*given):\n"
        "    count[0] += 1\n"
        "    for windows in usual(*given):\n"
        "        yield windows\n"
        "        if count[0] == 6: os.kill(os.getpid(), signal.SIGKILL)\n"  # the third session's test part
        "eeg2.windows_of = windows_of\n"
        "from trainer.prepare import prepare\n"
        "prepare('things-eeg2', sys.argv[2], sys.argv[3], progress=False)\n"
    )
    out = tmp_path / "store"
    done = subprocess.run([sys.executable, "-c", script, str(ROOT), str(raw), str(out)], cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(ValueError, match=r"is not finished: . of 4 recordings"):
        open_store(out)
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "shards").glob("*.safetensors")}
    assert sorted(kept) == ["sub-01-ses-01.safetensors", "sub-01-ses-02.safetensors"]
    same(prepare("things-eeg2", raw, out, Eeg2Options(), progress=False), store)
    assert all((out / "shards" / name).stat().st_mtime_ns == when for name, when in kept.items())
    assert not list(out.rglob("*.part"))


def test_a_session_that_fails_leaves_nothing_behind(raw, tmp_path, monkeypatch):
    usual = eeg2.windows_of

    def windows_of(file, *given):
        if "ses-02" in str(file.path):
            raise ValueError(f"{file.path} holds samples that are not numbers")
        yield from usual(file, *given)

    monkeypatch.setattr(eeg2, "windows_of", windows_of)
    with pytest.raises(ValueError, match=r"raw_eeg_training\.npy holds samples that are not numbers"):
        prepare("things-eeg2", raw, tmp_path / "store", Eeg2Options(), progress=False)
    assert not (tmp_path / "store").exists()


def test_a_cluster_prepares_the_same_store(raw, store, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the package 'distributed' is not installed")
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**workers) as cluster:
        _, options, own = parse(
            [
                "things-eeg2",
                "--folder",
                str(raw),
                "--out",
                str(tmp_path / "store"),
                "--backend",
                "dask",
                "--address",
                cluster.scheduler_address,
            ]
        )
        made = prepare(
            "things-eeg2", options.source, options.out, own, backend=options.backend, address=options.address,
            progress=False,
        )  # fmt: skip
    assert isinstance(made, TrialStore)
    same(made, store)


@pytest.mark.parametrize(
    ("backend", "address", "said"),
    [
        ("slurm", "", "--backend is 'slurm'; known: processes, dask, ray"),
        ("processes", "tcp://here:1", "say which with --backend dask"),
    ],
)
def test_backends_that_cannot_be_are_refused(backend, address, said):
    with pytest.raises(ValueError, match=said), parallel_on(backend, address, 1):
        pass


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_is_said_and_nothing_is_written(raw, tmp_path, monkeypatch, backend, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"--backend {backend} needs the package '{package}': pip install"):
        prepare("things-eeg2", raw, tmp_path / "store", Eeg2Options(), backend=backend, progress=False)
    assert not (tmp_path / "store").exists()


def test_flags_have_the_names_of_other_programs_too():
    _, options, own = parse(["things-eeg2", "--folder", "raw", "--workers=2", "--out", "a", "--subjects", "8"])
    assert (options.source, options.jobs, own.subjects) == (Path("raw"), 2, (8,))


def test_memory_does_not_grow_with_a_recording(tmp_path):
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak is read from /proc")
    peaks = []
    for repeats in (2, 40):
        folder = tmp_path / str(repeats)
        write_raw(folder, replace(SMALL, n_train=4, test_repeats=repeats * 4, n_sessions=1, a_concept=2))
        script = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from trainer.prepare import prepare\n"
            "prepare('things-eeg2', sys.argv[2], sys.argv[2] + '/store', progress=False)\n"
            "print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])\n"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", script, str(ROOT), str(folder)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    # ten times as long, 80 MB more of a file
    assert peaks[1] - peaks[0] < 60
