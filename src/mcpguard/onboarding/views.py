"""`clients` of a configuration to be: which client, in which project, sees which servers.

Law of this file: nobody who is served by a configuration now is shut out by it.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from mcpguard.onboarding.discovery.reading import ClientFile
from mcpguard.onboarding.disk import MoveError


class Views:
    """What to add to `clients` of the configuration at `config`, which has the servers `known`, and `clients`
    already or not."""

    def __init__(self, config: Path, has_clients: bool, known: list[str]) -> None:
        self._config, self._has_clients, self._known = config, has_clients, known
        self._found: dict[str, dict[str, Any]] = {}

    def clients(
        self, wanted: Iterable[tuple[ClientFile, str, str]], others: Iterable[ClientFile]
    ) -> dict[str, dict[str, Any]]:
        """`wanted` are (file, project, server); `others` are all files of clients. Where there are no
        `clients` yet, whoever starts this configuration goes on seeing all of it. Raises MoveError for one
        that does not say who it is."""
        if self._known and not self._has_clients:
            for found in others:
                self._keep(found)
        for found, project, server in wanted:
            self._add(found.client.name, project, server)
        return self._found

    def _add(self, client: str, project: str, server: str) -> None:
        view = self._found.setdefault(client, {})
        if project:
            names = view.setdefault("projects", {}).setdefault(project, [])
        else:
            names = view.setdefault("servers", [])
        if server not in names:
            names.append(server)

    def _keep(self, found: ClientFile) -> None:
        for entry in found.entries:
            if str(self._config) in entry.args and entry.guarded:
                agent = dict(pairwise(entry.args)).get("--agent")
                if agent is None:
                    raise MoveError(
                        f"{found.path} starts mcpguard without saying which client it is, and would be "
                        "refused once clients see their own servers only: add "
                        f'"--agent", "{found.client.name}" to its `args`, and import again; nothing was done'
                    )
                for server in self._known:
                    self._add(agent, "", server)
