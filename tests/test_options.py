"""The trainer's options: groups in the code, flat flags, and options.json by the fields' types, old and new."""

import json
import shutil
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated

import pytest
import torch
from safetensors.torch import load_file

from trainer.config.flags import flag, flag_values, flags_of, with_flags
from trainer.config.options import TrainOptions, train_options
from trainer.config.options_file import from_json, read_options, to_json, write_options
from trainer.config.presets import PRESETS
from trainer.train import parse_options, train
from trainer.training.run_folder import load_options

BEFORE = Path(__file__).parent / "written_before"
FLAGS = {
    "--data s": ("data", Path("s")), "--out r": ("out", Path("r")), "--resume": ("resume", True),
    "--no-resume": ("resume", False), "--encoder lstm": ("encoder", "lstm"), "--set a=1 b=2": ("set", ("a=1", "b=2")),
    "--spectrogram stft": ("spectrogram", "stft"), "--space prompts sd1.text": ("space", ("prompts", "sd1.text")),
    "--head linear": ("head", "linear"), "--rank 3": ("rank", 3), "--projector 8": ("projector", 8),
    "--head-dropout 0.5": ("head_dropout", 0.5), "--clip c": ("clip", "c"), "--images i": ("images", Path("i")),
    "--vae v": ("vae", "v"), "--latent-size 64": ("latent_size", 64), "--picture-size 128": ("picture_size", 128),
    "--generator-channels 4": ("generator_channels", 4), "--saliency-target saliency": ("saliency_target", "saliency"),
    "--scaling window": ("scaling", "window"), "--clip-sd 0": ("clip_sd", 0.0),
    "--whitening mvnn": ("whitening", "mvnn"), "--average random": ("average", "random"),
    "--test-run 3": ("test_run", "3"), "--val-share 0.2": ("val_share", 0.2),
    "--only-subject 1": ("only_subject", "1"), "--contrastive 60": ("contrastive", 60),
    "--contrast image_id": ("contrast", "image_id"), "--margin 0.1": ("margin", 0.1),
    "--mining hardest": ("mining", "hardest"), "--unit-features": ("unit_features", True),
    "--no-unit-features": ("unit_features", False), "--pretrained p": ("pretrained", Path("p")),
    "--masked 2": ("masked", 2), "--mask-ratio 0.7": ("mask_ratio", 0.7), "--loss cosine": ("loss", "cosine"),
    "--alphas 1 2 3": ("alphas", (1.0, 2.0, 3.0)), "--mode-seeking none": ("mode_seeking", "none"),
    "--temperature 0.1": ("temperature", 0.1), "--epochs 3": ("epochs", 3), "--batch 4": ("batch", 4),
    "--lr 0.5": ("lr", 0.5), "--schedule constant": ("schedule", "constant"), "--warmup 0": ("warmup", 0.0),
    "--weight-decay 0.1": ("weight_decay", 0.1), "--betas 0.5 0.6": ("betas", (0.5, 0.6)),
    "--max-norm 0": ("max_norm", 0.0), "--accumulate 2": ("accumulate", 2), "--patience 0": ("patience", 0),
    "--seed 9": ("seed", 9), "--mixed-precision bf16": ("mixed_precision", "bf16"),
    "--finetune f": ("finetune", Path("f")), "--backbone-lr 0.1": ("backbone_lr", 0.1),
    "--licence CC0": ("licence", "CC0"), "--gan-epochs 2 --space saliency": ("gan_epochs", 2),
    "--freeze backbone --finetune f": ("freeze", "backbone"), "--animate 2 --model m": ("animate", 2),
    "--model m": ("model", "m"),
}  # fmt: skip


@pytest.mark.parametrize("typed", FLAGS)
def test_a_flag_is_typed_without_its_group(typed):
    name, value = FLAGS[typed]
    assert flag_values(parse_options(typed.split()))[name] == value


def test_every_flag_of_before_the_groups_is_there_and_tried():
    before = set(json.loads((BEFORE / "run-nice" / "options.json").read_text()))
    assert before == {name for name, _ in FLAGS.values()}
    assert before <= set(flags_of(TrainOptions))


def test_help_shows_the_flags_in_groups_with_their_texts(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    shown = capsys.readouterr().out
    for group in ("data", "encoder", "targets", "training", "stages.contrastive", "stages.masked", "outputs"):
        assert f" {group} options " in shown
    assert "--stages" not in shown
    assert "--gan-epochs INT" in shown


def test_groups_hold_what_the_flags_said():
    options = train_options(data="s", encoder="lstm", set=("a=1",), contrastive=3, finetune="f", out="r")
    assert (options.data.store, options.encoder.name, options.encoder.settings) == ("s", "lstm", ("a=1",))
    assert (options.stages.contrastive.epochs, options.stages.finetune.file, options.outputs.out) == (3, "f", "r")


def test_an_unknown_flag_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no option epoch; known: data, only_subject.*licence"):
        train_options(epoch=3)


def test_what_belongs_together_is_changed_at_once():
    options = with_flags(train_options(space=("saliency",), gan_epochs=2), space=("prompts",), gan_epochs=0)
    assert options.targets.space == ("prompts",)
    with pytest.raises(ValueError, match="add saliency to --space"):
        with_flags(options, gan_epochs=1)


@dataclass(frozen=True)
class Below:
    one: int = 1
    other: Annotated[float, flag("same")] = 2.0


@dataclass(frozen=True)
class Twice:
    below: Below = field(default_factory=Below)
    same: int = 0


def test_two_fields_with_one_flag_are_refused():
    with pytest.raises(ValueError, match="two rows are called 'same'"):
        flags_of(Twice)


@pytest.mark.parametrize("name", PRESETS)
def test_options_come_back_from_their_json(name, tmp_path):
    options = with_flags(PRESETS[name], images=tmp_path / "pictures", pretrained=None)
    write_options(options, tmp_path / "options.json")
    assert read_options(TrainOptions, tmp_path / "options.json") == options


def test_json_has_the_groups_of_the_options():
    def alike(group, values):
        assert list(values) == [one.name for one in fields(group)]
        for one in fields(group):
            if is_dataclass(getattr(group, one.name)):
                alike(getattr(group, one.name), values[one.name])

    alike(TrainOptions(), json.loads(json.dumps(to_json(TrainOptions()))))


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (Path, "a/b", Path("a/b")), (Path | None, None, None), (Path | None, "a", Path("a")), (float, 1, 1.0),
        (tuple[str, ...], ["a", "b"], ("a", "b")), (tuple[float, float], [1, 0.5], (1.0, 0.5)), (bool, True, True),
        (tuple[tuple[int, ...], ...], [[1], []], ((1,), ())), (Below, {"one": 3}, Below(3, 2.0)),
    ],
)  # fmt: skip
def test_json_is_read_by_the_type(kind, value, found):
    assert from_json(kind, value, "it") == found


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (int, True, "it is True; it must be int"), (int, 1.5, "must be int"), (bool, 1, "must be bool"),
        (Path, 3, "must be Path"), (tuple[float, float], [1], "takes 2 values"), (tuple[int, ...], 3, "it is 3"),
        (Below, [1], "it must be an object"), (Below, {"two": 1}, "it has no two in this version; known: one, other"),
        (Below, {"one": "x"}, r"it\.one is 'x'"),
    ],
)  # fmt: skip
def test_json_of_another_type_is_refused_by_name(kind, value, told):
    with pytest.raises(ValueError, match=told):
        from_json(kind, value, "it")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "holds no JSON"), ("[]", "must be an object"), ('{"epochs": "many"}', "epochs is 'many'"),
        ('{"speed": 3}', "no speed in this version"), ('{"data": {"speed": 3}}', r"options\.data has no speed"),
        ('{"epochs": 0}', "--epochs must be at least 1"),
    ],
)  # fmt: skip
def test_an_options_file_that_does_not_fit_is_named(tmp_path, text, told):
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(ValueError, match=rf"options\.json.*{told}"):
        load_options(tmp_path)


@pytest.mark.parametrize(
    ("run", "made"),
    [
        ("run-nice", train_options(set=("kernel=9", "pool=9", "n_filters=4"), space=("prompts",), epochs=2, batch=8,
                                   patience=0, data=Path("store"), out=Path("run-nice"))),
        ("run-masked", with_flags(PRESETS["masked-pretrain"], masked=2, batch=8, set=("width=16",), data=Path("store"),
                                  out=Path("run-masked"))),
    ],
)  # fmt: skip
def test_options_written_flat_by_an_earlier_version_are_read(run, made):
    assert load_options(BEFORE / run) == made


def test_every_value_of_an_earlier_file_is_kept():
    for path in BEFORE.glob("run-*/options.json"):
        flat = json.loads(path.read_text())
        now = {name: to_json(value) for name, value in flag_values(load_options(path.parent)).items()}
        assert {name: now[name] for name in flat} == flat


def test_a_flag_that_an_earlier_version_did_not_have_takes_its_default(tmp_path):
    flat = json.loads((BEFORE / "run-nice" / "options.json").read_text())
    del flat["mode_seeking"]
    (tmp_path / "options.json").write_text(json.dumps(flat))
    assert load_options(tmp_path) == load_options(BEFORE / "run-nice")


def test_a_run_that_an_earlier_version_left_half_done_is_gone_on_with(tmp_path, monkeypatch):
    """Killed after the first of two epochs, beside the same run unbroken, both by the version before the groups."""
    for name in ("store", "run-interrupted"):
        shutil.copytree(BEFORE / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    typed = "--data store --out run-interrupted --set kernel=9 pool=9 n_filters=4 --space prompts --epochs 2 --batch 8"
    with pytest.raises(ValueError, match="other values of lr"):
        train(parse_options([*typed.split(), "--patience", "0", "--resume", "--lr", "0.1"]))
    found = load_file(train(parse_options([*typed.split(), "--patience", "0", "--resume"])))
    unbroken = load_file(BEFORE / "run-interrupted" / "unbroken.safetensors")
    # that version kept no evidence of what its encoder was trained on
    assert {name for name in found if not name.startswith("evidence.")} == unbroken.keys()
    # Three steps of Adam at up to 1e-3; another number of threads adds up in another order.
    assert all(torch.allclose(found[name], unbroken[name], atol=2e-3) for name in unbroken)
    rows = [json.loads(line) for line in Path("run-interrupted/metrics.jsonl").read_text().splitlines()]
    before = (BEFORE / "run-interrupted" / "metrics.jsonl").read_text().splitlines()
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[0] == json.loads(before[0])
    assert load_options(Path("run-interrupted")) == parse_options([*typed.split(), "--patience", "0"])
