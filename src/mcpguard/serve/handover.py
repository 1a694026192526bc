"""A configuration and its policies, read in a process beside the one that serves.

What reads files is a third of a start and 9 MB that no call needs. So a child reads and checks them while
this process imports what serves, hands over what is in force, and ends.

Law of this file: what is handed over is whole, the mistakes in a file too. Whatever else goes wrong beside,
all is read again here; nothing comes into force that this process would not have read itself.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from msgspec import Struct

from mcpguard.config.loading import Config, load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.errors import DocumentError
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
    try:
        child = os.fork()
    except OSError:  # There may be no more processes.
        os.close(take)
        return reads
    else:
        if child == 0:
            _hand_over(reads, give)
    finally:
        os.close(give)
    return partial(_taken, reads, what, child, take)


def _hand_over(reads: Callable[[], Any], pipe: int) -> NoReturn:
    try:
        with open(pipe, "wb") as file:
            pickle.dump(_found(reads), file, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _found(reads: Callable[[], T]) -> T | DocumentError:
    try:
        return reads()
    except DocumentError as mistakes:
        return mistakes


def _taken(reads: Callable[[], T], what: type[T], child: int, pipe: int) -> T:
    # While nothing else is to be done: nearly all policies have conditions, and nearly all state is where
    # platformdirs says.
    with suppress(ImportError):
        import platformdirs  # noqa: F401
    with open(pipe, "rb") as file:
        data = file.read()
    # What the child has in memory takes a while to be freed, which nobody has to wait for.
    threading.Thread(target=_reap, args=(child,), daemon=True).start()
    try:
        found = pickle.loads(data)  # noqa: S301
    except Exception:  # Not all of it, or of other modules.
        return reads()
    if isinstance(found, DocumentError):
        raise found
    return found if isinstance(found, what) else reads()


def _reap(child: int) -> None:
    with suppress(ChildProcessError):  # Who started us may have SIGCHLD ignored.
        os.waitpid(child, 0)
