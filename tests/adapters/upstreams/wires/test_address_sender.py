"""Each request over HTTP has the values that are in force, and goes to the origin that was connected to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mcpguard.adapters.network import Outbound
from mcpguard.adapters.upstreams.wires.address import Sender, UpstreamAddress, laid_over
from mcpguard.core.errors import UpstreamError
from mcpguard.core.secret import CredentialRef, Secret, parse_template
from mcpguard.gateway.ports import Recipient
from tests.adapters.credentials.fake_credentials import FakeCredentials, program

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]


class Response:
    """The head of an answer."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.closed = False
        self.lacking = None

    def close(self) -> None:
        self.closed = True


class FakeOutbound:
    """Answers with `statuses` in order, then with 200. `sent` are the URLs and headers."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.closed = False

    async def request(self, _method: str, url: str, headers: dict[str, str], *_more: Any) -> Any:
        self.sent.append((url, headers))
        return Response(self.statuses.pop(0) if self.statuses else 200)

    async def close(self) -> None:
        self.closed = True


class Renewing(FakeCredentials):
    """A refused value is another one afterwards; what is `gone` is unavailable then."""

    gone = False

    def refused(self, ref: CredentialRef, to: Recipient, secret: Secret | None = None) -> None:
        assert secret is not None
        self.values = {} if self.gone else {**self.values, ref.name: secret.reveal() + "+"}


class Slow(FakeCredentials):
    """`get` waits until `go`; `kept` is what lasts meanwhile."""

    kept: str | None = None

    def __init__(self, **values: str) -> None:
        super().__init__(**values)
        self.go, self.answered = threading.Event(), threading.Event()

    def get(self, ref: CredentialRef, to: Recipient) -> Secret:
        assert self.go.wait(20)
        self.answered.set()
        return super().get(ref, to)

    def lasting(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        return None if self.kept is None else Secret(self.kept)


def sender(credentials: FakeCredentials, outbound: Any, url: str = "https://x.example/mcp") -> Sender:
    headers = {
        "X-Key": parse_template("${env:A}"),
        "Mcp-Param-X": parse_template("no"),
        "accept": parse_template("no"),
    }
    chosen = {"other": {"x-key": parse_template("${credential:other}")}}
    address = UpstreamAddress(parse_template(url), headers, credentials, program(), chosen)
    return Sender(address, lambda _named: outbound)


async def ask(sender: Sender, credential: str = "") -> int:
    return (await sender.request("POST", {"Accept": "yes"}, credential)).status


async def test_headers_of_a_chosen_credential_take_the_place_of_those_of_the_server() -> None:
    outbound, credentials = FakeOutbound(), FakeCredentials(A="one", other="two")
    sending = sender(credentials, outbound)
    await sending.open()
    await ask(sending)
    credentials.values["A"] = "three"
    await ask(sending)
    await ask(sending, "other")
    assert [headers for _url, headers in outbound.sent] == [
        {"X-Key": "one", "Accept": "yes"},
        {"X-Key": "three", "Accept": "yes"},
        {"x-key": "two", "Accept": "yes"},
    ]
    assert (sending.host, credentials.asked[-1][1].host) == ("x.example", "x.example")
    with pytest.raises(UpstreamError, match="'nobody' cannot be chosen for 's'"):
        await ask(sending, "nobody")
    await sending.close()
    assert outbound.closed


@pytest.mark.parametrize(
    ("statuses", "sent", "status"),
    [
        ([401], ["one", "one+"], 200),
        ([403], ["one", "one+"], 200),
        ([401, 401, 200], ["one", "one+"], 401),
        ([400], ["one"], 400),
        ([500], ["one"], 500),
    ],
)
async def test_what_is_refused_is_sent_once_more_with_another_value(
    statuses: list[int], sent: list[str], status: int
) -> None:
    outbound = FakeOutbound(*statuses)
    sending = sender(Renewing(A="one"), outbound)
    await sending.open()
    assert await ask(sending) == status
    assert [headers["X-Key"] for _url, headers in outbound.sent] == sent


async def test_a_value_that_was_replaced_meanwhile_is_not_refused_itself() -> None:
    class Late(FakeOutbound):
        async def request(self, *all_of_it: Any) -> Any:
            response = await super().request(*all_of_it)
            credentials.values["A"] = "newer"
            return response

    credentials, outbound = Renewing(A="one"), Late(401)
    sending = sender(credentials, outbound)
    await sending.open()
    assert await ask(sending) == 200
    assert [headers["X-Key"] for _url, headers in outbound.sent] == ["one", "newer"]


async def test_without_another_value_or_without_any_it_is_sent_once() -> None:
    outbound = FakeOutbound(401, 401)
    same = sender(FakeCredentials(A="one"), outbound)
    await same.open()
    assert await ask(same) == 401
    bare = Sender(
        UpstreamAddress(parse_template("https://x.example/"), {}, FakeCredentials(), program()),
        lambda _: outbound,
    )  # type: ignore[arg-type, return-value]
    await bare.open()
    assert await ask(bare) == 401
    assert len(outbound.sent) == 2


async def test_a_new_value_that_cannot_be_had_is_what_is_told() -> None:
    credentials = Renewing(A="one")
    credentials.gone = True
    sending = sender(credentials, FakeOutbound(401))
    await sending.open()
    with pytest.raises(UpstreamError, match="was not asked: env:A"):
        await ask(sending)


async def test_another_host_than_at_first_gets_nothing() -> None:
    credentials, outbound = FakeCredentials(A="one", HOST="x.example"), FakeOutbound()
    sending = sender(credentials, outbound, "https://${env:HOST}/mcp")
    await sending.open()
    for host in ("y.example", "x.example:444"):
        credentials.values["HOST"] = host
        with pytest.raises(UpstreamError, match="at a different origin"):
            await ask(sending)
    assert outbound.sent == []


async def test_before_it_is_open_nothing_is_sent() -> None:
    sending = sender(FakeCredentials(A="one"), Outbound)
    with pytest.raises(UpstreamError, match="is not connected"):
        await ask(sending)
    await sending.close()


def test_of_two_headers_with_one_name_the_upper_one_stays() -> None:
    below = {"Authorization": "a", "X": "b"}
    assert laid_over(below, {"authorization": "c", "Y": "d"}) == {"X": "b", "authorization": "c", "Y": "d"}


@pytest.mark.parametrize("values", [{"A": "new"}, {}])
async def test_a_request_does_not_wait_for_a_slow_source_while_the_value_in_hand_lasts(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound, credentials = FakeOutbound(), Slow(A="old")
    sending = sender(credentials, outbound)
    credentials.go.set()
    await sending.open()
    credentials.go.clear()
    credentials.answered.clear()
    monkeypatch.setattr("mcpguard.adapters.upstreams.wires.address.PATIENCE_SECONDS", 0.01)
    credentials.kept, credentials.values = "old", values
    assert await ask(sending) == 200
    assert outbound.sent[0][1]["X-Key"] == "old"
    credentials.go.set()
    await asyncio.to_thread(credentials.answered.wait, 20)  # Whatever that was, nobody reports it.


async def test_a_request_waits_for_a_slow_source_where_nothing_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    outbound, credentials = FakeOutbound(), Slow(A="one")
    sending = sender(credentials, outbound)
    credentials.go.set()
    await sending.open()
    credentials.go.clear()
    monkeypatch.setattr("mcpguard.adapters.upstreams.wires.address.PATIENCE_SECONDS", 0.01)
    asking = asyncio.ensure_future(ask(sending))
    await asyncio.wait({asking}, timeout=0.05)
    assert outbound.sent == []
    credentials.go.set()
    assert await asking == 200
