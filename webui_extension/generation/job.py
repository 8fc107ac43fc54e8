"""One job of the host: the places in it where we act, and how a failure stops it with plain words.

The host prints whatever a Script's method raises and then draws the picture without it. What raises inside `p.init`,
`p.setup_conds` or `p.sample` stops the job: the user interface shows the words, the API answers 500 with them. So what
has to be said is raised there, by replacing the method on this one processing object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..host.host import decode_latent, family_of, prompt_encoder
from ..messages import sentence
from .denoising import STATE, first_cond, windows_of_batch
from .infotext import infotext, remove_infotext

if TYPE_CHECKING:
    from .decoded import Decoded

HOOKED = ("init", "setup_conds", "sample")
STOPPED = "_sd_eeg_stopped"  # on the processing object: the words that end this job


def release(p: Any) -> None:
    """Take our replacements off a processing object, and its EEG; another extension's stay.

    Hosts copy and reuse these objects (grids, loops), so a job may arrive with those of the job before. Where another
    extension's replacement lies around ours, ours stays, but does nothing without the state that it was made for.
    """
    setattr(p, STATE, None)
    setattr(p, STOPPED, None)
    remove_infotext(p.extra_generation_params)
    for name in HOOKED:
        found = p.__dict__.get(name)
        if hasattr(found, "sd_eeg_replaces"):
            if found.sd_eeg_replaces is None:
                del p.__dict__[name]
            else:
                p.__dict__[name] = found.sd_eeg_replaces


def replace_method(p: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a method of one processing object by `make(plain)`, where plain calls what was there before."""
    before = p.__dict__.get(name)

    def plain(*args: Any, **kwargs: Any) -> Any:
        return before(*args, **kwargs) if before is not None else getattr(type(p), name)(p, *args, **kwargs)

    replacement = make(plain)
    replacement.sd_eeg_replaces = before
    setattr(p, name, replacement)


def stop(p: Any, error: BaseException) -> None:
    """Let the job end with the error's words as soon as the host gets to it."""
    text = f"EEG conditioning: {sentence(error)}"

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*args: Any, **kwargs: Any) -> Any:
            if getattr(p, STOPPED, None) is text:
                raise ValueError(text)
            return plain(*args, **kwargs)

        return fail

    release(p)
    setattr(p, STOPPED, text)
    for name in ("init", "setup_conds"):
        replace_method(p, name, make)


def attach(p: Any, decoded: Decoded) -> None:
    """Let a job be conditioned on the EEG; `on_cfg_denoiser` finds it on the processing object."""
    setattr(p, STATE, decoded)
    p.extra_generation_params.update(infotext(decoded))

    def replace(name: str, ours: Callable[..., Any]) -> None:
        def make(plain: Callable[..., Any]) -> Callable[..., Any]:
            def act(*args: Any, **kwargs: Any) -> Any:
                if getattr(p, STATE, None) is not decoded:
                    return plain(*args, **kwargs)
                return ours(p, plain, decoded, args, kwargs)

            return act

        replace_method(p, name, make)

    replace("setup_conds", decode_after)
    replace("sample", fail_after)
    if decoded.request.init != "none":
        replace("init", init_from_eeg)


def decode_after(p: Any, plain: Callable[..., Any], decoded: Decoded, args: tuple, kwargs: dict) -> None:
    """Set the prompts' conditioning up, then decode for the family that it shows."""
    plain(*args, **kwargs)
    try:
        family, windows = family_of(first_cond(p)), windows_of_batch(p, decoded, len(p.c.batch))
        decoded.family = decoded.family or family
        if family == decoded.family:  # a refiner's comes later; `denoising.rows_on` says where it has no head
            decoded.rows_for(family, windows, prompt_encoder(p))
    except Exception as error:
        raise ValueError(f"EEG conditioning: {sentence(error)}") from error


def fail_after(p: Any, plain: Callable[..., Any], decoded: Decoded, args: tuple, kwargs: dict) -> Any:
    """Sample; what failed in the sampler's hook, where the host would swallow it, is raised here.

    An interrupted sampler may have nothing to hand out and fail over that: then, too, the first failure is the reason.
    """
    decoded.failure = None
    if decoded.start_again is not None and p.iteration:
        decoded.start_again(p.iteration * p.batch_size)
    try:
        samples = plain(*args, **kwargs)
    except Exception:
        if decoded.failure is None:
            raise
    if decoded.failure is not None:
        raise ValueError(f"EEG conditioning: {sentence(decoded.failure)}") from decoded.failure
    return samples


def prepare_init(p: Any) -> None:
    """Set a txt2img job up to start from a picture: the host's hires pass at the same size, one picture a job."""
    if hasattr(p, "init_images"):
        return
    p.enable_hr, p.hr_scale, p.hr_upscaler = True, 1.0, "None"
    p.hr_resize_x = p.hr_resize_y = 0
    p.txt2img_upscale = True
    if p.denoising_strength is None:
        p.denoising_strength = 0.75
    if p.batch_size * p.n_iter > 1:
        p.comment("txt2img with an init image from the EEG draws one picture a job; use img2img for more")
        p.batch_size = p.n_iter = 1
    if hasattr(p, "hr_additional_modules"):  # the Forge family asks which text encoders the second pass takes
        p.hr_additional_modules = ["Use same choices"]
    if hasattr(p, "hr_cfg"):
        p.hr_cfg = p.cfg_scale


def init_from_eeg(p: Any, plain: Callable[..., Any], decoded: Decoded, args: tuple, kwargs: dict) -> Any:
    """Put the EEG's pictures where the host takes its init images from, then let it go on.

    The host makes the start of img2img once a job and draws every further batch from it again; ours has other windows
    in each, so the host is let do it anew before a further batch is sampled.
    """

    def begin(first: int) -> Any:
        put_pictures(p, decoded, first)
        return plain(*args, **kwargs)

    if hasattr(p, "init_images"):
        decoded.start_again = begin
    return begin(0)


def put_pictures(p: Any, decoded: Decoded, first: int) -> None:
    """Put the pictures of a batch's windows, the first of which is the job's picture `first`, where the host looks."""
    try:
        n_pictures = p.batch_size if hasattr(p, "init_images") else 1
        pictures = [decoded.init_picture(first + number) for number in range(n_pictures)]
        images = [decode_latent(one) if decoded.request.init == "latent" else one for one in pictures]
        images = [image.convert("RGB").resize((p.width, p.height)) for image in images]
    except Exception as error:
        raise ValueError(f"EEG conditioning: {sentence(error)}") from error
    if hasattr(p, "init_images"):
        p.init_images = images
    else:
        p.firstpass_image = images[0]
