"""Entries as vendors and users write them, with their secrets marked; and how well the secrets are seen.

A line of `secrets/*.txt` is `env NAME=VALUE`, `header NAME: VALUE`, `url URL`, or `arg` and a command with its
arguments. The secrets stand in «»; `{b62:24}` is 24 letters and digits, and so on: made up here, the same in
each run.
"""

from __future__ import annotations

import base64
import json
import random
import re
import shlex
import string
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.discovery.reading import read_entry

FOLDER = Path(__file__).parents[1] / "secrets"
_MADE = re.compile(r"\{([a-z][a-z0-9_]*)(?::([0-9]+))?\}")
_BASE64 = string.ascii_letters + string.digits + "+/"
_ALPHABETS = {
    "b62": string.ascii_letters + string.digits,
    "b64": _BASE64,
    "hex": "0123456789abcdef",
    "low": string.ascii_lowercase + string.digits,
    "let": string.ascii_lowercase,
    "up": string.ascii_uppercase + string.digits,
    "dig": string.digits,
}


class SecretCase(NamedTuple):
    """A line, its entry, and the secrets: (place, start, end)."""

    line: str
    entry: Entry
    marked: tuple[tuple[tuple[str | int, ...], int, int], ...]


def _made_up(found: re.Match[str], dice: random.Random) -> str:
    kind, length = found[1], int(found[2] or 0)
    if kind in _ALPHABETS:
        text = "".join(dice.choice(_ALPHABETS[kind]) for _ in range(length))
        return text[:-1] + "=" if kind == "b64" and length % 4 == 0 else text
    if kind == "uuid":
        return str(uuid.UUID(int=dice.getrandbits(128), version=4))
    if kind in ("wp", "gmail"):
        alphabet = _ALPHABETS["b62" if kind == "wp" else "let"]
        return " ".join("".join(dice.choice(alphabet) for _ in range(4)) for _ in range(4))
    if kind == "jwt":
        parts = [
            json.dumps(one).encode() for one in ({"alg": "HS256", "typ": "JWT"}, {"sub": str(dice.random())})
        ]
        parts.append(dice.randbytes(32))
        return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
    pem = "\n".join(base64.b64encode(dice.randbytes(48)).decode() for _ in range(4))
    pem = f"-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"
    if kind == "pem":
        return pem
    if kind == "service_account":
        return json.dumps({"type": "service_account", "project_id": "shop", "private_key": pem})
    return found[0]


def _entry(line: str) -> tuple[dict[str, Any], list[tuple[tuple[str | int, ...], str]]]:
    kind, _, rest = line.partition(" ")
    if kind == "env":
        name, _, value = rest.partition("=")
        return {"command": "x", "env": {name: _plain(value)}}, [(("env", name), value)]
    if kind == "header":
        name, _, value = rest.partition(": ")
        return {"url": "https://h.example/mcp", "headers": {name: _plain(value)}}, [
            (("headers", name), value)
        ]
    if kind == "url":
        return {"url": _plain(rest)}, [(("url",), rest)]
    command, *args = shlex.split(rest)
    data = {"command": command, "args": [_plain(one) for one in args]}
    return data, [(("args", index), one) for index, one in enumerate(args)]


def _plain(text: str) -> str:
    return text.replace("«", "").replace("»", "")


def _marks(text: str) -> list[tuple[int, int]]:
    found, taken = [], 0
    for one in re.finditer(r"«([^»]*)»", text, re.DOTALL):
        start = one.start() - taken
        taken += 2
        found.append((start, start + len(one[1])))
    return found


def cases(name: str) -> list[SecretCase]:
    """The cases of a set."""
    made = []
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        dice = random.Random(line)
        # Not into shell quotes: what is made up has none of these characters, but service accounts.
        full = _MADE.sub(lambda found: _made_up(found, dice), line)  # noqa: B023
        data, texts = _entry(full)
        entry = read_entry(CLIENTS[0], "s", ("mcpServers", "s"), 1, data)
        marked = tuple((place, *span) for place, text in texts for span in _marks(text))
        made.append(SecretCase(line, entry, marked))
    return made


class Reading(NamedTuple):
    """How a set is read: lines with a secret that is not hidden whole, and lines where something else is hidden."""

    secrets: int
    missed: list[str]
    hits: int
    wrong: list[str]

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / self.secrets

    @property
    def precision(self) -> float:
        return 1 - len(self.wrong) / self.hits


def reading(name: str) -> Reading:
    """How the set is read. A secret counts as seen if every character of it is hidden, and what is hidden as
    right if it overlaps with a secret."""
    secrets = hits = 0
    missed, wrong = [], []
    for case in cases(name):
        spans = [(one.place, one.start, one.end) for one in secrets_of(case.entry)]
        secrets += len(case.marked)
        hits += len(spans)
        for place, start, end in case.marked:
            hidden = {at for where, a, b in spans if where == place for at in range(a, b)}
            if not hidden.issuperset(range(start, end)):
                missed.append(case.line)
        for place, start, end in spans:
            if not any(where == place and a < end and start < b for where, a, b in case.marked):
                wrong.append(case.line)
    return Reading(secrets, missed, hits, wrong)
