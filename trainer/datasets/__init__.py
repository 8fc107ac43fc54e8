"""The data sets that prepare.py knows, one a file; `DATASETS` names them."""

from ..store.dataset import Dataset
from . import braincoder, cvpr40, n170, phantom, recordings
from .things import eeg2, preprocessed

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        phantom.DATASET,
        n170.DATASET,
        braincoder.DATASET,
        cvpr40.DATASET,
        eeg2.DATASET,
        preprocessed.DATASET,
        recordings.DATASET,
    )
}
