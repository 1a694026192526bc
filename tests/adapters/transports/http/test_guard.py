"""Who may talk to the front: addresses, Host, Origin, Accept."""

from __future__ import annotations

import pytest

from mcpguard.adapters.transports.http.guard import FrontGuard, accepts, refuse_address, split_address
from mcpguard.adapters.transports.http.request import HttpRefusal
from tests.rows import each


@each("address", ["127.0.0.1:8080", "127.0.0.2:0", "localhost:80", "LOCALHOST:80", "[::1]:65535"])
def test_loopback_is_served_without_a_token(address: str) -> None:
    assert refuse_address(address) == ""


@each("address", ["0.0.0.0:80", "[::]:80", "192.168.0.1:80", "guard.example:80", "127.0.0.1.evil.example:80"])
def test_any_other_address_needs_a_token(address: str) -> None:
    assert "http.token" in refuse_address(address)
    assert refuse_address(address, token=True) == ""


@each("address", ["", "127.0.0.1", ":80", "::1:80", "a:b", "[::1]"])
def test_what_is_no_address_is_refused_with_an_example(address: str) -> None:
    assert "HOST:PORT" in refuse_address(address, token=True)


@pytest.mark.parametrize("address", ["127.0.0.1:65536", "127.0.0.1:99999", "[::1]:100000"])
def test_a_port_that_does_not_exist_is_said_to_be_too_high(address: str) -> None:
    assert refuse_address(address) == "the port to listen on must be at most 65535"


def test_an_address_is_split_into_host_and_port() -> None:
    assert split_address("127.0.0.1:0") == ("127.0.0.1", 0)
    assert split_address("[::1]:8080") == ("::1", 8080)


def refused(guard: FrontGuard, **headers: str) -> bool:
    try:
        guard.admit(headers.get("host", ""), headers.get("origin"))
    except HttpRefusal as refusal:
        return refusal.status == 403
    return False


@each(
    "host",
    ["localhost", "LocalHost:1234", "127.0.0.1:80", "[::1]:80", "[::1]", "10.1.2.3:80", "guard.example",
     "Guard.Example:443", "only.example:8443"],
)  # fmt: skip
def test_a_host_of_ours_is_served(host: str) -> None:
    assert not refused(FrontGuard("10.1.2.3", ("guard.example", "only.example:8443"), ()), host=host)


@each(
    "host",
    ["", "evil.example", "localhost.evil.example", "only.example", "only.example:1", "127.0.0.1@evil.example",
     "localhost:80:80", "[::2]", "localhost/", "0.0.0.0", "0.0.0.0:80", "\xe9"],
)  # fmt: skip
def test_another_host_is_refused(host: str) -> None:
    assert refused(FrontGuard("0.0.0.0", ("only.example:8443",), ()), host=host)


@pytest.mark.parametrize(
    "origin", ["http://localhost", "https://127.0.0.1:6274", "http://[::1]:1", "app://x"]
)
def test_an_origin_of_ours_is_served(origin: str) -> None:
    assert not refused(FrontGuard("127.0.0.1", (), ("app://x",)), host="localhost", origin=origin)


@each(
    "origin",
    ["", "null", "http://evil.example", "http://localhost.evil.example", "http://user@localhost", "ftp://localhost",
     "http://localhost/", "http://localhost:x", "http://[::1", "HTTPS://APP.EXAMPLE", "https://app.example:8443"],
)  # fmt: skip
def test_another_origin_is_refused(origin: str) -> None:
    assert refused(FrontGuard("127.0.0.1", (), ("https://app.example",)), host="localhost", origin=origin)


@each(
    ("accept", "needed", "taken"),
    [
        ("*/*", ("application/json", "text/event-stream"), True),
        ("application/*, text/*;q=0.1", ("application/json", "text/event-stream"), True),
        (
            "APPLICATION/JSON; charset=utf-8, text/event-stream",
            ("application/json", "text/event-stream"),
            True,
        ),
        ("application/json", ("application/json", "text/event-stream"), False),
        ("", ("text/event-stream",), False),
        ("text/event-stream;q=0.0", ("text/event-stream",), False),
        ("application/jsonp", ("application/json",), False),
    ],
)
def test_accept_is_read_as_media_ranges(accept: str, needed: tuple[str, ...], taken: bool) -> None:
    assert accepts(accept, needed) is taken
