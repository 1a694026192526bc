"""shell(text): what a shell would run, from the text alone.

Law of this file: `programs` is complete, or `code` is true, or the text is refused. Source: POSIX.1-2024,
XCU 2 (Shell Command Language), as far as sh, bash, dash, BusyBox and zsh, not at a prompt, agree on it.
"""

from __future__ import annotations

import unicodedata

from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size
from mcpguard.core.functions.shell.forms import KINDS
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.model import Json

LIMIT = 4096
"""The longest text, in characters."""

_HIDDEN = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"))
"""Unicode categories from which only a space, a tab and a line feed are accepted."""


def shell(text: str, folder: str = "") -> dict[str, Json]:
    """What the page of `SHELL` describes for a command line that is run in `folder`, an absolute path. Raises
    FunctionError: see the law above."""
    check_size("shell", text, LIMIT)
    if any(char not in " \t\n" and unicodedata.category(char) in _HIDDEN for char in text):
        raise FunctionError("shell() does not read control characters, or blanks but space, tab and LF")
    reading = _read(LineReading(text, folder))
    if reading.functions or (reading.unrolled and reading.resets):
        reading = _read(LineReading(text, folder, redefined=True))
    return reading.result()


def _read(reading: LineReading) -> LineReading:
    # The parser costs a start some milliseconds, so it is imported where a text needs it.
    from mcpguard.core.functions.shell.tree import read_tree

    while reading.texts:
        depth, inner, reading.places.here = reading.texts.pop()
        if not inner.strip(" \t\n"):
            raise FunctionError("shell() found no command")
        read_tree(inner.encode(), reading, depth)
    return reading


SHELL = Function(
    name="shell",
    parameters=(Parameter("text", "string"), Parameter("folder", "string", optional=True)),
    call=shell,
    slow=16,
    prepare=lambda: shell("git log"),
    fields=(
        *("programs", "unknown", "commands", "redirects", "reads", "writes", "outside", "indirect"),
        *("secrets", "obeyed", "folders", "obeys", "sends", "changes", "discloses", "pipes"),
        *(
            "substitutions",
            "expansions",
            "variables",
            "background",
            "assignments",
            "functions",
            "code",
            "kinds",
            "simple",
        ),
    ),
    elements={
        "commands": ("program", "args", "path", "line", "code", "kind"),
        "redirects": ("operator", "target"),
    },
    values={"kinds": KINDS, "commands.kind": KINDS},
)
