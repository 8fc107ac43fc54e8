"""AUTOMATIC1111's, Forge's and reForge's way in; the host executes this file by path and again at every "Reload UI".

The package is registered under a name of its own: extensions share one sys.modules, where a plain `core` would clash.
"""

import sys
from pathlib import Path
from types import ModuleType

package = sys.modules.setdefault("sd_eeg", ModuleType("sd_eeg"))
package.__path__ = [str(Path(__file__).resolve().parent.parent)]

from sd_eeg.webui_extension import register_callbacks  # noqa: E402  (the package exists from here on)
from sd_eeg.webui_extension.generation.script import EegScript  # noqa: E402, F401  (the host looks for it in this file)

register_callbacks()
