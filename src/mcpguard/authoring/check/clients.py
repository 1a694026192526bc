"""What `mcpguard check` says of `clients`: who sees nothing, and what nobody sees.

Law of this file: it says what a start would refuse before somebody starts it.
"""

from collections.abc import Iterator

from mcpguard.authoring.check.codes import wrong
from mcpguard.authoring.findings import Finding
from mcpguard.config.clients import ViewEntry
from mcpguard.config.loading import Config
from mcpguard.core.document.must import Path
from mcpguard.core.document.reading import Document


def clients(config: Config, document: Document) -> Iterator[Finding]:
    """Every client and project in turn, and the servers that are in none."""
    if not config.clients:
        return
    for name, entry in config.clients.items():
        for place, whose, servers in _views(name, entry):
            yield from _disabled(config, document, (place, whose, servers))
    if config.agent is not None and config.agent not in config.clients:
        said = f"`{config.agent}` is not among the `clients`: a start without `--agent` is refused"
        yield wrong("C008", document.problem(("agent",), said))
    views = [view for name, entry in config.clients.items() for view in _views(name, entry)]
    seen = {server for _, _, servers in views for server in servers}
    for server, about in config.servers.items():
        if server not in seen and not about.disabled:
            said = f"no client sees {server}: name it under `clients`, or take it out"
            yield wrong("C009", document.problem(("servers", server), said))


_View = tuple[Path, str, tuple[str, ...]]
"""Where a list of servers stands, whose it is, and what is in it."""


def _views(name: str, entry: ViewEntry) -> Iterator[_View]:
    if entry.servers:
        yield ("clients", name, "servers"), f"the client `{name}`", entry.servers
    for folder, servers in entry.projects.items():
        yield ("clients", name, "projects", folder), f"the project {folder} of `{name}`", servers


def _disabled(config: Config, document: Document, view: _View) -> Iterator[Finding]:
    at, whose, servers = view
    off = [server for server in servers if config.servers[server].disabled]
    if len(off) == len(servers):
        said = f"every server of {whose} is disabled: it is refused at the start"
        yield wrong("C007", document.problem(at, said))
        return
    for server in off:
        said = f"{server} is disabled, so {whose} does not have it"
        yield wrong("C006", document.problem((*at, servers.index(server)), said))
