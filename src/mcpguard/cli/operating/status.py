"""`mcpguard status`: show what is running and the state of its tool servers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.system.terminal import broken, counted, plain, table
from mcpguard.cli.parser import completed_for, configured_if_any
from mcpguard.config.loading import evidence_folder, find_config, load_config
from mcpguard.config.user_state import user_state
from mcpguard.core.errors import DocumentError
from mcpguard.core.evidence.records import LOST
from mcpguard.core.legible import utc
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.formats import Unreadable

if TYPE_CHECKING:
    from mcpguard.adapters.telemetry.status_file import Status
    from mcpguard.gateway.ports import Health, LostAlerts, SinkState

EXAMPLES = ("mcpguard status", "mcpguard status --config mcpguard.yaml", "mcpguard status --json")

_LIVES = (LOST, "upstream-started", "upstream-ended")
"""What evidence notes of the life of a server."""
_HEAD = ("PID", "WHAT", "STATE", "SINCE", "PROTOCOL", "RESTARTS", "OPEN", "CONFIGURATION OR LAST PROBLEM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    said = "show only what runs with this configuration (default: all that runs)"
    parser.add_argument("--config", metavar="FILE", help=said)
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """1 where nothing runs and nothing could start, something that serving needs is missing, a tool server
    fails, waits after a failure or is refused, where changed files are not in force, evidence or alerts do
    not arrive, and where a process has not said for long how it is; else 0."""
    from mcpguard.adapters.telemetry.status_file import TROUBLE, is_outdated, running

    found = [one for one in running() if args.config is None or _same(one.config, args.config)]
    failed = [] if found else _last_failed(args.config)
    if args.json:
        from mcpguard.cli.outputs import StatusReport

        about = {"running": found, "last_failed": [msgspec.to_builtins(one) for one in failed]}
        print(StatusReport.model_validate(about).model_dump_json())
    elif not found:
        if not _say_nothing_runs(args.config, failed):
            return 1
    else:
        print(table([_HEAD, *(row for status in found for row in _completed(status))]))
    for said in [] if args.json else locked():
        print(f"locked: {said}; `mcpguard doctor` checks it")
    troubled = any(
        status.not_in_force is not None
        or any(one.state in TROUBLE for one in status.upstreams)
        or any(not need.ok for need in status.needs)
        or any(one.since for one in status.sinks)
        or status.alerts
        or is_outdated(status)
        for status in found
    )
    return 1 if troubled else 0


def _same(one: str, other: str) -> bool:
    """Whether both are names of one configuration."""
    return bool(one) and Path(one).resolve() == Path(other).resolve()


def _say_nothing_runs(config: str | None, failed: list[FailedServer]) -> bool:
    """Print so, and how servers were in the end; False where nothing could start."""
    which = f" with {plain(config)}" if config else ""
    said = f"mcpguard is not running{which}; a client that is set up for it (`mcpguard import`) starts it"
    other = "a process of another user or of a service is not found there"
    print(broken(f"{said}. This looked in {plain(str(user_state()))}: {other}"))
    if reason := _cannot_start(config):
        complete = completed_for(config)
        advice = complete("`mcpguard check` shows every mistake")
        print(broken(f"it cannot start: {plain(reason)}; {advice}"))
    if failed:
        rows = [(one.server, "failed", utc(one.since), plain(one.problem)) for one in failed]
        print("\nwhen mcpguard last ran, these servers had failed:")
        print(table([("WHAT", "STATE", "SINCE", "LAST PROBLEM"), *rows]))
    return not reason


class FailedServer(Struct, frozen=True):
    """A server that was lost when it was last used; `since` is in seconds since 1970."""

    server: str
    since: float
    problem: str


def _last_failed(option: str | None) -> list[FailedServer]:
    """The servers of the configuration that had failed when mcpguard last ran, by the newest evidence."""
    from mcpguard.console.evidence import Evidence

    try:
        config = configured_if_any(option)
    except DocumentError:
        return []
    if config is None:
        return []
    evidence = Evidence(evidence_folder(config))
    evidence.poll()
    last = {seen.notice.server: seen.notice for seen in evidence.notices if seen.notice.what in _LIVES}
    return [
        FailedServer(name, last[name].at.timestamp(), last[name].detail)
        for name in config.served
        if name in last and last[name].what == LOST
    ]


def _cannot_start(option: str | None) -> str:
    """The first mistake in the configuration or its policies; "" for none, or where none is named and the
    user has none."""
    from mcpguard.config.policies import load_policies
    from mcpguard.core.redaction.detectors import OPT_IN

    path = find_config(option, os.environ)
    if not option and not path.exists():
        return ""
    try:
        load_policies(load_config(path).policies, OPT_IN)
    except DocumentError as error:
        one = error.problems[0]
        return f"{one.source}:{one.line}: {one.message}" if one.line else f"{one.source}: {one.message}"
    return ""


def locked() -> list[str]:
    """The clients that a file of this system locks, with that file."""
    from mcpguard.cli.onboarding.lock import system
    from mcpguard.onboarding.locks.forms import is_locked, says
    from mcpguard.onboarding.locks.lockable import LOCKABLE
    from mcpguard.onboarding.locks.locking import LockKeeper

    found = []
    for one in LOCKABLE:
        keeper = LockKeeper(system(), one, Path())
        try:
            if is_locked(one, says(keeper.text(), one.format, str(keeper.path))):
                found.append(f"{one.title}, by {keeper.path}")
        except (Unreadable, MoveError):
            continue  # `mcpguard doctor` reports that.
    return found


def _completed(status: Status) -> Iterator[tuple[str, ...]]:
    """The rows, with commands in them for the configuration of that process."""
    complete = completed_for(status.config or None)
    for *row, said in _rows(status):
        yield *row, complete(said)


def _rows(status: Status) -> Iterator[tuple[str, ...]]:
    whose = f" for {status.agent}" if status.agent else ""
    whose += f" in {status.project}" if status.project else ""
    pid, config = str(status.pid), status.config + whose
    for what, state, since, said in (
        ("mcpguard", status.transport, status.started, config),
        *_needs(status),
        *_remarks(status),
    ):
        yield pid, what, state, utc(since) if since else "", "", "", "", said
    yield from (_row(pid, health, count) for health, count in status.alike())
    for what, state, since, said in (*map(_sink, status.sinks), *map(_lost, status.alerts)):
        yield pid, what, state, utc(since) if since else "", "", "", "", said


_Line = tuple[str, str, float, str]
"""The name, the state, when that began (0 if unknown), and a note."""


def _needs(status: Status) -> Iterator[_Line]:
    from mcpguard.adapters.telemetry.status_file import PROBLEM

    late = "" if status.not_in_force is None else status.not_in_force.said[:PROBLEM]
    for need in status.needs:
        if not need.ok:
            yield need.name, "stopping" if need.name == "serving" else "failing", need.since, need.problem
    for need in status.needs:
        # What is not in force has a row of its own, with the time.
        if said := need.warning.removeprefix(late).removeprefix("; "):
            yield need.name, "warning", 0, said


def troubles(status: Status) -> Iterator[_Line]:
    """What is wrong with a process, apart from its tool servers."""
    from mcpguard.adapters.telemetry.status_file import is_outdated

    late = "" if status.not_in_force is None else status.not_in_force.state
    wrong = {"failing", "warning", late, "outdated" if is_outdated(status) else ""} - {""}
    lines = (*_needs(status), *_remarks(status), *map(_sink, status.sinks), *map(_lost, status.alerts))
    yield from (line for line in lines if line[1] in wrong)


def _remarks(status: Status) -> Iterator[_Line]:
    if status.in_use:
        shown = (counted(count, what.removesuffix("s")) for what, count in status.in_use.items())
        yield "clients", "open", 0, ", ".join(shown)
    if status.waiting:
        said = f"{counted(status.waiting, 'call')} for a person: `mcpguard approvals` lists what is asked"
        yield "approvals", "waiting", 0, said
    if status.held:
        which = ", ".join(f"{count} of {server}" for server, count in status.held.items())
        yield "pins", "held back", 0, f"{which}: `mcpguard pins` shows what is different"
    if (late := status.not_in_force) is not None:
        yield late.what, late.state, late.since, late.problem
    from mcpguard.adapters.telemetry.status_file import is_outdated

    if is_outdated(status):
        said = (
            "this is its state at that time: it hangs, or cannot write its status file (standard error "
            "says why)"
        )
        yield "status", "outdated", status.updated, said
    if status.version != __version__:
        which = f"mcpguard {status.version}" if status.version else "an earlier version of mcpguard"
        said = f"{which} is running here: restart it to get {__version__}, the version of this command"
        yield "version", "another", 0, said
    if status.observing:
        yield "policies", "observed", 0, f"{status.observing}: policies are recorded and not enforced"


def _lost(one: LostAlerts) -> _Line:
    return f"alerts to {one.to}", "failing", one.since, f"{one.problem} ({one.lost} lost)"


def _sink(one: SinkState) -> _Line:
    state = "standby" if one.standby else "failing" if one.since else "working"
    said = [one.problem] if one.problem else []
    said += [f"{one.lag:,} bytes of evidence not yet sent"] if one.lag else []
    said += [f"{one.refused} refused"] if one.refused else []
    said += [f"{one.removed:,} removed before they were sent"] if one.removed else []
    said += ["another process exports"] if one.standby else []
    return f"{one.format} to {one.to}", state, one.since, "; ".join(said)


def _row(pid: str, health: Health, count: int) -> tuple[str, ...]:
    from mcpguard.adapters.telemetry.status_file import several

    what, version = several(health.name, count), f"{health.era} {health.version}".strip()
    counts = (str(health.restarts), str(health.open))
    return pid, what, health.state, utc(health.since), version, *counts, health.problem
