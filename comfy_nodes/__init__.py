"""The ComfyUI side: the nodes of every nodes_<topic>.py, each file loaded by itself."""
# The host's own packages are not there where types are checked.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import importlib
import logging

from comfy_api.v0_0_2 import ComfyExtension, io

from .folders import register_encoder_folder

TOPICS = ("recording", "phantom", "windows", "plot", "encoder", "conditioning", "pictures")


def load_nodes() -> list[type[io.ComfyNode]]:
    """Return every node class; a file that cannot be loaded loses its own nodes and not the pack."""
    nodes: list[type[io.ComfyNode]] = []
    for topic in TOPICS:
        try:
            nodes += importlib.import_module(f".nodes_{topic}", __package__).NODES
        except Exception as error:  # whatever a package may raise at import, torchvision's RuntimeError included
            logging.warning("sd-eeg: the %s nodes are missing: %s: %s", topic, type(error).__name__, error)
    return nodes


class SdEegExtension(ComfyExtension):
    """What `comfy_entrypoint` hands to the host."""

    async def on_load(self) -> None:
        """Tell the host where encoder files lie."""
        register_encoder_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes."""
        return load_nodes()
