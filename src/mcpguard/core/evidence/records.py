"""What is written down: one class a kind of record, with the meaning of each field.

A reader takes a field that it does not know for one of a newer mcpguard, and a field that is left out for
its default. How records become lines of a chain is `chain`. Decisions and outcomes are not looked at by the
cycle collector (`gc=False`): what they hold is made of JSON, and never refers back to them.
"""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

FORMAT = 2
"""Of the records. A higher one adds fields and kinds; it changes the meaning of none."""
KIND_USED = {"prompts/get": "prompt", "resources/read": "resource", "resources/subscribe": "resource"}
"""The kind of what a record of this method is about, where that is no tool."""

UNDECIDED = frozenset({"cancelled", "disconnected", "abandoned"})
"""Causes of a request that ended before it was decided: its client took it back or is gone, or mcpguard
stopped."""
MOST_ARGUMENTS = 16 * 1024
"""Bytes of arguments as compact JSON above which only their digest is recorded."""
MOST_MESSAGE = 1_000
"""Characters of a message that are recorded."""


class Anchor(Struct, frozen=True):
    """The head of another chain: `file` is a name in the same folder, `head` its last hash."""

    file: Annotated[str, Meta(description="A name in the same folder.")]
    head: Annotated[str, Meta(description="Its last hash at that time.")]


class Opened(Struct, frozen=True, tag_field="kind", tag="opened", omit_defaults=True):
    """The first record of a chain: which process, under which policies."""

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    version: Annotated[str, Meta(description="The version of mcpguard.")]
    pid: Annotated[int, Meta(description="The process.")]
    principal: Annotated[str, Meta(description="`SOURCE:ID` of whoever started the process: `os-user:NAME`.")]
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
    format: Annotated[
        int, Meta(description="Of the records that follow: 2. Format 1 has fewer fields and is not said.")
    ] = 1
    host: Annotated[str, Meta(description="The name of the machine.")] = ""
    engine: Annotated[
        dict[str, str], Meta(description="`PACKAGE` -> the version of each engine that evaluates conditions.")
    ] = {}
    key: Annotated[str, Meta(description="The id of the key that signs checkpoints.")] = ""


class ObservedRefusal(Struct, frozen=True, omit_defaults=True):
    """What the policies would have refused, of a server for which they are only observed."""

    cause: Annotated[str, Meta(description="As in `decision`.")]
    rules: Annotated[tuple[str, ...], Meta(description="The rules that would have refused.")] = ()
    message: Annotated[
        str, Meta(description="What the client would have been told, inspected (its first 1,000 characters).")
    ] = ""


class Decided(Struct, frozen=True, tag_field="kind", tag="decision", omit_defaults=True, gc=False):
    """A verdict, durable before any effect. `args` and `tool_digest` are sha256 in hex.

    `effect` is `allow`, `deny` or `ask`. Only an `allow` is followed by an `outcome` with the same `id`. An
    `ask` says that the call waits for a person; a second `decision` with the same `id` says how that ended,
    except where the client was asked in the answer to its request. `credentials` are the names of the
    references that the upstream holds, never values.

    Verified are `principal`, `human` and `actor`; `agent`, `client`, `request` and `trace` are claims.
    """

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    id: Annotated[str, Meta(description="Of the invocation; refusals quote it.")]
    principal: Annotated[
        str,
        Meta(
            description="`SOURCE:ID` of whoever asked: as in `opened` on stdio; over HTTP `ISSUER:SUBJECT` "
            "of the token, or `http:anonymous`."
        ),
    ]
    method: Annotated[str, Meta(description="The MCP method.")]
    effect: Annotated[str, Meta(description="`allow`, `deny` or `ask`.")]
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
            "credential, placeholder, unavailable, unknown; or, where it ended before a decision, cancelled "
            "(by the client), disconnected (the client) or abandoned (mcpguard or the session ended)."
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
    client: Annotated[
        str, Meta(description="`NAME/VERSION` as the client calls itself: a claim, inspected.")
    ] = ""
    request: Annotated[
        str, Meta(description="The JSON-RPC id of the client's request, as text: a claim, inspected.")
    ] = ""
    trace: Annotated[
        str,
        Meta(
            description="The W3C `traceparent` of the client's request. The upstream gets one of the same "
            "trace, whose parent id is the first 8 bytes of the sha256 of `id`."
        ),
    ] = ""
    session: Annotated[str, Meta(description="The name of the session: `mcpguard session show NAME`.")] = ""
    human: Annotated[
        str,
        Meta(
            description="`ISSUER:SUBJECT` of the person for whom an agent acts, where a verified token names "
            "both (RFC 8693: `sub`, and `act`)."
        ),
    ] = ""
    actor: Annotated[
        str, Meta(description="The agent that acts for `human`: the `sub` in `act` of the verified token.")
    ] = ""
    arguments: Annotated[
        dict[str, Any] | None,
        Meta(description="The arguments, redacted as results are; `args` is their digest before that."),
    ] = None
    arguments_omitted: Annotated[
        str,
        Meta(
            description="Why `arguments` is left out: `setting` (`audit.arguments` is `digest`), `size` "
            "(more than 16 KiB of JSON), `rate` (the session has more of them than `audit.bounds` lets on "
            "record) or `inspection` (they cannot be inspected, or not at once)."
        ),
    ] = ""
    arguments_bytes: Annotated[
        int, Meta(description="Where `arguments` is left out: their bytes as compact JSON.")
    ] = 0
    arguments_neutralised: Annotated[
        dict[str, int], Meta(description="As `neutralised` of an outcome, of what stands in `arguments`.")
    ] = {}
    message: Annotated[
        str,
        Meta(
            description="Why it was refused, in a sentence for the client, inspected (its first 1,000 "
            "characters)."
        ),
    ] = ""
    redact: Annotated[
        tuple[str, ...],
        Meta(description="Detectors that rules add for the result, and exceptions, as a policy writes them."),
    ] = ()
    limits: Annotated[
        dict[str, int],
        Meta(
            description="The key of each limit that it counts against -> how much of it it uses up; bytes "
            "are counted when the result is there."
        ),
    ] = {}
    ticket: Annotated[str, Meta(description="The ticket by which a person is, or was, asked.")] = ""
    label_causes: Annotated[
        dict[str, str],
        Meta(
            description="A label of `session_labels` -> the id of the call that brought it, as far as known."
        ),
    ] = {}
    credential_kinds: Annotated[
        dict[str, str],
        Meta(
            description="The name of each of `credentials` that is an entry of the configuration -> its "
            "kind. The others name their source."
        ),
    ] = {}


class Steps(Struct, frozen=True, gc=False, omit_defaults=True):
    """How long the steps of a call took, in milliseconds; one that did not take place is left out."""

    decide: Annotated[
        float, Meta(description="From the request to the verdict, without waiting for a person.")
    ] = 0.0
    wait: Annotated[float, Meta(description="For a person who approves.")] = 0.0
    record: Annotated[float, Meta(description="Until the decision was durable.")] = 0.0
    inject: Annotated[
        float, Meta(description="Until the request was sent: starting the upstream, fetching credentials.")
    ] = 0.0
    call: Annotated[
        float,
        Meta(description="Until the answer came; with `inject` where it is not known when it was sent."),
    ] = 0.0
    inspect: Annotated[float, Meta(description="Until the result was inspected and reviewed.")] = 0.0


class Outcome(Struct, frozen=True, tag_field="kind", tag="outcome", omit_defaults=True, gc=False):
    """The outcome of an allowed call, durable before the reply leaves.

    `status`: ok, tool-error, error, withheld, unavailable, cancelled, disconnected, expired, denied or
    abandoned; "input-required" where the call continues with the client's answer, "resumed" for the request
    that brings it, and "asked" for a question that was sent to the client. `result` is the
    sha256 (hex) of the inspected result. `findings` maps "kind path" to nothing but its count.
    `ms` is the time from the decision to here.
    """

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    id: Annotated[str, Meta(description="Of the invocation.")]
    status: Annotated[str, Meta(description="As listed above.")]
    ms: Annotated[float, Meta(description="Milliseconds from the decision to here.")]
    result: Annotated[str, Meta(description="sha256 (hex) of the inspected result as compact JSON.")] = ""
    findings: Annotated[
        dict[str, int],
        Meta(
            description="`KIND PATH` -> how often it was redacted there; `KIND *` where there are more "
            "places than fit into 16 KiB."
        ),
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
    steps: Annotated[Steps | None, Meta(description="How long each step took.")] = None
    sent: Annotated[
        int, Meta(description="Bytes of the request to the upstream, with what was injected into its body.")
    ] = 0
    received: Annotated[int, Meta(description="Bytes of the upstream's answer.")] = 0
    error: Annotated[
        str,
        Meta(
            description="What went wrong: the message of the upstream's error, or mcpguard's own sentence, "
            "inspected (its first 1,000 characters)."
        ),
    ] = ""
    message: Annotated[
        str, Meta(description="Why the result was withheld, in a sentence for the client, as in `decision`.")
    ] = ""


class FoldedRecords(Struct, frozen=True, omit_defaults=True):
    """Records that were not written individually, since there were too many of them: refused requests,
    requests for lists, and notices of what was refused or redacted outside of one. Each is in the digest, in
    the order of time; the outcome of a list is not."""

    count: Annotated[int, Meta(description="How many.")]
    since: Annotated[datetime, Meta(description="When the first was.", tz=True)]
    until: Annotated[datetime, Meta(description="When the last was.", tz=True)]
    first: Annotated[str, Meta(description="The `id` of the first; a notice has none.")] = ""
    last: Annotated[str, Meta(description="The `id` of the last.")] = ""
    digest: Annotated[
        str,
        Meta(
            description="sha256 (hex) of all of them, each as its `id`, a space, its `args` and one LF; both "
            "are empty where a record has none."
        ),
    ] = ""
    kinds: Annotated[
        dict[str, int],
        Meta(
            description="What they were (method, server, tool and rule or cause; of a notice what it says) "
            "-> how many; beyond 20 kinds `others`."
        ),
    ] = {}


class Noticed(Struct, frozen=True, tag_field="kind", tag="notice", omit_defaults=True):
    """Something outside a call that an auditor wants to know: a finding in a notification, a refused
    message. `detail` is mcpguard's own text, or inspected."""

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    what: Annotated[
        str,
        Meta(
            description="started (`detail` is where clients come in), stopping (`detail` is why), "
            "upstream-started, upstream-ended (`detail` says why), pin-changed (a tool or a prompt has "
            "a different definition than before; `detail` has both digests), credential-rotated (`detail` is "
            "its name), credentials-read (`detail` names those that are about to be read so that they are "
            "recognised in answers), credentials-recognised (`detail` names those that are held, those that "
            "are once a server needs them, and those that could not be read, with why), "
            "message-refused, notification-redacted, "
            "notification-neutralised, notification-withheld, policy-reloaded (`detail` has both digests), "
            "policy-refused, telemetry-blocked (every request is refused since `detail`, a sink, takes "
            "nothing), telemetry-resumed (that has ended), "
            "configuration-reloaded (`detail` has the keys that changed), "
            "configuration-refused (`detail` says why nothing of it is in force), "
            "evidence-gap (nothing could be written before; `detail` "
            "says since when, how many requests were refused, and why), "
            "credential-taken-back (`detail` is the credential that a killed process left behind), "
            "label-cleared, limit-cleared or session-ended (by a person), approval-asked, approval-given or "
            "approval-refused (`detail` has the ticket and who), "
            "approval-elicited (the client was asked), "
            "approval-void (the answer could not be stored: somebody else was quicker, say), "
            "approval-ended or refusal-ended (by a person), change-void (what a person cleared or "
            "ended could not be stored, so nothing was changed: `detail` has the sentence of that "
            "notice, and why), policy-observed (`detail` names the servers for which policies are only "
            "observed, and until when), policy-enforced (that has ended), state-replaced (the file with "
            "sessions was removed or replaced: `detail` has its path), "
            "clock-set (`detail` says by how much), approval-standing or "
            "rules-suggested (rules that a person had written; `detail` has their file's sha256), "
            "list-incomplete (`detail` has the method and the id of the list, and the servers that were too "
            "slow for it), refusals-folded (more was refused than is recorded individually: `folded` "
            "stands for it), lists-folded (the same for requests that mcpguard answers without a rule: "
            "lists, `subscriptions/listen` and `logging/setLevel`)."
        ),
    ]
    server: Annotated[str, Meta(description="The upstream, if it is about one.")] = ""
    detail: Annotated[str, Meta(description="A sentence; mcpguard's own, or inspected.")] = ""
    findings: Annotated[dict[str, int], Meta(description="As in `outcome`.")] = {}
    neutralised: Annotated[dict[str, int], Meta(description="As in `outcome`.")] = {}
    id: Annotated[str, Meta(description="Of the invocation that it is about.")] = ""
    principal: Annotated[str, Meta(description="As in `decision`, if it is about one client.")] = ""
    session: Annotated[str, Meta(description="As in `decision`.")] = ""
    ticket: Annotated[str, Meta(description="As in `decision`.")] = ""
    folded: Annotated[FoldedRecords | None, Meta(description="What was recorded together.")] = None

    @property
    def refusals(self) -> FoldedRecords | None:
        """Those that were only counted; None for requests for lists, which were allowed."""
        return self.folded if self.what == "refusals-folded" else None


class Checkpoint(Struct, frozen=True, tag_field="kind", tag="checkpoint", omit_defaults=True):
    """Where the chains stand, now and then: the heads of others, and a signature of all records before."""

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    heads: Annotated[
        tuple[Anchor, ...],
        Meta(description="The heads of other chains in its folder that this chain did not hold yet."),
    ] = ()
    removed: Annotated[
        int, Meta(description="How many chains were removed since they were older than they have to be kept.")
    ] = 0
    removed_until: Annotated[str, Meta(description="The last of them: none before it is kept either.")] = ""
    key: Annotated[
        str, Meta(description="The id of the key that signs, as `mcpguard audit key` prints it.")
    ] = ""
    signature: Annotated[
        str, Meta(description="Ed25519, in hex, of all records before; over what exactly is said above.")
    ] = ""


class Closed(Struct, frozen=True, tag_field="kind", tag="closed", omit_defaults=True):
    """The last record of a chain whose process ended properly."""

    at: Annotated[datetime, Meta(description="When.", tz=True)]
    reason: Annotated[
        str,
        Meta(
            description="`client-ended`, the signal that ended it, `failed` if it could not start serving, "
            "or `done` if it served nobody; `rotated` or `evidence-gap` if the process went on in another "
            "chain."
        ),
    ]


HANDED_ON = frozenset({"rotated", "evidence-gap"})
"""Reasons for which a chain ends and its calls go on in the next one of its process."""

Record = Opened | Decided | Outcome | Noticed | Checkpoint | Closed
