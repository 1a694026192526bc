"""Programs that run another one, which their arguments name. To add one: a line in `WRAPPERS`.

Law of this file: an option that does not stand here is refused, since it could take an argument and so move
where the inner command begins. Sources: GNU coreutils, findutils and procps manuals, sudo(8), doas(1).
"""

from __future__ import annotations

from msgspec import Struct


class Wrapper(Struct, frozen=True):
    """How to find the inner command: after the options and then `operands` words.

    `short` is as for getopt: each letter an option, with a colon when it takes an argument. `long` likewise,
    with an equals sign. `assigns`: NAME=value may stand before the command. `joined`: the rest is a text for
    a shell. `appends`: arguments that are not here will follow. `needs`: it may
    not stand alone (with a redirect, zsh runs cat then). `quiet`: short options with which nothing
    runs. `marks`: short options whose argument is replaced in the command. `moves`: options that change the
    folder in which it runs. `renames`: short options that give it another name, by which a program that is
    many in one, such as BusyBox, chooses what it does.
    """

    short: str = ""
    long: tuple[str, ...] = ()
    operands: int = 0
    assigns: bool = False
    joined: bool = False
    appends: bool = False
    needs: bool = False
    quiet: str = ""
    marks: str = ""
    moves: tuple[str, ...] = ()
    renames: str = ""


WRAPPERS: dict[str, Wrapper] = {
    "env": Wrapper("iu:C:", ("ignore-environment", "unset=", "chdir="), assigns=True, moves=("C", "chdir")),
    "sudo": Wrapper(
        "EHnSPbu:g:p:C:D:",
        ("user=", "group=", "non-interactive", "set-home", "stdin", "preserve-env", "chdir=", "prompt="),
        assigns=True,
        moves=("D", "chdir"),
    ),
    "doas": Wrapper("nu:"),
    "nohup": Wrapper(),
    "nice": Wrapper("n:", ("adjustment=",)),
    "ionice": Wrapper("c:n:t", ("class=", "classdata=", "ignore")),
    "timeout": Wrapper(
        "k:s:v", ("kill-after=", "signal=", "preserve-status", "foreground", "verbose"), operands=1
    ),
    "gtimeout": Wrapper("k:s:v", ("kill-after=", "signal=", "preserve-status", "foreground"), operands=1),
    "time": Wrapper("p", assigns=True, needs=True),
    "stdbuf": Wrapper("i:o:e:", ("input=", "output=", "error=")),
    "setsid": Wrapper("cfw", ("ctty", "fork", "wait")),
    "exec": Wrapper("cla:", renames="a"),
    "command": Wrapper("pvV", needs=True, quiet="vV"),
    "builtin": Wrapper(needs=True),
    "noglob": Wrapper(needs=True),
    "nocorrect": Wrapper(needs=True),
    "busybox": Wrapper(),
    "toybox": Wrapper(),
    "unbuffer": Wrapper("p"),
    "caffeinate": Wrapper("disu"),
    "xargs": Wrapper(
        "0rtxn:L:P:d:E:s:I:a:",
        ("null", "no-run-if-empty", "verbose", "exit", "max-args=", "max-procs=", "delimiter=", "arg-file="),
        appends=True,
        marks="I",
    ),
    "watch": Wrapper("n:tdbegc", ("interval=", "no-title", "beep", "errexit", "color"), joined=True),
    "eval": Wrapper(joined=True),
}
"""By the name of the program."""

SHELL_OPTIONS = "cefuxl"
"""Short options of all `SHELLS` that take no argument."""
