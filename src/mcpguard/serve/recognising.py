"""Which values are recognised in answers before a server has needed them: when they are read and held,
and how that is reported.

Law of this file: a record names what is read before it is read (law 5). No person is asked, nothing leaves
this machine, and the values go to the redactor and to nobody else. Requests that reach a server wait for
values that are local, and for no longer than WAIT_SECONDS: a source that hangs or fails refuses nothing, and
is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event, Thread

from msgspec import Struct

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.credentials import SOURCES
from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.system.disk import to_loop
from mcpguard.config.loading import Credential, Server
from mcpguard.config.references import ENTRY
from mcpguard.core.errors import AuditError, CredentialError, InspectionError
from mcpguard.core.evidence.records import Noticed
from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import looks_random
from mcpguard.core.redaction.held.guessing import guessed
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Secret, filled, parse_template
from mcpguard.gateway.flight import Wait, as_future
from mcpguard.gateway.ports import Clock
from mcpguard.serve.file_watch import look_at

WAIT_SECONDS = 2.0
"""How long requests wait for values that are available without asking anybody, in seconds."""
LOOK_SECONDS = 5.0
"""How often files with values are looked at: who replaces one does not tell."""
_PIECES = expression(r"[\s/?&=:@,]")
MANY = 20
"""How many names stand in a line for the operator."""


class ValueRecogniser:
    """Keeps the values of the configuration in force held. One per process."""

    def __init__(
        self,
        audit: AuditFile,
        turn: Turn,
        clock: Clock,
        report: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """`report(line)` tells the operator; `changed()` is called when `problem` may be another one."""
        self.known: Wait[None] = Wait()
        """Over once the values are held, or are not waited for any more. A front is there before `begin`."""
        self.problem = ""
        """Which values are not recognised though they are local, and why; "" for none."""
        self._audit = audit
        self._turn = turn
        self._clock = clock
        self._report = report
        self._changed = changed
        self._background = Background("credentials could not be read to recognise them")
        self._now: RecognisableValues | None = None
        self._stop = Event()

    def begin(self, recognition: RecognisableValues, quiet: frozenset[str]) -> None:
        """From now on these are the values; of those in `quiet` it is no problem that they cannot be read."""
        before, self._now = self._now, recognition
        self._stop.set()
        self._stop, self.problem = Event(), ""
        if recognition.names:
            # Who waits for the values before goes on to wait for these.
            self.known = Wait() if self.known.done else self.known
            self._background.start(self._begin(recognition, before, quiet, self._stop, self.known))
            return
        if before is not None:
            recognition.read(before)
        self.known.set(None)

    async def close(self) -> None:
        self._stop.set()
        self.known.set(None)
        await self._background.close()

    async def _begin(
        self,
        recognition: RecognisableValues,
        before: RecognisableValues | None,
        quiet: frozenset[str],
        stop: Event,
        known: Wait[None],
    ) -> None:
        names = ", ".join(recognition.names)
        written = self._note("credentials-read", names)
        try:
            await written
        except AuditError:
            # Whatever needs evidence is refused meanwhile.
            known.set(None)
            return
        loop = asyncio.get_running_loop()

        def tell(found: RecognisedNames) -> None:
            to_loop(loop, self._told, found, quiet, stop, known)

        # It may hang where a file is far away, and nobody waits for its end.
        place = recognition, before, stop, tell
        Thread(target=_keep, args=place, name="mcpguard-known", daemon=True).start()
        await asyncio.sleep(WAIT_SECONDS)
        if not (known.done or stop.is_set()):
            self.problem = _late(recognition.names)
            self._say()
            known.set(None)
            self._turn.touch()

    def _told(self, found: RecognisedNames, quiet: frozenset[str], stop: Event, known: Wait[None]) -> None:
        if stop.is_set():
            return
        failed = {name: why for name, why in found.failed.items() if name not in quiet}
        before = self.problem
        self.problem = _failed(failed) if failed else ""
        self._note("credentials-recognised", _said(found))
        if self.problem != before:
            self._say()
        known.set(None)
        self._turn.touch()

    def _say(self) -> None:
        if self.problem:
            self._report(self.problem)
        self._changed()

    def _note(self, what: str, detail: str) -> asyncio.Future[None]:
        written = as_future(self._audit.write(Noticed(at=self._clock.now(), what=what, detail=detail)))
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._turn.touch()
        return written


def _keep(
    recognition: RecognisableValues,
    before: RecognisableValues | None,
    stop: Event,
    tell: Callable[[RecognisedNames], None],
) -> None:
    """Have the values held, and those of files that change, until `stop`."""
    seen = look_at(recognition.paths)
    tell(recognition.read(before))
    while recognition.paths and not stop.wait(LOOK_SECONDS):
        look = look_at(recognition.paths)
        if look != seen:
            seen = look
            tell(recognition.read())


def _said(found: RecognisedNames) -> str:
    """What a record says of it."""
    parts = [f"held: {', '.join(found.held)}" if found.held else "none is held"]
    if found.later:
        parts.append(f"once a server needs them: {', '.join(found.later)}")
    if found.failed:
        parts.append(
            "could not be read: " + ", ".join(f"{name} ({why})" for name, why in found.failed.items())
        )
    return "; ".join(parts)


def _late(names: tuple[str, ...]) -> str:
    """What it means that these were not read in time."""
    values, them = ("their values are", "them") if len(names) > 1 else ("its value is", "it")
    said = f"{_some(names, ', ')} could not be read within {WAIT_SECONDS:g} seconds"
    return f"{said}, so {values} not removed from answers until a server needs {them}"


def _failed(whys: Mapping[str, str]) -> str:
    """What it means that these could not be read, each with why."""
    said = tuple(why if name in why else f"{name}: {why}" for name, why in whys.items())
    start = "a credential that cannot be read is not removed from answers until a server needs it"
    return f"{start}: {_some(said, '; ')}"


def _some(names: tuple[str, ...], between: str) -> str:
    more = len(names) - MANY
    return between.join(names[:MANY]) + (f" and {more} more" if more > 0 else "")


class RecognisedNames(Struct, frozen=True):
    """Names of credentials: those that are held now, those that are held once a server needs them, since
    somebody or something has to be asked for them, and those that could not be read, each with why."""

    held: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    failed: Mapping[str, str] = {}


def named_words(server: Server) -> dict[str, str]:
    """The arguments of a server by the name under which a secret in one is held."""
    return {f"{server.name}/args.{index}": word for index, word in enumerate(server.args)}


class RecognisableValues:
    """The references to sources, the entries and the arguments of servers of a configuration. It is used by
    one thread at a time; it may block."""

    def __init__(
        self,
        refs: Iterable[CredentialRef],
        entries: Mapping[str, Credential],
        guard: Redactor,
        servers: Iterable[Server] = (),
    ) -> None:
        self._refs = sorted(refs)
        self._entries = entries
        self._guard = guard
        self._held: dict[str, Secret] = {}
        self._lines = [named_words(server) for server in servers]
        words = [pair for line in self._lines for pair in line.items()]
        # A quick look, which most arguments do not pass.
        doubtful = [name for name, word in words if any(map(looks_random, _PIECES.split(word)))]
        self.names = (*map(str, self._refs), *doubtful)
        """What is read."""

    @property
    def paths(self) -> list[Path]:
        return [Path(ref.name).expanduser() for ref in self._refs if ref.source == "file"]

    def read(self, before: RecognisableValues | None = None) -> RecognisedNames:
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
        return RecognisedNames(tuple(self._held), tuple(later), failed)

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
        for words in self._lines if len(self.names) > len(self._refs) else ():
            found |= self._in_clear(words)
        return found, later, failed

    def _in_clear(self, words: Mapping[str, str]) -> dict[str, Secret]:
        """The secrets among the arguments of a server, by the names of these: some programs take theirs in no
        other way. One that is easy to guess is left out, since it would vanish from ordinary answers."""
        line, at, found = " ".join(words.values()).encode(), 0, dict[str, Secret]()
        try:
            spans = self._guard.places(line)
        except InspectionError:
            return {}
        for name, word in words.items():
            end = at + len(word.encode())
            for span in spans:
                value = line[span.start : span.end].decode(errors="replace")
                if at <= span.start and span.end <= end and not guessed(value):
                    found[name] = Secret(value)
            at = end + 1
        return found

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
