"""The encoder file: preprocessing, backbone, heads, calibration and card in one self-describing safetensors file."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..encoders import build_encoder, config_from_dict, config_to_dict, encoder_named
from ..evidence.kept import Evidence, evidence_from, evidence_shapes
from ..files import write_atomically
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.normaliser import Normaliser
from .confidence import Confidence, confidence_from
from .file_checks import check_card, check_finite, check_window
from .heads import Head, HeadConfig, Heads
from .person_layers import MAX_PEOPLE, PersonLayers
from .spectrogram import Spectrogram, SpectrogramConfig

FORMAT_VERSION = 3  # 1: without evidence, 2: without people
WITHOUT_PEOPLE = 2  # what files that tell no people apart are written as, so that older versions read them
HEADER_KEY = "sd_eeg"
MAX_HEADER_BYTES = 32 << 20
Config = TypeVar("Config")


class Backbone(nn.Module):
    """What every architecture's module has beside its weights."""

    config: Any
    n_tokens: int
    width: int


class EegEncoder(nn.Module):
    """Everything between a recording and a target space: normalised eeg (batch, channels, times) → one output for each
    head.

    preprocessing, normaliser: replayed on whatever recording comes in. architecture, config: the backbone's registry
    name and config. heads: one config for each target space, the first is the main one. spectrogram: for backbones
    that read pictures. confidence: one calibration for each space. evidence: what tells whether a recording holds
    anything for it, None in files of older versions. card: what a user should know, plain JSON. people: whose windows
    it tells apart, a backbone's person 0, 1 and so on; none for most. person_layers: a linear layer over time for each
    of them in front of everything else.
    """

    def __init__(
        self,
        preprocessing: PreprocessingConfig,
        normaliser: Normaliser,
        architecture: str,
        config: Any,
        heads: list[HeadConfig],
        spectrogram: SpectrogramConfig | None = None,
        confidence: Mapping[str, Confidence] | None = None,
        card: Mapping[str, Any] | None = None,
        evidence: Evidence | None = None,
        people: tuple[str, ...] = (),
        person_layers: bool = False,
    ) -> None:
        super().__init__()
        if (encoder_named(architecture).input == "spectrogram") != (spectrogram is not None):
            needs = "needs a spectrogram" if spectrogram is None else "reads eeg and takes no spectrogram"
            raise ValueError(f"the architecture {architecture!r} {needs}")
        if len({head.space for head in heads}) != len(heads) or not heads:
            raise ValueError(
                f"an encoder needs at least one head and one head a space, not {[head.space for head in heads]}"
            )
        if len(set(people)) != len(people) or len(people) > MAX_PEOPLE or (person_layers and not people):
            raise ValueError(
                f"an encoder tells at most {MAX_PEOPLE} different people apart, and layers a person need one at least, "
                f"not {', '.join(people[:12]) or 'none'}"
            )
        if people and getattr(config, "n_subjects", len(people)) != len(people):
            raise ValueError(f"{len(people)} people are named, and the architecture knows {config.n_subjects}")
        self.preprocessing = preprocessing
        self.normaliser = normaliser
        self.architecture = architecture
        self.people = people
        self.personal = PersonLayers(len(people), preprocessing.n_times) if person_layers else None
        self.spectrogram = Spectrogram(spectrogram) if spectrogram is not None else None
        # the registry promises modules; that each is a backbone is held by the tests that run over all of them
        self.backbone = cast("Backbone", build_encoder(architecture, config))
        self.heads = Heads([Head(head, self.backbone.n_tokens, self.backbone.width) for head in heads])
        self.confidence = dict(confidence or {})
        self.card: dict[str, Any] = dict(card or {})
        self.evidence = evidence

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> dict[str, Tensor]:
        """Return each head's raw output by space: logits (batch, n_prompts) or flat predictions (batch, n_values).

        subject: (batch,), whole numbers that say who it is, -1 for someone unknown (`numbers_of` gives them), for
        encoders with a part a person; the others ignore it.
        """
        tokens = self.tokens(eeg, subject)
        return {head.config.space: head(tokens) for head in self.heads}

    def tokens(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the backbone's tokens (batch, n_tokens, width) for normalised eeg (batch, channels, times)."""
        if self.personal is not None:
            eeg = self.personal(eeg, subject)
        return self.backbone(self.spectrogram(eeg) if self.spectrogram is not None else eeg, subject)

    def numbers_of(self, names: Iterable[str]) -> Tensor | None:
        """Return each name's number (n,) among the people it tells apart, -1 for others; None where it tells none."""
        if not self.people:
            return None
        number = {name: place for place, name in enumerate(self.people)}
        return torch.tensor([number.get(str(name), -1) for name in names], dtype=torch.int64)

    @property
    def spaces(self) -> tuple[str, ...]:
        """Return the names of the target spaces, the main one first."""
        return tuple(head.config.space for head in self.heads)

    def head(self, space: str | None = None) -> Head:
        """Return the head of a space, by default the main one; raises ValueError listing the heads there are."""
        for head in self.heads:
            if space is None or head.config.space == space:
                return head
        raise ValueError(f"this encoder has no head for {space!r}; it has {', '.join(self.spaces)}")

    def card_text(self) -> str:
        """Return the card as readable lines."""
        config = self.preprocessing
        lines = [
            self.card.get("name", "EEG encoder"),
            f"heads: {', '.join(self.spaces)} · architecture: {self.architecture}",
            f"channels: {', '.join(config.ch_names)} at {config.sfreq:g} Hz, "
            f"window {config.tmin:g} to {config.tmax:g} s",
        ]
        prompts = [head.config.prompts for head in self.heads if head.config.prompts]
        if prompts:
            more = f" and {len(prompts[0]) - 12} more" if len(prompts[0]) > 12 else ""
            lines.append(f"prompts, in order: {'; '.join(prompts[0][:12])}{more}")
        shown = ("summary", "data", "subject", "licence", "credit", "split", "created_with")
        lines += [f"{key.replace('_', ' ')}: {self.card[key]}" for key in shown if self.card.get(key)]
        for name, figure in (self.card.get("metrics") or {}).items():
            lines.append(f"{name}: {figure}")
        if self.people:
            unknown = "the mean of their layers" if self.personal is not None else "a part shared by all"
            lines.append(f"tells apart: {', '.join(self.people[:12])}{' ...' * (len(self.people) > 12)}; for someone "
                         f"else it has {unknown}")  # fmt: skip
        lines += self.confidence_lines()
        if self.card.get("simulated"):
            lines.insert(1, "PHANTOM: trained on simulated EEG, not on brain data")
        return "\n".join(lines)

    def confidence_lines(self) -> list[str]:
        """Return readable lines on what its confidence was fitted for, and how it tells that there is nothing."""
        lines = [f"confidence of {space}: {fitted.fitted_for()}" for space, fitted in self.confidence.items()]
        if not lines:
            lines.append("confidence: never calibrated")
        if self.evidence is None:
            return [
                *lines,
                "is anything decodable: cannot tell, this file keeps no evidence; its confidence counts as 0",
            ]
        kept = self.evidence
        runs = "stretches of one recording" if kept.stretches else "runs"
        how = "by a response locked to events" if kept.locked else "by answers alone, which must be ten times surer"
        lines.append(
            f"is anything decodable: told {how}, from {kept.n_windows} windows of {len(kept.effects)} {runs} left out"
        )
        if kept.leaks:
            lines.append(f"LEAK CHECKS FAILED IN TRAINING, so its confidence is 0: {', '.join(kept.leaks)}")
        return lines


def save_encoder(
    encoder: EegEncoder,
    path: str | Path,
    basis_dtype: torch.dtype | None = None,
    stored_as: Mapping[str, torch.dtype] | None = None,
) -> None:
    """Write an encoder to one `.safetensors` file, beside `path` and then renamed.

    basis_dtype: torch.float16 stores the heads' bases, generators and means, which are most of a file, in half the
    bytes. stored_as: types of single tensors by the names `stored_types` gives, so that a file written again keeps
    its numbers. Raises ValueError, and writes nothing, where load_encoder would refuse the weights.
    """
    from safetensors.torch import save_file

    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION if encoder.people else WITHOUT_PEOPLE,
        "architecture": encoder.architecture,
        "config": config_to_dict(encoder.backbone.config),
        "preprocessing": asdict(encoder.preprocessing),
        "spectrogram": asdict(encoder.spectrogram.config) if encoder.spectrogram is not None else None,
        "heads": [head.config.to_json() for head in encoder.heads],
        "confidence": {space: fitted.to_json() for space, fitted in encoder.confidence.items()},
        "card": encoder.card,
    }
    if encoder.people:
        header |= {"people": list(encoder.people), "person_layers": encoder.personal is not None}
    if encoder.normaliser.sessions:
        header["sessions"] = list(encoder.normaliser.sessions)
    if encoder.evidence is not None:
        header["evidence"] = encoder.evidence.to_json()
    tensors = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    if basis_dtype is not None:
        parts = ("basis", "generator.", "target_mean")
        large = tuple(f"model.heads.{i}.{part}" for i in range(len(encoder.heads)) for part in parts)
        tensors = {
            name: tensor.to(basis_dtype) if name.startswith(large) else tensor for name, tensor in tensors.items()
        }
    tensors = {name: tensor.to((stored_as or {}).get(name, tensor.dtype)) for name, tensor in tensors.items()}
    try:
        check_finite(tensors)
    except ValueError as error:
        raise ValueError(
            f"no encoder was written to {path}: {error}. Its training went astray: lower --lr or look for broken trials"
        ) from None
    with write_atomically(path) as beside:
        metadata = {HEADER_KEY: json.dumps(header, allow_nan=False), "format": "pt"}
        arrays = encoder.normaliser.to_arrays()
        tensors |= {f"normaliser.{name}": torch.from_numpy(array) for name, array in arrays.items()}
        kept = {} if encoder.evidence is None else encoder.evidence.to_arrays()
        tensors |= {f"evidence.{name}": torch.from_numpy(array) for name, array in kept.items()}
        save_file(tensors, beside, metadata=metadata)


def stored_types(path: str | Path) -> dict[str, torch.dtype]:
    """Return the types of an encoder's weights as its file holds them, by name."""
    from safetensors.torch import load_file

    return {name: tensor.dtype for name, tensor in load_file(path).items() if name.startswith("model.")}


def read_header(path: str | Path) -> dict[str, Any]:
    """Return an encoder file's header as a dict, without reading its tensors.

    Raises FileNotFoundError, or ValueError for a file that is no safetensors file, is cut short, holds no encoder, or
    was written by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no encoder file at {path}")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(
                f"{path.name} is not an encoder file: its header claims {length} of the file's {size} bytes"
            )
        try:
            described = json.loads(file.read(length))
            header = json.loads(described["__metadata__"][HEADER_KEY])
            version = header["format_version"]
        except RecursionError as error:
            raise ValueError(f"{path.name} is not an encoder file: its header is nested too deeply") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path.name} is not an encoder file: it holds no readable {HEADER_KEY!r} header "
                "(is it a checkpoint or a LoRA?)"
            ) from error
    if not isinstance(version, int) or version < 1:
        raise ValueError(
            f"{path.name} has format version {version!r}; expected a whole number from 1 to {FORMAT_VERSION}"
        )
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path.name} was written by a newer sd-eeg (format {version}, this one reads {FORMAT_VERSION}); "
            "update sd-eeg"
        )
    return header


def _tuples(value: Any) -> Any:
    """Return JSON lists as tuples, all the way down."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _from_json(made: type[Config], values: Any, what: str) -> Config:
    """Build a config dataclass from JSON values; raises ValueError naming what is wrong."""
    if not isinstance(values, dict):
        raise ValueError(f"its {what} is {type(values).__name__}, not an object")
    try:
        return made(**{str(key): _tuples(value) for key, value in values.items()})
    except TypeError as error:
        raise ValueError(f"its {what} does not fit this version: {error}") from error


def load_encoder(path: str | Path, device: str | torch.device = "cpu") -> EegEncoder:
    """Load an encoder from its file, in eval mode.

    Raises FileNotFoundError, or ValueError saying what is wrong: not an encoder file, cut short, from a newer version,
    an unknown architecture, a window that is not its network's, a card that is none, or tensors that are missing, not
    finite or do not have the shapes the config asks for. Nothing larger than the file is allocated before its shapes
    have been checked, and nothing in it is executed.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    header = read_header(path)
    try:
        parts = _parts_of(header)
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_shapes(shapes, parts, _sessions_of(header), header.get("evidence"))
            tensors = {name: file.get_tensor(name) for name in shapes}
        check_finite(tensors)
        evidence = None
        if header.get("evidence") is not None:
            evidence = evidence_from(_under(tensors, "evidence."), header["evidence"])
    except SafetensorError as error:
        raise ValueError(f"{path.name} is cut short or damaged ({error}); copy or download it again") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path.name} cannot be loaded: {error}") from error
    normaliser = Normaliser.from_arrays(_under(tensors, "normaliser."), _sessions_of(header))
    encoder = EegEncoder(**parts, normaliser=normaliser, evidence=evidence)
    encoder.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    return encoder.eval().requires_grad_(False).to(device)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, np.ndarray]:
    # numpy knows no bfloat16, in which a file may have been saved again
    return {name[len(prefix) :]: tensor.float().numpy() for name, tensor in tensors.items() if name.startswith(prefix)}


def _sessions_of(header: dict[str, Any]) -> tuple[str, ...]:
    """Return the sessions that have a normaliser of their own in the file; none in most files."""
    names = header.get("sessions", [])
    if not isinstance(names, list) or len({str(name) for name in names}) != len(names):
        raise ValueError("its sessions are not a list of different names")
    return tuple(str(name) for name in names)


def _parts_of(header: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments of EegEncoder, without the normaliser, from a header."""
    spectrogram, confidence, card = header.get("spectrogram"), header.get("confidence", {}), header.get("card", {})
    if not isinstance(header.get("heads"), list) or not isinstance(confidence, dict):
        raise ValueError("its heads or confidence are not what this version writes")
    check_card(card)
    people, person_layers = header.get("people", []), header.get("person_layers", False)
    if not isinstance(people, list) or not isinstance(person_layers, bool):
        raise ValueError("its people are not a list of names, or its layers a person neither true nor false")
    preprocessing = _from_json(PreprocessingConfig, header.get("preprocessing"), "preprocessing")
    # a missing config is refused there, as anything else that is no table
    config = config_from_dict(str(header.get("architecture")), cast("Any", header.get("config")))
    if spectrogram is None:
        check_window(preprocessing, config)
    return {
        "preprocessing": preprocessing,
        "architecture": str(header.get("architecture")),
        "config": config,
        "spectrogram": None if spectrogram is None else _from_json(SpectrogramConfig, spectrogram, "spectrogram"),
        "heads": [_from_json(HeadConfig, head, "head") for head in header["heads"]],
        "confidence": {str(space): confidence_from(fitted) for space, fitted in confidence.items()},
        "card": card,
        "people": tuple(str(name) for name in people),
        "person_layers": person_layers,
    }


def _check_shapes(
    shapes: dict[str, tuple[int, ...]], parts: dict[str, Any], sessions: tuple[str, ...] = (), evidence: Any = None
) -> None:
    """Raise ValueError where tensors are missing, left over or shaped otherwise than the config asks; allocates
    nothing.
    """
    n_channels = len(parts["preprocessing"].ch_names)
    flat = Normaliser(np.zeros(0), np.zeros(0))
    with torch.device("meta"):
        wanted = {
            f"model.{name}": tuple(t.shape) for name, t in EegEncoder(**parts, normaliser=flat).state_dict().items()
        }
    wanted |= {"normaliser.center": (n_channels,), "normaliser.scale": (n_channels,)}
    if parts["preprocessing"].whitening != "none":
        wanted["normaliser.whitener"] = (n_channels, n_channels)
    if sessions:
        own = {name: shape for name, shape in wanted.items() if name.startswith("normaliser.")}
        wanted |= {name.replace(".", ".sessions.", 1): (len(sessions), *shape) for name, shape in own.items()}
    if evidence is not None:
        kept = evidence_shapes(parts["preprocessing"], evidence)
        wanted |= {f"evidence.{name}": shape for name, shape in kept.items()}
    if missing := sorted(wanted.keys() - shapes.keys()):
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]!r}")
    if extra := sorted(shapes.keys() - wanted.keys()):
        raise ValueError(f"{len(extra)} tensors do not belong to its architecture, the first is {extra[0]!r}")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise ValueError(f"tensor {name!r} has shape {shapes[name]}, its config asks for {shape}")
