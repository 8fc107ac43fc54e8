"""The phantom: scenes shown to a simulated person, to try everything with no headset. No brain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from ...core.choices import PHANTOM_MONTAGES
from ..generation.fields import Sources
from .jobs import Job, follow
from .tab_parts import cancel_button, desk, gallery, number
from .tab_recording import SITTING, SITTING_REPEATS, RecordingPanel, opened

SCENES = ("captions", "many, to train on")
MAX_TRUTH = 60
ABOUT = (
    '<div class="sd-eeg-note"><span class="sd-eeg-simulated">Simulated: no brain data</span><br>A simulated person '
    "with a headset is shown drawn scenes. What the recording holds is known, so that decoding and training can be "
    "tried and checked. The encoder phantom-epoc14 was trained on subject 0 with the headset epoc-14.</div>"
)


def build_phantom(sources: Sources, recording: RecordingPanel, label: Any, average: Any, prefix: str) -> None:
    """Build what is simulated, the button and the scenes that were shown, and connect them."""
    gr.HTML(ABOUT, elem_id=f"{prefix}_about_status")
    with gr.Row():
        with gr.Column():
            scenes = gr.Radio(list(SCENES), value=SCENES[0], label="Scenes", elem_id=f"{prefix}_scenes")
            captions = gr.Textbox(
                SITTING,
                label="Captions",
                info="One scene a line: a SIZE COLOUR SHAPE PLACE",
                lines=5,
                max_lines=12,
                elem_id=f"{prefix}_captions",
            )
            count = gr.Slider(
                2, 600, value=300, step=1, label="How many scenes", visible=False, elem_id=f"{prefix}_count"
            )
        with gr.Column():
            repeats = gr.Slider(
                1, 50, value=SITTING_REPEATS, step=1, label="Shown how often", elem_id=f"{prefix}_repeats"
            )
            montage = gr.Dropdown(
                list(PHANTOM_MONTAGES), value=PHANTOM_MONTAGES[0], label="Headset", elem_id=f"{prefix}_montage"
            )
            with gr.Row():
                snr = gr.Number(0.35, label="SNR", info="0: no trace of the scenes", elem_id=f"{prefix}_snr")
                subject = gr.Number(
                    0, label="Subject", info="Which simulated person", precision=0, elem_id=f"{prefix}_subject"
                )
                seed = gr.Number(
                    0, label="Seed", info="Another seed, other noise", precision=0, elem_id=f"{prefix}_seed"
                )
    with gr.Row():
        button = gr.Button("Simulate", variant="primary", elem_id=f"{prefix}_simulate")
        cancel = cancel_button(prefix)
    place = desk(prefix, cancel)
    truth = gallery("What was shown (simulated, not brain data)", f"{prefix}_truth", columns=6, pixels=True)

    def show_fields(scenes: str) -> tuple[Any, Any]:
        return gr.update(visible=scenes == SCENES[0]), gr.update(visible=scenes == SCENES[1])

    def simulate_it(previous: str, *values: Any) -> Iterator[tuple]:
        yield from simulate(sources, previous, values)

    scenes.change(show_fields, [scenes], [captions, count], show_progress="hidden")
    inputs = [scenes, captions, count, repeats, montage, snr, subject, seed]
    outputs = [truth, recording.recording, recording.desk.status, label, average]
    place.connect(button.click, simulate_it, inputs, outputs)


def simulate(sources: Sources, previous: str, values: Sequence[Any]) -> Iterator[tuple]:
    """Simulate a sitting and make it the tab's recording; yields for [truth, recording, its status, label, average].

    values: of SCENES, captions, how many, repeats, montage, SNR, subject, seed.
    """

    def work(job: Job) -> tuple[Any, ...]:
        from ...core.phantom import session

        kind, captions, count, repeats, montage, snr, subject, seed = values
        numbers = {"subject": int(number(subject, "subject")), "seed": int(number(seed, "seed"))}
        if kind == SCENES[0]:
            scenes = session.scenes_from_captions(captions)
        else:
            scenes = session.training_scenes(int(number(count, "how many scenes")), numbers["seed"])
        sitting = session.show(
            scenes, repeats=int(number(repeats, "repeats")), montage=montage, snr=number(snr, "SNR"), **numbers
        )
        job.settle()
        reference = sources.shelf.keep_recording(sitting.recording, f"phantom-{montage}")
        description, reference, labels = opened(sources.shelf, reference, "from the file")
        truth = [
            (picture, f"{scene.caption}, simulated")
            for picture, scene in zip(sitting.pictures[:MAX_TRUTH], sitting.scenes, strict=False)
        ]
        more = len(sitting.scenes) - len(truth)
        status = described_sitting(len(sitting.scenes), len(sitting.recording.events), more)
        return status, truth, reference, description, labels, "per label"

    yield from follow("Simulating", work, 5, previous)


def described_sitting(n_scenes: int, n_events: int, more: int) -> str:
    """Return what was simulated, in HTML."""
    from ..messages import note

    hidden = f"; {more} scenes are not pictured below" if more > 0 else ""
    return note(f"Simulated {n_events} presentations of {n_scenes} scenes; now the recording above{hidden}.")
