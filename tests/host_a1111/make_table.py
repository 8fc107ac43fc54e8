"""Print the table of hosts and what ran in them, for docs/webui.md, from JUnit files of these tests, one a host.

    A1111_DIR=... A1111_PYTHON=... python -m pytest tests/host_a1111 --junitxml=runs/a1111.xml
    python -m tests.host_a1111.make_table runs/a1111.xml runs/forge.xml ...

A cell says how many tests passed; a dash, that none ran. Of a test in several files the last one counts. Tests that
belong to no line are named on standard error.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

ALL = "all tests"
NAMES = {"a1111": "AUTOMATIC1111", "forge": "Forge", "neo": "Forge Neo", "reforge": "reForge"}
# A line of the table, and words one of which is in the name of each test that it stands for.
FEATURES = {
    "starts, tab and accordions appear": (
        "test_the_start_has",
        "test_tab_accordions",
        "test_the_script_is_listed",
        "accordion_is_off",
    ),
    "Reload UI": ("test_reload_ui",),
    "plain, EEG, plain: the plain pictures are identical": ("test_plain_pictures_before", "test_the_prompt_does_not"),
    "a batch of 3 draws 3 windows; batch count": ("test_a_batch_of_three", "test_windows_go_on"),
    "the embedding is what the core computes": ("test_the_embedding_is",),
    "hires": ("hires",),
    "img2img and inpainting": ("test_img2img_is", "test_inpainting"),
    "AND prompts": ("and_prompt",),
    "CFG 1": ("without_guidance",),
    "prompts of any length": ("any_length", "long_prompt"),
    "Euler, Euler a, DPM++ 2M": ("test_samplers",),
    "replace, blend, add; start and end": ("strength_zero", "full_strength", "test_adding", "test_start_and_end"),
    "fallback; train mean as negative": ("test_the_fallback", "test_the_train_mean"),
    "init image from saliency and latent": ("eegs_picture", "same_picture"),
    "a prompts head with the host's text encoder": ("test_prompts_are_mixed",),
    "SDXL": ("test_sdxl",),
    "the phantom's own model draws what was seen": ("test_the_judge", "test_pictures_from_the_eeg"),
    "infotext, PNG Info, the API's infotext": ("test_infotext",),
    "X/Y/Z plot": ("test_xyz",),
    "bad input stops with plain words": ("test_bad_input",),
    "routes and --api-auth": ("test_encoders_are", "test_a_recording_is_kept", "test_windows_are_decoded", "password"),
    "50 requests at a time": ("fifty", "same_time"),
    "without mne; beside another `core`; install.py": ("without_mne", "owns_core", "test_install"),
    "settings, another folder of encoders": ("test_another_folder", "test_the_settings_page"),
    "in a browser": ("test_browser",),
    "the stand-in's claims hold": ("test_standin",),
}


def results(paths: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    """By feature and host, what became of its tests: passed, skipped or failed; a last line for all tests of a host."""
    found: dict[str, dict[str, list[str]]] = {feature: {} for feature in (*FEATURES, ALL)}
    cases = (case for path in paths for case in ElementTree.parse(path).iter("testcase"))
    for name, case in {f"{case.get('classname', '')}.{case.get('name', '')}": case for case in cases}.items():
        kind = next((kind for kind in NAMES if f"[{kind}" in name), None)
        if kind is None:
            continue
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        features = [feature for feature, words in FEATURES.items() if any(word in name for word in words)]
        if not features:
            print(f"in no line: {name}", file=sys.stderr)
        for feature in (*features, ALL):
            found[feature].setdefault(kind, []).append(outcome)
    return found


def cell(outcomes: list[str] | None) -> str:
    """One cell: how many tests passed, and what else there was."""
    if not outcomes or set(outcomes) == {"skipped"}:
        return "–"
    passed, failed = outcomes.count("passed"), outcomes.count("failed")
    return f"{failed} of {passed + failed} failed" if failed else f"✓ {passed}"


def table(found: dict[str, dict[str, list[str]]]) -> str:
    """The Markdown table, with the hosts that ran as columns."""
    kinds = [kind for kind in NAMES if any(kind in row for row in found.values())]
    lines = [["", *(NAMES[kind] for kind in kinds)], ["---", *("---" for _ in kinds)]]
    lines += [[feature, *(cell(row.get(kind)) for kind in kinds)] for feature, row in found.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(results([Path(path) for path in sys.argv[1:]])))
