"""The EEG tab on its own: the real server, used in a real browser by its fields and buttons."""

import os
import sys

import pytest

from tests.host_comfyui.browser import CHROMIUM, chromium
from tests.host_comfyui.recordings import write_edf
from tests.standalone_app import HERE, running, tab_page
from tests.webui_standin import extension

PHANTOM = "phantom-epoc14.safetensors"
CAPTIONS = ["a large red star at the top left", "a small blue ring on the right"]
STATUS = "sd_eeg_tab_recording_status"


@pytest.fixture(scope="module")
def browser():
    try:
        import playwright  # noqa: F401
    except ImportError:
        missing = "playwright is not installed"
    else:
        missing = "" if os.access(CHROMIUM, os.X_OK) else f"no Chromium at {CHROMIUM} (set CHROMIUM to one)"
    if missing:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail(f"{missing}, and REQUIRE_CHROMIUM is set")
        pytest.skip(missing)
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory):
    with running(tmp_path_factory.mktemp("app")) as started:
        yield started


@pytest.fixture
def page(browser, app):
    """The app's page, of which nobody has anything to complain afterwards."""
    with tab_page(browser, app) as opened:
        yield opened
        assert opened.complained() == []
        assert opened.hosts == {HERE}
    assert "Traceback" not in app.errors()


def simulated(page):
    """Press the button for those without a headset."""
    page.click("sd_eeg_tab_simulate")
    return page.words(STATUS, "Simulated (phantom): no brain data", "14 channels at 128 Hz", "note: phantom")


def test_an_uploaded_edf_is_described_decoded_and_drawn(page, tmp_path):
    path = tmp_path / "two-scenes.edf"
    write_edf(CAPTIONS, path, "epoc-14", repeats=8)
    page.upload("sd_eeg_tab_upload", path)
    said = page.words(STATUS, "14 channels at 128 Hz", "montage")
    assert "two-scenes.edf" in said
    assert "AF3 F7 F3" in said
    assert "units:" in said
    assert "reference:" in said
    page.pick("sd_eeg_tab_encoder", PHANTOM)
    page.pick("sd_eeg_tab_average", "per label")
    page.click("sd_eeg_tab_decode")
    table = page.words("sd_eeg_tab_readings", *CAPTIONS, "Confidence")
    assert "guessing: 0.02" in table
    sure = page.page.locator("#sd_eeg_tab_readings meter").evaluate_all("all => all.map((one) => one.value)")
    assert len(sure) == 2
    assert all(0.5 < one <= 1 for one in sure)
    page.click("sd_eeg_tab_draw")
    drawn = page.pictures("pictures", 2)
    assert [width for width, _ in drawn] == [64, 64]
    assert all(colours > 100 for _, colours in drawn)
    # The labels of an EDF file are no proof of what was shown.
    assert not page.find("sd_eeg_tab_truth").is_visible()


def test_a_corrupt_file_says_so_on_the_page_and_the_next_one_is_read(page, tmp_path):
    broken, good = tmp_path / "broken.edf", tmp_path / "good.edf"
    write_edf(CAPTIONS, good, "muse-4", repeats=2)
    broken.write_bytes(good.read_bytes()[:200] + b"?" * 400)
    page.upload("sd_eeg_tab_upload", broken)
    page.words(STATUS, "broken.edf")
    alert = page.page.locator(f"#{STATUS} [role=alert]")
    assert alert.is_visible()
    assert "Traceback" not in alert.inner_text()
    assert page.value("sd_eeg_tab_recording") == ""
    page.upload("sd_eeg_tab_upload", good)
    page.words(STATUS, "good.edf", "4 channels", "montage")
    assert alert.count() == 0


def test_an_encoder_is_trained_scored_and_listed_and_decodes(page, app):
    simulated(page)
    page.tab("Train an encoder")
    page.click("sd_eeg_tab_training_fill")
    page.fill("sd_eeg_tab_training_name", "trained here")
    page.click("sd_eeg_tab_training_train")
    page.words(
        "sd_eeg_tab_training_status", "accuracy of single events", "chance 0.250", "saved as trained here.safetensors"
    )
    page.tab("Encoders")
    page.words("sd_eeg_tab_library_listed", PHANTOM, "trained here.safetensors")
    page.tab("Decode")
    assert page.value("sd_eeg_tab_encoder") == "trained here.safetensors"
    page.click("sd_eeg_tab_decode")
    page.words("sd_eeg_tab_readings", "Nearest, by weight", CAPTIONS[0])
    assert (app.folder / "data" / "sd-eeg" / "eeg_encoders" / "trained here.safetensors").is_file()


def test_a_long_drawing_is_cancelled_and_the_next_one_is_drawn(page):
    simulated(page)
    page.pick("sd_eeg_tab_average", "none")
    page.page.get_by_text("More: prompts, negative, steps, seed").click()
    page.fill("sd_eeg_tab_steps", 200)
    page.click("sd_eeg_tab_draw")
    page.until("sd_eeg_tab_draw_status", "Drawing (")
    assert page.page.locator("#sd_eeg_tab_draw_status progress").get_attribute("max") == str(200 * 48 // 4)
    page.click("sd_eeg_tab_draw_cancel")
    page.until("sd_eeg_tab_draw_status", "Cancelled; nothing was changed.")
    assert page.pictures("pictures", 0) == []
    page.pick("sd_eeg_tab_average", "per label")
    page.fill("sd_eeg_tab_steps", 4)
    page.click("sd_eeg_tab_draw")
    page.words("sd_eeg_tab_draw_status", "4 drawn")
    for gallery in ("pictures", "truth"):
        shown = page.pictures(gallery, 4)
        assert all(width == 64 and colours > 100 for width, colours in shown)


def test_a_mistake_in_the_options_is_one_line(tmp_path, monkeypatch, capsys):
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, str(tmp_path))  # the app sets them for its process, which this one is not
    monkeypatch.setattr(sys, "argv", ["standalone.py", "--recordings", "/nowhere/at-all"])
    assert extension("standalone").main() == 2
    assert capsys.readouterr().err == "--recordings /nowhere/at-all: there is no such folder\n"
