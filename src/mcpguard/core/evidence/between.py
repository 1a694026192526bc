"""How the chains of a folder hold each other: what ends in a later chain, what signatures vouch for, and what
was removed on purpose. Judges the reports of `verification`, and reads nothing itself."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from mcpguard.core.evidence.verification import ChainReport, Flaw, Removal


def joined(reports: Mapping[str, ChainReport], renamed: Mapping[str, str]) -> dict[str, ChainReport]:
    """The reports of chains, by their names, where each knows those that it continues: an outcome needs its
    decision there, and what has its outcome later is not unfinished. Where such a chain is not among them
    (it was removed on purpose, say), was not handed on, or has a flaw of its own, its decisions are not
    looked for. `renamed` are the names that chains had."""
    found = dict(reports)
    for name in reports:
        carried, at = reports[name].carried, _before(reports[name], renamed)
        left = set(carried)
        passed = {name}
        while left and at in found and at not in passed and found[at].handed_on:
            before = found[at]
            done = left.intersection(before.unfinished)
            found[at] = replace(before, unfinished=tuple(id_ for id_ in before.unfinished if id_ not in done))
            left -= done
            passed.add(at)
            at = _before(before, renamed)
        if left and not at and all(found[one].intact for one in passed - {name}):
            found[name] = _flawed(
                found[name], f"ends a chain with outcomes that have no allowed decision: {min(left)}"
            )
    return found


def _before(report: ChainReport, renamed: Mapping[str, str]) -> str:
    return renamed.get(report.continues, report.continues)


def overlapping(reports: Mapping[str, ChainReport]) -> dict[str, set[bytes]]:
    """The chains that may have decided calls that another one decided too, with what the ids of these begin
    with. Copies of a chain are not compared: `forked` finds them."""
    alike = {report.begin: name for name, report in reports.items()}
    spans = sorted(
        (first, least, greatest, name)
        for name in alike.values()
        for first, (least, greatest) in reports[name].decided.items()
    )
    found: dict[str, set[bytes]] = {}
    widest = (b"", 0, -1, "")
    for one in spans:
        if one[0] == widest[0] and one[1] <= widest[2]:
            for name in (one[3], widest[3]):
                found.setdefault(name, set()).add(one[0])
        if one[0] != widest[0] or one[2] > widest[2]:
            widest = one
    return found


def doubts(claims: Mapping[str, Mapping[str, int]], sure: Mapping[str, int]) -> dict[str, list[str]]:
    """Sentences about chains of which one is not what it seems, since several say what only one can: `claims`
    has what they say, each with the names of chains and the lines there. The `sure` lines of a chain (as of
    `vouched`) are not in doubt."""
    found: dict[str, list[str]] = {}
    for what, lines in claims.items():
        for name, line in lines.items():
            other = next((one for one in lines if one != name), "")
            if other and line > sure[name]:
                said = f"line {line} {what}, as {other} does: one of the two was planted"
                found.setdefault(name, []).append(said)
    return found


def forked(reports: Mapping[str, ChainReport]) -> dict[str, ChainReport]:
    """The reports where chains that begin with the same record are flaws of each other: a process writes one,
    so all others are copies that go on otherwise."""
    names: dict[str, list[str]] = {}
    for name, report in reports.items():
        if report.begin:
            names.setdefault(report.begin, []).append(name)
    found = dict(reports)
    for same in names.values():
        for name, other in zip(same, (*same[1:], same[0]), strict=True):
            if name != other:
                found[name] = _flawed(
                    found[name], f"ends a chain that begins with the same record as {other}"
                )
    return found


def vouched(reports: Mapping[str, ChainReport], kept: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Up to which line it is sure who wrote each chain: its own last signature, a head that was `kept`
    elsewhere, or the first head that the signed next chain of the same process holds of it. 0 where nothing
    says so. Other heads were only read from files, whoever wrote those."""
    lines = {name: report.signed for name, report in reports.items()}
    for name, heads in kept.items():
        if name in lines:
            lines[name] = max(lines[name], *(reports[name].found.get(head, 0) for head in heads))
    left = [name for name, line in lines.items() if line]
    while left:
        report = reports[left.pop()]
        before = (anchor for anchor, line in report.held if line == 1 and anchor.file == report.continues)
        anchor = next(before, None)
        if anchor is not None and anchor.file in lines:
            place = reports[anchor.file].found.get(anchor.head, 0)
            if place > lines[anchor.file]:
                lines[anchor.file] = place
                left.append(anchor.file)
    return lines


def held(reports: Mapping[str, ChainReport], lines: Mapping[str, int]) -> dict[str, str]:
    """By which chain others are held, at first or second hand, in the `lines` of each. It proves that they
    existed then, and not who wrote them."""
    lines = dict(lines)
    found: dict[str, str] = {}
    left = [name for name, line in lines.items() if line]
    while left:
        name = left.pop()
        for anchor, line in reports[name].held:
            if line <= lines[name] and anchor.file in reports:
                place = reports[anchor.file].found.get(anchor.head, 0)
                if place > lines.get(anchor.file, 0):
                    lines[anchor.file] = place
                    found[anchor.file] = name
                    left.append(anchor.file)
    return found


def signed(reports: Mapping[str, ChainReport], lines: Mapping[str, int]) -> dict[str, ChainReport]:
    """The reports where what is not sure by its `lines` (of `vouched`) is a flaw: a whole chain, or the end
    of one that was closed. The end of one that is not closed may have come after the last signature.

    A chain without a signature that a signed one holds is not a flaw: it may be from before there was a key,
    of a command, or of a process that was killed before it signed. `held` names it.
    """
    holders = held(reports, lines)
    found = {}
    for name, report in reports.items():
        if not report.records:
            found[name] = report  # A process was killed before it wrote anything.
        elif not lines[name] and name not in holders:
            found[name] = _flawed(report, "ends a chain that nothing signed by this key vouches for")
        elif report.closed and 0 < lines[name] < report.records - 1:
            found[name] = _flawed(report, f"was closed, but no signature is about lines after {lines[name]}")
        else:
            found[name] = report
    return found


def removed(reports: Mapping[str, ChainReport], lines: Mapping[str, int] | None) -> Removal | None:
    """The last name up to which chains were removed on purpose, as the chains themselves say, and how many;
    None where none were. With `lines` only what stands in these of each chain counts."""
    said = [
        removal
        for name, report in reports.items()
        for removal in report.removals
        if lines is None or removal.line <= lines[name]
    ]
    if not said:
        return None
    return Removal(0, max(one.until for one in said), sum(one.count for one in said))


def _flawed(report: ChainReport, what: str) -> ChainReport:
    return replace(report, flaws=(*report.flaws, Flaw(report.records, what)))
