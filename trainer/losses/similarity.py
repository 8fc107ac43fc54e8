"""Similarity: whose length counts and by what scale, in one setting, since either half alone misleads."""

import math
from dataclasses import dataclass

COSINE, BRAIN_LENGTH = "cosine", "brain-length"
KINDS = {COSINE: True, BRAIN_LENGTH: False}
LEARNED, FIXED = "learned", "fixed"
SCALES = (1.0, 100.0)


@dataclass(frozen=True)
class Similarity:
    """How a contrastive loss compares brain and target: scale · E · Î, the target always of length one.

    normalise_brain: whether E is of length one too ("cosine"), or its length counts ("brain-length": SAMGA, UBP, VBP
    and ATM, who still retrieve by cosine). scale: 1 to 100, where it starts or stays. learned: it is trained, clamped
    to 1 ... 100.
    """

    normalise_brain: bool = True
    scale: float = 1 / 0.07
    learned: bool = True

    def __post_init__(self) -> None:
        low, high = SCALES
        if not low <= self.scale <= high:
            raise ValueError(f"a similarity's scale lies between {low:g} and {high:g}, not at {self.scale:g}")

    @property
    def temperature(self) -> float:
        """Return one over the scale."""
        return 1 / self.scale

    @property
    def text(self) -> str:
        """Return it as `--similarity` takes it."""
        kind = COSINE if self.normalise_brain else BRAIN_LENGTH
        return f"{kind}:{self.scale:g}:{LEARNED if self.learned else FIXED}"


def parse_similarity(text: str, temperature: float) -> Similarity:
    """Return what `--similarity KIND:SCALE:learned|fixed` says; "" is a learned cosine that starts at `temperature`.

    Raises ValueError for anything else.
    """
    if not text:
        return Similarity(scale=1 / temperature)
    kind, _, rest = text.partition(":")
    number, _, how = rest.partition(":")
    try:
        scale = float(number)
    except ValueError:
        scale = math.nan
    if kind not in KINDS or how not in (LEARNED, FIXED) or not math.isfinite(scale):
        raise ValueError(
            f"--similarity is {text!r}; it takes KIND:SCALE:HOW with a kind of {', '.join(KINDS)}, a scale between "
            f"{SCALES[0]:g} and {SCALES[1]:g}, and {LEARNED} or {FIXED}, such as {Similarity(True, 14.3).text}"
        )
    return Similarity(KINDS[kind], scale, how == LEARNED)


def check_similarity(similarity: Similarity, batch: int) -> str:
    """Return a warning where a cosine's scale is too soft to begin with for batches of so many rows, "" otherwise.

    With both sides of length one, a row that is found perfectly among others at right angles has the probability
    e^s / (e^s + batch - 1), so that below s = ln(batch - 1) no answer can be right. Raises ValueError where such a
    scale is fixed: it is one that belongs to brain vectors whose length counts.
    """
    least = math.log(max(batch - 1, 1))
    if not similarity.normalise_brain or similarity.scale >= least:
        return ""
    most = 1 / (1 + (batch - 1) * math.exp(-similarity.scale))
    told = (
        f"--similarity {similarity.text} with batches of {batch}: both sides have length one, so that even a perfect "
        f"answer gets a probability of {most:.2g}; take a scale of {least:.3g} or more (14.3 is usual), or "
        f"{BRAIN_LENGTH}:{similarity.scale:g}, whose brain vectors keep their length"
    )
    if not similarity.learned:
        raise ValueError(told)
    return told
