import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.model.checkpoint import HEADER_KEY, load_encoder, read_header, save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.selection import select_events
from tests.small_encoders import conditioned, noise_recording, small_encoder


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "encoder.safetensors"
    encoder = small_encoder(
        HeadConfig("prompts", "prompts", prompts=("a face", "a house")),
        HeadConfig("clip-l.image", "basis", rank=4, concepts=("a", "b")),
    )
    save_encoder(encoder, path)
    return encoder, path


def rewrite_header(path, change):
    """Write the file again with its header changed by `change`."""
    tensors = load_file(path)
    header = read_header(path)
    change(header)
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(header)})


def test_a_loaded_encoder_gives_the_saved_ones_outputs_bit_for_bit(saved):
    encoder, path = saved
    loaded = load_encoder(path)
    eeg = torch.randn(3, 8, 128)
    for space, output in encoder(eeg).items():
        assert torch.equal(loaded(eeg)[space], output)
    assert loaded.preprocessing == encoder.preprocessing
    assert loaded.confidence == encoder.confidence
    assert loaded.card == encoder.card


@pytest.mark.parametrize("architecture", ["nice", "linear", "tangent"])
def test_every_eeg_architecture_survives_the_file(architecture, tmp_path):
    config = {"nice": {"kernel": 9, "pool": 9}, "linear": {"n_bins": 8}, "tangent": {"n_filters": 2}}[architecture]
    encoder = small_encoder(architecture=architecture, config=config)
    save_encoder(encoder, tmp_path / "e.safetensors")
    eeg = torch.randn(2, 8, 128)
    assert torch.equal(load_encoder(tmp_path / "e.safetensors")(eeg)["prompts"], encoder(eeg)["prompts"])


def test_the_file_alone_decodes_a_recording(saved):
    _, path = saved
    decoded = conditioned(load_encoder(path), select_events(noise_recording(), "face"))
    assert decoded.weights.shape == (3, 2)
    torch.testing.assert_close(decoded.weights.sum(-1), torch.ones(3))
    assert ((decoded.confidence >= 0) & (decoded.confidence <= 1)).all()
    assert "a face" in decoded.report


def test_the_file_holds_no_python_paths(saved):
    header = json.dumps(read_header(saved[1]))
    assert "core." not in header
    assert "class" not in header


def test_a_newer_version_asks_for_an_update(saved):
    rewrite_header(saved[1], lambda header: header.update(format_version=99))
    with pytest.raises(ValueError, match=r"newer sd-eeg \(format 99, this one reads 3\); update"):
        load_encoder(saved[1])


def test_a_missing_tensor_is_named(saved):
    _, path = saved
    tensors, header = load_file(path), read_header(path)
    del tensors["model.heads.0.last.weight"]
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(header)})
    with pytest.raises(ValueError, match=r"1 tensors are missing, the first is 'model\.heads\.0\.last\.weight'"):
        load_encoder(path)


def test_a_tensor_too_many_is_named(saved):
    _, path = saved
    tensors, header = load_file(path), read_header(path)
    save_file({**tensors, "model.spy": torch.zeros(1)}, path, metadata={HEADER_KEY: json.dumps(header)})
    with pytest.raises(ValueError, match=r"do not belong.*model\.spy"):
        load_encoder(path)


def test_a_config_for_other_shapes_is_refused(saved):
    rewrite_header(saved[1], lambda header: header["config"].update(n_filters=7))
    with pytest.raises(ValueError, match="its config asks for"):
        load_encoder(saved[1])


@pytest.mark.parametrize("keep", [0, 5, 100, 3000, -10])
def test_a_file_cut_short_is_one_readable_error(saved, keep):
    _, path = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"not an encoder file|cut short"):
        load_encoder(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["config"].update(n_filters=10**9),
        lambda h: h["config"].update(n_channels="many"),
        lambda h: h["config"].update(surprise=1),
        lambda h: h.update(config=[1, 2]),
        lambda h: h.update(architecture="os.system"),
        lambda h: h.update(architecture=None),
        lambda h: h.update(heads={"a": 1}),
        lambda h: h["heads"][1].update(rank=10**12),
        lambda h: h["heads"][1].update(shape=[10**6, 10**6]),
        lambda h: h["heads"].append(dict(h["heads"][0])),
        lambda h: h["preprocessing"].update(ch_names=5),
        lambda h: h["preprocessing"].update(unknown=5),
        lambda h: h.update(preprocessing=None),
        lambda h: h.update(confidence=[]),
        lambda h: h.update(format_version="one"),
        lambda h: h.update(spectrogram={"kind": "stft"}),
    ],
)
def test_a_hostile_header_is_one_readable_error(saved, change):
    rewrite_header(saved[1], change)
    with pytest.raises(ValueError, match=r"encoder\.safetensors"):
        load_encoder(saved[1])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, this is text",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 20) + b"[" * 20,
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 26) + b'{"__metadata__":{"a":"b"}}',
    ],
)
def test_what_is_no_encoder_file_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not an encoder file"):
        load_encoder(path)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="no encoder file"):
        load_encoder(tmp_path / "nothing.safetensors")


def test_an_unknown_head_lists_the_ones_there_are(saved):
    with pytest.raises(ValueError, match=r"no head for 'sd1\.text'; it has prompts, clip-l\.image"):
        saved[0].head("sd1.text")


def test_the_largest_parts_can_be_stored_in_half_the_bytes(tmp_path):
    text, picture = HeadConfig("sd1.text", "basis", rank=2), HeadConfig("saliency", "generator", shape=(3, 64, 64))
    encoder = small_encoder(text, picture)
    generator = encoder.head("saliency").generator
    torch.nn.init.normal_(generator.paint.weight, std=0.1)  # a new one draws the mean, whatever its other weights
    for path, dtype in ((tmp_path / "whole", None), (tmp_path / "half", torch.float16)):
        save_encoder(encoder, path, basis_dtype=dtype)
    large = [
        head.get_buffer(name) for head in encoder.heads for name in ("target_mean", "basis") if hasattr(head, name)
    ]
    large = sum(tensor.numel() for tensor in (*large, *generator.state_dict().values()))
    saved = (tmp_path / "whole").stat().st_size - (tmp_path / "half").stat().st_size
    assert saved == pytest.approx(2 * large, rel=0.01)
    eeg = torch.randn(4, 8, 128)
    with torch.inference_mode():
        whole, half = encoder(eeg), load_encoder(tmp_path / "half")(eeg)
    for space in encoder.spaces:
        assert 0 < (whole[space] - half[space]).abs().max() < 2e-3 * whole[space].abs().max()


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    encoder = small_encoder()
    with torch.no_grad():
        next(encoder.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"no encoder was written .*not finite.*lower --lr"):
        save_encoder(encoder, tmp_path / "encoder.safetensors")
    assert not list(tmp_path.iterdir())
