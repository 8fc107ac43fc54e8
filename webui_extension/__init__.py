"""The AUTOMATIC1111 / Forge side: its callbacks, registered each time the host runs scripts/sd_eeg.py."""

import threading


def register_callbacks() -> None:
    """Register what registers the rest just before the host builds its interface; running it again doubles nothing.

    For each callback the host reads the source of every frame of the call stack, which while a script is being imported
    takes up to 40 ms: so one is registered now, from a thread, whose stack is short, and the others from there.
    """
    registering = threading.Thread(target=_register)
    registering.start()
    registering.join()


def _register() -> None:
    from modules import script_callbacks

    script_callbacks.remove_callbacks_for_function(before_ui)
    script_callbacks.on_before_ui(before_ui)


def before_ui() -> None:
    """Register settings, tab, routes and the sampler's hook, and add our axes to the host's grid."""
    from modules import script_callbacks

    from .api import add_routes
    from .generation.denoising import on_cfg_denoiser
    from .generation.xyz import add_axes
    from .host.settings import add_settings
    from .tab.host_tab import add_tab

    for register, callback in (
        (script_callbacks.on_ui_settings, add_settings),
        (script_callbacks.on_ui_tabs, add_tab),
        (script_callbacks.on_app_started, add_routes),
        (script_callbacks.on_cfg_denoiser, on_cfg_denoiser),
    ):
        script_callbacks.remove_callbacks_for_function(callback)
        register(callback)
    add_axes()
