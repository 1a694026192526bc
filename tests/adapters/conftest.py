"""Fixtures of several families of adapters."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture
async def no_task_left(anyio_backend: str) -> AsyncIterator[None]:
    """A test leaves no task of mcpguard behind."""
    yield
    left = [task for task in asyncio.all_tasks() if "mcpguard" in _file_of(task)]
    assert not left, f"tasks are left: {left}"


def _file_of(task: asyncio.Task[Any]) -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return "" if code is None or "/tests/" in code.co_filename else str(code.co_filename)
