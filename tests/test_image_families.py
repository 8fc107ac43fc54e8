"""Every family of image encoders gives the rows that its card says, of small random models of the same classes."""

import contextlib
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2Model, ViTModel

from tests.small_image_encoders import SIDE, WIDTH, small_dino, small_dinov2, small_internvit, small_open_clip
from trainer.targets.features.pictures import pictures_of
from trainer.targets.image_encoders.families import FAMILIES, IMAGE_ENCODERS
from trainer.targets.image_encoders.features_of import features_of
from trainer.targets.image_encoders.loading import CONSENT, optional_package


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def rows_of(card, photos, cache):
    rows, index = features_of(card, [one for (one,) in pictures_of(photos, ["0", "1"])], cache=cache)
    return torch.from_numpy(rows[index]).float()


def pixels_of(card, photos):
    stack = np.stack([np.asarray(Image.open(photos / f"{n}.png")) / 255 for n in (0, 1)])
    return torch.from_numpy((stack - np.array(card.mean)) / np.array(card.std)).permute(0, 3, 1, 2).float()


def small(name, source, width=WIDTH, **changes):
    return replace(
        IMAGE_ENCODERS[name], source=str(source), width=width, block_width=0, size=SIDE, crop_share=1.0,
        stored="float32", **changes,
    )  # fmt: skip


def close(found, wanted):
    torch.testing.assert_close(found, wanted.detach(), atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "made", "write"), [("dino-b16", ViTModel, small_dino), ("dinov2-b14", Dinov2Model, small_dinov2)]
)
def test_dino_gives_its_cls_or_a_blocks_tokens(photos, tmp_path, name, made, write):
    card = small(name, write(tmp_path / "model"))
    model = made.from_pretrained(card.source).eval()
    caught = []
    blocks = model.layers if hasattr(model, "layers") else model.encoder.layer
    for block in blocks:
        block.register_forward_hook(lambda module, given, out: caught.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        last = model(pixels_of(card, photos)).last_hidden_state
    close(rows_of(card, photos, tmp_path / "a"), last[:, 0])
    two = replace(card, layers=(1, 3), pooling="patch-mean", final_norm=True)
    with torch.no_grad():
        wanted = torch.stack([model.layernorm(caught[n])[:, 1:].mean(1) for n in (0, 2)], dim=1)
    close(rows_of(two, photos, tmp_path / "b"), wanted)
    assert rows_of(replace(card, size=2 * SIDE), photos, tmp_path / "c").shape == (2, WIDTH)


def test_internvit_is_read_as_published_and_none_of_its_code_is_run(photos, tmp_path):
    reference = small_internvit(tmp_path / "model")
    card = small("internvit-6b", tmp_path / "model")
    with torch.no_grad():
        blocks = reference(pixels_of(card, photos))
    close(rows_of(card, photos, tmp_path / "a"), blocks[-1][:, 1:].mean(1))
    several = replace(card, layers=(1, 2, 3), pooling="cls")
    close(rows_of(several, photos, tmp_path / "b"), torch.stack([tokens[:, 0] for tokens in blocks], dim=1))


def test_an_internvit_that_is_cut_off_or_another_is_said(photos, tmp_path):
    small_internvit(tmp_path / "model")
    card = small("internvit-6b", tmp_path / "model")
    (tmp_path / "model" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"do not fit internvit-6b: missing .*, unknown none"):
        rows_of(card, photos, tmp_path / "a")
    file = tmp_path / "model" / "model-00001-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match="cut off or of another model"):
        rows_of(card, photos, tmp_path / "a")
    assert not list((tmp_path / "a").rglob("*.safetensors"))


@contextlib.contextmanager
def without(monkeypatch, *modules):
    with monkeypatch.context() as patch:
        for module in modules:
            patch.setitem(sys.modules, module, None)
        yield


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("clip-rn50", "open_clip", "open_clip_torch"),
        ("synclr-b16", "timm", "timm"),
        ("dreamsim-ensemble", "dreamsim", "dreamsim"),
    ],
)
def test_a_missing_package_is_one_sentence(monkeypatch, photos, tmp_path, name, module, package):
    with without(monkeypatch, module), pytest.raises(ValueError, match=f"pip install {package}$") as caught:
        rows_of(IMAGE_ENCODERS[name], photos, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["dino-b16", "dinov2-g14", "internvit-6b"])
def test_missing_weights_say_where_they_are(monkeypatch, photos, tmp_path, name):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    card = IMAGE_ENCODERS[name].at(str(tmp_path / "nothing"))
    hub = re.escape(IMAGE_ENCODERS[name].source)
    with pytest.raises(FileNotFoundError, match=rf"Its weights are at https://huggingface\.co/{hub}: .*--image-source"):
        FAMILIES[card.family].load(card, "cpu")


RESNET = {"layers": (1, 1, 1, 1), "width": 8, "head_width": 8}
VIT = {"layers": 3, "width": 16, "head_width": 8, "patch_size": 8}


@pytest.mark.parametrize("vision", [RESNET, VIT])
def test_open_clip_gives_its_vector_and_its_stages_or_blocks(photos, tmp_path, vision):
    pytest.importorskip("open_clip", exc_type=ImportError)
    visual = small_open_clip(tmp_path / "model", vision)
    card = small("clip-rn50", tmp_path / "model", width=12)
    pixels = pixels_of(card, photos)
    with torch.no_grad():
        close(rows_of(card, photos, tmp_path / "a"), visual(pixels))
    caught = []
    third = visual.layer2 if vision is RESNET else visual.transformer.resblocks[1]
    third.register_forward_hook(lambda module, given, out: caught.append(out))
    with torch.no_grad():
        visual(pixels)
    wanted = caught[0].mean((2, 3)) if vision is RESNET else caught[0][:, 1:].mean(1)
    close(rows_of(replace(card, width=0, layers=(2,), pooling="patch-mean"), photos, tmp_path / "b"), wanted)
    if vision is RESNET:
        with pytest.raises(ValueError, match="a ResNet has no CLS"):
            rows_of(replace(card, layers=(2,), pooling="cls"), photos, tmp_path / "c")
        with pytest.raises(ValueError, match="differ in width; take one layer"):
            rows_of(replace(card, width=0, layers=(2, 3), pooling="patch-mean"), photos, tmp_path / "c")
    with pytest.raises(FileNotFoundError, match="no model of open_clip at"):
        rows_of(replace(card, source=str(photos)), photos, tmp_path / "d")


def test_synclr_is_read_from_its_authors_checkpoint(photos, tmp_path):
    timm = pytest.importorskip("timm", exc_type=ImportError)
    torch.manual_seed(4)
    model = timm.create_model("vit_base_patch16_224", num_classes=0, embed_dim=64, depth=2, num_heads=1).eval()
    file = tmp_path / "synclr_vit_b_16.pth"
    held = {f"module.visual.{name}": value for name, value in model.state_dict().items()}
    torch.save({"model": {**held, "module.text.other": torch.zeros(1)}}, file)
    card = small("synclr-b16", file, width=64)
    close(rows_of(card, photos, tmp_path / "a"), model(torch.stack([FAMILIES["synclr"].load(card, "cpu").prepare(
        np.asarray(Image.open(photos / f"{n}.png"))) for n in (0, 1)])))  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"syn-rep-learn .*--image-source FILE"):
        rows_of(IMAGE_ENCODERS["synclr-b16"], photos, tmp_path / "b")
    file.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match="without executing it"):
        rows_of(card, photos, tmp_path / "b")
    torch.save({"model": {"fc.weight": torch.zeros(1)}}, file)
    with pytest.raises(ValueError, match="no checkpoint of SynCLR"):
        rows_of(card, photos, tmp_path / "b")


def test_dreamsim_without_what_it_learned_is_its_base_and_downloaded_code_needs_consent(monkeypatch, photos, tmp_path):
    dreamsim = pytest.importorskip("dreamsim", exc_type=ImportError)
    peft = pytest.importorskip("peft", exc_type=ImportError)
    from dreamsim.feature_extraction import load_open_clip_as_dino as loads
    from dreamsim.feature_extraction.vision_transformer import VisionTransformer

    def tiny(patch_size):
        return VisionTransformer(patch_size=patch_size, embed_dim=24, depth=2, num_heads=2, qkv_bias=True)

    monkeypatch.setattr(loads, "vit_base", tiny)
    torch.manual_seed(5)
    model = tiny(32)
    model.pos_drop = torch.nn.LayerNorm(24)
    state = {**model.state_dict(), "proj": torch.randn(24, 12)}
    torch.save({"state_dict": state}, tmp_path / "open_clip_vitb32_pretrain.pth.tar")
    card = replace(IMAGE_ENCODERS["dreamsim-open-clip-vitb32-noalign"], source=str(tmp_path), width=12)
    found = rows_of(card, photos, tmp_path / "a")
    assert found.shape == (2, 12)
    assert not torch.allclose(found[0], found[1])
    settings = dreamsim.model.dreamsim_args["model_config"]["open_clip_vitb32"]
    base = dreamsim.PerceptualModel(**settings, device="cpu", load_dir=str(tmp_path), baseline=True).eval()
    pixels = pixels_of(card, photos)
    pixels = torch.nn.functional.interpolate(pixels, (224, 224))
    with torch.no_grad():
        close(FAMILIES["dreamsim"].load(card, "cpu").encode(list(pixels)), base.embed(pixels))
    taught = peft.get_peft_model(base, peft.LoraConfig(r=2, lora_alpha=1.0, target_modules=["qkv"]))
    for name, parameter in taught.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    aligned = replace(card, name="dreamsim-open-clip-vitb32")
    with pytest.raises(FileNotFoundError, match="no open_clip_vitb32_single_lora of dreamsim-open-clip-vitb32 at"):
        rows_of(aligned, photos, tmp_path / "b")
    taught.save_pretrained(tmp_path / "open_clip_vitb32_single_lora")
    with torch.no_grad():
        wanted = taught.eval().base_model.model.embed(pixels)
        close(FAMILIES["dreamsim"].load(aligned, "cpu").encode(list(pixels)), wanted)
    assert not torch.allclose(wanted, FAMILIES["dreamsim"].load(card, "cpu").encode(list(pixels)), atol=1e-3)
    monkeypatch.delenv(CONSENT, raising=False)
    with pytest.raises(
        ValueError, match=rf"downloaded from github.com/facebookresearch/dinov2; read it, then set {CONSENT}=1"
    ):
        rows_of(replace(IMAGE_ENCODERS["dreamsim-dinov2-vitb14-noalign"], source=str(tmp_path)), photos, tmp_path / "b")
    with pytest.raises(ValueError, match="no layers or pooling to choose"):
        rows_of(replace(card, layers=(1,), pooling="cls"), photos, tmp_path / "b")


def test_a_package_that_breaks_when_it_is_imported_is_one_sentence_too(monkeypatch, tmp_path):
    (tmp_path / "broken_vision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="nms does not exist"):
        optional_package("broken_vision", "broken-vision", IMAGE_ENCODERS["clip-rn50"])
