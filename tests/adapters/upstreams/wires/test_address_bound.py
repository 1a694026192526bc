"""What the host of a URL has to be for a credential that is bound to hosts, with the real broker."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.credentials.broker import Broker
from mcpguard.adapters.upstreams.process.child import ChildProcesses
from mcpguard.adapters.upstreams.wires.address import UpstreamAddress
from mcpguard.config.loading import Credential, Server
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.policy.placeholders import placeholders_in
from mcpguard.core.secret import CredentialRef, Secret, parse_template
from mcpguard.gateway.flight import as_future
from mcpguard.serve.wiring import Wiring
from tests.adapters.credentials.fake_credentials import FakeGuard, FakeSource, program
from tests.adapters.upstreams.fake_wire import World, legacy, permit

pytestmark = pytest.mark.anyio

HOST = CredentialRef("env", "HOST")


ENTRY = Credential(
    name="key",
    kind="value",
    made="${env:KEY}",
    servers=frozenset({"s"}),
    hosts=frozenset({"api.example", "192.0.2.7"}),
)


def broker_of(host: str) -> Broker:
    source = FakeSource(KEY="canary-0123456789", HOST=host)
    return Broker({"key": ENTRY}, {"s": frozenset({HOST})}, FakeGuard(), sources={"env": source})


async def headers(host: str, url: str = "https://${env:HOST}/mcp") -> dict[str, str]:
    """What is sent to a server whose host is `host` at the time of the request."""
    broker = broker_of(host)
    own = {"Authorization": parse_template("Bearer ${credential:key}")}
    address = UpstreamAddress(parse_template(url), own, broker, program())
    return (await address.resolve()).headers


@pytest.mark.parametrize(
    "host", ["api.example", "API.Example", "api.example:8443", "192.0.2.7", "[::ffff:192.0.2.7]"]
)
async def test_a_host_that_it_is_bound_to_is_told_at_any_port(host: str) -> None:
    assert await headers(host) == {"Authorization": "Bearer canary-0123456789"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api.example.evil.example",
        "sub.api.example",
        "xapi.example",
        "api.example.",
        "192.0.2.70",
        "192.0.2.007",
        "3221225991",
        "[2001:db8::7]",
    ],
)
async def test_any_other_host_is_told_nothing(host: str) -> None:
    with pytest.raises(CredentialError) as caught:
        await headers(host)
    assert str(caught.value).startswith("credential:key is not bound to the host")
    assert "canary" not in str(caught.value)


async def test_a_url_that_two_readers_could_take_for_two_hosts_is_refused() -> None:
    for host in ("[::ffff:192.0.2.7]x", "[::ffff:192.0.2.7]evil.example:443"):
        with pytest.raises(UpstreamError, match="is not an http:// or https:// URL with a host"):
            await headers(host)


async def test_nor_is_one_that_a_credential_in_the_url_would_lead_to() -> None:
    with pytest.raises(CredentialError, match="not bound to the host"):
        await headers("evil.example", "https://${env:HOST}/${credential:key}")
    with pytest.raises(CredentialError, match="not bound to the host"):
        await headers("x", "https://${credential:key}.example/mcp")


async def placed(host: str, url: str = "https://${env:HOST}:8443/mcp?key=${env:HOST}") -> Secret:
    """What a placeholder in an argument is for a server whose host is `host` at the time of the call."""

    server = Server(name="s", url=parse_template(url))
    lanes = Wiring(
        server=server,
        entries={"key": ENTRY},
        credentials=broker_of(host),
        to=program(),
        terms=World(legacy({})).terms,
        children=ChildProcesses(),
    ).upstream()
    lanes._route = lambda call, _permit: call.set(call.values)  # type: ignore[assignment, arg-type]
    arguments = {"token": "{{secret:key}}"}
    asked = permit(name="t", arguments=arguments)
    wait = lanes.request(structs.replace(asked, placeholders=placeholders_in(arguments)))
    values: Any = await as_future(wait)
    return values[CredentialRef("credential", "key")]


@pytest.mark.parametrize("host", ["api.example", "192.0.2.7"])
async def test_an_argument_is_filled_in_for_a_host_that_it_is_bound_to(host: str) -> None:
    assert (await placed(host)).reveal() == "canary-0123456789"


async def test_an_argument_is_filled_in_for_no_other_host() -> None:
    with pytest.raises(CredentialError, match="not bound to the host"):
        await placed("evil.example")
    with pytest.raises(CredentialError, match="the server that is to have it"):
        await placed("api.example", "https://${env:HOST}:0/mcp")
