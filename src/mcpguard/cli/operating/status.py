"""`mcpguard status`: show what is running and the state of its tool servers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mcpguard import __version__
from mcpguard.adapters.system.terminal import when

if TYPE_CHECKING:
    from mcpguard.adapters.telemetry.status_file import NotInForce, Status
    from mcpguard.gateway.ports import Health, LostAlerts, Need, SinkState

EXAMPLES = ("mcpguard status", "mcpguard status --json")

TROUBLE = ("failing", "waiting", "failed")

_HEAD = ("PID", "WHAT", "STATE", "SINCE", "PROTOCOL", "RESTARTS", "OPEN", "CONFIGURATION OR LAST PROBLEM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """1 where something that serving needs is missing, a tool server fails, waits after a failure or is
    refused, and where changed files are not in force, else 0."""
    from mcpguard.adapters.system.terminal import table
    from mcpguard.adapters.telemetry.status_file import running

    found = running()
    if args.json:
        from mcpguard.cli.outputs import StatusReport

        print(StatusReport.model_validate({"running": found}).model_dump_json())
    elif not found:
        print("mcpguard is not running; a client that is set up for it (`mcpguard import`) starts it")
    else:
        print(table([_HEAD, *(row for status in found for row in _rows(status))]))
    for said in [] if args.json else locked():
        print(f"locked: {said}; `mcpguard doctor` checks it")
    troubled = any(
        status.not_in_force is not None
        or any(one.state in TROUBLE for one in status.upstreams)
        or any(not need.ok for need in status.needs)
        or any(one.since for one in status.sinks)
        for status in found
    )
    return 1 if troubled else 0


def locked() -> list[str]:
    """The clients that a file of this system locks, with that file."""
    from pathlib import Path

    from mcpguard.cli.onboarding.lock import system
    from mcpguard.onboarding.disk import MoveError
    from mcpguard.onboarding.formats.tree import Unreadable
    from mcpguard.onboarding.locks.editing import says
    from mcpguard.onboarding.locks.forms import is_locked
    from mcpguard.onboarding.locks.lockable import LOCKABLE
    from mcpguard.onboarding.locks.locking import Keeper

    found = []
    for one in LOCKABLE:
        keeper = Keeper(system(), one, Path())
        try:
            if is_locked(one, says(keeper.text(), one.format, str(keeper.path))):
                found.append(f"{one.title}, by {keeper.path}")
        except (Unreadable, MoveError):
            continue  # `mcpguard doctor` reports that.
    return found


def _rows(status: Status) -> list[tuple[str, ...]]:
    whose = f" for {status.agent}" if status.agent else ""
    whose += f" in {status.project}" if status.project else ""
    since, config = when(status.started), status.config + whose
    own = (str(status.pid), "mcpguard", status.transport, since, "", "", "", config)
    lost = [_lost(status, one) for one in status.alerts]
    missing = [_missing(status, one) for one in status.needs if not (one.ok or one.name == "policies")]
    missing += [_warned(status, one) for one in status.needs if one.warning]
    late = [] if status.not_in_force is None else [_late(status, status.not_in_force)]
    observed = [_observed(status)] if status.observing else []
    late += [_unrecognised(status)] if status.unrecognised else []
    sinks = [_sink(status, one) for one in status.sinks]
    alike: dict[tuple[str, str], list[Health]] = {}
    for health in status.upstreams:
        alike.setdefault((health.name, health.state), []).append(health)
    upstreams = [_row(status, ones) for ones in alike.values()]
    late += [_of_another(status)] if status.version != __version__ else []
    return [own, *missing, *late, *observed, *upstreams, *sinks, *lost]


def _of_another(status: Status) -> tuple[str, ...]:
    which = f"mcpguard {status.version}" if status.version else "an earlier version of mcpguard"
    said = f"{which} is running here: restart it to get {__version__}, the version of this command"
    return str(status.pid), "version", "another", "", "", "", "", said


def _missing(status: Status, need: Need) -> tuple[str, ...]:
    state = "stopping" if need.name == "serving" else "failing"
    return str(status.pid), need.name, state, when(need.since), "", "", "", need.problem


def _warned(status: Status, need: Need) -> tuple[str, ...]:
    return str(status.pid), need.name, "warning", "", "", "", "", need.warning


def _late(status: Status, one: NotInForce) -> tuple[str, ...]:
    return str(status.pid), one.what, one.state, when(one.since), "", "", "", one.problem


def _unrecognised(status: Status) -> tuple[str, ...]:
    return str(status.pid), "credentials", "partial", "", "", "", "", status.unrecognised


def _observed(status: Status) -> tuple[str, ...]:
    said = f"{status.observing}: policies are recorded and not enforced"
    return str(status.pid), "policies", "observed", "", "", "", "", said


def _lost(status: Status, one: LostAlerts) -> tuple[str, ...]:
    said = f"{one.problem} ({one.lost} lost)"
    return str(status.pid), f"alerts to {one.to}", "failing", when(one.since), "", "", "", said


def _sink(status: Status, one: SinkState) -> tuple[str, ...]:
    state = "standby" if one.standby else "failing" if one.since else "working"
    said = [one.problem] if one.problem else []
    said += [f"{one.lag:,} bytes of evidence not yet sent"] if one.lag else []
    said += [f"{one.refused} refused"] if one.refused else []
    said += ["another process exports"] if one.standby else []
    since = when(one.since) if one.since else ""
    what = "alerts" if one.format == "alerts" else f"{one.format} to {one.to}"
    return str(status.pid), what, state, since, "", "", "", "; ".join(said)


def _row(status: Status, alike: list[Health]) -> tuple[str, ...]:
    """A server, with all its processes in this state: each session has its own."""
    first = alike[0]
    return (
        str(status.pid),
        f"{first.name} x {len(alike)}" if alike[1:] else first.name,
        first.state,
        when(min(one.since for one in alike)),
        f"{first.era} {first.version}".strip(),
        str(sum(one.restarts for one in alike)),
        str(sum(one.open for one in alike)),
        next((one.problem for one in alike if one.problem), ""),
    )
