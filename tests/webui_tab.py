"""What the tests of the EEG tab share: its modules, the values of its fields, and what an event leaves on the page."""

from tests.webui_standin import extension

PHANTOM = "phantom-epoc14.safetensors"
STAR, RING = "a large red star at the top left", "a small blue ring on the right"
SAME = "from the file"


def panel(name):
    """Return a module of the tab."""
    return extension(f"tab.tab_{name}")


def last(events):
    """What an event leaves on the page: the status and the outputs after the job's id and the Cancel button."""
    *_, (status, job, cancel, *outputs) = events
    assert job == ""
    assert cancel["interactive"] is False
    return status, outputs


def refused(status):
    assert status.startswith('<div class="sd-eeg-alert" role="alert">'), status
    return status


def unchanged(outputs):
    return all(isinstance(one, dict) and not {"value", "choices", "visible"} & set(one) for one in outputs)


def sitting(sources):
    """The reference of the short sitting that the first button simulates."""
    _, (reference, *_) = last(panel("recording").short_sitting(sources, ""))
    return reference


def asked(reference, encoder=PHANTOM, choose="events", label="", which="", average="per label", times=""):
    return (reference, SAME, "", encoder, choose, label, which, average, times)


def simulated(
    sources, kind="captions", captions=STAR, count=2, repeats=2, montage="muse-4", snr=0.5, subject=3, seed=1
):
    """What the phantom's panel leaves on the page."""
    return last(panel("phantom").simulate(sources, "", (kind, captions, count, repeats, montage, snr, subject, seed)))


def grey(request, settings, job):
    """Stands for a model: four pictures of one grey, the seed."""
    from PIL import Image

    job(1, 2)
    return [Image.new("RGB", (64, 64), (settings.seed, settings.seed, settings.seed))] * 4
