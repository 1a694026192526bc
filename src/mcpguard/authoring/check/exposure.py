"""What an agent could replace: what mcpguard and its servers run or believe (`relied.py`) in folders that a
server can write (`writable.py`).

Law of this file: nothing is started. A folder counts as written by an agent where the client chose it, or
where a server is given it; what an agent can do besides, nobody can see here.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.upstreams.process.own_folder import not_from_here, relative_arguments
from mcpguard.authoring.check.codes import wrong
from mcpguard.authoring.check.relied import Relied
from mcpguard.authoring.check.writable import Way, Writable, is_in, writable
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config, Server
from mcpguard.core.document.reading import Document


class Exposed(Struct, frozen=True):
    """What an agent could use: the `way` in the configuration, the folder and who writes there. `use` is that
    of `Relied`."""

    way: Way
    folder: str
    by: str
    use: str = ""

    def said(self, server: str) -> str:
        if self.use:
            return f"{server} {self.use} {self.folder}, {self.by}: it can be replaced there"
        return f"{server} starts in {self.folder}, {self.by}"


def starting(config: Config, server: Server, relied: list[Relied], document: Document) -> Iterator[Finding]:
    """C104, C108, C109 and C110."""
    for one in writable(config, server):
        if held := held_in(one.folder, relied):
            said = (
                f"{server.name} works in a folder that {held}: an agent that writes there could change its "
                "own rules, or what enforces and records them"
            )
            yield wrong("C104", document.problem(one.way, said))
            break
    for exposed_one in exposed(config, server, relied):
        place = document.problem(exposed_one.way, exposed_one.said(server.name))
        yield wrong("C109" if exposed_one.use else "C108", place)
    if server.url is None and server.cwd is None and not server.in_client_folder:
        for index, _path in relative_arguments(server.args):
            message = not_from_here([f"'{server.args[index]}'"])
            yield wrong("C110", document.problem(("servers", server.name, "args", index), message))


def held_in(folder: Path, relied: Iterable[Relied]) -> str:
    """What of mcpguard's own somebody who writes in `folder` could change, as the rest of a sentence about
    it; "" for nothing."""
    own = [(one, one.path) for one in relied if not one.server and one.path is not None]
    within = dict.fromkeys(one.name for one, path in own if is_in(path, folder))
    around = dict.fromkeys(
        one.name for one, path in own if one.is_whole and folder.is_relative_to(path.resolve())
    )
    said = [f"contains {', '.join(within)}"] if within else []
    said += [f"belongs to {', '.join(around)}"] if around.keys() - within else []
    return " and ".join(said)


def exposed(config: Config, server: Server, relied: Iterable[Relied]) -> Iterator[Exposed]:
    """What an agent could put something else in place of: each folder once, and what is run from there
    before the folder that the server starts in."""
    seen: set[Path | None] = set()
    given = [(one, [*writable(config, one)]) for one in config.served.values()]
    for one in relied:
        if one.server != server.name:
            continue
        at = one.path and (one.path.parent if one.path.is_file() else one.path)
        if at not in seen and (found := _written(server, one, at, given)) is not None:
            seen.add(at)
            yield found


def _written(
    server: Server, one: Relied, at: Path | None, given: list[tuple[Server, list[Writable]]]
) -> Exposed | None:
    if one.path is None:
        if not server.in_client_folder:
            return None
        return Exposed(one.way, "the folder that the client starts mcpguard in", "where agents work", one.use)
    for other, folders in given:
        # That it starts where it works itself is not a finding, as long as it runs nothing from there.
        if other is server and not one.use:
            continue
        for each in folders:
            if not each.is_own and is_in(one.path, each.folder):
                by = f"inside a folder that the server {other.name} gets"
                return Exposed(one.way, str(at), by, one.use)
    return None
