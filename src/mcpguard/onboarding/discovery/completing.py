"""What an entry takes from elsewhere when its client starts it, filled in: files of variables, defaults of
variables, variables in arguments, and what a person is asked for.

Law of this file: what is filled in is looked through for secrets like what was written there.
"""

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from mcpguard.adapters.system.files import read_regular
from mcpguard.config.references import holds_no_secret
from mcpguard.core.redaction.detectors.named.naming import signal
from mcpguard.core.redaction.held.guessing import guessed
from mcpguard.core.redaction.held.search import unguardable
from mcpguard.core.secret import CredentialRef, Unprinted
from mcpguard.onboarding.discovery.entry import Entry, NotMoved, Place, Plaintext, translated
from mcpguard.onboarding.discovery.inputs import Input
from mcpguard.onboarding.discovery.plaintext import secrets_of, secrets_of_setting
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces

Answer = Callable[[ClientFile, Input], str | None]
"""What a person says to an input of a client's file, "" to leave it empty; None where nobody is asked."""


def no_answer(_found: ClientFile, _input: Input) -> str | None:
    """Nobody is asked."""
    return None


FILE_LIMIT = 1 << 20
"""The largest file of variables that is read, in bytes."""

_DOTENV = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=[ \t]*|:[ \t]+)"
    r"('(?:\\'|[^'])*'|\"(?:\\\"|[^\"])*\"|`(?:\\`|[^`])*`|[^#\r\n]*)",
    re.MULTILINE,
)
_INPUT = re.compile(r"\$\{input:([^}]{1,200})\}")
_DEFAULT = re.compile(r"\$\{([A-Za-z_]\w*):-([^${}]*)\}")
_VARIABLES = {
    "braced": re.compile(r"\$\{env:([A-Za-z_]\w*)\}"),
    "plain": re.compile(r"\$\{([A-Za-z_]\w*)\}"),
    "shell": re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))"),
    "curly": re.compile(r"\{env:([A-Za-z_]\w*)\}"),
}
"""The style of a client -> a variable as it writes it."""
_FORMS = {"braced": "${env:%s}", "plain": "${%s}", "shell": "${%s}", "curly": "{env:%s}"}
"""The same, to be filled in."""
_PASSED = re.compile(r"^(?:-e\n?|--env[=\n])([A-Za-z_]\w*)$", re.MULTILINE)
_RUNNERS = frozenset(("docker", "podman", "nerdctl"))


class CompletedEntry(Unprinted, frozen=True):
    """An entry with all that its client would fill in at its start, and notes for the person."""

    entry: Entry
    notes: tuple[str, ...] = ()


class StartContext(Unprinted, frozen=True):
    """What a client knows when it starts an entry; `environ` are the variables that it is taken to have."""

    found: ClientFile
    places: SearchPlaces
    project: Path | None
    environ: Mapping[str, str]
    answer: Answer


def completed(entry: Entry, at: StartContext) -> CompletedEntry:
    """`entry` as it is when its client starts it. Raises NotMoved."""
    notes: list[str] = []
    given: list[Plaintext] = []
    made = _answered(entry, at, given)
    made = _with_env_file(made, at, notes)
    made = _with_container_files(made, at, notes)
    made = _with_passed_variables(made, at)
    made = _with_defaults(made, at, notes)
    made = _with_variables(made, at, notes)
    return CompletedEntry(looked_through(entry, made, given), tuple(notes))


def looked_through(before: Entry, after: Entry, given: list[Plaintext] | None = None) -> Entry:
    """`after` with its secrets: those of `before` where a value is the same, so that the person's word on it
    counts; else what is `given`, and what is found."""
    if after is before:
        return before
    was, now = before.texts, after.texts
    same = {place for place, text in now.items() if was.get(place) == text}
    known = [one for one in before.secrets if one.place in same]
    places = {one.place for one in given or ()}
    known += given or []
    known += [one for one in secrets_of(after) if one.place not in same | places]
    return replace(after, secrets=tuple(sorted(known, key=lambda one: (str(one.place), one.start))))


def _rewritten(entry: Entry, change: Callable[[Place, str], str]) -> Entry:
    texts = {place: change(place, text) for place, text in entry.texts.items()}
    if texts == entry.texts:
        return entry
    return replace(
        entry,
        args=tuple(texts["args", index] for index in range(len(entry.args))),
        env={name: texts["env", name] for name in entry.env},
        headers={name: texts["headers", name] for name in entry.headers},
        url=texts[("url",)],
        command=texts[("command",)],
    )


def _answered(entry: Entry, at: StartContext, given: list[Plaintext]) -> Entry:
    inputs = {one.name: one for one in at.found.inputs}

    def change(place: Place, text: str) -> str:
        parts: list[str] = []
        end = length = 0
        for one in _INPUT.finditer(text):
            asked = inputs.get(one[1])
            value = None if asked is None else at.answer(at.found, asked)
            if asked is None or value is None:
                continue
            if not value:
                raise NotMoved(
                    f"asks for a value when it starts (${{input:{one[1]}}}), which you left empty: run "
                    "`mcpguard import` again and enter it"
                )
            parts += [text[end : one.start()], value]
            length += one.start() - end
            if asked.password:
                given.append(Plaintext(place, length, length + len(value), "you"))
            length += len(value)
            end = one.end()
        return "".join([*parts, text[end:]])

    return _rewritten(entry, change)


def _with_env_file(entry: Entry, at: StartContext, notes: list[str]) -> Entry:
    if not entry.env_file:
        return entry
    path = _path(translated(entry.env_file, at.found.client, at.places.home, at.project), at)
    if path is None:
        raise NotMoved(
            "reads variables from a file (envFile) whose place depends on where its client is started"
        )
    variables = dotenv(_text(path))
    notes.append(f"had its variables from {path}, which still contains them")
    return replace(entry, env_file="", env={**variables, **entry.env})


def _with_container_files(entry: Entry, at: StartContext, notes: list[str]) -> Entry:
    """`--env-file F` of a runner of containers as `-e NAME=VALUE`."""
    if os.path.basename(entry.command) not in _RUNNERS:
        return entry
    words: list[str] = []
    rest = list(entry.args)
    while rest:
        word = rest.pop(0)
        name = word.removeprefix("--env-file=") if word.startswith("--env-file=") else ""
        if word == "--env-file" and rest:
            name = rest.pop(0)
        path = _path(name, at) if name else None
        if path is None:
            words += [word, name] if name and word == "--env-file" else [word]
            continue
        lines = [line.strip() for line in _text(path).splitlines()]
        for line in lines:
            words += ["-e", line] if line and not line.startswith("#") else []
        notes.append(f"had variables from {path}, which still contains them")
    return entry if tuple(words) == entry.args else replace(entry, args=tuple(words))


def _with_passed_variables(entry: Entry, at: StartContext) -> Entry:
    """`-e NAME` of a runner of containers, which takes the value from what its client has."""
    form = _FORMS.get(at.found.client.style)
    if form is None or os.path.basename(entry.command) not in _RUNNERS:
        return entry
    text = "\n".join(entry.args)
    names = {one[1] for one in _PASSED.finditer(text)} & set(at.environ) - set(entry.env)
    return (
        replace(entry, env={**entry.env, **{name: form % name for name in sorted(names)}}) if names else entry
    )


def _path(name: str, at: StartContext) -> Path | None:
    path = at.places.home / name[2:] if name.startswith("~/") else Path(name)
    if path.is_absolute():
        return path
    return None if at.project is None else at.project / path


def _text(path: Path) -> str:
    try:
        data = read_regular(path, FILE_LIMIT)
        if data is not None and len(data) <= FILE_LIMIT:
            return data.decode()
    except (OSError, UnicodeDecodeError):
        pass
    raise NotMoved(f"reads variables from {path}, which cannot be read")


def dotenv(text: str) -> dict[str, str]:
    """The variables in a file as VS Code and Node's `dotenv` read it: quotes of three kinds, `export`,
    comments, and line breaks written as `\\n` in double quotes only."""
    found: dict[str, str] = {}
    for one in _DOTENV.finditer(text):
        value = one[2].strip()
        quote = value[:1]
        if len(value) > 1 and quote in "'\"`" and value.endswith(quote):
            value = value[1:-1]
            if quote == '"':
                value = value.replace("\\n", "\n").replace("\\r", "\r")
        found[one[1]] = value
    return found


def _with_defaults(entry: Entry, at: StartContext, notes: list[str]) -> Entry:
    """`${X:-d}` as `${X}` where X is set, else as `d`."""
    if at.found.client.style not in ("plain", "shell"):
        return entry

    def one(found: re.Match[str]) -> str:
        if found[1] in at.environ:
            return f"${{{found[1]}}}"
        notes.append(f"has the default of {found[1]} written out, since that variable is not set here")
        return found[2]

    return _rewritten(entry, lambda _, text: _DEFAULT.sub(one, text))


def _with_variables(entry: Entry, at: StartContext, notes: list[str]) -> Entry:
    """Variables as they are now: in arguments, where mcpguard fills in none, and elsewhere those that are not
    secrets, since what mcpguard fills in disappears from results. Those of secrets stay."""
    pattern = _VARIABLES.get(at.found.client.style)
    if pattern is None:
        return entry
    told: set[str] = set()

    def in_argument(name: str) -> str | None:
        value = str(at.places.home) if name == "HOME" else at.environ.get(name)
        if value is None or signal(name) or secrets_of_setting(name, value):
            return None
        if name != "HOME":
            notes.append(f"has the value that {name} has now in its arguments")
        return value

    def elsewhere(name: str, key: str) -> str | None:
        value = _of_no_secret(name, key, at.environ.get(name, ""))
        told.update(() if value is None else (name,))
        return value

    def change(place: Place, text: str) -> str:
        key = str(place[-1])
        value_of = in_argument if place[0] in ("args", "command") else partial(elsewhere, key=key)

        def one(found: re.Match[str]) -> str:
            value = value_of(next(filter(None, found.groups())))
            return found[0] if value is None else value

        return pattern.sub(one, text)

    made = _rewritten(entry, change)
    if told:
        notes.append(f"has the value that {', '.join(sorted(told))} has now, since it is not a secret")
    return made


def _of_no_secret(name: str, key: str, value: str) -> str | None:
    """`value` of the variable `name`, to be filled in under `key`, if it would be held though it is not a
    secret; None if the configuration can refer to it. Raises NotMoved for a secret that cannot be held."""
    if not value or holds_no_secret(CredentialRef("env", name)):
        return None
    fault = unguardable(value)
    if secrets_of_setting(name, value) or secrets_of_setting(key, value):
        if fault:
            raise NotMoved(f"refers to {name}, whose value {fault}, so it could not be redacted from results")
        return None
    usable = value.isprintable() and not set(value) & set("${}")
    return value if usable and (fault or guessed(value)) else None
