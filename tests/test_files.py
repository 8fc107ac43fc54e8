import hashlib

import pytest

from core.files import sha256_of, write_atomically


def write_half(path):
    with write_atomically(path) as beside:
        beside.write_text("half")
        raise RuntimeError


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_replaces_the_old_one_and_others_can_read_it(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with write_atomically(path) as beside:
        beside.write_text("new")
        beside.chmod(0o600)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o044 == 0o044
    assert list(path.parent.iterdir()) == [path]


def test_the_hash_is_the_files_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
