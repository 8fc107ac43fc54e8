"""The extension's HTTP routes; plain dicts go out, for pydantic is version 1 on one host and 2 on the next."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

from .generation.readings import keep_recording, readings
from .host.host import library, shelf
from .messages import READABLE, sentence

MAX_JSON = 1 << 20  # bytes beside the recording


def add_routes(_interface: Any, app: Any) -> None:
    """Add our routes to the host's FastAPI app where its API is on.

    --api-auth guards only the host's own routes, so each of ours asks for itself.
    """
    from modules import shared

    if not (getattr(shared.cmd_opts, "api", False) or getattr(shared.cmd_opts, "nowebui", False)):
        return
    for path, method, answer in (
        ("/sd-eeg/encoders", "GET", lambda _: library().cards()),
        ("/sd-eeg/recordings", "POST", lambda given: keep_recording(given, shelf())),
        ("/sd-eeg/encode", "POST", lambda given: readings(given, shelf(), library())),
    ):
        app.add_api_route(path, endpoint(answer), methods=[method], response_model=None)


def endpoint(answer: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the asynchronous function behind a route: it asks for the password, reads JSON, answers JSON.

    401 without the password, 413 for a body that is too large, 422 with the words for what cannot work, 500 for a
    defect of ours.
    """
    from fastapi import Request
    from fastapi.responses import JSONResponse
    from starlette.concurrency import run_in_threadpool

    def refused(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"detail": f"sd-eeg: {text}"}, status_code=status, headers=headers)

    async def respond(request: Request) -> JSONResponse:
        if not allowed(request.headers.get("authorization"), accounts()):
            text = "wrong or no name and password (the host runs with --api-auth)"
            return refused(401, text, {"WWW-Authenticate": "Basic"})
        given: Any = None
        if request.method == "POST":
            largest = shelf().max_bytes * 4 // 3 + MAX_JSON
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    return refused(
                        413, f"the request is larger than {largest >> 20} MiB; put the recording into a folder"
                    )
            try:
                given = json.loads(bytes(body))
            except (ValueError, RecursionError) as error:
                return refused(422, f"the request's body is no JSON: {error}")
            if not isinstance(given, dict):
                return refused(422, "the request's body must be a JSON object")
        try:
            return JSONResponse(await run_in_threadpool(answer, given))
        except READABLE as error:
            return refused(422, sentence(error))
        except Exception as error:
            import traceback

            traceback.print_exc()
            return refused(500, sentence(error))

    return respond


def accounts() -> dict[str, str]:
    """Return the names and passwords of the host's --api-auth (`name:password,name:password`), empty without it."""
    from modules import shared

    given: str = getattr(shared.cmd_opts, "api_auth", None) or ""
    pairs = (pair.partition(":") for pair in given.split(","))
    return {name: password for name, colon, password in pairs if colon}


def allowed(authorization: str | None, accounts: dict[str, str]) -> bool:
    """Return whether an Authorization header carries one account's name and password, or there are no accounts."""
    if not accounts:
        return True
    scheme, _, encoded = (authorization or "").partition(" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, not even ASCII, or no text
        return False
    expected = accounts.get(name)
    return (
        scheme.lower() == "basic" and expected is not None and hmac.compare_digest(expected.encode(), password.encode())
    )
