"""Lists of names that mean something to a shell, or to readers of its commands. To add one: a word in a list.

Law of this file: lists only. What a list is good for stands below it.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


RESERVED = names("""
    if then else elif fi do done case esac while until for in select function coproc { } ! [[ ]] ]
    repeat foreach end always
""")
"""Words that begin or end something other than a command, in some shell."""

ZSH_VARIABLES = names("""
    path fpath cdpath mailpath manpath module_path fignore psvar argv status prompt watch aliases
    functions commands options parameters precmd_functions preexec_functions chpwd_functions
""")
"""Variables in lower case that zsh obeys: zshparam(1)."""

DECLARING = names("""
    export declare typeset local readonly unset read integer float private
""")
"""Builtins that set the variables that their arguments name."""

SHELLS = names("""
    sh bash dash ash zsh ksh mksh rbash rzsh lksh
""")
"""Programs that read the language that is read here."""
