"""The host's X/Y/Z plot sweeps our settings, each cell a job of its own."""

import pytest

from core.formats.toolboxes.native import save_recording
from tests.small_encoders import noise_recording
from tests.webui_standin import standing_in, write_encoders

LABELS = ["Strength", "Window", "Encoder", "Start", "End", "Mode"]


@pytest.fixture
def host(tmp_path):
    with standing_in(tmp_path) as made:
        write_encoders(made.encoders, "text", "both")
        save_recording(noise_recording(), made.recordings / "noise.safetensors")
        yield made


def asked(**fields) -> list:
    return [{"recording": "noise.safetensors", "encoder": "text.safetensors", **fields}]


def axes(host) -> dict:
    options = host.scripts.scripts_data[0].module.axis_options
    return {option.label.removeprefix("[EEG] "): option for option in options if option.label.startswith("[EEG] ")}


def drawn(host, axis: str, values: list, **fields) -> list:
    return host.processing.grid(host.prepared(asked(**fields)), axes(host)[axis], values)


def picture(processed) -> bytes:
    return processed.images[0].tobytes()


def test_the_axes_are_added_once_however_often_the_interface_is_built(host):
    assert list(axes(host)) == LABELS
    host.callbacks.call("before_ui")
    host.run_script()
    labels = [option.label for option in host.scripts.scripts_data[0].module.axis_options]
    assert labels == ["Nothing", *(f"[EEG] {label}" for label in LABELS)]


def test_a_host_without_the_plot_starts_all_the_same(host):
    del host.scripts.scripts_data[0]
    host.run_script()
    assert host.reported == []


@pytest.mark.parametrize(
    ("label", "values", "field"),
    [
        ("Strength", [0, 0.5, 1, 2], "strength"),
        ("Encoder", ["text.safetensors", "both.safetensors"], "encoder"),
        ("Start", [0, 0.5], "start"),
        ("End", [0.5, 1], "end"),
        ("Mode", ["replace", "blend", "add"], "mode"),
    ],
)
def test_a_cell_is_the_picture_of_the_same_job_alone(host, label, values, field):
    more = {"strength": 0.5} if label == "Mode" else {}
    cells = drawn(host, label, list(map(str, values)), **more)
    for cell, value in zip(cells, values, strict=True):
        alone = host.draw(asked(**{**more, field: value}))
        assert picture(cell) == picture(alone)
        assert cell.infotexts == alone.infotexts
    assert len({picture(cell) for cell in cells}) == len(values)
    assert host.reported == []


def test_the_window_axis_takes_numbers_of_events_and_seconds(host):
    cells = drawn(host, "Window", ["0", "3", "-1", "2.5 s", "2.5s"], label="face")
    alone = [
        host.draw(asked(label="face", **more))
        for more in ({"which": "0"}, None, {"which": "-1"}, *[{"choose": "times", "times": "2.5"}] * 2)
        if more
    ]
    assert cells[1] is None  # there are three faces
    assert [picture(cell) for cell in cells if cell] == [picture(one) for one in alone]
    (message, error), *more = host.reported
    assert message == "generating image for xyz plot"
    assert str(error).startswith("EEG conditioning: ")
    assert more == []


def test_a_cell_that_fails_leaves_the_others_and_the_job_alone(host):
    job = host.prepared(asked())
    axis = axes(host)["Encoder"]
    cells = host.processing.grid(job, axis, ["text.safetensors", "gone.safetensors", "both.safetensors"])
    assert [cell is None for cell in cells] == [False, True, False]
    assert not hasattr(job, "_sd_eeg_changes")
    assert picture(host.processing.process_images(job)) == picture(cells[0])


def test_two_axes_add_up_in_a_cell_and_not_from_cell_to_cell(host):
    job, found = host.prepared(asked()), axes(host)
    for values in (("blend", 0.5), ("add", 2.0), ("blend", 0.25)):
        cells = host.processing.grid(job, BothAxes(found["Mode"], found["Strength"]), [values])
        assert picture(cells[0]) == picture(host.draw(asked(mode=values[0], strength=values[1])))


def test_a_cell_changes_nothing_of_what_was_set_before(host):
    job, found = host.prepared(asked()), axes(host)
    found["Mode"].apply(job, "blend", ["blend"])
    cells = host.processing.grid(job, found["Strength"], ["0.5", "0.75"])
    assert [picture(cell) for cell in cells] == [
        picture(host.draw(asked(mode="blend", strength=strength))) for strength in (0.5, 0.75)
    ]
    assert picture(host.processing.process_images(job)) == picture(host.draw(asked(mode="blend")))


class BothAxes:
    type = staticmethod(lambda values: values)

    def __init__(self, first, second):
        self.first, self.second = first, second

    def apply(self, p, values, every):
        self.first.apply(p, values[0], every)
        self.second.apply(p, values[1], every)


def test_the_axes_change_nothing_where_the_eeg_is_off(host):
    plain = picture(host.draw())
    cells = host.processing.grid(host.prepared(), axes(host)["Strength"], ["0", "1"])
    assert [picture(cell) for cell in cells] == [plain, plain]


def test_the_encoder_axis_offers_what_there_is(host):
    assert axes(host)["Encoder"].choices() == host.ours("host.host").library().names()
    write_encoders(host.encoders, "xl")
    assert "xl.safetensors" in axes(host)["Encoder"].choices()
    assert axes(host)["Mode"].choices() == list(host.ours("generation.request").STEERING)
