"""A configuration and its policies, read in a process beside the one that serves.

What reads files is a third of a start and 9 MB that no call needs. So a child reads and checks them while
this process imports what serves, hands over what is in force, and ends.

Law of this file: what is handed over is whole. Whatever goes wrong beside, all is read again here, which says
what is wrong; nothing comes into force that this process would not have read itself.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from msgspec import Struct

from mcpguard.config.loading import Config, load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.serve.changes.file_watch import Look, look_at

T = TypeVar("T")


class HandedOver(Struct, frozen=True):
    """What files say, as one client sees it, and how they looked before they were read."""

    config: Config
    config_look: Look
    policies: PolicySet
    policy_look: Look


def read(path: Path, agent: str | None = None, project: str | None = None) -> HandedOver:
    """What the configuration at `path` and its policies say. Raises DocumentError."""
    look = look_at([path])
    config = load_config(path).view(agent, project)
    policy_look = look_at(config.policy_paths)
    return HandedOver(config, look, load_policies(config.policies), policy_look)


def beside(reads: Callable[[], T], what: type[T]) -> Callable[[], T]:
    """Begin to read in a child, where this process has one thread; what this gives waits for it, and raises
    as `reads` does."""
    # A fork has only the thread that makes it, and with Apple's frameworks not even that is sure to work.
    if sys.platform != "linux" or threading.active_count() > 1:
        return reads
    take, give = os.pipe()
    child = os.fork()
    if child == 0:
        _hand_over(reads, give)
    os.close(give)
    return partial(_taken, reads, what, child, take)


def _hand_over(reads: Callable[[], Any], pipe: int) -> NoReturn:
    code = 1
    try:
        with open(pipe, "wb") as file:
            pickle.dump(reads(), file, pickle.HIGHEST_PROTOCOL)
        code = 0
    finally:
        os._exit(code)


def _taken(reads: Callable[[], T], what: type[T], child: int, pipe: int) -> T:
    with open(pipe, "rb") as file:
        data = file.read()
    if os.waitpid(child, 0)[1] == 0:
        found = pickle.loads(data)  # noqa: S301
        if isinstance(found, what):
            return found
    return reads()
