"""The AUTOMATIC1111 / Forge side: its callbacks, registered each time the host runs scripts/sd_eeg.py."""


def register_callbacks() -> None:
    """Register settings, tab, routes, grid axes and the sampler's hook; running it again doubles nothing."""
    from modules import script_callbacks

    from .api import add_routes
    from .denoising import on_cfg_denoiser
    from .host_tab import add_tab
    from .settings import add_settings
    from .xyz import add_axes

    for register, callback in (
        (script_callbacks.on_ui_settings, add_settings),
        (script_callbacks.on_ui_tabs, add_tab),
        (script_callbacks.on_app_started, add_routes),
        (script_callbacks.on_before_ui, add_axes),
        (script_callbacks.on_cfg_denoiser, on_cfg_denoiser),
    ):
        script_callbacks.remove_callbacks_for_function(callback)
        register(callback)
