"""A server of a client -> a server of mcpguard's configuration, and the secrets that it had in the clear.

Law of this file: no secret stays in what comes out. A server for which that is impossible stays with its
client, with one sentence.
"""

import base64
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from mcpguard.adapters.system.guarded import misread
from mcpguard.adapters.upstreams.process.own_folder import not_from_here, relative_arguments
from mcpguard.config.references import OWN_HEADERS, holds_no_secret
from mcpguard.config.servers import ServerEntry
from mcpguard.core.redaction.held.search import LONGEST, SHORTEST
from mcpguard.core.secret import CredentialRef, Unprinted
from mcpguard.onboarding.discovery.bridges import remote
from mcpguard.onboarding.discovery.clients import KnownClient
from mcpguard.onboarding.discovery.completing import (
    Answer,
    StartContext,
    completed,
    looked_through,
    no_answer,
)
from mcpguard.onboarding.discovery.entry import Entry, NotMoved, Place, Plaintext, literal, translated
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.discovery.programs import SecretText, environment_of, text_of
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, folder_of

_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")
_TYPES = {
    "streamablehttp": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "http": "http",
    "sse": "sse",
}


class ConvertedServer(Unprinted, frozen=True, kw_only=True):
    """`settings` is an entry of `servers` with a `SecretText` in place of each text that may hold secrets: in
    `env`, `headers` and `url`. `notes` are sentences for the person."""

    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


def corrected(entry: Entry, yes: set[Place], no: set[Place]) -> Entry:
    """`entry` with the person's word on what is a secret: `yes` and `no` are places."""
    kept = [one for one in entry.secrets if one.place not in no | yes]
    for place in yes:
        value = entry.texts.get(place)
        if value is None:
            raise NotMoved(f"has no {'.'.join(map(str, place))}")
        kept.append(Plaintext(place, 0, len(value), "you"))
    return replace(entry, secrets=tuple(sorted(kept, key=lambda one: (str(one.place), one.start))))


def convert(
    found: ClientFile,
    entry: Entry,
    places: SearchPlaces,
    environ: Mapping[str, str],
    answer: Answer = no_answer,
) -> ConvertedServer:
    """`entry` of the file `found`; `answer` asks a person what its client would ask. Raises NotMoved."""
    if entry.problem:
        raise NotMoved(entry.problem)
    if entry.claims:
        raise NotMoved(
            "looks like mcpguard, but does not start an installed mcpguard: delete it, or replace it with "
            "`mcpguard install`"
        )
    project = folder_of(found, entry.where[:-1], places)
    full = completed(entry, StartContext(found, places, project, environ, answer))
    entry = looked_through(full.entry, remote(full.entry))

    def say(text: str) -> str:
        return translated(text, found.client, places.home, project)

    settings = _remote(entry, say) if entry.url else _local(entry, say, places, project, environ)
    settings |= _timeouts(entry)
    if entry.disabled:
        settings["disabled"] = True
    _check_lengths(settings)
    return ConvertedServer(
        settings=settings, notes=(*dict.fromkeys(full.notes), *_notes(entry, settings, project))
    )


def _local(
    entry: Entry, say: Any, places: SearchPlaces, project: Path | None, environ: Mapping[str, str]
) -> Any:
    words, env = environment_of(entry)
    args = [say(word) for word in words]
    command = say(entry.command)
    if any("${" in word for word in (*args, command)):
        raise NotMoved("refers to a variable in its arguments, which every process on this machine can read")
    if any(one.place == ("command",) for one in entry.secrets):
        raise NotMoved("has a secret in its command, which every process on this machine can read")
    cwd = _folder(say(entry.cwd), places, project) if entry.cwd else None
    program = _program(command, cwd or project, places, environ)
    if cwd is None and project is not None:
        # There its client started it.
        if _runs_from(project, os.path.basename(program), args):
            cwd = project
        else:
            args = _full(args, project)
    texts = {name: text.said(say) for name, text in env.items()}
    folder = os.path.dirname(program)
    if folder not in _SYSTEM and "PATH" not in texts:
        # What the program starts is found from a desktop, too.
        texts["PATH"] = SecretText.plain(os.pathsep.join([literal(folder), *_SYSTEM]))
    settings: dict[str, Any] = {"command": program}
    if args:
        settings["args"] = args
    if texts:
        settings["env"] = texts
    if cwd is not None:
        settings["cwd"] = str(cwd)
    return settings


def _runs_from(project: Path, name: str, words: list[str]) -> bool:
    """Whether the project has what `python -m` or a launcher of packages would run."""
    if name.startswith("python") and "-m" in words[:-1]:
        module = project.joinpath(*words[words.index("-m") + 1].split("."))
        return module.is_dir() or module.with_suffix(".py").is_file()
    if name in ("npx", "bunx", "pnpx", "npm", "pnpm", "yarn", "bun"):
        installed = [
            one for word in words if (one := re.sub(r"(?<=.)@[^@/]*$", "", word)) and one[0] not in "-/."
        ]
        folder = project / "node_modules"
        return any((folder / one).is_dir() or (folder / ".bin" / one).exists() for one in installed)
    return False


def _full(words: list[str], project: Path) -> list[str]:
    """`words` with the relative paths among them as they are in the project; `./x` may be made later."""
    full = list(words)
    for index, path in (*_maybe_paths(words), *relative_arguments(words)):
        if path.startswith(("./", "../")) or os.path.exists(project / path):
            full[index] = words[index].removesuffix(path) + os.path.normpath(project / path)
    return full


def _maybe_paths(words: list[str]) -> Iterator[tuple[int, str]]:
    """Those of `words`, and of the values of options among them, that may be the name of a file or below a
    folder: a word alone is rather the name of something else."""
    for index, word in enumerate(words):
        path = word.partition("=")[2] if word.startswith("-") else word
        if path[:1] not in "-@~$/" and ":" not in path and ("/" in path or "." in path):
            yield index, path


def _folder(cwd: str, places: SearchPlaces, project: Path | None) -> Path:
    path = Path(cwd.replace("~", str(places.home), 1) if cwd.startswith("~") else cwd)
    if "${" in cwd or not (path.is_absolute() or project):
        raise NotMoved("works in a folder that depends on where its client was started")
    return path if project is None else project / path


def _program(command: str, cwd: Path | None, places: SearchPlaces, environ: Mapping[str, str]) -> str:
    if command.startswith("~/"):
        command = str(places.home / command[2:])
    said = misread(command) and f"cannot be started: {misread(command)}"
    if os.sep in command and not os.path.isabs(command):
        if cwd is None:
            raise NotMoved(said or "starts a program by a path that depends on where its client was started")
        command = str(cwd / command)
    program = shutil.which(command, path=environ.get("PATH"))
    if program is None:
        if said:
            raise NotMoved(said)
        name = os.path.basename(command)
        if os.sep in command:
            raise NotMoved(
                f"starts `{name}` by a path where there is no program: correct it, or remove the server"
            )
        raise NotMoved(f"starts `{name}`, which is not in PATH: install it, or give its full path")
    return os.path.abspath(program)


def _remote(entry: Entry, say: Any) -> dict[str, Any]:
    headers = {
        name: text_of(entry, ("headers", name), value).said(say)
        for name, value in entry.headers.items()
        if name.lower() not in OWN_HEADERS
    }
    url = text_of(entry, ("url",), entry.url)
    try:
        parts = urlsplit(entry.url)
    except ValueError:
        raise NotMoved("has an invalid URL") from None
    if parts.username is not None:
        if "Authorization" in headers:
            raise NotMoved(
                "has both a user name in its URL and an Authorization header, and only one of "
                "them can be used"
            )
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = SecretText(
            (("Basic ", False), (base64.b64encode(pair.encode()).decode(), True))
        )
        rest = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        bare = replace(entry, url=rest, headers={}, env={}, args=())
        url = text_of(replace(bare, secrets=secrets_of(bare)), ("url",), rest)
    # What is filled into a URL is percent-encoded then.
    url = SecretText(tuple((unquote(text) if hidden else text, hidden) for text, hidden in url.parts))
    settings: dict[str, Any] = {"url": url.said(say)}
    if entry.type.lower() in _TYPES:
        settings["type"] = _TYPES[entry.type.lower()]
    if headers:
        settings["headers"] = headers
    return settings


START, CALL = "start_timeout_seconds", "call_timeout_seconds"
_OWN = {key: int(ServerEntry.model_fields[key].default) for key in (START, CALL)}
_LONGEST = {START: 3600, CALL: 86400}


def _timeouts(entry: Entry) -> dict[str, int]:
    """What the client's timeouts are as settings of a server. To start, it may always take as long as any."""
    found: dict[str, int] = {}
    for one, seconds in entry.timeouts.items():
        for key in [START] * one.start + [CALL] * one.call:
            found.setdefault(key, min(ceil(seconds), _LONGEST[key]))
    return {key: seconds for key, seconds in found.items() if key == CALL or seconds > _OWN[START]}


_WHICH = ("command", "args", "env", "cwd", "url", "headers", "type", "disabled")
"""The settings that say which server it is. The others say how mcpguard treats it."""


def which_server(settings: dict[str, Any]) -> dict[str, Any]:
    """What `settings` say about which server it is."""
    return {key: value for key, value in settings.items() if key in _WHICH}


def longest_timeouts(*every: dict[str, Any]) -> dict[str, Any]:
    """The settings of timeouts by which all of `every` have at least as long."""
    written = [key for key in _OWN if any(key in one for one in every)]
    return {key: max(one.get(key, _OWN[key]) for one in every) for key in written}


def kept_timeouts(entries: Iterable[Entry], settings: list[dict[str, Any]]) -> dict[str, Any]:
    """What the entry of mcpguard needs in place of `entries`, which became servers with these `settings`, so
    that its client waits for all of them."""
    kept: dict[str, Any] = {}
    for timeout in dict.fromkeys(one for entry in entries for one in entry.timeouts):
        keys = [START] * timeout.start + [CALL] * timeout.call
        seconds = max([one.get(key, _OWN[key]) for one in settings for key in keys], default=1)
        inner = kept
        for step in timeout.way[:-1]:
            inner = inner.setdefault(step, {})
        inner[timeout.way[-1]] = ceil(seconds * timeout.per_second)
    return kept


def variables(every: Iterable[dict[str, Any]]) -> list[str]:
    """The variables of mcpguard's own environment that these settings refer to."""
    return sorted(
        {name for settings in every for text in _texts(settings) for name in _VARIABLE.findall(text)}
    )


_VARIABLE = re.compile(r"\$\{env:(\w+)\}")


def passed_on(client: KnownClient, names: list[str]) -> dict[str, Any]:
    """What an entry of `client` needs so that mcpguard has the variables `names`: a client gives to a server
    only what its entry says, and a few more."""
    if not names:
        return {}
    if client.passes:
        return {client.passes: names}
    form = {"braced": "${env:%s}", "shell": "$%s", "curly": "{env:%s}"}.get(client.style, "${%s}")
    return {client.written("env"): {name: form % name for name in names}}


def _texts(settings: dict[str, Any]) -> list[Any]:
    """What may hold secrets or references: each a `SecretText`, or a text once it is filled in."""
    texts = [*settings.get("env", {}).values(), *settings.get("headers", {}).values()]
    return [*texts, settings["url"]] if "url" in settings else texts


def _check_lengths(settings: dict[str, Any]) -> None:
    for text in _texts(settings):
        for value, hidden in text.parts:
            if hidden and not SHORTEST <= len(value) <= LONGEST:
                raise NotMoved(
                    f"has a secret with fewer than {SHORTEST} or more than {LONGEST} characters, which "
                    "could not be redacted from results"
                )


_FILE = re.compile(r".*/[^/]*\.\w{1,8}", re.DOTALL)


def _doubtful(words: list[str], project: Path | None) -> list[str]:
    """The note about words that may be paths, where their form does not prove it."""
    sure = {index for index, _ in relative_arguments(words)}
    files = {index for index, path in _maybe_paths(words) if _FILE.fullmatch(path)}
    for index, word in enumerate(words):
        if project is not None and word[:1] not in ("", "-", "/") and os.path.exists(project / word):
            files.add(index)
    doubtful = [f"'{words[index]}'" for index in sorted(files - sure)]
    if not doubtful:
        return []
    paths, them = ("a path", "it is one") if len(doubtful) == 1 else ("paths", "they are")
    return [
        f"has {' and '.join(doubtful)} among its arguments, which may be {paths}: if {them}, write the full "
        "path in the configuration of mcpguard, since the server starts in an empty folder"
    ]


def _notes(entry: Entry, settings: dict[str, Any], project: Path | None) -> list[str]:
    notes = []
    if entry.filters:
        notes.append(f"had {', '.join(entry.filters)} in an unknown form: express it in the policy")
    timeouts = [key for key in entry.unread if "timeout" in key.lower()]
    if timeouts:
        notes.append(
            f"had {', '.join(timeouts)}, which mcpguard cannot translate: a call may take "
            f"{settings.get(CALL, _OWN[CALL])} seconds, which `{CALL}` of the server changes"
        )
    if unread := [key for key in entry.unread if key not in timeouts]:
        notes.append(f"had {', '.join(unread)}, which mcpguard does not know and ignores")
    if any(seconds > _LONGEST[CALL] for one, seconds in entry.timeouts.items() if one.call):
        notes.append(f"had a longer timeout than mcpguard knows: a call may take {_LONGEST[CALL]} seconds")
    if not entry.cwd and (folder := settings.get("cwd")):
        notes.append(
            f"runs code in {folder}, so it starts there: anyone who can write there decides what it runs"
        )
    elif not entry.url and not entry.cwd:
        lost = [f"'{settings['args'][index]}'" for index, _ in relative_arguments(settings.get("args", []))]
        notes += [f"{not_from_here(lost)} in the configuration of mcpguard"] if lost else []
        notes += _doubtful(settings.get("args", []), project)
    names = sorted({name for text in _texts(settings) for name in _VARIABLE.findall(text.shown())})
    if names:
        held = [name for name in names if not holds_no_secret(CredentialRef("env", name))]
        guards = f", which guards {', '.join(held)} as {'secrets' if held[1:] else 'a secret'}"
        said = f"reads {', '.join(names)} from the environment that the client gives to mcpguard"
        notes.append(f"{said}{guards if held else ''}")
    if entry.url and not any(
        hidden or "${" in one for text in _texts(settings) for one, hidden in text.parts
    ):
        notes.append(
            "has no credential here: if its client logged in for it, mcpguard needs a login of its own: "
            "write the entry and the header of `mcpguard help oauth`, and run "
            f"`mcpguard secret login {entry.name}`"
        )
    return notes
