"""A hostile server with a minted role in the database of its admin: it gains nothing that its grants do not give,
neither while the admin works nor afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.adapters.credentials.test_postgres import CREATING, SETUP, Setting, ended
from tests.database import Database, database, installed

pytestmark = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")

STOLEN = "CREATE TABLE stolen (who text, what text); GRANT ALL ON stolen TO PUBLIC"
TRAP = """
CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.stolen VALUES (current_user, '{name}'); {end}; END $$;
GRANT EXECUTE ON FUNCTION public.{name}({arguments}) TO PUBLIC
"""
TRAPS = (
    ("make_interval", "secs smallint", "interval"),
    ("make_interval", "secs int", "interval"),
    ("pg_terminate_backend", "int, smallint", "boolean"),
    ("pg_terminate_backend", "int, int", "boolean"),
    ("pg_has_role", "name, oid, text", "boolean"),
    ("set_config", "text, text, boolean", "text"),
    ("current_setting", "text", "text"),
    ("pg_advisory_xact_lock", "int", "void"),
)
OPERATORS = """
CREATE FUNCTION public.trap(name, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.stolen VALUES (current_user, 'operator'); RETURN true; END $$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap);
CREATE OPERATOR public.~~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with database() as running:
        running.run(SETUP)
        running.run(STOLEN)
        yield running


@pytest.fixture
def setting(server: Database, tmp_path: Path) -> Setting:
    return Setting(server, tmp_path / "minted")


def test_functions_and_operators_with_names_of_postgresqls_own_are_never_run_by_the_admin(
    setting: Setting,
) -> None:
    first = setting.mint(CREATING).lease()
    with psycopg.connect(first.secret.reveal(), autocommit=True) as connection:
        for name, arguments, result in TRAPS:
            end = "RETURN" if result == "void" else "RETURN NULL"
            connection.execute(TRAP.format(name=name, arguments=arguments, result=result, end=end))
        connection.execute(OPERATORS)
        mint = setting.mint(CREATING)
        second = mint.lease()
        assert mint.renew(second) is not None
        ended(second)
    assert setting.server.run("SELECT * FROM stolen") == ""
    ended(first)
    assert setting.roles() == set()


def test_a_function_of_a_role_does_not_live_on_with_the_rights_of_the_admin(setting: Setting) -> None:
    lease = setting.mint(CREATING).lease()
    with psycopg.connect(lease.secret.reveal(), autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.door() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS "
            "$$ BEGIN CREATE ROLE intruder LOGIN; END $$"
        )
    ended(lease)
    assert setting.server.run("SELECT count(*) FROM pg_proc WHERE proname = 'door'") == "0"


def test_a_role_that_opens_sessions_and_holds_locks_is_dropped_all_the_same(setting: Setting) -> None:
    lease = setting.mint(CREATING).lease()
    url = lease.secret.reveal()
    with closing(psycopg.connect(url)) as one, closing(psycopg.connect(url)) as other:
        one.execute("CREATE TABLE held (id int)")
        one.execute("SELECT * FROM notes")
        other.execute("SELECT pg_advisory_lock(1)")
        ended(lease)
    assert setting.roles() == set()


def test_a_role_cannot_stay_by_giving_itself_time_attributes_or_another_password(setting: Setting) -> None:
    lease = setting.mint().lease()
    url = lease.secret.reveal()
    role = url.split("/")[2].split(":")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        for change in (
            "VALID UNTIL 'infinity'",
            "CONNECTION LIMIT 1000",
            "CREATEROLE",
            "SUPERUSER",
            "BYPASSRLS",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"ALTER ROLE {role} {change}")
        connection.execute(f"ALTER ROLE {role} PASSWORD 'of-its-own-choice'")
        ended(lease)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://{role}:of-its-own-choice@127.0.0.1:{setting.server.port}/postgres")
    assert setting.roles() == set()
