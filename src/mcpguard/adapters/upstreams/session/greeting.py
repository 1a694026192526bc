"""The first words with an upstream: which era it speaks, and who it says it is.

Law of this file: one server, one answer. An upstream that cannot be understood is refused with a sentence
that says why, and one that changes its name or its era between two lives is refused as well.

Sources: specification 2026-07-28, basic/transports/stdio and streamable-http (backward compatibility),
server/discover; 2025-11-25, basic/lifecycle.
"""

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from mcpguard import __version__
from mcpguard.adapters.upstreams.session.life import Terms
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json
from mcpguard.protocol import eras
from mcpguard.protocol.eras import LEGACY_VERSIONS, initialize_params

DISCOVER = "server/discover"
PROBE_SECONDS = 5.0
"""Silence of this length after `server/discover` means the legacy era."""


class Greeting(Struct, frozen=True):
    """What an upstream said about itself. `server_info` and `capabilities` are as sent, uninspected.
    `certain` is False where only silence spoke against the other era."""

    modern: bool
    version: str
    capabilities: dict[str, Json]
    instructions: str | None
    server_info: dict[str, Json]
    certain: bool = True


def said_of(greeting: Greeting) -> str:
    """What an upstream is, in a few words; uninspected."""
    info = greeting.server_info
    name = "/".join(str(info[key]) for key in ("name", "version") if type(info.get(key)) is str)
    return f"{name or 'it gives no name'}, revision {greeting.version}"


class WireEnded(UpstreamError):
    """The wire ended before the answer to `method`."""

    def __init__(self, method: str) -> None:
        super().__init__(f"it ended before it answered {method}")
        self.method = method


class Ask(Protocol):
    """Ask one request outside of any permit."""

    async def __call__(self, method: str, params: dict[str, Json], seconds: float | None = None) -> Json:
        """The whole JSON-RPC response, None after `seconds` of silence. Raises UpstreamError where there
        will be none, WireEnded where the wire is over."""


async def greet(ask: Ask, terms: Terms, modern_first: bool) -> Greeting:
    """Find out what the upstream speaks. Raises UpstreamError if that is nothing that we know."""
    return await _Opening(ask, terms).run(modern_first)


class _Opening:
    def __init__(self, ask: Ask, terms: Terms) -> None:
        self._ask = ask
        self._terms = terms
        self._patience = min(PROBE_SECONDS, terms.start_seconds / 3)
        self._failure: UpstreamError | None = None

    async def run(self, modern_first: bool) -> Greeting:
        silent = True
        found: Greeting | None = None
        if modern_first:
            found, silent = await self._discover()
        if found is None:
            found = await self._initialize()
            # A slow start looks like silence, so what did not answer before may answer now.
            if found is not None and modern_first and silent:
                found = replace(found, certain=False)
        if found is None and silent:
            found, _ = await self._discover()
        if found is None:
            raise self._failure or UpstreamError(
                "it refused initialize and server/discover, or supports no revision that mcpguard knows"
            )
        return found

    async def _discover(self, version: str = "") -> tuple[Greeting | None, bool]:
        """The greeting, or None; and whether nothing at all was answered."""
        version = version or eras.MODERN_VERSIONS[0]
        meta = eras.envelope(
            self._terms.listener.declared_to(self._terms.name), version, "mcpguard", __version__
        )
        try:
            answer = await self._ask(DISCOVER, {"_meta": meta}, self._patience)
        except WireEnded:
            raise
        except UpstreamError as failure:
            self._failure = failure
            return None, False
        if answer is None:
            return None, True
        if "error" in answer:
            other = _supported(answer["error"])
            if other is not None and other != version:
                return await self._discover(other)
            return None, False
        return _discovered(answer["result"]), False

    async def _initialize(self) -> Greeting | None:
        listener = self._terms.listener
        caller = listener.declared_to(self._terms.name)
        params = initialize_params(caller, listener.version, "mcpguard", __version__)
        try:
            answer = await self._ask("initialize", params)
        except WireEnded:
            raise
        except UpstreamError as failure:
            self._failure = failure
            return None
        result = answer.get("result")
        if result is None or result.get("protocolVersion") not in LEGACY_VERSIONS:
            return None
        return _greeting(False, result["protocolVersion"], result, result.get("serverInfo"))


def _supported(error: dict[str, Json]) -> str | None:
    """The modern revision that we have in common with whoever refuses our own."""
    data = error.get("data")
    if error["code"] != eras.UNSUPPORTED_VERSION or type(data) is not dict:
        return None
    return _common(data.get("supported"))


def _common(offered: Json) -> str | None:
    if type(offered) is not list:
        return None
    return next((version for version in eras.MODERN_VERSIONS if version in offered), None)


def _discovered(result: dict[str, Json]) -> Greeting | None:
    version = _common(result.get("supportedVersions"))
    if version is None:
        return None
    meta = result.get("_meta")
    info = meta.get(eras.SERVER_INFO_KEY) if type(meta) is dict else None
    return _greeting(True, version, result, info)


def _greeting(modern: bool, version: str, result: dict[str, Json], info: Json) -> Greeting:
    capabilities, instructions = result.get("capabilities"), result.get("instructions")
    return Greeting(
        modern,
        version,
        capabilities if type(capabilities) is dict else {},
        instructions if type(instructions) is str else None,
        info if type(info) is dict else {},
    )


class Changed(UpstreamError):
    """What answers is not the server that answered before."""


class Identity:
    """Who an upstream was when it was greeted first in this process."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._names: dict[bool, str] = {}
        self._eras: dict[bool, bool] = {}

    def check(self, greeting: Greeting, preferred: bool) -> None:
        """Raises Changed unless name and era are as they were. `preferred` is the era that we wanted: a
        server of both eras follows it."""
        name = greeting.server_info.get("name")
        name = name if type(name) is str else ""
        other = self._names.get(not greeting.modern, "")
        known = self._names.setdefault(greeting.modern, (name and other) or name)
        if name != known:
            raise another(self._terms, known, name)
        if greeting.certain and self._eras.setdefault(preferred, greeting.modern) != greeting.modern:
            was, now = ("modern", "legacy") if self._eras[preferred] else ("legacy", "modern")
            raise _changed(self._terms, f"it used the {was} era and now uses the {now} one")


def another(terms: Terms, known: str, name: str) -> Changed:
    """Whether it gives a name other than before."""
    return _changed(
        terms, f"it called itself {_printable_name(terms, known)} and now {_printable_name(terms, name)}"
    )


def _changed(terms: Terms, how: str) -> Changed:
    return Changed(
        f"upstream '{terms.name}' is not the same server as before: {how}; if that is intended, restart "
        "mcpguard"
    )


def _printable_name(terms: Terms, name: str) -> str:
    clean = terms.clean(name)[:100]
    return repr("".join(mark if mark.isprintable() else " " for mark in clean))
