"""What a host does from a prompt to a picture, in its order, for tests without a host.

The "model" draws noise that a hash of the conditioning seeds, so that one changed bit of it gives another picture.
"""

import copy
import hashlib
import json
import re
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

WIDTHS = {"sd1": (768, 0), "sd2": (1024, 0), "sdxl": (2048, 2816), "sdxl-refiner": (1280, 2560), "odd": (640, 0)}
ScheduledPromptConditioning = namedtuple("ScheduledPromptConditioning", ["end_at_step", "cond"])


def host(name: str) -> Any:
    return sys.modules[f"modules.{name}"]


def noise(shape: tuple[int, ...], *parts: bytes) -> torch.Tensor:
    """Return noise that the bytes decide."""
    seed = int.from_bytes(hashlib.sha256(b"|".join(parts)).digest()[:6], "little")
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Model:
    """A loaded checkpoint: its text encoder, a VAE of 8 x 8 blocks, and what "draws"."""

    def __init__(self, family: str, dtype: torch.dtype = torch.float32) -> None:
        self.family, self.dtype = family, dtype
        self.width, self.vector = WIDTHS[family]
        self.sd_checkpoint_info = SimpleNamespace(name=family, short_title=family)
        self.is_sdxl = family == "sdxl"
        self.encoded: list[str] = []

    def get_learned_conditioning(self, texts: Any) -> Any:
        """Encode prompts: 77 tokens for every 75 letters of the longest."""
        self.encoded += list(texts)
        tokens = 77 * max(1, *(-(-len(text) // 75) for text in texts))
        words = [text.encode() for text in texts]
        context = torch.stack([noise((tokens, self.width), word, b"context") for word in words]).to(self.dtype)
        if not self.vector:
            return context
        sizes = torch.full((len(words), self.vector - 1280), float(texts.width + 2 * texts.height))
        pooled = torch.stack([noise((1280,), word, b"pooled") for word in words])
        return {"crossattn": context, "vector": torch.cat([pooled, sizes], dim=1).to(self.dtype)}

    def predict(self, x: torch.Tensor, cond: Any) -> torch.Tensor:
        """Return what a U-Net would, for each row of a conditioning."""
        tensors = list(cond.values()) if isinstance(cond, dict) else [cond]
        assert all(one.shape[-1] in (self.width, self.vector) for one in tensors), "conditioning of another model"
        rows = [[one[row].float().contiguous().numpy().tobytes() for one in tensors] for row in range(len(tensors[0]))]
        return torch.stack([noise(tuple(x.shape[1:]), *row) for row in rows])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return pictures (n, 3, h, w) in [0, 1]."""
        pixels = latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)
        return torch.sigmoid(pixels)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return latents (n, 4, h/8, w/8)."""
        small = torch.logit(torch.nn.functional.avg_pool2d(pictures, 8), eps=1e-4)
        return torch.cat([small, small.mean(1, keepdim=True)], dim=1)


# modules.prompt_parser


class SdConditioning(list):
    """Prompts, with the size of the picture that SDXL wants to know."""

    def __init__(self, prompts, is_negative_prompt=False, width=None, height=None, copy_from=None):
        super().__init__(prompts)
        source = prompts if copy_from is None else copy_from
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)


class DictWithShape(dict):
    """SDXL's conditioning of a step: `crossattn` and `vector`, with a shape."""

    def __init__(self, x, shape=None):
        super().__init__(x)

    @property
    def shape(self):
        return self["crossattn"].shape


class ComposableScheduledPromptConditioning:
    def __init__(self, schedules, weight=1.0):
        self.schedules, self.weight = schedules, weight


class MulticondLearnedConditioning:
    def __init__(self, shape, batch):
        self.shape, self.batch = shape, batch


def get_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    known: dict[str, Any] = {}
    for prompt in prompts:
        if prompt not in known:
            found = model.get_learned_conditioning(SdConditioning([prompt], copy_from=prompts))
            one = {key: value[0] for key, value in found.items()} if isinstance(found, dict) else found[0]
            known[prompt] = [ScheduledPromptConditioning(steps, one)]
    return [known[prompt] for prompt in prompts]


def get_multicond_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    """Encode prompts whose parts are joined by AND, each with a weight after a colon."""
    pictures: list[list[tuple[str, float]]] = []
    for prompt in prompts:
        parts = []
        for part in re.split(r"\bAND\b", prompt):
            text, colon, weight = part.rpartition(":")
            weighted = bool(colon) and re.fullmatch(r"\s*[-+]?\d*\.?\d+\s*", weight)
            parts.append((text, float(weight)) if weighted else (part.strip(), 1.0))
        pictures.append(parts)
    different = list(dict.fromkeys(text for parts in pictures for text, _ in parts))
    found = get_learned_conditioning(model, SdConditioning(different, copy_from=prompts), steps)
    known = dict(zip(different, found, strict=True))
    return MulticondLearnedConditioning(
        (len(prompts),),
        [[ComposableScheduledPromptConditioning(known[text], weight) for text, weight in one] for one in pictures],
    )


def stacked(conds: list[Any]) -> Any:
    """Return one tensor, or DictWithShape, of several; shorter ones end with their last token repeated."""
    if isinstance(conds[0], dict):
        return DictWithShape({key: stacked([one[key] for one in conds]) for key in conds[0]})
    longest = max(len(one) for one in conds)
    padded = [torch.cat([one, one[-1:].expand(longest - len(one), -1)]) if one.ndim == 2 else one for one in conds]
    return torch.stack(padded)


def reconstruct_cond_batch(c, current_step):
    return stacked([schedules[0].cond for schedules in c])


def reconstruct_multicond_batch(c, current_step):
    rows, pictures = [], []
    for parts in c.batch:
        pictures.append([(len(rows) + number, part.weight) for number, part in enumerate(parts)])
        rows += [part.schedules[0].cond for part in parts]
    return pictures, stacked(rows)


# modules.infotext_utils


def quote(text):
    return json.dumps(text, ensure_ascii=False) if any(mark in str(text) for mark in ",\n:") else text


PARAMETER = re.compile(r'\s*(?P<name>\w[\w \-/]+):\s*(?P<value>"(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def parse_generation_parameters(x: str) -> dict[str, str]:
    """Return the parameters in a picture's infotext; a value such as 64x64 is split in two, as sizes are."""
    *lines, last = x.strip().split("\n")
    if len(PARAMETER.findall(last)) < 3:
        lines, last = [*lines, last], ""
    found = {}
    for match in PARAMETER.finditer(last):
        name, value = match["name"], match["value"]
        if value[:1] == '"' == value[-1:]:
            try:
                value = json.loads(value)
            except ValueError:
                value = match["value"]
        size = re.match(r"^(\d+)x(\d+)$", value)
        found.update({f"{name}-1": size[1], f"{name}-2": size[2]} if size else {name: value})
    prompt, _, negative = "\n".join(lines).partition("\nNegative prompt: ")
    return {**found, "Prompt": prompt, "Negative prompt": negative}


def paste(fields: list[tuple[Any, Any]], text: str) -> dict[Any, Any]:
    """Return what pasting an infotext sets, by component; a component that stays as it is is left out."""
    parameters, found = parse_generation_parameters(text), {}
    for component, source in fields:
        value = source(parameters) if callable(source) else parameters.get(source)
        if value is None:
            continue
        kind = type(component.value)
        try:
            found[component] = False if kind is bool and value == "False" else kind(value)
        except (TypeError, ValueError):
            continue
    return found


# modules.processing


@dataclass
class StableDiffusionProcessing:
    """A job: what is asked for, and what the host keeps on it while it works."""

    prompt: str = "a prompt"
    negative_prompt: str = ""
    seed: int = 1
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 4
    cfg_scale: float = 7.0
    width: int = 64
    height: int = 64
    denoising_strength: float | None = None
    sampler_name: str = "Euler"
    refiner: Model | None = None
    refiner_switch_at: float = 0.5
    firstpass_image: Any = None
    extra_generation_params: dict = field(default_factory=dict)
    script_args: list = field(default_factory=list)
    scripts: Any = None

    cached_c = [None, None]  # noqa: RUF012  (of the class, as the host's, so that jobs share it)
    cached_uc = [None, None]  # noqa: RUF012

    def __post_init__(self) -> None:
        self.comments: dict[str, int] = {}
        self.iteration, self.is_hr_pass = 0, False
        self.c = self.uc = None
        self.styles: list[str] = []
        self.override_settings: dict[str, Any] = {}
        self.all_prompts: list[str] = []
        self.prompts: list[str] = []

    @property
    def sd_model(self):
        return host("shared").sd_model

    def comment(self, text):
        self.comments[text] = 1

    def init(self, all_prompts, all_seeds, all_subseeds):
        pass

    def setup_prompts(self):
        self.all_prompts = [self.prompt] * (self.batch_size * self.n_iter)

    def cached(self, encode, prompts, caches):
        wanted = (tuple(prompts), self.steps, self.width, self.height, self.sd_model.sd_checkpoint_info.name)
        for cache in caches:
            if cache[0] == wanted:
                return cache[1]
        caches[0][:] = [wanted, encode(self.sd_model, prompts, self.steps)]
        return caches[0][1]

    def setup_conds(self):
        size = {"width": self.width, "height": self.height}
        negative = SdConditioning([self.negative_prompt] * len(self.prompts), is_negative_prompt=True, **size)
        self.uc = self.cached(get_learned_conditioning, negative, [self.cached_uc])
        self.c = self.cached(get_multicond_learned_conditioning, SdConditioning(self.prompts, **size), [self.cached_c])
        if host("processing").forge and self.cfg_scale == 1:
            self.uc = None

    def get_conds(self):
        return self.c, self.uc

    def rng(self):
        shape = (4, self.height // 8, self.width // 8)
        return torch.stack([noise(shape, b"seed", str(seed).encode()) for seed in self.seeds])

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        raise NotImplementedError


@dataclass
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    denoising_strength: float | None = 0.75
    enable_hr: bool = False
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_prompt: str = ""
    hr_model: Model | None = None  # another checkpoint for the second pass

    cached_hr_c = [None, None]  # noqa: RUF012
    cached_hr_uc = [None, None]  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hr_c = self.hr_uc = None
        if host("processing").forge:
            self.hr_additional_modules, self.hr_cfg = None, 1.0

    def init(self, all_prompts, all_seeds, all_subseeds):
        if not self.enable_hr:
            return
        if host("processing").forge:
            assert "Use same choices" in self.hr_additional_modules
        if self.hr_upscaler not in (None, "None"):
            raise Exception(f"could not find upscaler named {self.hr_upscaler}")
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        self.extra_generation_params["Hires prompt"] = lambda p, index, **_: p.all_hr_prompts[index]
        self.hr_width = self.hr_resize_x or int(self.width * self.hr_scale)
        self.hr_height = self.hr_resize_y or int(self.height * self.hr_scale)

    def setup_prompts(self):
        super().setup_prompts()
        self.all_hr_prompts = [self.hr_prompt or self.prompt] * (self.batch_size * self.n_iter)

    def setup_conds(self):
        if self.is_hr_pass:  # asked for by a refiner
            self.hr_c = None
            self.calculate_hr_conds()
            return
        super().setup_conds()
        self.hr_c = self.hr_uc = None

    def calculate_hr_conds(self):
        if self.hr_c is not None:
            return
        size = {"width": self.hr_width, "height": self.hr_height}
        first = self.iteration * self.batch_size
        prompts = SdConditioning(self.all_hr_prompts[first : first + self.batch_size], **size)
        negative = SdConditioning([self.negative_prompt] * len(prompts), is_negative_prompt=True, **size)
        self.hr_uc = self.cached(get_learned_conditioning, negative, [self.cached_hr_uc, self.cached_uc])
        self.hr_c = self.cached(get_multicond_learned_conditioning, prompts, [self.cached_hr_c, self.cached_c])

    def get_conds(self):
        return (self.hr_c, self.hr_uc) if self.is_hr_pass else super().get_conds()

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        if self.firstpass_image is not None and self.enable_hr:
            samples = self.sd_model.encode(as_tensor([self.firstpass_image]))
        else:
            call_scripts(self, "process_before_every_sampling", x=None, noise=None, c=conditioning, uc=None)
            samples = sample(self, self.rng(), conditioning, unconditional_conditioning)
        if not self.enable_hr or host("shared").state.interrupted:
            return samples
        self.is_hr_pass = True
        if self.hr_model is not None:
            host("shared").sd_model = self.hr_model
        samples = torch.nn.functional.interpolate(samples, (self.hr_height // 8, self.hr_width // 8))
        host("shared").state.nextjob()
        self.calculate_hr_conds()
        call_scripts(self, "process_before_every_sampling", x=None, noise=None, c=self.hr_c, uc=self.hr_uc)
        samples = sample(self, samples, self.hr_c, self.hr_uc)
        self.is_hr_pass = False
        return samples


@dataclass
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = field(default_factory=list)
    denoising_strength: float | None = 0.75

    def init(self, all_prompts, all_seeds, all_subseeds):
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        pictures = as_tensor([image.resize((self.width, self.height)) for image in self.init_images])
        if len(pictures) == 1:
            pictures = pictures.expand(self.batch_size, -1, -1, -1)
        elif len(pictures) <= self.batch_size:
            self.batch_size = len(pictures)
        else:
            raise RuntimeError(f"bad number of images passed: {len(pictures)}; expecting {self.batch_size} or less")
        self.init_latent = self.sd_model.encode(pictures)

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        call_scripts(self, "process_before_every_sampling", x=None, noise=None, c=conditioning, uc=None)
        return sample(self, self.init_latent + 0.1 * self.rng(), conditioning, unconditional_conditioning)


class InterruptedException(BaseException):
    """Ends a sampling that was interrupted; the sampler hands out what it has."""


class Denoiser:
    """The host's CFGDenoiser: conditionings of a step through the callbacks, then the model."""

    def __init__(self, p, cond, uncond):
        self.p, self.cond, self.uncond, self.step, self.total_steps = p, cond, uncond, 0, p.steps

    def switch_to_refiner(self):
        p, shared = self.p, host("shared")
        if p.refiner is None or shared.sd_model is p.refiner or self.step / self.total_steps < p.refiner_switch_at:
            return
        shared.sd_model = p.refiner
        p.setup_conds()
        self.cond, self.uncond = p.get_conds()

    def forward(self, x):
        state, processing = host("shared").state, host("processing")
        if state.interrupted or state.skipped:
            raise InterruptedException
        self.switch_to_refiner()
        pictures, cond = reconstruct_multicond_batch(self.cond, self.step)
        uncond = None if self.uncond is None else reconstruct_cond_batch(self.uncond, self.step)
        callbacks = host("script_callbacks")
        rows = x if processing.forge else torch.cat([x[[i for i, one in enumerate(pictures) for _ in one]], x])
        params = callbacks.CFGDenoiserParams(
            rows, None, torch.ones(len(rows)), state.sampling_step, state.sampling_steps, cond, uncond, self
        )
        callbacks.call("cfg_denoiser", params)
        cond, uncond = params.text_cond, params.text_uncond
        processing.seen.append(
            SimpleNamespace(
                cond=copy.copy(cond), uncond=copy.copy(uncond), step=self.step, iteration=self.p.iteration,
                hires=self.p.is_hr_pass, family=self.p.sd_model.family, parts=[len(one) for one in pictures],
            )
        )  # fmt: skip
        found = self.p.sd_model.predict(x, cond)
        against = None if uncond is None else self.p.sd_model.predict(x, uncond)
        drawn = []
        for number, parts in enumerate(pictures):
            base = torch.zeros_like(x[0]) if against is None else against[number]
            scale = 1.0 if against is None else self.p.cfg_scale
            drawn.append(base + sum((weight * scale * (found[row] - base) for row, weight in parts), 0 * base))
        self.step += 1
        state.sampling_step = self.step
        return torch.stack(drawn)


def sample(p, x, cond, uncond):
    state = host("shared").state
    state.sampling_step, state.sampling_steps = 0, p.steps
    denoiser = Denoiser(p, cond, uncond)
    try:
        for _ in range(p.steps):
            x = x + denoiser.forward(x) / p.steps
    except InterruptedException:
        pass
    return x


def as_tensor(images):
    return torch.stack([torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255 for image in images])


def as_images(model, samples):
    pixels = (model.decode(samples).permute(0, 2, 3, 1) * 255).to(torch.uint8).numpy()
    return [Image.fromarray(one) for one in pixels]


def call_scripts(p, method, **kwargs):
    if p.scripts is not None:
        p.scripts.call(method, p, **kwargs)


def create_infotext(
    p, all_prompts, all_seeds, all_subseeds, comments=None, iteration=0, position_in_batch=0, use_main_prompt=False,
    index=None, all_negative_prompts=None,
):  # fmt: skip
    """Return a picture's words; parameters may be lists or functions, which are given all that is known here."""
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    prompt_text = all_prompts[index]
    negative_prompt = p.negative_prompt
    generation_params: dict[str, Any] = {
        "Steps": p.steps, "Sampler": p.sampler_name, "CFG scale": p.cfg_scale, "Seed": all_seeds[index],
        "Size": f"{p.width}x{p.height}", "Denoising strength": None, **p.extra_generation_params,
        "Version": "v1.10.1",
    }  # fmt: skip
    for key, value in generation_params.items():
        try:
            if isinstance(value, list):
                generation_params[key] = value[index]
            elif callable(value):
                generation_params[key] = value(**locals())
        except Exception:
            host("errors").report(f'Error creating infotext for key "{key}"', exc_info=True)
            generation_params[key] = None
    words = [
        key if key == value else f"{key}: {quote(value)}"
        for key, value in generation_params.items()
        if value is not None
    ]
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    return f"{prompt_text}{negative}\n{', '.join(words)}".strip()


def process_images(p):
    """Draw a job; what raises outside of scripts and callbacks ends it."""
    call_scripts(p, "before_process")
    state, loaded = host("shared").state, host("shared").sd_model
    p.setup_prompts()
    p.all_seeds = [p.seed + number for number in range(len(p.all_prompts))]
    call_scripts(p, "process")
    images, infotexts = [], []
    try:
        p.init(p.all_prompts, p.all_seeds, p.all_seeds)
        for n in range(p.n_iter):
            p.iteration = n
            if state.interrupted:
                break
            host("shared").sd_model = loaded  # a refiner has replaced it
            batch = slice(n * p.batch_size, (n + 1) * p.batch_size)
            p.prompts, p.seeds = p.all_prompts[batch], p.all_seeds[batch]
            shared = {"batch_number": n, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.seeds}
            call_scripts(p, "before_process_batch", **shared)
            call_scripts(p, "process_batch", **shared)
            p.setup_conds()
            samples = p.sample(
                conditioning=p.c, unconditional_conditioning=p.uc, seeds=p.seeds, subseeds=p.seeds,
                subseed_strength=0, prompts=p.prompts,
            )  # fmt: skip
            state.nextjob()
            images += as_images(loaded, samples)
            # The host counts pictures within their batch here: it hands over the batch's prompts alone.
            infotexts += [create_infotext(p, p.prompts, p.seeds, p.seeds, index=i) for i in range(len(samples))]
        if len(images) > 1:
            infotexts.insert(0, create_infotext(p, p.prompts, p.seeds, p.seeds, use_main_prompt=True, index=0))
    finally:
        host("shared").sd_model = loaded
    found = SimpleNamespace(
        images=images, infotexts=infotexts[1:] if len(images) > 1 else infotexts,
        grid_infotext=infotexts[0] if len(images) > 1 else None, comments=list(p.comments), p=p,
        infotext=lambda index: create_infotext(
            p, p.all_prompts, p.all_seeds, p.all_seeds, position_in_batch=index % p.batch_size,
            iteration=index // p.batch_size,
        ),
    )  # fmt: skip
    call_scripts(p, "postprocess", processed=found)
    return found


def grid(p, option, values):
    """Draw one cell of an X/Y/Z plot for each value, from copies of the job; a cell that fails stays empty."""
    cells = []
    for value in values:
        if host("shared").state.interrupted:
            cells.append(None)
            continue
        cell = copy.copy(p)
        cell.styles = cell.styles[:]
        option.apply(cell, option.type(value), values)
        try:
            cells.append(host("processing").process_images(cell))
        except Exception:
            host("errors").report("generating image for xyz plot", exc_info=True)
            cells.append(None)
    return cells


def fill(modules: dict[str, Any], forge: bool) -> None:
    """Put what stands here into a host's modules."""
    parser = modules["modules.prompt_parser"]
    for one in (
        SdConditioning, DictWithShape, ScheduledPromptConditioning, ComposableScheduledPromptConditioning,
        MulticondLearnedConditioning, get_learned_conditioning, get_multicond_learned_conditioning,
        reconstruct_cond_batch, reconstruct_multicond_batch,
    ):  # fmt: skip
        setattr(parser, one.__name__, one)
    for one in (quote, parse_generation_parameters, paste):
        setattr(modules["modules.infotext_utils"], one.__name__, one)
    processing: ModuleType = modules["modules.processing"]
    for one in (
        StableDiffusionProcessing, StableDiffusionProcessingTxt2Img, StableDiffusionProcessingImg2Img,
        process_images, create_infotext, grid,
    ):  # fmt: skip
        setattr(processing, one.__name__, one)
    processing.forge, processing.seen = forge, []
    for kind in (StableDiffusionProcessing, StableDiffusionProcessingTxt2Img):
        kind.cached_c, kind.cached_uc = [None, None], [None, None]
    StableDiffusionProcessingTxt2Img.cached_c = StableDiffusionProcessing.cached_c
    StableDiffusionProcessingTxt2Img.cached_uc = StableDiffusionProcessing.cached_uc
    StableDiffusionProcessingTxt2Img.cached_hr_c, StableDiffusionProcessingTxt2Img.cached_hr_uc = [None] * 2, [None] * 2
    modules["modules.sd_samplers_common"].single_sample_to_image = lambda sample, approximation=None: as_images(
        modules["modules.shared"].sd_model, sample[None]
    )[0]
    modules["modules.shared"].sd_model = Model("sd1")
