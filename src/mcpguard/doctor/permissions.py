"""Files that others may read or change: configurations, policies, mounted credentials, state.

Law of this file: what several files depend on is reported once.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

from mcpguard.authoring.check.exposure import exposed, held_in
from mcpguard.authoring.check.relied import Relied, mounted, records, relied_on, rules
from mcpguard.authoring.check.writable import writable
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config, Server
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.surroundings import CheckSubject, MachineSurroundings


def check(subject: CheckSubject) -> Iterator[Checked]:
    """D501 for what mcpguard goes by, D502 for mounted credentials, D503, D504, D505, D506 and D601."""
    config = subject.config
    state = [subject.sessions, subject.audit]
    own = [subject.path] if config is None else rules(config)
    yield from open_to_writers("D501", own, subject.at)
    for name in [] if config is None else mounted(config):
        yield from open_to_readers(Path(os.path.expanduser(name)), subject.at)
    for folder in state:
        if who := readers(folder):
            run = _command("chmod go-rx", folder, subject.at)
            yield found("D503", folder, f"{who} can read it", run=run)
    yield from open_to_writers("D601", [*state, *([] if config is None else records(config))], subject.at)
    if config is not None:
        relied = [*relied_on(config, subject.at.state, subject.at.programs)]
        for server in config.served.values():
            yield from _exposed(subject, config, server, relied)


def _exposed(
    subject: CheckSubject, config: Config, server: Server, relied: list[Relied]
) -> Iterator[Finding]:
    """What agents can put something else in place of."""
    for folder in dict.fromkeys(one.folder for one in writable(config, server)):
        if held := held_in(folder, relied):
            said = f"the server {server.name} works in this folder, which {held}"
            yield found("D504", folder, said, subject=server.name)
    for one in exposed(config, server, relied):
        code, line = "D505" if one.use else "D506", subject.line(*one.way)
        yield found(code, subject.path, one.said(server.name), line, subject=server.name)


def open_to_writers(code: str, paths: Iterable[Path], at: MachineSurroundings) -> Iterator[Finding]:
    """A finding for everything that lets others change one of `paths`."""
    open_to: dict[tuple[Path, str], list[Path]] = {}
    trusted = trusted_in(at)
    for path in dict.fromkeys(paths):
        if os.path.lexists(path):
            for one, who in writers(path, trusted):
                open_to.setdefault((one, who), []).append(path)
    for (one, who), for_these in open_to.items():
        others = [path for path in for_these if path != one]
        what = f"; {_named(others)} can be replaced through it" if others else ""
        if who == "its owner":
            yield found(code, one, "another user owns it" + what, run=_command(f"chown {at.uid}", one, at))
        else:
            run = _command("chmod go-w", one, at)
            yield found(code, one, f"{who} can write to it{what}", run=run)


def _command(words: str, path: Path, at: MachineSurroundings) -> str:
    """`words` for `path`, as the administrator where nobody else may: only an owner changes what others may
    do, and only the administrator changes owners."""
    try:
        mine = at.uid == 0 or (path.stat().st_uid == at.uid and not words.startswith("chown"))
    except OSError:
        mine = True
    return f"{'' if mine else 'sudo '}{words} {quote(str(path))}"


def trusted_in(at: MachineSurroundings) -> frozenset[int]:
    """The users who may change anything of this one: the administrator, and the owner of the home."""
    trusted = {0, at.uid}
    if at.home is not None and at.home.is_dir():
        trusted.add(at.home.stat().st_uid)
    return frozenset(trusted)


def _named(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def open_to_readers(path: Path, at: MachineSurroundings) -> Iterator[Finding]:
    """D502 if others can read the file at `path`, which holds a credential."""
    if who := readers(path):
        yield found("D502", path, f"{who} can read it", run=_command("chmod go-rwx", path, at))


# --- one file: nothing is opened, and access control lists are not checked -------------------------


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
    return writer_of(facts, trusted, on_the_way=on_the_way)


def writer_of(facts: os.stat_result, trusted: frozenset[int], *, on_the_way: bool = False) -> str:
    """As `writer`, of what `os.lstat` gives."""
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
