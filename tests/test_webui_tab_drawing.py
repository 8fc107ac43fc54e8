"""The EEG tab's plots, what it sends to a host, and what it draws without one; real files and encoders, no browser."""

import json

import numpy as np
import pytest

from core.choices import PHANTOM_MONTAGES, PLOTS
from core.phantom.brain_config import BrainConfig
from tests.host_comfyui.recordings import write_edf
from tests.webui_standin import extension
from tests.webui_tab import PHANTOM, RING, SAME, STAR, asked, grey, last, panel, refused, simulated, sitting, unchanged

# Plots


def plotted(sources, values, kind, of, channels="", begin=0.0, end: float | None = 1.0, **numbers):
    plots = panel("plots")
    options = [numbers.get(option, value) for options in PLOTS.values() for option, value in options.items()]
    return last(plots.plot_eeg(sources, "", (*values, kind, plots.OF[of], channels, begin, end, *options, True)))


def test_every_option_of_a_plot_has_a_label_and_every_headset_can_be_simulated():
    assert set(panel("plots").LABELS) == {option for options in PLOTS.values() for option in options}
    for montage in PHANTOM_MONTAGES:
        BrainConfig(montage=montage)


@pytest.mark.parametrize("kind", list(PLOTS))
def test_the_recording_and_the_picked_windows_are_drawn(sources, kind):
    values = asked(sitting(sources))
    for of, count in ((0, 1), (1, 4)):
        status, [gallery] = plotted(sources, values, kind, of, channels="O1, O2, P7, P8, F3")
        assert status == ""
        assert len(gallery["value"]) == count
        assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in gallery["value"])


def test_what_cannot_be_drawn_is_said(sources):
    values = asked(sitting(sources))
    assert "O9" in refused(plotted(sources, values, "traces", 0, channels="O9")[0])
    assert "duration: a number is needed" in refused(plotted(sources, values, "traces", 0, duration=None)[0])
    assert "window to" in refused(plotted(sources, values, "spectrum", 1, end=None)[0])
    assert "end after it starts" in refused(plotted(sources, values, "spectrum", 1, begin=2.0)[0])
    assert "no recording chosen" in refused(plotted(sources, asked(""), "traces", 0)[0])


# Sending and drawing


def test_what_is_sent_to_the_host_names_recording_windows_and_encoder_only(sources):
    reference = sitting(sources)
    status, text = panel("draw").checked_request(sources, asked(reference))
    assert status == ""
    assert json.loads(text) == {
        "recording": reference, "units": SAME, "reading": "", "encoder": PHANTOM, "choose": "events",
        "label": "", "which": "", "average": "per label", "times": "",
    }  # fmt: skip
    assert extension("generation.request").from_mapping(json.loads(text), sources.shelf).recording == reference


def test_what_cannot_be_sent_is_said_and_nothing_is_sent(sources):
    for values in (asked(""), asked(sitting(sources), "gone.safetensors")):
        status, text = panel("draw").checked_request(sources, values)
        refused(status)
        assert text == ""


def drawn(sources, values, draw, steering=("replace", 1.0, False, "prompt", ""), settings=("", 5, 3.0, 7)):
    return last(panel("draw").draw_windows(sources, draw, "", (*values, *steering, *settings)))


def test_pictures_come_with_their_windows_and_the_simulated_truth(sources):
    status, (pictures, truth, beside) = drawn(sources, asked(sitting(sources)), grey)
    assert "4 drawn" in status
    assert pictures[0][1] == f"1: {STAR}"
    assert pictures[0][0].getpixel((0, 0)) == (7, 7, 7)
    assert len(truth) == 4
    assert all(caption.endswith(", simulated") for _, caption in truth)
    assert beside["visible"] is True


def test_a_recorded_file_has_no_truth_whatever_its_labels_say(sources, folders):
    write_edf([STAR, RING], folders.recordings / "mine.edf", "epoc-14")
    _, (_, truth, beside) = drawn(sources, asked("mine.edf"), lambda *given: grey(*given)[:2])
    assert truth == []
    assert beside["visible"] is False


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"settings": ("", None, 3.0, 0)}, "steps: a number is needed"),
        ({"settings": ("", 0, 3.0, 0)}, "steps: 1 to 200"),
        ({"settings": ("", 10, 3.0, -1)}, "seed: 0 to"),
        ({"steering": ("blend", 1.5, False, "prompt", "")}, "between 0 and 1"),
        ({"steering": ("melt", 1.0, False, "prompt", "")}, "melt"),
        ({"average": "none"}, None),
    ],
)
def test_what_cannot_be_drawn_here_is_said_before_anything_is_drawn(sources, more, sentence):
    calls = []
    windows = {name: more.pop(name) for name in ("which", "average") if name in more}
    reference = sitting(sources)
    if windows:
        _, (_, reference, *_) = simulated(sources, kind="many, to train on", count=70, repeats=1, montage="epoc-14")
        sentence = "windows would be as many pictures; choose at most 64"
    status, outputs = drawn(sources, asked(reference, **windows), lambda *given: calls.append(given), **more)
    assert sentence in refused(status)
    assert unchanged(outputs)
    assert not calls
