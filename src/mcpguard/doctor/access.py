"""Who besides its owner may read or change a file, by its mode and by the folders on the way to it.

Law of this file: nothing is opened. Access control lists are not checked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def writers(path: Path, trusted: frozenset[int]) -> Iterator[tuple[Path, str]]:
    """What lets others change `path`: itself or a folder on the way to it, and who may: "everybody", "its
    group" or "its owner", who is not among the users `trusted`. Links are followed; what is not there is left
    out."""
    full = Path(os.path.abspath(path))
    real = Path(os.path.realpath(full))
    for one in dict.fromkeys([full, *full.parents, real, *real.parents]):
        if who := writer(one, trusted, on_the_way=one not in (full, real)):
            yield one, who


def writer(path: Path | str, trusted: frozenset[int], *, on_the_way: bool = False) -> str:
    """Who may change this file or folder itself, "" for nobody besides `trusted`. `on_the_way`: whether what
    is in it is what counts."""
    try:
        facts = os.lstat(path)
    except OSError:
        return ""
    return _writer(facts, trusted, on_the_way)


def _writer(facts: os.stat_result, trusted: frozenset[int], on_the_way: bool) -> str:
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        return ""
    if facts.st_uid not in trusted:
        return "its owner"
    # In a folder with the sticky bit, nobody can replace what is another's.
    if on_the_way and facts.st_mode & stat.S_ISVTX:
        return ""
    if facts.st_mode & stat.S_IWOTH:
        return "everybody"
    return "its group" if facts.st_mode & stat.S_IWGRP and is_shared(facts) else ""


def readers(path: Path) -> str:
    """Who besides its owner can read `path`: "everybody", "its group" or "" for nobody. A folder on the way
    that is closed to them closes it."""
    full = Path(os.path.realpath(path))
    try:
        facts = full.lstat()
        ways = [one.lstat() for one in full.parents]
    except OSError:
        return ""
    if facts.st_mode & stat.S_IROTH and all(way.st_mode & stat.S_IXOTH for way in ways):
        return "everybody"
    passable = all(way.st_mode & (stat.S_IXOTH | stat.S_IXGRP) for way in ways)
    return "its group" if facts.st_mode & stat.S_IRGRP and passable and is_shared(facts) else ""


def is_shared(facts: os.stat_result) -> bool:
    """Whether the group of a file has others than its owner in it, as far as the system says. That of root is
    root's, and one that is called as its owner is the owner's own."""
    import grp
    import pwd

    if facts.st_gid == 0:
        return False
    try:
        owner = pwd.getpwuid(facts.st_uid).pw_name
        group = grp.getgrgid(facts.st_gid)
    except KeyError:
        return True
    if {*group.gr_mem} - {owner, "root"}:
        return True
    if facts.st_uid == 0:
        # Debian's /usr/local belongs to a group of the system that is empty.
        return any(one.pw_gid == facts.st_gid for one in pwd.getpwall())
    return group.gr_name != owner
