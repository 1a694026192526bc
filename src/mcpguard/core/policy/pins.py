"""How the definition of a tool or a prompt stands to those that were accepted: a tool whose
server changes its definition once people trust it (a "rug pull") is held back.

Law of this file: what was never accepted is held, unless it is the first that was ever seen of its name and
its server's entry lets that count, or the entry says that changes are only reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from typing import Literal

from msgspec import DecodeError, Struct, json

from mcpguard.core.model import Json, Listed, Principal

Hold = Literal["changed", "all", "report"]
"""What is held until a person accepts it: what has changed; that and whatever is new; or nothing."""

MOST_TEXT = 65_536
"""Bytes that are kept of one definition."""
UNSHOWN = "a value that is not shown"
"""What is different where inspection removed it."""
_CUT = "(this definition is too long to be kept whole: the rest of it is not shown)"
_OTHERWISE = "(the same lines as before, in another order or number)"
_MOST_COMPARED = 250_000
"""Of more pairs of lines, as a hostile definition has them, the order is not compared: that takes seconds."""
_HELD = (
    "this {} is held back, because its definition is not one that was accepted. {} can see what is "
    "different, and accept it, with `mcpguard pins`."
)


def held_back(entry: Listed, principal: Principal) -> str:
    """Why `entry` is of no use to that principal, and what helps: a sentence, or the rest of one."""
    return _HELD.format(entry.kind, principal.operator)


class Standing(Struct, frozen=True):
    """How a definition stands that is not simply accepted: whether it is `held`; whether it `is_new`, never
    seen before; and then the sha256 of the last one `before` it, "" for none. It `is_full`: there was no room
    to remember it."""

    held: bool
    is_new: bool = False
    before: str = ""
    is_full: bool = False


INSTRUCTIONS = "instructions"
"""The name under which the instructions of a server are kept, of the kind "server"."""


class Pin(Struct, frozen=True):
    """A definition of a tool or a prompt (`kind`) that `server` listed, or its instructions; `place` tells
    servers of one name apart. `digest` is its sha256 (hex) as it was sent, `text` its inspected JSON. It was
    first seen, or accepted, `since` then (seconds since 1970); `by` is who accepted it, "" for nobody: it was
    the first."""

    server: str
    place: str
    kind: str
    name: str
    digest: str
    accepted: bool
    since: float
    by: str
    text: str

    @property
    def subject(self) -> str:
        """As people write it; a tool's name is never read as a prompt's."""
        plain = self.kind == "tool" and not self.name.startswith(("tool:", "prompt:", "server:"))
        return f"{self.server}/{'' if plain else f'{self.kind}:'}{self.name}"


def in_evidence(name: str) -> str:
    """A name of a server's choice within a sentence of evidence, so that it cannot pass for more of it."""
    return name if all(mark.isalnum() or mark in "_-./" for mark in name) else json.encode(name).decode()


class HeldPin(Struct, frozen=True):
    """A definition that is held, and the text of the one that was accepted last of its name, "" for none."""

    pin: Pin
    before: str

    @property
    def changes(self) -> list[str]:
        """What a person reads before they accept it: its `difference` to what was accepted, and whether
        anything of it cannot be shown."""
        lines = difference(self.before, self.pin.text) or [f"({UNSHOWN})"]
        return lines if _is_whole(self.pin.text) else [*lines, _CUT]


def held_now(known: Iterable[Pin]) -> list[HeldPin]:
    """Of each name in `known`, where the latest is last, the latest definition that is held."""
    held: dict[tuple[str, str, str, str], Pin] = {}
    accepted: dict[tuple[str, str, str, str], str] = {}
    for one in known:
        name = one.server, one.place, one.kind, one.name
        if one.accepted:
            accepted[name] = one.text
        else:
            held[name] = one
    return [HeldPin(one, accepted.get(name, "")) for name, one in held.items()]


def _is_whole(text: str) -> bool:
    """Whether it was not cut: the beginning of a JSON object is not valid JSON."""
    try:
        json.decode(text)
    except DecodeError:
        return False
    return True


def difference(before: str, after: str) -> list[str]:
    """What two definitions, as in `Pin.text`, differ in: the lines of both as in a unified diff, one for each
    value by its path ("path: value"), and one for each line of a longer text ("path| line"). It is empty only
    for two that are the same."""
    old, new = _lines(before), _lines(after)
    if len(old) * len(new) > _MOST_COMPARED:
        gone, come = set(old) - set(new), set(new) - set(old)
        found = [*(f"-{line}" for line in old if line in gone), *(f"+{line}" for line in new if line in come)]
        return found or [_OTHERWISE] * (old != new)
    compared = list(unified_diff(old, new, n=0, lineterm=""))[2:]
    return [line for line in compared if not line.startswith("@@ ")]


def _lines(text: str) -> list[str]:
    try:
        return list(_members("", json.decode(text))) if text else []
    except DecodeError:  # It was too long to be kept whole.
        return text.split(",")


def _members(path: str, value: Json) -> Iterator[str]:
    if type(value) is dict and value:
        for name, member in value.items():
            part = name if name.isidentifier() else json.encode(name).decode()
            yield from _members(f"{path}.{part}" if path else part, member)
    elif type(value) is list and value:
        for index, member in enumerate(value):
            yield from _members(f"{path}[{index}]", member)
    elif type(value) is str and "\n" in value:
        for line in value.split("\n"):
            yield f"{path}| {line}"
    else:
        yield f"{path}: {json.encode(value).decode()}"


def standing(known: Mapping[str, bool], digest: str, hold: Hold) -> Standing | None:
    """How the definition `digest` stands to those that are `known` of its name (digest -> whether it was
    accepted, the latest last); None where it was accepted."""
    if known.get(digest):
        return None
    if digest in known:
        return Standing(held=True) if hold != "report" else None
    if not known:
        return Standing(held=hold == "all", is_new=True)
    return Standing(held=hold != "report", is_new=True, before=list(known)[-1])
