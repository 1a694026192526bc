"""What all pages look at: the configuration, the store, the evidence, the policies, and who is there."""

from __future__ import annotations

import secrets
import time
from threading import Lock
from typing import TYPE_CHECKING

from mcpguard.adapters.system.identity import groups_of_user, operating_system_user
from mcpguard.config.loading import evidence_folder
from mcpguard.console.evidence import Evidence
from mcpguard.console.login import Visits
from mcpguard.console.rulebook import Rulebook
from mcpguard.console.watch import Watch
from mcpguard.serve.interventions import store_of

if TYPE_CHECKING:
    from mcpguard.config.loading import Config


class Desk:
    """One console. `root` is the folder of all pages in the address."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = store_of(config)
        self.lock = Lock()
        """Held by who reads the evidence, or changes what is kept of it."""
        self.evidence = Evidence(evidence_folder(config))
        self.rulebook = Rulebook(config)
        self.watch = Watch(self.store, self.evidence, self.lock)
        self.visits = Visits(time.monotonic)
        # A cookie is sent to every port of a host. In a folder that nobody knows it goes to no other program.
        self.root = f"/{secrets.token_urlsafe(16)}"
        self.enrolling: dict[str, tuple[str, tuple[str, ...], bytes]] = {}
        """By visit, the passkey that it is making: whose, in which groups, and the challenge."""
        user = operating_system_user()
        self.person = f"{user.source}:{user.id}"
        """Who answers."""
        self.groups = groups_of_user()
