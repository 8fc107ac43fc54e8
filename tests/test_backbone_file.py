"""Backbone files: what is written comes back, and what does not fit is refused by name."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.model.backbone_file import load_backbone_into, read_backbone_header, save_backbone
from core.model.checkpoint import load_encoder, save_encoder
from tests.small_encoders import small_encoder

SIZES = {"patch": 16, "width": 16, "depth": 1, "n_heads": 2}


def encoder(**config):
    return small_encoder(architecture="patch-transformer", config={**SIZES, **config})


@pytest.fixture
def file(tmp_path):
    made = encoder()
    path = tmp_path / "backbone.safetensors"
    save_backbone(made.backbone, made.architecture, made.preprocessing, path, {"name": "for tests"})
    return path


def test_weights_come_back_into_an_encoder_of_the_same_config(file):
    other = encoder(dropout=0.4)  # changes no weight
    with torch.no_grad():
        for tensor in other.backbone.parameters():
            tensor.zero_()
    load_backbone_into(other, file)
    for name, tensor in encoder().backbone.state_dict().items():
        assert torch.equal(tensor, other.backbone.state_dict()[name])
    assert read_backbone_header(file)["card"] == {"name": "for tests"}


def test_another_config_architecture_channel_or_rate_is_named(file):
    with pytest.raises(ValueError, match="pre-trained with depth 1, this run has 2; change --set"):
        load_backbone_into(encoder(depth=2), file)
    with pytest.raises(ValueError, match="architecture 'patch-transformer', this run has 'nice'"):
        load_backbone_into(small_encoder(), file)
    for changes, said in (
        ({"ch_names": ("Fz", "F7", "T7", "O1", "O2", "T8", "F8", "AF4")}, "with ch_names"),
        ({"sfreq": 256.0}, "with sfreq 128.0, this run has 256.0"),
        ({"reference": "average"}, "with reference 'none'"),
    ):
        other = encoder()
        other.preprocessing = replace(other.preprocessing, **changes)
        with pytest.raises(ValueError, match=said):
            load_backbone_into(other, file)


def test_files_that_are_no_backbone_are_refused(file, tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_encoder(encoder(), path)
    with pytest.raises(ValueError, match=r"is not a backbone file .*--finetune starts from an encoder file"):
        load_backbone_into(encoder(), path)
    with pytest.raises(ValueError, match="not an encoder file"):
        load_encoder(file)
    with pytest.raises(FileNotFoundError, match="masked-pretrain"):
        load_backbone_into(encoder(), tmp_path / "nowhere.safetensors")
    for content in (b"", b"\xff" * 40, file.read_bytes()[:100]):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match="is not a backbone file"):
            load_backbone_into(encoder(), tmp_path / "bad")
    (tmp_path / "bad").write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ValueError, match="damaged"):
        load_backbone_into(encoder(), tmp_path / "bad")


def test_weights_that_are_missing_or_not_numbers_are_refused(file, tmp_path):
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    weights = load_file(file)
    save_file({**weights, "positions": weights["positions"] * float("nan")}, tmp_path / "nan", metadata=metadata)
    with pytest.raises(ValueError, match="not numbers"):
        load_backbone_into(encoder(), tmp_path / "nan")
    save_file({"positions": weights["positions"]}, tmp_path / "few", metadata=metadata)
    with pytest.raises(ValueError, match="does not hold its own config's weights"):
        load_backbone_into(encoder(), tmp_path / "few")
