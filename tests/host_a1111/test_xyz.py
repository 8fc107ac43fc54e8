"""The host's X/Y/Z plot over our axes: every cell is the single picture of its values."""

import numpy as np
import pytest

from tests.host_a1111.host import Drawn, FailedError, Host, same

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors", "which": "0"}
AXES = ("Strength", "Window", "Encoder", "Start", "End", "Mode")


def grid(host: Host, x: tuple[str, str], y: tuple[str, str] | None = None, eeg: dict | None = None, **fields) -> Drawn:
    """Draw a grid; x and y: an axis of ours and its values. The answer holds the grid and then the cells by rows."""
    args = host.axes()["args"]
    values = [argument["value"] for argument in args]
    labels = [argument["label"] for argument in args]
    choices = args[0]["choices"]
    for letter, axis in (("X", x), ("Y", y), ("Z", None)):
        at = labels.index(f"{letter} type")
        values[at : at + 3] = 0, "", []
        if axis is not None:
            values[at] = choices.index(f"[EEG] {axis[0]}")
            # Where an axis knows its choices the host takes them from the dropdown.
            values[at + 1] = axis[1]
            values[at + 2] = [one.strip() for one in axis[1].split(",")]
    for label, value in (("Draw legend", False), ("Include Sub Images", True)):
        values[labels.index(label)] = value
    return host.draw(eeg or EEG, script_name="X/Y/Z plot", script_args=values, **fields)


def cells(drawn: Drawn, n: int) -> list[np.ndarray]:
    """The single pictures, which the host puts after the grid."""
    assert len(drawn.pixels) == n + 1, [one.shape for one in drawn.pixels]
    return drawn.pixels[1:]


def test_the_axes_are_listed_once(host):
    choices = host.axes()["args"][0]["choices"]
    assert sorted(one for one in choices if one.startswith("[EEG]")) == sorted(f"[EEG] {name}" for name in AXES)


@pytest.mark.parametrize(
    ("axis", "values", "field"),
    [
        ("Strength", "0, 0.5, 1", "strength"),
        ("Window", "0, 1, 4", "which"),
        ("Encoder", "sd1.safetensors, prompts.safetensors", "encoder"),
        ("Start", "0, 0.5", "start"),
        ("End", "0.5, 1", "end"),
        ("Mode", "replace, blend, add", "mode"),
    ],
)
def test_every_cell_is_the_single_picture_of_its_value(host, axis, values, field):
    given = [one.strip() for one in values.split(",")]
    eeg = {**EEG, "strength": 0.8} if axis == "Mode" else EEG
    drawn = grid(host, (axis, values), eeg=eeg)
    single = [host.draw({**eeg, field: one}).only for one in given]
    for cell, alone in zip(cells(drawn, len(given)), single, strict=True):
        assert same(cell, alone)
    assert len({one.tobytes() for one in single}) == len(given)


def test_windows_by_seconds(host):
    drawn = grid(host, ("Window", "1.5 s, 3 s"))
    for cell, time in zip(cells(drawn, 2), ("1.5", "3"), strict=True):
        assert same(cell, host.draw({**EEG, "choose": "times", "times": time}).only)


def test_two_axes_make_rows_and_columns(host, plain):
    drawn = grid(host, ("Strength", "0, 1"), ("Window", "0, 1"))
    single = [host.draw({**EEG, "strength": x, "which": y}).only for y in ("0", "1") for x in (0, 1)]
    for cell, alone in zip(cells(drawn, 4), single, strict=True):
        assert same(cell, alone)
    assert drawn.pixels[0].shape[:2] >= (128, 128)
    assert same(host.draw().only, plain)


def test_a_cell_that_fails_shows_no_picture_of_its_own(host, plain):
    # The host goes on where a cell raises: it leaves the cell empty and prints why.
    try:
        drawn = grid(host, ("Window", "0, 99")).pixels[1:]
    except FailedError as error:
        drawn, said = [], error.words
    else:
        said = host.said()
    assert "99" in said
    first = host.draw(EEG).only
    assert all(one.std() == 0 or same(one, first) for one in drawn)
    assert same(host.draw().only, plain)
