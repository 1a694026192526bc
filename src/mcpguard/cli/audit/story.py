"""`mcpguard audit show ID`: one call's whole story in plain words, and whether its chain can be believed."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path
from textwrap import wrap

from msgspec import to_builtins

from mcpguard.adapters.audit.calls import CallRecords, ChainLine, calls_by_id, counted_in
from mcpguard.adapters.audit.reader import chain_files, examined, file_name, sound_lines
from mcpguard.adapters.system.terminal import plain, style
from mcpguard.authoring.asking.story import headline, places_of, story_of
from mcpguard.config.loading import evidence_folder
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Decided
from mcpguard.core.evidence.verification import ChainReport

_NARROWEST, _WIDEST, _TOPIC = 40, 110, 13


def tell(path: Path, call_id: str, as_json: bool) -> int:
    """Print the story of a call; 1 where a chain that it stands in was altered. Raises AuditError."""
    call = calls_by_id(path, [call_id]).get(call_id)
    if call is None or call.decision is None:
        raise AuditError(_missing(path, call_id))
    decision = call.decision.record
    brought = decision.label_causes.values() if isinstance(decision, Decided) else ()
    causes = calls_by_id(path, set(brought)) if brought else {}
    reports = {file_name(file): examined(file) for file in {one.file: None for one in places_of(call)}}
    if as_json:
        _print_json(call, causes, reports)
    else:
        _print_text(call, causes, reports)
    return 0 if all(report.intact for report in reports.values()) else 1


def _missing(path: Path, call_id: str) -> str:
    if counted := counted_in(path, call_id):
        return f"{plain(call_id)} {counted}"
    altered: dict[str, None] = {}
    for file in chain_files(path):
        deque(sound_lines(file, altered), 0)
    lost = f"; it may be in a file that cannot be read ({plain(next(iter(altered)))})" if altered else ""
    of_wrap = evidence_folder(None)
    if path.resolve() != of_wrap.resolve() and of_wrap.is_dir():
        lost += f"; what `mcpguard wrap` recorded is in {of_wrap}"
    return f"no call {plain(call_id)} in {path}{lost}: `mcpguard audit show` lists the last records"


def _print_text(call: CallRecords, causes: dict[str, CallRecords], reports: dict[str, ChainReport]) -> None:
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    print(style(plain(headline(call)), "bold"))
    for paragraph in story_of(call, causes, reports):
        first, *rest = wrap(
            plain(paragraph.text), width - _TOPIC, break_on_hyphens=False, break_long_words=True
        )
        print(f"{style(paragraph.topic.ljust(_TOPIC), 'cyan')}{first}")
        for line in rest:
            print(f"{' ' * _TOPIC}{line}")


def _print_json(call: CallRecords, causes: dict[str, CallRecords], reports: dict[str, ChainReport]) -> None:
    from mcpguard.cli.audit.outputs import CallStory

    made = CallStory.model_validate(
        {
            "summary": headline(call),
            "story": story_of(call, causes, reports),
            "asked": _line(call.asked),
            "decision": _line(call.decision),
            "outcome": _line(call.outcome),
            "intact": {file: report.intact for file, report in reports.items()},
        }
    )
    print(made.model_dump_json())


def _line(line: ChainLine | None) -> dict[str, object] | None:
    if line is None:
        return None
    return {"file": file_name(line.file), "line": line.number, "record": to_builtins(line.record)}
