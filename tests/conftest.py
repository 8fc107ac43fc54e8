"""What several tests share: where the real recordings lie, and what the EEG tab stands on."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # one test a core: threads of two workers that wait for each other on the same cores take many times as long
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

ROOT = Path(__file__).resolve().parent.parent
# What takes longest begins where several workers share the tests, so that none of it is left to one of them at the end.
LONGEST = (
    "test_standalone.py", "test_ablation.py", "test_formats_table.py", "test_cross_validate.py",
    "test_braincoder_preset.py", "test_describe.py", "test_fuzz_readers.py", "test_feature_store.py", "test_train.py",
    "test_losses_across_processes.py", "test_eeglab.py", "test_gan.py", "test_plots.py", "test_seam_protocol.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings ($SD_EEG_DATA, else ../shared/data); tests that need it skip without it."""
    folder = Path(os.environ.get("SD_EEG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set SD_EEG_DATA to their folder)")
    return folder


@pytest.fixture
def sources(tmp_path):
    """The sources of a tab: uploads, an allowed folder, encoders of tests and the shipped ones."""
    from tests.webui_standin import extension, write_encoders

    library, recordings, fields = (
        extension("folders.library"),
        extension("folders.recordings"),
        extension("generation.fields"),
    )
    folders = [tmp_path / name for name in ("kept", "recordings", "uploads", "encoders")]
    for folder in folders:
        folder.mkdir()
    kept, allowed, uploads, encoders = folders
    write_encoders(encoders, "words", "text", "timid")
    shelf = recordings.Shelf(kept, (allowed,), (uploads,))
    return fields.Sources(shelf, library.Library((encoders, library.SHIPPED_ENCODERS)))


@pytest.fixture
def folders(tmp_path):
    """The folders that `sources` has made, by name: kept, recordings, uploads, encoders."""
    return SimpleNamespace(**{path.name: path for path in tmp_path.iterdir() if path.is_dir()})


@pytest.fixture(scope="session")
def schemas(tmp_path_factory) -> dict:
    """The schema of every node, by its id, as ComfyUI's stand-in asks for them."""
    from tests.comfy_standin import hosted

    folder = tmp_path_factory.mktemp("host")
    with hosted(folder / "models", folder / "input") as host:
        return {node_id: node.define_schema() for node_id, node in host.nodes.items()}
