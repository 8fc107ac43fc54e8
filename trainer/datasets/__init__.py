"""The data sets that prepare.py knows, and the trial store they are prepared into."""

from . import braincoder, cvpr40, n170, phantom, recordings
from .dataset import Dataset, Session
from .store import TrialStore, open_store, select_lazily, write_store

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (phantom.DATASET, n170.DATASET, braincoder.DATASET, cvpr40.DATASET, recordings.DATASET)
}

__all__ = ["DATASETS", "Dataset", "Session", "TrialStore", "open_store", "select_lazily", "write_store"]
