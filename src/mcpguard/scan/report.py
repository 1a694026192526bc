"""How what was found is printed: a line each, or SARIF. `cli/outputs.py` has the JSON.

Law of this file: a place and a kind, and nothing of a value.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from mcpguard.adapters.system.terminal import counted, plain, style
from mcpguard.authoring.findings import address, sarif_of
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.scan.exceptions import CREDENTIAL
from mcpguard.scan.leaks import ENTROPY
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


def totals(scan: Scan, found: Sequence[Found], what: tuple[str, str]) -> str:
    """The last line for a person; `what` is a source and several, such as ("file", "files")."""
    places = len({(one.source.path, one.source.commit) for one in found if one.counts})
    read = f"{counted(scan.sources, *what)} ({size(scan.bytes)})"
    if scan.found:
        said = style(f"{counted(scan.found, 'secret')} in {places:,} of {read}", "red")
    else:
        said = style(f"no secrets in {read}", "green")
    notes = sum(one.level == "note" and not one.excepted for one in found)
    excepted = sum(bool(one.excepted) for one in found)
    more = [counted(notes, "note")] if notes else []
    more += [f"{excepted:,} excepted"] if excepted else []
    more += [f"{len(scan.skipped):,} not read"] if scan.skipped else []
    return ", ".join([said, *more])


def size(count: int) -> str:
    """This many bytes as people say it."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"


def as_sarif(scan: Scan, found: Iterable[Found]) -> str:
    """SARIF 2.1.0 (OASIS): one run, with a rule for each kind that was found. What is excepted is suppressed,
    with the reason; what could not be read is a notification."""
    results = list(found)
    notes: list[Json] = [
        {
            "level": "error",
            "message": {"text": one.why},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": address(one.path)}}}],
        }
        for one in scan.skipped
    ]
    return sarif_of(
        {one.leak.kind: (_meaning(one.leak.kind), one.level) for one in results},
        map(_result, results),
        invocations=[{"executionSuccessful": True, "toolExecutionNotifications": notes}],
    )


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
