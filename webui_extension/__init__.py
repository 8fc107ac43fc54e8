"""The AUTOMATIC1111 / Forge side: its callbacks, registered each time the host runs scripts/sd_eeg.py."""


def register_callbacks() -> None:
    """Register the settings and the API routes; running it again replaces them and doubles nothing."""
    from modules import script_callbacks

    from .api import add_routes
    from .settings import add_settings

    for callback in (add_settings, add_routes):
        script_callbacks.remove_callbacks_for_function(callback)
    script_callbacks.on_ui_settings(add_settings)
    script_callbacks.on_app_started(add_routes)
