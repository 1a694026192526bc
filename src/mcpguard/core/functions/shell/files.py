"""Which words of commands name files that hold secrets, or that programs obey by themselves.

Law of this file: a word for which it cannot be determined whether it names such a file, such as a glob that
may be a secret, counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.naming import OBEYED, PLAIN, SECRETS, KindFinder
from mcpguard.core.functions.shell.words import Word
from mcpguard.core.tables import names

_PLAIN = re.compile(r"[^\s*?\[{}$()|\\`]+")
_SOURCE = frozenset(one[1:] for one in PLAIN) | names("""
    avif bmp eot gif icns ico ipynb jpeg jpg lock log map mp3 mp4 otf png svg tif tiff ttf wav webm webp woff
    woff2
""")
DATA = _SOURCE | {"cfg", "conf", "csv", "ini", "json", "toml", "txt", "xml", "yaml", "yml"}
"""Endings by which nobody means secrets, though files with secrets have them too."""
_IDLE = _SOURCE - {"md", "mdx"} | names("""
    a bak class csv egg-info gz ipynb jpg lock log o old orig pdf png pyc pyo so svg tgz tmp tsbuildinfo
    txt zip
""")
"""Endings of files that nothing obeys before they are built or run."""
_ENDINGS = re.compile(r"(.*/)?\*\.(?:\{([\w.,-]+)\}|([\w.-]+))", re.DOTALL)
_KNOWN = re.compile(r"(.*/)?(?:changelog|dockerfile|licen[cs]e|makefile|readme)\*", re.DOTALL | re.IGNORECASE)
_ANYWHERE = re.compile(r"(?:(?<=/)|\A)(?:\*\*/)+")
_ALL = re.compile(r"(.*[^/*])/\*\*?", re.DOTALL)
_LIST = names("""
    basename chmod chown dirname du echo file find ls md5sum mkdir printf realpath rm rmdir sha256sum stat
    touch tree wc
""")
"""Programs that show no more of a file than its name, its size and a hash."""
_TAKE = names("""
    7z 7za 7zr borg bsdtar cp cpio ditto gcp gln gmv gtar install ln mv pax rar rclone restic rsync
    scp tar zip
""")
"""Programs that give a folder another name, so that what is in it is no longer known by its own."""
_SEARCH = names("grep egrep fgrep ggrep rg")
"""Programs that may search what find finds, as they may search a folder."""
_NAMES = names("git find gfind")
"""Programs whose arguments name files in ways of their own: `HEAD:.env`, `-name .env`."""
_SHOW = names(". cat cd git grep head ls source tail")
"""Programs that write no file, or whose files `writes` names."""


Command = tuple[str, tuple[Word, ...]]
"""A program and its arguments."""


def secrets(
    files: Iterable[str], commands: Iterable[Command], selected: Iterable[str], code: bool
) -> list[str]:
    """Of `files`, which are read or written, of the arguments of `commands`, and of globs that choose what
    they read, those that name secrets. `code`: the commands could do more than is known."""
    commands = list(commands)
    found = set(_of(SECRETS, files, commands))
    found |= {one for one in selected if _chooses(SECRETS, one, DATA)}
    shown = _could_show(commands, code)
    return sorted(found | {one for one, endings in shown if _chooses(SECRETS, one, endings)})


def obeyed(files: Iterable[str], commands: Iterable[Command], changing: frozenset[str]) -> list[str]:
    """Of `files`, which are written, and of the arguments of those `commands` whose programs are `changing`
    something, those that programs obey."""
    commands = list(commands)
    return sorted(
        {*_of(OBEYED, files, commands)}
        | {one.text for one in _could_write(commands, changing) if _writes_obeyed(one)}
    )


def _of(kind: KindFinder, files: Iterable[str], commands: list[Command]) -> Iterator[str]:
    """Those of `files` that are of a kind, and folders that hold such files where a command may take them."""
    whole = any(_takes(program, args) for program, args in commands)
    yield from (one for one in files if _is(kind, one, whole=whole))
    yield from (one for one in _taken(commands) if _is(kind, one, whole=True))


def _takes(program: str, args: tuple[Word, ...]) -> bool:
    return program in _TAKE or (program == "git" and any(word.text == "mv" for word in args))


def _taken(commands: Iterable[Command]) -> Iterator[str]:
    for program, args in commands:
        if _takes(program, args):
            yield from (word.text for word in args if _PLAIN.fullmatch(word.text))


def _could_show(commands: Iterable[Command], code: bool) -> Iterator[tuple[str, frozenset[str]]]:
    """What may name a secret, and the endings by which nobody means one: of what is searched there are more,
    since only lines are shown, as when a folder is searched."""
    for program, args in commands:
        endings = _SOURCE if code or program not in _SEARCH else DATA
        for word in args:
            if code or not _is_read(program, word):
                glob = word.pattern and program not in _LIST
                if glob or ((code or program in _NAMES) and _PLAIN.fullmatch(word.text)):
                    yield word.text, endings


def _is_read(program: str, word: Word) -> bool:
    """Whether a word is read by its role, or by what chooses files, or means what is not shown."""
    if program == "git":
        return word.pattern or word.text.startswith((":!", ":^", "--format=", "--pretty="))
    return (word.found and program in _SEARCH) or (word.pattern and word.text.startswith("--"))


def _could_write(commands: Iterable[Command], changing: frozenset[str]) -> Iterator[Word]:
    for program, args in commands:
        if program in changing - _SHOW:
            yield from (word for word in args if word.pattern or _PLAIN.fullmatch(word.text))


def _writes_obeyed(word: Word) -> bool:
    return _chooses(OBEYED, word.text, _IDLE) if word.pattern else _is(OBEYED, word.text)


def _chooses(kind: KindFinder, glob: str, endings: frozenset[str]) -> bool:
    """Whether a glob chooses files of a kind, or could. One that means all files with one of `endings`, or
    all of a folder that is named, does not."""
    glob = _ANYWHERE.sub("", glob)
    known = _KNOWN.fullmatch(glob) or (endings is not _SOURCE and _ALL.fullmatch(glob))
    if known:
        return bool(known[1]) and _is(kind, known[1])
    found = _ENDINGS.fullmatch(glob)
    if found is None:
        return _is(kind, glob)
    folder, ends = found[1] or "", (found[2] or found[3]).split(",")
    means = ("a" if one.rpartition(".")[2] in endings else "*" for one in ends)
    return any(_is(kind, f"{folder}{stem}.{one}") for stem, one in zip(means, ends, strict=True))


def _is(kind: KindFinder, path: str, *, whole: bool = False) -> bool:
    """`whole`: the path may be a folder, with all that is in it."""
    try:
        return kind.finds(path, whole=whole)
    except FunctionError:
        return True
