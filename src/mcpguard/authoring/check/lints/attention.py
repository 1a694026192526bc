"""Lints on what needs a second look of a person: owners, dates, claims and wide actions.

Law of this file: each of these may be intended, so none is an error.
"""

import re
from collections.abc import Iterable, Iterator

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule, reads_only
from mcpguard.authoring.snapshot import Presence, presence
from mcpguard.core.errors import Problem
from mcpguard.core.policy.terms import ANY_ACTION, ASKED, end_of
from mcpguard.protocol.eras import MAY_ASK

_MARKED = frozenset(["tools/call", "prompts/get", "resources/read", "tasks/get", "tasks/result", ANY_ACTION])
_RESULTS = {
    "tools/call": ("content", "structuredContent", "_meta"),
    "prompts/get": ("messages", "description", "_meta"),
    "resources/read": ("contents", "_meta"),
}
_WITHIN = re.compile(r"\bpathWithin\([^()]*\bparams\.(\w+)")
_UNASKED = ASKED | {"resources/subscribe"}


def _ownerless(subject: LintSubject) -> Iterator[Problem]:
    for one in subject.policies:
        if not one.policy.owner.strip():
            yield one.document.problem(
                ("policy",), f"{one.policy.policy} has no `owner`: nobody is responsible for it"
            )


def _expired(subject: LintSubject) -> Iterator[Problem]:
    for one in subject.policies:
        end = end_of(one.policy.expires)
        if end is not None and subject.today >= end:
            yield one.document.problem(
                ("expires",), "this date has passed, so its `allow` rules allow nothing"
            )


def _claims(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        claims = [one for one in placed.reads if one.root == "client" and one.steps[:1] != ("agent",)]
        if claims:
            said = "`client.claims` is what the client says about itself: any client can claim anything"
            yield placed.problem(("when",), said, claims[0].offset)


def _any_action(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        if one.effect != "allow" or one.on != "call":
            continue
        if ANY_ACTION in one.action:
            said = "`*` also allows servers' requests to the client (sampling, elicitation, roots), tasks and"
            yield placed.problem(("action",), f"{said} extensions: name the intended actions")
        elif "*" in (one.tools or ()) and not one.when:
            said = "`*` without a condition also allows tools that the server adds later: name the tools, or"
            yield placed.problem(
                ("tools",), f"{said} add a condition, `tool.annotations.readOnlyHint == true`"
            )


def _asks(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        refused = sorted(_UNASKED & set(placed.written.action))
        if placed.written.effect == "ask" and refused:
            said = f"nobody is asked about {', '.join(refused)}, so this rule refuses them: write `deny`"
            yield placed.problem(("action",), f"{said}, or name other actions")


def _formless(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        ask = placed.written.ask
        beyond = sorted(set(placed.written.action) - MAY_ASK - _UNASKED - {ANY_ACTION})
        if ask is not None and ask.channels == ("client",) and beyond:
            said = f"a client of revision 2026-07-28 cannot be asked about {', '.join(beyond)}, so such calls"
            yield placed.problem(("ask", "via"), f"{said} are refused: name another channel as well")


def _standing(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        if not one.approves or one.when is not None:
            continue
        harmless = subject.knows(placed) and all(reads_only(tool) for _, _, tool in subject.tools_of(placed))
        if "tools/call" not in one.action or not harmless:
            said = "without a condition it approves every call in advance, so nobody is asked because of"
            which = f"{said} {', '.join(one.approves)}: say in `when` which calls"
            yield placed.problem(("approves",), which)


def _broad(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        of_tools = bool({"tools/call", ANY_ACTION} & set(one.action))
        missing = ["the server"] if "*" in placed.servers else []
        missing += ["the tools"] if of_tools and (one.tools is None or "*" in one.tools) else []
        if one.unredacted and one.when is None and missing:
            said = f"it leaves secrets in more results than needed: name {' and '.join(missing)}"
            yield placed.problem(("unredacted",), f"{said}, or say in `when` for which calls")


def _nowhere(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        members = _members(placed.written.action)
        for index, one in enumerate(placed.written.unredacted):
            if isinstance(one, str) or not members:
                continue
            first, *steps = [step.replace("~1", "/").replace("~0", "~") for step in one.path.split("/")[1:]]
            place = ("unredacted", index, "path")
            if first not in members and first != "*":
                begins = " or ".join(f"/{name}" for name in members)
                said = f"no result has `{first}`: a path begins with {begins}"
                yield placed.problem(place, said)
            elif first == "structuredContent" and _is_nowhere(subject, placed, steps):
                said = "by its `outputSchema`, the result of none of the tools has anything here"
                yield placed.problem(place, said)


def _members(actions: Iterable[str]) -> list[str]:
    """What a result of these can have that an exception may be for; nothing where that is not known."""
    known = [_RESULTS.get(action, ()) for action in actions]
    return list(dict.fromkeys(name for names in known for name in names)) if all(known) else []


def _is_nowhere(subject: LintSubject, placed: PlacedRule, steps: list[str]) -> bool:
    """Whether the snapshot has all the tools, and none has a part there in what it says of its results."""
    schemas = [tool.get("outputSchema") for _, _, tool in subject.tools_of(placed)]
    if not subject.knows(placed) or not schemas or not all(type(one) is dict for one in schemas):
        return False
    at = tuple(None if step == "*" or step.isdigit() else step for step in steps)
    return all(presence(one, at)[-1:] == [Presence.NEVER] for one in schemas)


def _unmarked(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        if one.spotlight and not _MARKED & set(one.action):
            said = "the results of these actions have no texts that are marked, so `spotlight` has no effect"
            yield placed.problem(("spotlight",), said)


def _unset(subject: LintSubject) -> Iterator[Problem]:
    for one in subject.policies:
        for name, param in one.policy.params.items():
            if param.is_set:
                continue
            what = f" ({param.description.rstrip('.')})" if param.description else ""
            said = f"`{name}`{what} has no value, so calls that depend on it are refused: set it in the"
            entry = f"{{file: …, params: {{{name}: …}}}}"
            yield one.document.problem(("params", name), f"{said} configuration, `policies: [{entry}]`")


def _not_folders(subject: LintSubject) -> Iterator[Problem]:
    for one in subject.policies:
        conditions = [rule.when for rule in one.policy.rules if isinstance(rule.when, str)]
        used = {name for text in conditions for name in _WITHIN.findall(text)}
        for name, param in one.policy.params.items():
            if param.type == "strings" and name in used:
                said = (
                    f"`{name}` is used as folders: write `type: folders`, so that a folder that is not "
                    f"absolute"
                )
                yield one.document.problem(("params", name, "type"), f"{said} is refused when it is written")


ATTENTION: dict[str, Finder] = {
    "P501": _ownerless,
    "P502": _expired,
    "P503": _claims,
    "P504": _any_action,
    "P505": _asks,
    "P506": _unset,
    "P507": _standing,
    "P508": _formless,
    "P509": _broad,
    "P510": _unmarked,
    "P511": _nowhere,
    "P512": _not_folders,
}
