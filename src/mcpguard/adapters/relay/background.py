"""Work that goes on beside a call: each task has an owner, and none fails unseen.

Law of this file: nothing else begins a task but a connection of the HTTP front (a test says so). It is not a
task group: what owns a task here outlives the function that begins it, and one defect must not end others.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """The tasks of one owner. What ends one with an exception is told to the exception handler of the loop
    at once, as `what`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel whatever runs, without waiting for it."""
        for task in self._tasks:
            task.cancel()

    async def over(self) -> None:
        """Wait until nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel whatever runs, and wait for its end."""
        self.cancel()
        await self.over()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": self._what, "exception": defect})
