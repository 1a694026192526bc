"""URL and headers of a remote upstream, with the credentials filled in."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.adapters.upstreams.wires.address import UpstreamAddress
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.secret import parse_template
from tests.adapters.credentials.fake_credentials import FakeCredentials, program

pytestmark = pytest.mark.anyio


async def resolve(url: str, headers: dict[str, str] | None = None, **values: str) -> Any:
    return await resolved(url, FakeCredentials(**values), headers)


async def resolved(url: str, credentials: FakeCredentials, headers: dict[str, str] | None = None) -> Any:
    templates = {name: parse_template(text) for name, text in (headers or {}).items()}
    filled = await UpstreamAddress(parse_template(url), templates, credentials, program()).resolve()
    return filled.url, filled.headers


async def test_references_are_filled_in_for_the_host_that_the_url_has() -> None:
    credentials = FakeCredentials(A="a-1", B="b&c=d/e f", HOST="x.example:8443")
    headers = {"Authorization": "Bearer ${env:A}", "X": "plain"}
    url, filled = await resolved("https://${env:HOST}/mcp?key=${env:B}", credentials, headers)
    assert url == "https://x.example:8443/mcp?key=b%26c%3Dd/e%20f"
    assert filled == {"Authorization": "Bearer a-1", "X": "plain"}
    told = [(ref, to.host) for ref, to in credentials.asked]
    assert told == [("env:HOST", ""), ("env:B", "x.example"), ("env:A", "x.example")]


async def test_what_is_asked_for_after_a_host_that_cannot_be_read_is_for_no_host() -> None:
    credentials = FakeCredentials(A="a-1")
    with pytest.raises(UpstreamError):
        await resolved("https://[x/${env:A}", credentials)
    assert [to.host for _ref, to in credentials.asked] == [""]


async def test_without_references_nothing_is_asked_for() -> None:
    assert await resolve("http://127.0.0.1:1/mcp", {"X": "y"}) == ("http://127.0.0.1:1/mcp", {"X": "y"})


@pytest.mark.parametrize("host", ["evil.example/", "evil.example@x", "a b", "", "evil.example#"])
async def test_a_credential_in_the_place_of_a_host_cannot_be_more_than_a_host(host: str) -> None:
    with pytest.raises(CredentialError, match="env:HOST is not a host name"):
        await resolve("https://${env:HOST}.x.example/mcp", HOST=host)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX: y", "a\0b", "a\x7f"])
async def test_a_credential_that_no_header_can_carry_is_named(value: str) -> None:
    with pytest.raises(CredentialError, match="env:A has a character") as raised:
        await resolve("https://x.example/", {"X": "${env:A}"}, A=value)
    assert value not in str(raised.value)


async def test_a_missing_credential_is_named() -> None:
    with pytest.raises(CredentialError, match="env:A is not among"):
        await resolve("https://x.example/${env:A}")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example/",
        "https:///x",
        "https://[::1/",
        "https://[::1]x/",
        "https://a@b/",
        "https://x.example/a b",
        "https://x.example/ä",
    ],
)
async def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(UpstreamError, match="is not an http:// or https:// URL"):
        await resolve(url, HOST="x.example")


@pytest.mark.parametrize("port", ["x", "0", "99999", "${env:PORT}"])
async def test_a_port_out_of_range_is_named(port: str) -> None:
    with pytest.raises(UpstreamError, match="the port of its URL is not from 1 to 65535"):
        await resolve(f"https://x.example:{port}/", PORT="70000")
