"""ComfyUI's way in: the nodes are imported only when the host asks for them.

Nothing is imported here, for pytest imports this file too, and with it would come the host.
"""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> object:
    """Return the extension that lists sd-eeg's nodes."""
    from .comfy_nodes import SdEegExtension

    return SdEegExtension()
