"""The always-on script of AUTOMATIC1111, Forge, Neo and reForge: from the accordion's values to a job with EEG."""

from __future__ import annotations

from typing import Any

from modules import scripts

from ..host.host import library, shelf
from .accordion import TITLE, build_accordion
from .host_sources import HostSources
from .infotext import NAMES, has_eeg, paste_function
from .job import attach, prepare_init, release, stop
from .request import changed, from_args

CHANGES = "_sd_eeg_changes"  # what an axis of a grid sets on the job
ACCORDIONS: dict[str, tuple[Any, dict[str, Any]]] = {}  # what was built last for each tab, for the EEG tab's buttons


class EegScript(scripts.Script):
    """Conditions txt2img and img2img on EEG."""

    def title(self) -> str:
        """Return the name under which the API finds the script."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        """Show it in both tabs, always."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the accordion; the host calls this again when its API starts."""
        tab = "img2img" if is_img2img else "txt2img"
        enabled, fields = build_accordion(HostSources(), tab)
        ACCORDIONS[tab] = (enabled, fields)
        self.infotext_fields = [(enabled, has_eeg)]
        self.infotext_fields += [(component, paste_function(name)) for name, component in fields.items()]
        self.paste_field_names = list(NAMES.values())
        return [enabled, *fields.values()]

    def before_process(self, p: Any, *args: Any) -> None:
        """Load and check what is asked for; a failure stops the job as soon as the host lets it."""
        release(p)
        try:
            from .decoded import load_decoded

            where = shelf()
            request = from_args(args, where)
            if request is None:
                return
            decoded = load_decoded(changed(request, getattr(p, CHANGES, {})), where, library())
            if decoded.request.init != "none":
                prepare_init(p)
            attach(p, decoded)
            if decoded.selection.note:
                p.comment(f"EEG conditioning: {decoded.selection.note}")
        except Exception as error:
            stop(p, error)
