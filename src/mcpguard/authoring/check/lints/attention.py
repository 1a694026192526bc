"""Lints on what needs a second look of a person: owners, dates, claims and wide actions.

Law of this file: each of these may be intended, so none is an error.
"""

from collections.abc import Iterable, Iterator

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example, reads_only
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
            said = "`*` also allows what servers ask of the client (sampling, elicitation, roots), tasks and"
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
            said = f"nobody is asked about {', '.join(refused)}, so this rule refuses it: write `deny`"
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
            said = f"it leaves secrets in more results than it needs to: name {' and '.join(missing)}"
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
            said = f"`{name}`{what} has no value, so whatever depends on it is refused: set it in the"
            entry = f"{{file: …, params: {{{name}: …}}}}"
            yield one.document.problem(("params", name), f"{said} configuration, `policies: [{entry}]`")


_OWNED = example("{id: read, effect: allow, server: files, tools: [read]}")

OWNERLESS = Lint(
    "P501",
    "note",
    "A policy without an `owner`: nobody is responsible for it.",
    _ownerless,
    _OWNED.replace("owner: ada\n", ""),
    _OWNED,
)

EXPIRED = Lint(
    "P502",
    "warning",
    "A policy whose `expires` date has passed: its `allow` rules no longer allow anything.",
    _expired,
    _OWNED.replace("owner: ada\n", "owner: ada\nexpires: 2020-12-31\n"),
    _OWNED.replace("owner: ada\n", "owner: ada\nexpires: 9998-12-31\n"),
)

CLAIMS = Lint(
    "P503",
    "note",
    "A condition reads what a client says about itself. That cannot allow anything, but a client can "
    "avoid a `deny` by claiming something else.",
    _claims,
    example('{id: not-for-it, effect: deny, server: files, when: client.claims.name == "old-desktop"}'),
    example('{id: not-for-it, effect: deny, server: files, when: client.agent == "desk"}'),
)

ANY = Lint(
    "P504",
    "warning",
    "An `allow` with the action `*` also allows what servers ask of the client, tasks, and extensions; one "
    "with the tool `*` and without a condition also allows tools that the server adds later.",
    _any_action,
    example('{id: all, effect: allow, server: files, tools: ["*"]}'),
    example("{id: all, effect: allow, server: files, action: [tools/call, resources/read]}"),
)

ASKS = Lint(
    "P505",
    "warning",
    "An `ask` rule on what a server asks of the client, or on a subscription: nobody is asked about these, "
    "so it refuses them.",
    _asks,
    example("{id: form, effect: ask, server: files, action: [elicitation/create]}"),
    example("{id: read, effect: ask, server: files, action: [resources/read]}"),
)

_FOLDERS = example("{id: in, effect: deny, server: files, when: '!pathWithin(args.path, params.folders)'}")

UNSET = Lint(
    "P506",
    "warning",
    "A param without a value: whatever depends on it is refused until the configuration sets it.",
    _unset,
    _FOLDERS.replace("owner: ada\n", "owner: ada\nparams: {folders: {type: strings}}\n"),
    _FOLDERS.replace("owner: ada\n", "owner: ada\nparams: {folders: {type: strings, default: [/srv]}}\n"),
)

_PUSHING = "{id: push, effect: ask, server: files, tools: [write]}"

STANDING = Lint(
    "P507",
    "warning",
    "A rule that approves in advance (`approves`) has no condition, and its tools may change things: nobody "
    "is asked about them.",
    _standing,
    example(_PUSHING, "{id: always, effect: allow, server: files, tools: [write], approves: [example/push]}"),
    example(
        _PUSHING,
        "{id: notes, effect: allow, server: files, tools: [write], approves: [example/push], "
        "when: 'pathWithin(args.path, [\"/srv/notes\"])'}",
    ),
)

FORMLESS = Lint(
    "P508",
    "warning",
    "A rule has calls approved through the client only (`ask.via`) about which a client of revision "
    "2026-07-28 cannot be asked: all but `tools/call`, `prompts/get` and `resources/read`.",
    _formless,
    example("{id: t, effect: ask, server: files, action: [tasks/cancel], ask: {via: client}}"),
    example("{id: t, effect: ask, server: files, action: [tasks/cancel], ask: {via: [client, terminal]}}"),
)

BROAD = Lint(
    "P509",
    "warning",
    "An exception from redaction (`unredacted`) applies to every tool of a server, or of all servers.",
    _broad,
    example("{id: keys, effect: allow, server: files, unredacted: [jwt]}"),
    example("{id: keys, effect: allow, server: files, tools: [read], unredacted: [jwt]}"),
)

UNMARKED = Lint(
    "P510",
    "warning",
    "`spotlight` on actions whose results have no texts that are marked.",
    _unmarked,
    example("{id: t, effect: allow, server: files, action: [tasks/cancel], spotlight: true}"),
    example("{id: t, effect: allow, server: files, action: [tools/call], spotlight: true}"),
)

NOWHERE = Lint(
    "P511",
    "warning",
    "An exception from redaction (`unredacted`) has a path that no result has, so it has no effect.",
    _nowhere,
    example(
        "{id: t, effect: allow, server: files, tools: [read], unredacted: [{kind: jwt, path: /result/text}]}"
    ),
    example(
        "{id: t, effect: allow, server: files, tools: [read], unredacted: [{kind: jwt, path: /content/0}]}"
    ),
)

ATTENTION = (OWNERLESS, EXPIRED, CLAIMS, ANY, ASKS, UNSET, STANDING, FORMLESS, BROAD, UNMARKED, NOWHERE)
