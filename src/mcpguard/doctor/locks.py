"""The locks of clients: whether a client can start anything but mcpguard, and whether it can start that."""

import os
from collections.abc import Iterator

from mcpguard.authoring.findings import Unchecked
from mcpguard.doctor.clients import places_of
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.files import text_of
from mcpguard.doctor.surroundings import Subject
from mcpguard.onboarding.formats.tree import Unreadable
from mcpguard.onboarding.installing import as_administrator
from mcpguard.onboarding.locks.allowed import Looked, look, projects_in, titles
from mcpguard.onboarding.locks.editing import says
from mcpguard.onboarding.locks.forms import is_locked, more, refused
from mcpguard.onboarding.locks.lockable import LOCKABLE, Lockable, System


def check(subject: Subject) -> Iterator[Checked]:
    """D204, D205 and D206, for clients that have mcpguard."""
    at = subject.at
    if at.home is None:
        return  # The check of clients reports that.
    for one in LOCKABLE:
        mine = None if subject.config is None else subject.config.path
        seen = look(one, places_of(at, at.home), projects_in(subject.config, one), mine)
        if seen.allowed:
            yield from _lock(subject, one, seen)


def _lock(subject: Subject, one: Lockable, seen: Looked) -> Iterator[Checked]:
    path = System(subject.at.system, subject.at.platform).file(one)
    text = text_of(path)
    if isinstance(text, Unchecked):
        yield text
        return
    try:
        there = says(text or "", one.format, str(path))
    except Unreadable as error:
        yield Unchecked(str(path), str(error).removeprefix(f"{path}: "))
        return
    name = seen.allowed[0].client
    if not is_locked(one, there):
        said = f"{titles(seen.allowed)} could start servers without mcpguard"
        yield found("D204", path, said, fix=f"`mcpguard lock {name}` shows how", subject=name)
        return
    words = ["lock", name, *(["--config", str(subject.path)] if subject.option else [])]
    for each in refused(one, seen.allowed, there):
        said = f"it does not allow {each.name}: {' '.join(each.command)}"
        yield found("D205", path, said, run=_line(subject, words), subject=name)
    for rest in more(one, there):
        run = _line(subject, [*words, "--replace"])
        yield found("D206", path, f"it also allows {rest}", run=run, subject=name)


def _line(subject: Subject, words: list[str]) -> str:
    environ = {"HOME": os.fspath(subject.at.home or ""), **subject.at.environ}
    return as_administrator(words, environ)
