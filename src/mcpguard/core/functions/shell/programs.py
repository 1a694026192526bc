"""The programs that shell() knows: `programs.txt` has a line for each, which is read here, and other lists of
names that mean something to a shell.

    NAME,NAME [*] [TRAIT ...] [ROLES] [OPTIONS]   ->   a Usage: what its options and operands do

Law of this file: a positive list. What does not stand in the line is not known, and so not harmless.
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct

from mcpguard.core.tables import names, read_table

RESERVED = names("""
    if then else elif fi do done case esac while until for in select function coproc { } ! [[ ]] ]
    repeat foreach end always
""")
"""Words that begin or end something other than a command, in some shell."""

ZSH_VARIABLES = names("""
    path fpath cdpath mailpath manpath module_path fignore psvar argv status prompt watch aliases
    functions commands options parameters precmd_functions preexec_functions chpwd_functions histchars
""")
"""Variables in lower case that zsh obeys: zshparam(1)."""

_LOCAL = re.compile(r"[a-z][a-z0-9]*")


def is_local(name: str) -> bool:
    """Whether a variable of this name means nothing to shells, nor to programs that find it set."""
    return bool(_LOCAL.fullmatch(name)) and name not in ZSH_VARIABLES


EXPORTING = names("export declare typeset")
"""Those of `DECLARING` that may give a variable to programs."""

DECLARING = names("""
    export declare typeset local readonly unset integer float private
""")
"""Builtins that set the variables that their arguments name."""

WHERE_AND_WHO = names("""
    HOME HOSTNAME HOSTTYPE LANG LINENO LOGNAME OLDPWD OSTYPE PATH PPID PWD RANDOM SECONDS SHELL SHLVL TERM TZ
    UID USER 0 # ? $ !
""")
"""Variables that hold no secret, unless a line sets them."""

SHELLS = names("""
    sh bash dash ash zsh ksh mksh rbash rzsh lksh
""")
"""Programs that read the language that is read here."""

SHELL_SETTINGS = names("errexit noexec noglob nounset pipefail verbose xtrace")
"""What may follow `-o` of a shell or of `set`, and only ends a shell sooner or makes it show more."""


TRAITS = frozenset(("code", "obeys", "sends", "changes", "discloses", "own", "script", "inner", "sets"))
"""`code`: each run counts as code. `obeys`: it obeys files of its folder. `sends`: it uses the network.
`changes`: it changes something, as its name says. `discloses`: it prints the environment, settings or
what was typed before, unless a form in `forms.txt` has all of its words. `own`: a function reads its
arguments, too.
`script`: a text among them is a script, which `scripts.py` reads.
`inner`: they are read only by a function, for the programs that it runs or for its subcommands.
`sets`: a builtin that may set any variable where it counts as code, or by what it runs."""

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


@cache
def programs() -> dict[str, Usage]:
    """Each program by its name, in the case in which it is written."""
    found: dict[str, Usage] = {}
    for line in lines(read_table(__package__, "programs.txt")):
        known, program = parse(line)
        found.update(dict.fromkeys(known, program))
    return found


def known(name: str) -> Usage | None:
    """The program `name`; one that counts as code in each of its versions, so `python3.11` is python."""
    program = programs().get(name)
    if program is None:
        program = programs().get(name.rstrip("0123456789.-"))
        program = program if program and "code" in program.traits else None
    return program
