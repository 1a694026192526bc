"""A configuration and its policies, read by a child of the process that serves.

Reading files takes a third of a start, and 9 MB that no call needs. So a child reads and checks them while
this process imports the code that serves. The child hands over what is to be in force, and ends. Compiled
conditions cannot be handed over, so only this process compiles them.

Law of this file: what is handed over is complete, including the mistakes in a file. If anything else goes
wrong in the child, or a condition cannot be compiled, this process reads everything again; nothing comes into
force that it would not have read.
"""

from __future__ import annotations

import inspect  # noqa: F401 - both processes need it
import os
import pickle
import re
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
from mcpguard.core.conditions.cel import Engine
from mcpguard.core.conditions.engines import Uncompiled, engine
from mcpguard.core.errors import DocumentError
from mcpguard.core.expressions import expression
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.serve.file_watch import Look, look_at

T = TypeVar("T")


class HandedConfig(Struct, frozen=True):
    """What the files contain, as one client sees it, and how they looked before they were read."""

    config: Config
    config_look: Look
    policies: PolicySet
    policy_look: Look


def read(
    path: Path, agent: str | None = None, project: str | None = None, cel: Engine | None = None
) -> HandedConfig:
    """Read the configuration at `path` and its policies. Raises DocumentError."""
    look = look_at([path])
    config = load_config(path).view(agent, project)
    policy_look = look_at(config.policy_paths)
    return HandedConfig(config, look, load_policies(config.policies, cel=cel), policy_look)


def in_child(reads: Callable[..., T], what: type[T]) -> Callable[[], T]:
    """Begin to read in a child, if this process has only one thread. `reads(cel=ENGINE)` reads files, and
    raises DocumentError with all mistakes. The function that this returns waits for the child, and returns or
    raises what `reads` does."""
    # A fork has only the thread that made it, and with Apple's frameworks even that may fail.
    if sys.platform != "linux" or threading.active_count() > 1:
        return reads
    take, give = os.pipe()
    try:
        child = os.fork()
    except OSError:  # No more processes are allowed.
        os.close(take)
        return reads
    else:
        if child == 0:
            _hand_over(reads, give)
    finally:
        os.close(give)
    return partial(_taken, reads, what, child, take)


def _hand_over(reads: Callable[..., object], pipe: int) -> NoReturn:
    try:
        _import_readers()
        with open(pipe, "wb") as file:
            pickle.dump(_found(reads), file, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


class _Annotated(dict[str, Any]):
    """In place of a typed dictionary of which only type checkers read the members."""

    def __init_subclass__(cls, total: bool = True) -> None:
        pass


def _import_readers() -> None:
    """Import what reads files, without making the ninety typed dictionaries of pydantic's core, and compiling
    only those expressions that are used: both together take a tenth of the child's time."""
    import typing

    import typing_extensions

    made = typing.TypedDict, typing_extensions.TypedDict, re.compile
    typing.TypedDict = typing_extensions.TypedDict = _Annotated  # type: ignore[assignment]
    re.compile = expression  # type: ignore[assignment]
    import pydantic_core  # noqa: F401

    typing.TypedDict, typing_extensions.TypedDict = made[:2]
    import mcpguard.config.file
    import mcpguard.core.document.reading  # noqa: F401

    re.compile = made[2]  # What is handed over has none but compiled ones.


def _found(reads: Callable[..., T]) -> T | DocumentError:
    try:
        with suppress(DocumentError):
            return reads(cel=Uncompiled())
        return reads()  # Conditions may have mistakes as well.
    except DocumentError as mistakes:
        return mistakes


def _taken(reads: Callable[..., T], what: type[T], child: int, pipe: int) -> T:
    with open(pipe, "rb") as file:
        # Freeing the memory of the child takes a while, and nobody has to wait for that.
        threading.Thread(target=_reap, args=(child,), daemon=True).start()
        try:
            _prepare()
            found = pickle.load(file)  # noqa: S301
        except Exception:  # Incomplete, or made by other modules, or a condition is wrong.
            return reads()
    if isinstance(found, DocumentError):
        raise found
    return found if isinstance(found, what) else reads()


def _prepare() -> None:
    """Do what is needed before the first answer, while the child reads: start the engine, since few policies
    have no conditions, and compile what the answer to `initialize` is inspected with."""
    from mcpguard.core.redaction.redactor import Redactor
    from mcpguard.protocol import eras

    engine().compile("true")
    capabilities = eras.capabilities(False, [None], ())
    named = {"name": "x", "version": "1.0"}
    Redactor(b"").inspect(
        {"capabilities": capabilities, "protocolVersion": eras.LEGACY_VERSIONS[0], "serverInfo": named}
    )


def _reap(child: int) -> None:
    with suppress(ChildProcessError):  # Who started us may have SIGCHLD ignored.
        os.waitpid(child, 0)
