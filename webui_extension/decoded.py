"""One generation's EEG, decoded: which window belongs to which picture, and the tensors for each model family."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .library import Library
from .recordings import Shelf
from .request import EegRequest, unit_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..core.checkpoint import EegEncoder
    from ..core.conditioning import EncodePrompts
    from ..core.selection import Selection

DIGITS = 10


@dataclass(frozen=True)
class Rows:
    """What the windows say to one model family; on the device and in the type of the host's conditioning.

    context (n, tokens, width) and pooled (n, width) or None, at full strength. mean_context, mean_pooled: the train
    mean (1, ...). share: how far each window is trusted (n,), None where the fallback is off. digests: of each window's
    tensors, as pictures name them.
    """

    context: Tensor
    pooled: Tensor | None
    mean_context: Tensor
    mean_pooled: Tensor | None
    share: Tensor | None
    digests: tuple[str, ...]
    report: str

    def to(self, device: torch.device, dtype: torch.dtype) -> Rows:
        """Return the rows on another device and in another type."""
        tensors = (self.context, self.pooled, self.mean_context, self.mean_pooled)
        moved = [None if one is None else one.to(device, dtype) for one in tensors]
        share = None if self.share is None else self.share.to(device)
        return Rows(moved[0], moved[1], moved[2], moved[3], share, self.digests, self.report)  # type: ignore[arg-type]


@dataclass(eq=False)
class Decoded:
    """A request with what it names, loaded; `rows` holds what was decoded so far, by model family."""

    request: EegRequest
    selection: Selection
    encoder: EegEncoder
    recording_name: str
    encoder_digest: str
    rows: dict[str, Rows] = field(default_factory=dict)
    digests: tuple[str, ...] = ()
    failure: Exception | None = None

    def rows_for(self, family: str, encode_prompts: Callable[[], EncodePrompts]) -> Rows:
        """Return what the windows say to a family, decoded at most once for each.

        Raises ValueError where the encoder has no head for it, naming both.
        """
        if family not in self.rows:
            self.rows[family] = self._decode(family, encode_prompts())
        return self.rows[family]

    def _decode(self, family: str, encode_prompts: EncodePrompts) -> Rows:
        from ..core.answers import answer
        from ..core.confidence import confidence_share

        found = answer(
            self.encoder, self.selection, family=family, prompts=self.request.prompts, encode_prompts=encode_prompts
        )
        if found.text is None:
            raise ValueError(found.why_no_text)
        text, mean = found.text, found.text.negative
        assert text.context is not None
        assert mean is not None
        assert mean.context is not None
        share = None
        if self.request.fallback:
            if text.confidence is None:
                raise ValueError(
                    f"the encoder {self.request.encoder!r} was never calibrated, so it cannot say when it is unsure; "
                    "switch off the fallback to the prompt, or load a calibrated encoder"
                )
            share = confidence_share(text.confidence, text.chance or 0.0).to(text.context.device)
        digests = tuple(
            digest_of_row(row, None if text.pooled is None else text.pooled[number])
            for number, row in enumerate(text.context)
        )
        return Rows(text.context, text.pooled, mean.context, mean.pooled, share, digests, found.report)

    def window_of(self, picture: int) -> int:
        """Return which window a picture draws: the first picture the first one, and again from the start."""
        return picture % len(self.selection)

    def window_text(self, picture: int) -> str:
        """Return a picture's window in words: what and when."""
        from ..core.selection import in_seconds

        window = self.window_of(picture)
        label, group = self.selection.labels[window], self.selection.groups[window]
        when = in_seconds(group[0])
        if len(group) > 1:
            return f"{label} (mean of {len(group)})"
        return when if label == when else f"{label} at {when}"

    def digest_of(self, picture: int) -> str | None:
        """Return the digest of what a picture was drawn from, None before anything was decoded."""
        return self.digests[self.window_of(picture)] if self.digests else None

    def init_picture(self, picture: int) -> Any:
        """Return what img2img starts from: a saliency picture as a PIL image, or a latent (4, h, w) tensor.

        Raises ValueError where the encoder has no such head.
        """
        from ..core.init_images import init_picture

        window = self.selection.one_by_one()[self.window_of(picture)]
        return init_picture(self.encoder, window, self.request.init)


def load_decoded(request: EegRequest, shelf: Shelf, library: Library) -> Decoded:
    """Load what a request names and choose its windows; nothing here needs the host's model.

    Raises FileNotFoundError or ValueError: no such recording or encoder, a file that cannot be read, no such events,
    an init image that the encoder has no head for.
    """
    from ..core.init_images import check_init
    from ..core.selection import encoder_input, parse_times, select_events, select_times

    encoder = library.load(request.encoder)
    recording = shelf.load(request.recording, units=unit_of(request.units))
    if request.choose == "times":
        selection = select_times(recording, parse_times(request.times))
    else:
        selection = select_events(recording, request.label, request.which, request.average)
    if request.init != "none":
        check_init(encoder, request.init)
    encoder_input(selection, encoder)  # what does not fit is said before the model works
    name = shelf.reference(shelf.find(request.recording))
    return Decoded(request, selection, encoder, name, library.digest(request.encoder))


def digest_of_row(context: Tensor, pooled: Tensor | None = None) -> str:
    """Return the digest of one window's tensors: the first digits of the SHA-256 of their float32 values."""
    found = hashlib.sha256(context.float().cpu().contiguous().numpy().tobytes())
    if pooled is not None:
        found.update(pooled.float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:DIGITS]
