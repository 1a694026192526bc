"""No more files may be open: the operator is told so, once in a while."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from mcpguard.adapters.transports.http.server import QUIET_SECONDS, DescriptorShortage
from tests.adapters.transports.front import serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


class Loop:
    """What `DescriptorShortage` needs of a loop."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.handler: Any = None
        self.by_default: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def get_exception_handler(self) -> Any:
        return self.handler

    def set_exception_handler(self, handler: Any) -> None:
        self.handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.by_default.append(context)


def watched() -> tuple[Any, list[str], DescriptorShortage]:
    said: list[str] = []
    loop: Any = Loop()
    shortage = DescriptorShortage(lambda _server, sentence: said.append(sentence))
    shortage.watch(loop)
    return loop, said, shortage


def failed(number: int) -> dict[str, Any]:
    return {"message": "m", "exception": OSError(number, "no"), "socket": object()}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_is_told_once_a_minute(number: int) -> None:
    loop, said, _shortage = watched()
    for _ in range(68):
        loop.handler(loop, failed(number))
    assert len(said) == 1
    assert "ulimit -n" in said[0]
    loop.now += QUIET_SECONDS
    loop.handler(loop, failed(number))
    assert len(said) == 2
    assert loop.by_default == []


def test_any_other_error_goes_to_the_handler_that_was_there() -> None:
    loop, said, shortage = watched()
    others = [failed(errno.EPERM), {"message": "m"}, {"message": "m", "exception": OSError(errno.EMFILE, "")}]
    for context in others:
        loop.handler(loop, context)
    assert loop.by_default == others
    shortage.close()
    assert loop.handler is None
    heard: list[Any] = []
    loop.handler = earlier = lambda _loop, context: heard.append(context)
    shortage.watch(loop)
    loop.handler(loop, others[0])
    assert heard == others[:1]
    shortage.close()
    shortage.close()
    assert loop.handler is earlier
    assert said == []


async def test_a_front_tells_its_operator_and_lets_go_of_the_loop_at_its_end() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    async with serving() as front:
        assert loop.get_exception_handler() is not before
        loop.call_exception_handler(failed(errno.EMFILE))
        loop.call_exception_handler(failed(errno.EMFILE))
        assert len(front.reports) == 1
    assert loop.get_exception_handler() is before
