"""Our routes, the host's password on them, and fifty requests at a time."""

import concurrent.futures
import gc

import pytest

from tests.host_a1111.host import FailedError, as_base64

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors"}
ROUTES = (
    ("/sd-eeg/encoders", None),
    ("/sd-eeg/recordings", {"recording": "noise.safetensors"}),
    ("/sd-eeg/encode", {**EEG, "encoder": "prompts.safetensors"}),
)
MANY, WARM_UP, ROUNDS, GROWTH_MB = 50, 2, 3, 20


def test_encoders_are_listed_with_their_cards(host):
    listed = {one["name"]: one for one in host.get("/sd-eeg/encoders")}
    assert {"sd1.safetensors", "sdxl.safetensors", "prompts.safetensors"} <= set(listed)
    assert listed["sd1.safetensors"]["card"]["name"] == "untrained, for tests"
    assert listed["sd1.safetensors"]["error"] is None


def test_a_recording_is_kept_and_described(host):
    file = as_base64(host.data / "eeg_recordings" / "noise.safetensors")
    found = host.call("/sd-eeg/recordings", {"recording": file})
    assert found["reference"].startswith("sha256:")
    assert found["events"] == {"house": 3, "face": 3}
    assert (found["sfreq"], found["duration"], len(found["channels"])) == (128.0, 12.0, 8)
    by_name = host.call("/sd-eeg/recordings", {"recording": "noise.safetensors"})
    assert by_name["reference"] == found["reference"]
    assert host.draw({**EEG, "recording": found["reference"]}).digests == host.draw(EEG).digests


def test_windows_are_decoded_without_drawing(host):
    found = host.call("/sd-eeg/encode", {**EEG, "encoder": "prompts.safetensors", "which": "0-2"})
    assert found["space"] == "prompts"
    assert [one["label"] for one in found["windows"]] == ["house", "face", "house"]
    for window in found["windows"]:
        assert len(window["best"]) == 2
        assert sum(one["score"] for one in window["best"]) == pytest.approx(1, abs=1e-3)
        assert 0 <= window["confidence"] <= 1


@pytest.mark.parametrize(("path", "body"), ROUTES, ids=[path for path, _ in ROUTES])
def test_the_hosts_password_guards_our_routes(odd, path, body):
    if path == "/sd-eeg/encode":
        with pytest.raises(FailedError, match=r"HTTP 422.*'mne'"):  # let in, and then without that package
            odd.call(path, body)
    else:
        assert odd.call(path, body)
    for wrong in ("user:wrong", "nobody:pass", ":", "user"):
        with pytest.raises(FailedError) as caught:
            odd.call(path, body, auth=wrong)
        assert caught.value.status == 401
        assert "untrained" not in caught.value.body
    odd.auth, kept = "", odd.auth
    try:
        with pytest.raises(FailedError) as caught:
            odd.call(path, body)
        assert caught.value.status == 401
    finally:
        odd.auth = kept


def test_fifty_parallel_requests_are_neither_lost_nor_mixed_up_and_memory_is_flat(host, computed):
    requests = [
        {**EEG, "choose": "times", "times": f"{1 + number / 8:g}",
         "recording": ("noise.safetensors", "other.safetensors")[number % 2]}
        for number in range(MANY)
    ]  # fmt: skip
    expected = [digests[0] for digests in computed(*requests)]
    assert len(set(expected)) == MANY

    def draw(number: int) -> list[str]:
        return host.draw(requests[number], steps=1, seed=number, prompt=f"number {number}").digests

    grown = []
    for _ in range(WARM_UP + ROUNDS):
        before = host.rss_mb()
        with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
            found = list(pool.map(draw, range(MANY)))
        gc.collect()
        grown.append(host.rss_mb() - before)
        assert found == [[one] for one in expected]
    print(f"\n{host.kind}: the process grew by {', '.join(f'{mb:.1f}' for mb in grown)} MB in rounds of {MANY}")
    # One conditioning of 77 x 768 that stayed for each picture would be 35 MB.
    assert sum(grown[WARM_UP:]) < GROWTH_MB


def test_routes_and_pictures_at_the_same_time_do_not_mix(host, computed):
    requests = [{**EEG, "which": str(number)} for number in range(6)]
    expected = computed(*requests)

    def act(number: int):
        if number % 2:
            found = host.call("/sd-eeg/encode", {**requests[number % 6], "encoder": "prompts.safetensors"})
            return found["windows"][0]["time"]
        return host.draw(requests[number % 6], steps=1).digests

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        found = list(pool.map(act, range(12)))
    for number, one in enumerate(found):
        assert one == (1.0 + 1.5 * (number % 6) if number % 2 else expected[number % 6])
