"""mcpguard's own configuration with more servers and policies in it, and its `clients`: which client, in
which project, sees which servers.

Law of this file: what a person wrote there stays, and nobody who is served by a configuration now is shut out
by it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from mcpguard.config.file import ConfigFile
from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError, Problem
from mcpguard.core.policy.terms import Observation
from mcpguard.onboarding.discovery.reading import ClientFile
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.formats import Member, TreeNode, UnreadableFormat, yaml_text
from mcpguard.onboarding.formats.jsonc import newline
from mcpguard.onboarding.formats.yaml_text import scalar

_HEAD = "# Made by `mcpguard import`; change it as you like. `mcpguard check` reports mistakes.\nversion: 1\n"
_ONE_A_ROW = ("policies", "folders", "repositories", "owners", "tables", "hosts")
"""Lists that people edit."""

_PLAIN = re.compile("(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][a-z0-9_-]*")

_NO_TEXT = re.compile("|true|false|null|yes|no|on|off|y|n|[0-9-]+|0[xob][0-9a-f]+|[0-9]+e-?[0-9]+")
"""Names that not every reader of YAML takes for text."""

Way = tuple[str | int, ...]
ParamValue = list[str] | dict[str, list[str]]
"""What a param of a policy gets: a list, or a mapping of names to lists."""


class ConfigAddition(Struct, kw_only=True):
    """What a configuration gets besides what it has: `servers` by name, `policies` (files) with their params,
    `params` of policies that it has, and for `clients` the servers of each and of each of its projects. The
    servers of `observe` join those that are observed; only where there are none its `until` is written.
    Servers that it has, without that key, become `eager`."""

    servers: dict[str, dict[str, Any]] = {}
    policies: dict[str, dict[str, ParamValue]] = {}
    params: dict[str, dict[str, ParamValue]] = {}
    clients: dict[str, dict[str, Any]] = {}
    observe: dict[str, Any] = {}
    eager: tuple[str, ...] = ()


def extended(text: str, source: str, more: ConfigAddition) -> str:
    """`text` (empty: a new file) with `more` in it. Raises ConfigError, with `source` as the name of the
    file, where it or what would come out is not a configuration, or where something is in the way."""
    fresh = not text.strip()
    want: dict[str, Any] = {} if fresh else yaml_text.parse(text).plain()
    text = _HEAD if fresh else text
    if not fresh:
        checked(text, source)
    want.setdefault("version", 1)
    text = _opened(text, want, more.params)
    for path, value in _pieces(want, more):
        text = _put(text, path, value)
        _merge(want, path, value)
    checked(text, source)
    if yaml_text.parse(text).plain() != want:
        raise ConfigError([Problem(source, 0, 0, "is written in a way that `mcpguard import` cannot extend")])
    return text


def _opened(text: str, want: dict[str, Any], files: Collection[str]) -> str:
    """`text` with a mapping for each policy of `files` that is named alone, so that it can have params."""
    for index, one in enumerate(want.get("policies") or ()):
        node = (
            yaml_text.parse(text).at(("policies", index)) if isinstance(one, str) and one in files else None
        )
        if node is not None:
            text = f"{text[: node.start]}{{file: {scalar(one)}}}{text[node.end :]}"
            want["policies"][index] = {"file": one}
    return text


def _pieces(before: dict[str, Any], more: ConfigAddition) -> Iterator[tuple[Way, Any]]:
    """(path, members or items to add there)."""
    fresh = before.keys() <= {"version"}
    if more.servers:
        yield ("servers",), more.servers
    yield from ((("servers", name), {"eager": True}) for name in more.eager)
    known = {one if isinstance(one, str) else one.get("file") for one in before.get("policies") or ()}
    files = [
        {"file": file, "params": params} if params else file
        for file, params in more.policies.items()
        if file not in known
    ]
    if files:
        yield ("policies",), files
    yield from _values(before, more)
    yield from _views(before, more)
    if more.observe and before.get("observe"):
        yield from _new(("observe", "servers"), more.observe["servers"], before["observe"]["servers"])
    elif more.observe:
        yield ("observe",), more.observe
    if fresh:
        yield ("approvals",), {"policy": OWN_POLICY}


def _values(before: dict[str, Any], more: ConfigAddition) -> Iterator[tuple[Way, Any]]:
    for index, one in enumerate(before.get("policies") or ()):
        if isinstance(one, dict):
            for name, values in more.params.get(one["file"], {}).items():
                path, there = ("policies", index, "params", name), (one.get("params") or {}).get(name)
                if isinstance(values, list):
                    yield from _new(path, values, there or [])
                else:
                    for key, items in values.items():
                        yield from _new((*path, key), items, (there or {}).get(key) or [])


def _views(before: dict[str, Any], more: ConfigAddition) -> Iterator[tuple[Way, Any]]:
    for client, entry in more.clients.items():
        view = (before.get("clients") or {}).get(client)
        if view is None:
            yield ("clients",), {client: entry}
            continue
        path: Way = ("clients", client)
        yield from _new((*path, "servers"), entry.get("servers", []), view.get("servers") or [])
        projects = view.get("projects") or {}
        for project, servers in entry.get("projects", {}).items():
            if project in projects:
                yield from _new((*path, "projects", project), servers, projects[project])
            else:
                yield (*path, "projects"), {project: servers}


def _new(path: Way, wanted: list[str], there: list[str]) -> Iterator[tuple[Way, Any]]:
    fresh = [one for one in wanted if one not in there]
    if fresh:
        yield path, fresh


def _merge(want: Any, path: Way, value: Any) -> None:
    *above, last = path
    for step in above:
        want = want[step] if isinstance(step, int) else want.setdefault(step, {})
    if isinstance(value, dict):
        want[last] = {**(want.get(last) or {}), **value}
    else:
        want[last] = [*(want.get(last) or []), *value]


def _put(text: str, path: Way, value: Any) -> str:
    """`text` with the members or items of `value` at `path`, which is made where it is missing."""
    root = yaml_text.parse(text)
    node = root.at(path)
    if node is None:
        *above, key = path
        parent = root.at(tuple(above))
        if parent is None:
            return _put(text, tuple(above), {key: value})
        return _inside(text, parent, tuple(above), {key: value})
    return _inside(text, node, path, value)


def _inside(text: str, node: TreeNode, path: Way, value: Any) -> str:
    line = newline(text)
    if text[node.start] in "[{":
        inner = [one.node if isinstance(one, Member) else one for one in node.value]
        at = inner[-1].end if inner else node.start + 1
        return text[:at] + (", " if inner else "") + _flow(value) + text[at:]
    if not path:
        return text + ("" if text.endswith("\n") else line) + _lines(_block(value), "", line)
    column = node.start - (text.rfind("\n", 0, node.start) + 1)
    end = text.find("\n", len(text[: node.end].rstrip()))
    lead, end = (line, len(text)) if end < 0 else ("", end + 1)
    return text[:end] + lead + _lines(_block(value), " " * column, line) + text[end:]


def _flow(value: Any) -> str:
    """The members or items of `value` as they stand between brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{scalar(key)}: {scalar(one)}" for key, one in value.items())
    return ", ".join(map(scalar, value))


def _block(value: Any) -> Iterator[str]:
    """The rows of `value`, a mapping or a list: what says one thing is on one row."""
    if isinstance(value, dict):
        for key, one in value.items():
            if (isinstance(one, dict) and one) or (isinstance(one, list) and one and key in _ONE_A_ROW):
                yield f"{_key(key)}:"
                yield from (f"  {row}" for row in _block(one))
            else:
                yield f"{_key(key)}: {scalar(one)}"
        return
    for one in value:
        first, *rest = _block(one) if isinstance(one, dict) else (scalar(one),)
        yield f"- {first}"
        yield from (f"  {row}" for row in rest)


def _key(key: str) -> str:
    """As a person would write it where that is text to every reader of YAML."""
    return key if _PLAIN.fullmatch(key) else scalar(key)


def _lines(rows: Iterable[str], indent: str, line: str) -> str:
    return "".join(f"{indent}{row}{line}" for row in rows)


def checked(text: str, source: str) -> ConfigFile:
    """`text` as a configuration. Raises ConfigError."""
    return Document(text, source, ConfigError, frozenset({"env", "headers", "url"})).read(ConfigFile)


def read(path: Path) -> str:
    """The text of the configuration, "" if there is none. Raises ConfigError."""
    from mcpguard.config.policies import read_document

    return read_document(path, ConfigError) if path.exists() else ""


def entries(text: str) -> dict[str, Any]:
    """The servers in `text` as written."""
    try:
        servers = yaml_text.parse(text).get("servers")
    except UnreadableFormat:
        return {}
    found = {} if servers is None else servers.plain()
    return found if isinstance(found, dict) else {}


def observation(text: str) -> Observation | None:
    """For which servers policies are only observed in `text`, a configuration or nothing."""
    if not text.strip():
        return None
    observe = checked(text, "").observe
    return None if observe is None else observe.observation


def server_name(name: str) -> str:
    """What a server that its client calls `name` is called here: a-z, 0-9, `-`, no `__`, and text also where
    a policy has it without quotes."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-")
    return f"server-{plain}"[:32].strip("-") if _NO_TEXT.fullmatch(plain) else plain


def items_of(values: ParamValue) -> list[str]:
    """The values of a param as `import --set` takes them."""
    if isinstance(values, list):
        return values
    return [f"{name}.{item}" for name, items in values.items() for item in items]


def has_clients(text: str) -> bool:
    """Whether `text` says which client sees what."""
    return bool(text.strip()) and yaml_text.parse(text).get("clients") is not None


def outside_arguments(
    servers: Mapping[str, Any], params: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    """A sentence for each folder among `params` that its server would refuse, started with others."""
    for (name, _), values in params.items():
        args = map(str, servers.get(name, {}).get("args") or ())
        named = [Path(one) for one in args if one.startswith("/")]
        for value in values:
            if value.startswith("/") and named and not any(map(Path(value).is_relative_to, named)):
                yield (
                    f"{name} itself is started with other folders, so it may refuse {value}: add that to its "
                    "`args` in the configuration, too"
                )


def same(one: Any, other: Any) -> bool:
    """Whether two entries say the same."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def views_of(
    config: Path,
    known: Iterable[str],
    wanted: Iterable[tuple[ClientFile, str, str]],
    others: Iterable[ClientFile],
) -> dict[str, dict[str, Any]]:
    """What to add to `clients` of the configuration at `config`; `wanted` are (file, project, server). Where
    it has no `clients` yet, whoever starts it still sees all servers that are `known` in it; `others` are all
    files of clients. Raises MoveError for one that does not say who it is."""
    found: dict[str, dict[str, Any]] = {}

    def add(client: str, project: str, server: str) -> None:
        view = found.setdefault(client, {})
        where = view.setdefault("projects", {}) if project else view
        names = where.setdefault(project or "servers", [])
        if server not in names:
            names.append(server)

    known = list(known)
    for other in others if known else ():
        for entry in other.entries:
            if str(config) in entry.args and entry.guarded:
                agent = dict(pairwise(entry.args)).get("--agent")
                if agent is None:
                    raise MoveError(
                        f"{other.path} starts mcpguard without saying which client it is, and would be "
                        "refused once clients see their own servers only: add "
                        f'"--agent", "{other.client.name}" to its `args`, and import again; nothing was done'
                    )
                for server in known:
                    add(agent, "", server)
    for file, project, server in wanted:
        add(file.client.name, project, server)
    return found
