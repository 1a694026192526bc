"""Files of tests, run by several processes at the same time where there are processors for them.

Law of this file: the reports are those of `run`, in the order of the files. What a child process does not
deliver, because it failed or was killed, is run here.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator, Sequence

from mcpguard.authoring.tests.running import Coverage, FileReport, Loaded, LoadedSamples, run
from mcpguard.core.redaction.redactor import Redactor

MANY = 1_000
"""Decisions from which on a second process saves time: to start one takes as long as some 30."""
MOST = 4
"""Processes. With more, the longest file decides how long it takes."""
_INDEX, _MOST_FILES = 2, 30_000
"""Bytes of the index of a file, and how many of them a pipe holds before anybody reads."""


def run_files(loaded: Sequence[Loaded], redactor: Redactor, coverage: Coverage | None) -> list[FileReport]:
    """What became of each file, in order. What the cases decided is added to `coverage`, if any."""
    found: dict[int, FileReport] = {}
    processes = _processes(loaded)
    if processes > 1:
        queue = _queued(sorted(range(len(loaded)), key=lambda index: -_decisions(loaded[index])))
        children = [_started(queue, loaded, redactor, coverage) for _ in range(processes - 1)]
        found = {index: run(loaded[index], redactor, coverage) for index in _taken(queue)}
        os.close(queue)
        for pid, reading in children:
            found |= _delivered(pid, reading, coverage)
    for index, one in enumerate(loaded):
        if coverage is not None and not isinstance(one, LoadedSamples):
            coverage.add(one.compiled, ())
        if index not in found:
            found[index] = run(one, redactor, coverage)
    return [found[index] for index in range(len(loaded))]


def _processes(loaded: Sequence[Loaded]) -> int:
    # Libraries of other systems may not survive a fork, and what another thread holds is never released.
    if sys.platform != "linux" or threading.active_count() > 1 or len(loaded) > _MOST_FILES:
        return 1
    if sum(map(_decisions, loaded)) < MANY:
        return 1
    return min(len(os.sched_getaffinity(0)), len(loaded), MOST)


def _decisions(one: Loaded) -> int:
    cases = one.samples.samples if isinstance(one, LoadedSamples) else one.tests.tests
    return len(cases) * len(one.sets)


def _queued(indices: Sequence[int]) -> int:
    """A pipe from which any process takes the next file."""
    queue, writing = os.pipe()
    os.write(writing, b"".join(index.to_bytes(_INDEX, "big") for index in indices))
    os.close(writing)
    return queue


def _taken(queue: int) -> Iterator[int]:
    while index := os.read(queue, _INDEX):
        yield int.from_bytes(index, "big")


def _started(
    queue: int, loaded: Sequence[Loaded], redactor: Redactor, coverage: Coverage | None
) -> tuple[int, int]:
    """The id of a child process that runs what it takes, and the pipe with what it delivers."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        reports = {index: run(loaded[index], redactor, coverage) for index in _taken(queue)}
        with os.fdopen(writing, "wb") as delivery:
            pickle.dump((reports, coverage and coverage.seen), delivery)
    finally:  # Whatever happened: the rest of the program belongs to the parent.
        os._exit(0)


def _delivered(pid: int, reading: int, coverage: Coverage | None) -> dict[int, FileReport]:
    reports: dict[int, FileReport] = {}
    with os.fdopen(reading, "rb") as delivery:
        try:
            reports, seen = pickle.load(delivery)  # noqa: S301 - it is from ourselves
        except (EOFError, pickle.UnpicklingError):
            seen = None
    os.waitpid(pid, 0)
    if coverage is not None and seen is not None:
        coverage.seen |= seen
    return reports
