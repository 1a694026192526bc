"""Programs, devices, files and calls in which a place can hold nothing but a password.

Law of this file: an entry leads from a literal to the password, over a bounded number of bytes, and says what
stands there when there is no password.
"""

import re
from functools import cache
from typing import NamedTuple

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.values import ENDS
from mcpguard.core.tables import read_table

_QUOTED = r"""[\"'][^\"'\x00-\x1f\xff]{1,256}[\"']"""
_OF_COMMAND = r"\n\r|;&\x00-\x08\x0b-\x1f\xff"
_GOES_ON = r"(?<=\\)\r?\n"
_OF_LEADS = {
    "WORD": r"[^\s\x00-\x1f\xff]",
    # What may stand between a program and what it takes, within one command; and an option behind that.
    "ALONG": rf"(?:[^ \t{_OF_COMMAND}]{{0,240}}+(?:[ \t]|{_GOES_ON})){{1,40}}?(?<=[ \t\n])",
    "OPTION": rf"(?:[^{_OF_COMMAND}-]{{0,240}}+(?:-|{_GOES_ON})){{1,48}}?(?<=[ \t\n]-)",
    "QUOTE": r"""\\?["']?""",
    # Programs that read a password from a pipe.
    "READS": r"(?:(?:sudo )?(?:sudo -S|cryptsetup |gpg |docker login|kinit|hdiutil |passwd "
    r"|smbpasswd|wg pubkey|sshfs |encfs |gocryptfs |samba-tool |pdbedit )"
    r"|[\w./-]{1,32}(?: [^\s|;&\x00-\x1f\xff]{1,64}){0,6}? (?:--(?:with-token|pass(?:word|wd)(?:-on)?-stdin)"
    r"|secrets? (?:set|put|create)|secrets versions add|env add ))",
    "NAME": r"[A-Za-z0-9][\w.@+-]{0,63}",
    "TEXT": _QUOTED,
    "ARGUMENT": rf"(?:{_QUOTED}|[\w$>:.()-]{{1,64}})",
    "NEXT": r"\s{0,4},\s{0,32}",
    "DIGIT": r"(?=[^\s0-9\x00-\x1f\xff]{0,64}[0-9])",
    # What people and programs make for passwords: not a word, a number, a path or a port.
    "MIXED": r"(?=[^\s0-9/\x00-\x1f\xff]{0,64}[0-9])(?=[^\sA-Za-z/\x00-\x1f\xff]{0,64}[A-Za-z])"
    r"(?![0-9.]{1,15}:|[0-9]{1,5}/)(?=[^\s\"'`|;&<>()\x00-\x1f\xff]{6,128}(?:[\s\"';|&)]|" + ENDS + "))",
    # A name that says so.
    "SECRETIVE": r"(?:[Pp]ass|PASS|[Tt]oken|TOKEN|[Ss]ecret|SECRET|[Kk]ey|KEY|[Pp]wd|PWD)",
    "UUID": "(?=[0-9a-f]{8}-[0-9a-f]{4}-)",
    # What a field of a form is called.
    "LABEL": r"[^\"'\x00-\x1f\xff]{0,48}(?:[Pp]assword|[Pp]asscode|[Pp]assphrase|[Tt]oken|[Ss]ecret|PI [Kk]ey"
    r"|asswort|ennwort|ontraseña|[Ss]enha|ot de passe)[^\"'\x00-\x1f\xff]{0,24}",
    "STATE": r"(?: \[[a-z]{1,12}(?:=[\w-]{1,12})?\])",
    "ENDS": ENDS,
}
_NAMED = expression("<([A-Z]+)>")
_BEFORE_AN_OPTION = expression(r"(?:\(\?:<ALONG>\)\?|<ALONG>)-")
_WRITTEN = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


class ProgramPasswords(NamedTuple):
    """An entry of `programs.txt` or `printed.txt`: in brackets the names that programs begin with; behind
    `>` the expression that leads to the password behind them, in which a word in angle brackets stands for
    what `_OF_LEADS` says; behind `+` and `-` examples with a password in place of `{}`, and without one.

    `leads` ends where the value begins, behind its quotes; before `until` it ends.
    """

    names: tuple[str, ...]
    leads: str
    until: bytes
    hits: tuple[str, ...]
    misses: tuple[str, ...]


def _entries(table: str) -> tuple[ProgramPasswords, ...]:
    return tuple(map(_entry, read_table(__package__, table).strip().split("\n\n")))


def _entry(text: str) -> ProgramPasswords:
    lines: dict[str, list[str]] = {mark: [] for mark in ("[", "> ", "until ", "+ ", "- ")}
    for line in text.split("\n"):
        mark = next(filter(line.startswith, lines))
        lines[mark].append(line.removeprefix(mark))
    names, leads, until, hits, misses = lines.values()
    return ProgramPasswords(
        tuple(_written(name) for line in names for name in line.removesuffix("]").split("|")),
        _NAMED.sub(lambda found: _OF_LEADS[found[1]], _BEFORE_AN_OPTION.sub("<OPTION>", "".join(leads))),
        "".join(until).encode(),
        tuple(map(_written, hits)),
        tuple(map(_written, misses)),
    )


def _written(text: str) -> str:
    return re.sub(r"\\([nrt\\])", lambda found: _WRITTEN[found[1]], text)


PROGRAMS = _entries("programs.txt")
"""What takes a password."""
PRINTED = _entries("printed.txt")
"""What prints one, and what code calls with one."""
TAKING = (*PROGRAMS, *PRINTED)


@cache
def leads(program: int) -> re.Pattern[bytes]:
    """Compiled at first use, as formats are."""
    return re.compile(TAKING[program].leads.encode())
