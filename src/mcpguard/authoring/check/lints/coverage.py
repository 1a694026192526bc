"""Lints on names: what rules mention that does not exist, and what exists that no rule mentions.

Law of this file: a glob is reported only where all servers that it could mean are known.
"""

from collections.abc import Iterator

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, matches
from mcpguard.core.errors import Problem

MOST_NAMED = 8
"""How many tools are named in one finding; of the others only how many."""


def _tools_unmentioned(subject: LintSubject) -> Iterator[Problem]:
    if subject.config is None or not subject.policies:
        return
    for server in subject.servers or ():
        names = [name for of, name, _ in subject.tools if of == server]
        known = {
            name for name in names for one in subject.rules if one.rule.can_match(server, name, "tools/call")
        }
        silent = sorted({*names} - known)
        # Where nothing of a server is mentioned, P404 says so.
        if silent and any(matches(server, one.servers) for one in subject.rules):
            more = f" and {len(silent) - MOST_NAMED} more" if len(silent) > MOST_NAMED else ""
            said = f"no rule mentions these tools of {server}, so calls are refused: "
            names_said = ", ".join(silent[:MOST_NAMED]) + more
            yield subject.config.problem(("servers", server), said + names_said)


def _tool_unknown(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        if not subject.knows(placed):
            continue
        names = {name for server, name, _ in subject.tools if matches(server, placed.servers)}
        for index, glob in enumerate(placed.written.tools or ()):
            if not any(matches(name, (glob,)) for name in names):
                yield placed.problem(
                    ("tools", index), f"no tool of the servers that it names matches `{glob}`"
                )


def _server_unknown(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        if subject.servers is not None and not any(matches(name, placed.servers) for name in subject.servers):
            yield placed.problem(("server",), "no server of this configuration matches")


def _server_unmentioned(subject: LintSubject) -> Iterator[Problem]:
    if subject.config is None or not subject.policies:
        return
    for server, served in (subject.servers or {}).items():
        if served and not any(matches(server, one.servers) for one in subject.rules):
            said = f"no rule mentions {server}, so every call to it is refused"
            yield subject.config.problem(("servers", server), said)


COVERAGE: dict[str, Finder] = {
    "P401": _tools_unmentioned,
    "P402": _tool_unknown,
    "P403": _server_unknown,
    "P404": _server_unmentioned,
}
