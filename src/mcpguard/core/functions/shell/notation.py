"""One line of the table of programs -> a Usage: what its options and operands do.

    NAME,NAME [*] [TRAIT ...] [ROLES] [OPTIONS]

Law of this file: what does not stand in the line is not known, and so not harmless.
"""

from __future__ import annotations

import re

from msgspec import Struct

TRAITS = frozenset(("code", "obeys", "sends", "changes", "own", "inner"))
"""`code`: each run counts as code. `obeys`: it obeys files of its folder. `sends`: it uses the network.
`changes`: it changes something, as its name says. `own`: a function reads its arguments, too.
`inner`: they are read only by a function, for the programs that it runs or for its subcommands."""

_OPTION = re.compile(r"(.)([:?<>@%!^&~+]*)")
_LONG = re.compile(r"(--[a-z0-9.-]+)(=?)([:?<>@%!^&~+]*)")


class Usage(Struct, frozen=True):
    """How to read the arguments of a program.

    `roles`: what the operands are, one letter each, the last for all that follow: `t` text, `r` a file that
    is read, `a` the same, where any argument with `@` before it stands for those in that file, `w` one that
    is written, `W` (as last letter) written if it is the last operand, `g` a revision or a path of git, `x`
    not harmless, `T` nothing is an option, and all is text.

    `short` and `long`: options and what each does: nothing (a flag), `:` takes a text, `?` may have one
    joined to it, `<` takes a file to read, `>` a file to write, `@` a file with names of files, `%` a glob
    that chooses what is read (after a `!`: what is not), `&` makes operands files with names of files, `!`
    is not harmless, `^` changes something, `~` takes the place of the first operand, `+` makes operands
    patterns of what is listed. `number`: digits are an option.

    `complete`: each option that is not harmless stands here, so an argument of which only the beginning is
    not known can do no more than they do.
    """

    roles: str = ""
    traits: frozenset[str] = frozenset()
    short: dict[str, str] = {}
    long: dict[str, str] = {}
    number: bool = False
    complete: bool = False


def lines(text: str) -> list[str]:
    """The lines of a table; one that begins with a blank continues the one before."""
    joined = re.sub(r"\n +", " ", re.sub(r",\n +", ",", text))
    return [line for line in joined.splitlines() if line.strip()]


def parse(line: str) -> tuple[list[str], Usage]:
    """The names and the program of a line."""
    head, *parts = line.split()
    roles = ""
    traits, short, long = set[str](), dict[str, str](), dict[str, str]()
    for part in parts:
        if part.startswith("--"):
            name, equals, role = _LONG.fullmatch(part).groups()  # type: ignore[union-attr]
            long[name] = (":" if equals and role[:1] in ("", "~", "+", "^") else "") + role
        elif part.startswith("-"):
            short.update(_OPTION.findall(part[1:]))
        elif part in TRAITS:
            traits.add(part)
        elif part != "*":
            roles = part
    number = short.pop("#", None) is not None
    return head.split(","), Usage(roles, frozenset(traits), short, long, number, "*" in parts)
