"""mcpguard itself: who can change its program, whether its configuration is right, and what runs still."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mcpguard.cli.diagnosis.finding import Seen, found
from mcpguard.cli.diagnosis.permissions import open_to_writers
from mcpguard.cli.diagnosis.surroundings import Subject

_TOLD = 5


def check(subject: Subject) -> Iterator[Seen]:
    """D701, D702 and D703."""
    if subject.problem is not None:
        for one in subject.problem.problems:
            yield found("D703", one.source, one.message, one.line)
    everything = (one for program in subject.at.programs for one in _parts(program))
    for count, seen in enumerate(open_to_writers("D701", everything, subject.at)):
        if count < _TOLD:
            yield seen
    yield from _running(subject)


def _parts(program: Path) -> Iterator[Path]:
    yield program
    if program.is_dir():
        for folder, _, names in os.walk(program):
            yield Path(folder)
            yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def _running(subject: Subject) -> Iterator[Seen]:
    from mcpguard.adapters.status_file import running

    for status in running(subject.at.state / "status"):
        try:
            changed = os.stat(status.config).st_mtime
        except OSError:
            continue
        if changed > status.started:
            yield found("D702", status.config, f"changed since process {status.pid} was started with it")
