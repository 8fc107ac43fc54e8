"""The host's recordings and encoders as its settings are now: a change there acts without a new start."""

from __future__ import annotations

from ..folders.library import Library
from ..folders.recordings import Shelf
from ..host.host import library, shelf
from .fields import Sources


class HostSources(Sources):
    """Sources that are asked for anew each time, for folders and limits are settings."""

    def __init__(self) -> None:
        pass

    @property
    def shelf(self) -> Shelf:  # a property stands for the field
        """Return where recordings come from."""
        return shelf()

    @property
    def library(self) -> Library:  # a property stands for the field
        """Return the encoder files."""
        return library()
