"""What one upstream gets of the credentials, for the calls of one principal.

Law of this file: a source that may block is asked in a thread, and nothing else is: what is to be had without
waiting costs a call no more than looking it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TypeVar

from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret, Template
from mcpguard.recipients import Credentials, Recipient

Values = Mapping[CredentialRef, Secret]
K = TypeVar("K")


class Supply:
    """The credentials of one recipient."""

    def __init__(self, credentials: Credentials, to: Recipient, seconds: float = 60.0) -> None:
        """A value that is not had within `seconds` is not waited for."""
        self._credentials = credentials
        self._to = to
        self._seconds = seconds

    def known(self, refs: Iterable[CredentialRef]) -> dict[CredentialRef, Secret] | None:
        """The values, where all of them are to be had without waiting; None where not."""
        found: dict[CredentialRef, Secret] = {}
        for ref in refs:
            secret = self._credentials.known(ref, self._to)
            if secret is None:
                return None
            found[ref] = secret
        return found

    def values(self, refs: Iterable[CredentialRef]) -> dict[CredentialRef, Secret]:
        """The values now. May block. Raises CredentialError, which names the reference."""
        return {ref: self._credentials.get(ref, self._to) for ref in refs}

    async def get(self, refs: Iterable[CredentialRef]) -> dict[CredentialRef, Secret]:
        """The values now, asked for in a thread where that may take time. Raises CredentialError, also for a
        defect: whoever waits for a value has to be answered."""
        refs = tuple(refs)
        try:
            found = self.known(refs)
            if found is not None:
                return found
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(self.values, refs)
        except CredentialError:
            raise
        except TimeoutError:
            named, within = ", ".join(map(str, refs)), f"{self._seconds:g} seconds"
            said = f"{named}: not had within {within} (`start_timeout_seconds`)"
            raise CredentialError(said) from None
        except Exception:
            raise CredentialError("a credential could not be looked up: internal error in mcpguard") from None

    def remaining(self, refs: Iterable[CredentialRef]) -> float | None:
        """Seconds until the first of the values that were given last ends; None where none does."""
        left = [self._credentials.remaining(ref, self._to) for ref in refs]
        return min((one for one in left if one is not None), default=None)


def not_chosen(credential: str, server: str, key: str) -> CredentialError:
    """What is said of a credential that a rule chooses and that says nothing of where it stands."""
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
