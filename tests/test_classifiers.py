"""Classifiers named by one string: the phantom's judge, SqueezeNet with real weights, transformers, torchvision."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from core.phantom.scenes import class_names, draw, split_scenes
from tests.squeezenet_file import decode
from trainer.evaluation.generation_metrics import cosine_similarity, n_way_shares
from trainer.evaluation.picture_classifiers import clip_embeddings, fitted, load_classifier, look_at
from trainer.evaluation.squeezenet import SqueezeNet

DOGS, CATS = range(151, 269), range(281, 286)


@pytest.fixture(scope="module")
def squeezenet(shared_data, tmp_path_factory):
    packed = shared_data / "weights_embeddings" / "squeezenet" / "compressed_SqueezeNet.net"
    return decode(packed, tmp_path_factory.mktemp("classifier") / "squeezenet.safetensors")


def photographs(folder, pattern, size=(320, 240)):
    """The photographs at one size, so that they make one stack."""
    stack = [np.asarray(Image.open(path).convert("RGB").resize(size)) for path in sorted(folder.glob(pattern))]
    return torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2).float() / 255


def test_squeezenet_calls_cats_cats_and_dogs_dogs(squeezenet, shared_data):
    classifier = load_classifier(str(squeezenet))
    assert len(classifier.classes) == 1000
    cats, dogs = (photographs(shared_data / "images" / "cats_dogs_cc0", f"{kind}*.jpg") for kind in ("target", "nont"))
    assert all(label in CATS for label in look_at(classifier, cats).label)
    seen = look_at(classifier, dogs)
    assert all(label in DOGS for label in seen.label)
    assert seen.features.shape == (4, 512)
    assert np.allclose(seen.probabilities.sum(axis=1), 1)


def test_fifty_way_accuracy_knows_a_picture_again_and_tells_it_from_another(squeezenet, shared_data):
    classifier = load_classifier(str(squeezenet))
    pictures = photographs(shared_data / "images" / "cats_dogs_cc0", "*.jpg")
    seen = look_at(classifier, pictures)
    darker = look_at(classifier, 0.9 * pictures)
    assert n_way_shares(darker.probabilities, seen.label).mean() > 0.9
    assert n_way_shares(seen.probabilities[[4, 5, 6, 7, 0, 1, 2, 3]], seen.label).mean() < 0.6  # dogs for cats


def test_a_classifier_of_other_weights_is_refused_with_what_is_missing(tmp_path):
    save_file({"head.weight": torch.zeros(3, 4)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"classifier\.1\.weight"):
        load_classifier(str(tmp_path / "other.safetensors"))
    weights = {name: tensor.clone() for name, tensor in SqueezeNet(7).state_dict().items()}
    del weights["features.3.squeeze.weight"]
    save_file(weights, tmp_path / "cut.safetensors")
    with pytest.raises(ValueError, match=r"features\.3\.squeeze"):
        load_classifier(str(tmp_path / "cut.safetensors"))


def test_a_squeezenet_of_few_classes_is_read_as_such(tmp_path):
    save_file(SqueezeNet(7).state_dict(), tmp_path / "seven.safetensors")
    classifier = load_classifier(str(tmp_path / "seven.safetensors"))
    assert look_at(classifier, torch.rand(2, 3, 40, 50)).probabilities.shape == (2, 7)


def test_the_judge_names_shape_and_colour_of_every_drawing():
    scenes = split_scenes()["test"][:30]
    pictures = torch.from_numpy(np.stack([draw(scene) for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    judge = load_classifier("judge")
    seen = look_at(judge, pictures)
    assert judge.classes == class_names()
    assert [judge.classes[i] for i in seen.label] == [scene.class_name for scene in scenes]
    assert seen.features.shape == (30, 128)


def small_vit(folder, n_classes=5):
    import transformers
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        num_labels=n_classes, id2label={i: f"thing {i}" for i in range(n_classes)},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    made = getattr(transformers, "ViTImageProcessorPil", None) or transformers.ViTImageProcessor
    made(size={"height": 32, "width": 32}, image_mean=[0.4] * 3, image_std=[0.2] * 3).save_pretrained(folder)
    return folder


def test_a_transformers_folder_is_a_classifier_with_its_own_classes_and_normalisation(tmp_path):
    from transformers import ViTForImageClassification

    classifier = load_classifier(str(small_vit(tmp_path)))
    assert classifier.classes == tuple(f"thing {i}" for i in range(5))
    pictures = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        wanted = ViTForImageClassification.from_pretrained(tmp_path).eval()((pictures - 0.4) / 0.2).logits.softmax(-1)
    seen = look_at(classifier, pictures)
    assert np.allclose(seen.probabilities, wanted.numpy(), atol=1e-5)
    assert seen.features.shape == (3, 16)


def test_pictures_are_cut_to_their_middle_square_before_they_are_made_small():
    wide = torch.zeros(1, 3, 20, 60)
    wide[..., 16:44] = 1.0
    assert torch.allclose(fitted(wide, 10), torch.ones(1, 3, 10, 10))
    assert fitted(wide, 0) is wide


def small_clip(folder):
    from transformers import CLIPConfig, CLIPModel

    from trainer.targets.image_encoders.preparation import clip_processor

    torch.manual_seed(0)
    tower = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model = CLIPModel(
        CLIPConfig(
            text_config={**tower, "vocab_size": 64, "max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1},
            vision_config={**tower, "image_size": 32, "patch_size": 8, "projection_dim": 12},
            projection_dim=12,
        )
    )
    model.save_pretrained(folder)
    processor = clip_processor()(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)
    return model.eval(), processor


def test_clip_similarity_is_torchmetrics_own(tmp_path):
    from torchmetrics.functional.multimodal.clip_score import _clip_score_update

    model, processor = small_clip(tmp_path)
    drawn, seen = torch.randint(0, 256, (2, 4, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)

    class Model(nn.Module):
        """torchmetrics 1.9 takes what transformers gave before it answered with an object."""

        def get_image_features(self, pixels):
            found = model.get_image_features(pixels)
            return getattr(found, "pooler_output", found)  # transformers 4 answers with the vectors

    def read(images, **_more):
        return processor(list(images), return_tensors="pt")

    theirs = _clip_score_update(list(drawn), list(seen), Model(), read)[0] / 100
    ours = cosine_similarity(*(clip_embeddings(x.float() / 255, str(tmp_path)) for x in (drawn, seen)))
    assert np.allclose(ours, theirs.detach().numpy(), atol=1e-4)


def test_a_missing_clip_says_how_to_get_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="huggingface-cli download"):
        clip_embeddings(torch.rand(1, 3, 8, 8), str(tmp_path))


@pytest.mark.parametrize(
    "error", [ImportError("no such package"), RuntimeError("operator torchvision::nms does not exist")]
)
def test_a_missing_or_broken_torchvision_is_a_readable_error(monkeypatch, error):
    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise error

    monkeypatch.setitem(sys.modules, "torchvision", Broken("torchvision"))
    with pytest.raises(ValueError, match="cannot be imported here"):
        load_classifier("torchvision:vit_b_16")


def test_a_torchvision_model_brings_its_classes_its_size_and_what_its_last_layer_reads(monkeypatch):
    network = SqueezeNet(6)

    class Bare(nn.Module):
        """torchvision's SqueezeNet takes normalised pictures; ours takes plain ones, so this one skips that."""

        def __init__(self):
            super().__init__()
            self.features, self.classifier = network.features, network.classifier

        def forward(self, x):
            return self.classifier(self.features(x)).mean((2, 3))

    class Weights:
        meta = types.MappingProxyType({"categories": [f"thing {i}" for i in range(6)]})

        def get_state_dict(self, **how):
            assert how["weights_only"]
            assert how["check_hash"]
            return Bare().state_dict()

        def transforms(self):
            return types.SimpleNamespace(crop_size=[64], mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

    models = types.SimpleNamespace(
        get_model=lambda name, weights: Bare(), get_model_weights=lambda name: types.SimpleNamespace(DEFAULT=Weights())
    )
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    pictures = torch.rand(2, 3, 64, 64)
    seen = look_at(load_classifier("torchvision:anything"), pictures)
    with torch.no_grad():
        assert np.allclose(seen.probabilities, network.eval()(pictures).softmax(-1).numpy(), atol=1e-6)
        assert np.allclose(seen.features, network.pooled(pictures).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["nothing", "./nothing", "/nothing/here.bin"])
def test_an_unknown_classifier_names_the_known_ones(name):
    with pytest.raises(FileNotFoundError, match="torchvision:NAME"):
        load_classifier(name)


def test_a_file_that_could_run_code_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"pickle")
    with pytest.raises(ValueError, match="not a classifier that is read"):
        load_classifier(str(tmp_path / "weights.pth"))
