"""How what was found is printed: a line each, or SARIF. `cli/outputs.py` has the JSON.

Law of this file: a place and a kind, and nothing of a value.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import json

from mcpguard import __version__
from mcpguard.adapters.system.terminal import plain, style
from mcpguard.authoring.rendering import SARIF_SCHEMA, address
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.scan.entropy import ENTROPY
from mcpguard.scan.exceptions import CREDENTIAL
from mcpguard.scan.run import Found, Scan
from mcpguard.scan.sources import FILELESS

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def as_line(one: Found) -> str:
    """PATH:LINE:COLUMN: KIND, as editors and terminals make links of it."""
    leak = one.leak
    place = f"{plain(one.source.path)}:{leak.line}:{leak.column}" if leak.line else plain(one.source.path)
    where = "" if leak.line else f" at byte {leak.column}"
    commit = f" in commit {one.source.commit[:12]}" if one.source.commit else ""
    kind = style(plain(leak.kind), _COLOURS[one.level])
    return f"{place}: {kind}{style(where + commit, 'dim')}"


def totals(scan: Scan, found: Sequence[Found], what: str) -> str:
    """The last line for a person; `what` are the sources, such as "file"."""
    places = len({(one.source.path, one.source.commit) for one in found if one.counts})
    read = f"{_count(scan.sources, what)} ({size(scan.bytes)})"
    if scan.found:
        said = style(f"{_count(scan.found, 'secret')} in {places:,} of {read}", "red")
    else:
        said = style(f"no secrets in {read}", "green")
    notes = sum(one.level == "note" and not one.excepted for one in found)
    excepted = sum(bool(one.excepted) for one in found)
    more = [_count(notes, "note")] if notes else []
    more += [f"{excepted:,} excepted"] if excepted else []
    more += [f"{len(scan.skipped):,} not read"] if scan.skipped else []
    return ", ".join([said, *more])


def _count(count: int, what: str) -> str:
    noun, *rest = what.split(" ")
    return " ".join([f"{count:,} {noun}{'s' * (count != 1)}", *rest])


def size(count: int) -> str:
    """So many bytes as people say it."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"


def as_sarif(scan: Scan, found: Iterable[Found]) -> str:
    """SARIF 2.1.0 (OASIS): one run, with a rule for each kind that was found. What is excepted is suppressed,
    with the reason; what could not be read is a notification."""
    results = list(found)
    kinds = {one.leak.kind: one for one in sorted(results, key=lambda one: one.leak.kind)}
    driver = {
        "name": "mcpguard",
        "version": __version__,
        "rules": [_rule(kind, one) for kind, one in kinds.items()],
    }
    notes = [
        {
            "level": "error",
            "message": {"text": one.why},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": address(one.path)}}}],
        }
        for one in scan.skipped
    ]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": list(map(_result, results)),
    }
    return json.encode({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}).decode()


def _rule(kind: str, one: Found) -> dict[str, Any]:
    return {
        "id": kind,
        "shortDescription": {"text": _meaning(kind)},
        "defaultConfiguration": {"level": one.level},
    }


def _meaning(kind: str) -> str:
    if kind == ENTROPY:
        return "A text that looks random."
    if kind.startswith(CREDENTIAL):
        return f"The value of {kind.removeprefix(CREDENTIAL)}, which mcpguard holds."
    return f"Personal data: {kind}." if kind in OPT_IN else f"A secret: {kind}."


def _result(one: Found) -> dict[str, Any]:
    leak, source = one.leak, one.source
    # The input and the message of a commit have no address.
    uri = source.path.strip("<>") if source.file in FILELESS else address(source.file)
    place: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if leak.line:
        place["region"] = {
            "startLine": leak.line,
            "startColumn": leak.column,
            "endLine": leak.end_line,
            "endColumn": leak.end_column,
        }
    else:
        place["region"] = {"byteOffset": leak.column}
    commit = f" Introduced in commit {source.commit}." if source.commit else ""
    result: dict[str, Any] = {
        "ruleId": leak.kind,
        "level": one.level,
        "message": {"text": _meaning(leak.kind) + commit},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"mcpguard/v1": leak.fingerprint},
    }
    if source.commit:
        result["properties"] = {"commit": source.commit}
    if one.excepted:
        result["suppressions"] = [{"kind": "external", "justification": one.excepted}]
    return result
