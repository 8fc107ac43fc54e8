"""Another family of image encoders takes one file and one row."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TOY = '''
"""Mean colours: the three numbers that a picture leaves when one squints."""

import torch

from ..features.computing import Model
from .card import ImageEncoder, ImageFamily


def load_toy(card, device):
    return Model(lambda picture: torch.from_numpy(picture.mean((0, 1))).float(), lambda colours: torch.stack(colours))


TOY = ImageFamily("toy", load_toy, (ImageEncoder("mean-colour", "toy", "", 3, "CC0"),))
'''

USE = """
from pathlib import Path
from trainer.targets.features.pictures import pictures_of
from trainer.targets.frozen_targets import load_targets
from trainer.targets.image_encoders.families import image_encoder_named
from trainer.targets.image_encoders.features_of import features_of

photos, cache = Path("photos"), Path("cache")
values, shape = load_targets("mean-colour.image", "a-clip-of-other-spaces", ["red", "blue"], cache=cache, images=photos)
print(shape, values.tolist())
rows, index = features_of(image_encoder_named("mean-colour"), pictures_of(photos, ["blue"])[0], cache=cache)
print(rows[index].tolist())
"""


def test_a_toy_image_encoder_is_one_file_and_one_row(tmp_path):
    from PIL import Image

    for folder in ("core", "trainer"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    room = tmp_path / "trainer" / "targets" / "image_encoders"
    (room / "toy.py").write_text(TOY)
    rows = (room / "families.py").read_text()
    assert rows.count("by_name((CLIP, ") == 1
    rows = rows.replace("by_name((CLIP, ", "by_name((CLIP, TOY, ")
    (room / "families.py").write_text(
        rows.replace("from .clip import CLIP\n", "from .clip import CLIP\nfrom .toy import TOY\n")
    )
    (tmp_path / "photos").mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (8, 8), name).save(tmp_path / "photos" / f"{name}.png")
    ran = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["(3,) [[255.0, 0.0, 0.0], [0.0, 0.0, 255.0]]", "[[0.0, 0.0, 255.0]]"]
