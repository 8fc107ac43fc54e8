"""A job from its start to its end: what goes wrong ends it in plain words, and nothing of it is left in the next."""

import copy
import re

import numpy as np
import pytest
import torch
from PIL import Image

from core.conditioning.init_images import init_picture
from core.formats.toolboxes.native import save_recording
from core.preprocessing.selection import select_events
from tests.small_encoders import noise_recording
from tests.webui_processing import Model
from tests.webui_standin import Script, encoder, standing_in, write_encoders

GREY = Image.new("RGB", (64, 64), (128, 128, 128))


def asked(name: str = "text", **fields) -> list:
    return [{"recording": "noise.safetensors", "encoder": f"{name}.safetensors", **fields}]


@pytest.fixture(params=["a1111", "forge"])
def host(tmp_path, request):
    with standing_in(tmp_path, forge=request.param == "forge") as made:
        write_encoders(made.encoders, "text")
        save_recording(noise_recording(), made.recordings / "noise.safetensors")
        yield made


def pixels(processed) -> list[bytes]:
    return [image.tobytes() for image in processed.images]


def kinds_of_jobs():
    return [{}, {"img2img": True, "init_images": [GREY]}, {"enable_hr": True}]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"recording": "not there.edf"}, "no recording called 'not there.edf'"),
        ({"recording": ""}, "no recording chosen"),
        ({"encoder": "gone.safetensors"}, "no EEG encoder called 'gone.safetensors'; there are: .*text.safetensors"),
        ({"encoder": ""}, "no EEG encoder chosen"),
        ({"label": "cat"}, "no event is labelled 'cat'; this recording's events: 'house' x 3"),
        ({"strength": 3}, "strength of 'replace' lies between 0 and 2"),
        ({"start": 0.5, "end": 0.5}, "0 <= start < end <= 1"),
        ({"colour": "red"}, "there is no field colour; the fields are recording, encoder"),
        ({"which": "x"}, "'x' is no number of an event"),
        ({"choose": "times", "times": "99"}, "99 s lies outside the recording"),
        ({"choose": "times"}, "no times given"),
        ({"init": "saliency"}, "needs an encoder with a 'saliency' head; this one has sd1.text"),
        ({"recording": "!" * 400}, "no base64"),
    ],
)
def test_what_cannot_work_ends_the_job_with_its_words(host, fields, words):
    for job in kinds_of_jobs():
        with pytest.raises(ValueError, match=f"^EEG conditioning: .*{words}"):
            host.draw(asked(**fields), **job)
    assert host.reported == []
    assert host.processing.seen == []


def test_a_failure_ends_the_job_where_another_script_has_replaced_init(host):
    class Replacing(Script):
        def process(self, p, *args):
            p.init = lambda *args: None

    runner, _ = host.runner(False)
    runner.alwayson_scripts.append(replacing := Replacing())
    replacing.args_from = replacing.args_to = 0
    with pytest.raises(ValueError, match=r"^EEG conditioning: no EEG encoder chosen"):
        host.draw(asked(encoder=""))


def test_an_encoder_of_another_family_ends_the_job_and_names_both(host):
    host.shared.sd_model = Model("sdxl")
    with pytest.raises(ValueError, match=r"^EEG conditioning: .*sd1\.text gives 77 x 768.*the model takes.*2048"):
        host.draw(asked())


def test_a_model_that_no_family_is_like_ends_the_job_and_names_the_widths(host):
    host.shared.sd_model = Model("odd")
    with pytest.raises(ValueError, match=r"takes text of width 640, which no known family has: .*768"):
        host.draw(asked())


def test_the_fallback_of_an_encoder_that_was_never_calibrated_ends_the_job(host):
    write_encoders(host.encoders, "timid")
    with pytest.raises(ValueError, match=r"'timid\.safetensors' was never calibrated"):
        host.draw(asked("timid", fallback=True))
    assert len(host.draw(asked("timid")).images) == 1


def test_a_window_at_the_edge_is_left_out_and_said(host):
    for times in ("11.9, 2", "2, 11.9"):
        drawn = host.draw(asked(choose="times", times=times), n_iter=2)
        assert [re.search(r"EEG window: ([^,]+)", text)[1] for text in drawn.infotexts] == ["2 s", "2 s"]
        [comment] = drawn.comments
        assert comment.startswith("EEG conditioning: 1 of 2 moments left out: outside the recording (")
    with pytest.raises(ValueError, match=r"^EEG conditioning: no window is left of 1: outside the recording"):
        host.draw(asked(choose="times", times="11.9"))
    assert host.draw(asked()).comments == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two words"), "EEG conditioning: two words"),
        (KeyError("crossattn"), "EEG conditioning: KeyError: 'crossattn'"),
        (MemoryError(), "EEG conditioning: not enough memory"),
        (ModuleNotFoundError("No module named 'sklearn'", name="sklearn"), "the package 'scikit-learn' is needed"),
    ],
)
@pytest.mark.parametrize("job", kinds_of_jobs(), ids=["txt2img", "img2img", "hires"])
def test_a_failure_inside_the_samplers_hook_ends_the_job(host, monkeypatch, job, error, words):
    def fail(*args, **kwargs):
        raise error

    plain = pixels(host.draw(**job))
    monkeypatch.setattr(host.ours("generation.denoising"), "steered", fail)
    with pytest.raises(ValueError, match=words):
        host.draw(asked(), **job)
    assert len([one for one in host.processing.seen if one.step == 0]) <= 3  # stopped at once, not after all steps
    assert host.reported == []
    monkeypatch.undo()
    assert pixels(host.draw(**job)) == plain
    assert len(host.draw(asked(), **job).images) == 1


def test_a_failure_in_the_second_pass_ends_the_job(host, monkeypatch):
    denoising = host.ours("generation.denoising")
    steered = denoising.steered

    def fail_later(cond, *args):
        if len(host.processing.seen) > 4:
            raise ValueError("in the second pass")
        return steered(cond, *args)

    monkeypatch.setattr(denoising, "steered", fail_later)
    with pytest.raises(ValueError, match="in the second pass"):
        host.draw(asked(), enable_hr=True)


def test_the_words_reach_the_job_where_the_interrupted_sampler_itself_fails(host, monkeypatch):
    """Some samplers have nothing to hand out when the first step is interrupted."""
    kind = host.processing.StableDiffusionProcessingTxt2Img
    sample = kind.sample

    def fail(*args, **kwargs):
        raise ValueError("the true reason")

    def broken(self, *args, **kwargs):
        sample(self, *args, **kwargs)
        raise TypeError("NoneType has no attribute shape")

    monkeypatch.setattr(kind, "sample", broken)
    monkeypatch.setattr(host.ours("generation.denoising"), "steered", fail)
    with pytest.raises(ValueError, match="the true reason"):
        host.draw(asked())


def run(host, p):
    host.shared.state.begin()
    return host.processing.process_images(p)


def set_args(p, host, given):
    p.script_args[host.runner(False)[0].script("EEG conditioning").args_from] = given


def test_one_processing_object_serves_job_after_job(host):
    plain = pixels(host.draw())
    first, second = pixels(host.draw(asked())), pixels(host.draw(asked(which="3")))
    assert len({*plain, *first, *second}) == 3
    p = host.prepared(asked())
    for given, wanted in ((asked()[0], first), (False, plain), (asked(which="3")[0], second), (asked()[0], first)):
        set_args(p, host, given)
        drawn = run(host, p)
        assert pixels(drawn) == wanted
        assert ("EEG encoder" in drawn.infotexts[0]) == (given is not False)
    set_args(p, host, {"encoder": "gone"})
    with pytest.raises(ValueError, match=r"no recording|no EEG encoder"):
        run(host, p)
    set_args(p, host, False)
    assert pixels(run(host, p)) == plain
    assert not {"init", "setup_conds", "sample"} & set(vars(p))


def test_copies_of_a_job_that_was_drawn_are_jobs_of_their_own(host):
    p = host.prepared(asked())
    first = pixels(run(host, p))
    other = copy.copy(p)
    other.prompt = "another prompt"
    set_args(other, host, asked(mode="blend", strength=0.5)[0])
    wanted = pixels(host.draw(asked(mode="blend", strength=0.5), prompt="another prompt"))
    assert pixels(run(host, other)) == wanted
    assert pixels(run(host, p)) == pixels(host.draw(asked(mode="blend", strength=0.5)))  # they share their arguments
    set_args(p, host, asked()[0])
    assert pixels(run(host, p)) == first


class Wrapping(Script):
    """Another extension, which wraps the job's setup_conds as its own method of one object."""

    method = "before_process"
    args_from = args_to = 0

    def __init__(self, method: str):
        self.calls: list[int] = []
        setattr(self, method, self.wrap)

    def wrap(self, p, *args):
        if hasattr(p, "theirs"):
            return
        inner = p.setup_conds

        def wrapped():
            self.calls.append(p.iteration)
            inner()

        p.setup_conds = p.theirs = wrapped


@pytest.mark.parametrize("method", ["before_process", "process"])
@pytest.mark.parametrize("first", [True, False])
def test_another_extensions_wrapper_on_the_same_method_survives(host, method, first):
    runner, _ = host.runner(False)
    theirs = Wrapping(method)
    runner.alwayson_scripts.insert(0 if first else len(runner.alwayson_scripts), theirs)
    p = host.prepared(asked(), n_iter=2)
    drawn = pixels(run(host, p))
    assert theirs.calls == [0, 1]
    set_args(p, host, False)
    plain = pixels(run(host, p))
    assert theirs.calls == [0, 1, 0, 1]
    assert p.setup_conds is p.theirs
    runner.alwayson_scripts.remove(theirs)
    assert drawn == pixels(host.draw(asked(), n_iter=2))
    assert plain == pixels(host.draw(n_iter=2))


@pytest.mark.parametrize("method", ["before_process", "process"])
def test_a_job_that_failed_leaves_nothing_under_another_extensions_wrapper(host, method):
    """Theirs lies around ours, where `release` cannot take ours off."""
    runner, _ = host.runner(False)
    plain = pixels(host.draw())
    runner.alwayson_scripts.append(Wrapping(method))
    p = host.prepared(asked(encoder=""))
    with pytest.raises(ValueError, match="no EEG encoder chosen"):
        run(host, p)
    set_args(p, host, False)
    assert pixels(run(host, p)) == plain


# Init images


def core_picture(window: int, init: str):
    return init_picture(encoder("pictures"), select_events(noise_recording()).only(window), init)


@pytest.fixture
def with_pictures(host):
    write_encoders(host.encoders, "pictures")
    return host


def started_from(host, window: int, init: str) -> Image.Image:
    found = core_picture(window, init)
    if init == "latent":
        found = Image.fromarray(
            (host.shared.sd_model.decode(found[None])[0].permute(1, 2, 0) * 255).to(torch.uint8).numpy()
        )
    return found.convert("RGB").resize((64, 64))


@pytest.mark.parametrize("init", ["saliency", "latent"])
def test_img2img_starts_every_picture_of_a_batch_from_its_own_window(with_pictures, init):
    p = with_pictures.prepared(asked("pictures", init=init), img2img=True, init_images=[GREY], batch_size=3)
    drawn = run(with_pictures, p)
    assert [one.tobytes() for one in p.init_images] == [
        started_from(with_pictures, window, init).tobytes() for window in range(3)
    ]
    assert len(drawn.images) == 3
    latents = with_pictures.shared.sd_model.encode(
        torch.stack([torch.from_numpy(np.array(one)).permute(2, 0, 1) / 255 for one in p.init_images])
    )
    assert torch.equal(p.init_latent, latents)


@pytest.mark.parametrize("init", ["saliency", "latent"])
def test_every_batch_of_img2img_starts_from_the_windows_that_its_pictures_name(with_pictures, init):
    request = asked("pictures", init=init)
    together = with_pictures.draw(request, img2img=True, init_images=[GREY], batch_size=2, n_iter=2)
    alone = [
        with_pictures.draw(
            asked("pictures", init=init, which=str(window)), img2img=True, init_images=[GREY], seed=1 + window
        )
        for window in range(4)
    ]
    assert pixels(together) == [pixels(one)[0] for one in alone]
    windows = [re.search(r"EEG window: ([^,]+)", text)[1] for text in together.infotexts]
    assert windows == [re.search(r"EEG window: ([^,]+)", one.infotexts[0])[1] for one in alone]
    assert len(set(windows)) == 4


def test_img2img_with_an_init_image_from_the_eeg_needs_no_image(with_pictures):
    assert len(with_pictures.draw(asked("pictures", init="saliency"), img2img=True, init_images=[]).images) == 1


@pytest.mark.parametrize("init", ["saliency", "latent"])
def test_txt2img_starts_from_the_eegs_picture(with_pictures, init):
    p = with_pictures.prepared(asked("pictures", init=init, which="2"), denoising_strength=0.6)
    drawn = run(with_pictures, p)
    assert p.firstpass_image.tobytes() == started_from(with_pictures, 2, init).tobytes()
    assert all(one.hires for one in with_pictures.processing.seen)
    assert drawn.images[0].size == (64, 64)
    assert drawn.comments == []
    assert "Denoising strength: 0.6" in drawn.infotexts[0]
    assert with_pictures.reported == []


def test_txt2img_with_an_init_image_draws_one_picture_and_says_so(with_pictures):
    drawn = with_pictures.draw(asked("pictures", init="saliency"), batch_size=2, n_iter=2)
    assert len(drawn.images) == 1
    assert "one picture a job" in drawn.comments[0]


def test_the_init_image_changes_the_picture_and_is_gone_in_the_next_job(with_pictures):
    plain = pixels(with_pictures.draw(img2img=True, init_images=[GREY]))
    without = pixels(with_pictures.draw(asked("pictures"), img2img=True, init_images=[GREY]))
    with_init = pixels(with_pictures.draw(asked("pictures", init="saliency"), img2img=True, init_images=[GREY]))
    assert len({*plain, *without, *with_init}) == 3
    assert pixels(with_pictures.draw(img2img=True, init_images=[GREY])) == plain


def test_an_init_image_does_not_come_back_under_another_extensions_wrapper(with_pictures):
    class Wrapping(Script):
        args_from = args_to = 0

        def process(self, p, *args):
            if not hasattr(p, "theirs"):
                inner = p.theirs = p.init
                p.init = lambda *args: inner(*args)

    plain = pixels(with_pictures.draw(img2img=True, init_images=[GREY]))
    runner, _ = with_pictures.runner(True)
    runner.alwayson_scripts.append(Wrapping())
    p = with_pictures.prepared(asked("pictures", init="saliency"), img2img=True, init_images=[GREY])
    assert pixels(run(with_pictures, p)) != plain
    set_args(p, with_pictures, False)
    p.init_images = [GREY]
    assert pixels(run(with_pictures, p)) == plain


def test_a_failure_while_the_init_image_is_made_ends_the_job(with_pictures, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the VAE is not loaded")

    monkeypatch.setattr(with_pictures.ours("generation.job"), "decode_latent", fail)
    with pytest.raises(ValueError, match=r"^EEG conditioning: RuntimeError: the VAE is not loaded"):
        with_pictures.draw(asked("pictures", init="latent"), img2img=True, init_images=[GREY])
