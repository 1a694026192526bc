"""Roles minted in a real PostgreSQL: what they may do, how long, and that none outlives its use."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest

from mcpguard.adapters.credentials import postgres_roles
from mcpguard.adapters.credentials.postgres import PostgresMint, _url
from mcpguard.adapters.postgresql import parameters_of
from mcpguard.config.minted import PostgresEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Lease, Secret
from tests.database import PASSWORD, Database, database, installed
from tests.rows import each

ADMIN_PASSWORD = "minter-of-the-tests"
READ = "GRANT SELECT ON notes TO {role}"
GRANTS = ("GRANT USAGE ON SCHEMA public TO {role}", READ)
SETUP = f"""
CREATE ROLE minter LOGIN CREATEROLE PASSWORD '{ADMIN_PASSWORD}';
CREATE ROLE nobody_special LOGIN PASSWORD '{ADMIN_PASSWORD}';
CREATE TABLE notes (id int PRIMARY KEY, text text);
INSERT INTO notes VALUES (1, 'hello');
GRANT SELECT ON notes TO minter WITH GRANT OPTION;
GRANT USAGE, CREATE ON SCHEMA public TO minter WITH GRANT OPTION;
CREATE DATABASE other;
"""
WORKER = """
import sys
from pathlib import Path
from mcpguard.adapters.credentials.postgres import PostgresMint
from mcpguard.config.minted import PostgresEntry
from mcpguard.core.secret import Secret
url, folder = sys.stdin.readline().split()
entry = PostgresEntry(admin="${keyring:pg}", grants=("GRANT SELECT ON notes TO {role}",))
lease = PostgresMint("pg", entry, lambda ref: Secret(url), Path(folder)).lease()
print(lease.secret.reveal(), flush=True)
sys.stdin.readline()
lease.end()
"""

pytestmark = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with database() as running:
        running.run(SETUP)
        running.run("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
        yield running


class Setting:
    """A place to mint in, as the role `minter`, which is no superuser."""

    def __init__(self, server: Database, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.admin = server.url("minter", ADMIN_PASSWORD)

    def mint(self, grants: tuple[str, ...] = GRANTS, **entry: Any) -> PostgresMint:
        made = PostgresEntry(admin="${keyring:pg}", grants=grants, **{"timeout_seconds": 20, **entry})
        return PostgresMint("pg", made, self.secret, self.folder)

    def secret(self, ref: CredentialRef) -> Secret:
        assert ref == CredentialRef("keyring", "pg")
        return Secret(self.admin)

    def refusal(self, grants: tuple[str, ...] = GRANTS, **entry: Any) -> str:
        with pytest.raises(CredentialError) as caught:
            self.mint(grants, **entry).lease()
        said = str(caught.value)
        assert said.startswith("credential:pg: ")
        assert ADMIN_PASSWORD not in said
        assert self.admin not in said
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return said

    def roles(self) -> set[str]:
        found = self.server.run(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'mcpguard\_%'")
        return set(found.split())

    def drop(self, role: str) -> None:
        """As the admin: what it granted, nobody else's `DROP OWNED` takes back."""
        with psycopg.connect(self.server.url("minter", ADMIN_PASSWORD), autocommit=True) as connection:
            postgres_roles.drop(connection, role, None)

    def notes(self) -> set[str]:
        return {path.name for path in self.folder.glob("*")}


@pytest.fixture
def setting(server: Database, tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(server, tmp_path / "minted")
    yield setting
    for role in setting.roles():
        setting.drop(role)


def role_of(url: str) -> str:
    found = re.match(r"postgresql://(mcpguard_[0-9a-f]{16}):[\w-]{43}@127\.0\.0\.1:\d+/postgres$", url)
    assert found is not None
    return found[1]


def ended(lease: Lease) -> None:
    assert lease.end is not None
    lease.end()


def asked(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return list(connection.execute(query).fetchall())


def test_the_value_is_a_url_of_a_new_role_that_can_do_what_its_grants_say_and_no_more(
    setting: Setting,
) -> None:
    lease = setting.mint(connections=3).lease()
    url = lease.secret.reveal()
    role = role_of(url)
    assert asked(url, "SELECT text FROM notes") == [("hello",)]
    for statement in (
        "INSERT INTO notes VALUES (2, 'x')",
        "CREATE ROLE x",
        "CREATE DATABASE x",
        "CREATE TABLE x ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(url, statement)
    facts = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit"
    assert setting.server.run(f"SELECT {facts} FROM pg_roles WHERE rolname = '{role}'") == "f|f|f|f|f|3"
    ended(lease)


def test_a_role_can_log_in_until_the_end_of_its_lease_by_the_clock_of_the_server(setting: Setting) -> None:
    mint = setting.mint(ttl_seconds=60)
    lease = mint.lease()
    assert lease.seconds is not None
    assert 0 < lease.seconds <= 60
    until = f"FROM pg_roles WHERE rolname = '{role_of(lease.secret.reveal())}'"
    within = f"SELECT rolvaliduntil > now() AND rolvaliduntil <= now() + interval '60 s' {until}"
    assert setting.server.run(within) == "t"
    before = setting.server.run(f"SELECT rolvaliduntil {until}")
    renewed = mint.renew(lease)
    assert renewed is not None
    assert (renewed.secret, renewed.end) == (lease.secret, lease.end)
    assert setting.server.run(f"SELECT rolvaliduntil > '{before}' {until}") == "t"
    ended(lease)


def test_each_lease_is_a_role_of_its_own_and_the_password_is_a_part_of_it(setting: Setting) -> None:
    mint = setting.mint()
    first, second = mint.lease(), mint.lease()
    assert role_of(first.secret.reveal()) != role_of(second.secret.reveal())
    (password,) = first.parts
    assert f":{password.reveal()}@" in first.secret.reveal()
    ended(first)
    assert setting.roles() == {role_of(second.secret.reveal())}
    ended(second)


def test_at_the_end_the_role_its_sessions_and_its_note_are_gone(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    with psycopg.connect(lease.secret.reveal(), autocommit=True) as connection:
        ended(lease)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        asked(lease.secret.reveal(), "SELECT 1")
    assert (setting.roles(), setting.notes()) == (set(), set())
    ended(lease)
    assert mint.renew(lease) is None


def test_a_role_that_somebody_else_dropped_counts_as_ended_and_is_not_renewed(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    role = role_of(lease.secret.reveal())
    setting.drop(role)
    assert mint.renew(lease) is None
    ended(lease)
    assert setting.notes() == set()


class HeldTimer(Timer):
    """A timer that never goes off by itself."""

    def start(self) -> None:
        self.running = True

    def cancel(self) -> None:
        self.running = False


def test_the_sessions_of_a_role_that_nobody_asks_for_any_more_are_ended_some_time_after_its_lease(
    setting: Setting,
) -> None:
    timers: list[HeldTimer] = []

    def timer(seconds: float, then: Any) -> HeldTimer:
        timers.append(HeldTimer(seconds, then))
        return timers[-1]

    entry = PostgresEntry(admin="${keyring:pg}", grants=GRANTS, ttl_seconds=60, timeout_seconds=20)
    mint = PostgresMint("pg", entry, setting.secret, setting.folder, timer)
    lease = mint.lease()
    assert mint.renew(lease) is not None
    assert [(one.interval, one.running, one.daemon) for one in timers] == [
        (660, False, True),
        (660, True, True),
    ]
    with contextlib.closing(psycopg.connect(lease.secret.reveal(), autocommit=True)) as connection:
        timers[1].function()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert (setting.roles(), timers[1].running) == (set(), False)
    ended(lease)
    setting.admin = setting.admin.replace(f":{setting.server.port}/", ":1/")
    timers[1].function()


CREATING = (*GRANTS, "GRANT CREATE ON SCHEMA public TO {role}")


def made_by(setting: Setting, **entry: Any) -> str:
    """The owner of a table that a role made, "" where it is gone after the end of the role."""
    lease = setting.mint(CREATING, **entry).lease()
    with psycopg.connect(lease.secret.reveal(), autocommit=True) as connection:
        connection.execute("CREATE TABLE made (id int)")
        connection.execute("CREATE TEMP TABLE fleeting (id int)")
        ended(lease)
    assert setting.roles() == set()
    return setting.server.run("SELECT tableowner FROM pg_tables WHERE tablename = 'made'")


def test_what_a_role_made_is_dropped_with_it_unless_an_owner_is_named(setting: Setting) -> None:
    assert made_by(setting) == ""
    setting.server.run("CREATE ROLE keeper; GRANT keeper TO minter")
    try:
        assert made_by(setting, owner="keeper") == "keeper"
    finally:
        setting.server.run("DROP OWNED BY keeper; DROP ROLE keeper")


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        ("postgres", "has a role with attributes as `owner`"),
        ("minter", "has a role with attributes as `owner`"),
        ("nobody_special", "does not have the role of `admin` as a member of `owner`"),
        ("gone", "has no role with the name in `owner`"),
    ],
)
def test_an_owner_that_must_not_have_what_a_role_made_is_refused_before(
    setting: Setting, owner: str, why: str
) -> None:
    assert why in setting.refusal(owner=owner)
    assert (setting.roles(), setting.notes()) == (set(), set())


def test_many_at_once_do_not_get_into_each_others_way(setting: Setting) -> None:
    def used(_: int) -> str:
        lease = setting.mint().lease()
        ended(lease)
        return lease.secret.reveal()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(used, range(24)))) == 24
    assert (setting.roles(), setting.notes()) == (set(), set())


def test_a_superuser_and_an_admin_that_does_not_inherit_can_mint_too(setting: Setting) -> None:
    for url in (setting.server.url(), setting.admin):
        setting.admin = url
        lease = setting.mint().lease()
        assert asked(lease.secret.reveal(), "SELECT count(*) FROM notes") == [(1,)]
        ended(lease)
    assert setting.roles() == set()


def test_settings_and_memberships_of_roles_can_be_granted(setting: Setting) -> None:
    setting.server.run(
        "CREATE ROLE readers; GRANT SELECT ON notes TO readers; GRANT readers TO minter WITH ADMIN OPTION"
    )
    settings = "ALTER ROLE {role} SET default_transaction_read_only = on"
    lease = setting.mint(("GRANT readers TO {role}", settings)).lease()
    try:
        assert asked(lease.secret.reveal(), "SELECT text FROM notes") == [("hello",)]
        assert asked(lease.secret.reveal(), "SHOW transaction_read_only") == [("on",)]
    finally:
        ended(lease)
        setting.server.run("DROP OWNED BY readers; DROP ROLE readers")


def test_no_password_ever_reaches_the_log_of_the_server(setting: Setting) -> None:
    lease = setting.mint().lease()
    ended(lease)
    log = setting.server.run(
        "SELECT pg_read_file(regexp_replace(current_setting('data_directory'), 'data$', 'log'))"
    )
    assert "CREATE ROLE" in log
    assert "SCRAM-SHA-256$" in log
    for secret in (lease.parts[0].reveal(), ADMIN_PASSWORD, PASSWORD):
        assert secret not in log.replace(SETUP.strip(), "").split("ALTER SYSTEM")[-1]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "GRANT SELECT ON pg_authid TO {role}",
            "InsufficientPrivilege, 42501): the role of `admin` is not permitted to do that",
        ),
        ("GRANT SELECT ON secret_table_name TO {role}", "UndefinedTable, 42P01)"),
        ("GRANT nonsense nonsense TO {role}", "SyntaxError, 42601)"),
    ],
)
def test_a_grant_that_fails_is_named_by_its_number_and_leaves_nothing(
    setting: Setting, line: str, why: str
) -> None:
    said = setting.refusal((*GRANTS, line))
    assert f"did not accept line 3 of `grants` ({why}" in said
    assert "secret_table_name" not in said
    assert (setting.roles(), setting.notes()) == (set(), set())


def test_a_grant_that_the_admin_may_not_pass_on_is_told_though_postgresql_only_warns(
    setting: Setting,
) -> None:
    said = setting.refusal(("GRANT SELECT, INSERT ON notes TO {role}",))
    assert "for line 1 of `grants`: the role of `admin` lacks the GRANT OPTION" in said
    assert (setting.roles(), setting.notes()) == (set(), set())


def test_an_admin_without_createrole_is_told(setting: Setting) -> None:
    setting.admin = setting.server.url("nobody_special", ADMIN_PASSWORD)
    assert "needs CREATEROLE" in setting.refusal()
    assert setting.notes() == set()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("minter-of", "wrong"), "does not accept the password of `admin`"),
        (("/postgres", "/gone"), "has no such database or role"),
        (("127.0.0.1", "no.such.host.invalid"), "needs TLS: set `sslmode=verify-full`"),
        (("/postgres", "/postgres?sslmode=require"), "does not support TLS, which `sslmode` requires"),
        (("postgresql://", "mysql://"), "keyring:pg is not a PostgreSQL connection URL"),
        (("/postgres", "/postgres?nonsense=minter-of"), "keyring:pg is not a PostgreSQL connection URL"),
        (("/postgres", "/postgres?hostaddr=10.0.0.1"), "needs TLS"),
    ],
)
def test_an_admin_that_cannot_connect_is_told_why(
    setting: Setting, change: tuple[str, str], why: str
) -> None:
    setting.admin = setting.admin.replace(*change)
    assert why in setting.refusal()
    assert setting.notes() == set()


def test_a_url_without_a_host_is_refused(setting: Setting) -> None:
    setting.admin = f"postgresql://minter:{ADMIN_PASSWORD}@/postgres"
    assert "must name the host" in setting.refusal()


def test_a_database_that_does_not_answer_is_told(setting: Setting) -> None:
    setting.admin = f"postgresql://minter:{ADMIN_PASSWORD}@127.0.0.1:1/postgres"
    assert (
        "PostgreSQL at 127.0.0.1:1 does not accept connections: check that it is running" in setting.refusal()
    )


def test_a_lease_whose_database_is_gone_keeps_its_note_for_the_next_start(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    setting.admin = setting.admin.replace(f":{setting.server.port}/", ":1/")
    for step in (lambda: mint.renew(lease), lambda: ended(lease)):
        with pytest.raises(CredentialError, match="does not accept connections"):
            step()
    assert len(setting.notes()) == 1
    setting.admin = setting.server.url("minter", ADMIN_PASSWORD)
    ended(lease)
    assert (setting.roles(), setting.notes()) == (set(), set())


def test_a_folder_that_cannot_be_written_means_no_role(setting: Setting) -> None:
    setting.folder.write_text("in the way")
    assert "its role cannot be noted in" in setting.refusal()
    assert setting.roles() == set()


@pytest.fixture
def worker(setting: Setting) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", WORKER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{setting.admin} {setting.folder}\n")
    process.stdin.flush()
    yield process, role_of(process.stdout.readline().strip())
    if process.poll() is None:
        process.kill()
    process.wait(30)
    process.stdin.close()
    process.stdout.close()


def test_the_role_of_a_killed_process_is_dropped_by_the_next_start(
    setting: Setting, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, role = worker
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert setting.roles() == {role}
    next_one = setting.mint()
    assert next_one.left()
    next_one.recover()
    assert (setting.roles(), setting.notes(), next_one.left()) == (set(), set(), False)
    next_one.recover()


def test_the_role_of_a_killed_process_is_dropped_by_the_next_lease(
    setting: Setting, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, role = worker
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    lease = setting.mint().lease()
    assert role not in setting.roles()
    ended(lease)


def test_the_role_of_another_process_that_lives_is_left_alone(
    setting: Setting, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, role = worker
    setting.server.run(f"ALTER ROLE {role} VALID UNTIL '2001-01-01'")
    mint = setting.mint()
    assert not mint.left()
    mint.recover()
    ended(mint.lease())
    assert setting.roles() == {role}
    assert process.poll() is None


def test_what_a_process_that_was_killed_left_at_another_place_is_left_alone(
    setting: Setting, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, role = worker
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    elsewhere = setting.mint(database="other", grants=("GRANT CREATE ON SCHEMA public TO {role}",))
    assert not elsewhere.left()
    elsewhere.recover()
    assert setting.roles() == {role}


def test_roles_that_ended_long_ago_and_that_nobody_has_are_dropped_by_whoever_mints_next(
    setting: Setting,
) -> None:
    mark = "Made by mcpguard for credential pg. It may be dropped once its VALID UNTIL is past."
    for name, until, comment in (
        ("mcpguard_old", "2001-01-01", mark),
        ("mcpguard_recent", "2100-01-01", mark),
        ("mcpguard_foreign", "2001-01-01", "of somebody"),
        ("mcpguard_other", "2001-01-01", mark.replace("pg", "other")),
        ("mcpguardx_old", "2001-01-01", mark),
    ):
        with psycopg.connect(setting.admin, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN VALID UNTIL '{until}'")
            connection.execute(f"COMMENT ON ROLE {name} IS '{comment}'")
    ended(setting.mint().lease())
    assert setting.roles() == {"mcpguard_recent", "mcpguard_foreign", "mcpguard_other"}
    setting.server.run("DROP ROLE mcpguardx_old")


def test_a_role_that_another_database_depends_on_is_closed_and_told(setting: Setting) -> None:
    lease = setting.mint().lease()
    role = role_of(lease.secret.reveal())
    elsewhere = setting.server.url().removesuffix("/postgres") + "/other"
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        with pytest.raises(CredentialError, match=f"is closed: .* Run `DROP OWNED BY {role} CASCADE` there"):
            ended(lease)
        assert setting.server.run(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role}'") == "f"
        connection.execute(f"DROP OWNED BY {role}")
    ended(lease)
    assert setting.roles() == set()


def test_the_database_of_the_entry_is_the_one_that_is_granted_and_named(setting: Setting) -> None:
    setting.server.run("GRANT CONNECT ON DATABASE other TO minter WITH GRANT OPTION")
    lease = setting.mint(("GRANT CONNECT ON DATABASE other TO {role}",), database="other").lease()
    assert lease.secret.reveal().endswith("/other")
    assert asked(lease.secret.reveal(), "SELECT current_database()") == [("other",)]
    ended(lease)


@each(
    ("where", "host", "url"),
    [
        ({"host": "db", "port": "6000", "dbname": "a b"}, None, "r:p@db:6000/a%20b"),
        ({"host": "db", "user": "me"}, None, "r:p@db:5432/me"),
        ({"host": "::1", "dbname": "x"}, None, "r:p@[::1]:5432/x"),
        ({"host": "a,b", "port": "1,2", "dbname": "x"}, None, "r:p@a:1,b:2/x"),
        ({"host": "a,b", "port": "1", "dbname": "x"}, None, "r:p@a:1,b:1/x"),
        ({"host": "/run/pg", "dbname": "x"}, None, "r:p@/x?host=%2Frun%2Fpg&port=5432"),
        ({"host": "db", "dbname": "x"}, "inside:5433", "r:p@inside:5433/x"),
        (
            {"host": "d", "dbname": "x", "sslmode": "require", "passfile": "f"},
            None,
            "r:p@d:5432/x?sslmode=require",
        ),
    ],
)
def test_the_url_says_where_the_server_finds_the_database(
    where: dict[str, str], host: str | None, url: str
) -> None:
    entry = PostgresEntry(admin="${keyring:pg}", grants=GRANTS, host=host)
    assert _url(where, entry, "r", "p") == f"postgresql://{url}"


def test_without_the_library_the_extra_is_named(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "-m pip install 'mcpguard-gateway[postgres]'" in setting.refusal()


@each(("more", "mode"), [("", "disable"), ("&gssencmode=prefer", "prefer")])
def test_kerberos_replaces_tls_only_where_the_url_says_so(more: str, mode: str) -> None:
    where = parameters_of(f"postgresql://me@db.example/x?sslmode=verify-full{more}", "its value")
    assert where["gssencmode"] == mode


def test_the_variables_of_the_library_do_not_lead_elsewhere(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere -c role=postgres")
    ended(setting.mint().lease())


def test_what_the_url_does_not_say_is_not_taken_from_a_variable(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.admin = "postgresql://minter:secret@localhost"
    for name in ("PGPORT", "PGDATABASE", "PGHOSTADDR"):
        monkeypatch.setenv(name, "1")
    where = setting.mint()._where()
    assert (where["port"], where["dbname"], where["hostaddr"]) == ("5432", "minter", "")


def test_nothing_that_holds_a_value_prints_it(setting: Setting) -> None:
    mint = PostgresMint("pg", PostgresEntry(admin="${keyring:pg}", grants=GRANTS), setting.secret)
    lease = setting.mint().lease()
    shown = repr([mint, lease, lease.end, mint.__dict__])
    assert ADMIN_PASSWORD not in shown
    assert lease.parts[0].reveal() not in shown
    with contextlib.suppress(CredentialError):
        ended(lease)
    assert os.listdir(setting.folder) == []


def test_nothing_of_a_value_is_logged_by_us_or_by_the_library(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    lease = setting.mint().lease()
    right, setting.admin = setting.admin, setting.admin.replace("/postgres", "/gone")
    setting.refusal()
    setting.admin = right
    ended(lease)
    assert not any(secret in caplog.text for secret in (ADMIN_PASSWORD, lease.parts[0].reveal(), "gone"))


def abandoned(setting: Setting, count: int) -> list[str]:
    """Roles as a killed process leaves them: they stay, and the locks of their notes go."""
    mint = setting.mint()
    roles = [role_of(mint.lease().secret.reveal()) for _ in range(count)]
    for role in roles:
        os.close(mint._journal._mine.pop(role))
    return roles


def test_one_role_that_cannot_be_dropped_keeps_no_other_from_it_and_is_told(setting: Setting) -> None:
    stuck, other = sorted(abandoned(setting, 2))
    elsewhere = setting.server.url().removesuffix("/postgres") + "/other"
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {stuck}")
        with pytest.raises(CredentialError, match=f"^credential:pg: .* cannot drop the role {stuck}"):
            setting.mint().recover()
        assert (setting.roles(), setting.notes()) == ({stuck}, {f"{stuck}.json"})
        ended(setting.mint().lease())
        connection.execute(f"DROP OWNED BY {stuck}")
    setting.mint().recover()
    assert (setting.roles(), setting.notes(), other in setting.roles()) == (set(), set(), False)


def test_a_note_of_somebody_elses_role_does_not_have_it_dropped(setting: Setting) -> None:
    setting.server.run("CREATE ROLE precious; GRANT precious TO minter WITH ADMIN OPTION")
    (role,) = abandoned(setting, 1)
    note = (setting.folder / f"{role}.json").read_text()
    (setting.folder / "precious.json").write_text(note.replace(role, "precious"))
    mint = setting.mint()
    mint.recover()
    ended(mint.lease())
    assert setting.server.run("SELECT rolname FROM pg_roles WHERE rolname = 'precious'") == "precious"
    assert setting.roles() == set()
    setting.server.run("DROP ROLE precious")


def test_a_statement_that_waits_too_long_is_given_up(setting: Setting) -> None:
    with psycopg.connect(setting.server.url()) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1835230823)")
        assert "refused it (QueryCanceled, 57014)" in setting.refusal(timeout_seconds=1)
    assert setting.roles() == set()


def test_a_database_that_takes_a_connection_and_says_nothing_is_given_up(setting: Setting) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        setting.admin = setting.admin.replace(f":{setting.server.port}/", f":{port}/")
        assert f"PostgreSQL at 127.0.0.1:{port} did not answer within 2 seconds" in setting.refusal(
            timeout_seconds=2
        )
    assert setting.notes() == set()


def test_a_server_that_is_too_old_is_told(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_roles, "_OLDEST", 10**9)
    assert "is older than PostgreSQL 14" in setting.refusal()


def test_a_role_that_is_dropped_while_it_is_renewed_is_not_renewed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    mint = setting.mint()
    lease = mint.lease()

    def extend(*_: object) -> bool:
        ended(lease)
        return True

    monkeypatch.setattr(postgres_roles, "extend", extend)
    assert mint.renew(lease) is None
