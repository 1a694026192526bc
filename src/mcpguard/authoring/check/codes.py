"""The codes of `mcpguard check` that are not lints of policies, and how a finding with one is made.

To add one: an entry in `CODES`, a `wrong` or `shown` with it in the module of its subject, and its two scenes
in `tests/authoring/check/test_codes.py`.

Law of this file: a code keeps its meaning for ever.
"""

from collections.abc import Iterator

from mcpguard.authoring.findings import Code, Finding, at
from mcpguard.core.errors import DocumentError, Problem

CODES: dict[str, Code] = {
    "C001": Code("error", "The configuration is missing, unreadable or wrong. Nothing else can be checked."),
    "C002": Code("warning", "A configuration without `policies`: every call is refused."),
    "C003": Code("note", "A server that is disabled."),
    "C006": Code("note", "A client of `clients` has a server that is disabled."),
    "C007": Code(
        "warning",
        "Every server of a client, or of one of its projects, is disabled: it is refused at the start.",
    ),
    "C008": Code("warning", "`agent` is not one of the `clients`: a start without `--agent` is refused."),
    "C009": Code("note", "No client of `clients` sees a server."),
    "C004": Code(
        "warning", "`observe` ends more than 31 days ahead, so it has no effect: policies are enforced."
    ),
    "C005": Code("note", "`observe` is over: policies are enforced, and it can be removed."),
    "C101": Code("error", "The command of a server was not found, or its working folder does not exist."),
    "C102": Code(
        "error",
        "A credential that could not be injected: it is missing, or cannot be redacted (too short, too long, "
        "a number of fewer than 12 digits), or the program that prints it was not found.",
    ),
    "C103": Code("warning", "Something that looks like a credential is in the file in plain text."),
    "C104": Code(
        "warning",
        "A server works in a folder that contains the configuration, a policy (or a link to one) or the "
        "session folder: an agent that writes there could change its own rules, or the state that they "
        "depend on. Folders are its `cwd` and those among its arguments.",
    ),
    "C105": Code("error", "With `--live`: a server could not be listed."),
    "C106": Code(
        "error",
        "A rule chooses a credential, or puts one into an argument, that the configuration does not have, "
        "that is not bound to a server of the rule, or that the server has no way to receive.",
    ),
    "C107": Code(
        "warning", "A credential in the query of a `url`: servers and proxies write URLs into their logs."
    ),
    "C108": Code(
        "warning",
        "A server starts in a folder that an agent can write: its `cwd` is `client`, or is inside a folder "
        "that a server is given as an argument. Leave `cwd` out, and give full paths.",
    ),
    "C109": Code(
        "warning",
        "What a server runs is looked up, or is, in a folder that an agent can write: the agent could "
        "replace that with a program of its own, which then has the server's credentials. Leave `cwd` out "
        "where `npx`, `uvx`, `python -m` or the like start the server; install a program that lies in such "
        "a folder somewhere else.",
    ),
    "C110": Code(
        "warning",
        "A relative path among the arguments of a server without `cwd`: it starts in an empty folder of "
        "mcpguard's. Give the full path.",
    ),
    "C111": Code(
        "warning",
        "A rule asks for a passkey that nobody can give: `approvals.passkeys` has none, or none of an "
        "approver of the rule, or the package `webauthn` is missing. Its calls are refused.",
    ),
    "C112": Code(
        "warning",
        "An alert of `approvals.notify` cannot be sent: its program or the package `apprise` is missing, or "
        "its reference has no value. Calls that wait are seen in `mcpguard approvals` and the console only.",
    ),
    "C113": Code(
        "warning",
        "None of a rule's `approvers` could answer: the user that serves is not among them, and none of them "
        "has a passkey in the configuration.",
    ),
    "C114": Code(
        "warning",
        "Rules split the calls of a server marked `stateful` between credentials: each has a process of its "
        "own, with a state of its own.",
    ),
    "C115": Code(
        "warning",
        "The value of a credential can be guessed (a word, a host, a path, a region, a number or a short "
        "one): it is removed from every result in which it appears, and the gap gives it away.",
    ),
    "C116": Code(
        "warning",
        "What mcpguard itself uses is missing: the key of `audit.key`, a reference in the headers of "
        "`telemetry.sinks`, or the program of `alerts.command`. Requests are served, but evidence is not "
        "signed, nothing is exported to that sink, or nobody is alerted.",
    ),
    "C117": Code(
        "warning", "A credential says that it has expired: its service refuses what the server asks."
    ),
    "C201": Code("error", "The audit folder cannot be used, so nothing would be served."),
    "P001": Code(
        "error",
        "A policy is missing, unreadable or wrong: an unknown key, an unknown name or a syntax error in a "
        "condition, a condition that is not boolean, a key that has no effect.",
    ),
}
"""By code. The lints of policies are `LINTS` in `lints/__init__.py`."""


def wrong(code: str, place: Problem | str, message: str = "") -> Finding:
    """A finding of `CODES`, without an excerpt: lines of a configuration may contain a credential."""
    if isinstance(place, str):
        place = Problem(place, 0, 0, message)
    return at(code, CODES[code], place)


def shown(code: str, problem: Problem) -> Finding:
    """The same for a place in a policy, with an excerpt."""
    return at(code, CODES[code], problem, excerpt=True)


def problems(code: str, error: DocumentError) -> Iterator[Finding]:
    """Each problem of `error`."""
    for problem in error.problems:
        yield shown(code, problem)
