"""What several tests share: where the real recordings lie, and one thread for torch so that runs repeat."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings ($SD_EEG_DATA, else ../shared/data); tests that need it skip without it."""
    folder = Path(os.environ.get("SD_EEG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set SD_EEG_DATA to their folder)")
    return folder
