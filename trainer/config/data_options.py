"""Which trials are learnt from, how they are split, scaled and averaged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .flags import check_at_least, check_choice, flag

TESTS = ("auto", "run", "person", "picture", "time", "none")
AVERAGING = ("none", "all", "random")
TEST_AVERAGING = ("same", "none", "all")
NORMALISING = ("pooled", "session")
SCALINGS = ("train", "window", "none")
WHITENINGS = ("none", "mvnn", "prepared")
NEW_SESSIONS = ("pooled", "own")
VAL_BY = ("picture", "concept")


@dataclass(frozen=True)
class DataOptions:
    """Which trials are learnt from, how they are split, scaled and averaged."""

    store: Annotated[Path, flag("data")] = Path("store")
    """Trial store made by `prepare.py`."""
    only_subject: str = ""
    """Use this subject's trials only."""
    test_run: str = ""
    """Hold this run (column `run`) out as the test split, where the store prescribes no split."""
    test_subject: str = ""
    """Hold this person out as the test split, where the store prescribes no split."""
    test: str = "auto"
    """What is held out as the test split where neither the store nor --test-run nor --test-subject says it: run (each
    person's last one), picture (a fifth of them, with all repeats), person (the last one), time (the last fifth of each
    run), none, or auto: the first of these that the data allow, which is said.
    """
    val_share: float = 0.1
    """Share of the training pictures held out for validation, where the store prescribes none; 0 for none."""
    val_by: str = "picture"
    """What is held out for validation as a whole: picture, or concept (a label with all its pictures)."""
    train_share: float = 1.0
    """Share of the training pictures that train, drawn from the seed."""
    channels: str = "all"
    """Channels to read: all; auto (THINGS' 17 occipito-parietal ones for one person, all of them across people); a
    layout (things-17, epoc-14, muse-4 ...); or names and groups ("occipital, Pz").
    """
    window: tuple[float, float] | None = None
    """Seconds after the onset, from and to, where less than the store's windows is to be read."""
    train_reject: float = 0.0
    """Leave windows of more than this peak to peak (microvolts, after the store's filters) out of training, and of
    training alone; 0 none. What `prepare.py --reject-uv` leaves out is in no part.
    """
    scaling: str = "train"
    """Robust scaling per channel: train (fitted on the training split), window, or none."""
    clip_sd: float = 10.0
    """Clip scaled values at this many robust standard deviations; 0 never."""
    whitening: str = "none"
    """none; mvnn: multivariate noise normalisation fitted on the training split; or prepared: each session by the noise
    covariance that the store was prepared with, which is of all its training pictures.
    """
    normalise: str = "pooled"
    """Scaling and whitening are fitted to all training trials together (pooled), or to those of each session (session);
    sessions that training has not seen take the pooled ones.
    """
    new_sessions: str = "pooled"
    """What normalises a session that training has not seen, where each has its own: pooled (all of training together),
    or own (that session's windows, unlabelled). The encoder's file keeps it.
    """
    average: str = "all"
    """Repeats of a picture in training: none, all (one averaged trial a picture), or random (a random subset each
    epoch).
    """
    test_average: str = "same"
    """Repeats of a picture where it is validated, tested and decoded: same (as --average has them), none or all."""
    test_repeats: int = 0
    """Average so many of a picture's repeats, and no others, where it is validated, tested and decoded; 0 does as
    --test-average says.
    """

    def __post_init__(self) -> None:
        check_choice("--test", self.test, TESTS)
        check_choice("--average", self.average, AVERAGING)
        check_choice("--test-average", self.test_average, TEST_AVERAGING)
        check_choice("--normalise", self.normalise, NORMALISING)
        check_choice("--val-by", self.val_by, VAL_BY)
        check_at_least("--test-repeats", self.test_repeats, 0)
        if not 0 < self.train_share <= 1:
            raise ValueError(f"--train-share lies above 0 and up to 1, not {self.train_share:g}")
        check_choice("--scaling", self.scaling, SCALINGS)
        check_choice("--whitening", self.whitening, WHITENINGS)
        if self.train_reject < 0:
            raise ValueError(f"--train-reject must be at least 0 microvolts, not {self.train_reject:g}")
        if not 0 <= self.val_share < 1:
            raise ValueError(f"--val-share lies in [0, 1), not {self.val_share}")
        check_choice("--new-sessions", self.new_sessions, NEW_SESSIONS)
        if self.new_sessions == "own" and self.normalise != "session" and self.whitening != "prepared":
            raise ValueError(
                "--new-sessions own is for encoders by session: add --normalise session or --whitening prepared"
            )
        if self.whitening == "prepared" and self.scaling == "train":
            raise ValueError(
                "--whitening prepared brings noise to one in every channel; add --scaling none (or window)"
            )
        if self.normalise == "session" and self.scaling != "train" and self.whitening == "none":
            raise ValueError(
                "--normalise session has nothing to fit for each session: add --scaling train or --whitening mvnn"
            )
