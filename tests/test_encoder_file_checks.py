"""Encoder files that lie: refused when they are loaded and when they are listed, in one sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.files import SHIPPED_ENCODERS
from core.model.checkpoint import load_encoder, read_header
from core.model.file_checks import check_card
from tests.webui_standin import extension

Library = extension("folders.library").Library
SHIPPED = SHIPPED_ENCODERS / "n170-subject1.safetensors"


def written(path: Path, change_header=lambda header: None, change_tensors=lambda tensors: None) -> Path:
    """The shipped encoder of real EEG with something changed."""
    header, tensors = read_header(SHIPPED), load_file(SHIPPED)
    change_header(header)
    change_tensors(tensors)
    save_file(tensors, str(path), metadata={"sd_eeg": json.dumps(header)})
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("name", ["model.heads.0.last.weight", "normaliser.scale", "evidence.effects"])
def test_weights_with_which_nothing_can_be_computed_are_refused_by_name(tmp_path, name, value):
    def spoil(tensors):
        key = name if name in tensors else sorted(one for one in tensors if one.startswith("evidence."))[0]
        tensors[key] = tensors[key].float()
        tensors[key].view(-1)[-1] = value

    with pytest.raises(ValueError, match=r"its tensor '.*' holds (values that are not finite|3e\+38)"):
        load_encoder(written(tmp_path / "spoilt.safetensors", change_tensors=spoil))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sfreq": 1e5, "tmax": 10.0}, "its preprocessing cuts windows with n_times .* its network was made for 230"),
        ({"tmax": 0.5}, "n_times"),
        ({"ch_names": ["AF7", "AF8", "TP9"]}, "n_channels 3 and its network was made for 4"),
    ],
)
def test_a_window_that_is_not_the_networks_is_refused_before_anything_is_resampled(tmp_path, change, told):
    path = written(tmp_path / "other.safetensors", lambda header: header["preprocessing"].update(change))
    with pytest.raises(ValueError, match=told):
        load_encoder(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metrics": ["0.9"]}, "its card's metrics are a list, not an object"),
        ({"name": {"en": "x"}}, "its card's name is an object, not text"),
        ({"credit": 7}, "its card's credit is a number, not text"),
        ({"simulated": "no"}, "its card's simulated is text, neither true nor false"),
    ],
)
def test_a_card_of_other_kinds_is_refused_when_loaded_and_when_listed(tmp_path, change, told):
    written(tmp_path / "card.safetensors", lambda header: header["card"].update(change))
    with pytest.raises(ValueError, match=told):
        load_encoder(tmp_path / "card.safetensors")
    (listed,) = [one for one in Library((tmp_path,)).cards() if one["name"] == "card.safetensors"]
    assert listed["card"] is None
    assert told in listed["error"]


def test_markup_in_a_card_is_text_and_a_card_may_be_empty(tmp_path):
    path = written(tmp_path / "markup ü.safetensors", lambda header: header["card"].update(name="<script>alert(1)"))
    assert load_encoder(path).card_text().startswith("<script>alert(1)")
    check_card({})
    check_card({"metrics": None, "versions": {"torch": "2"}, "unknown": [1]})


def test_the_shipped_encoders_pass():
    for path in sorted(SHIPPED_ENCODERS.glob("*.safetensors")):
        assert all(torch.isfinite(one).all() for one in load_encoder(path).state_dict().values())
