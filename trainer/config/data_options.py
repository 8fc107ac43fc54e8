"""Which trials are learnt from, how they are split, scaled and averaged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .flags import check_choice, flag

AVERAGING = ("none", "all", "random")
TEST_AVERAGING = ("same", "none", "all")
NORMALISING = ("pooled", "session")
SCALINGS = ("train", "window", "none")
WHITENINGS = ("none", "mvnn")


@dataclass(frozen=True)
class DataOptions:
    """Which trials are learnt from, how they are split, scaled and averaged."""

    store: Annotated[Path, flag("data")] = Path("store")
    """Trial store made by `prepare.py`."""
    only_subject: str = ""
    """Use this subject's trials only."""
    test_run: str = ""
    """Hold this run (column `run`) out as the test split, where the store prescribes no split."""
    val_share: float = 0.1
    """Share of the training pictures held out for validation, where the store prescribes none; 0 for none."""
    scaling: str = "train"
    """Robust scaling per channel: train (fitted on the training split), window, or none."""
    clip_sd: float = 10.0
    """Clip scaled values at this many robust standard deviations; 0 never."""
    whitening: str = "none"
    """none, or mvnn: multivariate noise normalisation fitted on the training split."""
    normalise: str = "pooled"
    """Scaling and whitening are fitted to all training trials together (pooled), or to those of each session (session);
    sessions that training has not seen take the pooled ones.
    """
    average: str = "all"
    """Repeats of a picture in training: none, all (one averaged trial a picture), or random (a random subset each
    epoch).
    """
    test_average: str = "same"
    """Repeats of a picture where it is validated, tested and decoded: same (as --average has them), none or all."""

    def __post_init__(self) -> None:
        check_choice("--average", self.average, AVERAGING)
        check_choice("--test-average", self.test_average, TEST_AVERAGING)
        check_choice("--normalise", self.normalise, NORMALISING)
        check_choice("--scaling", self.scaling, SCALINGS)
        check_choice("--whitening", self.whitening, WHITENINGS)
        if not 0 <= self.val_share < 1:
            raise ValueError(f"--val-share lies in [0, 1), not {self.val_share}")
        if self.normalise == "session" and self.scaling != "train" and self.whitening == "none":
            raise ValueError(
                "--normalise session has nothing to fit for each session: add --scaling train or --whitening mvnn"
            )
