"""An upstream's environment: its own settings with the credentials filled in, and nothing of ours.

Law of this file: a value is revealed only into the environment of the upstream whose configuration names
it. The redactor holds it already: whoever gives credentials sees to that (laws 2 and 3).
"""

import os
from collections.abc import Mapping

from mcpguard.adapters.upstreams.process.inherited import child_environment
from mcpguard.adapters.upstreams.supply import CredentialSupply, Values, joined, refs_of, same
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Template

_OURS = "env"
"""The source that does not change while a process runs: our own environment."""


class Environment:
    """The environment of one upstream, resolved at each start."""

    def __init__(self, templates: Mapping[str, Template], supply: CredentialSupply) -> None:
        """`supply` gives what the templates refer to."""
        self.refs = refs_of(templates.values())
        self.changing = tuple(ref for ref in self.refs if ref.source != _OURS)
        """Those whose values may be others while mcpguard runs."""
        self._templates = templates
        self._supply = supply
        self._given: Values = {}

    async def resolve(self) -> dict[str, str]:
        """The whole environment. Raises CredentialError, which names the reference."""
        values = await self._supply.get(self.refs)
        own = {name: joined(template, values) for name, template in self._templates.items()}
        if any("\0" in value for value in own.values()):
            raise CredentialError(
                "a credential contains a zero byte, which an environment variable cannot contain"
            )
        self._given = values
        return child_environment(os.environ, own)

    @property
    def seen_in_force(self) -> bool | None:
        """Whether the values it was last resolved with are current; None if that takes time to find out."""
        values = self._supply.known(self.changing)
        return None if values is None else self._has(values)

    async def in_force(self) -> bool:
        """The same, however long it takes. Raises CredentialError where a value is no longer available."""
        return self._has(await self._supply.get(self.changing))

    def _has(self, values: Values) -> bool:
        return same({ref: self._given[ref] for ref in self.changing}, values)

    @property
    def ended(self) -> list[CredentialRef]:
        """Those whose values have ended at their sources."""
        return [ref for ref in self.refs if self._supply.remaining((ref,)) == 0]

    @property
    def remaining(self) -> float | None:
        """Seconds until the first of its values ends; None where none does."""
        return self._supply.remaining(self.refs)
