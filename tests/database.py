"""A PostgreSQL of the test's own, on loopback, with a password: Debian's programs and an empty folder.

PostgreSQL refuses to run as root, so root's tests run it as the account that Debian made for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.wire import warm
from tests.wire.session import eventually, free_port

SECONDS = 60
OWNER = "postgres"
PASSWORD = "owner-of-the-tests"
# Tests connect by the library alone too, and a crash in it ends all tests of a process.
os.environ["PGGSSENCMODE"] = "disable"


def installed() -> bool:
    """Whether PostgreSQL is here. In CI it must be, so there the tests fail without it."""
    return "CI" in os.environ or _program("initdb") is not None


def pooled() -> bool:
    """Whether PgBouncer is here. In CI it must be, too."""
    return "CI" in os.environ or _program("pgbouncer") is not None


class Database:
    """A running server with one database, whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        data, log = self._folder / "data", self._folder / "log"
        where = ["-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        command = [str(_program("postgres")), "-D", str(data), "-p", str(self.port), *where]
        with log.open("ab") as written:
            server = self._server = subprocess.Popen(command, stdout=written, stderr=written, **_account())
        eventually(lambda: _answers(server, self.port, log), "PostgreSQL answers", SECONDS)

    def stop(self) -> None:
        """Stop it, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)  # Does not wait for open connections.
            self._server.wait(SECONDS)
            self._server = None

    def promote(self) -> None:
        """Have a standby take over, and wait until it takes changes."""
        self.run("SELECT pg_promote()")

    def protect(self, certificate: Path, key: Path) -> None:
        """Take connections with TLS as well, with a certificate for it."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            made = self._folder / "data" / name
            made.touch(0o600)
            made.write_bytes(source.read_bytes())
            if _account():
                shutil.chown(made, OWNER, OWNER)
        self.run("ALTER SYSTEM SET ssl = on")
        self.run("SELECT pg_reload_conf()")

    def url(self, role: str = OWNER, password: str = PASSWORD) -> str:
        """The address of the database for a role."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/postgres"

    def run(self, sql: str) -> str:
        """What psql prints for SQL of the owner, without headers. Raises `CalledProcessError`."""
        words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url()]
        return _run(words, stdin=sql).strip()


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """A running Database; it and its files are gone at the end."""
    with _folder() as folder:
        subprocess.run(["cp", "-a", str(_new_data()), str(folder / "data")], check=True)
        running = Database(folder)
        try:
            running.start()
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def standby(primary: Database) -> Iterator[Database]:
    """A second server, which has each commit of `primary` before that is acknowledged."""
    with _folder() as folder:
        copied = ["--checkpoint=fast", "--no-sync", "--write-recovery-conf"]
        _run(["pg_basebackup", "-d", primary.url(), "-D", str(folder / "data"), *copied])
        running = Database(folder)
        try:
            running.start()
            primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.run("SELECT pg_reload_conf()")
            asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            eventually(lambda: primary.run(asked) == "1", "the standby follows", SECONDS)
            primary.run("CHECKPOINT")  # The process that does it is the one that has commits wait.
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def pooler(server: Database, mode: str, user: tuple[str, str]) -> Iterator[int]:
    """A running PgBouncer in front of a database for a user with a password, which is needed here only; its
    port."""
    with _folder() as folder:
        port, users, settings = free_port(), folder / "users", folder / "settings"
        users.write_text('"{}" "{}"'.format(*user))
        where = f"postgres = host=127.0.0.1 port={server.port}"
        who = f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}"
        at = f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir ="
        settings.write_text(f"[databases]\n{where}\n[pgbouncer]\n{at}\n{who}\n")
        with (folder / "log").open("ab") as log:
            running = subprocess.Popen(
                [str(_program("pgbouncer")), str(settings)], stdout=log, stderr=log, **_account()
            )
        try:
            eventually(lambda: _answers(running, port, folder / "log"), "PgBouncer answers", SECONDS)
            yield port
        finally:
            running.kill()  # It would wait for its clients.
            running.wait(SECONDS)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not below pytest's own folder, which no other account may enter.
    with tempfile.TemporaryDirectory(prefix="mcpguard-pg-") as name:
        if _account():
            shutil.chown(name, OWNER, OWNER)
        yield Path(name)


def _new_data() -> Path:
    """What `initdb` makes, once for all workers: to copy it takes a seventh of the time."""
    made = Path(warm.SHARED, "postgresql")
    with open(f"{made}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(prefix="mcpguard-pg-") as name:
                password, data = Path(name, "password"), Path(name, "data")
                password.write_text(PASSWORD)
                if _account():
                    for path in (Path(name), password):
                        shutil.chown(path, OWNER, OWNER)
                quick = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"]
                words = ["initdb", "-D", str(data), "-U", OWNER, f"--pwfile={password}", *quick]
                _run([*words, "--auth=scram-sha-256"])
                subprocess.run(["cp", "-a", str(data), f"{made}.new"], check=True)
                Path(f"{made}.new").rename(made)
    return made


def _answers(server: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert server.poll() is None, log.read_text()
    asked = [str(_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, timeout=SECONDS, check=False).returncode == 0


def _run(words: list[str], stdin: str = "") -> str:
    command = [str(_program(words[0])), *words[1:]]
    return subprocess.run(
        command,
        input=stdin,
        text=True,
        capture_output=True,
        check=True,
        timeout=SECONDS,
        cwd="/",
        **_account(),
    ).stdout


def _program(name: str) -> str | None:
    """Debian keeps the server's programs out of `PATH`."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, debian[-1:]), os.environ["PATH"], "/usr/sbin"]))


def _account() -> dict[str, Any]:
    """How to start a process as Debian's account, where we are root."""
    if os.getuid():
        return {}
    owner = pwd.getpwnam(OWNER)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
