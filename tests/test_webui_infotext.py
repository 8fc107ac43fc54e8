"""What a picture says of its EEG fills the accordion again, and says nothing of where files lie."""

import random
import re

import pytest

from core.formats.toolboxes.native import save_recording
from core.recording import Event
from tests.small_encoders import noise_recording
from tests.webui_standin import ENCODERS, extension, standing_in, write_encoders

request, infotext = extension("generation.request"), extension("generation.infotext")
LETTERS = " abcXYZ019.,:;-+_/\\'\"()[]{}<>\n\t|&%$#@!?äßλ猫"


@pytest.fixture
def host(tmp_path):
    with standing_in(tmp_path / "a secret place") as made:
        write_encoders(made.encoders, *ENCODERS)
        save_recording(noise_recording(), made.recordings / "noise.safetensors")
        yield made
        assert made.reported == []


def asked(name: str = "text", **fields) -> list:
    return [{"recording": "noise.safetensors", "encoder": f"{name}.safetensors", **fields}]


def pasted(host, text: str, img2img: bool = False) -> dict:
    """Return the accordion's values by field after an infotext was pasted, `enabled` with them."""
    runner, _ = host.runners[img2img]
    found = host.infotext_utils.paste(runner.infotext_fields, text)
    controls = runner.inputs[runner.script("EEG conditioning").args_from :]
    names = ["enabled", *request.FIELDS]
    return {name: found[control] for name, control in zip(names, controls, strict=True) if control in found}


def words_of(host, text: str, name: str) -> str:
    return host.infotext_utils.parse_generation_parameters(text).get(name)


@pytest.mark.parametrize("img2img", [False, True])
def test_a_picture_fills_the_accordion_and_draws_itself_again(host, img2img):
    from PIL import Image

    host.interface(img2img)
    more = {"init_images": [Image.new("RGB", (64, 64))]} if img2img else {}
    given = {
        "choose": "times", "times": "1.5, 3", "mode": "blend", "strength": 0.35, "start": 0.25, "end": 0.9,
        "fallback": True, "negative": "train mean", "prompts": "a: face\na, house",
        "reading": "events=face=seen,house",
    }  # fmt: skip
    drawn = host.draw(asked("words", **given), img2img=img2img, **more)
    values = pasted(host, drawn.infotexts[0], img2img)
    assert values.pop("enabled") is True
    recording = values.pop("recording")
    assert re.fullmatch("sha256:[0-9a-f]{10}", recording)
    left_out = {name: value for name, value in request.DEFAULTS.items() if name != "recording"}
    assert values == {**left_out, "encoder": "words.safetensors", **given}
    again = host.draw([True, recording, *(values[name] for name in request.FIELDS[1:])], img2img=img2img, **more)
    assert again.images[0].tobytes() == drawn.images[0].tobytes()
    assert again.infotexts == drawn.infotexts


def test_every_request_comes_back_from_its_words(host):
    host.interface(False)
    quote = host.infotext_utils.quote
    generator = random.Random(0)

    def text() -> str:
        return "".join(generator.choices(LETTERS, k=generator.choice((0, 1, 3, 20)))).strip()

    for _ in range(300):
        given = request.EegRequest(
            "sha256:0123456789", f"{text() or 'e'}.safetensors", generator.choice(request.CHOOSE), text(), text(),
            generator.choice(request.AVERAGES), text(), generator.choice(request.STEERING), generator.random(),
            generator.random() / 2, 0.5 + generator.random() / 2, generator.random() < 0.5,
            generator.choice(request.NEGATIVES), generator.choice(request.INITS), text(),
            generator.choice(request.UNITS),
        )  # fmt: skip
        parts = {"request": given, "recording_name": given.recording, "encoder_digest": "0"}
        decoded = type("Decoded", (), {**parts, "verdict": lambda: "yes"})
        parameters = {"Steps": 4, "Sampler": "Euler", "Seed": 1, **infotext.infotext(decoded)}
        words = ", ".join(f"{name}: {quote(value)}" for name, value in parameters.items() if not callable(value))
        values = pasted(host, f"a prompt\n{words}")
        assert values.pop("enabled") is True
        assert request.EegRequest(**values) == given, words


def test_a_label_like_a_size_comes_back(host):
    host.interface(False)
    events = tuple(Event(1.0 + i, 0.2, ("8x8", "64x64")[i % 2]) for i in range(4))
    recording = noise_recording()
    save_recording(type(recording)(recording.data, 128.0, recording.ch_names, None, events),
                   host.recordings / "sizes.safetensors")  # fmt: skip
    drawn = host.draw(asked(recording="sizes.safetensors", label="64x64"))
    assert pasted(host, drawn.infotexts[0])["label"] == "64x64"


def test_a_plain_picture_switches_the_eeg_off_and_leaves_its_fields_alone(host):
    host.interface(False)
    assert pasted(host, host.draw().infotexts[0]) == {"enabled": False}
    assert pasted(host, "only a prompt") == {"enabled": False}


def test_what_a_picture_leaves_out_goes_back_to_its_default(host):
    host.interface(False)
    values = pasted(host, host.draw(asked()).infotexts[0])
    named = {"enabled": True, "encoder": "text.safetensors", "recording": values["recording"]}
    assert values == {**request.DEFAULTS, **named}
    assert values["recording"].startswith("sha256:")


@pytest.mark.parametrize("absolute", [True, False])
def test_no_words_say_where_a_file_lies(host, absolute):
    named = str(host.recordings / "noise.safetensors") if absolute else "noise.safetensors"
    drawn = host.draw(asked(recording=named, choose="times", times="1"), batch_size=2)
    for text in (*drawn.infotexts, drawn.grid_infotext, drawn.infotext(0)):
        assert "secret" not in text
        assert "noise" not in text
        assert str(host.folder) not in text


def test_each_picture_names_its_own_window_and_embedding(host):
    drawn = host.draw(asked(), batch_size=2, n_iter=4)
    windows = [words_of(host, text, "EEG window") for text in drawn.infotexts]
    whens = ["house at 1 s", "face at 2.5 s", "house at 4 s", "face at 5.5 s", "house at 7 s", "face at 8.5 s"]
    assert windows == [*whens, *whens[:2]]
    assert [words_of(host, drawn.infotext(index), "EEG window") for index in range(8)] == windows
    embeddings = [words_of(host, text, "EEG embedding") for text in drawn.infotexts]
    assert len(set(embeddings)) == 6
    assert embeddings[:2] == embeddings[6:]
    assert [words_of(host, drawn.infotext(index), "EEG embedding") for index in range(8)] == embeddings


def test_a_grid_is_named_by_the_jobs_first_window(host):
    drawn = host.draw(asked(), batch_size=2, n_iter=2)
    for name in ("EEG window", "EEG embedding"):
        assert words_of(host, drawn.grid_infotext, name) == words_of(host, drawn.infotexts[0], name)


def test_the_same_window_has_the_same_embedding_in_any_job(host):
    together = host.draw(asked(), batch_size=4).infotexts[3]
    alone = host.draw(asked(which="3", mode="blend", strength=0.2)).infotexts[0]
    assert words_of(host, together, "EEG embedding") == words_of(host, alone, "EEG embedding")


def test_an_average_says_of_how_many(host):
    drawn = host.draw(asked(average="per label"), batch_size=2)
    assert [words_of(host, text, "EEG window") for text in drawn.infotexts] == ["house (mean of 3)", "face (mean of 3)"]


def test_the_version_and_the_encoders_hash_stand_in_every_picture(host):
    from core.files import sha256_of

    text = host.draw(asked()).infotexts[0]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", words_of(host, text, "EEG version"))
    assert words_of(host, text, "EEG encoder hash") == sha256_of(host.encoders / "text.safetensors")[:10]


def test_a_plain_job_after_one_with_eeg_says_nothing_of_eeg(host):
    p = host.prepared(asked())
    host.processing.process_images(p)
    p.script_args[1] = False
    assert "EEG" not in host.processing.process_images(p).infotexts[0]
