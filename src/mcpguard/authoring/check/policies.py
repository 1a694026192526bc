"""What `mcpguard check` says of policies: whether they load, and what the lints find.

Law of this file: a policy that does not load hides what only all of them together can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from mcpguard.authoring.check.codes import problems, wrong
from mcpguard.authoring.check.credentials import chosen
from mcpguard.authoring.findings import Finding, fine
from mcpguard.core.errors import PolicyError

if TYPE_CHECKING:
    from mcpguard.authoring.snapshot import Snapshot
    from mcpguard.config.loading import Config
    from mcpguard.core.document.reading import Document
    from mcpguard.core.policy.compiled import CompiledPolicy


def policies(config: Config, document: Document, snapshot: Snapshot | None) -> Iterator[Finding]:
    """Each policy file, and what is found in those that are right in themselves."""
    from mcpguard.core.policy.compiled import PolicySet

    compiled: list[CompiledPolicy] = []
    yield from _load(config, compiled)
    try:
        PolicySet(compiled)
    except PolicyError as error:
        yield from problems("P001", error)
    if not config.policies:
        place = document.problem(("policies",), "there are no `policies`, so every call is refused")
        yield wrong("C002", place)
    yield from chosen(config, compiled)
    yield from _lints(config, document, compiled, snapshot)


def _load(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    from mcpguard.config.policies import read_document
    from mcpguard.core.policy.compiled import compile_policy
    from mcpguard.core.redaction.redactor import OPT_IN

    for path in config.policies:
        try:
            one = compile_policy(read_document(path, PolicyError), str(path), OPT_IN)
        except PolicyError as error:
            yield from problems("P001", error)
            continue
        compiled.append(one)
        count = len(one.rules)
        yield fine(str(path), f"policy {one.policy.policy}: {count} rule{'s' * (count != 1)}")


def _lints(
    config: Config, document: Document, compiled: list[CompiledPolicy], snapshot: Snapshot | None
) -> Iterator[Finding]:
    from mcpguard.authoring.check.lints import LintSubject, lint

    served = {name: not server.disabled for name, server in config.servers.items()}
    whole = len(compiled) == len(config.policies)
    found = lint(LintSubject(compiled, datetime.now(UTC), served, document, snapshot, whole))
    yield from (one for one in found if one.file != document.source)
    # A line of the configuration may contain a credential.
    yield from (structs.replace(one, excerpt="") for one in found if one.file == document.source)
