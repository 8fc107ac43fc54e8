"""Nodes that make EEG visible and let it drive numbers."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import AGAINST, BANDS, PLOTS
from .host.messages import readable
from .host.pictures import host_images
from .host.progress import host_progress
from .host.sockets import CATEGORY, EegRecording, EegWindows

CUSTOM = "custom"
# a plot's options as inputs: the smallest and largest number, the step, the tooltip
NUMBERS = {
    "start": (0.0, 1e6, 0.5, "Seconds; of a recording."),
    "duration": (0.05, 3600.0, 0.5, "Seconds; of a recording. A window is drawn whole."),
    "up_to": (1.0, 2000.0, 1.0, "Hertz."),
    "low": (0.1, 1000.0, 0.5, "Hertz."),
    "high": (0.2, 1000.0, 0.5, "Hertz."),
}


def number(kind: str, name: str) -> Any:
    """Return the input of one option of a kind of plot."""
    low, high, step, tooltip = NUMBERS[name]
    return io.Float.Input(name, default=PLOTS[kind][name], min=low, max=high, step=step, tooltip=tooltip)


class Plot(io.ComfyNode):
    """Draws a recording, or each of its windows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Plot",
            display_name="EEG Plot",
            category=CATEGORY,
            description="Draws traces, the power spectrum, a map of the scalp or a spectrogram: of a whole recording, "
            "or one picture for each window.",
            search_aliases=["eeg traces", "psd", "topomap", "scalp map", "spectrogram", "view eeg"],
            inputs=[
                io.MultiType.Input("eeg", [EegRecording, EegWindows], tooltip="A recording, or windows of one."),
                io.DynamicCombo.Input(
                    "kind",
                    tooltip="What is drawn.",
                    options=[
                        io.DynamicCombo.Option(kind, [number(kind, name) for name in PLOTS[kind]]) for kind in PLOTS
                    ],
                ),
                io.String.Input(
                    "channels",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Names such as `O1, O2`; empty: all channels.",
                ),
                io.Boolean.Input(
                    "dark", optional=True, default=True, advanced=True, tooltip="Light on dark, as the canvas is."
                ),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @readable
    def execute(cls, eeg: Any, kind: dict[str, Any], channels: str = "", dark: bool = True) -> io.NodeOutput:
        """Draw."""
        from ..core.plots.plots import plot

        options = {key: value for key, value in kind.items() if key != "kind"}
        drawn = plot(eeg, kind["kind"], channels=channels, dark=dark, progress=host_progress(), **options)
        return io.NodeOutput(host_images(drawn))


class BandPower(io.ComfyNode):
    """Measures rhythms in each window and maps them to a number that can drive any widget."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_BandPower",
            display_name="EEG Band Power",
            category=CATEGORY,
            description="Measures a rhythm (delta to gamma) in each window and maps it to a range: connect it to a "
            "denoise, a strength or a scale, and the recording drives it, frame by frame.",
            search_aliases=[
                "alpha",
                "beta",
                "theta",
                "eeg reactive",
                "audio reactive",
                "neurofeedback",
                "brain rhythm",
            ],
            inputs=[
                EegWindows.Input("windows", tooltip="What EEG Select Windows gives; a value for each window."),
                io.Combo.Input(
                    "band",
                    options=[*BANDS, CUSTOM],
                    default="alpha",
                    tooltip="delta 1-4, theta 4-8, alpha 8-13, beta 13-30, gamma 30-45 Hz, or low to high below.",
                ),
                io.Combo.Input(
                    "against",
                    options=list(AGAINST),
                    default=AGAINST[0],
                    tooltip="Divide by the power of another band, or of all of them: a ratio does not care how well "
                    "the electrodes sit.",
                ),
                io.String.Input(
                    "channels",
                    default="",
                    tooltip="Names (`O1, O2`) or groups (`frontal`, `central`, `temporal`, `parietal`, `occipital`, "
                    "`left`, `right`); empty: all channels.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="0: each window by itself; higher: the value follows slowly.",
                ),
                io.Float.Input(
                    "out_low", default=0.0, min=-1e6, max=1e6, step=0.01, tooltip="What the weakest window becomes."
                ),
                io.Float.Input(
                    "out_high", default=1.0, min=-1e6, max=1e6, step=0.01, tooltip="What the strongest window becomes."
                ),
                io.Float.Input(
                    "in_low",
                    optional=True,
                    default=0.0,
                    min=-200.0,
                    max=200.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Decibels that become out_low. Both 0: the 5th and 95th percentile of the windows.",
                ),
                io.Float.Input(
                    "in_high",
                    optional=True,
                    default=0.0,
                    min=-200.0,
                    max=200.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Decibels that become out_high.",
                ),
                io.Float.Input(
                    "custom_low",
                    optional=True,
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Hertz.",
                ),
                io.Float.Input(
                    "custom_high",
                    optional=True,
                    default=13.0,
                    min=0.2,
                    max=1000.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Hertz.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="mean", tooltip="The mean of the mapped values."),
                io.Float.Output(
                    display_name="values", is_output_list=True, tooltip="One mapped value for each window, as a list."
                ),
                io.Image.Output(display_name="plot", tooltip="Power over the windows and what it is mapped to."),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls,
        windows: Any,
        band: str,
        against: str,
        channels: str,
        smoothing: float,
        out_low: float,
        out_high: float,
        in_low: float = 0.0,
        in_high: float = 0.0,
        custom_low: float = 8.0,
        custom_high: float = 13.0,
    ) -> io.NodeOutput:
        """Measure, smooth and map."""
        from ..core.plots.band_power import map_range, plot_band_power, selected_band_power, smooth

        limits = (custom_low, custom_high) if band == CUSTOM else BANDS[band]
        measured = selected_band_power(windows, limits, against, channels, progress=host_progress())
        power_db = smooth(measured, smoothing)
        mapped = map_range(power_db, (in_low, in_high) if in_low or in_high else None, (out_low, out_high))
        drawn = plot_band_power(windows, power_db, mapped, band=band, against=against)
        return io.NodeOutput(float(mapped.mean()), mapped.tolist(), host_images([drawn]))


NODES = [Plot, BandPower]
