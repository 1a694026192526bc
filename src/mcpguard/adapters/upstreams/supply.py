"""What one upstream gets of the credentials, for the calls of one principal; and the leases that a lane uses,
which are renewed before their end, so that none ends under an open call.

Law of this file: a source that may block is asked in a thread, and nothing else is: what is available without
waiting costs a call no more than looking it up. A lease is renewed only while something uses it; what cannot
be renewed is left alone, and the next call takes what there is then, or is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from math import inf
from typing import TypeVar

from msgspec import structs

from mcpguard.adapters.relay.background import Background
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.secret import CredentialRef, Secret, Template
from mcpguard.gateway.ports import Credentials, Recipient

Values = Mapping[CredentialRef, Secret]
K = TypeVar("K")


class CredentialSupply:
    """The credentials of one recipient."""

    def __init__(
        self,
        credentials: Credentials,
        to: Recipient,
        seconds: float = 60.0,
        host: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """A value that does not arrive within `seconds` is not waited for. `host()` is where a recipient
        with a `url` is now, asked for each time, and may raise CredentialError and UpstreamError."""
        self._credentials = credentials
        self._to = to
        self._seconds = seconds
        self._host = host

    def known(self, refs: Iterable[CredentialRef]) -> dict[CredentialRef, Secret] | None:
        """The values, where all of them are available without waiting; None where not."""
        return self._known(refs, self._to) if self._host is None else None

    def _known(self, refs: Iterable[CredentialRef], to: Recipient) -> dict[CredentialRef, Secret] | None:
        found: dict[CredentialRef, Secret] = {}
        for ref in refs:
            secret = self._credentials.known(ref, to)
            if secret is None:
                return None
            found[ref] = secret
        return found

    def _values(self, refs: Iterable[CredentialRef], to: Recipient) -> dict[CredentialRef, Secret]:
        return {ref: self._credentials.get(ref, to) for ref in refs}

    async def _recipient(self) -> Recipient:
        return self._to if self._host is None else structs.replace(self._to, host=await self._host())

    async def get(self, refs: Iterable[CredentialRef]) -> dict[CredentialRef, Secret]:
        """The values now, asked for in a thread where that may take time. Raises CredentialError, also for a
        defect: whoever waits for a value has to be answered."""
        refs = tuple(refs)
        try:
            async with asyncio.timeout(self._seconds):
                to = await self._recipient()
                found = self._known(refs, to)
                return await asyncio.to_thread(self._values, refs, to) if found is None else found
        except CredentialError:
            raise
        except UpstreamError as problem:
            raise CredentialError(f"the server that is to have it {problem}") from None
        except TimeoutError:
            named, within = ", ".join(map(str, refs)), f"{self._seconds:g} seconds"
            said = f"{named}: not available within {within} (`start_timeout_seconds`)"
            raise CredentialError(said) from None
        except Exception:
            raise CredentialError("a credential could not be looked up: internal error in mcpguard") from None

    def remaining(self, refs: Iterable[CredentialRef]) -> float | None:
        """Seconds until the first of the values that were given last ends; None where none does."""
        left = [self._credentials.remaining(ref, self._to) for ref in refs]
        return min((one for one in left if one is not None), default=None)

    def due(self, refs: Iterable[CredentialRef]) -> float | None:
        """Seconds until `renew` can lengthen one of the values that were given last; None where none can."""
        left = [self._credentials.due(ref, self._to) for ref in refs]
        return min((one for one in left if one is not None), default=None)

    async def renew(self, refs: Iterable[CredentialRef]) -> None:
        """Lengthen those that are due, in a thread. The operator is told where that fails."""
        due = [ref for ref in refs if self._credentials.due(ref, self._to) == 0]
        await asyncio.to_thread(self._renew, due)

    def _renew(self, refs: Iterable[CredentialRef]) -> None:
        for ref in refs:
            with suppress(CredentialError):  # It is not for this server any more.
                self._credentials.renew(ref, self._to)


LEAST_SECONDS = 0.1
"""From one renewal to the next at least."""


class LeaseRenewal:
    """Renews what one lane uses, from `look` on until nothing is used."""

    def __init__(self, supply: CredentialSupply, in_use: Callable[[], Iterable[CredentialRef]]) -> None:
        """`in_use()` names the credentials that something uses now."""
        self._supply = supply
        self._in_use = in_use
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf
        """When the next look is, in seconds of the event loop."""
        self._background = Background("a lease could not be renewed")

    def look(self, refs: Iterable[CredentialRef]) -> None:
        """See to it that these, which something has begun to use, are renewed in time."""
        due = self._supply.due(refs)
        if due is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(due, LEAST_SECONDS)
        if at < self._at:
            self._stop()
            self._at = at
            self._timer = loop.call_at(at, self._begin)

    def _begin(self) -> None:
        self._at = inf
        self._background.start(self._renew())

    async def _renew(self) -> None:
        await self._supply.renew(self._in_use())
        self.look(self._in_use())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Renew nothing any more; waits for a renewal that is under way."""
        self._stop()
        await self._background.close()


def not_chosen(credential: str, server: str, key: str) -> CredentialError:
    """The error about a credential that a rule chooses and that does not say where it goes."""
    return CredentialError(
        f"the credential '{credential}' cannot be chosen for '{server}': no entry of `credentials` of this "
        f"name has '{server}' in `servers` and says `{key}`"
    )


def refs_of(templates: Iterable[Template]) -> tuple[CredentialRef, ...]:
    """The references in them, each once, in order."""
    return tuple(dict.fromkeys(ref for one in templates for ref in one.refs))


def joined(template: Template, values: Values) -> str:
    """The text with the values in place."""
    parts = [template.texts[0]]
    for ref, text in zip(template.refs, template.texts[1:], strict=True):
        parts += [values[ref].reveal(), text]
    return "".join(parts)


def same(one: Mapping[K, Secret], two: Mapping[K, Secret]) -> bool:
    """Whether both have the same values under the same keys."""
    return one.keys() == two.keys() and all(
        one[key] is two[key] or one[key].reveal() == two[key].reveal() for key in one
    )
