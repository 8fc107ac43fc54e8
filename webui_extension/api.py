"""The extension's HTTP routes; plain dicts go out, for pydantic is version 1 on one host and 2 on the next."""

import base64
import binascii
import hmac
import json
from typing import Any

from .settings import encoder_files


def add_routes(_interface: Any, app: Any) -> None:
    """Add our routes to the host's FastAPI app; --api-auth guards only the host's own, so each asks for itself."""
    from fastapi import Request
    from fastapi.responses import JSONResponse

    def encoders(request: Request) -> JSONResponse:
        if not allowed(request.headers.get("authorization"), accounts()):
            refusal = {"detail": "sd-eeg: wrong or no name and password (the host runs with --api-auth)"}
            return JSONResponse(refusal, status_code=401, headers={"WWW-Authenticate": "Basic"})
        return JSONResponse(list_encoders())

    app.add_api_route("/sd-eeg/encoders", encoders, methods=["GET"], response_model=None)


def list_encoders() -> list[dict[str, Any]]:
    """Return every encoder file's name with its card, or with the reason why it cannot be read."""
    from ..core.checkpoint import read_header

    found = []
    for name, path in encoder_files().items():
        try:
            # A card may hold NaN, which JSON cannot: it goes out as null.
            card = json.loads(json.dumps(read_header(path).get("card")), parse_constant=lambda _: None)
            found.append({"name": name, "card": card, "error": None})
        except (ValueError, OSError) as error:
            found.append({"name": name, "card": None, "error": str(error)})
    return found


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
    except (binascii.Error, UnicodeDecodeError):
        return False
    expected = accounts.get(name)
    return (
        scheme.lower() == "basic" and expected is not None and hmac.compare_digest(expected.encode(), password.encode())
    )
