"""Where a server starts, what it runs from there, and whether an agent can write in these folders.

Law of this file: nothing is started. A folder counts as written by an agent where the client chose it, or
where a server is given it as an argument; what an agent can do besides, nobody can see here.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.upstreams.process.inherited import child_environment, executable
from mcpguard.adapters.upstreams.process.own_folder import not_from_here, relative_arguments
from mcpguard.authoring.check.codes import wrong
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config, Server
from mcpguard.core.document.reading import Document

Way = tuple[str | int, ...]

LAUNCHERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("npx", "pnpx", "bunx", "uvx"), ()),
    **dict.fromkeys(("pipx", "poetry", "pdm", "rye", "hatch"), ("run",)),
    **dict.fromkeys(("pnpm", "yarn"), ("exec", "dlx", "run", "start")),
    "npm": ("exec", "x", "run", "start"),
    "bun": ("x", "run"),
    "deno": ("run", "task"),
    "uv": ("run", "tool"),
}
"""What looks for a program, or for what says how to run it, in the folder that it starts in; where there are
words, with one of them."""

_SCRIPT_OF = (
    "python", "node", "nodejs", "deno", "bun", "tsx", "ts-node", "ruby", "perl", "php", "sh", "bash",
)  # fmt: skip
_SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".rb", ".pl", ".php", ".sh")
_CODE_OPTIONS = ("--directory", "--project", "--prefix", "--cwd", "-C", "--from", "--with-editable")
"""Options of launchers whose value is a folder that code is taken from."""


class Exposed(Struct, frozen=True):
    """What an agent could use: the `way` in the server's entry, the folder and who writes there. `runs` says
    what is run from there, "" where that is only the folder that the server starts in."""

    way: Way
    folder: str
    by: str
    runs: str = ""

    def said(self, server: str) -> str:
        if self.runs:
            return f"{server} runs {self.runs} from {self.folder}, {self.by}: it can be replaced there"
        return f"{server} starts in {self.folder}, {self.by}"


def starting(config: Config, server: Server, document: Document) -> Iterator[Finding]:
    """C108, C109 and C110."""
    if server.url is not None:
        return
    for one in exposed(config, server):
        place = document.problem(("servers", server.name, *one.way), one.said(server.name))
        yield wrong("C109" if one.runs else "C108", place)
    if server.cwd is None and not server.in_client_folder:
        for index, _path in relative_arguments(server.args):
            message = not_from_here([f"'{server.args[index]}'"])
            yield wrong("C110", document.problem(("servers", server.name, "args", index), message))


def exposed(config: Config, server: Server) -> Iterator[Exposed]:
    """What an agent could put something else in place of: each folder once, and what is run from there
    before the folder that the server starts in."""
    seen: set[Path | None] = set()
    for way, folder, runs in (*_code(server), (("cwd",), _start(server), "")):
        at = None if folder is None else folder.parent if folder.is_file() else folder
        if at in seen:
            continue
        found = _written(config, server, way, folder, runs)
        if found is not None:
            seen.add(at)
            yield found


def _written(config: Config, server: Server, way: Way, folder: Path | None, runs: str) -> Exposed | None:
    if folder is None:
        if not server.in_client_folder:
            return None
        return Exposed(way, "the folder that the client starts mcpguard in", "where agents work", runs)
    for other in config.servers.values():
        # That it starts where it works itself is not a finding, as long as it runs nothing from there.
        if other.disabled or (other is server and not runs):
            continue
        for _way, given in _given(other):
            if is_in(folder, given):
                where = folder.parent if folder.is_file() else folder
                return Exposed(
                    way, str(where), f"inside a folder that the server {other.name} is given", runs
                )
    return None


def _start(server: Server) -> Path | None:
    """The folder that it starts in, None where that is the client's or one of its own."""
    return None if server.cwd is None else server.cwd.resolve()


def _code(server: Server) -> Iterator[tuple[Way, Path | None, str]]:
    """What it runs and where that is looked up, a file or a folder; None for the folder that it starts in
    where nobody has named that."""
    own = {key: value.texts[0] for key, value in server.env.items() if not value.refs}
    path = child_environment(os.environ, own).get("PATH")
    program = executable(server.command, path, None if server.cwd is None else str(server.cwd))
    if program is not None and os.path.isabs(program):
        yield ("command",), Path(program), f"`{os.path.basename(program)}`"
    elif os.sep in server.command:
        yield ("command",), _start(server), f"`{server.command}`"
    name, words = os.path.basename(server.command), server.args
    subcommands = LAUNCHERS.get(name)
    if subcommands is not None and (not subcommands or any(word in subcommands for word in words)):
        yield ("command",), _start(server), f"what `{name}` finds"
        for index, text in _values(words, _CODE_OPTIONS):
            yield ("args", index), Path(_joined(server, text)), f"what `{name}` finds"
    if name.rstrip("0123456789.") in _SCRIPT_OF:
        yield from _script(server, name)


def _script(server: Server, name: str) -> Iterator[tuple[Way, Path | None, str]]:
    for index, word in enumerate(server.args):
        if name.startswith("python") and word in ("-P", "-I"):
            return
        if name.startswith("python") and word in ("-m", "-c"):
            yield ("args", index), _start(server), f"`{name} {word}`"
            return
        if not word.startswith("-") and word.endswith(_SUFFIXES):
            absolute = os.path.isabs(word) or server.cwd is not None
            yield ("args", index), Path(_joined(server, word)) if absolute else None, f"`{word}`"
            return


def _joined(server: Server, text: str) -> str:
    return os.path.join(server.cwd or "", os.path.expanduser(text))


def _values(words: Iterable[str], options: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The values of these options, each with its index."""
    before = ""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if equals and name in options:
            yield index, value
        elif before in options:
            yield index, word
        before = word


def _given(server: Server) -> Iterator[tuple[Way, Path]]:
    """The folders among its arguments that are not those of its own code."""
    code = {index for index, _text in _values(server.args, _CODE_OPTIONS)}
    for way, folder in folders(server):
        if way[0] == "args" and way[1] not in code:
            yield way, folder


def is_in(path: Path, folder: Path) -> bool:
    """Whether somebody who can write in `folder` can put something else at `path`."""
    # A link in the folder can be made to lead elsewhere, wherever it leads now.
    return any(
        one.is_relative_to(folder)
        for one in (path.resolve(), path.parent.resolve() / path.name, path.absolute())
    )


def folders(server: Server) -> Iterator[tuple[Way, Path]]:
    """The folders that a server works in, each with its way in the server's entry: its `cwd`, and those among
    its arguments. A relative one in the folder that a client chooses is taken as one in ours."""
    if server.cwd is not None:
        yield ("cwd",), server.cwd.resolve()
    placed = server.cwd is not None or server.in_client_folder
    for index, argument in enumerate(server.args):
        for text in {argument, argument.partition("=")[2]}:
            folder = os.path.join(server.cwd or "", text)
            if text and (placed or os.path.isabs(folder)) and os.path.isdir(folder):
                yield ("args", index), Path(folder).resolve()
