"""Who gets which credential: the binding is checked first, then the source is asked.

Law of this file: nothing is asked of a source for somebody whom a credential is not for, and no sentence
holds a value.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Lock, Thread
from typing import Any

from mcpguard.adapters.credentials import MINTS, SOURCES, MintKind
from mcpguard.adapters.credentials.kept import ENDING, KeptCredential
from mcpguard.adapters.system.clock import elapsed
from mcpguard.config.loading import Credential, Server
from mcpguard.config.references import ENTRY
from mcpguard.config.urls import host_name
from mcpguard.core.errors import CredentialError, SourceError
from mcpguard.core.model import Principal
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Lease, Secret, filled, parse_template
from mcpguard.gateway.ports import CredentialSource, Mint, Recipient

__all__ = ["Broker", "Recipient", "named_by", "shown_for"]

CLOSE_SECONDS = 5.0
"""How long the ends of all leases may take together."""
NOT_RENEWED = "a lease that is in use could not be renewed"
MANY = 1000
"""With more credentials than this (those of principals count one by one), unused ones are dropped."""


def named_by(
    servers: Iterable[Server], credentials: Mapping[str, Credential]
) -> dict[str, frozenset[CredentialRef]]:
    """The references that each server may have: its own, and those in `env` and `headers` of its entries."""
    found = {server.name: frozenset(server.credentials) for server in servers}
    for credential in credentials.values():
        for server in credential.servers & found.keys():
            found[server] |= credential.surrounding
    return found


def shown_for(servers: Iterable[Server], credentials: Mapping[str, Credential]) -> dict[str, str]:
    """What placeholders call the value of each reference to a file, whose path they do not show: the entry
    that it is in, or the server and the variable, header or `url` that gets it."""
    sites: dict[str, str] = {}
    for name, credential in credentials.items():
        sites |= {str(ref): f"{ENTRY}:{name}" for ref in credential.sources}
    for server in servers:
        templates = {"url": server.url} if server.url is not None else {}
        for site, template in (templates | server.env | server.headers).items():
            sites |= {str(ref): f"{server.name}/{site}" for ref in template.refs}
    return {ref: site for ref, site in sites.items() if ref.startswith("file:")}


class Broker:
    """Implements `ports.Credentials`. One per process."""

    def __init__(
        self,
        credentials: Mapping[str, Credential],
        named: Mapping[str, frozenset[CredentialRef]],
        guard: Redactor,
        report: Callable[[str, str], None] = lambda _server, _line: None,
        now: Callable[[], float] = elapsed,
        sources: Mapping[str, CredentialSource] | None = None,
        kinds: Mapping[str, MintKind] = MINTS,
        rotated: Callable[[str], None] = lambda _name: None,
        late: Callable[[str, str], None] = lambda _name, _why: None,
    ) -> None:
        """`named` are the references to a source that each server may have; `guard` is the redactor,
        `report("", line)` tells the operator. `rotated(name)` is called, in any thread, when a reference has
        a different value than before; `late(name, why)` when its lease could not be renewed, and with ""
        once it was."""
        self._credentials = credentials
        self._named = named
        self._guard = guard
        self._report = report
        self._now = now
        self._sources = sources or {name: kind.source() for name, kind in SOURCES.items()}
        self._kinds = kinds
        self._rotated = rotated
        self._late = late
        self.unavailable: dict[str, tuple[str, float]] = {}
        """The sources that could not be asked when they were last needed: why, and when by `now`."""
        self._lock = Lock()
        self._kept: dict[tuple[CredentialRef, Principal | None], KeptCredential] = {}
        self._ending: list[tuple[CredentialRef, Thread]] = []
        """What ends leases now."""
        self._closed = False

    def get(self, ref: CredentialRef, to: Recipient) -> Secret:
        self._check(ref, to)
        return self._keeper(ref, to.principal).get()

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        kept = self._kept_for(ref, to)
        # Nobody changes the environment of a process that runs.
        return None if kept is None else kept.last if ref.source == "env" else kept.known

    def lasting(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        kept = self._kept_for(ref, to)
        return None if kept is None else kept.lasting

    def _kept_for(self, ref: CredentialRef, to: Recipient) -> KeptCredential | None:
        """What is kept, if it is for `to`."""
        try:
            self._check(ref, to)
        except CredentialError:
            return None
        return self._kept.get(self._key(ref, to.principal))

    def refused(self, ref: CredentialRef, to: Recipient, secret: Secret | None = None) -> None:
        self._check(ref, to)
        self._keeper(ref, to.principal).refused(secret)

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        kept = self._kept.get(self._key(ref, to.principal))
        return None if kept is None else kept.remaining

    def due(self, ref: CredentialRef, to: Recipient) -> float | None:
        kept = self._kept.get(self._key(ref, to.principal))
        return None if kept is None else kept.due

    def renew(self, ref: CredentialRef, to: Recipient) -> None:
        self._check(ref, to)
        kept = self._kept.get(self._key(ref, to.principal))
        if kept is not None:
            kept.renew()

    @property
    def warning(self) -> str:
        """Which leases in use could not be renewed, and why; "" for none."""
        late = {kept.warning for kept in list(self._kept.values())} - {""}
        return f"{NOT_RENEWED}: {'; '.join(sorted(late))}" if late else ""

    def left(self) -> dict[CredentialRef, Callable[[], None]]:
        """The entries for which a killed process left something at the source, each with what takes it back:
        that may block, and raises CredentialError. No source is asked before that."""
        found: dict[CredentialRef, Callable[[], None]] = {}
        for name, entry in self._credentials.items():
            kind = self._kinds[entry.kind]
            if kind.recovers:
                mint: Any = kind.load()(name, entry.made, self._plain)
                if mint.left():
                    found[CredentialRef(ENTRY, name)] = mint.recover
        return found

    def reconfigure(
        self, credentials: Mapping[str, Credential], named: Mapping[str, frozenset[CredentialRef]]
    ) -> None:
        """From now on these are the entries and the references. What was made of an entry that is made
        otherwise now is not given any more, and ended in a thread."""
        with self._lock:
            old, self._credentials, self._named = self._credentials, credentials, named
            gone = [
                key
                for key in self._kept
                if key[0].source == ENTRY and _made_of(old, key[0]) != _made_of(credentials, key[0])
            ]
            ended = [self._kept.pop(key) for key in gone]
        self._ending = [(ref, thread) for ref, thread in self._ending if thread.is_alive()]
        for (ref, _principal), kept in zip(gone, ended, strict=True):
            if not self._stop(ref, kept):
                kept.forget()

    def close(self) -> None:
        """End every lease, all at once and within CLOSE_SECONDS, and give nothing any more."""
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, {}
        for (ref, _principal), one in kept.items():
            self._stop(ref, one)
        deadline = self._now() + CLOSE_SECONDS
        for ref, thread in self._ending:
            thread.join(max(0.0, deadline - self._now()))
            if thread.is_alive():
                late = f"within {CLOSE_SECONDS:g} seconds"
                self._report("", f"{ref} could not be revoked at its source, or stored, {late}")

    def _stop(self, ref: CredentialRef, kept: KeptCredential) -> bool:
        """Give no more of it, and end what it gave in a thread; False where there is nothing to end."""
        if ends := kept.stop():
            thread = Thread(target=self._end, args=(kept,), daemon=True)
            self._ending.append((ref, thread))
            thread.start()
        return ends

    def _end(self, kept: KeptCredential) -> None:
        for sentence in kept.close():
            self._report("", f"a credential could not be revoked at its source: {sentence}")

    # --- the binding -----------------------------------------------------------------------------

    def _check(self, ref: CredentialRef, to: Recipient) -> None:
        if ref.source != ENTRY:
            if ref not in self._named.get(to.server, ()):
                raise CredentialError(
                    f"{ref} is not among the credentials that the configuration gives to '{to.server}'"
                )
            return
        entry = self._credentials.get(ref.name)
        if entry is None:
            raise CredentialError(f"{ref} is not in `credentials` of the configuration")
        if to.server not in entry.servers:
            raise CredentialError(f"{ref} is not bound to the server '{to.server}'")
        if to.host is not None and not _is_host(to.host, entry.hosts):
            raise CredentialError(f"{ref} is not bound to the host of '{to.server}'")
        if not _is_principal(to.principal, entry.principals):
            raise CredentialError(f"{ref} is not bound to the principal of this call")

    # --- the source ------------------------------------------------------------------------------

    def _key(self, ref: CredentialRef, principal: Principal) -> tuple[CredentialRef, Principal | None]:
        entry = self._credentials.get(ref.name) if ref.source == ENTRY else None
        own = entry is not None and self._kinds[entry.kind].per_principal
        return ref, principal if own else None

    def _keeper(self, ref: CredentialRef, principal: Principal) -> KeptCredential:
        key = self._key(ref, principal)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        made = self._made(ref, principal)
        with self._lock:
            if self._closed:
                raise CredentialError(f"{ref} is unavailable: {ENDING}")
            if len(self._kept) >= MANY:
                for one in [key for key, each in self._kept.items() if each.over]:
                    self._kept.pop(one).forget()
            return self._kept.setdefault(key, made)

    def _made(self, ref: CredentialRef, principal: Principal) -> KeptCredential:
        if ref.source != ENTRY:
            source = self._sources.get(ref.source)
            if source is None:
                raise CredentialError(f"there is no credential source '{ref.source}' (in '{ref}')")
            plain = ValueMint(str(ref), f"${{{ref}}}", partial(self._asked, source))
            written = SOURCES[ref.source]
            kept = KeptCredential(
                str(ref), plain, written.keep, written.pause, self._now, self._guard, awaited=False
            )
            kept.rotated = self._rotated
            return kept
        entry = self._credentials[ref.name]
        kind = self._kinds[entry.kind]
        more: tuple[Any, ...] = (principal,) if kind.per_principal else ()
        mint = kind.load()(ref.name, entry.made, self._plain, *more)
        keep = kind.keep if entry.cache_seconds is None else entry.cache_seconds
        awaited = kind.issues or kind.stores
        kept = KeptCredential(
            str(ref), mint, keep, kind.pause, self._now, self._guard, awaited, kind.look, kind.renews
        )
        kept.rotated, kept.late = self._rotated, self._late
        return kept

    def _asked(self, source: CredentialSource, ref: CredentialRef) -> Secret:
        try:
            secret = source.get(ref)
        except SourceError as problem:
            self.unavailable[ref.source] = str(problem), self._now()
            raise
        self.unavailable.pop(ref.source, None)
        return secret

    def _plain(self, ref: CredentialRef) -> Secret:
        """What an entry itself needs; a configuration is refused whose entries need one another."""
        if ref.source == ENTRY:
            raise CredentialError(f"{ref} cannot be used to make another credential")
        # The end of a lease may need it too, when nothing is kept any more.
        return (self._made(ref, _NOBODY) if self._closed else self._keeper(ref, _NOBODY)).get()


def _made_of(entries: Mapping[str, Credential], ref: CredentialRef) -> tuple[Any, ...]:
    entry = entries.get(ref.name)
    return () if entry is None else (entry.kind, entry.made, entry.cache_seconds)


_NOBODY = Principal("", "")


def _is_host(host: str, hosts: frozenset[str]) -> bool:
    try:
        return host_name(host) in hosts
    except ValueError:
        return False


def _is_principal(principal: Principal, allowed: tuple[str, ...]) -> bool:
    if not allowed:
        return True
    # An id cannot stand for a group that is called as it.
    named = not principal.id.startswith("group:") and principal.id in allowed
    return named or any(f"group:{group}" in allowed for group in principal.groups)


class ValueMint(Mint):
    """Implements `ports.Mint`: nothing is made, the sources are read again each time."""

    def __init__(self, _name: str, made: str, secret: Callable[[CredentialRef], Secret]) -> None:
        """`made` is a text with references; `secret` resolves one."""
        self._template = parse_template(made)
        self._secret = secret

    def lease(self) -> Lease:
        """See `ports.Mint.lease`; the sources do not say how long."""
        return Lease(filled(self._template, [self._secret(ref) for ref in self._template.refs]))
