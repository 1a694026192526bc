"""What is written down: one class a kind of record, with the meaning of each field.

A reader takes a field that it does not know for one of a newer mcpguard, and a field that is left out for
its default. How records become lines of a chain is `chain`.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Anchor(Struct, frozen=True):
    """The head of another chain: `file` is a name in the same folder, `head` its last hash."""

    file: Annotated[str, Meta(description="A name in the same folder.")]
    head: Annotated[str, Meta(description="Its last hash at that time.")]


class Opened(Struct, frozen=True, tag_field="kind", tag="opened", omit_defaults=True):
    """The first record of a chain: which process, under which policies."""

    at: Annotated[datetime, Meta(description="When.")]
    version: Annotated[str, Meta(description="The version of mcpguard.")]
    pid: Annotated[int, Meta(description="The process.")]
    principal: Annotated[str, Meta(description="`SOURCE:ID` of who started the process: `os-user:NAME`.")]
    policies: Annotated[tuple[str, ...], Meta(description="Names of the policies in force.")]
    policy_digest: Annotated[str, Meta(description="sha256 (hex) of their content.")]
    agent: Annotated[
        str | None,
        Meta(description="What the launcher's configuration calls the agent: a claim, not verified."),
    ] = None
    continues: Annotated[
        str,
        Meta(
            description="The chain of the same process before this one: calls that were decided there may "
            "have their outcome here."
        ),
    ] = ""
    previous: Annotated[
        Anchor | None, Meta(description="One other chain in its folder; earlier versions wrote this.")
    ] = None
    anchors: Annotated[
        tuple[Anchor, ...],
        Meta(
            description="The heads of the other chains in its folder that no chain held yet (filled in by "
            "the writer)."
        ),
    ] = ()


class ObservedRefusal(Struct, frozen=True, omit_defaults=True):
    """What the policies would have refused, of a server for which they are only observed."""

    cause: Annotated[str, Meta(description="As in `decision`.")]
    rules: Annotated[tuple[str, ...], Meta(description="The rules that would have refused.")] = ()
    message: Annotated[
        str, Meta(description="What the client would have been told, inspected (its first 1,000 characters).")
    ] = ""


class Decided(Struct, frozen=True, tag_field="kind", tag="decision", omit_defaults=True):
    """A verdict, durable before any effect. `args` and `tool_digest` are sha256 in hex.

    `effect` is "allow" or "deny"; only an allow is followed by an `Outcome` with the same `id`.
    `credentials` are the names of the references that the upstream holds, never values.
    """

    at: Annotated[datetime, Meta(description="When.")]
    id: Annotated[str, Meta(description="Of the invocation; refusals quote it.")]
    principal: Annotated[
        str,
        Meta(
            description="`SOURCE:ID` of who asked: as in `opened` on stdio; over HTTP `ISSUER:SUBJECT` of "
            "the token, or `http:anonymous`."
        ),
    ]
    method: Annotated[str, Meta(description="The MCP method.")]
    effect: Annotated[str, Meta(description="`allow` or `deny`.")]
    server: Annotated[str, Meta(description="The upstream.")] = ""
    tool: Annotated[str, Meta(description="The upstream's own name of the tool.")] = ""
    tool_digest: Annotated[
        str, Meta(description="sha256 (hex) of the tool's descriptor as the upstream sent it.")
    ] = ""
    subject: Annotated[
        str,
        Meta(
            description="What it is about if that is not a tool: the name of a prompt, the URI of a resource "
            "(its first 256 characters)."
        ),
    ] = ""
    cause: Annotated[
        str,
        Meta(
            description="Why it was refused: rule, no-rule, arguments, error, approval, pin, limit, "
            "credential, placeholder, unavailable or unknown."
        ),
    ] = ""
    rules: Annotated[tuple[str, ...], Meta(description="The rules that decided, as `POLICY/ID`.")] = ()
    policy_digest: Annotated[str, Meta(description="As in `opened`.")] = ""
    args: Annotated[str, Meta(description="sha256 (hex) of the arguments as compact JSON.")] = ""
    credentials: Annotated[
        tuple[str, ...],
        Meta(
            description="Names of the references that the upstream holds; with the cause `credential`, of "
            "those that the client sent and that are not for this upstream."
        ),
    ] = ()
    agent: Annotated[str | None, Meta(description="As in `opened`: a claim.")] = None
    labels: Annotated[tuple[str, ...], Meta(description="Labels that it added to the session.")] = ()
    facts: Annotated[tuple[str, ...], Meta(description="Facts that it added to the session.")] = ()
    session_labels: Annotated[
        tuple[str, ...], Meta(description="Labels that the session had before, if a rule could read them.")
    ] = ()
    session_facts: Annotated[
        tuple[str, ...], Meta(description="Facts that the session had before, as `session_labels`.")
    ] = ()
    approval: Annotated[
        str,
        Meta(
            description="`TICKET by WHO`: the ticket by which a person approved the call; `, use N` follows "
            "where it was approved for longer."
        ),
    ] = ""
    credential: Annotated[str, Meta(description="The credential that a rule chose.")] = ""
    shadow: Annotated[
        str, Meta(description="What rules in shadow mode would have decided otherwise: `EFFECT RULE ...`.")
    ] = ""
    observed: Annotated[
        ObservedRefusal | None,
        Meta(
            description="What the policies would have refused it with: `cause`, `rules`, `message`. It was "
            "allowed since its server is only observed (`observe` in the configuration)."
        ),
    ] = None


class Outcome(Struct, frozen=True, tag_field="kind", tag="outcome", omit_defaults=True):
    """The outcome of an allowed call, durable before the reply leaves.

    `status`: ok, tool-error, error, withheld, unavailable, cancelled, disconnected, expired, denied or
    abandoned; "input-required" where the call continues with the client's answer, "resumed" for the request
    that brings it, and "asked" for a question that was sent to the client. `result` is the
    sha256 (hex) of the inspected result. `findings` maps "kind path" to nothing but its count.
    `ms` is the time from the decision to here.
    """

    at: Annotated[datetime, Meta(description="When.")]
    id: Annotated[str, Meta(description="Of the invocation.")]
    status: Annotated[str, Meta(description="As listed above.")]
    ms: Annotated[float, Meta(description="Milliseconds from the decision to here.")]
    result: Annotated[str, Meta(description="sha256 (hex) of the inspected result as compact JSON.")] = ""
    findings: Annotated[
        dict[str, int], Meta(description="`KIND PATH` -> how often it was redacted there.")
    ] = {}
    neutralised: Annotated[
        dict[str, int],
        Meta(
            description="`control`, `separator`, `bidirectional`, `tag`, `invisible` or `terminal` -> how "
            "many hidden characters became visible, or sequences of a terminal were dropped."
        ),
    ] = {}
    unredacted: Annotated[
        dict[str, int],
        Meta(description="As `findings`, of what stayed because a rule says so (`unredacted`)."),
    ] = {}
    rules: Annotated[tuple[str, ...], Meta(description="The rules on results that contributed.")] = ()
    labels: Annotated[tuple[str, ...], Meta(description="Labels that the result added to the session.")] = ()
    facts: Annotated[tuple[str, ...], Meta(description="Facts that the result added to the session.")] = ()
    shadow: Annotated[str, Meta(description="As in `decision`, of rules on results.")] = ""
    observed: Annotated[
        ObservedRefusal | None,
        Meta(description="What the policies would have withheld the result with, as in `decision`."),
    ] = None


class Noticed(Struct, frozen=True, tag_field="kind", tag="notice", omit_defaults=True):
    """Something outside a call that an auditor wants to know: a finding in a notification, a refused
    message. `detail` is mcpguard's own text, or inspected."""

    at: Annotated[datetime, Meta(description="When.")]
    what: Annotated[
        str,
        Meta(
            description="message-refused, notification-redacted, notification-neutralised, "
            "notification-withheld, policy-reloaded (`detail` has both digests), policy-refused, "
            "configuration-reloaded (`detail` has the keys that changed), "
            "configuration-refused (`detail` says why nothing of it is in force), "
            "evidence-gap (nothing could be written before; `detail` "
            "says since when, how many requests were refused, and why), "
            "credential-taken-back (`detail` is the credential that a killed process left behind), "
            "label-cleared or session-ended (by a person), approval-asked, approval-given or "
            "approval-refused (`detail` has the ticket and who), "
            "approval-void (the answer could not be stored: somebody else was quicker, say), "
            "approval-ended (by a person), policy-observed (`detail` names the servers for which policies "
            "are only observed, and until when), policy-enforced (that is over), approval-standing or "
            "rules-suggested (rules that a person had written; `detail` has their file's sha256), "
            "list-incomplete (`detail` has the method and the id of the list, and the servers that were too "
            "slow for it)."
        ),
    ]
    server: Annotated[str, Meta(description="The upstream, if it is about one.")] = ""
    detail: Annotated[str, Meta(description="A sentence; mcpguard's own, or inspected.")] = ""
    findings: Annotated[dict[str, int], Meta(description="As in `outcome`.")] = {}
    neutralised: Annotated[dict[str, int], Meta(description="As in `outcome`.")] = {}


class Closed(Struct, frozen=True, tag_field="kind", tag="closed", omit_defaults=True):
    """The last record of a chain whose process ended in order."""

    at: Annotated[datetime, Meta(description="When.")]
    reason: Annotated[
        str,
        Meta(
            description="`client-ended`, the signal that ended it, `failed` if it could not start serving, "
            "or `done` if it served nobody."
        ),
    ]


Record = Opened | Decided | Outcome | Noticed | Closed
