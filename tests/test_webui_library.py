"""Encoder files are found by name, loaded once and as they are now."""

import json
import os

import pytest

from core.files import sha256_of
from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import load_encoder, save_encoder
from tests.small_encoders import noise_recording
from tests.webui_standin import encoder, extension, standing_in, write_encoders

library_module = extension("folders.library")
Library = library_module.Library


@pytest.fixture
def folders(tmp_path):
    found = tmp_path / "own", tmp_path / "shipped"
    for folder in found:
        folder.mkdir()
    return found


@pytest.fixture
def library(folders):
    write_encoders(folders[0], "text")
    write_encoders(folders[1], "words")
    return Library(folders)


def same(one, other) -> bool:
    return all(a.equal(b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_files_of_every_folder_are_named_and_the_first_folder_wins(library, folders):
    (folders[0] / "sub").mkdir()
    write_encoders(folders[0] / "sub", "text")
    write_encoders(folders[1], "text")
    assert library.names() == ["sub/text.safetensors", "text.safetensors", "words.safetensors"]
    assert library.path("text.safetensors").parent == folders[0]
    assert Library((folders[0] / "not there",)).names() == []


def test_an_encoder_is_loaded_once_and_again_when_its_file_changes(library, folders):
    first = library.load("text.safetensors")
    assert library.load("text.safetensors") is first
    assert Library(folders).load("text.safetensors") is first
    digest = library.digest("text.safetensors")
    path = folders[0] / "text.safetensors"
    times = path.stat()
    changed = load_encoder(path)
    changed.card["name"] = "another"
    save_encoder(changed, path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copy that keeps times does
    second = library.load("text.safetensors")
    assert second is not first
    assert second.card["name"] == "another"
    assert library.digest("text.safetensors") == sha256_of(path)[:10] != digest


def test_what_is_loaded_is_what_was_written(library):
    assert same(library.load("text.safetensors"), encoder("text"))


def test_only_so_many_stay_loaded(library, folders):
    for number in range(library_module.MAX_LOADED + 2):
        made = load_encoder(folders[0] / "text.safetensors")
        made.card["name"] = str(number)
        save_encoder(made, folders[0] / f"{number}.safetensors")
        library.load(f"{number}.safetensors")
    assert len(library_module._LOADED) == library_module.MAX_LOADED


@pytest.mark.parametrize("name", ["gone.safetensors", "../own/text.safetensors", "/etc/passwd", "", "text", "\x00"])
def test_a_name_that_is_not_in_the_list_says_what_there_is(library, folders, name):
    with pytest.raises(FileNotFoundError, match=r"no EEG encoder .*there are: text\.safetensors, words\.safetensors"):
        library.load(name)


def test_an_empty_library_says_where_files_go(folders):
    with pytest.raises(FileNotFoundError, match=r"there are: none\. Put its \.safetensors file into .*own"):
        Library(folders).load("a.safetensors")


def test_an_absolute_name_leads_nowhere(library, folders, tmp_path):
    write_encoders(tmp_path, "xl")
    with pytest.raises(FileNotFoundError, match="no EEG encoder called"):
        library.load(str(tmp_path / "xl.safetensors"))


@pytest.mark.parametrize("cut", [0, 5, 100, 5000, -7])
def test_a_broken_file_is_named_and_hides_no_other(library, folders, cut):
    content = (folders[0] / "text.safetensors").read_bytes()
    (folders[0] / "broken.safetensors").write_bytes(content[:cut])
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        library.load("broken.safetensors")
    cards = {card["name"]: card for card in library.cards()}
    assert cards["text.safetensors"]["error"] is None
    if 0 <= cut < 5000:  # a card is in the header, which may be whole
        assert "broken.safetensors" in cards["broken.safetensors"]["error"]
        assert str(folders[0]) not in cards["broken.safetensors"]["error"]


def test_a_card_is_plain_json_even_where_it_holds_no_number(library, folders):
    content = (folders[0] / "text.safetensors").read_bytes()
    # Of as many letters, for the header says where the tensors lie.
    old, new = rb"\"name\": \"untrained, for tests\"", rb"\"score\": NaN"
    assert content.count(old) == 1
    (folders[0] / "nan.safetensors").write_bytes(content.replace(old, new.ljust(len(old))))
    card = next(card["card"] for card in library.cards() if card["name"] == "nan.safetensors")
    assert card["score"] is None
    json.dumps(library.cards(), allow_nan=False)


def test_saving_takes_a_free_name_in_the_first_folder(library, folders):
    assert library.save(encoder("text"), "text") == "text-2.safetensors"
    assert library.save(encoder("text"), "mine.safetensors") == "mine.safetensors"
    assert same(library.load("mine.safetensors"), encoder("text"))
    with pytest.raises(ValueError, match="is no file name"):
        library.save(encoder("text"), "../mine")


# In a host


@pytest.fixture
def host(tmp_path):
    with standing_in(tmp_path) as made:
        write_encoders(made.encoders, "text")
        save_recording(noise_recording(), made.recordings / "noise.safetensors")
        yield made
        assert made.reported == []


ASKED = [{"recording": "noise.safetensors", "encoder": "text.safetensors"}]


def test_a_file_deleted_between_choosing_and_drawing_ends_the_job(host):
    host.draw(ASKED)
    (host.encoders / "text.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no EEG encoder called 'text\.safetensors'; there are: "):
        host.draw(ASKED)
    write_encoders(host.encoders, "text")
    host.draw(ASKED)
    (host.recordings / "noise.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no recording called 'noise\.safetensors'"):
        host.draw(ASKED)


def test_a_corrupt_file_ends_the_job_and_is_named(host):
    path = host.encoders / "text.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"EEG conditioning: .*text\.safetensors"):
        host.draw(ASKED)
    path.write_bytes(whole)
    assert len(host.draw(ASKED).images) == 1


def test_a_file_that_changed_is_drawn_from_as_it_is_now(host):
    first = host.draw(ASKED)
    made = load_encoder(host.encoders / "text.safetensors")
    for parameter in made.parameters():
        parameter.data.mul_(1.5)
    save_encoder(made, host.encoders / "text.safetensors")
    second = host.draw(ASKED)
    assert second.images[0].tobytes() != first.images[0].tobytes()
    assert second.infotexts[0] != first.infotexts[0]
