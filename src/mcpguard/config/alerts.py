"""The schema of `alerts`: what an operator hears of at once, and how."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from mcpguard.config.urls import ServiceUrl
from mcpguard.core.document.must import Mistake, between, filled
from mcpguard.core.document.written import Items, Written


class AlertsEntry(Written):
    """`alerts`: what raises one. Each kind is told once for each principal or server, and then not again for
    `quiet_seconds`."""

    command: Annotated[Items[str], filled("name a program, or leave it out", minItems=1)] | None = Field(
        None, description="A program with its arguments, which gets an alert as JSON on its standard input."
    )
    webhook: ServiceUrl | None = Field(None, description="A URL to which an alert is posted as JSON.")
    notify: bool = Field(False, description="Whether those in `approvals.notify` hear of it too.")
    denials_per_minute: Annotated[int, between(0, 100_000)] = Field(
        30, description="How many refused requests of one principal raise an alert; 0 for never."
    )
    approvals_per_minute: Annotated[int, between(0, 100_000)] = Field(
        10, description="How many calls of one principal that ask for an approval raise one; 0 for never."
    )
    held_secret: bool = Field(
        True,
        description="A value that mcpguard holds was found in what a server sent, or a client sent one that "
        "is not for this server.",
    )
    pin_change: bool = Field(True, description="A tool has a different definition than before.")
    evidence_gap: bool = Field(True, description="Evidence could not be written for a time.")
    quiet_seconds: Annotated[float, between(1, 86_400, "seconds")] = Field(
        600.0, description="How long the same alert is not repeated."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.command is None and self.webhook is None and not self.notify:
            yield (), "nobody hears of them: add `command`, `webhook` or `notify: true`"

    @property
    def events(self) -> frozenset[str]:
        named = {
            "held-secret": self.held_secret,
            "pin-change": self.pin_change,
            "evidence-gap": self.evidence_gap,
        }
        return frozenset(name for name, wanted in named.items() if wanted)

    @property
    def quiet(self) -> timedelta:
        return timedelta(seconds=self.quiet_seconds)
