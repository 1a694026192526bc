"""`mcpguard secret check`: whether each reference gives a value, for each server, and for mcpguard itself.
Apart from the other actions, since those need nothing that reads policies.

Law of this file: no value and nothing of one is printed, not even its length; what a source issued for the
check is ended again.
"""

import asyncio
import os
from collections.abc import Callable, Iterator

from pydantic import Field, RootModel

from mcpguard.adapters.credentials import MINTS, SOURCES
from mcpguard.adapters.credentials.broker import Broker, named_by, shown_for
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.system.terminal import broken, plain, style
from mcpguard.adapters.upstreams.wires.address import UNFIT, UpstreamAddress, authority, fits_in_header
from mcpguard.authoring.check.configuration import try_own
from mcpguard.authoring.check.servers import expired
from mcpguard.config.loading import Config, Credential, Server
from mcpguard.config.references import ENTRY
from mcpguard.core.document.printed import Printed
from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Principal
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.ports import Recipient


class Tested(Printed):
    """One reference for one server."""

    reference: str = Field(description="`SOURCE:NAME`.")
    kind: str = Field(description="Its source, or the kind of its entry in `credentials`.")
    server: str = Field(
        description="The server that uses it; the place in the configuration, such as `audit.key`, where "
        "mcpguard itself does."
    )
    ok: bool = Field(description="Whether it has a value.")
    seconds: float | None = Field(
        description="How many seconds its value may be used for; null where the source does not say."
    )
    said: str = Field(description="How long the value lasts and who may receive it, or what failed.")


class TestedList(RootModel[tuple[Tested, ...]]):
    """What `mcpguard secret check --json` prints."""


def check(
    config: Config, complete: Callable[[str], str] = str, redactor: Redactor | None = None
) -> list[Tested]:
    """Every reference of every server that is not disabled, every entry of `credentials` for each of its
    servers, and what mcpguard itself uses. Asks each source, which may ask a person. `complete` as
    `parser.completed_for`; the `redactor` holds the values."""
    redactor = redactor or Redactor(os.urandom(32))

    def clean(text: str) -> str:
        return redactor.inspect_text(complete(text))

    servers = [*config.served.values()]
    redactor.shown = shown_for(servers, config.credentials)
    broker = Broker(config.credentials, named_by(servers, config.credentials), redactor)
    try:
        found = [
            _tested(broker, config, ref, server, clean)
            for server in servers
            for ref in sorted({*server.credentials, *_chosen(config, server)})
        ]
        return found + [_own(place, ref, redactor, clean) for place, ref in config.own_references]
    finally:
        broker.close()


def report(found: list[Tested], as_json: bool) -> str:
    """One line each, or a JSON list."""
    if as_json:
        return TestedList(tuple(found)).model_dump_json(indent=2)

    lines = [
        broken(
            f"{style('ok    ', 'green') if one.ok else style('failed', 'red')}  "
            f"{plain(one.reference)} for {plain(one.server)}: {plain(_apart(one))}",
            indent=8,
        )
        for one in found
    ]
    return "\n".join(lines) or "the configuration has no references"


def _apart(one: Tested) -> str:
    """What is said, without the reference, which stands before it."""
    said = one.said.removeprefix(one.reference)
    return one.said if said == one.said else said.lstrip(": ")


def _chosen(config: Config, server: Server) -> Iterator[CredentialRef]:
    """The entries that a rule can choose for `server`, and what stands beside them."""
    for name, entry in config.credentials.items():
        if server.name in entry.servers:
            yield CredentialRef(ENTRY, name)
            yield from entry.surrounding


def _tested(
    broker: Broker, config: Config, ref: CredentialRef, server: Server, clean: Callable[[str], str]
) -> Tested:
    entry = config.credentials.get(ref.name) if ref.source == ENTRY else None
    kind = ref.source if entry is None else entry.kind
    principal = _principal(entry)
    try:
        to = Recipient(server.name, _host(broker, server, principal), principal)
        secret = broker.get(ref, to)
        over = expired(secret)
        if _is_in_header(ref, entry, server) and not fits_in_header(secret):
            over = UNFIT
    except McpGuardError as problem:
        ok, seconds, said = False, None, str(problem)
    else:
        seconds = broker.remaining(ref, to)
        ok, said = not over, over or _lifetime_text(entry, kind, seconds)
    return Tested(reference=str(ref), kind=kind, server=server.name, ok=ok, seconds=seconds, said=clean(said))


def _is_in_header(ref: CredentialRef, entry: Credential | None, server: Server) -> bool:
    headers = [*server.headers.values(), *(entry.headers.values() if entry is not None else ())]
    return any(ref in template.refs for template in headers)


def _own(
    place: tuple[str | int, ...], ref: CredentialRef, redactor: Redactor, clean: Callable[[str], str]
) -> Tested:
    ok, said = True, f"available ({ref.source})"
    try:
        try_own(place, ref, redactor)
    except McpGuardError as problem:
        ok, said = False, clean(str(problem))
    where = ".".join(map(str, place))
    return Tested(reference=str(ref), kind=ref.source, server=where, ok=ok, seconds=None, said=said)


def _principal(entry: Credential | None) -> Principal:
    """Somebody whose calls may use it: this user, or who stands for one of those that it is bound to."""
    user = operating_system_user()
    if entry is None or not entry.principals or user.id in entry.principals:
        return user
    first = entry.principals[0]
    group = first.removeprefix("group:")
    return Principal(first, "check") if group == first else Principal("", "check", (group,))


def _host(broker: Broker, server: Server, principal: Principal) -> str | None:
    """The host that the server is at, None for a program."""
    if server.url is None:
        return None
    address = UpstreamAddress(authority(server.url), {}, broker, Recipient(server.name, None, principal))
    return asyncio.run(address.host())


def _lifetime_text(entry: Credential | None, kind: str, seconds: float | None) -> str:
    if entry is None:
        keep = SOURCES[kind].keep
    else:
        keep = MINTS[kind].keep if entry.cache_seconds is None else entry.cache_seconds
    if seconds is not None:
        lasts = f"it ends in {seconds:.0f} s"
    else:
        lasts = f"it is cached for {keep:g} s" if keep else "it is read for each use"
    said = f"available ({kind}); {lasts}"
    if entry is not None and entry.hosts:
        said += f"; only {', '.join(sorted(entry.hosts))} may receive it"
    if entry is not None and entry.principals:
        said += f"; only for calls of {', '.join(entry.principals)}"
    return said
