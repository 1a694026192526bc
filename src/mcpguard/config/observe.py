"""`observe`: servers for which the policies are only observed, until a day."""

from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import Field

from mcpguard.core.document.must import Mistake, Path, filled
from mcpguard.core.document.written import Items, Written
from mcpguard.core.policy.observation import Observation
from mcpguard.core.policy.terms import end_of
from mcpguard.core.policy.written import A_DAY


class ObserveEntry(Written):
    """`observe`: servers for which the policies are recorded and not enforced, until a day."""

    until: Annotated[str, A_DAY] = Field(
        description="The last day, `YYYY-MM-DD`, to its end in UTC; at most 31 days ahead, else it has no "
        "effect. Afterwards the policies are enforced, and this can be removed.",
    )
    servers: Annotated[Items[str], filled("name at least one server, or take `observe` out", minItems=1)] = (
        Field(
            description="The servers, by their names in `servers`. What the policies would refuse of them is "
            "recorded, and goes on.",
        )
    )

    def strangers(self, at: Path, servers: Collection[str]) -> Iterator[Mistake]:
        """Names of none of `servers`; `at` is where this stands."""
        known = ", ".join(servers)
        for index, name in enumerate(self.servers):
            if name not in servers:
                yield (*at, "servers", index), f"there is no server of this name; known are {known}"

    @property
    def observation(self) -> Observation:
        end = end_of(self.until)
        assert end is not None  # noqa: S101 - its schema says that it is a day
        return Observation(frozenset(self.servers), end)
