"""The schema of `telemetry`: where evidence is exported to while mcpguard serves."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from mcpguard.config.references import ENTRY, Headers, header_mistakes, references
from mcpguard.config.terms import SINK_SCHEMES, SinkFormat
from mcpguard.config.urls import NEEDS_TLS, is_open, split
from mcpguard.core.document.must import Mistake, Must
from mcpguard.core.document.written import Items, Written

_WRONG = "expected a file, or a URL that begins with " + ", ".join(f"{scheme}://" for scheme in SINK_SCHEMES)


def _wrong_sink(text: str) -> str:
    if "://" not in text:
        return "" if text.strip("- ") else "expected a file or a URL: a client reads the standard output"
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

    to: Annotated[str, Must(_wrong_sink)] = Field(
        description="A URL (`https://`, `http://`, `syslog+tcp://HOST:PORT`, `syslog+udp://HOST:PORT`, "
        "`syslog+unix:///dev/log`), or a file to append to, but no `.jsonl` in the audit folder. A "
        "relative one is relative to this file. For `otlp` the URL under which "
        "`/v1/traces`, `/v1/logs` and `/v1/metrics` are.",
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
        description="Where evidence goes; each sink has its own place in it, and gets what it missed later.",
    )
    metrics: bool = Field(
        False,
        description="Whether `mcpguard run --http HOST:PORT` serves `/metrics` for Prometheus, to whoever "
        "may use the MCP endpoint: on loopback, or with a token.",
    )
    on_sink_failure: Literal["continue", "block"] = Field(
        "continue",
        description="While a sink takes nothing: `continue` serves on, since the evidence is kept and sent "
        "later; `block` refuses every request.",
    )
