"""The manual page of mcpguard in the language of man(7), made from the same tree as the completions."""

from __future__ import annotations

import re

from mcpguard.cli.completion import Command, Option

_ENDS = """\
.SH EXIT STATUS
.TP
.B 0
Success: nothing to report.
.TP
.B 1
A negative result, such as an altered audit log or a failed check.
.TP
.B 2
Wrong usage, or an error that standard error explains in one sentence.
.TP
.B 70
A bug in mcpguard.
.SH ENVIRONMENT
.TP
.B MCPGUARD_CONFIG
The configuration, where \\fB\\-\\-config\\fR names none.
.SH SEE ALSO
\\fBmcpguard help\\fR lists the pages of the documentation, and \\fBmcpguard help\\fR \\fITOPIC\\fR
prints one.
"""


def manual(root: Command) -> str:
    """The page, section 1."""
    parts = [
        '.\\" Made by scripts/reference from the source: change it there.',
        '.TH MCPGUARD 1 "" "mcpguard" "User Commands"',
        ".SH NAME",
        f"mcpguard \\- {_text(root.summary)}",
        ".SH SYNOPSIS",
        ".B mcpguard\n.I VERB\n.RI [ arguments ]",
        ".SH DESCRIPTION",
        "mcpguard stands between an AI agent and its tool servers: it decides every request by policy, "
        "holds the credentials, takes secrets out of what comes back, and keeps evidence.",
        ".SH OPTIONS",
        *map(_option, root.options),
        ".SH COMMANDS",
        *(line for one in root.commands for each in one.all() for line in _command(each)),
        ".SH EXAMPLES",
        ".nf",
        *(_text(example) for one in root.commands for example in one.examples[:1]),
        ".fi",
    ]
    return "\n".join(parts) + "\n" + _ENDS


def _command(command: Command) -> list[str]:
    summary = command.summary[:1].upper() + command.summary[1:]
    own = [one for one in command.options if "--help" not in one.names]
    return [f".SS {_text(' '.join(command.words))}", f"{_text(summary)}.", *map(_option, own)]


def _option(option: Option) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
    value = f"\\fI{_text(option.value)}\\fR" if option.value else ""
    return f".TP\n{f'{names} {value}'.strip()}\n{_text(option.summary) or '.br'}"


def _text(text: str) -> str:
    """`text` as roff prints it: no escapes, real hyphens, no request at the start of the line."""
    plain = re.sub(r"\s+", " ", text).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
