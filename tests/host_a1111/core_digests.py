"""What core by itself says of windows, as digests; run by a host's interpreter, requests as JSON on standard input."""

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from core.conditioning.for_host import answer
from core.loading.load import load_recording
from core.model.checkpoint import load_encoder
from core.preprocessing.selection import parse_times, select_events, select_times


def digests(request: dict, family: str, recordings: Path, encoders: Path) -> list[str]:
    recording = load_recording(recordings / request["recording"])
    if "times" in request:
        selection = select_times(recording, parse_times(request["times"]))
    else:
        chosen = (request.get("label", ""), request.get("which", ""), request.get("average", "none"))
        selection = select_events(recording, *chosen)
    encoder, found = load_encoder(encoders / request["encoder"]), []
    for number in range(len(selection)):
        # One by one: a batch rounds in another order.
        text = answer(encoder, selection.only(number), family=family).text
        assert text is not None
        assert text.context is not None
        content = text.context.float().numpy().tobytes()
        if text.pooled is not None:
            content += text.pooled.float().numpy().tobytes()
        found.append(hashlib.sha256(content).hexdigest()[:10])
    return found


given = json.load(sys.stdin)
folders = Path(given["recordings"]), Path(given["encoders"])
print(json.dumps([digests(request, given["family"], *folders) for request in given["requests"]]))
