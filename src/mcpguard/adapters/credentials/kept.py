"""One credential between its source and those who use it: asked for once, kept for its time, ended at last.

Law of this file: a value is held by the redactor before it is handed out, and none is handed out that is
older than its lease allows; one thread at a time asks the source.
"""

from collections.abc import Callable
from math import inf
from threading import Lock
from typing import NamedTuple

from mcpguard.core.errors import CredentialError, MissingError, WithdrawnError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Lease, Secret
from mcpguard.gateway.ports import Mint

MARGIN_SECONDS = 60.0
"""A lease is renewed this long before its end, or at three quarters of it if that is later."""
REFUSALS_SECONDS = 10.0
"""A second refusal within this time makes no new value: it would not help."""

ENDING = "mcpguard is ending"


class HeldLease(NamedTuple):
    """A lease in hand, the answer to question `number`. In seconds of `now()`: there is a new one from
    `until`, and it is over at `ends`, None for one that does not say. `last` says that it cannot be renewed
    any more."""

    lease: Lease
    number: int
    until: float
    ends: float | None
    last: bool = False


class KeptCredential:
    """One credential. Any number of threads may use it."""

    def __init__(
        self,
        name: str,
        mint: Mint,
        keep: float,
        pause: float,
        now: Callable[[], float],
        guard: Redactor,
        awaited: bool = True,
        look: float = inf,
        renews: bool = False,
    ) -> None:
        """`name` is its reference; a value without an end of its own is kept for `keep` seconds, and a source
        that failed is left alone for `pause` seconds. `now()` goes on while the machine sleeps. `awaited`
        says whether the source may give what has to be ended or stored; it is asked again after `look`
        seconds, however long its value lasts. `renews` says whether it can lengthen a lease."""
        self._awaited = awaited
        self.late: Callable[[str, str], None] = lambda _name, _why: None
        """Called with its name and why its lease could not be renewed; "" once it was."""
        self.rotated: Callable[[str], None] = lambda _name: None
        """Called with its name when its source gives a different value than before."""
        self._name = name
        self._mint = mint
        self._keep = keep
        self._look = look
        self._pause = pause
        self._renews = renews
        self._problem_of_renewal = ""
        self._now = now
        self._guard = guard
        self._lock = Lock()
        self._questions = 0
        self._gave = False
        self._given: HeldLease | None = None
        self._former: list[HeldLease] = []
        self._problem = CredentialError("")
        self._rested = 0.0
        self._refused: float | None = None
        self._closed = False

    def get(self) -> Secret:
        asked = self._questions
        # Nobody waits for another one while this one lasts.
        lasting = self.lasting if self._lock.locked() else None
        if lasting is not None:
            return lasting
        with self._lock:
            given, now = self._given, self._now()
            if self._closed:
                raise CredentialError(f"{self._name}: {ENDING}")
            # Who waited while another thread asked takes what that one got, if it was asked for after.
            if given is not None and (now < given.until or given.number > asked):
                return given.lease.secret
            if now < self._rested:
                raise self._problem.with_traceback(None)
            return self._anew(given, now).lease.secret

    @property
    def last(self) -> Secret | None:
        """What was given last, however old it is."""
        given = self._given
        return None if given is None or self._closed else given.lease.secret

    @property
    def known(self) -> Secret | None:
        """What `get` would give without asking the source; None where it would ask."""
        given = self._given
        return None if given is None or self._now() >= given.until else self.last

    @property
    def lasting(self) -> Secret | None:
        """What was given last, while its lease lasts; None where that is over, or does not say."""
        given = self._given
        lasts = given is not None and given.ends is not None and self._now() < given.ends
        return self.last if lasts else None

    @property
    def due(self) -> float | None:
        """Seconds until `renew` has something to do; None where it has not."""
        given = self._given
        if not self._renews or given is None or given.ends is None or given.last or self._closed:
            return None
        return max(0.0, given.until - self._now())

    def renew(self) -> None:
        """Lengthen the lease in hand where that is due. Its value stays: there is no other one before
        somebody asks for it."""
        with self._lock:
            given, now = self._given, self._now()
            if given is None or self.due != 0:
                return
            try:
                renewed = self._renewed(given, now)
            except Exception as problem:
                self._postponed(given, problem)
            else:
                if renewed is None:
                    self._given = given._replace(last=True)
                else:
                    self._given = _given(renewed, given.number, now, self._keep)
                    self._say_late("")

    @property
    def warning(self) -> str:
        """Why its lease could not be renewed, while it lasts; "" for nothing."""
        return "" if self.lasting is None else self._problem_of_renewal

    def _say_late(self, why: str) -> None:
        if bool(why) != bool(self._problem_of_renewal):
            self.late(self._name, why)
        self._problem_of_renewal = why

    def refused(self, secret: Secret | None) -> None:
        """`secret`, None for the last one, was not taken. One that is not the last one is gone already."""
        with self._lock:
            given, now = self._given, self._now()
            if given is None or (secret is not None and given.lease.secret is not secret):
                return
            if self._refused is not None and now - self._refused < REFUSALS_SECONDS:
                return
            self._refused = now
            self._release(given)
            self._retire()
            self._mint.refused()

    @property
    def remaining(self) -> float | None:
        given = self._given
        if given is None:
            return None
        # What has to be ended is ended once there is another.
        ends = given.until if given.ends is None and given.lease.end is not None else given.ends
        return None if ends is None else max(0.0, ends - self._now())

    def forget(self) -> None:
        """It is `over`, and nobody uses it any more: the redactor may drop it in time."""
        self._release(self._given)

    def stop(self) -> bool:
        """Give no more. Whether something has to be ended, or may have to be once an open question to the
        source is answered."""
        self._closed = True
        # First whether somebody asks: what he gets meanwhile is in hand by then.
        asking, given = self._lock.locked(), self._given
        ends = bool(self._former) or (given is not None and given.lease.end is not None)
        return ends or (self._awaited and asking)

    @property
    def over(self) -> bool:
        """Whether nothing of it is usable any more, nothing has to be ended, and no request waits."""
        asking, given = self._lock.locked(), self._given
        if self._former or asking:
            return False
        return given is None or (given.lease.end is None and self._now() >= given.until)

    def close(self) -> list[str]:
        """After `stop`: end every lease; waits for a question to the source that is open. The sentences of
        what could not be ended."""
        with self._lock:
            self._retire()
            former, self._former = self._former, []
            return [said for one in former if (said := _ended(one.lease, self._name))]

    # --- asking the source, under the lock --------------------------------------------------------

    def _anew(self, given: HeldLease | None, now: float) -> HeldLease:
        self._questions += 1
        try:
            renewed = self._renewed_or_none(given, now)
            lease = renewed or self._leased(given)
        except Exception as problem:
            withdrawn = isinstance(problem, WithdrawnError)
            if given is not None and given.ends is not None and now < given.ends and not withdrawn:
                return self._postponed(given, problem)
            self._release(given)
            self._retire()
            self._problem, self._rested = _error_for(problem, self._name), self._now() + self._pause
            raise self._problem.with_traceback(None) from None
        if self._closed:
            _ended(lease, self._name)
            raise CredentialError(f"{self._name}: {ENDING}")
        if renewed is None:
            self._retire()
        self._say_late("")
        given = _given(lease, self._questions, now, self._keep)
        self._given = given._replace(until=min(given.until, now + self._look))
        # End what is over; what cannot be ended now is tried again later.
        self._former = [
            one
            for one in self._former
            if now < (one.until if one.ends is None else one.ends) or _ended(one.lease, self._name)
        ]
        return self._given

    def _postponed(self, given: HeldLease, problem: Exception) -> HeldLease:
        """It is still good: only the new one is late."""
        again = self._now() + self._pause
        self._given = given._replace(until=again if given.ends is None else min(given.ends, again))
        self._say_late(str(_error_for(problem, self._name)))
        return self._given

    def _renewed_or_none(self, given: HeldLease | None, now: float) -> Lease | None:
        """None too where the source could not be asked: whoever needs a value takes a new one."""
        try:
            return None if given is None else self._renewed(given, now)
        except CredentialError:
            return None

    def _renewed(self, given: HeldLease, now: float) -> Lease | None:
        if not self._renews or given.last or given.ends is None or now >= given.ends:
            return None
        return self._mint.renew(given.lease)

    def _leased(self, given: HeldLease | None) -> Lease:
        lease = self._mint.lease()
        # Before what is new: that may be the same value, and is in use then.
        self._release(given)
        try:
            new = self._guard.hold_all([(self._name, secret) for secret in (lease.secret, *lease.parts)])
        except Exception:
            _ended(lease, self._name)
            raise
        if new and self._gave:
            self.rotated(self._name)
        self._gave = True
        return lease

    def _release(self, given: HeldLease | None) -> None:
        if given is not None:
            for secret in (given.lease.secret, *given.lease.parts):
                self._guard.release(self._name, secret)

    def _retire(self) -> None:
        """Give up the present value. It may still be in use, so it is ended when it is over."""
        given, self._given = self._given, None
        if given is not None and given.lease.end is not None:
            self._former.append(given)


def _given(lease: Lease, number: int, now: float, keep: float) -> HeldLease:
    if lease.seconds is None:
        return HeldLease(lease, number, now + keep, None)
    until = max(lease.seconds - MARGIN_SECONDS, lease.seconds * 0.75)
    return HeldLease(lease, number, now + until, now + lease.seconds)


def _ended(lease: Lease, name: str) -> str:
    """End a lease; the sentence of why that failed, "" where it did not."""
    try:
        if lease.end is not None:
            lease.end()
    except Exception as problem:
        return str(_error_for(problem, name))
    return ""


def _error_for(problem: Exception, name: str) -> CredentialError:
    """Whoever waits for a value has to be answered, also after a defect; what that says may be a value."""
    if isinstance(problem, MissingError):
        return problem
    known = isinstance(problem, CredentialError)
    said = str(problem) if known else f"{name}: internal error in mcpguard ({type(problem).__name__})"
    return CredentialError(said)
