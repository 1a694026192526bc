"""`clients`: which client sees which servers, and under which names.

Law of this file: who is not named sees nothing. There is no default client, and a folder counts as a project
only where the configuration names it.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from mcpguard.core.document.must import Mistake, Must, Path, filled
from mcpguard.core.document.written import Items, Written
from mcpguard.protocol.names import Prefix

_SOME = "name at least one server, or leave it out"


def project_folder(text: str) -> str:
    """A folder as it is compared: absolute, without `~`, `..` and doubled slashes. Links are not followed,
    since a client names its project as it was opened."""
    return os.path.abspath(os.path.expanduser(text))


def _wrong_project(text: str) -> str:
    full = os.path.isabs(os.path.expanduser(text))
    return "" if full else "a project is an absolute folder, such as /home/ada/shop or ~/shop"


ClientName = Annotated[str, filled("a client needs a name", minLength=1)]
ProjectPath = Annotated[str, Must(_wrong_project, pattern="^[/~]")]
ServerNames = Annotated[Items[str], filled(_SOME, minItems=1)]


class ViewEntry(Written):
    """An entry of `clients`: what one client sees."""

    servers: ServerNames = Field(
        (),
        description="The servers that it sees when `mcpguard run` is started without `--project`.",
    )
    projects: Annotated[
        dict[ProjectPath, ServerNames], filled("name at least one project, or leave it out", minProperties=1)
    ] = Field(
        {},
        description="The servers that it sees when it is started with `--project FOLDER`, by folder: these "
        "and no others. Links are not followed.",
    )
    prefix: Prefix = Field(
        "when-needed",
        description="`when-needed`: a tool or prompt keeps the name that its server gives it where no other "
        "server of this client has one of that name; otherwise each of them is `SERVER__NAME`. `always`: "
        "all are `SERVER__NAME`, also where there is one server.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.model_fields_set.isdisjoint({"servers", "projects"}):
            yield (), "`servers` or `projects` is missing"
        seen: set[str] = set()
        for folder in self.projects:
            if project_folder(folder) in seen:
                yield ("projects", folder), "this project is there already, written differently"
            seen.add(project_folder(folder))


def client_mistakes(clients: Mapping[str, ViewEntry], servers: Collection[str]) -> Iterator[Mistake]:
    """Servers that are not among `servers`, and those that are named twice."""
    known = ", ".join(servers)
    for name, entry in clients.items():
        lists: list[tuple[Path, tuple[str, ...]]] = [(("servers",), entry.servers)]
        lists += [(("projects", folder), named) for folder, named in entry.projects.items()]
        for at, named in lists:
            for index, server in enumerate(named):
                place = ("clients", name, *at, index)
                if server not in servers:
                    yield place, f"there is no server of this name; the known ones are {known}"
                elif server in named[:index]:
                    yield place, "this server is in the list already"


def seen_by(clients: Mapping[str, ViewEntry], agent: str | None, project: str | None) -> tuple[str, ...]:
    """The servers that the client `agent` sees in the folder `project`. Raises LookupError with a sentence
    that says what there is."""
    named = ", ".join(clients)
    if agent is None:
        raise LookupError(f"say which client connects with `--agent NAME`; under `clients` are {named}")
    entry = clients.get(agent)
    if entry is None:
        raise LookupError(f"there is no client `{agent}`; under `clients` are {named}")
    folders = ", ".join(entry.projects)
    if project is None:
        if not entry.servers:
            said = f"the client `{agent}` has servers in projects only: say which with `--project FOLDER`"
            raise LookupError(f"{said}; its projects are {folders}")
        return entry.servers
    known = {project_folder(folder): servers for folder, servers in entry.projects.items()}
    wanted = project_folder(project)
    if wanted not in known:
        there = f"its projects are {folders}" if folders else "it has none: leave out `--project`"
        raise LookupError(f"the client `{agent}` has no project {wanted}; {there}")
    return known[wanted]


def viewers(clients: Mapping[str, ViewEntry], server: str) -> list[str]:
    """Who sees `server`: clients by their names, and `CLIENT in FOLDER` for projects."""
    found = [name for name, entry in clients.items() if server in entry.servers]
    projects = ((name, *one) for name, entry in clients.items() for one in entry.projects.items())
    return found + [f"{name} in {folder}" for name, folder, servers in projects if server in servers]
