"""The schema of `mcpguard.yaml`: what may be written, and what is wrong with it."""

from collections.abc import Collection, Iterator, Mapping
from os.path import normpath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mcpguard.config import terms
from mcpguard.config.credentials import CredentialEntry, binding_mistakes
from mcpguard.config.evidence import AlertsEntry, AuditEntry, TelemetryEntry
from mcpguard.config.references import SOLE_REFERENCE, FilePath, wrong_reference
from mcpguard.config.servers import ClientName, ServerEntry, ServerName, ViewEntry, client_mistakes
from mcpguard.config.urls import UrlName, is_url
from mcpguard.core.document.constraints import Constraint, Mistake, Path, above, between, filled, matching
from mcpguard.core.document.written import (
    CHOICE,
    VERSION_1,
    Filled,
    Items,
    TextOr,
    TextOrList,
    Written,
    whole,
)
from mcpguard.core.policy.terms import Observation, end_of
from mcpguard.core.policy.written import A_DAY

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
_TWICE = "this method is declared for another server too, so a request for it could not be routed"


CredentialName = Annotated[
    str,
    matching(
        "[a-z0-9][a-z0-9_./-]{0,127}",
        "the name of a credential has 1 to 128 of the characters a-z 0-9 _ . / - and starts with a letter "
        "or a digit",
    ),
]
Base64Url = Annotated[
    str, matching("[A-Za-z0-9_-]{8,4096}", "expected base64url without padding, as the console shows it")
]


class PolicyEntry(Filled):
    """A policy file with values for the params that the policy declares."""

    file: FilePath = Field(description="The policy file.")
    params: dict[str, Any] = Field({}, description="A value for each name under `params` of the policy.")


PolicyRef = TextOr[FilePath, PolicyEntry]


_NO_STATE = (
    "expected one reference to a connection URL of PostgreSQL, such as "
    "${file:/run/credentials/mcpguard/state}: such a URL holds a password"
)
StateRef = Annotated[
    str, Constraint(lambda text: wrong_reference(text, _NO_STATE), pattern=f"^{SOLE_REFERENCE}$")
]


class SessionEntry(Written):
    """`session`: what a principal with an agent did so far, for rules with `label`, `fact`, `limit` or
    `session` in their condition. It is kept across connections and processes."""

    idle_seconds: Annotated[float, between(60, 2_592_000, "seconds")] = Field(
        terms.SESSION_IDLE_SECONDS,
        description="A session ends when it has not been used for this long and no connection that used it "
        "is open, since the model may still know what a label stands for. Limits keep counting.",
    )
    path: FilePath | None = Field(
        None,
        description="The folder; created if it is missing, mode 0700. A relative one is relative to this "
        "file. Default: `sessions` in the user's state folder. Nobody who is subject to the rules may be "
        "able to write to it.",
    )
    postgres: StateRef | None = Field(
        None,
        description="A reference to the connection URL of a PostgreSQL database, such as "
        "`${file:/run/credentials/mcpguard/state}`: sessions and approvals are there instead of in the "
        "folder, so that replicas share them. See `mcpguard help deploy`.",
    )


class PasskeyEntry(Written):
    """An entry of `approvals.passkeys`: the passkey of a person who may approve, as the console shows it."""

    person: Annotated[
        str,
        matching(
            r"(?!group:)[^\s:]+:.*\S", "write a person as SOURCE:ID, as in `approvers`, such as os-user:ada"
        ),
    ] = Field(description="Who has it, `SOURCE:ID`; rules name the person under `approvers`.")
    groups: Items[str] = Field((), description="Their groups; `approvers` of rules name one `group:NAME`.")
    id: Base64Url = Field(description="The id of the credential, as base64url.")
    key: Base64Url = Field(description="Its public key (COSE), as base64url.")


_NO_TARGET = (
    "expected `desktop` or one reference to a URL of apprise, such as ${keyring:chat}: such a URL holds a "
    "token, so keep it in a keychain, a file or a variable"
)
NotifyTarget = Annotated[
    str,
    Constraint(
        lambda text: "" if text == terms.DESKTOP else wrong_reference(text, _NO_TARGET),
        pattern=f"^(?:{terms.DESKTOP}|{SOLE_REFERENCE})$",
    ),
]


class NotifyEntry(Written):
    """An entry of `approvals.notify` with more than its target."""

    to: NotifyTarget = Field(
        description="`desktop` (notify-send on Linux, osascript on macOS), or a reference to a URL of "
        "[apprise](https://appriseit.com), such as `${keyring:chat}`."
    )
    arguments: Literal["none", "shown"] = Field(
        "none",
        description="`shown`: an alert carries those arguments that the rules name under `ask.show`, "
        "inspected and shortened. `none`: it carries none.",
    )


class ApprovalsEntry(Written):
    """`approvals`: calls that rules with `effect: ask` leave to a person."""

    wait_seconds: Annotated[float, between(0, 600, "seconds")] = Field(
        terms.APPROVAL_WAIT_SECONDS,
        description="How long such a call waits for the person. After that it is refused with its ticket, "
        "and the same call made again belongs to that ticket.",
    )
    ticket_seconds: Annotated[float, between(60, 86_400, "seconds")] = Field(
        terms.APPROVAL_TICKET_SECONDS,
        description="How long a ticket can be answered, and its approval used.",
    )
    policy: FilePath | None = Field(
        None,
        description="A policy file of your own, relative to this file, to which `mcpguard approve TICKET "
        "--always` writes rules; created when it is first needed. It is in force like those in `policies`, "
        "and need not be listed there.",
    )
    passkeys: Items[PasskeyEntry] = Field(
        (), description="Passkeys of the people who may approve if a rule has `proof: passkey`."
    )

    notify: Items[TextOr[NotifyTarget, NotifyEntry]] = Field(
        (),
        description="Who is notified about waiting calls, once for each ticket: `desktop`, or a reference "
        "to an apprise URL. An alert cannot be answered.",
    )

    @property
    def targets(self) -> tuple[NotifyEntry, ...]:
        return tuple(NotifyEntry(to=one) if isinstance(one, str) else one for one in self.notify)

    def mistakes(self) -> Iterator[Mistake]:
        seen: set[str] = set()
        for index, one in enumerate(self.passkeys):
            if one.id in seen:
                yield ("passkeys", index, "id"), "this passkey is in the list already"
            seen.add(one.id)


_ISSUER_NEEDED = (
    "expected a mapping with `issuer` and `audience`: clients present tokens of an authorization server "
    "(`mcpguard help http`), and one token for all of them is not supported"
)


class TokenEntry(Written):
    """`http.token`: the bearer tokens that clients must present (OAuth 2.1 resource server)."""

    @model_validator(mode="before")
    @classmethod
    def _is_not_a_token(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise PydanticCustomError(CHOICE, "{said}", {"said": _ISSUER_NEEDED})
        return value

    issuer: UrlName = Field(
        description="The authorization server: tokens must have it as `iss`, and it is named in the metadata."
    )
    audience: TextOrList[Annotated[str, filled("must not be empty", minLength=1)]] = Field(
        description="The value that tokens must have in `aud`, or several values of which they must have "
        "one: the authorization server's name for mcpguard. According to RFC 8707 that is the "
        "public URL of the endpoint; some use a name or an id instead."
    )
    resource: UrlName | None = Field(
        None,
        description="The public URL of the endpoint, as the metadata has it (RFC 9728). Default: the first "
        "URL in `audience`.",
    )
    jwks_url: UrlName | None = Field(
        None,
        description="Where its keys are. Default: `jwks_uri` of the issuer's metadata (RFC 8414, OpenID "
        "Discovery).",
    )
    algorithms: Annotated[Items[terms.Algorithm], filled("at least one algorithm is needed", minItems=1)] = (
        Field(("RS256", "ES256"), description="Signature algorithms that are accepted; all are asymmetric.")
    )
    scopes: Items[str] = Field((), description="The scopes that a token must have; all are required.")
    groups_claim: str = Field(
        "groups", description="The claim with the groups, a list of texts: `principal.groups` in conditions."
    )
    claims: Items[str] = Field(
        (),
        description="Claims that conditions can read: `principal.claims`. A client whose token has "
        "different values, or different groups, starts over, so do not list claims that change "
        "with every token.",
    )
    types: Items[Annotated[str, filled("must not be empty", minLength=1)]] = Field(
        (),
        description="Types (`typ`) of tokens that are accepted as they are; `JWT` also stands for no "
        "type. Default: `at+jwt`; and `JWT` where the claims name the client or the scope, and none of them "
        "is one of an ID token, a logout token or a security event.",
    )

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.audience,) if isinstance(self.audience, str) else self.audience

    @property
    def public_url(self) -> str:
        named = (one for one in self.audiences if is_url(one))
        return self.resource or next(named, "")

    def mistakes(self) -> Iterator[Mistake]:
        if not self.audiences:
            yield ("audience",), "at least one audience is needed"
        elif not self.public_url:
            yield (
                ("audience",),
                "no audience is a URL: write the public URL of the endpoint, which clients look for, as "
                "`resource`",
            )


class PerPrincipalEntry(Written):
    """`http.per_principal`: how much one principal may have open, so that the others are served. What exceeds
    it gets status 429."""

    connections: Annotated[int, between(1, 10_000)] | None = Field(
        None,
        description="Connections on which an answer is due, or being read. Default: a quarter of those that "
        "are served.",
    )
    streams: Annotated[int, between(1, 10_000)] | None = Field(
        None,
        description="Of these, streams that stay open (`GET /mcp`, `/sse`, `subscriptions/listen`). Default: "
        "half of `connections`.",
    )
    sessions: Annotated[int, between(1, 10_000)] | None = Field(
        None, description="Sessions. Default: half of `max_sessions`."
    )
    requests: Annotated[int, between(1, 100_000)] = Field(
        256, description="Requests without an answer, in all sessions together."
    )


_ALL_ARE_ONE = (
    "it has an effect only with `token`: without one, all clients are the same principal; take it out, or "
    "set `max_sessions`"
)


class HttpEntry(Written):
    """`http`: what `mcpguard run --http HOST:PORT` needs to know."""

    allowed_hosts: Items[
        Annotated[str, matching(_HOST, "must be a host, or HOST:PORT, without a scheme or a path")]
    ] = Field(
        (),
        description="Values of `Host` that are served besides loopback and the address that it listens on.",
    )
    allowed_origins: Items[
        Annotated[str, matching(f"https?://{_HOST}", "must be an origin, such as https://app.example")]
    ] = Field((), description="Values of `Origin` that are served besides loopback; others are refused.")
    max_sessions: Annotated[int, between(1, 10_000)] = Field(
        100,
        description="How many clients' sessions may be open at once; each has its own upstreams. As "
        "many principals may use revision 2026-07-28 besides.",
    )
    session_idle_seconds: Annotated[float, between(1, 86_400, "seconds")] = Field(
        1800.0,
        description="A session that sends nothing for this long is closed, but not while a call waits for "
        "its client's answer (`limits.think_seconds`).",
    )
    token: TokenEntry | None = Field(None, description="Needed to listen on more than loopback.")
    per_principal: PerPrincipalEntry = Field(
        default_factory=PerPrincipalEntry.model_construct,
        description="With `token`: how much one principal may have open.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.token is None and "per_principal" in self.model_fields_set:
            yield ("per_principal",), _ALL_ARE_ONE


class ObserveEntry(Written):
    """`observe`: servers for which the policies are recorded and not enforced, until a day."""

    until: Annotated[str, A_DAY] = Field(
        description="The last day, `YYYY-MM-DD`, to its end in UTC; at most 31 days ahead, else it has no "
        "effect. Afterwards the policies are enforced, and this can be removed."
    )
    servers: Annotated[Items[str], filled("name at least one server, or take `observe` out", minItems=1)] = (
        Field(
            description="The servers, by their names in `servers`. Calls that the policies would refuse are "
            "recorded and let through."
        )
    )

    def unknown_servers(self, at: Path, servers: Collection[str]) -> Iterator[Mistake]:
        """Names that are not in `servers`; `at` is where this stands."""
        known = ", ".join(servers)
        for index, name in enumerate(self.servers):
            if name not in servers:
                yield (*at, "servers", index), f"there is no server of this name; the known ones are {known}"

    @property
    def observation(self) -> Observation:
        end = end_of(self.until)
        assert end is not None  # noqa: S101 - its schema says that it is a day
        return Observation(frozenset(self.servers), end)


class Limits(Written):
    """`limits`: how large a message may be, and how long a question may stay open, a list wait and a stop
    take."""

    message_bytes: Annotated[int, between(1024, 1 << 30, "bytes")] = Field(
        terms.MESSAGE_BYTES, description="The largest JSON-RPC message in bytes, either way."
    )
    think_seconds: Annotated[float, above(0, 86400, "seconds")] = Field(
        terms.THINK_SECONDS,
        description="How long a call waits for the client's answer, which may come from a person. Then it is "
        "cancelled at the server and recorded as `expired`.",
    )
    list_seconds: Annotated[float, between(0, 600, "seconds")] = Field(
        terms.LIST_SECONDS,
        description="How long the answer to a list (`tools/list` and the others) waits for a server that is "
        "slow to start or to list. What is late follows with `list_changed`, which some clients ignore.",
    )
    drain_seconds: Annotated[float, between(0, 600, "seconds")] = Field(
        terms.DRAIN_SECONDS,
        description="How long calls in flight may take after SIGTERM or SIGINT, while new ones are refused. "
        "Calls that have not finished by then are recorded as `abandoned` and answered with an error. A "
        "second signal ends it at once.",
    )


class ConfigFile(Written):
    """`mcpguard.yaml` as written (format version 1)."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("mcpServers", "mcp_servers", "context_servers", "mcp"), "write `servers`"),
        **dict.fromkeys(("log", "logs", "logging"), "write `audit`"),
        "rules": "rules stand in a policy, a file of its own: name it under `policies`",
    }

    version: Annotated[Literal[1], whole("1", VERSION_1)] = Field(description="The version of this format.")
    servers: Annotated[
        dict[ServerName, ServerEntry], filled("at least one server is needed", minProperties=1)
    ] = Field(description="The upstreams by name; at least one.")
    credentials: dict[CredentialName, CredentialEntry] = Field(
        {}, description="Credentials with a name, a source and a binding: who may use them."
    )
    clients: Annotated[
        dict[ClientName, ViewEntry], filled("name at least one client, or leave it out", minProperties=1)
    ] = Field(
        {},
        description="Who sees which servers: an entry for each client, under the name that `mcpguard run "
        "--agent NAME` gives. Clients without an entry are refused. Without `clients`, every "
        "client sees all servers.",
    )
    agent: str | None = Field(
        None,
        description="A label for the connecting agent, unless `mcpguard run --agent NAME` gives one. It is "
        "recorded as a claim and can be read by conditions; each agent has its own sessions.",
    )
    policies: Items[PolicyRef] = Field(
        (),
        description="Policy files, relative to this file; `{file: …, params: {…}}` where a policy has "
        "params. Without one every call is refused.",
    )
    audit: AuditEntry | None = Field(
        None, description="Default: `flush`, in the `audit` folder of the user's state folder."
    )
    limits: Limits = Field(default_factory=Limits.model_construct, description="Bounds.")
    session: SessionEntry = Field(
        default_factory=SessionEntry.model_construct, description="The state that rules can keep."
    )
    approvals: ApprovalsEntry = Field(
        default_factory=ApprovalsEntry.model_construct, description="Calls that a person has to approve."
    )
    observe: ObserveEntry | None = Field(
        None, description="Servers for which the policies are recorded and not enforced, until a day."
    )
    alerts: AlertsEntry | None = Field(
        None, description="What an operator is alerted to at once. Default: nothing."
    )
    telemetry: TelemetryEntry | None = Field(
        None, description="Evidence in other tools: OpenTelemetry, a SIEM, a file. Default: nowhere."
    )
    http: HttpEntry = Field(
        default_factory=HttpEntry.model_construct, description="For `mcpguard run --http HOST:PORT`."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.servers and all(entry.disabled for entry in self.servers.values()):
            yield ("servers",), "every server is disabled: enable at least one"
        if self.observe is not None:
            yield from self.observe.unknown_servers(("observe",), self.servers)
        yield from self._listed_twice()
        yield from self._ambiguous_methods()
        yield from binding_mistakes(self.credentials, self.servers)
        yield from client_mistakes(self.clients, self.servers)

    def _listed_twice(self) -> Iterator[Mistake]:
        files = [normpath(one if isinstance(one, str) else one.file) for one in self.policies]
        for index, file in enumerate(files):
            if file in files[:index]:
                yield ("policies", index), "this file is in the list already"

    def _ambiguous_methods(self) -> Iterator[Mistake]:
        owner: dict[str, str] = {}
        for name, entry in self.servers.items():
            for extension, methods in entry.extensions.items():
                for index, method in enumerate(methods):
                    if owner.setdefault(method, name) != name and not entry.disabled:
                        yield ("servers", name, "extensions", extension, index), _TWICE
