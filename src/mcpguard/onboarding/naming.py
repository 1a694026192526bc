"""What the lists of a client must say about mcpguard once servers have moved behind it.

Law of this file: a list names no more of mcpguard than it named of what moved. It names mcpguard as such only
where it named everything that mcpguard serves there.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from mcpguard.adapters.system.files import read_regular
from mcpguard.core.secret import Unprinted
from mcpguard.onboarding.changed import encoded
from mcpguard.onboarding.discovery.clients import File
from mcpguard.onboarding.discovery.entry import Entry, NotMoved
from mcpguard.onboarding.discovery.name_lists import IN_TEXT, Means, NamesSaid
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, folder_of, parsed, paths_of, said
from mcpguard.onboarding.disk import MoveError, refuse_irreplaceable
from mcpguard.onboarding.edit import with_names
from mcpguard.onboarding.formats import Unreadable
from mcpguard.onboarding.journal import AddedNames, Edit

TEXT_LIMIT, TEXTS_LIMIT = 1 << 20, 500
"""How many bytes of a text are read, and how many texts of a client."""


class MovedServer(NamedTuple):
    """A server that moves: the file in which it was `name`, the `folder` of its project, if any, what the
    entry of mcpguard there is called, whether that one is `fresh`, and what mcpguard calls the server."""

    found: ClientFile
    name: str
    folder: Path | None
    ours: str
    fresh: bool
    server: str


class EditedFile(Unprinted, frozen=True):
    """A client's file and the text that it is to have, with `edits` made and names `added` to its
    lists."""

    found: ClientFile
    text: str
    edits: list[Edit]
    added: list[AddedNames]


class ClientLists:
    """The lists of all clients, and which of them may be edited."""

    def __init__(
        self, founds: Iterable[ClientFile], others: Iterable[ClientFile], places: SearchPlaces
    ) -> None:
        """`founds` are the files that an import may edit, `others` all of them."""
        self._places = places
        self._every = list(said(others, places))
        self._editable: list[ClientFile] = []
        for found in founds:
            with suppress(MoveError):
                if found.lists and not leads_out(found, places):
                    refuse_irreplaceable(found.target)
                    self._editable.append(found)

    def refuse_unwelcome(self, found: ClientFile, entry: Entry, ours: str) -> None:
        """Raises NotMoved where a list would keep mcpguard, whose entry is called `ours`, from being started
        in place of `entry`."""
        mine = folder_of(found, entry.where[:-1], self._places)
        for where, one, folder in self._every if not entry.disabled else ():
            apart = folder is not None and mine is not None and folder != mine
            means = _meaning(one, where, found) if _reads(where, found) and not apart else None
            if means not in ("off", "only") or not one.bars(ours):
                continue
            said = f"would not be started behind mcpguard, since {one.way}{where.path}"
            if means == "off":
                raise NotMoved(f"{said} matches {ours}: correct that list, and import again")
            if where.path not in [each.path for each in self._editable]:
                raise NotMoved(
                    f"{said} does not name {ours}, and that file is left alone: add {ours} there, and import "
                    "again"
                )

    def name(
        self, moved: list[MovedServer], edited: Iterable[EditedFile]
    ) -> tuple[list[EditedFile], list[str]]:
        """The files `edited` and others, with what their lists must say about mcpguard once `moved` have; and
        sentences on names in lists that have no effect any more."""
        files, said_of = {one.found.path: one for one in edited}, list[str]()
        for found, one, folder in said(self._editable, self._places):
            here = [
                server
                for server in moved
                if _reads(found, server.found) and (folder is None or server.folder in (None, folder))
            ]
            names, lost = _fresh(found, one, here)
            if names:
                before = files.get(found.path, EditedFile(found, found.text, [], []))
                files[found.path] = _named(before, AddedNames(list(one.where), names))
            if lost:
                said_of.append(f"{one.way}{found.path} no longer applies to {_quoted(lost)}, {_LOST}")
        return list(files.values()), [*said_of, *_in_texts(moved, self._places)]


def _in_texts(moved: list[MovedServer], places: SearchPlaces) -> Iterator[str]:
    """A sentence for each text, such as that of an agent, that names tools of what moves."""
    for client, (form, paths) in IN_TEXT.items():
        servers = [server for server in moved if server.found.client.name == client]
        every = (path for each in paths for path in paths_of(File(each, "user"), places) if servers)
        for path in islice(every, TEXTS_LIMIT):
            with suppress(OSError):
                text = (read_regular(path, TEXT_LIMIT) or b"").decode("utf-8", "replace")
                head = text[: text.find("\n---", 3)] if text.startswith("---") else ""
                for server in servers:
                    lead = form.format(server.name)
                    if names := re.findall(rf"(?<![\w/-]){re.escape(lead)}[\w.*-]+", head):
                        ours = form.format(server.ours)
                        yield f"{path} names {_quoted(names)}: write `{ours}` in place of `{lead}` there"


def leads_out(found: ClientFile, places: SearchPlaces) -> bool:
    """Whether a file of the project is a link to one that is not."""
    project = places.project if found.file.scope == "project" else None
    return project is not None and not found.target.is_relative_to(project.resolve())


def _named(file: EditedFile, added: AddedNames) -> EditedFile:
    try:
        text = with_names(parsed(file.found, encoded(file.found, file.text)), [added])
    except Unreadable as error:
        raise MoveError(f"{error}; nothing was done") from None
    return replace(file, text=text, added=[*file.added, added])


_LOST = "whose tools are those of mcpguard now: name there the ones that you want"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fresh(found: ClientFile, one: NamesSaid, moved: list[MovedServer]) -> tuple[dict[str, Any], list[str]]:
    """What the list `one` of `found` lacks, each name with its value (None in a list), and what is lost."""
    names: dict[str, Any] = {}
    lost: list[str] = []
    for ours in dict.fromkeys(server.ours for server in moved):
        servers = [each for each in moved if each.ours == ours and _meaning(one, found, each.found)]
        servers = [] if one.kind.by else servers
        names |= _as_such(one, found, ours, servers, lost)
        for server in servers:
            names |= _tools(one, server, lost)
    return {name: value for name, value in names.items() if name not in one.names}, lost


def _reads(where: ClientFile, found: ClientFile) -> bool:
    """Whether the client of `where` reads `found`."""
    return where.client is found.client or where.client.name in found.file.shared


def _meaning(one: NamesSaid, where: ClientFile, found: ClientFile) -> Means | None:
    """What a list of `where` means for the servers of `found`, a file of the same client; None: nothing."""
    if one.kind.of == "project" and found.file.scope != "project":
        return None
    own = one.kind.of != "own" or where.path == found.path
    return one.kind.means if own or one.kind.means != "only" else "named"


def _as_such(
    one: NamesSaid, where: ClientFile, ours: str, servers: list[MovedServer], lost: list[str]
) -> dict[str, Any]:
    named = [(server, one.whole(server.name)) for server in servers]
    every = [name for _, names in named for name in names]
    means = {_meaning(one, where, server.found) for server in servers}
    if "only" in means:
        return {one.kind.server[0].format(ours): None}
    if not every or "off" in means:
        return {}
    if "named" in means and all(isinstance(one.names[name], dict) for name in every):
        # By tool.
        return {ours: _merged(one.names[name] for name in every)}
    if "named" in means and all(names and server.fresh for server, names in named):
        return {one.kind.server[0].format(ours): one.names[every[0]]}
    lost += every
    return {}


def _merged(every: Iterable[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for one in every:
        for key, value in one.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = _merged((whole[key], value)) if both else value
    return whole


def _tools(one: NamesSaid, server: MovedServer, lost: list[str]) -> dict[str, Any]:
    names = {}
    for tool, form, value in one.tools(server.name):
        if "*" in tool:
            lost.append(form.format(server.name, tool))
            continue
        names[form.format(server.ours, tool)] = value
        if one.kind.means == "off":
            # What it is called where two servers have a tool of this name.
            names[form.format(server.ours, f"{server.server}__{tool}")] = value
    return names
