"""Notifies people about waiting calls while mcpguard serves (`approvals.notify`).

Law of this file: the URL of a target goes to that target and to no server; it is read when something is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal

from mcpguard.adapters.system.disk import to_loop
from mcpguard.config.terms import DESKTOP, NotifyTerms
from mcpguard.core.model import Principal
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, sole_reference
from mcpguard.gateway.ports import Credentials, Recipient

if TYPE_CHECKING:
    from mcpguard.adapters.approvals.notifying import Notifier

FOR_NOTIFY = "approvals.notify"
"""For whom the URLs are: no server has this name."""


def notified_by(entries: Iterable[NotifyTerms]) -> dict[str, frozenset[CredentialRef]]:
    """The references that notifications may have, as `broker.named_by` gives those of servers."""
    return {FOR_NOTIFY: frozenset(sole_reference(one.to) for one in entries if one.to != DESKTOP)}


def notifying(
    entries: tuple[NotifyTerms, ...],
    credentials: Credentials,
    redactor: Redactor,
    report: Callable[[str, str, Literal["info", "warning"]], None],
    loop: asyncio.AbstractEventLoop,
    option: Callable[[], str] = str,
) -> Notifier | None:
    """What tells all targets, None where there are none. `report("", line, level)` takes a line for the
    operator, in the loop. `option` as in `NotifyTarget`."""
    if not entries:
        return None
    from mcpguard.adapters.approvals.notifying import Notifier, NotifyTarget

    to = Recipient(FOR_NOTIFY, None, Principal("", ""))

    def target(entry: NotifyTerms) -> NotifyTarget:
        url = None if entry.to == DESKTOP else partial(credentials.get, sole_reference(entry.to), to)
        return NotifyTarget(entry.to, url, entry.arguments == "shown", option)

    return Notifier(map(target, entries), redactor.inspect_text, partial(to_loop, loop, report, ""))
