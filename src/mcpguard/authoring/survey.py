"""What the servers of a configuration offer: each is asked through a `mcpguard run` of its own.

Law of this file: no way around the one path. What starts a server, gives it its credentials, inspects what
it says and leaves evidence is `mcpguard run`; its policy is another one, which shows all and allows no call.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import IO, Any

import msgspec

from mcpguard.authoring.snapshot import Offer, Snapshot
from mcpguard.config.credentials import CredentialEntry
from mcpguard.config.loading import Config
from mcpguard.config.policies import read_document
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError, UpstreamError
from mcpguard.core.model import Json

AT_ONCE = 4
"""So many servers are asked side by side."""

LIST_SECONDS = 120.0
"""How long the lists of one server may take after its start."""

LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "prompts": ("prompts/list", "prompts", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
}
"""Key of an Offer -> the method, the key of its result, and what its entries are called by."""

KEPT = frozenset(
    [
        "name",
        "title",
        "description",
        "inputSchema",
        "outputSchema",
        "annotations",
        "arguments",
        "uri",
        "uriTemplate",
        "mimeType",
    ]
)
"""What is kept of an entry: what rules can read, and schemas."""

_POLICY: dict[str, Json] = {
    "version": 1,
    "policy": "mcpguard-snapshot",
    "owner": "mcpguard",
    "rules": [
        {
            "id": "lists-only",
            "effect": "allow",
            "action": ["tools/call", "prompts/get", "resources/read"],
            # Unknown while a list is made, so all is shown; false for every call.
            "when": "size(args) < 0",
        }
    ],
}


def survey(config: Config, names: list[str]) -> tuple[Snapshot, dict[str, str]]:
    """What the servers `names` of `config` offer, and a sentence for each that could not be listed.

    Starts them, each under a `mcpguard run` with their credentials; afterwards none is alive. What those
    report goes to standard error. Raises ConfigError where the file is not what it was when it was loaded.
    """
    entries = _entries(config, names)
    offers: dict[str, Offer] = {}
    failed: dict[str, str] = {}
    with TemporaryDirectory(prefix="mcpguard-") as made, ThreadPoolExecutor(AT_ONCE) as pool:
        folder = Path(made)
        (folder / "policy.json").write_bytes(msgspec.json.encode(_POLICY))
        waits = {
            name: pool.submit(_offer, folder, name, entry, config.servers[name].start_timeout_seconds)
            for name, entry in entries.items()
        }
        for name, wait in waits.items():
            try:
                offers[name] = wait.result()
            except UpstreamError as error:
                failed[name] = str(error)
    return Snapshot(1, offers), failed


def _entries(config: Config, names: list[str]) -> dict[str, Json]:
    """A configuration for each server alone, all paths absolute; references stay references."""
    from mcpguard.adapters.audit.reader import default_folder
    from mcpguard.config.file import ENTRY, ConfigFile

    written = Document(read_document(config.path, ConfigError), str(config.path), ConfigError).read(
        ConfigFile
    )
    audit = config.audit
    rest = {
        "version": 1,
        "policies": ["policy.json"],
        "agent": written.agent,
        "limits": written.limits,
        "audit": {
            "path": str(audit.path if audit else default_folder()),
            "durability": audit.durability if audit else "flush",
        },
    }
    found = {}
    for name in names:
        cwd = config.servers[name].cwd
        entry = {**msgspec.to_builtins(written.servers[name]), "disabled": False}
        servers = {name: {**entry, "cwd": None if cwd is None else str(cwd)}}
        credentials = {
            ref.name: _bound_to(written.credentials[ref.name], name, entry["url"] is not None)
            for ref in config.servers[name].credentials
            if ref.source == ENTRY
        }
        found[name] = {**rest, "servers": servers, "credentials": credentials}
    return found


def _bound_to(entry: CredentialEntry, server: str, remote: bool) -> Json:
    """The entry for this server alone, as it uses it while no rule has chosen it."""
    hosts = entry.hosts if remote else ()
    alone = msgspec.structs.replace(entry, servers=(server,), hosts=hosts, env={}, headers={})
    return msgspec.to_builtins(alone)


def _offer(folder: Path, name: str, entry: Json, start_seconds: float) -> Offer:
    path = folder / f"{name}.json"
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(entry))
    words = [sys.executable, "-m", "mcpguard", "run", "--config", str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watch = Timer(start_seconds + LIST_SECONDS, process.kill)
    watch.start()
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    try:
        with process.stdin as there, process.stdout as back:
            return _lists(name, there, back)
    finally:
        # Its input is closed, so it ends, with what it started.
        process.wait()
        watch.cancel()


def _lists(name: str, there: IO[bytes], back: IO[bytes]) -> Offer:
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "mcpguard-snapshot", "version": "1"},
    }
    _request(name, there, back, 0, "initialize", hello)
    _send(there, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    found: dict[str, Any] = {}
    for number, (kind, (method, key, called)) in enumerate(LISTS.items(), 1):
        entries = _request(name, there, back, number, method, {})[key]
        kept = [{k: v for k, v in one.items() if k in KEPT} for one in entries]
        found[kind] = tuple(sorted(kept, key=lambda one, by=called: str(one.get(by))))  # type: ignore[misc]
    return Offer(**found)


def _request(name: str, there: IO[bytes], back: IO[bytes], number: int, method: str, params: Json) -> Json:
    """The result. Raises UpstreamError for an error, and where no answer comes."""
    try:
        _send(there, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    except OSError:
        pass  # It has ended, and said why on standard error.
    for line in back:
        message = msgspec.json.decode(line)
        if message.get("id") == number and "method" not in message:
            if "result" in message:
                return message["result"]
            raise UpstreamError(str(message["error"]["message"]))
    raise UpstreamError(f"{name} could not be listed: `mcpguard run` ended before it had answered {method}")


def _send(there: IO[bytes], message: Json) -> None:
    there.write(msgspec.json.encode(message) + b"\n")
    there.flush()
