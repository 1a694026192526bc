"""What belongs to the evidence of a serving process beside its records: upkeep, who signs, where heads go.

Law of this file: the private key is for evidence and for no server, and nothing here runs in the loop.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcpguard.adapters.audit.bounded import EvidenceBounds
from mcpguard.adapters.audit.upkeep import Upkeep, UpkeepTerms
from mcpguard.core.errors import AuditError, UpstreamError
from mcpguard.core.evidence.bounds import BoundTerms
from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.ports import Recipient

if TYPE_CHECKING:
    from mcpguard.adapters.audit.writer import AuditFile
    from mcpguard.config.audit import HeadsEntry
    from mcpguard.config.loading import Audit
    from mcpguard.core.evidence.records import Anchor
    from mcpguard.gateway.ports import Clock, Credentials

WHOM = "audit.key"
"""For whom the private key is: no server is called so."""
POST_SECONDS = 10.0


def signed_by(audit: Audit | None) -> dict[str, frozenset[CredentialRef]]:
    """The reference that evidence may have, as `broker.named_by` gives those of servers."""
    return {} if audit is None or audit.key is None else {WHOM: frozenset((audit.key,))}


def bounded(
    sink: AuditFile,
    audit: Audit | None,
    clock: Clock,
    report: Callable[..., None],
    changed: Callable[[], None],
) -> EvidenceBounds:
    """The bounds of `sink` from now on; `report` is that of `Diagnostics`, `changed()` is called when
    refusals of a session begin to be counted."""
    terms = BoundTerms() if audit is None else audit.bounds
    bounds = EvidenceBounds(terms, clock, sink.write, report, changed)
    sink.bound = bounds
    return bounds


def upkeep(
    sink: AuditFile,
    folder: Path,
    audit: Audit | None,
    report: Callable[[str], None],
    credentials: Credentials,
    over_http: bool,
) -> Upkeep:
    """That of a process, by what its configuration says."""
    if audit is None:
        return Upkeep(sink, folder, UpkeepTerms(), report)
    terms = UpkeepTerms(
        audit.checkpoint_seconds,
        audit.rotate_bytes or 0,
        audit.rotate_seconds or 0.0,
        audit.compress,
        audit.keep_days or 0.0,
        audit.keep_bytes or 0,
        audit.free_bytes,
    )
    to = Recipient(WHOM, None, Principal("", ""))
    key = None if audit.key is None else partial(credentials.get, audit.key, to)
    heads = audit.heads
    if heads is not None and heads.stdout and not over_http:
        report("`audit.heads.stdout` has no effect here: a client reads this output")
    export = None if heads is None else partial(_export, heads, over_http)
    return Upkeep(sink, folder, terms, report, key, export)


def _export(heads: HeadsEntry, over_http: bool, head: Anchor) -> None:
    line = f"{head.file}:{head.head}\n"
    try:
        if heads.file is not None:
            _append(Path(heads.file), line)
        if heads.stdout and over_http:
            os.write(1, line.encode())
    except OSError as error:
        raise AuditError(f"the head of the chain could not be exported: {error.strerror}") from None
    if heads.url is not None:
        asyncio.run(_post(heads.url, json.dumps({"file": head.file, "head": head.head}).encode()))


def _append(path: Path, line: str) -> None:
    opener: Callable[[str, int], int] = partial(os.open, mode=0o600)
    with open(path, "a", encoding="utf-8", opener=opener) as file:
        file.write(line)


async def _post(url: str, body: bytes) -> None:
    from mcpguard.adapters.network.outbound import Outbound

    outbound = Outbound(frozenset((urlsplit(url).hostname or "",)))
    failed = f"the head of the chain could not be exported: {url}"
    try:
        async with asyncio.timeout(POST_SECONDS):
            exchange = await outbound.request("POST", url, {"Content-Type": "application/json"}, body)
            exchange.close()
    except UpstreamError as problem:
        raise AuditError(f"{failed} {problem}") from None
    except TimeoutError:
        raise AuditError(f"{failed} did not answer within {POST_SECONDS:g} seconds") from None
    finally:
        await outbound.close()
    if not 200 <= exchange.status < 300:
        raise AuditError(f"{failed} answered HTTP {exchange.status}")
