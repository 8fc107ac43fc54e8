"""Models of braindecode as encoders: refused in words where it is not installed, else trained, kept and loaded."""

import importlib
import json
import sys
import warnings
from dataclasses import asdict, fields
from types import MappingProxyType

import numpy as np
import pytest
import torch

from core.encoders import BuildContext, build_encoder, config_for, config_from_dict, config_to_dict
from core.encoders.outside import reve
from core.encoders.outside.braindecode_model import BraindecodeConfig
from core.encoders.outside.package import braindecode
from core.model.checkpoint import load_encoder, save_encoder
from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import build_trials
from trainer.config.options import train_options
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_trials

SECOND = PreprocessingConfig(ch_names=("O1", "O2", "P7", "P8"), sfreq=100.0, tmin=0.0, tmax=1.0)
CONTEXT = BuildContext(4, SECOND.n_times, 100.0, SECOND.ch_names, ((0.1, 0.0, 0.0),) * 4)
TINY = ("embed_dim=32", "depth=1", "heads=2", "head_dim=8")


def installed():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(importlib.import_module("braindecode.models"))
    except ImportError:
        return False


needs_braindecode = pytest.mark.skipif(not installed(), reason="braindecode is not installed (pip install braindecode)")


def second_trials():
    rng = np.random.default_rng(0)
    rows = [
        {"label": "ab"[n % 2], "image_id": str(n // 2), "split": ["train", "train", "val", "test"][n // 2 % 4],
         "subject": "s", "run": "1", "onset": float(n)}
        for n in range(48)
    ]  # fmt: skip
    eeg = (
        rng.standard_normal((48, 4, SECOND.n_times))
        + np.sin(np.arange(SECOND.n_times) / 5) * (np.arange(48) % 2 * 2 - 1)[:, None, None]
    )
    return build_trials((1e-5 * eeg).astype(np.float32), rows)


@pytest.mark.parametrize("name", ["braindecode", "reve"])
def test_without_the_package_one_sentence_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "braindecode", None)
    for module in [module for module in sys.modules if module.startswith("braindecode.")]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=r"a model of the package braindecode: .*pip install braindecode"):
        build_encoder(name, config_for(name, CONTEXT))


def test_a_package_that_breaks_when_it_is_loaded_is_told_from_one_that_is_missing(monkeypatch):
    def broken(name):
        raise OSError("libtorch is another one")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ValueError, match=r"cannot be loaded .libtorch is another one.: install a torchaudio made for"):
        braindecode()


def test_settings_that_are_no_fields_are_the_models_own_keywords():
    made = config_for("braindecode", CONTEXT, {"model": "EEGNet", "width": 8, "F1": 4, "drop_prob": 0.1})
    assert (made.model, made.width, made.n_times, made.sfreq) == ("EEGNet", 8, SECOND.n_times, 100.0)
    assert json.loads(made.keywords) == {"F1": 4, "drop_prob": 0.1}
    assert made.ch_names == SECOND.ch_names
    assert len(made.positions) == 12
    assert config_from_dict("braindecode", json.loads(json.dumps(config_to_dict(made)))) == made


@pytest.mark.parametrize("name", ["braindecode", "reve"])
@pytest.mark.parametrize("hostile", [0, -1, 10**12, True, "os.system", None, float("nan"), [4] * 99, {"a": 1}])
def test_hostile_values_are_refused(name, hostile):
    made = config_for(name, CONTEXT)
    for field in fields(made):
        if field.type is bool or (field.name, hostile) == ("patch_overlap", 0):
            continue
        with pytest.raises(ValueError, match=type(made).__name__):
            config_from_dict(name, {**asdict(made), field.name: hostile})


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ('{"n_chans": 3}', "sets n_chans"), ('{"a": {"b": 1}}', "object of numbers"), ("[1]", "object of numbers"),
        ("{", "no JSON"), ("[" * 3000, "no JSON"), ('{"a": NaN}', "object of numbers"), ("x" * 5000, "at most 4096"),
    ],
)  # fmt: skip
def test_keywords_are_plain_values_of_the_model_alone(keywords, told):
    with pytest.raises(ValueError, match=told):
        BraindecodeConfig(keywords=keywords)


def test_reve_asks_for_a_second():
    assert config_for("reve", CONTEXT).n_resampled >= 200
    with pytest.raises(ValueError, match=r"99 samples, 0.99 s at 100 Hz; REVE reads at least 200 samples at 200 Hz"):
        config_for("reve", BuildContext(4, 99, 100.0, SECOND.ch_names))


def test_resampling_keeps_a_tone_and_standardising_bears_flat_channels():
    seconds = np.arange(250) / 250
    eeg = torch.tensor(np.sin(2 * np.pi * 7 * seconds + 0.3), dtype=torch.float32).expand(2, 3, -1)
    wanted = torch.tensor(np.sin(2 * np.pi * 7 * np.arange(200) / 200 + 0.3), dtype=torch.float32)
    found = reve.resampled(eeg, 200)
    torch.testing.assert_close(found[0, 0, 10:-10], wanted[10:-10], atol=0.03, rtol=0)
    torch.testing.assert_close(reve.resampled(eeg, 250), eeg, atol=1e-5, rtol=1e-5)
    done = reve.standardised(torch.cat((1e-5 * torch.randn(1, 2, 300), torch.ones(1, 1, 300)), 1))
    assert (done[0, 2] == 0).all()
    torch.testing.assert_close(done[0, :2].std(1, unbiased=False), torch.ones(2))
    assert reve.standardised(torch.eye(400)[:1, None])[0, 0, 0] == reve.CLIP


@needs_braindecode
@pytest.mark.parametrize(
    ("model", "more"), [("EEGNet", ("F1=4",)), ("ShallowFBCSPNet", ("pool_time_length=20",)), ("EEGNeX", ())]
)
def test_a_model_by_its_name_is_trained_kept_and_loaded(model, more, tmp_path):
    trials = second_trials()
    options = train_options(
        encoder="braindecode", set=(f"model={model}", "width=16", *more), space=("prompts",), epochs=2, batch=8,
        average="none", person_layers=True,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # braindecode's own
        encoder = fit_encoder(trials, split_trials(trials, options), SECOND, {}, options, tmp_path / "run")
        save_encoder(encoder, tmp_path / "file.safetensors")
        loaded = load_encoder(tmp_path / "file.safetensors")
    assert encoder.backbone.config.model == model
    eeg = np.asarray(trials.eeg[:6])
    assert torch.equal(predict(loaded, eeg)["prompts"], predict(encoder, eeg)["prompts"])


@needs_braindecode
def test_what_braindecode_cannot_make_is_said():
    with pytest.raises(ValueError, match=r"no model 'EEGNett'; known: ATCNet, .*EEGNet, "):
        build_encoder("braindecode", config_for("braindecode", CONTEXT, {"model": "EEGNett"}))
    with pytest.raises(ValueError, match=r"ShallowFBCSPNet cannot be made for 4 channels and 100 samples.*no_such"):
        build_encoder("braindecode", config_for("braindecode", CONTEXT, {"no_such": 1}))
    with pytest.raises(ValueError, match=r"it answers two windows with .*, not a vector of 512 for each"):
        build_encoder("braindecode", config_for("braindecode", CONTEXT, {"model": "DANCE"}))
    with pytest.raises(ValueError, match="it cannot be made without memory, which a safe load needs"):
        build_encoder("braindecode", config_for("braindecode", CONTEXT, {"model": "EEGConformer"}))
    with pytest.raises(ValueError, match=r"cannot be made .*weights, at most"):
        build_encoder("braindecode", config_for("braindecode", CONTEXT, {"model": "EEGNet", "F1": 100_000}))


@pytest.fixture
def from_the_hub(monkeypatch):
    """Stand in for the hub: random weights of a small REVE and made-up places."""
    calls = []

    def weights(name):
        calls.append(name)
        torch.manual_seed(3)
        made = reve._network(reve.ReveConfig(4, 100, 100.0, embed_dim=32, depth=1, heads=2, head_dim=8))
        return made.state_dict(), {size: getattr(made, size) for size in reve.SIZES}

    class Bank:
        mapping = MappingProxyType({"o1": 0, "O2": 1, "P7": 2, "P8": 3, "Cz": 4})
        embedding = torch.arange(15.0).reshape(5, 3) / 15

    monkeypatch.setattr(reve, "from_hub", weights)
    monkeypatch.setattr(reve, "braindecode", lambda module="models": _with_bank(module, Bank))
    return calls


def _with_bank(module, bank):
    found = braindecode(module)
    found.RevePositionBank = bank
    return found


@needs_braindecode
def test_a_frozen_reve_is_put_in_front_of_a_linear_map_kept_and_loaded_without_the_hub(from_the_hub, tmp_path):
    trials = second_trials()
    options = train_options(encoder="reve", set=TINY, space=("prompts",), average="none", val_share=0.0)
    encoder = fit_encoder(trials, split_trials(trials, options), SECOND, {}, options)
    assert from_the_hub
    from_the_hub.clear()
    save_encoder(encoder, tmp_path / "file.safetensors")
    loaded = load_encoder(tmp_path / "file.safetensors")
    assert not from_the_hub
    eeg = np.asarray(trials.eeg[:6])
    assert torch.equal(predict(loaded, eeg)["prompts"], predict(encoder, eeg)["prompts"])
    assert not any(parameter.requires_grad for parameter in loaded.backbone.parameters())
    torch.testing.assert_close(loaded.backbone.positions[0], torch.arange(3.0) / 15)


@needs_braindecode
def test_reve_is_the_mean_of_its_own_features(from_the_hub):
    config = config_for("reve", CONTEXT, {"embed_dim": 32, "depth": 1, "heads": 2, "head_dim": 8})
    made = reve.fit_reve(torch.zeros(1, 4, SECOND.n_times), torch.zeros(1), config)
    eeg = 1e-5 * torch.randn(3, 4, SECOND.n_times)
    ready = reve.standardised(reve.resampled(eeg, config.n_resampled))
    features = made.network(ready, pos=made.positions.expand(3, -1, -1), return_features=True)["features"]
    torch.testing.assert_close(made(eeg)[:, 0], features.mean((1, 2)))
    torch.testing.assert_close(made(1000 * eeg), made(eeg), rtol=1e-3, atol=1e-4)  # its own scale, whatever the unit
    assert made(eeg[:0]).shape == (0, 1, 32)
    assert not made.train().training
    with pytest.raises(ValueError, match="REVE knows no place for Nose"):
        reve.places_of(("O1", "Nose"))
    with pytest.raises(ValueError, match="have other sizes: add --set embed_dim=32 depth=1 heads=2 head_dim=8"):
        reve.fit_reve(eeg, torch.zeros(3), config_for("reve", CONTEXT))


@needs_braindecode
def test_weights_that_cannot_be_had_say_how_to_get_them(monkeypatch):
    class Refuses:
        @staticmethod
        def from_pretrained(name):
            raise OSError("you are offline")

    monkeypatch.setattr(braindecode("models.reve"), "REVE", Refuses)
    with pytest.raises(ValueError, match=r"brain-bzh/reve-base could not be had \(OSError: you are offline\): accept"):
        reve.from_hub("brain-bzh/reve-base")
