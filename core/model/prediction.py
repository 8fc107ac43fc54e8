"""From windows to an encoder's raw outputs: the one place where an encoder is run to be asked, not to be trained."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..preprocessing.normaliser import Normaliser, normalise
from ..preprocessing.selection import Selection, end_to_end, selected_eeg, that_fit
from ..preprocessing.session_normaliser import MOST_WINDOWS, own_normaliser
from .checkpoint import EegEncoder

READ_AT_ONCE = 4096  # windows
AT_ONCE = 256  # windows in one forward pass, so that memory does not grow with how many are asked about
Said = TypeVar("Said")


@torch.no_grad()
def in_batches(
    encoder: EegEncoder,
    windows: Iterable[Tensor],
    ask: Callable[[Tensor, Tensor | None], Said],
    at_once: int = AT_ONCE,
    people: Sequence[str] | np.ndarray | None = None,
) -> Iterator[Said]:
    """Yield what `ask` says of normalised windows, in their order and never of more than `at_once` together.

    windows: any number of tensors (n, channels, times). ask: the encoder itself, or a part of it such as
    `encoder.tokens`, given windows and who they are of. people: the names of all windows, None where nobody is known.
    The encoder is put into eval mode; windows are moved to its device and type.
    """
    encoder.eval()
    parameter = next(encoder.parameters())
    numbers, start = None if people is None else encoder.numbers_of(people), 0
    for some in windows:
        for part in some.split(at_once):
            who = None if numbers is None else numbers[start : start + len(part)].to(parameter.device)
            start += len(part)
            yield ask(part.to(parameter.device, parameter.dtype), who)


@torch.inference_mode()
def outputs_of(encoder: EegEncoder, eeg: Tensor, spaces: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Return the heads' raw outputs by space, on the encoder's device, for normalised windows (n, channels, times).

    spaces: the heads that are asked for, by default all of them; the others' outputs are not kept.
    """
    return _joined(in_batches(encoder, [eeg], encoder), tuple(encoder.spaces if spaces is None else spaces))


@torch.inference_mode()
def predict(
    encoder: EegEncoder, eeg: np.ndarray, batch: int = AT_ONCE, people: Sequence[str] | np.ndarray | None = None
) -> dict[str, Tensor]:
    """Return each head's raw outputs, on the CPU, for windows in volts (n, channels, times), normalised batch by
    batch.

    people: whose windows they are (n,), for encoders that tell people apart.
    """

    def ask(part: Tensor, who: Tensor | None) -> dict[str, Tensor]:
        return {space: output.cpu() for space, output in encoder(part, who).items()}

    return _joined(in_batches(encoder, _ready(encoder, eeg, batch), ask, batch, people), encoder.spaces)


@torch.no_grad()
def tokens_of(
    encoder: EegEncoder, eeg: np.ndarray, batch: int = AT_ONCE, people: Sequence[str] | np.ndarray | None = None
) -> Tensor:
    """Return the backbone's tokens (n, n_tokens, width), float32 on the CPU, for windows in volts (n, channels, times),
    normalised batch by batch; people as `predict` takes them.
    """
    none = torch.zeros(0, encoder.backbone.n_tokens, encoder.backbone.width)
    found = in_batches(encoder, _ready(encoder, eeg, batch), encoder.tokens, batch, people)
    return torch.cat([none, *(tokens.float().cpu() for tokens in found)])


def encode_ready(encoder: EegEncoder, eeg: np.ndarray) -> Tensor:
    """Return windows in volts (n, channels, times) as the normalised float32 tensor the encoder takes."""
    ready = torch.empty(len(eeg), *eeg.shape[1:], dtype=torch.float32)
    for start in range(0, len(eeg), READ_AT_ONCE):  # windows on disk are not held beside their normalised copy
        part = np.asarray(eeg[start : start + READ_AT_ONCE])
        done = normalise(part, encoder.preprocessing, encoder.normaliser)
        ready[start : start + READ_AT_ONCE] = torch.as_tensor(done, dtype=torch.float32)
    return ready


def encoder_input(selection: Selection, encoder: EegEncoder) -> Tensor:
    """Return the selected windows as the normalised tensor (n, channels, times) the encoder takes, on its device.

    Raises ValueError where the recording does not fit the encoder, or a window cannot be cut.
    """
    parameter = next(encoder.parameters())
    volts, own = selected_eeg(selection, encoder.preprocessing), own_session(selection, encoder)
    if own is None:
        eeg = encode_ready(encoder, volts)
    else:
        eeg = torch.as_tensor(normalise(volts, encoder.preprocessing, own), dtype=torch.float32)
    return eeg.to(parameter.device, parameter.dtype)


def own_session(selection: Selection, encoder: EegEncoder) -> Normaliser | None:
    """Return a normaliser of the selection's recording, fitted to windows side by side over all of it; None where the
    encoder's file does not ask for one (`PreprocessingConfig.new_sessions`) or the recording is too short for it.
    """
    config = encoder.preprocessing
    if config.new_sessions != "own":
        return None
    try:
        beside = that_fit(end_to_end(selection.recording, config), config)
    except ValueError:  # not one window fits: what was selected says so
        return None
    chosen = np.unique(np.linspace(0, len(beside) - 1, min(len(beside), MOST_WINDOWS)).astype(int))
    return own_normaliser(selected_eeg(beside.only(*chosen.tolist()), config), config)


def _ready(encoder: EegEncoder, eeg: np.ndarray, batch: int) -> Iterator[Tensor]:
    return (encode_ready(encoder, eeg[start : start + batch]) for start in range(0, len(eeg), batch))


def _joined(found: Iterable[Mapping[str, Tensor]], spaces: tuple[str, ...]) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {space: [] for space in spaces}
    for outputs in found:
        for space in spaces:
            parts[space].append(outputs[space])
    return {space: torch.cat(outputs) for space, outputs in parts.items()}
