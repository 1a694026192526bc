"""How `mcpguard check` says what it found: lines for a person, JSON, or SARIF.

Law of this file: the forms say the same; only SARIF leaves out what is in order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcpguard import __version__
from mcpguard.adapters.system.terminal import plain, style
from mcpguard.authoring.check.lints import LINTS
from mcpguard.authoring.check.remark import CODES, Remark

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}


def as_lines(remarks: list[Remark]) -> str:
    """One line each, with the place as it stands in the file where that can be shown."""
    here = f"{os.getcwd()}/"
    lines = []
    for one in remarks:
        level = style(f"{one.level:<7}", _COLOURS[one.level])
        code = f" [{one.code}]" if one.code else ""
        lines.append(f"{level}  {plain(one.where.removeprefix(here))}: {plain(one.message)}{code}")
        lines += [f"         {plain(line)}" for line in one.excerpt.splitlines()]
    counts = {level: sum(one.level == level for one in remarks) for level in ("error", "warning", "note")}
    said = [f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count]
    return "\n".join([*lines, ", ".join(said) or style("all fine", "green")])


def as_json(remarks: list[Remark], ok: bool) -> str:
    """`ok`, and `findings`: each remark with its level, code, place and message."""
    findings = [
        {
            "level": one.level,
            "code": one.code,
            "where": one.where,
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "message": one.message,
        }
        for one in remarks
    ]
    return _encoded({"ok": ok, "findings": findings})


def as_sarif(remarks: list[Remark]) -> str:
    """SARIF 2.1.0 (OASIS): one run, with a rule for each code that was found."""
    found = [one for one in remarks if one.code]
    driver = {
        "name": "mcpguard",
        "version": __version__,
        "rules": [_rule(code) for code in sorted({one.code for one in found})],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": list(map(_result, found)),
    }
    return _encoded({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> dict[str, Any]:
    level, meaning = CODES[code] if code in CODES else (LINTS[code].severity, LINTS[code].meaning)
    return {"id": code, "shortDescription": {"text": meaning}, "defaultConfiguration": {"level": level}}


def _result(one: Remark) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.file)}}
    if one.line:
        place["region"] = {"startLine": one.line, "startColumn": one.column}
    return {
        "ruleId": one.code,
        "level": one.level,
        "message": {"text": one.message},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """Relative to the folder that we run in where it is below it, as a forge wants it."""
    from urllib.parse import quote

    path = Path(os.path.abspath(file))
    return (
        quote(path.relative_to(Path.cwd()).as_posix()) if path.is_relative_to(Path.cwd()) else path.as_uri()
    )


def _encoded(value: dict[str, Any]) -> str:
    from msgspec.json import encode

    return encode(value).decode()
