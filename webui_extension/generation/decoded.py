"""One generation's EEG, decoded: which window belongs to which picture, and the tensors for each model family."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..folders.library import Library
from ..folders.recordings import Shelf
from .request import EegRequest, unit_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ...core.model.checkpoint import EegEncoder
    from ...core.model.spaces import EncodePrompts
    from ...core.preprocessing.selection import Selection

DIGITS = 10


@dataclass(frozen=True)
class Rows:
    """What windows say to one model family, at full strength.

    context (n, tokens, width) and pooled (n, width) or None. mean_context, mean_pooled: the train mean (1, ...). share:
    how far each window is trusted (n,), None where the fallback is off. digest: of a single window's tensors, as
    pictures name them.
    """

    context: Tensor
    pooled: Tensor | None
    mean_context: Tensor
    mean_pooled: Tensor | None
    share: Tensor | None
    digest: str = ""

    def to(self, device: torch.device, dtype: torch.dtype) -> Rows:
        """Return the rows on another device and in another type."""

        def moved(one: Tensor | None) -> Any:
            return None if one is None else one.to(device, dtype)

        share = None if self.share is None else self.share.to(device)
        means = moved(self.mean_context), moved(self.mean_pooled)
        return Rows(moved(self.context), moved(self.pooled), *means, share, self.digest)


def stacked(rows: Sequence[Rows]) -> Rows:
    """Return rows of single windows as one; the digest is left out."""
    import torch

    def together(parts: list[Any]) -> Any:
        return None if parts[0] is None else torch.cat(parts)

    return Rows(
        torch.cat([one.context for one in rows]),
        together([one.pooled for one in rows]),
        rows[0].mean_context,
        rows[0].mean_pooled,
        together([one.share for one in rows]),
    )


def remembered(encode: EncodePrompts) -> EncodePrompts:
    """Return a text encoder that encodes the same prompts once."""
    known: dict[tuple[str, ...], Any] = {}

    def encode_once(prompts: list[str]) -> Any:
        if tuple(prompts) not in known:
            known[tuple(prompts)] = encode(prompts)
        return known[tuple(prompts)]

    return encode_once


@dataclass(eq=False)
class Decoded:
    """A request with what it names, loaded. Windows are decoded one by one, when a picture of theirs is due.

    One by one, for a window must give the same numbers, and the same digest, whatever else is drawn beside it. `kept`
    holds what was decoded so far, `sampled` what the sampler uses, `digests` each window's for the first model, whose
    family is `family`. `failure`: what went wrong inside the sampler. `start_again`: makes img2img's start for the
    batch that begins with a picture of the job.
    """

    request: EegRequest
    selection: Selection
    encoder: EegEncoder
    recording_name: str
    encoder_digest: str
    kept: dict[tuple[str, int], Rows] = field(default_factory=dict)
    sampled: dict[Any, Rows] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    family: str | None = None
    start_again: Callable[[int], object] | None = None
    failure: Exception | None = None
    encoded: dict[str, EncodePrompts] = field(default_factory=dict)

    def rows_for(self, family: str, windows: Sequence[int], encode_prompts: Callable[[], EncodePrompts]) -> Rows:
        """Return what the windows say to a family, a row for each, decoded at most once for each.

        Raises ValueError where the encoder has no head for the family, or a window cannot be cut.
        """
        if family not in self.encoded:
            self.encoded[family] = remembered(encode_prompts())
        for window in windows:
            if (family, window) not in self.kept:
                self.kept[family, window] = self._decode(family, window)
                self.digests.setdefault(window, self.kept[family, window].digest)
        return stacked([self.kept[family, window] for window in windows])

    def _decode(self, family: str, window: int) -> Rows:
        from ...core.conditioning.for_host import answer
        from ...core.model.confidence import confidence_share
        from ...core.model.decodable import decodable

        found = answer(
            self.encoder,
            self.selection.only(window),
            family=family,
            prompts=self.request.prompts,
            encode_prompts=self.encoded[family],
            judged=decodable(self.encoder, self.selection),
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
        digest = digest_of_row(text.context[0], None if text.pooled is None else text.pooled[0])
        return Rows(text.context, text.pooled, mean.context, mean.pooled, share, digest)

    def verdict(self) -> str:
        """Return in a word whether anything is decodable at all selected windows, as pictures say it."""
        from ...core.model.decodable import decodable

        return decodable(self.encoder, self.selection).word

    def window_of(self, picture: int) -> int:
        """Return which window a picture draws: the first picture the first one, and again from the start."""
        return picture % len(self.selection)

    def window_text(self, picture: int) -> str:
        """Return a picture's window in words: what and when."""
        from ...core.preprocessing.selection import in_seconds

        window = self.window_of(picture)
        label, group = self.selection.labels[window], self.selection.groups[window]
        when = in_seconds(group[0])
        if len(group) > 1:
            return f"{label} (mean of {len(group)})"
        return when if label == when else f"{label} at {when}"

    def digest_of(self, picture: int) -> str | None:
        """Return the digest of what a picture was drawn from, None before anything was decoded."""
        return self.digests.get(self.window_of(picture))

    def init_picture(self, picture: int) -> Any:
        """Return what img2img starts from: a saliency picture as a PIL image, or a latent (4, h, w) tensor.

        Raises ValueError where the encoder has no such head.
        """
        from ...core.conditioning.init_images import init_picture

        return init_picture(self.encoder, self.selection.only(self.window_of(picture)), self.request.init)


def load_decoded(request: EegRequest, shelf: Shelf, library: Library) -> Decoded:
    """Load what a request names and choose its windows; nothing here needs the host's model.

    Windows that the encoder cannot cut, at an end of the recording or a gap, are left out, which the selection's note
    says. Raises FileNotFoundError or ValueError: no such recording or encoder, a file that cannot be read, no such
    events, an init image that the encoder has no head for.
    """
    from ...core.conditioning.init_images import check_init
    from ...core.model.prediction import encoder_input
    from ...core.preprocessing.selection import that_fit

    encoder = library.load(request.encoder)
    selection = chosen_windows(request, shelf)
    if request.init != "none":
        check_init(encoder, request.init)
    selection = that_fit(selection, encoder.preprocessing)
    encoder_input(selection.only(0), encoder)  # what does not fit is said before the model works
    name = shelf.reference(shelf.find(request.recording))
    return Decoded(request, selection, encoder, name, library.digest(request.encoder))


def chosen_windows(request: EegRequest, shelf: Shelf) -> Selection:
    """Return the windows that a request chooses of its recording; raises FileNotFoundError or ValueError as reading
    and choosing do.
    """
    from ...core.preprocessing.selection import parse_times, select_events, select_times

    recording = shelf.load(request.recording, units=unit_of(request.units), reading=request.reading)
    if request.choose == "times":
        return select_times(recording, parse_times(request.times))
    return select_events(recording, request.label, request.which, request.average)


def digest_of_row(context: Tensor, pooled: Tensor | None = None) -> str:
    """Return the digest of one window's tensors: the first digits of the SHA-256 of their float32 values."""
    found = hashlib.sha256(context.float().cpu().contiguous().numpy().tobytes())
    if pooled is not None:
        found.update(pooled.float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:DIGITS]
