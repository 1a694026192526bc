"""mcpguard itself: who can change its program, whether its configuration is right, and what runs still."""

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mcpguard.adapters.telemetry.status_file import running
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.permissions import open_to_writers, trusted_in, writer
from mcpguard.doctor.surroundings import Subject
from mcpguard.onboarding.discovery.ourselves import PROJECT, starts_mcpguard

_TOLD = 5
_UV_LOCK = ".lock"
"""What uv leaves in an environment, for everybody to write; nothing reads what is in it."""

_NOTICED_SECONDS = 3.0
"""Within so long a process has noticed a change, and its status says whether it is in force."""


def check(subject: Subject) -> Iterator[Checked]:
    """D701, D702, D703 and D705."""
    if subject.problem is not None:
        for one in subject.problem.problems:
            yield found("D703", one.source, one.message, one.line)
    parts = [one for program in subject.at.programs for one in _suspect(program, trusted_in(subject.at))]
    yield from islice(open_to_writers("D701", [*subject.at.programs, *parts], subject.at), _TOLD)
    yield from _running(subject)
    yield from _other_project(subject)


def _other_project(subject: Subject) -> Iterator[Checked]:
    """A program of our name that is not ours: what a person types, or a hint names, would start that."""
    path = subject.at.environ.get("PATH")
    program = path and shutil.which("mcpguard", path=path)
    if program and not starts_mcpguard(program, [], {}):
        said = f"this is not {PROJECT}, and `mcpguard` starts it"
        yield found("D705", program, said)


def _suspect(program: Path, trusted: frozenset[int]) -> Iterator[Path]:
    """What is below `program` and is open by itself, or leads elsewhere. The ways to it are those of
    `program`."""
    for folder, folders, names in os.walk(program):
        environment = "pyvenv.cfg" in names
        for name in (*folders, *names):
            if environment and name == _UV_LOCK:
                continue
            path = os.path.join(folder, name)
            if writer(path, trusted) or os.path.islink(path):
                yield Path(path)


def _running(subject: Subject) -> Iterator[Checked]:
    for status in running(subject.at.state / "status"):
        try:
            changed = os.stat(status.config).st_mtime
        except OSError:
            continue
        late = status.not_in_force
        if late is not None:
            said = f"the changed {late.what} is not in force in process {status.pid}: {late.problem}"
            yield found("D702", status.config, said)
        elif changed > max(status.started, status.loaded) + _NOTICED_SECONDS:
            yield found("D702", status.config, f"changed since process {status.pid} read it")
