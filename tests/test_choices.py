"""What can be chosen stands in one file that needs nothing, and both hosts offer what core takes."""

import subprocess
import sys
from pathlib import Path

import pytest

from core import choices
from core.conditioning.resizing import resize
from core.encoders import ENCODERS
from core.formats.contract.units import VOLTS
from core.model.spaces import SPACES
from core.montage import MONTAGES

ROOT = Path(__file__).resolve().parent.parent


def test_the_choices_are_listed_without_torch_or_numpy():
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import core.choices; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "safetensors"} & set(loaded.split())


def test_every_choice_is_something_that_core_has():
    assert set(choices.INITS.values()) <= set(SPACES)
    assert {family for space in SPACES.values() for family in space.families} <= set(choices.FAMILIES)
    assert set(choices.HOST_NEGATIVES.values()) == set(choices.NEGATIVES)
    assert (choices.FROM_FILE, *VOLTS) == choices.UNITS
    assert set(choices.PHANTOM_MONTAGES) <= set(MONTAGES)
    assert set(choices.PERSONAL_ARCHITECTURES) == {name for name, row in ENCODERS.items() if row.one_person}
    assert set(choices.LATENT_RESIZES) < set(choices.RESIZES)


@pytest.mark.parametrize("how", choices.RESIZES)
@pytest.mark.parametrize("fit", choices.FITS)
def test_every_way_to_resize_gives_the_size(how, fit):
    import torch

    assert resize(torch.rand(1, 3, 8, 6), (16, 16), how, fit).shape == (1, 3, 16, 16)


def test_no_host_types_a_list_of_choices_again():
    lists = {tuple(value) for value in vars(choices).values() if isinstance(value, tuple | dict) and len(value) > 2}
    for path in [*ROOT.glob("comfy_nodes/**/*.py"), *ROOT.glob("webui_extension/**/*.py"), *ROOT.glob("trainer/*.py")]:
        text = " ".join(path.read_text(encoding="utf-8").split())
        for words in lists:
            typed = ", ".join(f'"{word}"' for word in words)
            assert typed not in text, f"{path.name} types {typed}, which stands in core/choices.py"
