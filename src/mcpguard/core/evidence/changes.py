"""What people changed in the state of sessions and tickets, as notices have it.

Law of this file: a notice comes before its change. Where the change could not be stored, a second notice,
`change-void`, or `approval-void` where that was an answer, has the sentence of the first, and nothing was
changed.
"""

from collections.abc import Iterable
from operator import attrgetter

from mcpguard.core.evidence.records import Noticed

VOID = "change-void"
ANSWER_VOID = "approval-void"


def void_of(what: str, detail: str, problem: str) -> str:
    """The sentence of a second notice about the notice `what` with this `detail`."""
    return f"{what}: {detail}: {problem}"


def why_void(change: Noticed, void: Noticed) -> str:
    """Why `change` was not made, as the second notice `void` says; "" where that is about another."""
    begins = void_of(change.what, change.detail, "")
    return void.detail.removeprefix(begins) if void.detail.startswith(begins) else ""


def made(notices: Iterable[Noticed]) -> list[Noticed]:
    """The notices of changes that were made, the oldest first."""
    found: list[Noticed] = []
    for one in sorted(notices, key=attrgetter("at")):
        if one.what in (VOID, ANSWER_VOID):
            void = (each for each in reversed(found) if why_void(each, one))
            undone = next(void, None)
            found = [change for change in found if change is not undone]
        else:
            found.append(one)
    return found
