"""What a lock is in a client's file: the keys that it sets, and what a file allows. Keys are set and taken
out as an edit of spans of the text.

Law of this file: what is there and is not the lock's stays, unless the person asked for it to be replaced.
What comes out is read again and compared with what was meant, and a difference refuses the edit.
"""

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import tomlkit
from msgspec import Struct

from mcpguard.onboarding.discovery.clients import Format
from mcpguard.onboarding.discovery.reading import PARSERS
from mcpguard.onboarding.edit import REPLACE, applied
from mcpguard.onboarding.formats import TreeNode, Unreadable, UnreadableFormat, found_within, jsonc, place
from mcpguard.onboarding.locks.lockable import AllowedEntry, Lockable, runs_mcpguard

ALLOWED = "allowedMcpServers"
_SERVERS = "mcp_servers"


class KeyEdit(Struct, frozen=True):
    """Sets `path` to `value`, or removes it (`gone`)."""

    path: tuple[str, ...]
    value: Any = None
    gone: bool = False


def puts(
    one: Lockable, entries: Iterable[AllowedEntry], there: dict[str, Any], *, only: bool = False
) -> list[KeyEdit]:
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


def refused(one: Lockable, entries: Iterable[AllowedEntry], there: dict[str, Any]) -> list[AllowedEntry]:
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
        loose = [
            f"everything that a user's own settings allow (`{key}` is not set)"
            for key in one.also
            if there.get(key) is not True
        ]
        return loose + [_rule_text(each) for each in _listed(there) if not runs_mcpguard(_command(each))]
    if one.form == "requirements":
        rest = [name for name, rule in there[_SERVERS].items() if not runs_mcpguard(_required(rule))]
        return rest + ([] if isinstance(there.get("plugins"), dict) else ["every server of a plugin"])
    servers = _mapping(there, "mcpServers")
    return [name for name in _names(there) if not runs_mcpguard(_started(servers.get(name)))]


# --- a list of commands: Claude Code, Copilot --------------------------------------------------------


def _allowlist(
    one: Lockable, entries: Iterable[AllowedEntry], there: dict[str, Any], only: bool
) -> list[KeyEdit]:
    ours: list[Any] = [
        {"serverCommand": list(command)} for command in dict.fromkeys(e.command for e in entries)
    ]
    kept = [] if only else [each for each in _listed(there) if each not in ours]
    return [*(KeyEdit((key,), True) for key in one.also), KeyEdit((ALLOWED,), kept + ours)]


def _listed(there: dict[str, Any]) -> list[dict[str, Any]]:
    found = there.get(ALLOWED)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _command(rule: dict[str, Any]) -> list[str]:
    words = rule.get("serverCommand")
    return [str(word) for word in words] if isinstance(words, list) else []


def _rule_text(rule: dict[str, Any]) -> str:
    return " ".join(_command(rule)) or ", ".join(f"{key} {value}" for key, value in rule.items())


# --- rules by name: Codex ----------------------------------------------------------------------------


def _requirements(entries: Iterable[AllowedEntry], there: dict[str, Any], only: bool) -> list[KeyEdit]:
    ours = {each.name: KeyEdit((_SERVERS, each.name), _identity(each)) for each in entries}
    others = [name for name in _mapping(there, _SERVERS) if only and name not in ours]
    # Present and empty, it turns off what plugins bring.
    plugins = [] if isinstance(there.get("plugins"), dict) and not only else [KeyEdit(("plugins",), {})]
    return [*(KeyEdit((_SERVERS, name), gone=True) for name in others), *plugins, *ours.values()]


def _identity(each: AllowedEntry) -> dict[str, Any]:
    args = [{"match": "exact", "value": word} for word in each.command[1:]]
    return {"identity": {"command": {"executable": each.command[0], "args": args}}}


def _required(rule: Any) -> list[str]:
    command = _mapping(_mapping(rule, "identity"), "command")
    args = [each.get("value") for each in command.get("args", ()) if each.get("match") == "exact"]
    whole = len(args) == len(command.get("args", ()))
    return [str(command.get("executable")), *map(str, args)] if whole and args else []


# --- a server of that name for all: Gemini CLI -------------------------------------------------------


def _settings(entries: Iterable[AllowedEntry], there: dict[str, Any], only: bool) -> list[KeyEdit]:
    ours = {each.name: _entry(each) for each in entries}
    kept = [] if only else [name for name in _names(there) if name not in ours]
    servers = [KeyEdit(("mcpServers", name), value) for name, value in ours.items()]
    return [*servers, KeyEdit(("mcp", "allowed"), [*kept, *ours])]


def _names(there: dict[str, Any]) -> list[str]:
    found = _mapping(there, "mcp").get("allowed")
    return [str(name) for name in found] if isinstance(found, list) else []


def _entry(each: AllowedEntry) -> dict[str, Any]:
    env = {"env": dict(each.env)} if each.env else {}
    return {"command": each.command[0], "args": list(each.command[1:]), **env}


def _started(server: Any) -> list[str]:
    entry = server if isinstance(server, dict) else {}
    return [str(entry.get("command", "")), *map(str, entry.get("args") or ())]


def _mapping(data: Any, key: str) -> dict[str, Any]:
    found = data.get(key) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def says(text: str, format: Format, source: str) -> dict[str, Any]:
    """What `text` says, {} for nothing. Raises Unreadable, with `source` as its name."""
    if not text.strip():
        return {}
    try:
        found = PARSERS[format](text).plain()
    except UnreadableFormat as broken:
        line, column = place(text, broken.offset)
        raise Unreadable(f"{source}:{line}:{column}: {broken}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"{source} is not a mapping")
    return found


def edited(text: str, format: Format, puts: Iterable[KeyEdit], source: str) -> str:
    """`text`, which may be empty, with all of `puts` in it. Raises Unreadable."""
    todo = list(puts)
    want = changed(says(text, format, source), todo)
    try:
        for one in todo:
            text = _edited(text, format, one)
        if _as_meant(says(text, format, source), want, todo, format):
            return text
    except UnreadableFormat:
        pass
    raise Unreadable(f"{source} is written in a way that cannot be edited safely, so it was left alone")


def _as_meant(got: dict[str, Any], want: dict[str, Any], todo: list[KeyEdit], format: Format) -> bool:
    if format != "toml":
        return got == want
    # A table is gone with the last one in it, unless it has a header of its own.
    there = all(found_within(got, one.path) == one.value for one in todo if not one.gone)
    return there and _pruned(got) == _pruned(want)


def _pruned(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    inner = {key: _pruned(value) for key, value in data.items()}
    return {key: value for key, value in inner.items() if value != {}}


def changed(data: dict[str, Any], puts: Iterable[KeyEdit]) -> dict[str, Any]:
    """`data` with all of `puts`. Raises Unreadable where a way leads through what is not a mapping."""
    whole = deepcopy(data)
    for one in puts:
        inner: Any = whole
        for step in one.path[:-1]:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise Unreadable(f"`{step}` is not a mapping")
        if one.gone:
            inner.pop(one.path[-1], None)
        else:
            inner[one.path[-1]] = one.value
    return whole


def _edited(text: str, format: Format, one: KeyEdit) -> str:
    root = PARSERS[format](text) if text.strip() else TreeNode("map", 0, 0, [])
    node, table, name = root.at(one.path), one.path[:-1], one.path[-1]
    if node is not None and (one.gone or format == "toml"):
        text = applied(text, REPLACE[format](text, root, table, [name], "", {}))
    if one.gone:
        return text
    if format == "toml":
        line = jsonc.newline(text)
        lead = "" if not text or text.endswith("\n") else line
        return text + lead + (line if text.strip() else "") + _table(one.path, one.value, line)
    if not text.strip():
        return json.dumps(changed({}, [one]), indent=2, ensure_ascii=False) + "\n"
    if node is not None:
        return applied(text, [jsonc.value(text, node, one.value)])
    return applied(text, [jsonc.insert(text, root, table, name, one.value)])


def _table(path: tuple[str, ...], value: dict[str, Any], line: str) -> str:
    """A table whose lists stand one item a line, under the longest header that says it all."""
    while len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
        path, value = (*path, next(iter(value))), inner
    rows = [f"[{tomlkit.key(path).as_string()}]"]
    for key, one in value.items():
        if isinstance(one, list):
            rows += [f"{tomlkit.key(key).as_string()} = [", *(f"  {_inline(item)}," for item in one), "]"]
        else:
            rows.append(f"{tomlkit.key(key).as_string()} = {_inline(one)}")
    return "".join(row + line for row in rows)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + " }"
    return str(tomlkit.item(value).as_string())
