"""What the sampler is given at every step: core's rows where they belong, the prompt's own everywhere else."""

import pytest
import torch

from core.conditioning.blending import pad_tokens, steer
from core.conditioning.for_host import answer
from core.formats.toolboxes.native import save_recording
from core.model.confidence import confidence_share
from core.preprocessing.selection import select_events
from tests.small_encoders import noise_recording
from tests.webui_processing import Model, SdConditioning
from tests.webui_standin import encoder, standing_in, write_encoders

PROMPT = "a prompt"


def asked(name: str = "text", **fields) -> list:
    return [{"recording": "noise.safetensors", "encoder": f"{name}.safetensors", **fields}]


def equipped(made):
    write_encoders(made.encoders, "text")
    save_recording(noise_recording(), made.recordings / "noise.safetensors")
    return made


@pytest.fixture
def host(tmp_path):
    with standing_in(tmp_path) as made:
        yield equipped(made)
        assert made.reported == []


@pytest.fixture
def forge(tmp_path):
    with standing_in(tmp_path, forge=True) as made:
        yield equipped(made)
        assert made.reported == []


def decoded(name: str = "text", family: str = "sd1", windows=(0,), model: Model | None = None):
    """What core says of single windows: one Conditioning each."""
    chosen = select_events(noise_recording())

    def encode(prompts):
        assert model is not None
        found = [model.get_learned_conditioning(SdConditioning([one], width=64, height=64)) for one in prompts]
        if isinstance(found[0], dict):
            return torch.cat([one["crossattn"] for one in found]), torch.cat([one["vector"][:, :1280] for one in found])
        return torch.cat(found), None

    encode_prompts = encode if model else None
    return [
        answer(encoder(name), chosen.only(window), family=family, encode_prompts=encode_prompts).text
        for window in windows
    ]


def contexts(*args, **more) -> torch.Tensor:
    return torch.cat([one.context for one in decoded(*args, **more)])


def plain(host, prompt: str = PROMPT, width: int = 64, height: int = 64):
    return host.shared.sd_model.get_learned_conditioning(SdConditioning([prompt], width=width, height=height))


def pixels(processed) -> list[bytes]:
    return [image.tobytes() for image in processed.images]


def test_a_job_without_eeg_is_the_hosts_own(host):
    ours = pixels(host.draw(batch_size=2))
    host.callbacks.remove_callbacks_for_function(host.ours("generation.denoising").on_cfg_denoiser)
    assert pixels(host.draw(batch_size=2)) == ours
    assert pixels(host.draw(asked(enabled=False), batch_size=2)) == ours


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_plain_picture_after_one_with_eeg_is_the_one_before_it(host, family):
    write_encoders(host.encoders, "xl")
    host.shared.sd_model = Model(family)
    first = pixels(host.draw())
    kept = host.processing.StableDiffusionProcessing.cached_c[1].batch[0][0].schedules[0].cond
    before = {key: one.clone() for key, one in kept.items()} if isinstance(kept, dict) else kept.clone()
    steered = pixels(host.draw(asked("xl" if family == "sdxl" else "text", negative="train mean", strength=1.5)))
    assert host.processing.StableDiffusionProcessing.cached_c[1].batch[0][0].schedules[0].cond is kept
    if isinstance(kept, dict):
        assert all(torch.equal(kept[key], before[key]) for key in kept)
    else:
        assert torch.equal(kept, before)
    assert steered != first
    assert pixels(host.draw()) == first
    assert (
        pixels(host.draw(asked("xl" if family == "sdxl" else "text", negative="train mean", strength=1.5))) == steered
    )


def test_every_picture_of_a_batch_is_drawn_from_its_own_window(host):
    host.draw(asked(), batch_size=3)
    rows = contexts(windows=(0, 1, 2))
    assert all(torch.equal(one.cond, rows) for one in host.processing.seen)
    assert len({row.numpy().tobytes() for row in rows}) == 3


def test_a_window_gives_the_same_numbers_whatever_is_drawn_beside_it(host):
    host.draw(asked(), batch_size=4)
    together = host.processing.seen[0].cond[3]
    host.processing.seen.clear()
    host.draw(asked(which="3"))
    assert torch.equal(host.processing.seen[0].cond[0], together)


def test_batches_go_on_with_the_windows_and_begin_again_after_the_last(host):
    host.draw(asked(), batch_size=2, n_iter=4)
    for iteration, windows in enumerate([(0, 1), (2, 3), (4, 5), (0, 1)]):
        seen = [one.cond for one in host.processing.seen if one.iteration == iteration]
        assert len(seen) == 4
        assert all(torch.equal(one, contexts(windows=windows)) for one in seen)


def test_one_window_draws_every_picture_of_a_batch(host):
    host.draw(asked(which="4"), batch_size=3)
    assert torch.equal(host.processing.seen[0].cond, contexts(windows=(4,)).expand(3, -1, -1))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_of_an_and_prompt_only_the_first_part_is_steered(host, batch_size):
    host.draw(asked(), prompt="a cat AND a dog:0.5 AND a cat", batch_size=batch_size)
    cond = host.processing.seen[0].cond
    assert len(cond) == 3 * batch_size
    assert torch.equal(cond[::3], contexts(windows=range(batch_size)))
    for part, text in ((1, " a dog"), (2, "a cat")):
        assert torch.equal(cond[part::3], plain(host, text).expand(batch_size, -1, -1))


def test_parts_of_different_lengths_keep_their_own_tokens(host):
    long = "a very long prompt " * 6
    host.draw(asked(), prompt=f"a cat AND {long.strip()}")
    cond = host.processing.seen[0].cond
    assert cond.shape == (2, 154, 768)
    assert torch.equal(cond[:1], pad_tokens(contexts(), 154))
    assert torch.equal(cond[1:], plain(host, long.strip()))


def test_forge_leaves_the_negative_out_at_cfg_1(forge):
    forge.draw(asked(negative="train mean"), cfg_scale=1)
    assert all(one.uncond is None for one in forge.processing.seen)
    assert torch.equal(forge.processing.seen[0].cond, contexts())


@pytest.mark.parametrize("mode", ["replace", "blend", "add"])
def test_sdxl_has_its_context_and_the_pooled_part_of_its_vector_steered(host, mode):
    write_encoders(host.encoders, "xl")
    host.shared.sd_model = Model("sdxl")
    host.draw(asked("xl", mode=mode, strength=0.75), batch_size=2)
    found = decoded("xl", "sdxl", windows=(0, 1))
    text, mean = plain(host), found[0].negative
    how = {"mode": mode, "strength": 0.75}
    for one in host.processing.seen:
        assert isinstance(one.cond, host.prompt_parser.DictWithShape)
        assert one.cond.shape == (2, 77, 2048)
        assert one.cond["vector"].shape == (2, 2816)
        eeg = torch.cat([one.context for one in found]), torch.cat([one.pooled for one in found])
        assert torch.equal(one.cond["crossattn"], steer(text["crossattn"], eeg[0], mean.context, **how))
        assert torch.equal(one.cond["vector"][:, :1280], steer(text["vector"][:, :1280], eeg[1], mean.pooled, **how))
        assert torch.equal(one.cond["vector"][:, 1280:], text["vector"][:, 1280:].expand(2, -1))
        assert torch.equal(one.uncond["crossattn"], plain(host, "")["crossattn"].expand(2, -1, -1))


def test_sdxl_with_and_steers_the_first_part_of_the_vector_too(host):
    write_encoders(host.encoders, "xl")
    host.shared.sd_model = Model("sdxl")
    host.draw(asked("xl"), prompt="a cat AND a dog", batch_size=2)
    cond, found = host.processing.seen[0].cond, decoded("xl", "sdxl", windows=(0, 1))
    assert torch.equal(cond["vector"][::2, :1280], torch.cat([one.pooled for one in found]))
    assert torch.equal(cond["vector"][1::2], plain(host, "a dog")["vector"].expand(2, -1))
    assert torch.equal(cond["crossattn"][1::2], plain(host, "a dog")["crossattn"].expand(2, -1, -1))


def test_the_sdxl_object_that_the_host_hands_over_stays_as_it_was(host):
    write_encoders(host.encoders, "xl")
    host.shared.sd_model = Model("sdxl")
    params, given = [], []

    def watch(one):
        params.append(one)
        given.append((one.text_cond, dict(one.text_cond), one.text_uncond, dict(one.text_uncond)))

    host.callbacks.known["cfg_denoiser"].insert(0, watch)
    host.draw(asked("xl", negative="train mean"), prompt="a cat AND a dog")
    for one, (cond, was, uncond, uncond_was) in zip(params, given, strict=True):
        assert one.text_cond is not cond
        assert all(cond[key] is was[key] for key in was)
        assert all(uncond[key] is uncond_was[key] for key in uncond_was)
    assert torch.equal(given[0][1]["crossattn"][:1], plain(host, "a cat")["crossattn"])
    assert torch.equal(given[0][1]["vector"][:1], plain(host, "a cat")["vector"])


@pytest.mark.parametrize(("mode", "strength"), [("blend", 0.0), ("add", 0.0)])
def test_strength_0_of_blend_and_add_is_the_prompt_to_the_last_bit(host, mode, strength):
    for prompt in (PROMPT, "a cat AND a dog", "x" * 200):
        without = pixels(host.draw(batch_size=2, prompt=prompt))
        assert pixels(host.draw(asked(mode=mode, strength=strength), batch_size=2, prompt=prompt)) == without


def test_strength_0_of_replace_is_the_train_mean(host):
    host.draw(asked(strength=0), batch_size=2)
    assert torch.equal(host.processing.seen[0].cond, decoded()[0].negative.context.expand(2, -1, -1))


@pytest.mark.parametrize(
    ("start", "end", "acts"),
    [
        (0.0, 1.0, [True] * 4),
        (0.5, 1.0, [False, False, True, True]),
        (0.0, 0.5, [True, True, False, False]),
        (0.25, 0.75, [False, True, True, False]),
        (0.3, 0.4, [False] * 4),
    ],
)
def test_the_eeg_acts_between_start_and_end(host, start, end, acts):
    host.draw(asked(start=start, end=end, negative="train mean"))
    eeg, text, mean = contexts(), plain(host), decoded()[0].negative.context
    for one, acted in zip(host.processing.seen, acts, strict=True):
        assert torch.equal(one.cond, eeg if acted else text)
        assert torch.equal(one.uncond, mean if acted else plain(host, ""))


def test_the_fallback_leaves_each_picture_the_prompt_as_far_as_the_decoder_is_unsure(host):
    host.draw(asked(fallback=True), batch_size=3)
    found = decoded(windows=(0, 1, 2))
    share = confidence_share(torch.cat([one.confidence for one in found]), found[0].chance)
    eeg = torch.cat([one.context for one in found])
    wanted = steer(plain(host), eeg, found[0].negative.context, mode="replace", strength=1.0, share=share)
    assert torch.equal(host.processing.seen[0].cond, wanted)
    assert 0 < share.max() < 1


def test_the_negative_becomes_the_train_mean_only_where_asked(host):
    host.draw(asked(), batch_size=2)
    assert torch.equal(host.processing.seen[0].uncond, plain(host, "").expand(2, -1, -1))
    host.processing.seen.clear()
    host.draw(asked(negative="train mean"), batch_size=2)
    assert torch.equal(host.processing.seen[0].uncond, decoded()[0].negative.context.expand(2, -1, -1))


def test_prompts_of_an_encoder_are_read_by_the_loaded_checkpoint(host):
    write_encoders(host.encoders, "words")
    for family in ("sd1", "sdxl"):
        host.shared.sd_model = Model(family)
        host.processing.seen.clear()
        host.draw(asked("words"), batch_size=2)
        found = decoded("words", family, windows=(0, 1), model=host.shared.sd_model)
        cond = host.processing.seen[0].cond
        context = cond["crossattn"] if family == "sdxl" else cond
        assert torch.equal(context, torch.cat([one.context for one in found]))
        assert set(host.shared.sd_model.encoded) >= {"a face", "a house"}


def test_reworded_prompts_are_encoded_in_place_of_the_encoders_own(host):
    write_encoders(host.encoders, "words")
    host.draw(asked("words", prompts="a photo of a face\n a photo of a house \n"))
    assert {"a photo of a face", "a photo of a house"} <= set(host.shared.sd_model.encoded)
    assert "a face" not in host.shared.sd_model.encoded


def test_prompts_are_encoded_once_a_job(host):
    write_encoders(host.encoders, "words")
    host.draw(asked("words"), batch_size=2, n_iter=3)
    assert host.shared.sd_model.encoded.count("a face") == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_sampler_gets_the_type_that_its_model_has(host, dtype):
    host.shared.sd_model = Model("sd1", dtype)
    host.draw(asked())
    assert host.processing.seen[0].cond.dtype == dtype
    assert torch.equal(host.processing.seen[0].cond, contexts().to(dtype))


def test_the_hires_pass_is_steered_by_its_own_prompts_parts(host):
    host.draw(asked(), prompt=PROMPT, hr_prompt="a cat AND a dog", enable_hr=True, batch_size=2, n_iter=2)
    for iteration, windows in enumerate([(0, 1), (2, 3)]):
        seen = [one for one in host.processing.seen if one.iteration == iteration]
        first, second = [one for one in seen if not one.hires], [one for one in seen if one.hires]
        assert len(first) == len(second) == 4
        rows = contexts(windows=windows)
        assert all(torch.equal(one.cond, rows) for one in first)
        for one in second:
            assert torch.equal(one.cond[::2], rows)
            assert torch.equal(one.cond[1::2], plain(host, "a dog").expand(2, -1, -1))


def test_another_checkpoint_in_the_hires_pass_is_steered_by_the_head_that_fits_it(host):
    write_encoders(host.encoders, "both")
    drawn = host.draw(asked("both"), enable_hr=True, hr_model=Model("sdxl"))
    second = next(one for one in host.processing.seen if one.hires)
    assert torch.equal(second.cond["crossattn"], contexts("both", "sdxl"))
    assert drawn.comments == []


@pytest.mark.parametrize("how", ["refiner", "hr_model"])
def test_a_second_model_without_a_head_draws_from_the_prompt_and_says_so(host, how):
    given = {"refiner": Model("sdxl")} if how == "refiner" else {"enable_hr": True, "hr_model": Model("sdxl")}
    drawn = host.draw(asked(), n_iter=2, **given)
    second = [one for one in host.processing.seen if one.family == "sdxl"]
    assert second
    size = 64 if how == "refiner" else 128
    text = Model("sdxl").get_learned_conditioning(SdConditioning([PROMPT], width=size, height=size))
    assert all(torch.equal(one.cond[key], text[key]) for one in second for key in text)
    assert len(drawn.comments) == 1
    assert "The EEG did not act in the second model" in drawn.comments[0]
    assert all(torch.equal(one.cond, contexts(windows=(one.iteration,))) for one in host.processing.seen
               if one.family == "sd1")  # fmt: skip


def test_a_refiner_that_fits_is_steered_too(host):
    write_encoders(host.encoders, "words", "both")
    drawn = host.draw(asked("both"), refiner=Model("sdxl"))
    assert torch.equal(host.processing.seen[-1].cond["crossattn"], contexts("both", "sdxl"))
    host.processing.seen.clear()
    host.shared.sd_model = Model("sdxl")
    refiner = Model("sdxl-refiner")
    drawn = host.draw(asked("words"), refiner=refiner)
    found = decoded("words", "sdxl-refiner", model=refiner)[0]
    assert torch.equal(host.processing.seen[-1].cond["crossattn"], found.context)
    assert torch.equal(host.processing.seen[-1].cond["vector"][:, :1280], found.pooled)
    assert drawn.comments == []


def test_no_step_is_touched_where_the_denoiser_belongs_to_no_job(host):
    params = host.callbacks.CFGDenoiserParams(None, None, None, 0, 1, plain(host), None, object())
    host.callbacks.call("cfg_denoiser", params)
    assert torch.equal(params.text_cond, plain(host))
    params = host.callbacks.CFGDenoiserParams(None, None, None, 0, 1, plain(host), None)
    host.callbacks.call("cfg_denoiser", params)
    assert torch.equal(params.text_cond, plain(host))
