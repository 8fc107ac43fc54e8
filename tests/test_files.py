import hashlib

import pytest

from core.files import sha256_of, text_lines, write_atomically


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


IN_A_CELL = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_at_newlines_only(end):
    for mark in IN_A_CELL:
        assert text_lines(f"a{mark}b{end}c") == [f"a{mark}b", "c"]
    for text in ("", "a", end, f"a{end}", f"a{end}{end}", f"{end}a"):
        assert text_lines(text) == text.splitlines()


@pytest.mark.parametrize("mark", IN_A_CELL)
def test_a_table_may_hold_any_character_in_its_cells(tmp_path, mark):
    from core.fitting.captions import parse_captions
    from core.formats.contract.text_cells import read_cells

    path = tmp_path / "shown.csv"
    path.write_text(f"what was{mark}shown;label;onset\na{mark}b;cat;1\n", encoding="utf-8")
    cells = read_cells(path)
    assert cells.header == (f"what was{mark}shown", "label", "onset")
    assert cells.rows == ((2, (f"a{mark}b", "cat", "1")),)
    assert parse_captions(f"cat = a{mark}b = c\ndog = d") == {"cat": f"a{mark}b = c", "dog": "d"}
