"""Nodes of the phantom: a simulated brain and the tiny diffusion model that draws what it saw. No brain data."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import PHANTOM_MONTAGES
from .host.messages import readable
from .host.pictures import from_host_images, host_images
from .host.sockets import CATEGORY, EegRecording

CAPTION = "a large red star at the top left"


class Phantom(io.ComfyNode):
    """Simulates the EEG of a person who looks at drawn scenes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Phantom",
            display_name="EEG Phantom (simulated)",
            category=CATEGORY,
            description="Simulates the EEG of a person who is shown scenes, so that a graph can be tried and tested "
            "against a known truth without a headset. Simulated: this is not brain data.",
            search_aliases=["simulated eeg", "fake eeg", "test eeg", "synthetic eeg", "demo eeg"],
            inputs=[
                io.DynamicCombo.Input(
                    "scenes",
                    tooltip="What the simulated person is shown.",
                    options=[
                        io.DynamicCombo.Option(
                            "captions",
                            [
                                io.String.Input(
                                    "captions",
                                    default=CAPTION,
                                    multiline=True,
                                    tooltip="One scene a line: a SIZE COLOUR SHAPE PLACE, such as `a small blue ring "
                                    "on the right`.",
                                )
                            ],
                        ),
                        io.DynamicCombo.Option(
                            "picture",
                            [
                                io.Image.Input(
                                    "picture",
                                    tooltip="A picture of a scene; the one of the phantom's own scenes that it is most "
                                    "like is shown.",
                                )
                            ],
                        ),
                        io.DynamicCombo.Option(
                            "many, to train on",
                            [
                                io.Int.Input(
                                    "count",
                                    default=300,
                                    min=2,
                                    max=600,
                                    tooltip="How many different scenes, none of which an encoder is tested with.",
                                )
                            ],
                        ),
                    ],
                ),
                io.Int.Input(
                    "repeats", default=8, min=1, max=200, tooltip="How often each scene is shown, in shuffled order."
                ),
                io.Combo.Input(
                    "montage", options=list(PHANTOM_MONTAGES), default=PHANTOM_MONTAGES[0], tooltip="The headset."
                ),
                io.Float.Input(
                    "snr",
                    default=0.35,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="The evoked response against the background, single trial; 0 holds no trace of the scenes.",
                ),
                io.Int.Input(
                    "subject",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="Which simulated person; an encoder fits one of them.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Of the noise and of the order.",
                ),
            ],
            outputs=[
                EegRecording.Output(display_name="simulated recording"),
                io.Image.Output(display_name="truth", tooltip="What was shown, one picture for each scene."),
                io.String.Output(display_name="description", tooltip="Says that it is simulated, and how."),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls, scenes: dict[str, Any], repeats: int, montage: str, snr: float, subject: int, seed: int
    ) -> io.NodeOutput:
        """Simulate."""
        from ..core.phantom import session
        from ..core.recording import describe

        if scenes["scenes"] == "captions":
            shown = session.scenes_from_captions(scenes["captions"])
        elif scenes["scenes"] == "picture":
            shown = session.scenes_in_pictures(from_host_images(scenes["picture"]))
        else:
            shown = session.training_scenes(scenes["count"], seed)
        sitting = session.show(shown, repeats=repeats, montage=montage, snr=snr, subject=subject, seed=seed)
        return io.NodeOutput(sitting.recording, host_images(sitting.pictures), describe(sitting.recording))


class LoadPhantomWorld(io.ComfyNode):
    """Loads the tiny diffusion model that comes with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_LoadPhantomWorld",
            display_name="EEG Phantom World (simulated)",
            category=CATEGORY,
            description="Loads the phantom's own diffusion model, trained on drawn scenes of 64 x 64 pixels: shaped "
            "like Stable Diffusion 1.x and small enough for a CPU. For trying graphs, not for art.",
            search_aliases=["phantom checkpoint", "test checkpoint", "tiny model"],
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model"),
                io.Clip.Output(display_name="clip"),
                io.Vae.Output(display_name="vae"),
            ],
        )

    @classmethod
    @readable
    def execute(cls) -> io.NodeOutput:
        """Load the folder that comes with the pack."""
        from .phantom.phantom_world import load_phantom_world

        return io.NodeOutput(*load_phantom_world())


NODES = [Phantom, LoadPhantomWorld]
