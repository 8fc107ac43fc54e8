"""A real ComfyUI for these tests: $COMFYUI_DIR is its checkout, $COMFYUI_PYTHON the interpreter it runs with."""

import os
from pathlib import Path

import pytest

from tests.host_comfyui.host import Host, new_base


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The checkout under test; without it every test here is skipped."""
    if not os.environ.get("COMFYUI_DIR"):
        pytest.skip("set COMFYUI_DIR to a ComfyUI checkout (and COMFYUI_PYTHON) to run the pack in it")
    return Path(os.environ["COMFYUI_DIR"])


@pytest.fixture(scope="session")
def ipadapter() -> Path:
    """The IP-Adapter pack; tests that need it are skipped without it."""
    if not os.environ.get("IPADAPTER_DIR"):
        pytest.skip("set IPADAPTER_DIR to a checkout of ComfyUI_IPAdapter_plus to run the pack beside it")
    return Path(os.environ["IPADAPTER_DIR"])


@pytest.fixture(scope="session")
def host(comfyui, tmp_path_factory):
    """One ComfyUI for the whole session, on a folder of its own with this pack and the test probes in it."""
    probes = Path(__file__).parent / "probes"
    adapter = [Path(os.environ["IPADAPTER_DIR"])] if os.environ.get("IPADAPTER_DIR") else []
    base = new_base(tmp_path_factory.mktemp("comfyui"), probes, *adapter)
    running = Host(base).start()
    yield running
    running.stop()
