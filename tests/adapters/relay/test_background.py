"""Work beside a call has an owner: it is ended, and a defect in it is reported."""

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.relay.background import Background

pytestmark = pytest.mark.anyio


async def test_a_defect_is_reported_at_once_and_the_others_go_on() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    background, gate = Background("it broke"), asyncio.Event()

    async def defect() -> None:
        raise ZeroDivisionError

    async def other() -> None:
        await gate.wait()

    await asyncio.wait([background.start(defect())])
    kept = background.start(other())
    assert [(one["message"], type(one["exception"])) for one in reported] == [("it broke", ZeroDivisionError)]
    gate.set()
    await background.over()
    assert kept.done()
    assert not kept.cancelled()


async def test_nothing_runs_after_its_owner_has_closed() -> None:
    background = Background("it broke")
    tasks = [background.start(asyncio.sleep(3600)) for _ in range(3)]
    await background.close()
    assert all(task.cancelled() for task in tasks)
