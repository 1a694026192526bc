"""Credentials in plain text: how one is told in a file of settings, and the profiles and files of variables.

Law of this file: a value is held by the redactor before anything is reported about its place.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from mcpguard.authoring.findings import Finding, Unchecked
from mcpguard.config.loading import Server
from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.redaction.detectors.named.shapes import is_literal
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.scanning import tokens
from mcpguard.core.secret import Secret, Template
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.permissions import open_to_readers
from mcpguard.doctor.surroundings import CheckSubject, MachineSurroundings, text_of
from mcpguard.onboarding.discovery.entry import Entry, Place
from mcpguard.onboarding.discovery.plaintext import secrets_of, secrets_of_setting

TOLD = 50
"""How many lines of one file are reported."""
_PATIENCE = 16
"""Nobody waits for a message while a file is read."""

FILES_LIMIT = 100
"""How many files of one pattern are read."""

HOME = (
    ".bashrc", ".bash_profile", ".bash_login", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile",
    ".zlogin", ".kshrc", ".cshrc", ".tcshrc", ".login", ".xprofile", ".xsessionrc", ".pam_environment",
    ".env", ".envrc",
)  # fmt: skip
"""Files of the home folder that are looked into."""

CONFIG = ("environment.d/*.conf", "fish/config.fish", "fish/fish_variables", "fish/conf.d/*.fish")
"""Files of `$XDG_CONFIG_HOME` (`~/.config`) that are looked into."""

PROJECT = (".env", ".env.local", ".envrc")
"""Files of the current folder that are looked into: what works there reads them."""

_WORD = r"""("[^"\n]{0,4096}"|'[^'\n]{0,4096}'|[^\s;#"']{1,4096})"""
_NAME = r"([A-Za-z_][A-Za-z0-9_]{0,127})"
_SETS = (
    re.compile(rf"(?:^|[\s;]){_NAME}={_WORD}"),
    re.compile(
        rf"^\s{{0,64}}(?:setenv|set(?:\s{{1,8}}-{{1,2}}[a-zA-Z]{{1,16}}){{1,4}})"
        rf"\s{{1,8}}{_NAME}\s{{1,8}}{_WORD}"
    ),
    re.compile(rf"^SETUVAR (?:--export )?{_NAME}:{_WORD}"),
)
_LEAST = 8
"""Characters of a value that is reported in a file in which anything may stand."""


def check(subject: CheckSubject) -> Iterator[Checked]:
    """D102, and D103 in mcpguard's own configuration."""
    for path in _profiles(subject.at):
        yield from _lines(subject, path, "D102")
    own = list(_own(subject))
    yield from own
    told = {one.line for one in own}
    for seen in _lines(subject, subject.path, "D103"):
        if isinstance(seen, Unchecked) or seen.line not in told or seen.code != "D103":
            yield seen
    if own:
        yield from open_to_readers(subject.path, subject.at)


def _own(subject: CheckSubject) -> Iterator[Finding]:
    for server in () if subject.config is None else subject.config.servers.values():
        entry = _as_entry(server)
        for said, _ in in_plain_text(entry, subject.redactor):
            way = (*entry.where, *said.partition(" ")[0].split(".", 1))
            message = f"the server {entry.name} has it in {said}"
            yield found("D103", subject.path, message, subject.line(*way), subject=entry.name)


def _profiles(at: MachineSurroundings) -> Iterator[Path]:
    if at.home is not None:
        yield from (at.home / name for name in HOME)
    if at.settings is not None:
        for pattern in CONFIG:
            yield from _some(at.settings, pattern)
    if (zsh := at.environ.get("ZDOTDIR")) and Path(zsh) != at.home:
        yield from (Path(zsh) / name for name in HOME if name.startswith(".z"))
    if at.project != at.home:
        yield from (at.project / name for name in PROJECT)


def _some(folder: Path, pattern: str) -> list[Path]:
    if "*" not in pattern:
        return [folder / pattern]
    try:
        return sorted(folder.glob(pattern))[:FILES_LIMIT]
    except OSError:
        return []


def _lines(subject: CheckSubject, path: Path, code: str) -> Iterator[Checked]:
    text = text_of(path)
    if isinstance(text, Unchecked):
        yield text
    elif text:
        try:
            places = secrets_in(text, subject.redactor, by_name=code == "D102")
        except InspectionError:
            yield Unchecked(str(path), "it contains too much that looks like a credential")
            return
        at = subject.at
        for count, (line, what) in enumerate(places, 1):
            rest = "; the lines after it were not checked" if count == TOLD else ""
            yield found(code, path, f"looks like a credential: {what}{rest}", line)
        if places:
            yield from open_to_readers(path, at)


def secrets_in(text: str, redactor: Redactor, *, by_name: bool = True) -> list[tuple[int, str]]:
    """(line, what it looks like) of the credentials in `text`, one a line, the first TOLD of them; `by_name`:
    variables with the name of one too. Raises InspectionError for too many."""
    lines = text.splitlines()
    formats = _formats(text)
    places: list[tuple[int, str]] = []
    for number in range(1, len(lines) + 1):
        kind = formats.get(number, "")
        what = kind if kind or not by_name else _named(lines[number - 1], redactor)
        if what:
            places.append((number, what))
        if len(places) == TOLD:
            break
    return places


def _formats(text: str) -> dict[int, str]:
    """Line -> kind; the redactor knows these by their form."""
    data = text.encode("utf-8", "replace")
    starts = list(
        accumulate((len(line.encode("utf-8", "replace")) for line in text.splitlines(True)), initial=0)
    )
    places: dict[int, str] = {}
    for start, end, kind in sorted(tokens(data + PAD, _PATIENCE)):
        if is_literal(data[start:end].decode("utf-8", "replace")):
            places.setdefault(bisect_right(starts, start), kind)
    return places


def _named(line: str, redactor: Redactor) -> str:
    if line.lstrip().startswith("#"):
        return ""
    return ", ".join(name for name, value in _assigned(line) if _kept(redactor, name, value))


def _assigned(line: str) -> Iterator[tuple[str, str]]:
    for pattern in _SETS:
        for one in pattern.finditer(line):
            yield one[1], one[2].strip("\"'")


def _kept(redactor: Redactor, name: str, value: str) -> bool:
    found = [one for one in secrets_of_setting(name, value) if len(one) >= _LEAST]
    for secret in found:
        hold(redactor, name, secret)
    return bool(found)


def in_plain_text(entry: Entry, redactor: Redactor) -> list[tuple[str, str]]:
    """Where a server's entry holds a credential and how it was known, with the value, which is held now."""
    told: dict[str, str] = {}
    # An entry that cannot be imported as it stands has none yet.
    for one in entry.secrets or secrets_of(entry):
        where, value = ".".join(map(str, one.place)), entry.value_of(one)
        hold(redactor, where, value)
        told.setdefault(where if one.why == "name" else f"{where} ({one.why})", value)
    return list(told.items())


def places_in(server: Server, redactor: Redactor) -> Iterator[tuple[Place, str]]:
    """Where one of mcpguard's own servers holds a credential, within its entry, and how it was known; values
    are held now."""
    entry = _as_entry(server)
    for one in secrets_of(entry):
        hold(redactor, ".".join(map(str, one.place)), entry.value_of(one))
        yield one.place, one.why


def _as_entry(server: Server) -> Entry:
    """As a client would have it; references stay references."""
    return Entry(
        name=server.name,
        where=("servers", server.name),
        line=0,
        command=server.command,
        args=server.args,
        env={key: _written(value) for key, value in server.env.items()},
        url="" if server.url is None else _written(server.url),
        headers={key: _written(value) for key, value in server.headers.items()},
    )


def _written(template: Template) -> str:
    refs = [f"${{{ref}}}" for ref in template.refs]
    return template.texts[0] + "".join(ref + text for ref, text in zip(refs, template.texts[1:], strict=True))


def hold(redactor: Redactor, name: str, value: str) -> None:
    """No report may show `value` from now on."""
    try:
        redactor.hold(name, Secret(value))
    except CredentialError:
        return
