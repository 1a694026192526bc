"""The folders that a server can write, as far as its entry says which.

Law of this file: nothing is started, and what an entry means is not known: every folder that it names counts,
except one that is known to be read only or to hold code. What a server can do besides, nobody can see here.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.upstreams.process.inherited import PASSED_ON
from mcpguard.authoring.check.words import (
    CODE_OPTIONS,
    is_code,
    names_code,
    option_values,
    paths_in,
    script,
    sets_code,
)
from mcpguard.config.loading import Config, Server
from mcpguard.core.secret import Template

Way = tuple[str | int, ...]

_CONTAINERS = ("docker", "podman", "nerdctl")
_MOUNTS = ("-v", "--volume", "--mount")
_OPENED = re.compile(r"--(?:privileged|volumes-from|device|pid|cap-add|security-opt)\b|.*docker\.sock")
"""Words of a container that can reach more than its mounts."""


class Writable(Struct, frozen=True):
    """A folder that a server can write, and the way to where the configuration says so. `is_own`: it is the
    one that the server starts in or has its code from, and not one that it is given."""

    way: Way
    folder: Path
    is_own: bool = False


def writable(config: Config, server: Server) -> Iterator[Writable]:
    """Each folder, once for each place that names it. A relative one in the folder that a client chooses is
    taken as one in ours."""
    if server.cwd is not None:
        yield Writable(("servers", server.name, "cwd"), server.cwd.resolve(), is_own=True)
    for way, path, is_own in _named(config, server):
        if path.is_dir() or (_is_container(server) and path.exists()):
            yield Writable(way, path.resolve(), is_own)


def is_bounded(config: Config, server: Server) -> bool:
    """Whether its entry says where it writes: it names files or folders that are not code, or is a container
    that has nothing of this machine but its mounts."""
    if _is_container(server):
        return not any(_OPENED.match(word) for word in server.args)
    return any(not (is_own or is_code(path)) for _way, path, is_own in _named(config, server))


def _named(config: Config, server: Server) -> Iterator[tuple[Way, Path, bool]]:
    """The paths in its arguments and variables, and whether each belongs to its own code."""
    if server.url is not None:
        return
    base = Path.cwd() if server.in_client_folder else server.cwd
    code = {index for index, _text in option_values(server.args, CODE_OPTIONS)}
    run = script(server.command, server.args)
    for index, text in _mounts(server.args) if _is_container(server) else enumerate(server.args):
        for path in paths_in(text, base):
            is_own = index in code or index == run or sets_code(text)
            yield ("servers", server.name, "args", index), path, is_own
    for way, template in variables(config, server):
        if way[-1] not in PASSED_ON and not names_code(str(way[-1])):
            for text in template.texts:
                yield from ((way, path, False) for path in paths_in(text, base))


def variables(config: Config, server: Server) -> Iterator[tuple[Way, Template]]:
    """The variables that it gets, those of credentials that rules choose included, each with its way."""
    places: list[tuple[Way, dict[str, Template]]] = [(("servers", server.name), server.env)]
    chosen = (one for one in config.credentials.values() if server.name in one.servers)
    places += [(("credentials", one.name), one.env) for one in chosen]
    for at, env in places:
        yield from (((*at, "env", name), template) for name, template in env.items())


def _is_container(server: Server) -> bool:
    return os.path.basename(server.command) in _CONTAINERS and server.args[:1] == ("run",)


def _mounts(args: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The sources of the mounts that a container may write, each with its index."""
    joined = ((index, word[2:]) for index, word in enumerate(args) if re.match("-v.", word))
    for index, text in (*option_values(args, _MOUNTS), *joined):
        fields = dict(part.partition("=")[::2] for part in text.split(","))
        parts = text.split(":")
        source = fields.get("source", fields.get("src", parts[0]))
        closed = {"ro", "readonly"} & {*fields, *parts[-1].split(",")}
        if source.startswith(("/", ".", "~")) and not closed:
            yield index, source


def is_in(path: Path, folder: Path) -> bool:
    """Whether somebody who can write in `folder` can put something else at `path`."""
    # A link in the folder can be made to lead elsewhere, wherever it leads now.
    return any(
        one.is_relative_to(folder)
        for one in (path.resolve(), path.parent.resolve() / path.name, path.absolute())
    )
