"""What evidence says of the question to a person and of the answer, taken out of its sentences.

Law of this file: a sentence that is not as ours are is shown as it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import datetime

    from mcpguard.console.evidence import Place, SeenNotice

EFFECTS = {
    "approval-asked": "asked",
    "approval-given": "approved",
    "approval-refused": "denied",
    "approval-void": "withheld",
    "approval-ended": "withheld",
}
"""By what a notice says, the effect whose sign stands with it."""

_ASKED = re.compile(
    r"ticket ([0-9a-f]{1,64}) for the call (\S+) of .*?: \S+ (.+), sha256 of the arguments [0-9a-f]+"
)
_GIVEN = re.compile(r"ticket ([0-9a-f]{1,64}) of .*? by (.+?)(?P<proof>; the assertion of the passkey: .*)?")
_VOID = re.compile(r"ticket ([0-9a-f]{1,64}) by (.+)")
_TICKET = re.compile(r"ticket ([0-9a-f]{1,64})\b")


class AnswerStep(Struct, frozen=True):
    """A question or an answer. `ticket` and `call` are ids, "" where they are not known; `who` answered,
    `target` was asked about; `detail` is the sentence where it says more."""

    what: str
    effect: str
    at: datetime
    place: Place
    ticket: str = ""
    call: str = ""
    server: str = ""
    target: str = ""
    who: str = ""
    detail: str = ""


def answer_steps(notices: list[SeenNotice]) -> list[AnswerStep]:
    """Those that are about a ticket, in the same order; an answer has the call and the target of its
    question."""
    steps: list[AnswerStep] = []
    asked: dict[str, AnswerStep] = {}
    for seen in notices:
        if seen.notice.what not in EFFECTS:
            continue
        step = _step(seen)
        if step.what == "approval-asked":
            asked[step.ticket] = step
        elif step.ticket in asked:
            question = asked[step.ticket]
            step = _with_question(step, question)
        steps.append(step)
    return steps


def _step(seen: SeenNotice) -> AnswerStep:
    notice = seen.notice
    about = (notice.what, EFFECTS[notice.what], seen.at, seen.place)
    if notice.what == "approval-asked":
        found = _ASKED.fullmatch(notice.detail)
        if found is not None:
            return AnswerStep(*about, found[1], found[2], notice.server, found[3])
    else:
        form = _VOID if notice.what == "approval-void" else _GIVEN
        found = form.fullmatch(notice.detail)
        if found is not None:
            proven = " with a passkey" if found.groupdict().get("proof") else ""
            return AnswerStep(*about, found[1], who=found[2] + proven)
    number = _TICKET.match(notice.detail)
    return AnswerStep(*about, number[1] if number else "", detail=notice.detail)


def _with_question(step: AnswerStep, question: AnswerStep) -> AnswerStep:
    return AnswerStep(
        step.what,
        step.effect,
        step.at,
        step.place,
        step.ticket,
        question.call,
        question.server,
        question.target,
        step.who,
        step.detail,
    )
