"""What `mcpguard check` says of what mcpguard itself uses: a key, headers of sinks, the program of alerts.

Law of this file: nothing is signed or sent, and no value is printed.
"""

import os
from collections.abc import Iterator

from mcpguard.adapters.audit.signing import SigningKey
from mcpguard.adapters.credentials import value_of
from mcpguard.adapters.system.guarded import found
from mcpguard.authoring.check.codes import wrong
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config
from mcpguard.core.document.must import Path as Way
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import McpGuardError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef


def try_own(place: Way, ref: CredentialRef, redactor: Redactor) -> None:
    """Read the value of `ref`, which mcpguard itself uses at `place`, and have it held. Raises McpGuardError
    where there is none, and for a key that cannot sign."""
    secret = value_of(ref)
    redactor.hold(str(ref), secret)
    if place == ("audit", "key"):
        SigningKey(secret)


def own(config: Config, document: Document, redactor: Redactor) -> Iterator[Finding]:
    """Each that is missing. What alerts of approvals use has a code of its own."""
    for place, ref in config.own_references:
        if place[0] == "approvals":
            continue
        try:
            try_own(place, ref, redactor)
        except McpGuardError as error:
            said = str(error)
            yield wrong("C116", document.problem(place, said if str(ref) in said else f"{ref}: {said}"))
    command = config.alerts.command if config.alerts else None
    if command and found(command[0], os.environ.get("PATH")) is None:
        said = f"the command '{command[0]}' was not found; give its full path or fix PATH"
        yield wrong("C116", document.problem(("alerts", "command"), said))
