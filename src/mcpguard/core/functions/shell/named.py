"""Which words of commands name files that hold secrets, and files that programs run or obey by themselves.

Law of this file: a word for which that cannot be determined, such as a glob that may be a secret, counts.
What is no file, such as a pattern for grep, is not looked at where the program is known, and neither is what
is below a folder: `grep -r` and `find -exec` read all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.naming import Naming
from mcpguard.core.functions.paths.obeyed_files import OBEYED
from mcpguard.core.functions.paths.secret_names import SECRETS
from mcpguard.core.functions.shell.words import Word

_PLAIN = re.compile(r"[^\s*?\[{}$()|\\`]+")
_LIST = frozenset(
    [
        "chmod",
        "chown",
        "du",
        "echo",
        "file",
        "find",
        "ls",
        "mkdir",
        "printf",
        "rm",
        "rmdir",
        "stat",
        "touch",
        "tree",
        "wc",
    ]
)
"""Programs that show no more of a file than its name and its size."""
_NAMES = frozenset(["git", "find", "gfind"])
"""Programs whose arguments name files in ways of their own: `HEAD:.env`, `-name .env`."""
_SHOW = frozenset([".", "cat", "cd", "git", "grep", "head", "ls", "source", "tail"])
"""Programs that write no file, or whose files `writes` names."""


Command = tuple[str, tuple[Word, ...]]
"""A program and its arguments."""


def secrets(files: Iterable[str], commands: Iterable[Command], code: bool) -> list[str]:
    """Of `files`, which are read or written, and of the arguments of `commands`, those that name secrets.
    `code`: the commands could do more than is known."""
    return sorted({one for one in (*files, *_could_show(commands, code)) if _is(SECRETS, one)})


def obeyed(files: Iterable[str], commands: Iterable[Command], changing: frozenset[str]) -> list[str]:
    """Of `files`, which are written, and of the arguments of those `commands` whose programs are `changing`
    something, those that programs obey."""
    return sorted({one for one in (*files, *_could_write(commands, changing)) if _is(OBEYED, one)})


def _could_show(commands: Iterable[Command], code: bool) -> Iterator[str]:
    for program, args in commands:
        for word in args:
            glob = word.pattern and not word.found and program not in _LIST
            if glob or ((code or program in _NAMES) and _PLAIN.fullmatch(word.text)):
                yield word.text


def _could_write(commands: Iterable[Command], changing: frozenset[str]) -> Iterator[str]:
    for program, args in commands:
        if program in changing - _SHOW:
            yield from (word.text for word in args if _PLAIN.fullmatch(word.text))


def _is(kind: Naming, path: str) -> bool:
    try:
        return kind.finds(path)
    except FunctionError:
        return True
