"""Keys set in a file, and taken out again, as an edit of spans of its text.

Law of this file: every other character stays, and what comes out means exactly what was meant: it is read
again and compared, and a difference refuses the edit.
"""

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import tomlkit

from mcpguard.onboarding.discovery.clients import Format
from mcpguard.onboarding.discovery.reading import PARSERS
from mcpguard.onboarding.edit import applied
from mcpguard.onboarding.formats import jsonc, toml_text
from mcpguard.onboarding.formats.tree import Broken, Unreadable, place
from mcpguard.onboarding.locks.forms import Put


def says(text: str, format: Format, source: str) -> dict[str, Any]:
    """What `text` says, {} for nothing. Raises Unreadable, with `source` as its name."""
    if not text.strip():
        return {}
    try:
        found = PARSERS[format](text).plain()
    except Broken as broken:
        line, column = place(text, broken.offset)
        raise Unreadable(f"{source}:{line}:{column}: {broken}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"{source} is not a mapping")
    return found


def edited(text: str, format: Format, puts: Iterable[Put], source: str) -> str:
    """`text`, which may be empty, with all of `puts` in it. Raises Unreadable."""
    todo = list(puts)
    want = changed(says(text, format, source), todo)
    try:
        for one in todo:
            if format == "toml":
                text = _in_toml(text, one)
            elif not text.strip():
                text = json.dumps(changed({}, [one]), indent=2, ensure_ascii=False) + "\n"
            else:
                text = _in_json(text, one)
        if _as_meant(says(text, format, source), want, todo, format):
            return text
    except Broken:
        pass
    raise Unreadable(f"{source} is written in a way that cannot be edited safely, so it was left alone")


def _as_meant(got: dict[str, Any], want: dict[str, Any], todo: list[Put], format: Format) -> bool:
    if format != "toml":
        return got == want
    # A table is gone with the last one in it, unless it has a header of its own.
    there = all(_at(got, one.path) == one.value for one in todo if not one.gone)
    return there and _pruned(got) == _pruned(want)


def _pruned(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    inner = {key: _pruned(value) for key, value in data.items()}
    return {key: value for key, value in inner.items() if value != {}}


def changed(data: dict[str, Any], puts: Iterable[Put]) -> dict[str, Any]:
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


def _in_json(text: str, one: Put) -> str:
    root = jsonc.parse(text)
    node = root.at(one.path)
    if one.gone:
        table = root.at(one.path[:-1])
        if node is None or table is None:
            return text
        return applied(text, jsonc.replace(text, table, [one.path[-1]], "", {}))
    if node is not None:
        return applied(text, [jsonc.value(text, node, one.value)])
    return applied(text, [jsonc.insert(text, root, one.path[:-1], one.path[-1], one.value)])


def _in_toml(text: str, one: Put) -> str:
    if _at(says(text, "toml", ""), one.path) is not None:
        text = applied(text, toml_text.replace(text, one.path[:-1], [one.path[-1]], "", {}))
    if one.gone:
        return text
    line = jsonc.newline(text)
    lead = "" if not text or text.endswith("\n") else line
    return text + lead + (line if text.strip() else "") + _table(one.path, one.value, line)


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


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
