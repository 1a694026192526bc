"""What people changed in the state of sessions and tickets, as notices have it.

Law of this file: a notice comes before its change. Where the change could not be stored, a second notice,
`change-void`, has the sentence of the first, and nothing was changed.
"""

from collections.abc import Iterable
from operator import attrgetter

from mcpguard.core.evidence.records import Noticed

VOID = "change-void"


def void_of(what: str, detail: str, problem: str) -> str:
    """The sentence of a `change-void` about the notice `what` with this `detail`."""
    return f"{what}: {detail}: {problem}"


def made(notices: Iterable[Noticed]) -> list[Noticed]:
    """The notices of changes that were made, the oldest first."""
    found: list[Noticed] = []
    for one in sorted(notices, key=attrgetter("at")):
        if one.what == VOID:
            void = (
                each for each in reversed(found) if one.detail.startswith(void_of(each.what, each.detail, ""))
            )
            undone = next(void, None)
            found = [change for change in found if change is not undone]
        else:
            found.append(one)
    return found
