"""shell(text): what a shell would run, from the text alone.

Law of this file: `programs` is complete, or `code` is true, or the text is refused. Source: POSIX.1-2024,
XCU 2 (Shell Command Language), as far as sh, bash, dash, BusyBox and zsh agree on it.
"""

from __future__ import annotations

import unicodedata

from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size
from mcpguard.core.functions.shell.reading import Reading
from mcpguard.core.model import Json

LIMIT = 4096
"""The longest text, in characters."""

_HIDDEN = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"))
"""Unicode categories from which only a space, a tab and a line feed are accepted."""


def shell(text: str) -> dict[str, Json]:
    """The facts of `SHELL.fields` for a command line. Raises FunctionError: see the law above."""
    check_size("shell", text, LIMIT)
    if any(char not in " \t\n" and unicodedata.category(char) in _HIDDEN for char in text):
        raise FunctionError("shell() reads no control characters, and no blanks but space, tab and line feed")
    # The parser costs a start some milliseconds, so it is imported where a text needs it.
    from mcpguard.core.functions.shell.tree import read_tree

    reading = Reading(text)
    while reading.texts:
        depth, inner = reading.texts.pop()
        if not inner.strip(" \t\n"):
            raise FunctionError("shell() found no command")
        read_tree(inner.encode(), reading, depth)
    return reading.result()


SHELL = Function(
    name="shell",
    summary="What a shell would run if it were given `text`; nothing is run.",
    parameters=(Parameter("text", "string"),),
    gives="A map; an error if shells could read the text differently, or if a program's name is not literal.",
    call=shell,
    prepare=lambda: shell("true"),
    fields={
        "programs": "Names of all programs that could run, sorted: wrappers (`env`, `sudo`, `xargs`, `sh "
        "-c`, `find -exec`) and what they run. A program outside the system's folders is "
        "listed with its path too; `find -delete` counts as `rm`.",
        "commands": "Each command: `program`, `args` (after quote removal) and `path` (as written).",
        "redirects": "Each redirect: `operator` and `target`; for here-documents the text.",
        "reads": "Files that redirects read.",
        "writes": "Files that redirects, and the -fprint options of find, write.",
        "pipes": "Whether there is a pipe.",
        "substitutions": "Whether there is a command or process substitution.",
        "expansions": "Whether there is a variable, a glob, braces, a tilde or arithmetic anywhere, so "
        "that an argument differs from what is written.",
        "background": "Whether something runs in the background.",
        "assignments": "Names of variables that are set.",
        "functions": "Names of functions and aliases that are defined.",
        "code": "Whether more could run or change than the programs' names suggest: an interpreter or a "
        "shell is given code, an option names a program or a file to write, or a variable that "
        "programs obey is set.",
        "simple": "Whether it is exactly one command with literal arguments, and none of the above.",
    },
    examples=(
        'shell("git log -3 | grep fix").programs == ["git", "grep"]',
        'shell("sudo -u root env A=1 \\"r\\"m -rf x").programs == ["env", "rm", "sudo"]',
        'shell("sh -c \\"ls; rm x\\"").programs == ["ls", "rm", "sh"]',
        'shell("ls \'a b\' c").commands == [{"program": "ls", "args": ["a b", "c"], "path": "ls"}]',
        'shell("ls > out.txt").writes == ["out.txt"]',
        'shell("ls -l src").simple && !shell("ls $HOME").simple',
        'shell("python -c 1").code && shell("git -c core.pager=x log").code',
        'shell("echo $(rm x)").programs == ["echo", "rm"]',
    ),
    errors=('shell("$x y").simple', 'shell("ls \\"").simple', 'shell("l\\\\\\ns").simple'),
)
