"""A policy as its author writes it (format version 1). `compiled.py` makes rules in force out of it.

Law of this file: it only describes; `pdp.py` and `review.py` implement what a key does. A key without an
effect is an error, since its author relies on it.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag

from mcpguard.core.document.constraints import Constraint, Mistake, filled, matching
from mcpguard.core.document.written import VERSION_1, Filled, Items, TextOr, TextOrList, by_shape, whole
from mcpguard.core.model import Json
from mcpguard.core.policy import terms
from mcpguard.core.policy.placeholders import problems_in

_UNITS = ("calls", "bytes", "units")
_ARGUMENT = r"args((?:\.[A-Za-z_][A-Za-z0-9_]*)+)"
_A_PATH = "a JSON Pointer, such as `/content/0/text` or `/content/*/text`"
_LETS_NOTHING = "a `deny` rule lets nothing through, so `{key}` has no effect"
_ON_CALL = "`{key}` belongs to a rule on calls: leave out `on: result`"


Name = Annotated[
    str,
    matching(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit",
    ),
]


ParamName = Annotated[
    str,
    matching(
        f"(?!(?:{'|'.join(terms.RESERVED)})$)[A-Za-z_][A-Za-z0-9_]{{0,63}}",
        "the name of a param has 1 to 64 of the characters A-Z a-z 0-9 _, does not start with a digit and is "
        "not a reserved word of CEL",
    ),
]


def _matching_something(key: str) -> Constraint:
    said = f"`{key}` must not be empty: leave it out to match all"
    return Constraint(lambda globs: "" if all(terms.as_tuple(globs) or [""]) else said)


A_DAY = Constraint(lambda day: "" if terms.end_of(day) else "write a day as YYYY-MM-DD", format="date")
_A_TIMEOUT = Constraint(
    lambda time: (
        ""
        if 0 < (terms.window_of(time) or 0) <= terms.MAX_TIMEOUT
        else "a time is a number with s, m or h, at most 24h"
    ),
    pattern=f"^{terms.WINDOW.pattern}$",
)
_A_WINDOW = Constraint(
    lambda per: (
        "a window is `session`, or a number with s, m, h or d, at most 31d"
        if terms.window_of(per) is None
        else ""
    ),
    pattern=f"^(?:session|{terms.WINDOW.pattern})$",
)
_MOST = 1 << 53
_AN_AMOUNT = Constraint(
    lambda amount: "" if 0 < amount <= _MOST else f"a limit is a whole number from 1 to {_MOST}",
    minimum=1,
    maximum=_MOST,
)
_COST = f"a cost is a whole number from 1 to {_MOST}, or an argument: args.NAME"
_A_COST = Constraint(lambda cost: "" if 0 < cost <= _MOST else _COST, minimum=1, maximum=_MOST)


class Limit(Filled):
    """How much a rule allows in a window of time: exactly one of `calls`, `bytes` and `units`.

    It is counted for each principal and agent, across connections, and never exceeded. A window slides, and
    outlasts the session; a use may count for up to 1/60 of the window's length longer.
    """

    per: Annotated[str, _A_WINDOW] = Field(
        description="The window: a number and `s`, `m`, `h` or `d` (at most 31 days), or `session`."
    )
    calls: Annotated[int, _AN_AMOUNT] | None = Field(None, description="How many calls.")
    bytes: Annotated[int, _AN_AMOUNT] | None = Field(
        None,
        description="How many bytes of results. The call that would exceed it is made, and its result is "
        "withheld.",
    )
    units: Annotated[int, _AN_AMOUNT] | None = Field(
        None, description="How many units, each call costing `cost`."
    )
    cost: Annotated[
        Annotated[int, _A_COST, Tag("a whole number")]
        | Annotated[str, matching(_ARGUMENT, _COST), Tag("text")],
        by_shape("a whole number", "text"),
    ] = Field(
        1,
        description="What a call costs in `units`: a whole number, or an argument that contains one, such "
        "as `args.amount`.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if sum(getattr(self, unit) is not None for unit in _UNITS) != 1:
            yield (), "a limit has exactly one of `calls`, `bytes` and `units`"
        if self.cost != 1 and self.units is None:
            yield ("cost",), "`cost` belongs to a limit of `units`"


Approver = Annotated[
    str,
    matching(
        r"(?:group:.+|(?!group:)[^\s:]+:.*\S)",
        "write an approver as SOURCE:ID, such as os-user:ada, or group:NAME",
    ),
]


RuleName = Annotated[
    str,
    matching("[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "name a rule as POLICY/ID"),
]


class AskEntry(Filled):
    """How a person approves a call that an `ask` rule matches. If several rules ask, all of them apply: the
    shortest time, the channels that all of them allow, an approver of each."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("channel", "channels"), "write `via`"),
        **dict.fromkeys(("seconds", "timeout_seconds", "wait"), "write `timeout`, such as `timeout: 5m`"),
        "message": "it belongs to the rule, beside `ask`",
    }

    timeout: Annotated[str, _A_TIMEOUT] | None = Field(
        None,
        description="How long the person has to answer, and how long the approval can be used: a number "
        "with `s`, `m` or `h`. Default: `approvals.ticket_seconds` of the configuration.",
    )
    via: Annotated[
        TextOrList[terms.Channel], Constraint(lambda via: "" if via else "name at least one channel")
    ] = Field(
        ("console", "terminal"),
        description="The channels that may answer: `console`, `terminal`, and `client`: the client asks its "
        "user (elicitation), and may answer in the user's place.",
    )
    proof: Literal["passkey"] | None = Field(
        None,
        description="`passkey`: each approval needs the passkey of an approver (WebAuthn with user "
        "verification, on the console).",
    )
    approvers: Items[Approver] = Field(
        (),
        description="Who may approve: principals (`SOURCE:ID`) and groups (`group:NAME`), never the one "
        "who made the call. Groups are those of the operating system, or of the owner of a "
        "passkey, never of a token. Default: anyone who can use one of the channels.",
    )
    show: Items[str] = Field(
        (),
        description="Names of arguments that are shown first, and that alerts contain. All arguments are "
        "shown.",
    )
    same_host: Items[str] = Field(
        (),
        description="Names of arguments with a URL: a lasting approval is for the same host, scheme and "
        "port, even if any value of the argument is approved.",
    )

    standing: bool = Field(
        False,
        description="Whether rules with `approves` may approve in advance, although `proof` or `approvers` "
        "require more.",
    )

    @property
    def channels(self) -> tuple[terms.Channel, ...]:
        return (self.via,) if isinstance(self.via, str) else self.via

    def mistakes(self) -> Iterator[Mistake]:
        if self.proof and self.channels != ("console",):
            yield ("proof",), "a passkey is asked for on the console: write `via: console` as well"
        if self.standing and not (self.proof or self.approvers):
            yield ("standing",), "it has neither `proof` nor `approvers`, so any rule may approve in advance"
        if self.approvers and "client" in self.channels:
            yield ("approvers",), "a client answers for whoever made the call, who cannot be the approver"


_OF_CALLS = ("limit", "argument", "credential", "placeholders", "unredacted")


class UnredactedEntry(Filled):
    """A format that stays in results, at one place."""

    kind: str = Field(description="The kind of the format, as placeholders and records call it.")
    path: Annotated[str, matching(r"(/[^/ ]+)+", _A_PATH)] = Field(
        description="A JSON Pointer into the result, such as `/content/0/text`; `*` is any one member. "
        "Everything below it stays as well."
    )


class Rule(Filled):
    """One rule as written. `server` and `tools` are globs (`*`, `?`, `[seq]`; case counts), left out
    they match all; `tools` are the upstream's own names; `redact` are kinds of detectors."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("condition", "conditions", "if", "expr", "expression"), "write `when`"),
        **dict.fromkeys(("decision", "verdict", "permission"), "write `effect`"),
        **dict.fromkeys(("method", "methods"), "write `action`"),
        **dict.fromkeys(("principal", "principals", "user", "users"), "write `when: principal.id == …`"),
        **dict.fromkeys(("agent", "agents", "client", "clients"), "write `when: client.agent == …`"),
        **dict.fromkeys(("description", "reason"), "write `message`, which the model is told, or a comment"),
        **dict.fromkeys(("enabled", "disabled"), "take the rule out, or write `mode: shadow`"),
        "expires": "it belongs to the policy, beside `rules`",
        "name": "write `id`",
        "rate_limit": "write `limit`, such as `limit: {calls: 10, per: 1h}`",
    }

    id: Name = Field(description="Its name, unique in the policy; records and refusals call it `POLICY/ID`.")
    effect: terms.Effect = Field(
        description="Deny overrides ask overrides allow; if no rule matches, the call is refused."
    )
    server: Annotated[TextOrList[str], _matching_something("server")] = Field(
        "*", description="Globs of server names."
    )
    tools: Annotated[Items[str], _matching_something("tools")] | None = Field(
        None, description="Globs of tool names, as the upstream itself calls them."
    )
    action: Annotated[Items[Literal[terms.Action, "*"]], _matching_something("action")] = Field(
        ("tools/call",),
        description="The methods that the rule applies to; `*` is all of them, `extension` those that a "
        "server's configuration declares.",
    )
    when: str | None = Field(
        None, description="A CEL condition, which must be a boolean. Left out: the rule always holds."
    )
    on: terms.Moment = Field(
        "call",
        description="`call`: the rule decides the request. `result`: it decides the result: `deny` "
        "withholds it, `allow` lets it through with what the rule adds (`redact`, `label`, "
        "`fact`, `spotlight`); without such a rule the result passes.",
    )
    mode: terms.Mode = Field(
        "enforce",
        description="`shadow`: the rule changes nothing; the evidence says what it would have done.",
    )
    redact: Items[str] = Field(
        (),
        description="Kinds of personal data to remove from everything that the client gets because of a "
        "call that this rule allows: its result, its progress, log messages and questions "
        "during the call, its task.",
    )
    label: Items[Name] = Field(
        (),
        description="Added to `session.labels` when the rule matches, or its condition cannot be "
        "evaluated. Later rules can deny because of it.",
    )
    fact: Items[Name] = Field(
        (),
        description="Added to `session.facts` only when the rule matches. Later rules can allow because of "
        "it.",
    )
    limit: Limit | None = Field(None, description="How much the rule allows. Calls beyond it are refused.")
    argument: dict[str, Any] = Field(
        {},
        description="Arguments that the call is made with, overriding the client's values. The rule has to "
        "match the call as the client made it, and a `deny` sees what is sent. A text may "
        "contain `{{secret:NAME}}`, which is filled in when the call is sent.",
    )
    credential: str = Field(
        "",
        description="The name of the credential to make this call with, an entry of `credentials` in the "
        "configuration. Its `env` or `headers` override the server's own; if it is unavailable, the call "
        "is refused.",
    )
    placeholders: bool = Field(
        False,
        description="Whether the call may contain `[REDACTED:KIND#N]`, which mcpguard writes where it "
        "removed something, or `[U+200B]`, which it writes for a hidden character. Without it "
        "such a call is refused, since a tool would overwrite the original with this text.",
    )
    spotlight: bool = Field(
        False,
        description="Whether the texts of the result (and of prompts and resources) are put between "
        "markers with a random delimiter for each call, which say that the text is data from "
        "the server and not an instruction. Structured content has no markers.",
    )
    unredacted: Items[TextOr[str, UnredactedEntry]] = Field(
        (),
        description="Kinds of secrets that are not removed from the results of the calls that this rule "
        "allows, as `KIND` or `{kind: KIND, path: /content/0/text}`. Values that mcpguard "
        "holds are still removed. Records name what stayed.",
    )
    ask: AskEntry | None = Field(None, description="How a person answers; for `effect: ask`.")
    approves: Items[RuleName] = Field(
        (),
        description="Rules with `effect: ask` (`POLICY/ID`) that this rule answers in advance: if it "
        "matches, nobody is asked because of them. For `effect: allow`. A deny still refuses, "
        "and if the condition cannot be evaluated, or the policy has expired, a person is "
        "asked.",
    )
    message: str = Field(
        "",
        description="The text for the model when this rule refuses, or, for `allow`, when no rule allows a "
        "call that this rule would allow in other circumstances: say what would pass. If a "
        "`limit` is reached, that is said first. `{params.NAME}` is replaced by the value of a "
        "param.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.tools is not None and not {"tools/call", terms.ANY_ACTION} & set(self.action):
            yield ("tools",), "`tools` can match only the action tools/call"
        yield from self._misplaced()
        if self.credential and set(self.action) <= terms.ASKED:
            yield ("credential",), "the client answers this, so there is no server to use a credential with"
        if self.on == "result":
            yield from self._result_mistakes()
        elif self.argument and set(self.action) != {"tools/call"}:
            yield ("argument",), "`argument` goes with the action tools/call alone"
        for place, said in problems_in(self.argument):
            yield ("argument", *place), said

    def _misplaced(self) -> Iterator[Mistake]:
        for key in terms.OBLIGATIONS:
            if getattr(self, key) and self.effect == "deny":
                yield (key,), _LETS_NOTHING.format(key=key)
            elif getattr(self, key) and self.on == "result" and key in _OF_CALLS:
                yield (key,), _ON_CALL.format(key=key)
        if self.unredacted and self.effect == "ask":
            yield ("unredacted",), "`unredacted` belongs to a rule with `effect: allow`"
        if self.ask is not None and self.effect != "ask":
            yield ("ask",), "`ask` belongs to a rule with `effect: ask`"
        if self.approves and (self.effect != "allow" or self.on != "call"):
            yield ("approves",), "`approves` belongs to a rule on calls with `effect: allow`"

    def _result_mistakes(self) -> Iterator[Mistake]:
        if self.effect == "ask":
            yield ("effect",), "nobody is asked about a result: it is allowed or denied"
        if self.effect == "allow" and not (self.redact or self.label or self.fact or self.spotlight):
            said = "`redact`, `label`, `fact` or `spotlight`"
            yield (), f"an `allow` rule on results changes nothing without {said}"
        for index, action in enumerate(self.action):
            if action in terms.ASKED:
                yield ("action", index), "the client answers this, so there is no result of a server"


class Param(Filled):
    """A value that conditions read as `params.NAME`, and that whoever uses the policy sets in the
    configuration. Without a value, whatever depends on it is refused."""

    type: terms.ParamType = Field(
        description="`string`, `strings` (a list of texts), `folders` (a list of absolute folders), "
        "`integer`, `boolean`, or `map` (names with lists of texts)."
    )
    description: str = Field(
        "", description="What it means; `mcpguard check` shows it if the param has no value."
    )
    default: Any = Field(None, description="Its value if the configuration does not set it.")

    @property
    def is_set(self) -> bool:
        return self.default is not None

    def misfit(self, value: Json) -> str:
        """Why `value` cannot be its value, "" where it can."""
        return terms.misfit(self.type, value)

    def mistakes(self) -> Iterator[Mistake]:
        if self.is_set and (said := self.misfit(self.default)):
            yield ("default",), said


class Policy(Filled):
    """One policy file as written (format version 1)."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("default", "default_effect"), "what no rule allows is refused: leave it out"),
        **dict.fromkeys(("id", "name"), "write `policy`"),
    }

    version: Annotated[Literal[1], whole("1", VERSION_1)] = Field(description="The version of this format.")
    policy: Name = Field(description="Its name, unique among the policies of a configuration.")
    rules: Annotated[Items[Rule], filled("a policy needs at least one rule", minItems=1)] = Field(
        description="At least one."
    )
    params: dict[ParamName, Param] = Field(
        {}, description="Values that conditions read as `params.NAME`, set by the user of the policy."
    )
    owner: str = Field("", description="Who is responsible for it; informational.")
    description: str = Field("", description="What it is for; informational.")
    mode: terms.Mode = Field(
        "enforce", description="`shadow`: none of its rules changes anything, as with a rule's `mode`."
    )
    expires: Annotated[str, A_DAY] | None = Field(
        None,
        description="The last day on which its `allow` rules allow, limit, set arguments and state facts "
        "(`YYYY-MM-DD`, UTC). If other rules allow a call, these rules still redact and label. "
        "The other rules stay in force.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        seen: set[str] = set()
        for index, rule in enumerate(self.rules):
            if rule.id in seen:
                yield ("rules", index, "id"), f"rule `{rule.id}` appears twice in this policy"
            seen.add(rule.id)
