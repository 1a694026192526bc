"""A policy as its author writes it (format version 1). `compiled.py` makes rules in force out of it.

Law of this file: it only describes; what a key does is decided in `pdp.py` and `review.py`. A key that would
have no effect is a mistake, since its author believes in it.
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
_AN_AMOUNT = Constraint(
    lambda amount: "" if 0 < amount <= 1 << 53 else "a limit is a whole number above 0",
    minimum=1,
    maximum=1 << 53,
)
_COST = "a cost is a whole number above 0, or an argument: args.NAME"
_A_COST = Constraint(lambda cost: "" if cost > 0 else _COST, minimum=1)


class Limit(Filled):
    """How much a rule allows in a window of time: exactly one of `calls`, `bytes` and `units`.

    It is counted for each principal and agent, whatever connection they use, and never exceeded. A window
    slides, and outlasts the session; it may hold a use back for up to 1/60 of its length more.
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
        description="What a call costs in `units`: a whole number, or an argument that holds one, such as "
        "`args.amount`.",
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
    """How a call is approved that an `ask` rule leaves to a person. Where several rules ask, all of them
    count: the shortest time, the channels that each of them allows, an approver of each."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("channel", "channels"), "write `via`"),
        **dict.fromkeys(("seconds", "timeout_seconds", "wait"), "write `timeout`, such as `timeout: 5m`"),
        "message": "it belongs to the rule, beside `ask`",
    }

    timeout: Annotated[str, _A_TIMEOUT] | None = Field(
        None,
        description="How long the person has to answer, and the approval can be used: a number with `s`, `m` "
        "or `h`. Default: `approvals.ticket_seconds` of the configuration.",
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
        description="Who may approve: principals (`SOURCE:ID`) and groups (`group:NAME`), never who made the "
        "call. Groups are those of the operating system, or of the owner of a passkey, and never of a token. "
        "Default: whoever uses one of the channels.",
    )
    show: Items[str] = Field(
        (),
        description="Names of arguments that are shown first, and that alerts carry. All are shown anyway.",
    )
    same_host: Items[str] = Field(
        (),
        description="Names of arguments with a URL: an approval that lasts is for the same host, scheme "
        "and port, even if any value of the argument is approved.",
    )

    standing: bool = Field(
        False,
        description="Whether rules with `approves` may approve in advance, although `proof` or `approvers` "
        "want more than that.",
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
        description="A JSON Pointer into the result, such as `/content/0/text`; `*` is any one member. What "
        "is below it stays as well."
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
        description="Deny overrides ask overrides allow; where no rule holds, the call is refused."
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
        description="`call`: the request is decided. `result`: what came back is: `deny` withholds it, "
        "`allow` lets it through with what the rule adds (`redact`, `label`, `fact`, `spotlight`); without "
        "any such rule it goes through.",
    )
    mode: terms.Mode = Field(
        "enforce",
        description="`shadow`: the rule changes nothing; the evidence says what it would have done.",
    )
    redact: Items[str] = Field(
        (),
        description="Kinds of personal data to take out of whatever leaves because of a call that this rule "
        "allows: its result, its progress, log messages and questions meanwhile, its task.",
    )
    label: Items[Name] = Field(
        (),
        description="Added to `session.labels` when the rule holds, also when its condition cannot be "
        "evaluated: for what later rules deny.",
    )
    fact: Items[Name] = Field(
        (),
        description="Added to `session.facts` when the rule holds, and only then: for what later rules "
        "allow.",
    )
    limit: Limit | None = Field(None, description="How much the rule allows. Beyond it the call is refused.")
    argument: dict[str, Any] = Field(
        {},
        description="Arguments that the call is made with, whatever the client gave for them. The call is "
        "decided with them in place: the rule has to hold for the call as the client made it, and a `deny` "
        "sees what is sent. A text may hold `{{secret:NAME}}`, which is filled in when the call leaves.",
    )
    credential: str = Field(
        "",
        description="The name of the credential to make this call with, an entry of `credentials` in the "
        "configuration. Its `env` or `headers` take the place of the server's own; if it is unavailable, "
        "the call is refused.",
    )
    placeholders: bool = Field(
        False,
        description="Whether the call may contain `[REDACTED:KIND#N]`, which mcpguard puts where it removed "
        "something, and `[U+200B]`, which it puts in place of a hidden character. Without it such a call is "
        "refused, since a tool would write this text in place of the original.",
    )
    spotlight: bool = Field(
        False,
        description="Whether the texts of the result (and of prompts and resources) stand between markers "
        "with a random delimiter for each call, with one sentence that says that they are data of the server "
        "and no instructions. Structured content has no markers.",
    )
    unredacted: Items[TextOr[str, UnredactedEntry]] = Field(
        (),
        description="Kinds of secrets that stay in the results of the calls that this rule allows, as `KIND` "
        "or `{kind: KIND, path: /content/0/text}`. A value that mcpguard holds is removed all the same. "
        "Records name what stayed.",
    )
    ask: AskEntry | None = Field(None, description="How a person answers. For `effect: ask`.")
    approves: Items[RuleName] = Field(
        (),
        description="Rules with `effect: ask` (`POLICY/ID`) that this rule answers in advance: where it "
        "holds, nobody is asked because of them. For `effect: allow`. A deny refuses all the same, and where "
        "the condition cannot be evaluated, or the policy has ended, a person is asked.",
    )
    message: str = Field(
        "",
        description="What the model is told when this rule refuses, or, for `allow`, when no rule allows a "
        "call that this one would under other circumstances: say what would pass. That a `limit` is reached "
        "is said before it. `{params.NAME}` stands for the value of a param.",
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
    description: str = Field("", description="What it means; `mcpguard check` shows it when it has no value.")
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
        {}, description="Values that conditions read as `params.NAME`, and that whoever uses the policy sets."
    )
    owner: str = Field("", description="Who is responsible for it; for readers only.")
    description: str = Field("", description="What it is for; for readers.")
    mode: terms.Mode = Field(
        "enforce", description="`shadow`: none of its rules changes anything, as with a rule's `mode`."
    )
    expires: Annotated[str, A_DAY] | None = Field(
        None,
        description="The last day on which its `allow` rules allow, limit, set arguments and state facts "
        "(`YYYY-MM-DD`, UTC). What they redact and label is still redacted and labelled where "
        "others allow. The other rules stay in force.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        seen: set[str] = set()
        for index, rule in enumerate(self.rules):
            if rule.id in seen:
                yield ("rules", index, "id"), f"rule `{rule.id}` appears twice in this policy"
            seen.add(rule.id)
