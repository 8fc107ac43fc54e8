"""Rows of frozen models on disk: computed once, seen anew where a picture is, safe against kills, races, full disks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.phantom.scenes import all_scenes
from trainer.targets.features import computing
from trainer.targets.features.computing import Model, kept_rows
from trainer.targets.features.feature_store import LEFT_BEHIND_S, FeatureStore
from trainer.targets.features.pictures import load_picture, pictures_of
from trainer.targets.frozen_targets import load_targets
from trainer.targets.image_encoders.families import card_of_space
from trainer.targets.image_encoders.features_of import features_of
from trainer.targets.saliency_targets import as_tensor, resized
from trainer.targets.text_states import Caption

ROOT = Path(__file__).resolve().parent.parent
N_PICTURES = 200  # seven batches


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16,
        projection_dim=768,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of several sizes whose names have spaces and umlauts."""
    folder, rng = tmp_path_factory.mktemp("Fotos für alle"), np.random.default_rng(0)
    for number in range(N_PICTURES):
        picture = rng.integers(0, 256, (30 + number % 7, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"grüner Vogel {number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def names(photos):
    return sorted(path.stem for path in photos.iterdir())


@pytest.fixture
def computed(monkeypatch):
    """The sizes of the batches that a model was given."""
    sizes, real = [], computing._rows
    monkeypatch.setattr(computing, "_rows", lambda found, *rest: (sizes.append(len(found)), real(found, *rest))[1])
    return sizes


def doubled() -> Model:
    """A model without files: of a text two numbers."""
    return Model(lambda text: torch.tensor([len(text), hash_number(text)]), torch.stack)


def hash_number(text: str) -> float:
    return float(sum(map(ord, text)) % 1000)


def texts(*said: str) -> list[Caption]:
    return [Caption(text) for text in said]


def test_another_split_and_another_run_compute_nothing(clip, photos, names, tmp_path, computed):
    every, _ = load_targets("clip-l.image", clip, names, cache=tmp_path, images=photos)
    assert sum(computed) == N_PICTURES
    computed.clear()
    part, _ = load_targets("clip-l.image", clip, names[50:90], cache=tmp_path, images=photos)
    assert torch.equal(part, every[50:90])
    assert computed == []


def test_pictures_that_are_new_are_appended_and_the_others_stay(clip, photos, names, tmp_path, computed):
    first, _ = load_targets("clip-l.image", clip, names[:40], cache=tmp_path, images=photos)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    computed.clear()
    more, _ = load_targets("clip-l.image", clip, names[20:60], cache=tmp_path, images=photos)
    assert sum(computed) == 20
    assert torch.equal(more[:20], first[20:])
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())


def test_a_picture_replaced_by_another_of_its_name_size_and_time_is_seen(clip, tmp_path, computed):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, value in (("a", 10), ("b", 200)):
        Image.new("RGB", (40, 40), (value, value, value)).save(photos / f"{name}.bmp")
    kept = (photos / "a.bmp").stat()
    arguments = ("clip-l.image", clip, ["a.bmp", "b.bmp"])
    before, _ = load_targets(*arguments, cache=tmp_path, images=photos)
    Image.new("RGB", (40, 40), (90, 0, 30)).save(photos / "a.bmp")
    os.utime(photos / "a.bmp", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert (photos / "a.bmp").stat().st_size == kept.st_size
    computed.clear()
    after, _ = load_targets(*arguments, cache=tmp_path, images=photos)
    assert computed == [1]
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])
    load_targets(*arguments, cache=tmp_path, images=photos)
    assert computed == [1]


def test_a_picture_under_two_names_is_computed_once(clip, photos, names, tmp_path, computed):
    (tmp_path / "photos").mkdir()
    for copy in ("one", "two"):
        shutil.copy(photos / f"{names[0]}.png", tmp_path / "photos" / f"{copy}.png")
    found, _ = load_targets("clip-l.image", clip, ["one", "two"], cache=tmp_path, images=tmp_path / "photos")
    assert computed == [1]
    assert torch.equal(found[0], found[1])


def test_a_picture_changed_while_it_is_worked_on_gives_no_row(clip, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    (pictures,) = pictures_of(tmp_path, ["a"])
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="was changed while"):
        features_of(card_of_space("clip-l.image", clip), pictures, cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_scenes_are_told_apart_by_their_pixels_and_a_file_by_its_bytes(tmp_path):
    scene = all_scenes()[5].id
    ((drawn,),) = pictures_of(None, [scene])
    assert drawn.path is None
    np.testing.assert_array_equal(drawn.read(), load_picture(None, scene))
    assert len({picture.key for (picture,) in pictures_of(None, [one.id for one in all_scenes()[:50]])}) == 50
    with pytest.raises(FileNotFoundError, match="give --images FOLDER"):
        pictures_of(None, ["n02106662_10232"])


def test_the_manifest_says_which_file_a_row_is_of(clip, photos, names, tmp_path):
    import hashlib

    pictures = [picture for several in pictures_of(photos, names[:40]) for picture in several]
    rows, index = features_of(card_of_space("clip-l.image", clip), pictures, cache=tmp_path)
    told = {row: (name, key) for row, name, key in rows.manifest()}
    assert len(told) == len(rows) == 40
    for picture, row in zip(pictures, index.tolist(), strict=True):
        name, key = told[row]
        assert name == f"{Path(name).stem}.png" == picture.name
        assert key == hashlib.sha256((photos / name).read_bytes()).hexdigest()
    assert told[0][0].startswith("grüner Vogel ")


def test_rows_are_read_like_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr(computing, "SHARD_BYTES", 1)  # a shard a batch
    said = [f"text {number}" for number in range(70)]
    rows, index = kept_rows(tmp_path, "toy", {}, texts(*said), doubled)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3
    whole = np.asarray(rows)
    assert rows.shape == whole.shape == (70, 2)
    assert [hash_number(text) for text in said] == whole[index, 1].tolist()
    mask = np.arange(70) % 3 == 0
    for chosen in (3, -1, slice(60, 20, -7), [1, 69, 1], mask, slice(0, 0)):
        np.testing.assert_array_equal(rows[chosen], whole[chosen])
    with pytest.raises(IndexError):
        rows[70]


CHILD = """
import time
from pathlib import Path
from tests.test_feature_store import computing, linear_rows

computing.SHARD_BYTES, real = 1, computing._rows
def slow(*arguments):
    time.sleep({delay})
    return real(*arguments)
computing._rows = slow
linear_rows(Path({photos!r}), Path({cache!r}))
"""


def start(cache: Path, photos: Path, delay: float, **more: str) -> subprocess.Popen:
    code = CHILD.format(cache=str(cache), photos=str(photos), delay=delay)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **more},
    )  # fmt: skip


def linear_rows(photos: Path, cache: Path) -> torch.Tensor:
    """Rows of a random linear layer over all pictures of a folder, in the order of their names."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(16 * 16 * 3, 64)

    def encode(pictures):
        return layer(torch.stack([as_tensor(picture).flatten() for picture in pictures]))

    shown = pictures_of(photos, sorted(path.stem for path in photos.iterdir()))
    rows, index = kept_rows(
        cache, "linear", {}, [one for (one,) in shown], lambda: Model(lambda picture: resized(picture, 16), encode)
    )
    return torch.from_numpy(rows[index])


def test_after_a_kill_in_the_middle_the_rest_is_computed_and_the_numbers_are_the_same(photos, tmp_path, computed):
    unbroken = linear_rows(photos, tmp_path / "unbroken")
    child = start(tmp_path / "killed", photos, 0.3)
    until = time.monotonic() + 120
    while len(list((tmp_path / "killed").rglob("*.safetensors"))) < 2:
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    computed.clear()
    found = linear_rows(photos, tmp_path / "killed")
    assert 0 < sum(computed) <= N_PICTURES - 2 * computing.BATCH
    assert torch.equal(found, unbroken)


@pytest.mark.parametrize("launched", [False, True])
def test_two_processes_at_once_do_not_disturb_each_other(photos, tmp_path, computed, launched):
    unbroken = linear_rows(photos, tmp_path / "unbroken")
    told = [{"RANK": str(rank), "WORLD_SIZE": "2"} if launched else {} for rank in range(2)]  # as accelerate says it
    children = [start(tmp_path / "both", photos, 0.05, **environment) for environment in told]
    ends = [(child.communicate(timeout=300)[1], child.returncode) for child in children]
    assert [code for _, code in ends] == [0, 0], ends
    computed.clear()
    assert torch.equal(linear_rows(photos, tmp_path / "both"), unbroken)
    assert computed == []
    assert not list(tmp_path.rglob("*.part"))


def test_processes_of_one_launch_begin_elsewhere_and_take_what_the_others_have_done(tmp_path, monkeypatch, computed):
    said = texts(*(f"text {number}" for number in range(4 * computing.BATCH)))
    monkeypatch.setattr(computing, "SHARD_BYTES", 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    other = []

    def meanwhile() -> Model:
        if not other:  # the first process has done its half while this one loads its model
            other.append(True)
            monkeypatch.setenv("RANK", "0")
            kept_rows(tmp_path, "toy", {}, said[: 2 * computing.BATCH], doubled)
            monkeypatch.setenv("RANK", "1")
            computed.clear()
        return doubled()

    rows, index = kept_rows(tmp_path, "toy", {}, said, meanwhile)
    assert sum(computed) == 2 * computing.BATCH
    assert rows[index][:, 1].tolist() == [hash_number(item.name) for item in said]


def test_a_full_disk_leaves_what_was_there_and_one_sentence(tmp_path):
    resource = pytest.importorskip("resource")
    kept_rows(tmp_path, "toy", {}, texts("a", "b"), doubled)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # a file that may not grow stands in for a full disk
        with pytest.raises(OSError, match=r"3 rows of features could not be written to .*make room") as caught:
            kept_rows(tmp_path, "toy", {}, texts("a", "b", "c", "d", "e"), doubled)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    again, index = kept_rows(tmp_path, "toy", {}, texts("a", "b", "c"), doubled)
    assert again[index][:, 1].tolist() == [97, 98, 99]


def test_what_was_done_before_a_bad_picture_is_kept(clip, photos, names, tmp_path, computed):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / f"{names[-1]}.png").write_bytes(b"no picture")
    arguments = ("clip-l.image", clip, names)
    with pytest.raises(OSError, match=rf"{names[-1]}\.png"):
        load_targets(*arguments, cache=tmp_path / "cache", images=tmp_path / "photos")
    assert sum(computed) == N_PICTURES // computing.BATCH * computing.BATCH
    shutil.copy(photos / f"{names[-1]}.png", tmp_path / "photos")
    computed.clear()
    load_targets(*arguments, cache=tmp_path / "cache", images=tmp_path / "photos")
    assert sum(computed) == N_PICTURES % computing.BATCH


@pytest.mark.parametrize("left", [0, 5, 60, -1])
def test_a_shard_that_was_cut_off_is_computed_anew(tmp_path, left, computed):
    kept_rows(tmp_path, "toy", {}, texts("a", "b"), doubled)
    (shard,) = tmp_path.rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:left])
    rows, index = kept_rows(tmp_path, "toy", {}, texts("a", "b"), doubled)
    assert computed == [2, 2]
    assert rows[index][:, 1].tolist() == [97, 98]


def test_shards_are_plain_safetensors(tmp_path):
    from safetensors.numpy import load_file

    kept_rows(tmp_path, "toy", {}, texts("a", "b"), doubled, stored="float16")
    (shard,) = tmp_path.rglob("*.safetensors")
    found = load_file(shard)["rows"]
    assert found.dtype == np.float16
    assert found.tolist() == [[1, 97], [1, 98]]


def test_values_too_large_for_float16_are_refused(tmp_path):
    large = Model(lambda text: torch.tensor([7e4]), torch.stack)
    with pytest.raises(ValueError, match="70000 do not fit float16"):
        kept_rows(tmp_path, "toy", {}, texts("a"), lambda: large, stored="float16")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_changes_the_numbers_has_rows_of_its_own(tmp_path, computed):
    for numbers in ({"layer": 1}, {"layer": 2}, {"layer": 1}):
        kept_rows(tmp_path, "toy", numbers, texts("a"), doubled)
    assert computed == [1, 1]


def test_unfinished_files_of_killed_processes_go_after_a_day(tmp_path):
    store = FeatureStore(tmp_path)
    for name, age in ((".old.safetensors.1.part", LEFT_BEHIND_S + 60), (".new.safetensors.2.part", 60)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    store.sweep()
    assert [path.name for path in tmp_path.iterdir()] == [".new.safetensors.2.part"]


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from trainer.targets.features import computing
from trainer.targets.features.computing import Model, kept_rows
from trainer.targets.features.pictures import pictures_of

computing.SHARD_BYTES = 1 << 20
photos, cache, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
ids = sorted(path.stem for path in photos.iterdir())[:n]
pictures = [one for several in pictures_of(photos, ids) for one in several]
model = Model(lambda picture: torch.from_numpy(np.array(picture)).flatten().float(), torch.stack)
rows, index = kept_rows(cache, "toy", {}, pictures, lambda: model)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
total = sum(float(rows[part].sum()) for part in np.array_split(index, 20))
own = [line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")]  # less what is mapped
print(peak, int(own[0]) // 1024 if own else 0, len(rows), total)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what is mapped")
def test_five_thousand_pictures_need_no_more_memory_than_five_hundred(tmp_path):
    """48 KB of features each: 240 MB on disk."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(5000):
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[number // 64 % 64, number % 64, number // 4096] = 255
        Image.fromarray(picture).save(photos / f"{number:04d}.png", compress_level=1)
    used = {}
    for n in (500, 5000):
        ran = subprocess.run(
            [sys.executable, "-c", MEMORY, str(photos), str(tmp_path / str(n)), str(n)], cwd=ROOT, check=True,
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        peak, own, rows, total = map(float, ran.stdout.split())
        assert (rows, total) == (n, 255 * n)
        used[n] = {"computing": peak, "reading": own}
    for what in ("computing", "reading"):
        assert used[5000][what] < used[500][what] + 60, used
