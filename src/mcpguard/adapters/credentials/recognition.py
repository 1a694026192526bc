"""Values that are held so that they are recognised in answers, before any server has needed them.

Law of this file: no person is asked, nothing leaves this machine, the values go to the redactor and to
nobody else, and what cannot be read refuses nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.credentials import SOURCES
from mcpguard.config.loading import Credential
from mcpguard.config.references import ENTRY
from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Secret, filled, parse_template


class Recognised(Struct, frozen=True):
    """Names of credentials: those that are held now, those that are held once a server needs them, since
    somebody or something has to be asked for them, and those that could not be read, each with why."""

    held: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    failed: Mapping[str, str] = {}


class Recognition:
    """The references to sources and the entries of a configuration. It is used by one thread at a time; it
    may block."""

    def __init__(
        self, refs: Iterable[CredentialRef], entries: Mapping[str, Credential], guard: Redactor
    ) -> None:
        self._refs = sorted(refs)
        self._entries = entries
        self._guard = guard
        self._held: dict[str, Secret] = {}
        self.names = tuple(map(str, self._refs))
        """What is read."""

    @property
    def paths(self) -> list[Path]:
        return [Path(ref.name).expanduser() for ref in self._refs if ref.source == "file"]

    def read(self, before: "Recognition | None" = None) -> Recognised:
        """Read all values, and have them held. Those that `before` had held are in use no more."""
        found, later, failed = self._found()
        for name, entry in self._entries.items():
            if entry.kind != "value":
                later.append(f"{ENTRY}:{name}")
            elif all(str(ref) in found for ref in entry.sources):
                template = parse_template(entry.made)
                parts = [found[str(ref)] for ref in template.refs]
                found[f"{ENTRY}:{name}"] = filled(template, parts)
        failed |= self._hold(found, (self if before is None else before)._held)
        return Recognised(tuple(self._held), tuple(later), failed)

    def _found(self) -> tuple[dict[str, Secret], list[str], dict[str, str]]:
        found: dict[str, Secret] = {}
        later: list[str] = []
        failed: dict[str, str] = {}
        for ref in self._refs:
            try:
                secret = SOURCES[ref.source].quietly(ref)
            except CredentialError as problem:
                failed[str(ref)] = str(problem)
            else:
                if secret is None:
                    later.append(str(ref))
                else:
                    found[str(ref)] = secret
        return found, later, failed

    def _hold(self, found: Mapping[str, Secret], before: Mapping[str, Secret]) -> dict[str, str]:
        """Have these held in place of what was before; the names of those that cannot be, with why."""
        failed: dict[str, str] = {}
        try:
            self._guard.hold_all(found.items())
        except CredentialError:
            for name, secret in found.items():
                try:
                    self._guard.hold(name, secret)
                except CredentialError as problem:
                    failed[name] = str(problem)
        self._held = {name: secret for name, secret in found.items() if name not in failed}
        for name, secret in before.items():
            self._guard.release(name, secret)
            if name in self._held:
                # It may be the same value, which is in use then.
                self._guard.hold(name, self._held[name])
        return failed
