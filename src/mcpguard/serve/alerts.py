"""Alerts while serving: on evidence, as one more sink of telemetry (`alerts` of the configuration), and about
calls that wait (`approvals.notify`).

Law of this file: the URL of a target goes to that target and to no server; it is read when an alert is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, json

from mcpguard.config.terms import DESKTOP, NotifyTerms
from mcpguard.core.errors import CredentialError, TelemetryError
from mcpguard.core.model import Principal
from mcpguard.core.policy.tickets import Ticket
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, sole_reference
from mcpguard.gateway.ports import Credentials, LostAlerts, Recipient

if TYPE_CHECKING:
    from mcpguard.adapters.telemetry.alerts import Alert, AlertSink
    from mcpguard.config.alerts import AlertsEntry

SECONDS = 30.0
"""How long a target may take."""


def alert_sink(
    entry: AlertsEntry, notify: tuple[NotifyTerms, ...], credentials: Credentials, host: str
) -> AlertSink:
    """What tells whom the configuration names; `host` is the name of this machine."""
    from mcpguard.adapters.telemetry.alerts import AlertSink, AlertTerms, AlertWatch

    terms = AlertTerms(entry.denials_per_minute, entry.approvals_per_minute, entry.events, entry.quiet)
    targets: dict[str, Callable[[Alert], str]] = {}
    if entry.command is not None:
        targets["the command"] = partial(_by_command, list(entry.command))
    if entry.webhook is not None:
        targets[entry.webhook] = partial(_by_webhook, entry.webhook)
    for one in notify if entry.notify else ():
        targets[one.to] = partial(_by_notifier, one.to, credentials)
    return AlertSink(AlertWatch(terms, host), targets)


def _by_command(words: list[str], alert: Alert) -> str:
    from mcpguard.adapters.approvals.alerts import by_command

    return by_command(words, json.encode(alert), SECONDS)


def _by_webhook(url: str, alert: Alert) -> str:
    from mcpguard.adapters.telemetry.destinations import WebPoints

    web = WebPoints(url, dict)
    try:
        web.post(url, "application/json", json.encode(alert))
    except TelemetryError as problem:
        return str(problem)
    finally:
        web.close()
    return ""


def _by_notifier(to: str, credentials: Credentials, alert: Alert) -> str:
    from mcpguard.adapters.approvals.alerts import told

    title, body = alert.text
    try:
        recipient = Recipient(WHOM, None, Principal("", ""))
        url = None if to == DESKTOP else credentials.get(sole_reference(to), recipient)
    except CredentialError as problem:
        return str(problem)
    return told(url, title, body, SECONDS)


WHOM = "approvals.notify"
"""For whom the URLs are: no server is called so."""


class Alerting(Struct, frozen=True):
    """`send` tells all targets about a ticket, `failing()` gives those that take no alert now."""

    send: Callable[[Ticket], None] = lambda _ticket: None
    failing: Callable[[], tuple[LostAlerts, ...]] = lambda: ()


def notified_by(entries: Iterable[NotifyTerms]) -> dict[str, frozenset[CredentialRef]]:
    """The references that alerts may have, as `broker.named_by` gives those of servers."""
    return {WHOM: frozenset(sole_reference(one.to) for one in entries if one.to != DESKTOP)}


def alerts(
    entries: tuple[NotifyTerms, ...],
    credentials: Credentials,
    redactor: Redactor,
    report: Callable[[str, str], None],
    loop: asyncio.AbstractEventLoop,
) -> Alerting:
    """What tells all targets; `report("", line)` takes a line for the operator, in the loop."""
    if not entries:
        return Alerting()
    from mcpguard.adapters.approvals.alerts import Alerts, AlertTarget

    to = Recipient(WHOM, None, Principal("", ""))

    def target(entry: NotifyTerms) -> AlertTarget:
        url = None if entry.to == DESKTOP else partial(credentials.get, sole_reference(entry.to), to)
        return AlertTarget(entry.to, url, entry.arguments == "shown")

    def say(line: str) -> None:
        with suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(report, "", line)

    made = Alerts(map(target, entries), redactor.inspect_text, say)
    return Alerting(made.send, lambda: made.failing)
