"""Alerts on evidence while serving, as `alerts` of the configuration says: one more sink of telemetry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import json

from mcpguard.core.errors import CredentialError, TelemetryError
from mcpguard.core.model import Principal
from mcpguard.core.secret import sole_reference
from mcpguard.gateway.ports import Credentials, Recipient

if TYPE_CHECKING:
    from mcpguard.adapters.telemetry.alarms import Alarm, AlarmSink
    from mcpguard.config.alerts import AlertsEntry
    from mcpguard.config.terms import NotifyTerms

SECONDS = 30.0
"""How long a target may take."""


def alarm_sink(
    entry: AlertsEntry, notify: tuple[NotifyTerms, ...], credentials: Credentials, host: str
) -> AlarmSink:
    """What tells whom the configuration names; `host` is the name of this machine."""
    from mcpguard.adapters.telemetry.alarms import AlarmSink, AlarmTerms, AlarmWatch

    terms = AlarmTerms(entry.denials_per_minute, entry.approvals_per_minute, entry.events, entry.quiet)
    targets: dict[str, Callable[[Alarm], str]] = {}
    if entry.command is not None:
        targets["the command"] = partial(_by_command, list(entry.command))
    if entry.webhook is not None:
        targets[entry.webhook] = partial(_by_webhook, entry.webhook)
    for one in notify if entry.notify else ():
        targets[one.to] = partial(_by_notifier, one.to, credentials)
    return AlarmSink(AlarmWatch(terms, host), targets)


def _by_command(words: list[str], alarm: Alarm) -> str:
    from mcpguard.adapters.approvals.alerts import by_command

    return by_command(words, json.encode(alarm), SECONDS)


def _by_webhook(url: str, alarm: Alarm) -> str:
    from mcpguard.adapters.telemetry.destinations import WebPoints

    web = WebPoints(url, dict)
    try:
        web.post(url, "application/json", json.encode(alarm))
    except TelemetryError as problem:
        return str(problem)
    finally:
        web.close()
    return ""


def _by_notifier(to: str, credentials: Credentials, alarm: Alarm) -> str:
    from mcpguard.adapters.approvals.alerts import told
    from mcpguard.config.terms import DESKTOP
    from mcpguard.serve.alerting import WHOM

    title, body = alarm.text
    try:
        recipient = Recipient(WHOM, None, Principal("", ""))
        url = None if to == DESKTOP else credentials.get(sole_reference(to), recipient)
    except CredentialError as problem:
        return str(problem)
    return told(url, title, body, SECONDS)
