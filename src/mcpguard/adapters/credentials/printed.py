"""What a program printed -> a lease: its text, or a value and its end in its JSON.

Law of this file: what was printed is in no message.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mcpguard.config.credentials import CommandEntry, JsonEntry
from mcpguard.core.secret import Lease, Secret

_MOST = 10**15
EPOCH = 1_000_000_000
"""A number above it is a time (seconds since 1970), below it a length of time in seconds."""


def read_output(output: bytes, entry: CommandEntry, now: float) -> Lease:
    """The lease in what was printed at `now` (seconds since 1970). Raises ValueError with the end of a
    sentence whose beginning is the program."""
    try:
        text = output.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ValueError("printed something that is not UTF-8 text") from None
    if not text.strip():
        raise ValueError("printed nothing")
    if entry.json_ is None:
        return Lease(Secret(text), entry.ttl_seconds)
    value, seconds = _from_json(output, entry.json_, now)
    return Lease(Secret(value), entry.ttl_seconds if seconds is None else seconds)


def _from_json(output: bytes, wanted: JsonEntry, now: float) -> tuple[str, float | None]:
    from msgspec import DecodeError, json

    try:
        found = json.decode(output)
    except (DecodeError, RecursionError):
        raise ValueError("printed something that is not JSON (`json`)") from None
    value = _at(found, wanted.value)
    if type(value) is not str or not value:
        raise ValueError(f"printed JSON without a text at `{wanted.value}` (`json.value`)")
    if wanted.expires is None:
        return value, None
    seconds = _seconds(_at(found, wanted.expires), now)
    if seconds is None:
        raise ValueError(
            f"printed JSON without a time at `{wanted.expires}` (`json.expires`): expected a number of "
            "seconds, or a text such as 2026-01-31T10:00:00Z, with its zone"
        )
    if seconds <= 0:
        raise ValueError("printed a credential that has already expired")
    return value, seconds


def _at(value: Any, keys: str) -> Any:
    for key in keys.split("."):
        value = value.get(key) if type(value) is dict else None
    return value


def _seconds(value: Any, now: float) -> float | None:
    """Seconds from now."""
    if type(value) is str:
        try:
            value = float(value) if value.strip().isdecimal() else _moment(value)
        except ValueError:
            return None
    if type(value) not in (int, float) or not -_MOST < value < _MOST:
        return None
    return float(value) - now if value > EPOCH else float(value)


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.timestamp()
