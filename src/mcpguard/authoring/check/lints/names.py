"""Lints on names: what rules mention that does not exist, what exists that no rule mentions, and labels and
facts, which rules leave in the session for later rules.

Law of this file: a glob is reported only where all servers that it could mean are known. A label is set also
where the condition of its rule fails, a fact only where it holds; so what is sure to tighten is to deny by
the first and to allow by the second.
"""

import re
from collections.abc import Iterator
from json import dumps as encoded

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule, matches
from mcpguard.authoring.conditions import ValueRead
from mcpguard.core.errors import Problem, did_you_mean
from mcpguard.core.redaction.detectors import GROUPS, HELD, KINDS

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


_UNNAMED = re.compile(r"[,|{}^$()+\\\\\s]|\A!")
"""What no name of a tool or of a server has in it (SEP-986), and no pattern of names either."""


def _never_named(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for key, globs in (("tools", placed.written.tools or ()), ("server", placed.servers)):
            for index, glob in enumerate(globs):
                found = _UNNAMED.search(glob)
                if found is None:
                    continue
                parts = [one for one in re.split(r"[,|\s]+", glob) if one]
                said = f"`{glob}` matches no name, since `{found[0]}` stands for itself: "
                if found[0] in ",| " and len(parts) > 1:
                    said += f"write `{key}: [{', '.join(map(encoded, parts))}]`"
                else:
                    said += "patterns have `*`, `?` and `[abc]` only"
                place = (key,) if key == "server" and isinstance(placed.written.server, str) else (key, index)
                yield placed.problem(place, said)


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


_SHARED = {"private", "untrusted"}
_TYPO = 0.8
"""As near is a typo to a kind of redaction; what is less so may be the name of a credential."""
_KEYS = {"labels": "label", "facts": "fact"}


def _marks(placed: PlacedRule) -> Iterator[tuple[str, ValueRead]]:
    """(`label` or `fact`, read) of each one that its condition looks for."""
    for read in placed.reads:
        if read.root == "session" and len(read.steps) == 1 and read.steps[0] in _KEYS and read.member:
            yield _KEYS[str(read.steps[0])], read


def _never_set(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for key, read in _marks(placed):
            known = {name for one in subject.rules for name in getattr(one.written, key)}
            # The packs agree on these labels, and each is also used without those that set them.
            if read.member not in known and not (key == "label" and read.member in _SHARED):
                hint = did_you_mean(str(read.member), known)
                said = f"no rule sets the {key} `{read.member}`{hint and f'; {hint}'}"
                yield placed.problem(("when",), said, read.offset)


def _never_read(subject: LintSubject) -> Iterator[Problem]:
    for key in ("label", "fact"):
        if any(_reads_any(one, f"{key}s") for one in subject.rules):
            continue
        known = {mark.member for one in subject.rules for kind, mark in _marks(one) if kind == key}
        for placed in subject.rules:
            for index, name in enumerate(getattr(placed.written, key)):
                if name not in known:
                    known.add(name)  # Reported once, where it is set first.
                    yield placed.problem((key, index), f"no condition reads the {key} `{name}`")


def _reads_any(placed: PlacedRule, key: str) -> bool:
    """Whether its condition reads marks that are not named in it."""
    return any(
        read.root == "session" and read.steps in ((), (key,)) and read.member is None for read in placed.reads
    )


def _loosens(subject: LintSubject, wanted: str) -> Iterator[tuple[PlacedRule, ValueRead]]:
    for placed in subject.rules:
        allows = placed.written.effect == "allow"
        for key, read in _marks(placed):
            if key == wanted and read.holds is (allows if key == "label" else not allows):
                yield placed, read


def _by_label(subject: LintSubject) -> Iterator[Problem]:
    for placed, read in _loosens(subject, "label"):
        said = f"the label `{read.member}` permits more, and a label is set even if a condition fails"
        yield placed.problem(("when",), f"{said}: use a fact", read.offset)


def _by_fact(subject: LintSubject) -> Iterator[Problem]:
    for placed, read in _loosens(subject, "fact"):
        said = f"the fact `{read.member}` refuses more, and a fact is missing if a condition fails"
        yield placed.problem(("when",), f"{said}: use a label", read.offset)


def _never_found(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for read in placed.reads:
            kind = read.member
            if read.root != "findings" or kind is None or kind in KINDS:
                continue
            if kind in GROUPS or kind == HELD:
                hint = "`findings` has each kind by its name, and a held value by that of its credential"
            else:
                hint = did_you_mean(kind, KINDS, _TYPO)
            if hint:
                yield placed.problem(("when",), f"redaction has no kind `{kind}`; {hint}", read.offset)


NAMES: dict[str, Finder] = {
    "P401": _tools_unmentioned,
    "P402": _tool_unknown,
    "P403": _server_unknown,
    "P404": _server_unmentioned,
    "P405": _never_named,
    "P301": _never_set,
    "P302": _never_read,
    "P303": _by_label,
    "P304": _by_fact,
    "P305": _never_found,
}
