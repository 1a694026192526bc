"""What serving needs, and that a look at it never waits."""

import asyncio
import ctypes
import os
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from mcpguard.adapters.store import sqlite as sqlite_store
from mcpguard.adapters.store import upkeep
from mcpguard.config.loading import Audit, Config
from mcpguard.core.errors import SessionError, SourceError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.gateway.ports import AuditHealth
from mcpguard.serve import readiness
from mcpguard.serve.readiness import BlockingCheck, ServingNeeds
from mcpguard.serve.settings import Settings
from mcpguard.serve.worlds import Shared
from tests.adapters.store.test_store import TICKET

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


def shared_in(folder):
    audit, state = Audit(folder / "audit", "flush"), folder / "state"
    settings = Settings(config=Config(folder, {}, audit=audit, session_folder=state), policies=PolicySet())
    shared = Shared(settings, asyncio.get_running_loop())
    shared.said = []
    shared.needs._report = lambda _, line, _level: shared.said.append(line)
    return shared


def missing(shared):
    return {one.name: one.problem for one in shared.needs.look() if not one.ok}


async def changed(shared, seen):
    """Look until something else is missing than `seen`."""
    async with asyncio.timeout(10):
        while (found := missing(shared)) == seen:
            await asyncio.sleep(0.01)
    return found


async def test_a_new_process_is_ready_and_asks_nothing_of_a_store_that_nobody_needed(tmp_path):
    shared = shared_in(tmp_path)
    assert missing(shared) == {}
    assert [one.name for one in shared.needs.look()] == [
        "serving",
        "evidence",
        "policies",
        "store",
        "keychain",
    ]
    assert shared.needs._ask_store._asked_at == float("-inf")


async def test_a_further_need_counts_as_the_others_do(tmp_path):
    shared = shared_in(tmp_path)
    wrong = [""]
    shared.needs.also["tokens"] = lambda: wrong[0]
    shared.needs.warned["tokens"] += [lambda: "old", str, lambda: "slow"]
    assert shared.needs.look()[-1].name == "tokens"
    assert missing(shared) == {}
    assert shared.needs.look()[-1].warning == "old; slow"
    wrong[0] = "no keys"
    assert missing(shared) == {"tokens": "no keys"}
    assert shared.said == []  # Whoever looks there says it.
    wrong[0] = ""
    assert missing(shared) == {}


async def test_evidence_that_cannot_be_written_is_missing_until_it_can(tmp_path):
    shared = shared_in(tmp_path)
    since = shared.needs.look()[1].since
    shared.audit.health = AuditHealth(False, time.time(), "the disk is full")
    assert missing(shared) == {"evidence": "the disk is full"}
    assert shared.needs.look()[1].since > since
    shared.audit.health = AuditHealth(True, time.time())
    assert missing(shared) == {}
    assert shared.said == []  # The writer says it.


async def test_a_sink_that_stops_serving_is_missing_while_it_fails(tmp_path):
    shared = shared_in(tmp_path)
    problem = "a sink: it is down"
    needs = ServingNeeds(shared.audit, shared.store, shared.credentials, print, lambda: None, lambda: problem)
    assert {one.name: one.problem for one in needs.look() if not one.ok} == {"telemetry": problem}
    problem = ""
    assert all(one.ok for one in needs.look())


async def test_a_store_in_a_folder_that_cannot_be_made_is_missing(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    shared = shared_in(tmp_path)
    shared.needs.always = True
    found = await changed(shared, {})
    assert found["store"].startswith(f"the folder of sessions {tmp_path / 'state'} cannot be used (")
    assert shared.said == [f"not ready, store: {found['store']}"]


async def test_a_damaged_store_is_missing_until_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.0)
    shared = shared_in(tmp_path)
    shared.needs.always = True
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "state.sqlite"
    path.write_bytes(b"this is no database, and long enough to be read as one" * 100)
    found = await changed(shared, {})
    assert "not a database" in found["store"]
    path.unlink()
    assert await changed(shared, found) == {}
    assert shared.said[-1] == "the store can be used again"


async def test_a_store_of_a_later_version_is_missing(tmp_path):
    shared = shared_in(tmp_path)
    shared.needs.always = True
    (tmp_path / "state").mkdir()
    database = sqlite3.connect(tmp_path / "state" / "state.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert "later version" in (await changed(shared, {}))["store"]


async def test_a_change_that_failed_counts_until_something_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.0)
    shared = shared_in(tmp_path)
    shared.store._open()
    shared.store.failing = "state.sqlite cannot be used: database or disk is full"
    seen = missing(shared)
    assert "full" in seen["store"]
    assert await changed(shared, seen) == {}


async def test_a_store_that_is_refused_is_missing_as_soon_as_it_is_needed(tmp_path):
    shared = shared_in(tmp_path)
    looks = []
    shared.watcher = lambda: looks.append(missing(shared))
    (tmp_path / "state").mkdir()
    database = sqlite3.connect(tmp_path / "state" / "state.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SessionError):
        await shared.store.ticket(TICKET)
    assert "later version" in looks[0]["store"]


async def test_a_store_that_was_replaced_is_on_record_and_said(tmp_path):
    shared = shared_in(tmp_path)
    await shared.store.ticket(TICKET)
    (tmp_path / "state").rename(tmp_path / "moved")
    shared.diagnostics.report = lambda _, line, _level: shared.said.append(line)
    await shared.store.ticket(TICKET)
    (said,) = shared.said
    assert "state.sqlite was removed" in said
    shared.audit.commit()
    assert b'"state-replaced"' in shared.audit.path.read_bytes()


async def test_a_clock_that_was_set_is_on_record_and_said(tmp_path):
    shared = shared_in(tmp_path)
    shared.diagnostics.report = lambda _, line, _level: shared.said.append(line)
    shared.warn("clock-set", "the clock was set back by 1:00:00")
    shared.audit.commit()
    assert shared.said == ["the clock was set back by 1:00:00"]
    assert b'"clock-set"' in shared.audit.path.read_bytes()


@pytest.mark.parametrize("failing", ["", "x"])
async def test_a_store_that_is_busy_is_missing_only_after_a_change_was_refused(
    tmp_path, monkeypatch, failing
):
    monkeypatch.setattr(upkeep, "PATIENCE", 0.0)
    shared = shared_in(tmp_path)
    database = shared.store._open()
    shared.store.failing = failing
    database.execute("BEGIN EXCLUSIVE")
    problem = await asyncio.to_thread(shared.store.problem)
    assert ("state.sqlite is locked by another program" in problem) == bool(failing)
    database.execute("ROLLBACK")


async def test_a_store_is_there_again_as_soon_as_a_change_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep, "PATIENCE", 0.0)
    monkeypatch.setattr(sqlite_store, "BUSY_SECONDS", 0.0)
    shared = shared_in(tmp_path)
    shared.store._open()
    with closing(sqlite3.connect(tmp_path / "state" / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SessionError, match="is locked by another program, so nothing"):
            await shared.store.ask(TICKET)
        assert "is locked" in (await changed(shared, {}))["store"]
        other.execute("ROLLBACK")
    monkeypatch.setattr(sqlite_store, "BUSY_SECONDS", 5.0)  # A look of our own may be writing.
    await shared.store.ask(TICKET)
    assert missing(shared) == {}


async def test_a_process_that_nobody_calls_saves_what_was_in_a_log_that_was_removed(tmp_path):
    shared = shared_in(tmp_path)
    await shared.store.ask(TICKET)
    for part in ("wal", "shm"):
        (tmp_path / "state" / f"state.sqlite-{part}").unlink()
    assert "were removed while a running mcpguard was using them" in (await changed(shared, {}))["store"]
    shared.needs._ask_store._asked_at = 0.0
    while found := missing(shared):
        assert await changed(shared, found) == {}
    with closing(sqlite3.connect(tmp_path / "state" / "state.sqlite")) as other:
        assert other.execute("SELECT count(*) FROM tickets").fetchall() == [(1,)]


LINUX = sys.platform == "linux"
CAPABILITIES = 0x20080522
"""The version of capset(2) that takes two sets of 32 bits each."""


def as_owner(look):
    """What `look()` gives in a thread that may do what the owner of its files may, and no more if it is root's."""

    def looked():
        if LINUX:
            head, none = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
            assert ctypes.CDLL(None).capset(head, none) == 0
        return look()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(looked).result()


@pytest.mark.skipif(os.geteuid() == 0 and not LINUX, reason="root may write everything")
async def test_a_store_that_this_user_cannot_write_is_missing(tmp_path):
    shared = shared_in(tmp_path)
    shared.store._open()
    assert as_owner(shared.store.problem) == ""
    (tmp_path / "state" / "state.sqlite").chmod(0o400)
    assert "cannot be written" in as_owner(shared.store.problem)


async def test_a_process_that_is_stopping_is_not_ready(tmp_path):
    shared = shared_in(tmp_path)
    shared.needs.stopping = "it is stopping (SIGTERM)"
    assert missing(shared) == {"serving": "it is stopping (SIGTERM)"}


async def test_a_lease_in_use_that_could_not_be_renewed_is_a_warning(tmp_path):
    from mcpguard.adapters.credentials.kept import KeptCredential
    from mcpguard.core.secret import CredentialRef, Secret
    from tests.adapters.credentials.fake_credentials import FakeGuard, FakeMint, Hand

    shared, mint, now = shared_in(tmp_path), FakeMint(seconds=100), Hand()
    mint.renews = True
    kept = KeptCredential("credential:key", mint, 300.0, 1.0, now, FakeGuard(), renews=True)
    shared.credentials._kept[CredentialRef("credential", "key"), None] = kept
    assert isinstance(kept.get(), Secret)
    mint.error, now.at = SourceError("credential:key: Vault is sealed"), now.at + 75
    kept.renew()
    (serving,) = (one for one in shared.needs.look() if one.name == "serving")
    said = "a lease that is in use could not be renewed: credential:key: Vault is sealed"
    assert (serving.ok, serving.warning) == (True, said)
    mint.error, now.at = None, now.at + 1
    kept.renew()
    assert not any(one.warning for one in shared.needs.look())


class Locked:
    """A keychain that is locked until it is not."""

    locked = True

    def get(self, ref):
        from mcpguard.core.secret import Secret

        if self.locked:
            raise SourceError(f"{ref}: the keychain is locked")
        return Secret("a value of some length")


def asked(shared, keychain):
    from mcpguard.core.secret import CredentialRef

    return shared.credentials._asked(keychain, CredentialRef("keyring", "a"))


async def test_a_locked_keychain_is_missing_until_a_value_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "is_unlocked", lambda: False)
    shared, keychain = shared_in(tmp_path), Locked()
    with pytest.raises(SourceError):
        asked(shared, keychain)
    assert missing(shared) == {"keychain": "keyring:a: the keychain is locked"}
    keychain.locked = False
    asked(shared, keychain)
    assert missing(shared) == {}
    assert shared.said[-1] == "the keychain can be used again"


async def test_a_keychain_that_says_that_it_is_unlocked_is_there_again(tmp_path, monkeypatch):
    may = threading.Event()
    monkeypatch.setattr(readiness, "is_unlocked", lambda: may.wait(10))
    shared = shared_in(tmp_path)
    with pytest.raises(SourceError):
        asked(shared, Locked())
    assert missing(shared)
    may.set()
    assert await changed(shared, missing(shared)) == {}


async def test_a_keychain_that_cannot_be_asked_is_tried_again_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "is_unlocked", lambda: False)
    monkeypatch.setattr(readiness, "FORGET_SECONDS", 0.0)
    shared = shared_in(tmp_path)
    with pytest.raises(SourceError):
        asked(shared, Locked())
    assert missing(shared) == {}


async def test_a_question_that_hangs_is_asked_once_and_said_to_hang(monkeypatch):
    asked, may, asks = threading.Event(), threading.Event(), []

    def ask():
        asks.append(1)
        asked.set()
        may.wait(10)
        return ""

    aside = BlockingCheck(ask, lambda: None)
    assert aside.look() == ""
    monkeypatch.setattr(readiness, "LATE_SECONDS", -1.0)
    assert "has not answered for 0 seconds" in aside.look()
    assert await asyncio.to_thread(asked.wait, 10)
    may.set()
    assert len(asks) == 1


async def test_a_question_that_breaks_says_only_that(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    told = threading.Event()

    def ask():
        raise OSError("the secret")

    aside = BlockingCheck(ask, told.set)
    aside.look()
    assert await asyncio.to_thread(told.wait, 10)
    assert aside.look() == "it could not be asked, because of a defect"
