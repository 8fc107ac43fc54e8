"""The one reader of numeric text tables: blanks, words, broken rows, cut-off ends, other separators, and its memory."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.formats.containers.text_table import delimiter_of, first_lines, read_text_table, split_names, unix_seconds


def table(path: Path, text: str | bytes, **kw):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_text_table(path, **{"delimiter": ",", "skip": 0, "numbers": [0, 1], **kw})


def test_blanks_are_missing_wherever_they_stand(tmp_path: Path) -> None:
    read = table(tmp_path / "t.csv", "1,,3\n,,\n4,5,\n , 7 ,8\n", numbers=[0, 1, 2])
    np.testing.assert_array_equal(
        read.numbers, [[1, np.nan, 4, np.nan], [np.nan, np.nan, 5, 7], [3, np.nan, np.nan, 8]]
    )
    assert (read.notes, read.cut_off, read.ends) == ([], "", True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_and_a_byte_order_mark_are_read(tmp_path: Path, end: str) -> None:
    read = table(tmp_path / "t.csv", "\ufeffa,b" + end + end.join(f"{i},{i + 0.5}" for i in range(50)) + end, skip=1)
    np.testing.assert_array_equal(read.numbers, [np.arange(50), np.arange(50) + 0.5])


def test_decimal_commas_between_semicolons_and_blanks_between_columns(tmp_path: Path) -> None:
    assert delimiter_of("1,5;2,25;-3,0") == ";"
    assert delimiter_of("a;b,c,d,e,f") == ","
    assert delimiter_of("1,5\t2,5") == "\t"
    np.testing.assert_array_equal(
        table(tmp_path / "t", "1,5;2,25\n3;-4,0\n", delimiter=";").numbers, [[1.5, 3], [2.25, -4]]
    )
    np.testing.assert_array_equal(table(tmp_path / "t", "  1   2\n3 4 \n", delimiter=" ").numbers, [[1, 3], [2, 4]])


def test_words_dates_and_exact_numbers_come_from_their_columns(tmp_path: Path) -> None:
    rows = "2023-11-14 12:00:00.125,5,1699963200.123456,\n2023-11-14 12:00:01,6,1699963201.5, /Marker/1 \n"
    read = table(tmp_path / "t", rows, numbers=[1], exact=[2], clocks=[0], labels=[3])
    np.testing.assert_allclose(read.clocks[0], [1699963200.125, 1699963201], atol=1e-6)
    assert read.exact[0, 0] == 1699963200.123456
    assert read.labels == {3: [(1, "/Marker/1")]}
    times = table(tmp_path / "t", "15:31:23.878,1\nnever,2\n12.5,3\n", numbers=[1], clocks=[0]).clocks[0]
    np.testing.assert_allclose(times, [15 * 3600 + 31 * 60 + 23.878, np.nan, 12.5])


def test_a_broken_row_is_missing_and_said_and_many_are_refused(tmp_path: Path) -> None:
    lines = [f"{i},{i}" for i in range(3000)]
    lines[1234] = "12,oops"
    read = table(tmp_path / "t", "\n".join(lines) + "\n")
    assert np.flatnonzero(np.isnan(read.numbers[0])).tolist() == [1234]
    assert read.notes == ["1 rows are not numbers: taken as missing (line 1235: '12,oops')"]
    lines[::50] = ["what,is,this"] * len(lines[::50])
    with pytest.raises(ValueError, match=r"t: its rows do not hold numbers in its columns \(a, b\); line 1: 'what,is"):
        table(tmp_path / "t", "\n".join(lines) + "\n", names=["a", "b"])


def test_an_end_inside_a_row_is_said_and_left_out(tmp_path: Path) -> None:
    read = table(tmp_path / "t", "1,2,3\n4,5,6\n7,8")
    assert read.n_rows == 2
    assert read.remarks() == ["it ends inside a row: the file is cut off there"]
    read = table(tmp_path / "t", "1,2,3\n4,5,6")
    assert read.n_rows == 2
    assert read.remarks() == ["its last line has no end: the file may be cut off there"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "a header and no rows"), ("\n\n", "no rows"), ("words\n", "do not hold numbers"), ("%1,2\n", "no rows")],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table(tmp_path / "t", content, comment="%")


def test_headers_of_other_kinds_of_text_are_refused_readably(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\x00\x01" * 100)
    with pytest.raises(ValueError, match="not a text file"):
        first_lines(path)
    path.write_bytes("a,b\n1,2\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"UTF-16|not a text file"):
        first_lines(path)
    path.write_bytes(b"1" * (3 << 20))
    with pytest.raises(ValueError, match="first line is longer"):
        first_lines(path)
    path.write_bytes(b"1,2\n" + b"1" * (9 << 20))
    with pytest.raises(ValueError, match="line 2 is longer than 4 MiB"):
        read_text_table(path, delimiter=",", skip=0, numbers=[0])


def test_a_comma_in_brackets_or_quotes_belongs_to_the_name() -> None:
    assert split_names("COUNTER, AF3, MARKERS['Blank','Image'], TICK", ",") == [
        "COUNTER", "AF3", "MARKERS['Blank','Image']", "TICK",
    ]  # fmt: skip
    assert split_names('a, "b, c" ,d,,', ",") == ["a", "b, c", "d"]


def test_milliseconds_since_1970_are_told_from_seconds() -> None:
    assert unix_seconds(np.array([1.7e12, np.nan, 1.7e12]))[0] == 1.7e9  # pyright: ignore[reportOptionalSubscript]
    assert unix_seconds(np.array([1.7e9]))[0] == 1.7e9  # pyright: ignore[reportOptionalSubscript]
    assert unix_seconds(np.array([np.nan])) is None


def test_tables_longer_than_a_block_keep_every_row(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 60_000)).round(6)
    text = "\n".join(",".join(map(repr, row)) for row in values.T.tolist()) + "\n"
    assert len(text) > 1 << 20
    read = table(tmp_path / "t", text, numbers=[0, 2], exact=[1])
    np.testing.assert_array_equal(read.numbers, values[[0, 2]].astype(np.float32))
    np.testing.assert_array_equal(read.exact[0], values[1])


@pytest.mark.parametrize("line", [b"0," * 19 + b"0\n", b"1\n", b",\n", b"0\n" * 3 + b"x\n"], ids=str)
def test_memory_stays_below_four_times_the_file(tmp_path: Path, line: bytes) -> None:
    content = line * ((4 << 20) // len(line))
    path = tmp_path / "t"
    path.write_bytes(content)
    tracemalloc.start()
    with suppress(ValueError):
        read_text_table(path, delimiter=",", skip=0, numbers=range(20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(content) + (32 << 20)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9, width=32)), min_size=4, max_size=4), min_size=1, max_size=40
    ),
    st.sampled_from([(",", "."), (";", ","), ("\t", ".")]),
)
def test_what_is_written_is_read(tmp_path_factory, rows, marks) -> None:
    delimiter, comma = marks
    cells = [["" if value is None else repr(value).replace(".", comma) for value in row] for row in rows]
    known = np.array([[np.nan if value is None else value for value in row] for row in rows], np.float32)
    path = tmp_path_factory.mktemp("t") / "t"
    path.write_text("".join(delimiter.join(row) + "\n" for row in cells))
    if all(not cell for row in cells for cell in row):
        return
    read = read_text_table(path, delimiter=delimiter, skip=0, numbers=range(4))
    np.testing.assert_array_equal(read.numbers, known.T)
