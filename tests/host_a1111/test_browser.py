"""The extension in a webui's page, used as a person uses it: uploads, buttons, pictures, settings, Reload UI."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.host_a1111.browser import webui_page
from tests.host_a1111.checkpoints import CHECKPOINTS
from tests.host_a1111.host import ROOT, Host, new_data, same, value_of
from tests.host_comfyui.browser import CHROMIUM, chromium
from tests.host_comfyui.recordings import write_edf

SCENES = (
    "a large red star at the top left",
    "a small blue ring on the right",
    "a large green square in the middle",
    "a small yellow circle at the bottom",
)
PHANTOM = "phantom-epoc14.safetensors"
BROKEN = b"0       " + b"\x00" * 600  # begins as an EDF does
CHANGED = {"which": "1", "mode": "add", "strength": "0.5"}


@pytest.fixture(scope="module")
def browser():
    """A Chromium; without one, or without playwright, these tests are skipped."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM} (set CHROMIUM to one)")
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def web(checkout, browser, tmp_path_factory):
    """A webui of its own, whose settings may be changed, with a checkpoint of random weights."""
    data = new_data(tmp_path_factory.mktemp(f"browser-{checkout.kind}"), checkout.kind)
    CHECKPOINTS[checkout.kind][0](data / "models" / "Stable-diffusion")
    # gradio 4 serves the host's own scripts and ours, which is linked to, from named folders only
    folders = (checkout.folder, ROOT) if checkout.kind in ("forge", "neo") else ()
    running = Host(checkout, data, args=tuple(word for one in folders for word in ("--gradio-allowed-path", str(one))))
    try:
        running.start()
        running.choose("random-sd15.safetensors")
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(web, browser):
    """The webui's page, opened anew; when the test is over it has complained of nothing that is ours."""
    with webui_page(browser, web) as opened:
        opened.settings()
        yield opened
        assert opened.ours() == []


@pytest.fixture(scope="module")
def edf(tmp_path_factory):
    """A simulated recording of four scenes, each shown six times."""
    path = tmp_path_factory.mktemp("recordings") / "simulated.edf"
    write_edf(list(SCENES), path, "epoc-14")
    return path


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A file that is called EDF and is none."""
    path = tmp_path_factory.mktemp("recordings") / "broken.edf"
    path.write_bytes(BROKEN)
    return path


def set_up(page, edf, tab: str = "txt2img", **fields) -> None:
    """Give the accordion a recording, the phantom's encoder, and other fields."""
    page.give_recording(edf, tab)
    page.pick(f"sd_eeg_{tab}_encoder", PHANTOM)
    for name, value in fields.items():
        (page.pick if name in ("label", "mode", "average", "choose") else page.fill)(f"sd_eeg_{tab}_{name}", value)


def picture_file(folder, size: int = 64):
    """A picture of some other origin, with no text in it."""
    path = folder / "plain.png"
    values = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(values).resize((size, size)).save(path)
    return path


def pasted(page, file: bytes | None, folder, tab: str = "txt2img") -> None:
    """Give PNG Info a picture and send its words to a tab."""
    path = picture_file(folder)
    if file is not None:
        path.write_bytes(file)
    page.tab("PNG Info")
    page.put_picture("pnginfo_image", path)
    page.settle(1000)
    page.page.locator("#tab_pnginfo button:visible, #tab_PNG_Info button:visible").filter(
        has_text=re.compile(rf"^\s*Send to {tab}\s*$")
    ).first.click()
    page.find(f"{tab}_generate").wait_for(state="visible")
    page.settle(2500)


def test_the_tab_and_both_accordions_are_there_once_and_off(page):
    for tab in ("txt2img", "img2img"):
        assert page.page.locator(f"#sd_eeg_{tab}").count() == 1
        assert not page.eeg_is_on(tab)
        assert not page.is_open(tab)
    page.tab("EEG")
    assert page.find("sd_eeg_tab_upload").is_visible()


def test_an_uploaded_recording_draws_and_plain_pictures_stay_as_they_were(page, edf):
    page.fill("txt2img_prompt", "a red circle")
    [plain] = page.generate()
    assert "EEG" not in page.infotext()

    said = page.give_recording(edf)
    assert page.eeg_is_on()
    assert "14 channels at 128 Hz" in said
    assert "simulated.edf" in said
    assert page.choices("sd_eeg_txt2img_label") == ["", *sorted(SCENES)]
    assert PHANTOM in page.choices("sd_eeg_txt2img_encoder")
    assert page.value("sd_eeg_txt2img_recording").startswith("sha256:")

    page.pick("sd_eeg_txt2img_encoder", PHANTOM)
    page.pick("sd_eeg_txt2img_label", SCENES[1])
    [drawn] = page.generate()
    assert page.error() == ""
    assert not same(drawn, plain)
    words = page.infotext()
    assert value_of(words, "EEG encoder") == PHANTOM
    assert value_of(words, "EEG label") == SCENES[1]
    assert value_of(words, "EEG window").startswith(SCENES[1])
    assert value_of(words, "EEG recording") == page.value("sd_eeg_txt2img_recording")

    page.eeg(False)
    [again] = page.generate()
    assert same(again, plain)
    assert "EEG" not in page.infotext()


def test_a_recording_that_cannot_be_read_says_why_and_draws_nothing(page, broken):
    said = page.give_recording(broken, words="broken.edf")
    assert "Traceback" not in said
    assert page.page.locator("#sd_eeg_txt2img .sd-eeg-alert").first.is_visible()
    page.pick("sd_eeg_txt2img_encoder", PHANTOM)
    assert page.generate() == []
    assert "EEG conditioning: " in page.error()
    assert "broken.edf" in page.error()


def test_no_recording_at_all_is_said_where_pictures_appear(page):
    page.unfold()
    assert page.eeg_is_on()
    assert page.generate() == []
    assert "no recording chosen" in page.error()


def test_png_info_fills_the_accordion_again_and_a_plain_picture_switches_it_off(page, edf, tmp_path):
    set_up(page, edf, label=SCENES[1], **CHANGED)
    [drawn] = page.generate()
    [file] = page.files()
    digest = value_of(page.infotext(), "EEG embedding")
    names = ("recording", "encoder", "label", "which", "mode", "strength", "start", "end", "average")
    before = page.fields("txt2img", *names)

    page.open()
    assert not page.eeg_is_on()
    pasted(page, file, tmp_path)
    assert page.eeg_is_on()
    assert page.fields("txt2img", *names) == before
    [again] = page.generate()
    assert same(again, drawn)
    assert value_of(page.infotext(), "EEG embedding") == digest

    page.eeg(False)
    [plain] = page.generate()
    [file] = page.files()
    page.eeg(True)
    pasted(page, file, tmp_path)
    assert not page.eeg_is_on()
    [again] = page.generate()
    assert same(again, plain)


def test_the_tab_reads_looks_decodes_and_sends(page, edf, tmp_path):
    page.tab("EEG")
    page.upload("sd_eeg_tab_upload", edf)
    said = page.until("sd_eeg_tab_recording_status", "14 channels")
    assert "Simulated (phantom): no brain data" in said

    page.tab("Look at the EEG")
    seen = set()
    for kind in ("traces", "spectrum", "scalp map", "spectrogram"):
        page.pick("sd_eeg_tab_plots_kind", kind)
        page.click("sd_eeg_tab_plots_plot")
        page.page.wait_for_function(
            "(seen) => [...document.querySelectorAll('#sd_eeg_tab_plots_pictures img')]"
            ".some((one) => !seen.includes(one.src))",
            arg=list(seen),
        )
        page.settle(1000)
        source = page.page.locator("#sd_eeg_tab_plots_pictures img").first.get_attribute("src")
        plot = Image.open(io.BytesIO(page.page.request.get(page.absolute(source)).body()))
        assert min(plot.size) > 200
        assert np.asarray(plot.convert("L")).std() > 5
        seen |= {one.get_attribute("src") for one in page.page.locator("#sd_eeg_tab_plots_pictures img").all()}
        seen |= {page.absolute(one) for one in seen}

    page.tab("Decode")
    page.pick("sd_eeg_tab_encoder", PHANTOM)
    page.pick("sd_eeg_tab_average", "per label")
    page.click("sd_eeg_tab_decode")
    table = page.until("sd_eeg_tab_readings", "Confidence")
    assert all(scene in table for scene in SCENES)
    assert len(re.findall(r"mean of 6", table)) == 4

    for tab in ("txt2img", "img2img"):
        page.tab("EEG")
        page.click(f"sd_eeg_tab_send_{tab}")
        page.find(f"{tab}_generate").wait_for(state="visible")
        page.settle(2000)
        assert page.eeg_is_on(tab)
        assert page.fields(tab, "encoder", "average") == {"encoder": PHANTOM, "average": "per label"}
        assert page.value(f"sd_eeg_{tab}_recording").startswith("sha256:")
    page.put_picture("img2img_image", picture_file(tmp_path))
    page.settings("img2img")
    assert len(page.generate("img2img")) == 1
    assert value_of(page.infotext("img2img"), "EEG average") == "per label"
    page.tab("txt2img")
    assert len(page.generate()) == 1
    assert value_of(page.infotext(), "EEG window").startswith(("mean of 6", SCENES[0]))


def test_the_phantom_makes_a_recording(page):
    page.tab("EEG")
    page.tab("Phantom")
    page.fill("sd_eeg_tab_phantom_captions", "\n".join(SCENES[:2]))
    page.fill("sd_eeg_tab_phantom_repeats", 3)
    page.click("sd_eeg_tab_phantom_simulate")
    page.until("sd_eeg_tab_phantom_status", "6 presentations of 2 scenes")
    page.page.wait_for_function("() => document.querySelectorAll('#sd_eeg_tab_phantom_truth img').length >= 2")
    assert "Simulated (phantom): no brain data" in page.text("sd_eeg_tab_recording_status")
    assert page.value("sd_eeg_tab_recording").startswith("sha256:")


def test_an_encoder_is_trained_cancelled_and_found_in_the_accordion(page, web, tmp_path):
    labelled = tmp_path / "labelled.edf"
    write_edf(list(SCENES), labelled, "epoc-14", repeats=40)
    page.tab("EEG")
    page.upload("sd_eeg_tab_upload", labelled)
    page.until("sd_eeg_tab_recording_status", "14 channels")
    page.tab("Train an encoder")
    page.click("sd_eeg_tab_training_fill")
    page.page.wait_for_function(
        "() => document.querySelector('#sd_eeg_tab_training_captions textarea').value.includes('=')"
    )
    page.fill("sd_eeg_tab_training_name", "mine")

    page.find("sd_eeg_tab_training_train").click()
    page.page.locator("#sd_eeg_tab_training_cancel:not([disabled])").click()
    page.until("sd_eeg_tab_training_status", "Cancelled; nothing was changed.")
    assert list(web.encoders.iterdir()) == []

    page.click("sd_eeg_tab_training_train")
    said = page.until("sd_eeg_tab_training_status", "saved as")
    [file] = web.encoders.iterdir()
    assert file.name in said
    assert page.value("sd_eeg_tab_encoder") == file.name

    page.tab("txt2img")
    page.give_recording(labelled)
    page.click("sd_eeg_txt2img_refresh")
    page.settle(1500)
    page.pick("sd_eeg_txt2img_encoder", file.name)
    drawn = page.generate()
    assert page.error() == ""
    assert len(drawn) == 1
    assert value_of(page.infotext(), "EEG encoder") == file.name


def test_a_batch_count_of_two_draws_two_windows(page, edf):
    set_up(page, edf, which="0, 6")
    page.fill("txt2img_batch_count", 2)
    pictures = page.generate()
    pictures = pictures[-2:]  # before them is the grid
    assert len(pictures) == 2
    assert not same(*pictures)


def test_img2img_and_inpainting_are_conditioned(page, edf, tmp_path):
    page.tab("img2img")
    page.put_picture("img2img_image", picture_file(tmp_path))
    page.settings("img2img")
    [plain] = page.generate("img2img")
    set_up(page, edf, "img2img")
    [drawn] = page.generate("img2img")
    assert not same(drawn, plain)
    assert value_of(page.infotext("img2img"), "EEG encoder") == PHANTOM

    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((64, 32), 255, np.uint8), ((0, 0), (32, 0)))).save(mask)
    page.tab("Inpaint upload")
    page.put_picture("img_inpaint_base", picture_file(tmp_path))
    page.put_picture("img_inpaint_mask", mask)
    [drawn] = page.generate("img2img")
    original = np.asarray(Image.open(picture_file(tmp_path)))
    assert same(drawn[:, :16], original[:, :16], steps=2)
    page.eeg(False, "img2img")
    [plain] = page.generate("img2img")
    assert not same(drawn, plain)


def test_a_grid_over_the_strength(page, edf):
    set_up(page, edf, which="0", mode="blend")
    page.page.locator("#tab_txt2img #script_list, #txt2img_script_container #script_list").first.locator(
        "input"
    ).first.click()
    page.page.locator("ul.options li:visible").filter(has_text="X/Y/Z plot").first.click()
    page.settle(1000)
    page.pick("script_txt2img_xyz_plot_x_type", "[EEG] Strength")
    page.fill("script_txt2img_xyz_plot_x_values", "0, 0.5, 1")
    [grid] = page.generate()
    width = grid.shape[1] // 3
    assert width >= 64
    cells = [grid[-64:, number * width : (number + 1) * width] for number in range(3)]
    assert not same(cells[0], cells[1])
    assert not same(cells[1], cells[2])
    assert page.error() == ""


def test_reload_ui_leaves_one_tab_one_accordion_and_one_effect(page, edf):
    set_up(page, edf, **CHANGED)
    [before] = page.generate()
    digest = value_of(page.infotext(), "EEG embedding")
    page.tab("Settings")
    reloads = page.host.said().count("Restarting UI")
    page.click("settings_restart_gradio")
    page.page.goto("about:blank")  # the page would ask for the server until it is back, too early now and then
    while page.host.said().count("Restarting UI") == reloads:
        page.settle()
    page.host.wait()
    page.open()

    config = json.dumps(page.host.get("/config"))
    assert config.count('"sd_eeg_txt2img"') == 1
    assert page.page.locator("#sd_eeg_txt2img").count() == 1
    assert page.page.locator("#tab_sd_eeg").count() == 1
    assert not page.eeg_is_on()
    page.settings()
    set_up(page, edf, **CHANGED)
    [after] = page.generate()
    assert same(after, before)
    assert value_of(page.infotext(), "EEG embedding") == digest


def test_the_settings_page_moves_the_encoders(page, web, tmp_path):
    page.tab("Settings")
    page.page.locator("#settings button").filter(has_text=re.compile(r"^\s*EEG\s*$")).first.click()
    for option in ("encoder_folder", "recording_folders", "max_upload_mib"):
        assert page.find(f"setting_sd_eeg_{option}").is_visible()
    (tmp_path / "moved.safetensors").write_bytes((ROOT / "assets" / "encoders" / PHANTOM).read_bytes())
    page.fill("setting_sd_eeg_encoder_folder", str(tmp_path))
    page.click("settings_submit")
    page.until("settings_result", "sd_eeg_encoder_folder")
    page.tab("txt2img")
    page.unfold()
    page.click("sd_eeg_txt2img_refresh")
    page.settle(1500)
    assert "moved.safetensors" in page.choices("sd_eeg_txt2img_encoder")
    web.call("/sdapi/v1/options", {"sd_eeg_encoder_folder": ""})


@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("localizations/*.json")) or [None])
def test_a_localisation_changes_our_labels(page, web, name):
    if name is None:
        pytest.skip("this checkout has no localizations/")
    words = json.loads((ROOT / "localizations" / f"{name}.json").read_text(encoding="utf-8"))
    web.call("/sdapi/v1/options", {"localization": name})
    try:
        page.page.goto("about:blank")
        web.reload_ui()
        page.open()
        page.unfold()
        seen = page.text("sd_eeg_txt2img")
        for label in ("EEG conditioning", "EEG encoder", "Strength"):
            assert words[label] in seen
    finally:
        web.call("/sdapi/v1/options", {"localization": "None"})
