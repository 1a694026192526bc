"""What evidence says of the question to a person and of the answer, taken out of its sentences.

Law of this file: a sentence that is not as ours are is shown as it stands.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from mcpguard.console.evidence import Place, SeenNotice

EFFECTS = {
    "approval-asked": "asked",
    "approval-given": "approved",
    "approval-refused": "denied",
    "approval-void": "withheld",
    "approval-ended": "withheld",
}
"""By what a notice says, the effect whose sign stands with it."""

_ASKED = re.compile(r"ticket ([0-9a-f]{1,64}) for the call (\S+) of ")
_ARGUMENTS = ", sha256 of the arguments "
_GIVEN = re.compile(r"ticket ([0-9a-f]{1,64}) of ")
_PROOF = "; the assertion of the passkey: "
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
    found = _read(notice.what, notice.detail)
    if found is not None:
        ticket, call, target, who = found
        return AnswerStep(*about, ticket, call, notice.server if call else "", target, who)
    number = _TICKET.match(notice.detail)
    return AnswerStep(*about, number[1] if number else "", detail=notice.detail)


def _read(what: str, detail: str) -> tuple[str, str, str, str] | None:
    """The ticket, the call, what it is for, and who answered, "" for what the sentence does not say; None
    where it is not one of ours. It may be long and made to be hard to read, so it is cut, not searched."""
    if what == "approval-asked":
        head = _ASKED.match(detail)
        said, mark, _ = detail.rpartition(_ARGUMENTS)
        if head is None or not mark:
            return None
        method, _, target = said[head.end() :].partition(": ")[2].partition(" ")
        return (head[1], head[2], target, "") if method and target else None
    if what == "approval-void":
        void = _VOID.fullmatch(detail)
        return (void[1], "", "", void[2]) if void is not None else None
    head = _GIVEN.match(detail)
    said, proof, _ = detail.partition(_PROOF)
    who = "" if head is None else said[head.end() :].partition(" by ")[2]
    return (head[1], "", "", f"{who} with a passkey" if proof else who) if head and who else None


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
