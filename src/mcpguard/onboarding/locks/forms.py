"""What a lock is in a client's file: the keys that it sets, and what a file allows.

Law of this file: what is there and is not the lock's stays, unless the person asked for it to be replaced.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from mcpguard.onboarding.locks.allowed import Allowed, runs_mcpguard
from mcpguard.onboarding.locks.lockable import Lockable

ALLOWED = "allowedMcpServers"
_SERVERS = "mcp_servers"


class Put(Struct, frozen=True):
    """`value` at `path`; without a `value` (`gone`) what is there goes."""

    path: tuple[str, ...]
    value: Any = None
    gone: bool = False


def puts(
    one: Lockable, entries: Iterable[Allowed], there: dict[str, Any], *, only: bool = False
) -> list[Put]:
    """What locks a file that says `there`, so that it allows `entries`, and what it allows already unless
    `only` these are to be allowed."""
    if one.form == "allowlist":
        return _allowlist(one, entries, there, only)
    return (_requirements if one.form == "requirements" else _settings)(entries, there, only)


def is_locked(one: Lockable, there: dict[str, Any]) -> bool:
    """Whether a file that says `there` has a list of what is allowed."""
    if one.form == "allowlist":
        return isinstance(there.get(ALLOWED), list)
    if one.form == "requirements":
        return isinstance(there.get(_SERVERS), dict)
    return bool(_names(there))


def refused(one: Lockable, entries: Iterable[Allowed], there: dict[str, Any]) -> list[Allowed]:
    """Those of `entries` that a locked file which says `there` does not allow as they are."""
    if one.form == "allowlist":
        commands = [each.get("serverCommand") for each in _listed(there)]
        return [each for each in entries if list(each.command) not in commands]
    if one.form == "requirements":
        return [each for each in entries if there[_SERVERS].get(each.name) != _identity(each)]
    servers = _mapping(there, "mcpServers")
    names = _names(there)
    return [each for each in entries if each.name not in names or servers.get(each.name) != _entry(each)]


def more(one: Lockable, there: dict[str, Any]) -> list[str]:
    """What a locked file that says `there` allows besides mcpguard, in a few words each."""
    if one.form == "allowlist":
        loose = [f"whatever a user's own settings allow (`{key}` is not set)" for key in _unset(one, there)]
        return loose + [_said(each) for each in _listed(there) if not runs_mcpguard(_command(each))]
    if one.form == "requirements":
        rest = [name for name, rule in there[_SERVERS].items() if not runs_mcpguard(_required(rule))]
        return rest + ([] if isinstance(there.get("plugins"), dict) else ["whatever a plugin brings"])
    servers = _mapping(there, "mcpServers")
    return [name for name in _names(there) if not runs_mcpguard(_started(servers.get(name)))]


def _unset(one: Lockable, there: dict[str, Any]) -> list[str]:
    return [key for key in one.also if there.get(key) is not True]


# --- a list of commands: Claude Code, Copilot --------------------------------------------------------


def _allowlist(one: Lockable, entries: Iterable[Allowed], there: dict[str, Any], only: bool) -> list[Put]:
    ours: list[Any] = [
        {"serverCommand": list(command)} for command in dict.fromkeys(e.command for e in entries)
    ]
    kept = [] if only else [each for each in _listed(there) if each not in ours]
    return [*(Put((key,), True) for key in one.also), Put((ALLOWED,), kept + ours)]


def _listed(there: dict[str, Any]) -> list[dict[str, Any]]:
    found = there.get(ALLOWED)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _command(rule: dict[str, Any]) -> list[str]:
    words = rule.get("serverCommand")
    return [str(word) for word in words] if isinstance(words, list) else []


def _said(rule: dict[str, Any]) -> str:
    return " ".join(_command(rule)) or ", ".join(f"{key} {value}" for key, value in rule.items())


# --- rules by name: Codex ----------------------------------------------------------------------------


def _requirements(entries: Iterable[Allowed], there: dict[str, Any], only: bool) -> list[Put]:
    ours = {each.name: Put((_SERVERS, each.name), _identity(each)) for each in entries}
    others = [name for name in _mapping(there, _SERVERS) if only and name not in ours]
    # Present and empty, it turns off what plugins bring.
    plugins = [] if isinstance(there.get("plugins"), dict) and not only else [Put(("plugins",), {})]
    return [*(Put((_SERVERS, name), gone=True) for name in others), *plugins, *ours.values()]


def _identity(each: Allowed) -> dict[str, Any]:
    args = [{"match": "exact", "value": word} for word in each.command[1:]]
    return {"identity": {"command": {"executable": each.command[0], "args": args}}}


def _required(rule: Any) -> list[str]:
    command = _mapping(_mapping(rule, "identity"), "command")
    args = [each.get("value") for each in command.get("args", ()) if each.get("match") == "exact"]
    whole = len(args) == len(command.get("args", ()))
    return [str(command.get("executable")), *map(str, args)] if whole and args else []


# --- a server of that name for all: Gemini CLI -------------------------------------------------------


def _settings(entries: Iterable[Allowed], there: dict[str, Any], only: bool) -> list[Put]:
    ours = {each.name: _entry(each) for each in entries}
    kept = [] if only else [name for name in _names(there) if name not in ours]
    servers = [Put(("mcpServers", name), value) for name, value in ours.items()]
    return [*servers, Put(("mcp", "allowed"), [*kept, *ours])]


def _names(there: dict[str, Any]) -> list[str]:
    found = _mapping(there, "mcp").get("allowed")
    return [str(name) for name in found] if isinstance(found, list) else []


def _entry(each: Allowed) -> dict[str, Any]:
    env = {"env": dict(each.env)} if each.env else {}
    return {"command": each.command[0], "args": list(each.command[1:]), **env}


def _started(server: Any) -> list[str]:
    entry = server if isinstance(server, dict) else {}
    return [str(entry.get("command", "")), *map(str, entry.get("args") or ())]


def _mapping(data: Any, key: str) -> dict[str, Any]:
    found = data.get(key) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}
