"""The schemas of `audit`, `telemetry` and `alerts`: where evidence goes, how much of it a session may make
and how long it is kept; where it is exported to while mcpguard serves; and what an operator is alerted to at
once.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mcpguard.config.references import (
    ENTRY,
    SOLE_REFERENCE,
    FilePath,
    Headers,
    header_mistakes,
    references,
    wrong_path,
    wrong_reference,
)
from mcpguard.config.terms import FREE_BYTES, SINK_SCHEMES, ArgumentsOnRecord, Durability, SinkFormat
from mcpguard.config.urls import NEEDS_TLS, UrlName, is_open, split, wrong_url
from mcpguard.core.document.constraints import Constraint, Mistake, between, filled
from mcpguard.core.document.written import Items, Written
from mcpguard.core.evidence.bounds import ARGUMENTS_A_MINUTE, REFUSALS_A_MINUTE
from mcpguard.core.evidence.chain import SUFFIXES
from mcpguard.core.secret import CredentialRef, sole_reference


def taken_for_chain(folder: Path, file: str | Path) -> bool:
    """Whether what is written to `file` would be read as a chain of the evidence in `folder`."""
    name = os.path.basename(file)
    named = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(file))), name)
    inside = os.path.realpath(folder)
    return any(
        one.endswith(SUFFIXES) and os.path.dirname(one) == inside for one in (named, os.path.realpath(file))
    )


_NO_KEY = "expected one reference, such as ${keyring:audit/key}: `mcpguard audit key --new` makes a key"
KeyRef = Annotated[
    str, Constraint(lambda text: wrong_reference(text, _NO_KEY), pattern=f"^{SOLE_REFERENCE}$")
]


def _wrong_webhook(text: str) -> str:
    return wrong_reference(text) if "${" in text else wrong_url(text)


Webhook = Annotated[str, Constraint(_wrong_webhook, pattern=f"^(?:https?://.+|{SOLE_REFERENCE})$")]


class RotateEntry(Written):
    """`rotate` of `audit`: when a process continues in a new chain."""

    bytes: Annotated[int, between(4096, 1 << 40, "bytes")] | None = Field(
        None, description="When the file reaches this size."
    )
    seconds: Annotated[float, between(1, 31_536_000, "seconds")] | None = Field(
        None, description="When it reaches this age, and something was recorded."
    )


class BoundsEntry(Written):
    """`bounds` of `audit`: how much evidence one session may make a minute, whoever its clients are. What is
    not used adds up for four minutes; 0 removes the bound."""

    refusals_per_minute: Annotated[int, between(0, 1_000_000, "refusals")] = Field(
        REFUSALS_A_MINUTE,
        description="Refused requests and messages that are recorded individually, and as many requests for "
        "lists. Beyond that they are counted: a notice `refusals-folded` or `lists-folded` stands for them. "
        "Servers are not asked for lists more often than that on behalf of one session.",
    )
    arguments_bytes_per_minute: Annotated[int, between(0, 1 << 40, "bytes")] = Field(
        ARGUMENTS_A_MINUTE,
        description="Bytes of arguments that are recorded, separately for refused and allowed requests. "
        "Beyond that, only their sha256 and length are recorded; up to 1 KiB of an allowed "
        "request's arguments is always recorded.",
    )


class HeadsEntry(Written):
    """`heads` of `audit`: where the head of the chain goes at each checkpoint, and when the chain ends."""

    file: FilePath | None = Field(
        None,
        description="A line `FILE:HASH` is appended to this file. A relative one is relative to this file.",
    )
    url: UrlName | None = Field(
        None, description="A JSON object with `file` and `head` is posted to this URL."
    )
    stdout: bool = Field(
        False,
        description="A line `FILE:HASH` is printed; only when serving over HTTP, since a client reads "
        "the output otherwise.",
    )


class AuditEntry(Written):
    """`audit` as written."""

    path: FilePath | None = Field(
        None,
        description="The folder; created if it is missing, mode 0700. A relative one is relative to this "
        "file. Default: `audit` in the user's state folder.",
    )
    durability: Durability = Field(
        "flush",
        description="What evidence survives: `flush` a killed process, `fsync` also a power failure. "
        "`group` is like `fsync`, but collects records for up to 2 ms, or until there are 64, "
        "so that more of them share one sync.",
    )
    arguments: ArgumentsOnRecord = Field(
        "redacted",
        description="What is recorded of a call's arguments besides their sha256: `redacted`: all of them, "
        "redacted like results, up to 16 KiB; `digest`: nothing, and neither groups nor claims "
        "of tokens.",
    )
    key: KeyRef | None = Field(
        None,
        description="A reference to the private key that signs checkpoints, such as `${keyring:audit/key}`; "
        "`mcpguard audit key --new` makes one, in the keychain or with `--to FILE` in a file.",
    )
    checkpoint_seconds: Annotated[float, between(1, 86_400, "seconds")] = Field(
        60.0,
        description="How often a checkpoint is written if anything was recorded; there is always one after "
        "1,000 records.",
    )
    heads: HeadsEntry | None = Field(None, description="Where heads are kept besides the chains.")
    rotate: RotateEntry | None = Field(
        None,
        description="When a process continues in a new chain. Default: never; with `keep_days` once a day, "
        "with `keep_bytes` after a tenth of them.",
    )
    compress: bool = Field(False, description="Whether closed chains are compressed (`.jsonl.gz`).")
    keep_days: Annotated[float, between(1, 36_500, "days")] | None = Field(
        None,
        description="Chains that were last written longer ago than this are removed, oldest first, and the "
        "evidence records the last one; a chain that has not arrived at a sink stays for up to 7 more days. "
        "Default: none are removed.",
    )
    keep_bytes: Annotated[int, between(1 << 20, 1 << 50, "bytes")] | None = Field(
        None,
        description="If the chains of the folder are larger in total, the oldest are removed as with "
        "`keep_days`, except chains written within the last day, and chains of the last 8 days "
        "that have not arrived at a sink. Default: none are removed.",
    )
    free_bytes: Annotated[int, between(0, 1 << 50, "bytes")] = Field(
        FREE_BYTES,
        description="If less is free on the disk, mcpguard warns: on standard error, in "
        "`mcpguard status`, `/readyz` and `/metrics`. 0 for never.",
    )
    bounds: BoundsEntry = Field(
        default_factory=BoundsEntry, description="How much evidence a session may produce per minute."
    )


_WRONG = "expected a file, or a URL that begins with " + ", ".join(f"{scheme}://" for scheme in SINK_SCHEMES)


def _wrong_sink(text: str) -> str:
    if "://" not in text:
        if not text.strip("- "):
            return "expected a file or a URL: a client reads the standard output"
        return _WRONG if wrong_path(text) else ""
    parts = split(text)
    try:
        known = parts is not None and parts.scheme in SINK_SCHEMES and (parts.port or 1) > 0
    except ValueError:
        known = False
    if parts is None or not known or not (parts.hostname or parts.scheme == "syslog+unix"):
        return _WRONG
    return "must have neither a user name nor a reference: use `headers`" if "@" in parts.netloc else ""


class SinkEntry(Written):
    """An entry of `telemetry.sinks`."""

    to: Annotated[str, Constraint(_wrong_sink)] = Field(
        description="A URL (`https://`, `http://`, `syslog+tcp://HOST:PORT`, `syslog+udp://HOST:PORT`, "
        "`syslog+unix:///dev/log`), or a file to append to, but no `.jsonl` in the audit folder. A "
        "relative one is relative to this file. For `otlp` the URL under which "
        "`/v1/traces`, `/v1/logs` and `/v1/metrics` are."
    )
    format: SinkFormat = Field(description="One of the formats of `mcpguard audit export`.")
    headers: Headers = Field(
        {}, description="For an HTTP endpoint; a value may hold references, such as `Bearer ${keyring:otel}`."
    )

    def mistakes(self) -> Iterator[Mistake]:
        web = self.to.startswith(("http://", "https://"))
        if self.format == "otlp" and not web:
            yield ("to",), "OTLP goes to an http:// or https:// URL, such as http://127.0.0.1:4318"
        if self.headers and not web:
            yield ("headers",), "only an http:// or https:// URL has headers"
        refs = [ref for text in self.headers.values() for ref in references(text)]
        if refs and is_open(self.to):
            yield ("to",), NEEDS_TLS
        if any(ref.source == ENTRY for ref in refs):
            yield ("headers",), "an entry of `credentials` is for servers: use ${keyring:…} or ${env:…}"
        yield from header_mistakes(("headers",), self.headers)


class TelemetryEntry(Written):
    """`telemetry`: what is exported of evidence, as it is recorded. A call never waits for it."""

    sinks: Items[SinkEntry] = Field(
        (),
        description="Where evidence is sent; each sink has its own position, and later gets what it missed.",
    )
    metrics: bool = Field(
        False,
        description="Whether `mcpguard run --http HOST:PORT` serves `/metrics` for Prometheus, to clients "
        "that may use the MCP endpoint: on loopback, or with a token.",
    )
    on_sink_failure: Literal["continue", "block"] = Field(
        "continue",
        description="While a sink accepts no evidence: `continue` keeps serving, since the evidence is kept "
        "and sent later; `block` refuses every request.",
    )


class AlertsEntry(Written):
    """`alerts`: what raises one. Each kind is reported once for each principal or server, and then not again
    for `quiet_seconds`."""

    command: Annotated[Items[str], filled("name a program, or leave it out", minItems=1)] | None = Field(
        None, description="A program with its arguments, which gets an alert as JSON on its standard input."
    )
    webhook: Webhook | None = Field(
        None,
        description="A URL to which an alert is posted as JSON. If its path is a secret, as with chat "
        "services, a reference to it, such as `${keyring:alerts/url}`.",
    )
    notify: bool = Field(False, description="Whether those in `approvals.notify` are notified, too.")
    denials_per_minute: Annotated[int, between(0, 100_000)] = Field(
        30, description="How many refused requests of one principal raise an alert; 0 for never."
    )
    approvals_per_minute: Annotated[int, between(0, 100_000)] = Field(
        10, description="How many calls of one principal that ask for an approval raise one; 0 for never."
    )
    held_secret: bool = Field(
        True,
        description="A server sent a value that mcpguard holds, or a client sent one to a server that it "
        "is not for.",
    )
    pin_change: bool = Field(
        True, description="A tool has a definition that it never had before, in any session."
    )
    server_lost: bool = Field(
        True,
        description="A tool server could not be started, ended by itself, or did not answer and was ended.",
    )
    evidence_gap: bool = Field(
        True, description="No evidence can be written, or none could be written for a time."
    )
    quiet_seconds: Annotated[float, between(1, 86_400, "seconds")] = Field(
        600.0, description="How long the same alert is suppressed."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.command is None and self.webhook is None and not self.notify:
            yield (), "nobody is notified: add `command`, `webhook` or `notify: true`"

    @property
    def webhook_reference(self) -> CredentialRef | None:
        """What gives the URL of `webhook`; None where it is written, or where nothing is posted."""
        return sole_reference(self.webhook) if self.webhook and "${" in self.webhook else None

    @property
    def events(self) -> frozenset[str]:
        named = {
            "held-secret": self.held_secret,
            "pin-change": self.pin_change,
            "server-lost": self.server_lost,
            "evidence-gap": self.evidence_gap,
        }
        return frozenset(name for name, wanted in named.items() if wanted)

    @property
    def quiet(self) -> timedelta:
        return timedelta(seconds=self.quiet_seconds)
