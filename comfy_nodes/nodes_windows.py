"""The node that chooses which moments of a recording are looked at."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import AVERAGES, EVENTS, SLIDING, TIMES
from .host.messages import readable
from .host.sockets import CATEGORY, EegRecording, EegWindows

AVERAGED = dict(zip(("no", "repeats of a label", "everything"), AVERAGES, strict=True))  # what graphs hold


class SelectWindows(io.ComfyNode):
    """Chooses moments by event, by time, or one for each frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_SelectWindows",
            display_name="EEG Select Windows",
            category=CATEGORY,
            description="Chooses which moments of a recording are decoded, plotted or measured: one picture each.",
            search_aliases=["eeg epochs", "epoch", "events", "markers", "average trials", "sliding window"],
            inputs=[
                EegRecording.Input("recording", tooltip="From EEG Load Recording, EEG Preprocess or EEG Phantom."),
                io.DynamicCombo.Input(
                    "choose",
                    tooltip="events: what was marked in the recording. times: moments you name. sliding: a row of "
                    "windows, one for each frame of a film.",
                    options=[
                        io.DynamicCombo.Option(
                            EVENTS,
                            [
                                io.String.Input(
                                    "label", default="", tooltip="Only events with this label; empty: any event."
                                ),
                                io.String.Input(
                                    "index",
                                    default="",
                                    tooltip="Which of these events, from 0: `0, 3, 5-9`, `-1` the last; empty: all.",
                                ),
                                io.Combo.Input(
                                    "average",
                                    options=list(AVERAGED),
                                    default="no",
                                    tooltip="Averaging repeats of the same thing lifts the answer out of the noise.",
                                ),
                            ],
                        ),
                        io.DynamicCombo.Option(
                            TIMES,
                            [
                                io.String.Input(
                                    "times", default="0", tooltip="Seconds from the recording's start: `1.5, 3`."
                                )
                            ],
                        ),
                        io.DynamicCombo.Option(
                            SLIDING,
                            [
                                io.Float.Input(
                                    "per_second",
                                    default=8.0,
                                    min=0.01,
                                    max=240.0,
                                    step=0.01,
                                    tooltip="Windows a second: the frame rate of the film.",
                                ),
                                io.Float.Input("start", default=0.0, min=0.0, max=1e6, step=0.1, tooltip="Seconds."),
                                io.Float.Input(
                                    "stop",
                                    default=0.0,
                                    min=0.0,
                                    max=1e6,
                                    step=0.1,
                                    tooltip="Seconds; 0 is the recording's end.",
                                ),
                            ],
                        ),
                    ],
                ),
                io.Float.Input(
                    "from_s",
                    optional=True,
                    default=0.0,
                    min=-10.0,
                    max=60.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Start of the window about each moment, in seconds, for plots and band power. "
                    "An encoder cuts the window it was trained with.",
                ),
                io.Float.Input(
                    "to_s",
                    optional=True,
                    default=1.0,
                    min=-10.0,
                    max=60.0,
                    step=0.05,
                    advanced=True,
                    tooltip="End of the window about each moment, in seconds, for plots and band power.",
                ),
            ],
            outputs=[
                EegWindows.Output(display_name="windows", tooltip="All windows together: a batch of pictures."),
                io.Int.Output(display_name="count", tooltip="How many: connect it to a latent's batch size."),
                EegWindows.Output(
                    display_name="one by one",
                    is_output_list=True,
                    tooltip="The same windows as a list: what follows runs once for each of them.",
                ),
            ],
        )

    @classmethod
    @readable
    def execute(cls, recording: Any, choose: dict[str, Any], from_s: float = 0.0, to_s: float = 1.0) -> io.NodeOutput:
        """Choose the windows."""
        from ..core.preprocessing import selection

        about = {"tmin": from_s, "tmax": to_s}
        if choose["choose"] == EVENTS:
            average = AVERAGED[choose["average"]]
            chosen = selection.select_events(recording, choose["label"], choose["index"], average, **about)
            # Left out here and not when they are decoded, so that the count, the batch and the list agree.
            chosen = selection.inside(chosen)
        elif choose["choose"] == TIMES:
            chosen = selection.select_times(recording, selection.parse_times(choose["times"]), **about)
        else:
            chosen = selection.slide(recording, choose["per_second"], choose["start"], choose["stop"] or None, **about)
        return io.NodeOutput(chosen, len(chosen), list(chosen.one_by_one()))


NODES = [SelectWindows]
