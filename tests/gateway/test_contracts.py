"""What each port promises, asked of the fake and of the real adapter alike.

A real upstream joins with one more entry of `UPSTREAMS`; those of each transport are in `tests/adapters/upstreams/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import UpstreamError
from mcpguard.core.evidence.records import Closed, Opened
from mcpguard.core.model import Invocation, Permit, Principal
from mcpguard.core.policy import pdp
from mcpguard.gateway.flight import as_future
from mcpguard.gateway.ports import AuditSink, Need, Readiness, Upstream
from tests.fakes import GONE, START, FakeUpstream, MemoryAudit, text

pytestmark = pytest.mark.anyio

OPENED = Opened(START, "0", 1, "os-user:ada", (), "d")
SECONDS = 20


@pytest.fixture(params=["fake", "file"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryAudit([]) if request.param == "fake" else AuditFile(tmp_path)


def test_a_record_is_durable_after_the_commit_and_not_before(sink: Any) -> None:
    audit: AuditSink = sink
    wait = audit.write(OPENED)
    assert not wait.done
    sink.commit()
    assert wait.done


def test_settled_waits_for_what_was_written_and_for_nothing_else(sink: Any) -> None:
    audit: AuditSink = sink
    assert audit.settled().done
    audit.write(OPENED)
    settled = audit.settled()
    assert not settled.done
    sink.commit()
    assert settled.done
    assert audit.settled().done


def test_who_waits_is_resumed_in_order_and_may_write_again(sink: Any) -> None:
    audit: AuditSink = sink
    order: list[str] = []

    def again(_: object) -> None:
        order.append("first")
        audit.write(Closed(START, "x")).then(lambda _: order.append("third"))

    audit.write(OPENED).then(again)
    audit.settled().then(lambda _: order.append("second"))
    sink.commit()
    sink.commit()
    assert order == ["first", "second", "third"]


Made = Callable[[], AbstractAsyncContextManager[Upstream]]


@asynccontextmanager
async def fake() -> AsyncIterator[Upstream]:
    upstream = FakeUpstream("echo", [], [{"name": "echo"}])
    upstream.answers["echo"] = text("hello")
    upstream.answers["crash"] = GONE
    yield upstream


UPSTREAMS: list[Made] = [fake]


def permit(name: str, **args: Any) -> Permit:
    principal = Principal("ada", "os-user")
    params = {"name": name, "arguments": args}
    return pdp.permit_protocol(Invocation("n-1", "tools/call", principal, START, params=params))


@pytest.mark.parametrize("made", UPSTREAMS)
async def test_a_request_gets_exactly_its_answer(made: Made) -> None:
    async with made() as upstream:
        raw = await asyncio.wait_for(as_future(upstream.request(permit("echo", text="hello"))), SECONDS)
        assert raw.body == text("hello")
        assert raw.status == "ok"
        assert raw.size > 0


@pytest.mark.parametrize("made", UPSTREAMS)
async def test_an_upstream_that_ends_fails_the_request_with_a_sentence(made: Made) -> None:
    async with made() as upstream:
        with pytest.raises(UpstreamError, match="has ended"):
            await asyncio.wait_for(as_future(upstream.request(permit("crash"))), SECONDS)


@pytest.mark.parametrize("made", UPSTREAMS)
async def test_a_cancelled_request_is_never_answered(made: Made) -> None:
    async with made() as upstream:
        wait = upstream.request(permit("slow"))
        upstream.cancel(wait, "no longer wanted")
        upstream.cancel(wait, "twice does nothing")
        other = upstream.request(permit("echo", text="hello"))
        await asyncio.wait_for(as_future(other), SECONDS)
        assert wait.value is None


def test_all_that_is_needed_makes_ready() -> None:
    fine, gone = Need("store", True, 1.0), Need("evidence", False, 2.0, "the disk is full")
    assert Readiness((fine,), ()).ok
    assert not Readiness((fine, gone), ()).ok
