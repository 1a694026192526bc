"""Every path that a configuration makes mcpguard or a server run or believe.

Law of this file: nothing is started or read. `tests/authoring/check/test_relied.py` goes through all fields
that `config/` has: a path in one of them is found here, or the field is listed there as one that names
nothing of the kind.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

import mcpguard
from mcpguard.adapters.system.guarded import found
from mcpguard.adapters.upstreams.process.inherited import child_environment, executable
from mcpguard.authoring.check.words import (
    CODE_OPTIONS,
    LAUNCHERS,
    is_code,
    names_code,
    option_values,
    paths_in,
    script,
    sets_code,
)
from mcpguard.authoring.check.writable import Way, variables
from mcpguard.config.loading import Config, Server
from mcpguard.config.references import texts_in
from mcpguard.config.terms import DESKTOP


class Relied(Struct, frozen=True):
    """A file or a folder that something depends on; `path` is None for the folder that the client starts
    mcpguard in. `way` leads to where the configuration says so. `use` says what the server `server` does with
    it, such as "runs `npx` from", and is "" where it only starts there. Without `server` it is mcpguard's
    own: then `name` is what it is called, and `is_whole` says that all below it belongs to it."""

    path: Path | None
    way: Way = ()
    server: str = ""
    use: str = ""
    name: str = ""
    is_whole: bool = False


def relied_on(config: Config, state: Path | None = None, programs: tuple[Path, ...] = ()) -> Iterator[Relied]:
    """All of it, first mcpguard's own. `state` is the user's folder of state and `programs` what mcpguard
    itself is made of; without them, they are left out."""
    for path in rules(config):
        yield Relied(path, name=path.name)
    for path in (*states(config, state), *records(config)):
        yield Relied(path, name=path.name, is_whole=True)
    for path in programs:
        # Beside the packages of a system there is much that is not Python's.
        yield Relied(path, name="mcpguard itself", is_whole=path != Path(sys.base_prefix))
    for server in config.served.values():
        if server.url is None:
            for way, at, use in _of(config, server):
                yield Relied(at, way, server.name, use)


def installation() -> tuple[Path, ...]:
    """What this mcpguard is made of: its environment, the interpreter, and the folder of its packages."""
    prefix, packages = Path(sys.prefix), Path(mcpguard.__file__).parents[1]
    inside = packages.is_relative_to(prefix) and sys.prefix != sys.base_prefix
    return prefix, Path(sys.executable), *(() if inside else (packages,))


def rules(config: Config) -> list[Path]:
    """What mcpguard goes by: the configuration, policies, files with credentials, programs that it runs."""
    files, where = [Path(os.path.expanduser(name)) for name in mounted(config)], os.environ.get("PATH")
    texts = [text for one in config.credentials.values() for _at, text in texts_in((), one.made)]
    run = [one.made for one in config.credentials.values() if one.kind == "command"]
    argvs = [one if isinstance(one, tuple) else one.argv for one in run]
    if config.alerts is not None and config.alerts.command:
        argvs.append(config.alerts.command)
        texts += config.alerts.command
    if any(one.to == DESKTOP for one in config.approvals.targets):
        argvs.append(("osascript" if sys.platform == "darwin" else "notify-send",))
    programs = [path for words in argvs for path in _searched(words[0], found(words[0], where), where)]
    named = [path for text in texts for path in paths_in(text)]
    return list(dict.fromkeys([config.path, *config.policy_paths, *files, *programs, *named]))


def mounted(config: Config) -> list[str]:
    """The files with credentials, as they are named."""
    return sorted(ref.name for ref in config.plain_references if ref.source == "file")


def states(config: Config, state: Path | None) -> list[Path]:
    """The folders of mcpguard's state: sessions, evidence, and those that servers start in."""
    named = (config.session_folder, "sessions"), (config.audit.path, "audit"), (None, "servers")
    places = (path or (state and state / name) for path, name in named)
    return [path for path in places if path is not None]


def records(config: Config) -> list[Path]:
    """The files in which evidence is kept besides its folder."""
    heads = config.audit.heads
    files = [] if heads is None or heads.file is None else [heads.file]
    return [
        Path(file) for file in (*files, *(one.to for one in config.telemetry.sinks if "://" not in one.to))
    ]


def _searched(command: str, program: str | None, path: str | None) -> list[Path]:
    """A program that was found, and the folders of `path` in which it would have been found before."""
    if program is None or not os.path.isabs(program):
        return []
    folders = [Path(one) for one in (path or os.defpath).split(os.pathsep) if os.path.isabs(one)]
    at = Path(program).parent
    before = folders[: folders.index(at)] if os.sep not in command and at in folders else []
    return [Path(program), *before]


_Use = tuple[Way, Path | None, str]


def _of(config: Config, server: Server) -> Iterator[_Use]:
    """What a server runs and believes, and last where it starts."""
    at, start = ("servers", server.name), None if server.cwd is None else server.cwd.resolve()
    own = {key: value.texts[0] for key, value in server.env.items() if not value.refs}
    path = child_environment(os.environ, own).get("PATH")
    program = executable(server.command, path, None if start is None else str(server.cwd))
    for one in _searched(server.command, program, path):
        use = "runs `{}` from" if one == Path(program or "") else "looks for `{}` in"
        yield (*at, "command"), one, use.format(os.path.basename(server.command))
    name = os.path.basename(server.command)
    finds = f"runs what `{name}` finds from"
    words = LAUNCHERS.get(name)
    if words is not None and (not words or any(word in words for word in server.args)):
        yield (*at, "command"), start, finds
    elif os.sep in server.command and (program is None or not os.path.isabs(program)):
        yield (*at, "command"), start, f"runs `{server.command}` from"
    yield from _interpreted(server, name, start)
    base = Path.cwd() if server.in_client_folder else server.cwd
    options = {index for index, _text in option_values(server.args, CODE_OPTIONS)}
    for index, text in enumerate(server.args):
        for one in paths_in(text, base):
            if index in options or sets_code(text) or is_code(one):
                yield (*at, "args", index), one, finds if index in options else f"runs `{one.name}` from"
    for way, template in variables(config, server):
        if names_code(str(way[-1])):
            found_there = (one for text in template.texts for one in paths_in(text, base))
            yield from ((way, one, f"takes what `{way[-1]}` names from") for one in found_there)
    yield (*at, "cwd"), start, ""


def _interpreted(server: Server, name: str, start: Path | None) -> Iterator[_Use]:
    at, run = ("servers", server.name, "args"), script(server.command, server.args)
    if run is not None:
        word = os.path.expanduser(server.args[run])
        placed = server.cwd is not None or os.path.isabs(word)
        place = Path(os.path.join(server.cwd or "", word)) if placed else None
        yield (*at, run), place, f"runs `{server.args[run]}` from"
    elif name.startswith("python") and not {"-P", "-I"} & {*server.args}:
        for index, word in enumerate(server.args):
            if word in ("-m", "-c"):
                yield (*at, index), start, f"runs `{name} {word}` from"
                return
