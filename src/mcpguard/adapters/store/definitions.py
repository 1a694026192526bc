"""How servers defined their tools and prompts before, in this process and in earlier ones, so that a change
between two sessions is noticed.

Law of this file: what was seen is answered from memory, and the file is written in a thread. One that cannot
be read or written costs no call, and is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from mcpguard.adapters.system.disk import DiskThread
from mcpguard.adapters.system.files import take_lock, write_whole
from mcpguard.protocol.names import alike

FILE = "definitions.json"
MOST_NAMES = 2000
"""How many entries of one list are remembered."""
MOST_SEEN = 8
"""How many definitions of one entry: a server may show some people another one."""
MOST_SERVERS = 256
PATIENCE, PAUSE = 2.0, 0.02
"""Seconds for which another process may have the file."""

Seen = dict[str, list[str]]
"""The name of an entry with its kind -> the digests of its definitions, the latest last."""


FORM = 2
"""How `protocol/catalogue.py` makes the digests. Those of another form say nothing about a change, so they
are left out when the file is read, and learned again."""


class _Stored(Struct):
    servers: dict[str, Seen] = {}
    form: int = 1


class KnownDefinitions:
    """What is known in `folder`, which several processes may use."""

    def __init__(self, folder: Path, failed: Callable[[str], None]) -> None:
        """`failed(sentence)` is called once, maybe from a thread, where the file cannot be used."""
        self._file = folder / FILE
        self._failed = failed
        self._told = False
        self._disk = DiskThread("mcpguard-definitions")
        self._known = self._read()

    def changed(self, server: str, kind: str, found: Mapping[str, str]) -> dict[str, str]:
        """Those entries of a list of `server` (name -> digest of its definition) that were defined in other
        ways before and never in this one, with the digest of the last way. `server` is its name with whatever
        makes it another server, `kind` that of the list."""
        seen = self._known.setdefault(server, {})
        changed, is_new = dict[str, str](), False
        for name, digest in list(found.items())[:MOST_NAMES]:
            ways = seen[f"{kind} {name}"] = seen.pop(f"{kind} {name}", [])
            if digest not in ways:
                changed.update({name: ways[-1]} if ways else {})
                ways.append(digest)
                del ways[:-MOST_SEEN]
                is_new = True
        for name in list(seen)[: -3 * MOST_NAMES]:
            del seen[name]
        if is_new:
            self._disk.submit(partial(self._write, server, {name: [*ways] for name, ways in seen.items()}))
        return changed

    def has_listed(self, server: str, kind: str, name: str) -> bool:
        """Whether a server of this name, whatever it was then, is known to have listed such an entry, or one
        whose name a client may write alike."""
        ours = (seen for key, seen in self._known.items() if key.partition(" ")[0] == server)
        names = (one.partition(" ") for seen in ours for one in seen)
        wanted = alike(name)
        return any(of == kind and alike(listed) == wanted for of, _, listed in names)

    def close(self) -> None:
        """End after what is to be written now."""
        self._disk.end()

    def _read(self) -> dict[str, Seen]:
        try:
            stored = msgspec.json.decode(self._file.read_bytes(), type=_Stored)
            if stored.form == FORM:
                return stored.servers
            return {server: {name: [] for name in seen} for server, seen in stored.servers.items()}
        except FileNotFoundError:
            return {}
        except OSError as problem:
            self._fail(problem.strerror or "")
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail("it is not what mcpguard writes: remove it")
        return {}

    def _write(self, server: str, seen: Seen) -> None:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(take_lock(self._file.with_suffix(".lock"), PATIENCE, PAUSE), "rb"):
                servers = self._read()
                theirs = servers.pop(server, {})
                for name, ways in seen.items():
                    others = [one for one in theirs.get(name, []) if one not in ways]
                    theirs[name] = [*others, *ways][-MOST_SEEN:]
                servers[server] = theirs
                kept = dict(list(servers.items())[-MOST_SERVERS:])
                write_whole(self._file, msgspec.json.encode(_Stored(kept, FORM)))
        except OSError as problem:
            self._fail(problem.strerror or "")

    def _fail(self, why: str) -> None:
        if not self._told:
            self._told = True
            said = f"definitions of tools cannot be remembered in {self._file} ({why})"
            self._failed(f"{said}: one that changes between two sessions is not noticed")
