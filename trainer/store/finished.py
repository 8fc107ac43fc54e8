"""What a store holds from before, and whether it may stand beside what is asked for now."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.files import sha256_of

from .dataset import Session
from .plain_values import plain
from .shard import read_about

SHARDS = "shards"
NAMED = 6


def finished_before(
    folder: Path, info: dict[str, Any] | None, wanted: dict[str, Any], sessions: Sequence[Session], resume: bool
) -> dict[str, dict[str, Any]]:
    """Return the accounts of the shards that are there, by their recordings' keys.

    info: its store.json, None where there is none. wanted: the preprocessing and provenance of now. Raises ValueError
    saying what differs: the preprocessing, the data set, its options, or a recording of the same name.
    """
    if info is not None:
        _same(folder, wanted, info)
    shards = sorted((folder / SHARDS).glob("*.safetensors"))
    if not resume and (shards or info is not None):
        raise ValueError(f"{folder} holds a trial store already; choose another --out, or go on with it (resume)")
    by_key = {session.key: session for session in sessions}
    done = {}
    for path in shards:
        about = read_about(path)
        _same(folder, wanted, about)
        key = about["key"]
        if key in by_key and (told := _what_differs(about, by_key[key])):
            raise ValueError(
                f"{folder} holds recording {key!r} made from {told}; choose another --out, or delete {path}"
            )
        done[key] = about
    return done


def check_all_are_here(folder: Path, recorded: Sequence[str], sessions: Sequence[Session], source: Path) -> None:
    """Raise ValueError where a store holds recordings that its source has not: it was made from another one.

    recorded: the keys of the store's recordings.
    """
    if gone := sorted(set(recorded) - {session.key for session in sessions}):
        more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
        raise ValueError(
            f"{folder} holds recordings that {source} does not have ({', '.join(gone[:NAMED])}{more}): it was made "
            "from another folder, or they have been taken away since; choose another --out"
        )


def _what_differs(about: dict[str, Any], session: Session) -> str | None:
    identity = plain(session.identity)
    if identity != about["identity"]:
        return f"{about['identity']}, now it is {identity}"
    if [one["sha256"] for one in about["sources"]] != [sha256_of(path) for path in session.sources]:
        return f"a file of other content than {', '.join(map(str, session.sources))}"
    return None


def _same(folder: Path, wanted: dict[str, Any], there: dict[str, Any]) -> None:
    for part, word in (("preprocessing", "preprocessing"), ("provenance", "data set or options")):
        if there[part] != wanted[part]:
            names = sorted(k for k in {**there[part], **wanted[part]} if there[part].get(k) != wanted[part].get(k))
            told = "; ".join(f"{k}: {_change(there[part].get(k), wanted[part].get(k))}" for k in names)
            raise ValueError(f"{folder} holds a trial store of other {word} ({told}); choose another --out")


def _change(there: Any, now: Any) -> str:
    """Return what a value was and what it is; of tables, only what differs."""
    if isinstance(there, dict) and isinstance(now, dict):
        names = [name for name in {**there, **now} if there.get(name) != now.get(name)]
        return ", ".join(f"{name} {_change(there.get(name), now.get(name))}" for name in names)
    return f"{there!r} there, {now!r} now"
