"""The folder that holds this process's uploaded recordings; it goes when the process does."""

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def kept_folder() -> Path:
    """Return the folder, readable by its owner alone: a person's brain signal is nobody else's business."""
    folder = Path(tempfile.mkdtemp(prefix="sd-eeg-recordings-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
