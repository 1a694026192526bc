"""What changes is told to who looks, by one poller that rests while nobody does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import anyio
import pytest
from msgspec import structs

from mcpguard.adapters.telemetry.status_file import Status
from mcpguard.console import desk as module
from mcpguard.console.app import _changes
from tests.console.desk import DECIDED, Browser

pytestmark = pytest.mark.anyio


def test_too_many_streams_are_refused(browser: Browser) -> None:
    browser.desk.watch.looking = module.MOST_LOOKING
    answer = browser.get(f"{browser.root}/events")
    assert answer.status_code == 503
    assert "Too many pages" in answer.text


async def test_each_subject_has_a_number_that_changes_with_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    seen = browser.desk.watch
    await seen.look()
    before = dict(seen.counts)
    await seen.look()
    assert seen.counts == before
    browser.asks()
    browser.records(structs.replace(DECIDED, id="c-9"))
    await seen.look()
    assert seen.counts == {**before, "tickets": before["tickets"] + 1, "evidence": before["evidence"] + 1}
    assert seen.waiting == 1
    assert seen.said.endswith(" waiting=1 held=0")


async def test_what_is_held_is_counted_for_the_processes_of_this_configuration(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    mine = Status(1, 0.0, "", str(browser.desk.config.path), "stdio", held={"git": 2, "far": 1})
    others = [structs.replace(mine, held={"git": 1}), structs.replace(mine, config="/other", held={"x": 9})]
    monkeypatch.setattr(module, "running", lambda: [mine, *others])
    await browser.desk.watch.look()
    assert browser.desk.watch.held == 3
    assert re.search(r'id="held-count"[^>]*>3<', browser.see("/"))


async def test_what_a_process_has_in_force_changes_the_tickets_too(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ticket that was void on no page may be void by now."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    serving = Status(1, 0.0, "", str(browser.desk.config.path), "stdio", in_force=("old",))
    monkeypatch.setattr(module, "running", lambda: [serving])
    seen = browser.desk.watch
    await seen.look()
    before = seen.counts["tickets"]
    serving = structs.replace(serving, in_force=("new",))
    await seen.look()
    assert seen.counts["tickets"] == before + 1


class Looking:
    """A page that looks, as far as `_changes` asks."""

    def __init__(self, browser: Browser) -> None:
        self.cookies = {"mcpguard-console": browser.client.cookies["mcpguard-console"]}
        self.query_params: dict[str, str] = {}
        self.url = type("Url", (), {"path": "/events"})()
        self.scope: dict[str, object] = {}


async def test_a_stream_tells_of_changes_and_ends_with_the_visit(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    desk = browser.desk
    stream: AsyncIterator[bytes] = _changes(desk, Looking(browser))  # type: ignore[arg-type]
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(desk.watch.run)
            assert await anext(stream) == b"retry: 1500\n\n"
            assert b"waiting=0" in await anext(stream)
            assert desk.watch.looking == 1
            browser.asks()
            assert b"waiting=1" in await anext(stream)
            browser.post(f"{browser.root}/logout")
            assert [one async for one in stream] == []
            assert desk.watch.looking == 0
            group.cancel_scope.cancel()


async def test_what_changes_while_a_stream_sends_is_sent_next(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    stream: AsyncIterator[bytes] = _changes(browser.desk, Looking(browser))  # type: ignore[arg-type]
    with anyio.fail_after(20):
        await anext(stream)
        assert b"waiting=0" in await anext(stream)
        browser.asks()
        await browser.desk.watch.look()  # The page has not taken the last one yet.
        assert b"waiting=1" in await anext(stream)


async def test_a_page_that_only_looks_ends_when_another_one_logs_out(browser: Browser) -> None:
    stream: AsyncIterator[bytes] = _changes(browser.desk, Looking(browser))  # type: ignore[arg-type]
    with anyio.fail_after(10):  # The stream looks by itself after fifteen seconds.
        for _ in range(2):
            await anext(stream)
        async with anyio.create_task_group() as group:
            ended: list[list[bytes]] = []

            async def rest() -> None:
                ended.append([one async for one in stream])

            group.start_soon(rest)
            await anyio.wait_all_tasks_blocked()
            browser.post(f"{browser.root}/logout")
        assert ended == [[]]


async def test_a_stream_says_that_it_lives_and_ends_with_the_console(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.console.app.KEEP_ALIVE_SECONDS", 0.01)
    stream: AsyncIterator[bytes] = _changes(browser.desk, Looking(browser))  # type: ignore[arg-type]
    with anyio.fail_after(20):
        for _ in range(2):
            await anext(stream)
        assert await anext(stream) == b": still here\n\n"
        browser.desk.watch.close()
        assert [one async for one in stream] == []
