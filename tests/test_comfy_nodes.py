"""Every node's `execute`, on real recordings and encoders, with ComfyUI's own modules stood in for."""

import inspect
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from tests.comfy_standin import ExecutionBlocker, Interrupted, all_inputs, hosted
from tests.small_encoders import noise_recording, small_encoder

EVENTS = {"choose": "events", "label": "", "index": "", "average": "no"}
HEADS = {
    "prompts": [HeadConfig("prompts", "prompts", prompts=("a face", "a house"))],
    "text": [HeadConfig("sd1.text", "basis", rank=2)],
    "xl": [HeadConfig("sdxl.text", "basis", rank=2), HeadConfig("clip-g.image", "linear")],
    "image": [HeadConfig("clip-h.image", "linear")],
    "both": [HeadConfig("sd2.text", "basis", rank=2), HeadConfig("clip-h.image", "linear")],
}


@pytest.fixture(scope="module")
def comfy(tmp_path_factory):
    """The nodes in the stand-in, with a recording of noise in the input folder and an encoder of each kind of head."""
    base = tmp_path_factory.mktemp("comfy")
    inputs, models = base / "input", base / "models"
    inputs.mkdir()
    for seed in range(2):
        save_recording(noise_recording(seed=seed), inputs / f"noise{seed}.safetensors")
    (models / "eeg_encoders").mkdir(parents=True)
    for name, heads in HEADS.items():
        save_encoder(small_encoder(*heads), models / "eeg_encoders" / f"{name}.safetensors")
    with hosted(models, inputs) as host:
        yield host


def run(comfy, node: str, **inputs):
    """Execute a node with its schema's defaults for what is not given; returns its outputs."""
    made = comfy.nodes[f"SDEEG_{node}"]
    given = {item.id: item.default for item in made.define_schema().inputs if item.default is not None}
    return made.execute(**{**given, **inputs}).args


def recording(comfy, number: int = 0):
    return run(comfy, "LoadRecording", file=f"noise{number}.safetensors")[0]


def windows(comfy, number: int = 0, **choose):
    return run(comfy, "SelectWindows", recording=recording(comfy, number), choose={**EVENTS, **choose})[0]


def encoder(comfy, name: str):
    return run(comfy, "LoadEncoder", encoder=f"{name}.safetensors")[0]


class Clip:
    """Stands for the host's text encoder: 77 tokens for a short prompt, 154 for a long one."""

    def __init__(self, width: int = 768, pooled: int | None = 1280):
        self.width, self.pooled = width, pooled

    def tokenize(self, text):
        return text

    def encode_from_tokens(self, tokens, return_pooled):
        size, value = 77 if len(tokens) < 7 else 154, float(len(tokens))
        pooled = None if self.pooled is None else torch.full((1, self.pooled), value)
        return torch.full((1, size, self.width), value), pooled


def model(comfy, family: str, width: int | None = None):
    """Stands for a MODEL: its class and its configuration are what the host's are told by."""
    inner = getattr(comfy.modules["comfy.model_base"], family)()
    inner.model_config = SimpleNamespace(unet_config={} if width is None else {"context_dim": width})
    return SimpleNamespace(model=inner)


# What every node must have


def test_every_input_has_a_tooltip_and_is_an_argument(comfy):
    for node_id, node in comfy.nodes.items():
        schema = node.define_schema()
        assert node_id.startswith("SDEEG_")
        assert schema.category == "EEG"
        assert schema.display_name
        assert schema.description
        assert schema.search_aliases
        assert {item.id for item in schema.inputs} == set(inspect.signature(node.execute).parameters)
        bare = [name for name, item in all_inputs(schema).items() if not item.tooltip]
        assert bare == [], node_id


def test_whatever_is_simulated_says_so_in_its_title(comfy):
    for node_id, node in comfy.nodes.items():
        if "Phantom" in node_id:
            assert "simulated" in node.define_schema().display_name


def test_defaults_lie_among_the_options_and_within_the_bounds(comfy):
    for node in comfy.nodes.values():
        for item in all_inputs(node.define_schema()).values():
            if item.default is None:
                continue
            options = item.options.get("options")
            assert options is None or item.default in options
            assert item.min is None or item.min <= item.default <= item.max


# Recordings and windows


def test_names_that_lead_out_of_the_input_folder_are_refused_in_words(comfy, tmp_path):
    node = comfy.nodes["SDEEG_LoadRecording"]
    assert "leads out of ComfyUI's input folder" in node.validate_inputs(file="../secret.edf")
    assert "Upload it" in node.validate_inputs(file="not.edf")
    assert node.validate_inputs(file="noise0.safetensors") is True
    assert "5000 letters" in node.validate_inputs(file="x" * 4996 + ".edf")
    assert node.validate_inputs(file="noise0.safetensors", format="by its name") is True  # of older graphs
    assert "format 'wav' is not known" in node.validate_inputs(file="noise0.safetensors", format="wav")


def test_the_fingerprint_follows_content_and_not_time(comfy):
    node, path = comfy.nodes["SDEEG_LoadRecording"], comfy.inputs / "noise0.safetensors"
    before, stat = node.fingerprint_inputs(file=path.name), path.stat()
    path.touch()
    assert node.fingerprint_inputs(file=path.name) == before
    other = comfy.inputs / "copy.vhdr"
    other.write_bytes(b"header")
    (comfy.inputs / "copy.eeg").write_bytes(b"one")
    first = node.fingerprint_inputs(file="copy.vhdr")
    (comfy.inputs / "copy.eeg").write_bytes(b"two")
    assert node.fingerprint_inputs(file="copy.vhdr") != first
    assert stat.st_size == path.stat().st_size


def test_windows_come_together_and_one_by_one(comfy):
    chosen, count, one_by_one = run(comfy, "SelectWindows", recording=recording(comfy), choose=EVENTS)
    assert (len(chosen), count, len(one_by_one)) == (6, 6, 6)
    assert [one.labels[0] for one in one_by_one] == list(chosen.labels)
    for average, expected in (("repeats of a label", 2), ("everything", 1)):
        assert len(windows(comfy, average=average)) == expected


def test_windows_slide_and_stand_where_times_say(comfy):
    given = {"recording": recording(comfy)}
    times = run(comfy, "SelectWindows", **given, choose={"choose": "times", "times": "1.5, 3"})
    assert times[0].groups == ((1.5,), (3.0,))
    sliding = run(
        comfy, "SelectWindows", **given, choose={"choose": "sliding", "per_second": 4.0, "start": 2.0, "stop": 5.0}
    )
    assert sliding[1] == 9
    assert sliding[0].groups[0] == (2.0,)
    assert sliding[0].groups[-1] == (4.0,)


def test_an_empty_selection_lists_the_labels(comfy):
    with pytest.raises(ValueError, match=r"'nosuch'.*'face' x 3"):
        windows(comfy, label="nosuch")
    with pytest.raises(ValueError, match="no event 99"):
        windows(comfy, index="99")


# EEG Encode


def test_a_batch_of_windows_gives_a_row_each(comfy):
    positive, negative, *_ = run(comfy, "Encode", encoder=encoder(comfy, "text"), windows=windows(comfy))
    [(context, options)] = positive
    assert context.shape == (6, 77, 768)
    assert options["eeg_confidence"].shape == (6,)
    assert negative[0][0].shape == (1, 77, 768)
    assert not torch.equal(context[0], context[1])


def test_the_conditioning_is_what_core_computes(comfy):
    from core.conditioning.for_host import answer
    from core.loading.load import load_recording
    from core.model.checkpoint import load_encoder
    from core.preprocessing.selection import select_events

    positive = run(comfy, "Encode", encoder=encoder(comfy, "text"), windows=windows(comfy, label="face"))[0]
    ours = answer(
        load_encoder(comfy.models / "eeg_encoders" / "text.safetensors"),
        select_events(load_recording(comfy.inputs / "noise0.safetensors"), "face"),
    )
    assert torch.equal(positive[0][0], ours.text.context)


def test_no_strength_is_the_training_mean(comfy):
    positive, negative, *_ = run(comfy, "Encode", encoder=encoder(comfy, "text"), windows=windows(comfy), strength=0.0)
    assert torch.equal(positive[0][0][:1], negative[0][0])


def test_a_prompts_encoder_mixes_the_hosts_own_text_states(comfy):
    out = run(comfy, "Encode", encoder=encoder(comfy, "prompts"), windows=windows(comfy), clip=Clip())
    [(context, options)] = out[0]
    assert context.shape == (6, 154, 768)
    # "a face" has 6 letters and "a house" 7: a mixture of the two lies between
    assert bool(((context > 6) & (context < 7)).all())
    assert options["pooled_output"].shape == (6, 1280)
    assert "a face" in out[5]
    assert 0 < out[4] < 1


def test_prompts_can_be_reworded_line_by_line(comfy):
    given = {"encoder": encoder(comfy, "prompts"), "windows": windows(comfy), "clip": Clip()}
    assert "a mask" in run(comfy, "Encode", **given, prompts="a mask\n\na hut\n")[5]
    with pytest.raises(ValueError, match="3 prompts given, the encoder has 2"):
        run(comfy, "Encode", **given, prompts="a\nb\nc")


def test_what_an_encoder_cannot_give_blocks_only_who_asks_for_it(comfy):
    node = comfy.nodes["SDEEG_Encode"]
    given = {"encoder": encoder(comfy, "prompts"), "windows": windows(comfy)}
    positive = run(comfy, "Encode", **given)[0]
    assert isinstance(positive, ExecutionBlocker)
    assert "connect the checkpoint's CLIP" in positive.message
    node.hidden.prompt = {"9": {"inputs": {"positive": ["1", 0]}}}
    try:
        with pytest.raises(ValueError, match="connect the checkpoint's CLIP"):
            run(comfy, "Encode", **given)
    finally:
        node.hidden.prompt = {}


def test_a_model_of_another_family_is_named_with_both_shapes(comfy):
    blocked = run(
        comfy,
        "Encode",
        encoder=encoder(comfy, "text"),
        windows=windows(comfy),
        model=model(comfy, "SDXL"),
    )[0]
    assert isinstance(blocked, ExecutionBlocker)
    for part in ("sd1.text", "77 x 768", "tokens x 2048", "SDXL", "`prompts`"):
        assert part in blocked.message


def test_a_text_encoder_of_another_family_is_refused_before_sampling(comfy):
    with pytest.raises(ValueError, match=r"154 x 768.*tokens x 2048"):
        run(
            comfy,
            "Encode",
            encoder=encoder(comfy, "prompts"),
            windows=windows(comfy),
            clip=Clip(),
            model=model(comfy, "SDXL"),
        )


def test_sdxl_gets_its_pooled_vector_and_sizes(comfy):
    given = {"encoder": encoder(comfy, "xl"), "windows": windows(comfy), "model": model(comfy, "SDXL")}
    [(context, options)] = run(comfy, "Encode", **given, width=832, height=1216)[0]
    assert context.shape == (6, 77, 2048)
    assert options["pooled_output"].shape == (6, 1280)
    assert (options["width"], options["target_height"], options["crop_w"]) == (832, 1216, 0)
    assert "width" not in run(comfy, "Encode", **given, width=0)[0][0][1]


def test_image_heads_come_out_as_vision_output_and_embeds(comfy):
    out = run(comfy, "Encode", encoder=encoder(comfy, "both"), windows=windows(comfy), family="sd2")
    assert out[2]["image_embeds"].shape == (6, 1024)
    assert torch.equal(out[3], out[2].image_embeds)
    assert out[6].shape == (1, 1024)
    with pytest.raises(AttributeError, match="decoded from EEG"):
        _ = out[2].last_hidden_state


def test_sdxl_takes_only_the_image_vectors_it_was_made_for(comfy):
    out = run(comfy, "Encode", encoder=encoder(comfy, "image"), windows=windows(comfy), family="sdxl")
    assert "clip-g.image (1280)" in out[2].message
    assert out[3].shape == (6, 1024)


def test_unknown_families_are_not_guessed(comfy):
    derived = type("Flux2", (comfy.modules["comfy.model_base"].Flux,), {})()
    derived.model_config = SimpleNamespace(unet_config={})
    families = sys.modules[comfy.nodes["SDEEG_Encode"].__module__.rpartition(".")[0] + ".host.families"]
    assert families.family_of(SimpleNamespace(model=derived)) is None
    assert families.family_of(model(comfy, "Flux")) == "flux"
    assert families.family_of(model(comfy, "BaseModel", 1024)) == "sd2"
    assert families.family_of(None) is None


# EEG Blend Conditioning


@pytest.fixture
def pair(comfy):
    """A prompt's conditioning with an area, and the EEG's."""
    torch.manual_seed(0)
    text = [[torch.randn(1, 77, 768), {"pooled_output": torch.randn(1, 768), "area": (1, 2, 3, 4)}]]
    return text, run(comfy, "Encode", encoder=encoder(comfy, "text"), windows=windows(comfy))[0]


@pytest.mark.parametrize("mode", ["lerp", "slerp", "concat"])
def test_no_amount_is_the_text_bit_for_bit(comfy, pair, mode):
    text, eeg = pair
    [(context, options)] = run(comfy, "BlendConditioning", text=text, eeg=eeg, amount=0.0, mode=mode)[0]
    assert context is text[0][0]
    assert options is text[0][1]


def test_a_blend_changes_neither_input_and_keeps_the_texts_options(comfy, pair):
    text, eeg = pair
    before = text[0][0].clone(), dict(text[0][1]), eeg[0][0].clone(), dict(eeg[0][1])
    [(context, options)] = run(comfy, "BlendConditioning", text=text, eeg=eeg, amount=0.5)[0]
    assert context.shape == (6, 77, 768)
    assert options["area"] == (1, 2, 3, 4)
    assert torch.equal(text[0][0], before[0])
    assert text[0][1].keys() == before[1].keys()
    assert torch.equal(eeg[0][0], before[2])
    assert eeg[0][1].keys() == before[3].keys()
    assert torch.allclose(context, (text[0][0] + eeg[0][0]) / 2, atol=1e-6)


def test_an_unsure_decoder_falls_back_to_the_text_row_by_row(comfy, pair):
    text, eeg = pair
    sure = [[eeg[0][0][:3], {"eeg_confidence": torch.tensor([0.5, 0.75, 1.0]), "eeg_chance": 0.5}]]
    [(context, _)] = run(comfy, "BlendConditioning", text=text, eeg=sure, amount=1.0, driven_by="amount x confidence")[
        0
    ]
    assert torch.equal(context[0], text[0][0][0])
    assert torch.allclose(context[1], (text[0][0][0] + eeg[0][0][1]) / 2, atol=1e-6)
    assert torch.equal(context[2], eeg[0][0][2])
    with pytest.raises(ValueError, match="never calibrated"):
        run(comfy, "BlendConditioning", text=text, eeg=[[eeg[0][0], {}]], amount=1.0, driven_by="amount x confidence")


def test_blending_two_families_names_both_shapes(comfy, pair):
    _, eeg = pair
    with pytest.raises(ValueError, match=r"2048.*768"):
        run(comfy, "BlendConditioning", text=[[torch.zeros(1, 77, 2048), {}]], eeg=eeg, amount=0.5)
    with pytest.raises(ValueError, match="2 rows, EEG conditioning 6"):
        run(comfy, "BlendConditioning", text=[[torch.zeros(2, 77, 768), {}]], eeg=eeg, amount=0.5)


# Plots and band power


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "traces", "start": 0.0, "duration": 4.0},
        {"kind": "spectrum", "up_to": 45.0},
        {"kind": "scalp map", "low": 8.0, "high": 13.0},
        {"kind": "spectrogram", "up_to": 45.0},
    ],
    ids=lambda kind: kind["kind"],
)
def test_plots_are_pictures_of_a_recording_or_of_each_window(comfy, kind):
    [image] = run(comfy, "Plot", eeg=recording(comfy), kind=kind)
    assert image.shape[0] == 1
    assert image.shape[3] == 3
    assert 0 <= image.min() < image.max() <= 1
    assert len(run(comfy, "Plot", eeg=windows(comfy, label="face"), kind=kind)[0]) == 3


def test_band_power_gives_a_number_for_each_window_in_the_range_asked_for(comfy):
    mean, values, image = run(comfy, "BandPower", windows=windows(comfy), out_low=0.4, out_high=0.8)
    assert len(values) == 6
    assert min(values) == pytest.approx(0.4)
    assert max(values) == pytest.approx(0.8)
    assert mean == pytest.approx(np.mean(values))
    assert image.shape[0] == 1


# Phantom, trainer


def test_the_phantom_says_that_it_is_simulated(comfy):
    lines = "a large red star at the top left\na small blue ring on the right"
    out = run(comfy, "Phantom", scenes={"scenes": "captions", "captions": lines}, repeats=3)
    assert "simulated" in out[2]
    assert out[1].shape == (2, 64, 64, 3)
    assert {event.label for event in out[0].events} == set(lines.splitlines())
    shown = run(comfy, "Phantom", scenes={"scenes": "picture", "picture": out[1]}, repeats=1)
    assert [event.label for event in shown[0].events] == lines.splitlines()


def test_the_phantoms_seed_decides(comfy):
    first, again, other = (
        run(comfy, "Phantom", scenes={"scenes": "many, to train on", "count": 3}, repeats=2, seed=seed)[0]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.data, again.data)
    assert not np.array_equal(first.data, other.data)


def test_preprocessing_leaves_its_input_alone(comfy):
    given = recording(comfy)
    before = given.data.copy()
    cleaned, said = run(comfy, "Preprocess", recording=given, bad_channels="T7", reference="average", notch="50 Hz")
    assert np.array_equal(given.data, before)
    assert cleaned.ch_names == given.ch_names
    assert "T7" in said


def test_an_encoder_is_trained_saved_and_loaded_in_the_graph(comfy):
    lines = "a large red star at the top left\na small blue ring on the right"
    shown = run(comfy, "Phantom", scenes={"scenes": "captions", "captions": lines}, repeats=12)[0]
    progress = comfy.modules["comfy.model_management"].progress
    progress.clear()
    made, report, accuracy = run(comfy, "TrainEncoder", recording=shown, name="two scenes")
    assert accuracy > 0.8
    assert "chance 0.500" in report
    assert progress[-1][0] == progress[-1][1]
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    names = [run(comfy, "SaveEncoder", encoder=made, filename="two")[0] for _ in range(2)]
    assert names == ["two.safetensors", "two-2.safetensors"]
    loaded, card = run(comfy, "LoadEncoder", encoder=names[1])
    assert "PHANTOM" in card
    assert loaded.spaces == ("prompts",)


def test_cancel_ends_the_training(comfy):
    management = comfy.modules["comfy.model_management"]
    lines = "a large red star at the top left\na small blue ring on the right"
    shown = run(comfy, "Phantom", scenes={"scenes": "captions", "captions": lines}, repeats=12)[0]
    management.progress.clear()
    management.interrupt_after = 3
    try:
        with pytest.raises(Interrupted):
            run(comfy, "TrainEncoder", recording=shown)
    finally:
        management.interrupt_after = None


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 300, "nul\x00"])
def test_encoders_are_saved_under_plain_names_only(comfy, name):
    with pytest.raises(ValueError, match="no file name"):
        run(comfy, "SaveEncoder", encoder=encoder(comfy, "text"), filename=name)


def test_a_missing_package_says_how_to_install_it(comfy, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    module = sys.modules[comfy.nodes["SDEEG_Preprocess"].__module__]
    montage = sys.modules[module.__name__.replace("comfy_nodes.nodes_recording", "core.montage")]
    montage._standard.cache_clear()
    montage.normalise_name.cache_clear()
    montage._map_channels.cache_clear()
    with pytest.raises(ImportError, match=r"-m pip install mne"):
        run(comfy, "Preprocess", recording=recording(comfy), bad_channels="T7")


def test_a_broken_recording_is_named_as_in_the_list(comfy):
    (comfy.inputs / "night").mkdir(exist_ok=True)
    (comfy.inputs / "night" / "broken.edf").write_bytes(b"this is no recording" * 40)
    with pytest.raises(ValueError, match=r"^night/broken\.edf: not an EDF or BDF file"):
        run(comfy, "LoadRecording", file="night/broken.edf")
