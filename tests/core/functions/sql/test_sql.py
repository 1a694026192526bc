from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcpguard.core.conditions.cel import TRUE, Bound
from mcpguard.core.conditions.engines import engine
from mcpguard.core.functions.function import FunctionError, apply
from mcpguard.core.functions.sql.function import SQL, _parser, sql
from mcpguard.core.functions.sql.rows import UNLIMITED
from mcpguard.core.functions.sql.text import LEXIS, TEXT_LIMIT, TOKEN_LIMIT, _pattern, read
from tests.core.functions.sql.sql_statements import WRITTEN
from tests.rows import each

CORPUS = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "sql.yaml").read_text())
FIELDS = ("tables", "written", "columns", "functions", "kinds")
DIALECTS = st.sampled_from(sorted(LEXIS))


def name(case: dict[str, str]) -> str:
    return f"{case['dialect']}: {case['sql'][:50]}".encode("unicode_escape").decode()


def passes(case: dict[str, str]) -> bool:
    call = f'sql(args.q, "{case["dialect"]}", {json.dumps(CORPUS["columns"])}).'
    guard = re.sub(r"\bs\.", call, CORPUS["guards"][case["guard"]])
    return engine().compile(guard).verdict(Bound({"args": {"q": case["sql"]}})) is TRUE


def facts(text: str, dialect: str = "postgres") -> dict:
    return sql(text, dialect)


def refusal(text: str, dialect: str = "postgres") -> str:
    with pytest.raises(FunctionError) as caught:
        sql(text, dialect)
    return str(caught.value)


@each("case", CORPUS["attacks"], ids=name)
def test_an_attack_does_not_pass_its_guard(case):
    assert not passes(case), case["why"]


@each("case", CORPUS["benign"], ids=name)
def test_everyday_use_passes_its_guard(case):
    assert passes(case)


def test_the_corpus_is_large_enough():
    assert len(CORPUS["attacks"]) >= 60
    assert len(CORPUS["benign"]) >= 25


def test_all_fields_are_always_there():
    for text in ("SELECT 1", "SET a = 1", "DROP TABLE x", "EXPLAIN SELECT 1"):
        assert sorted(facts(text)) == sorted(SQL.fields)


ANSWERS = [
    ("postgres", "SELECT a FROM t; SELECT 2 LIMIT 5", "limit", UNLIMITED),
    ("postgres", "SELECT 1; SELECT 2 LIMIT 5", "limit", 5),
    ("postgres", "SELECT 1 LIMIT 3; SELECT 2 LIMIT 5", "limit", 5),
    ("postgres", "(SELECT 1 LIMIT 3)", "limit", 3),
    ("postgres", "SELECT 1 LIMIT 3 + 1", "limit", UNLIMITED),
    ("postgres", "SELECT 1 LIMIT ALL", "limit", UNLIMITED),
    ("postgres", "SELECT 1 FETCH FIRST 5 ROWS ONLY", "limit", 5),
    ("postgres", "SELECT 1 FETCH FIRST 5 ROWS WITH TIES", "limit", UNLIMITED),
    ("postgres", "SELECT 1 FETCH FIRST ROW ONLY", "limit", UNLIMITED),
    ("tsql", "SELECT TOP 5 PERCENT a FROM t", "limit", UNLIMITED),
    ("tsql", "SELECT TOP 5 a FROM t", "limit", 5),
    ("mysql", "SELECT a FROM t LIMIT 5, 10", "limit", 10),
    ("sqlite", "SELECT a FROM t LIMIT -1", "limit", UNLIMITED),
    ("postgres", "SET a = 1", "limit", 0),
    ("postgres", "INSERT INTO t VALUES (1)", "columns", ["*"]),
    ("postgres", "CREATE TABLE t (a int, b text)", "columns", ["a", "b"]),
    ("postgres", "CREATE TABLE t AS SELECT a FROM u", "written", ["t"]),
    ("postgres", "CREATE INDEX i ON t (a)", "functions", []),
    ("postgres", "CREATE INDEX i ON t (a)", "written", ["t"]),
    ("postgres", "SELECT a INTO t FROM u", "written", ["t"]),
    ("postgres", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "written", ["t"]),
    ("postgres", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", "filtered", False),
    ("postgres", "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "filtered", False),
    ("tsql", "WITH c AS (SELECT a FROM t) UPDATE c SET a = 1 WHERE a = 2", "written", ["c", "t"]),
    (
        "tsql",
        "WITH c AS (SELECT a FROM t) MERGE INTO c USING u ON c.a = u.a WHEN MATCHED THEN DELETE",
        "written",
        ["c", "t", "u"],
    ),
    ("postgres", "DELETE FROM t USING u WHERE t.a = u.a", "written", ["t"]),
    ("postgres", "DELETE FROM t WHERE a = 1 AND true", "filtered", True),
    ("postgres", "DELETE FROM t WHERE NOT (1 = 2 AND a = 1)", "filtered", False),
    ("postgres", "DELETE FROM t WHERE NOT (a = 1)", "filtered", False),
    ("postgres", "DELETE FROM t WHERE t.a = A", "filtered", False),
    ("postgres", "DELETE FROM t WHERE lower(a) = LOWER(A)", "filtered", False),
    ("postgres", "(SELECT a FROM t) ORDER BY b", "columns", ["a", "b"]),
    ("postgres", "DELETE FROM t WHERE (a = 1 OR b = 2)", "filtered", True),
    (
        "sqlite",
        "INSERT INTO t SELECT a, '' FROM t WHERE true ON CONFLICT(a) DO UPDATE SET b = ''",
        "filtered",
        False,
    ),
    ("sqlite", "INSERT INTO t VALUES (1, '') ON CONFLICT(a) DO UPDATE SET b = ''", "filtered", True),
    ("sqlite", "INSERT INTO t SELECT a, '' FROM t WHERE true ON CONFLICT DO NOTHING", "filtered", True),
    ("sqlite", "INSERT OR REPLACE INTO t SELECT a, '' FROM t", "filtered", False),
    ("sqlite", "INSERT OR IGNORE INTO t SELECT a, '' FROM t", "filtered", True),
    ("mysql", "INSERT INTO t SELECT a, '' FROM t ON DUPLICATE KEY UPDATE b = ''", "filtered", False),
    ("snowflake", "INSERT OVERWRITE INTO t SELECT a FROM u", "filtered", False),
    ("sqlite", "INSERT INTO t SELECT a FROM u", "filtered", True),
    ("postgres", "SELECT a AS b FROM t ORDER BY b", "columns", ["a"]),
    ("postgres", "SELECT a AS b FROM t ORDER BY t.b", "columns", ["*", "a", "b"]),
    ("postgres", "SELECT a FROM t ORDER BY b", "columns", ["a", "b"]),
    ("postgres", "SELECT rank() OVER (ORDER BY b) FROM t", "columns", ["b"]),
    ("bigquery", "SELECT u.address.city.name FROM users AS u", "columns", ["address", "city", "name"]),
    ("postgres", 'SELECT "A b", c FROM "x.y"."Z"', "tables", ['"x.y"."Z"']),
    ("postgres", 'SELECT "A b", c FROM x', "columns", ['"A b"', "c"]),
    ("postgres", 'SELECT "a""b" FROM x', "columns", ['"a""b"']),
    ("snowflake", 'SELECT "ID" FROM "USERS"', "tables", ["users"]),
    ("mysql", "WITH Recent AS (SELECT a FROM t) SELECT a FROM recent", "tables", ["recent", "t"]),
    ("postgres", "WITH Recent AS (SELECT a FROM t) SELECT a FROM recent", "tables", ["t"]),
    ("postgres", "WITH RECURSIVE r AS (SELECT a FROM t) SELECT a FROM r", "tables", ["t"]),
    ("postgres", "SELECT current_user, now()", "functions", ["current_user", "now"]),
    ("postgres", "SELECT a.b.count(c) FROM t", "functions", ["a.b.count", "count"]),
    ("postgres", "SELECT t.current_user FROM t", "functions", ["current_user"]),
    ("postgres", "SELECT pg_catalog.lower(a) FROM t", "writes", False),
    ("postgres", "SELECT private.lower(a) FROM t", "writes", True),
    ("postgres", "SELECT a FROM f(1) AS t(a)", "functions", ["f"]),
    ("postgres", "SELECT shutdown FROM t", "writes", True),
    ("mysql", "SELECT insert('abc', 1, 2, 'x')", "writes", True),
    ("snowflake", 'SELECT s."NEXTVAL"', "writes", True),
    ("tsql", "SELECT a FROM t WITH (NOLOCK)", "writes", True),
    ("postgres", "EXPLAIN SELECT 1", "writes", False),
    ("postgres", "EXPLAIN SELECT 1", "kinds", ["explain", "select"]),
    ("sqlite", "EXPLAIN QUERY PLAN SELECT 1", "writes", False),
    ("postgres", "EXPLAIN (COSTS) SELECT 1", "writes", False),
    ("postgres", "EXPLAIN (ANALYZE, BUFFERS off, FORMAT 'json') SELECT 1", "writes", False),
    ("postgres", "EXPLAIN ANALYZE SELECT 1", "writes", False),
    ("postgres", "EXPLAIN ANALYZE DELETE FROM t", "writes", True),
    ("postgres", "EXPLAIN (ANALYZE) SELECT nextval('a')", "writes", True),
    ("mysql", "EXPLAIN ANALYZE SELECT a FROM t FOR UPDATE", "writes", True),
    ("postgres", r"SELECT E'it\'s', e'\\', E'a''b' FROM t; SELECT b FROM u", "statements", 2),
    ("postgres", r"SELECT a FROM t WHERE b = E'\'; DROP TABLE t; --'", "statements", 1),
    ("postgres", r"SELECT a FROM t WHERE b = E'\\'; DROP TABLE t; --'", "kinds", ["drop", "select"]),
    ("postgres", r"SELECT E'\\' || a FROM t", "columns", ["a"]),
    ("postgres", "BEGIN", "kinds", ["transaction"]),
    ("postgres", "ROLLBACK TO SAVEPOINT a", "writes", True),
    ("postgres", "SET search_path = x", "kinds", ["set"]),
    ("postgres", "SHOW search_path", "writes", False),
    ("postgres", "SHOW TRANSACTION ISOLATION LEVEL", "writes", False),
    ("mysql", "SHOW GLOBAL STATUS", "writes", False),
    ("sqlite", "SELECT a FROM t WHERE a > .5 AND a < 5. OR a BETWEEN 1.e2 AND .5e-3", "columns", ["a"]),
    ("postgres", "SELECT round(a, 2) * .5 FROM t LIMIT 5.", "columns", ["a"]),
    ("sqlite", "SELECT (a)-.5, .5*[a] FROM t", "columns", ["a"]),
    ("mysql", "SHOW TABLES LIKE 'a%'", "kinds", ["show"]),
    ("mysql", "SHOW FULL COLUMNS FROM a.`B`", "tables", ["a.b"]),
    ("mysql", "SHOW CREATE TABLE secrets", "tables", ["secrets"]),
    ("sqlite", "PRAGMA main.table_info('Users')", "tables", ["users"]),
    ("sqlite", "PRAGMA table_info(users)", "writes", False),
    ("sqlite", "PRAGMA user_version", "writes", False),
    ("sqlite", "PRAGMA user_version(5)", "writes", True),
    ("sqlite", "PRAGMA optimize", "writes", True),
    ("sqlite", "SELECT * FROM pragma_optimize WHERE arg = 0x10002", "writes", True),
    ("sqlite", "SELECT * FROM t, main.[PRAGMA_Optimize]", "functions", ["pragma_optimize"]),
    ("sqlite", "SELECT a FROM t WHERE a IN (SELECT 1 FROM 'pragma_optimize')", "writes", True),
    ("sqlite", "SELECT * FROM `pragma_integrity_check`", "pure", False),
    ("sqlite", "SELECT name FROM pragma_table_info WHERE arg = 't'", "writes", False),
    ("sqlite", "SELECT name FROM pragma_table_info WHERE arg = 't'", "tables", ["pragma_table_info"]),
    ("sqlite", "SELECT * FROM pragma_user_version", "functions", []),
    ("sqlite", "INSERT INTO notes(notes) VALUES ('delete-all')", "pure", False),
    ("sqlite", "INSERT INTO main.[Notes]('NOTES', rank) SELECT 'merge', 1", "functions", ["notes"]),
    ("sqlite", "INSERT INTO notes(text) VALUES ('notes')", "pure", True),
    ("sqlite", "INSERT INTO notes VALUES ('delete-all')", "pure", True),
    ("sqlite", "WITH pragma_optimize AS (SELECT 1) SELECT * FROM pragma_optimize", "writes", False),
    ("sqlite", "SELECT data FROM sqlite_dbpage", "writes", True),
    ("sqlite", "SELECT name FROM main.sqlite_schema, temp.sqlite_master", "writes", False),
    ("sqlite", "SELECT data FROM fsdir WHERE path = '/etc/passwd'", "functions", ["fsdir"]),
    ("duckdb", "SELECT * FROM pragma_unheard_of", "writes", True),
    ("duckdb", "SELECT name FROM sqlite_master", "writes", False),
    ("postgres", "SELECT id FROM sqlite_imports", "writes", False),
    ("mysql", "USE shop", "kinds", ["use"]),
    ("sqlite", "VALUES (1)", "kinds", ["select"]),
    ("sqlite", "VALUES (1)", "columns", []),
    ("postgres", "SELECT a FROM t; ;", "statements", 1),
    ("duckdb", "SELECT * FROM 'a.csv'", "writes", True),
    ("postgres", "SELECT count(*) FROM t", "columns", []),
    ("postgres", "SELECT sum(x) FROM (SELECT * FROM t) y", "columns", ["*", "x"]),
]


ORDINARY = (Path(__file__).parents[1] / "corpus" / "sql-ordinary.sql").read_text().splitlines()[1:]


@pytest.mark.uncounted
@each("text", ORDINARY)
def test_an_ordinary_question_is_harmless(text):
    found = sql(text, "postgres", WRITTEN)
    assert not found["writes"]
    assert "*" not in found["columns"] or "SELECT *" in text


# What an examination found: each was read as harmless, and was not.
CALLS_AFTER_A_DOT = [
    ("SELECT ('/etc/passwd'::text).pg_read_file", "pg_read_file"),
    ("SELECT ('.'::text).pg_ls_dir", "pg_ls_dir"),
    ("SELECT (0::oid).lo_create", "lo_create"),
    ("SELECT (1).lo_unlink", "lo_unlink"),
    ("SELECT (1::bigint).pg_try_advisory_lock", "pg_try_advisory_lock"),
    ("SELECT (now()).wipe", "wipe"),
    ("SELECT x.pg_read_file FROM unnest(ARRAY['/etc/passwd']) AS x", "pg_read_file"),
    ("SELECT x.pg_read_file FROM unnest(ARRAY['/etc/passwd']) AS x(path)", "pg_read_file"),
    ("SELECT unnest.pg_read_file FROM unnest(ARRAY['/etc/passwd'])", "pg_read_file"),
    ("SELECT x.wipe FROM (VALUES (1)) AS x(id)", "wipe"),
    ("SELECT x.wipe FROM (SELECT id FROM users) AS x", "wipe"),
    ("WITH x AS (SELECT id FROM users) SELECT x.wipe FROM x", "wipe"),
    ("SELECT ($1).pg_read_file", "pg_read_file"),
    ("SELECT (SELECT 1).wipe", "wipe"),
    ("SELECT (ARRAY['/etc/passwd'])[1].pg_read_file", "pg_read_file"),
    ("SELECT files[1].pg_read_file FROM users", "pg_read_file"),
    ("SELECT (address).city.wipe FROM users", "wipe"),
    ('SELECT ("path")."pg_read_file" FROM users', "pg_read_file"),
    ("SELECT id FROM users u ORDER BY u . /* x */ wipe", "wipe"),
    ("SELECT u.record_send FROM users u", "record_send"),
    ("SELECT u.hstore FROM users u", "hstore"),
    ("SELECT u.num_nulls FROM users u", "num_nulls"),
    ("SELECT users.wipe FROM users", "wipe"),
    ("SELECT public.users.wipe FROM public.users", "wipe"),
    ("SELECT u.id FROM users u WHERE EXISTS (SELECT u.id FROM secrets u)", "id"),
    ("INSERT INTO notes(id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = excluded.wipe", "wipe"),
    ("INSERT INTO u.wipe (id) SELECT u.wipe FROM users u", "wipe"),
    ("SELECT (u).id FROM users u", "id"),
    ("SELECT s.wipe FROM (SELECT *) s", "wipe"),
    ("SELECT s.wipe FROM (SELECT count(*) FROM users) s", "wipe"),
    ("WITH t AS (DELETE FROM notes WHERE id = 1 RETURNING *) SELECT t.wipe FROM t", "wipe"),
    ("WITH t AS (SELECT 1 AS a), u AS (SELECT t.wipe FROM t) SELECT u.wipe FROM u", "wipe"),
    ("SELECT j.wipe FROM (users CROSS JOIN orders) AS j", "wipe"),
    ("SELECT c.wipe FROM information_schema.columns c", "wipe"),
    ("SELECT c.column_name FROM columns c", "column_name"),
    ("SELECT c.column_name FROM other.information_schema.columns c", "column_name"),
    ("SELECT x.wipe FROM unnest(ARRAY['a']) WITH ORDINALITY AS x(v, n)", "wipe"),
    ("SELECT x.ordinality FROM unnest(ARRAY['a']) WITH ORDINALITY AS x(v, n)", "ordinality"),
    ("SELECT x.ordinality FROM unnest(ARRAY['a']) AS x", "ordinality"),
    ("SELECT x.ordinality FROM generate_series(1, 2) WITH ORDINALITY AS x(v, n)", "ordinality"),
]


@each(("text", "name"), CALLS_AFTER_A_DOT)
def test_a_name_after_a_dot_that_is_no_written_column_is_a_call_with_the_whole_row(text, name):
    found = sql(text, "postgres", ["users.id", "users.name", "notes.a"])
    assert name in found["functions"]
    assert "*" in found["columns"]
    assert found["writes"] or name in ("hstore", "num_nulls")


WRITTEN_COLUMNS = [
    "SELECT u.id, u.name FROM users u",
    "SELECT users.id FROM public.users",
    "SELECT public.users.id FROM public.users",
    "SELECT o.total FROM users u JOIN shop.orders AS o ON o.id = u.id",
    "SELECT x.p FROM unnest(ARRAY['a']) AS x(p)",
    "SELECT x.a, x.b FROM f() AS x(a int, b text)",
    "SELECT x.a FROM ROWS FROM (f(1), g(2)) AS x(a, b)",
    "SELECT v.a FROM (VALUES (1, 2)) AS v(a, b)",
    "SELECT s.n, s.name FROM (SELECT count(id) AS n, name FROM users GROUP BY 2) s",
    "SELECT s.id FROM (SELECT u.id FROM users u UNION SELECT id FROM orders) s",
    "SELECT s.a FROM ((SELECT id AS a FROM users)) s",
    "SELECT s.n FROM (SELECT * FROM (SELECT 1 AS n) i CROSS JOIN (SELECT 2 AS m) k) s",
    "WITH t(n) AS (SELECT 1) SELECT t.n FROM t",
    "WITH t AS (SELECT id AS n FROM users) SELECT x.n FROM t AS x",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT t.n + 1 FROM t) SELECT t.n FROM t",
    "WITH t AS (UPDATE notes SET a = 1 RETURNING id AS gone) SELECT t.gone FROM t",
    "INSERT INTO notes(id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a",
    "SELECT e.key, e.value FROM users, jsonb_each(data) AS e",
    "SELECT e.value FROM users CROSS JOIN LATERAL jsonb_array_elements(data) AS e",
    "SELECT n.value FROM (SELECT id FROM users) u, LATERAL (SELECT u.id AS value) n",
    "SELECT x.value, x.n FROM unnest(ARRAY['a']) WITH ORDINALITY AS x(value, n)",
    "SELECT x.n FROM users u CROSS JOIN LATERAL unnest(ARRAY[u.id]) WITH ORDINALITY AS x(value, n)",
    "SELECT x.n, y.ordinality FROM jsonb_each('{}') WITH ORDINALITY AS x(key, value, n), unnest(ARRAY[1]) WITH ORDINALITY y",
    "SELECT x.ordinality, y.ordinality FROM generate_series(1, 2) WITH ORDINALITY x, unnest(ARRAY[1]) WITH ORDINALITY y(n)",
    "SELECT c.column_name AS name FROM information_schema.columns c JOIN information_schema.tables t ON t.table_name = c.table_name",
    "SELECT information_schema.columns.data_type FROM information_schema.columns",
]


@each("text", WRITTEN_COLUMNS)
def test_a_column_that_is_written_down_is_a_column(text):
    found = sql(text, "postgres", ["users.id", "users.name", "shop.orders.id", "orders.total", "notes.a"])
    columns = {
        "id",
        "name",
        "total",
        "n",
        "a",
        "key",
        "value",
        "gone",
        "ordinality",
        "column_name",
        "data_type",
    }
    assert not columns & set(found["functions"])
    assert "*" not in found["columns"] or "*" in text


def test_stars_of_stars_are_read_once_each():
    parts = [f"c{n} AS (SELECT * FROM c{n - 1} CROSS JOIN c{n - 1} AS b{n})" for n in range(1, 40)]
    text = f"WITH c0 AS (SELECT 1 AS a), {', '.join(parts)} SELECT c39.a FROM c39"
    assert facts(text)["functions"] == []


UNKNOWN_CODE = [
    ("SELECT 'x'::mood", "mood"),
    ("SELECT 'x'::public.mood", "public.mood"),
    ("SELECT CAST('x' AS mood)", "mood"),
    ("SELECT CAST('x' AS string)", "string"),
    ("SELECT string 'x'", "string"),
    ("SELECT 'x'::\"Mood\"", '"Mood"'),
    ("SELECT 'pg_authid'::regclass", "regclass"),
    ("SELECT x.a FROM json_to_record(j) AS x(a mood)", "mood"),
    ("SELECT a ~+ b FROM t", "~+"),
    ("SELECT a =% b FROM t", "=%"),
    ("SELECT a OPERATOR(evil.+) b FROM t", "operator"),
    ("SELECT first(a) FROM t", "first"),
    ("SELECT last(a) FROM t", "last"),
    ("SELECT filter(a, b) FROM t", "filter"),
    ("SELECT currval('s')", "currval"),
    ("SELECT current_setting('data_directory')", "current_setting"),
    ("SELECT pg_get_viewdef(1)", "pg_get_viewdef"),
    ("SELECT pg_relation_size('secrets')", "pg_relation_size"),
    ("SELECT pg_stat_reset()", "pg_stat_reset"),
    ("SELECT setseed(1)", "setseed"),
    ("SELECT txid_current()", "txid_current"),
    ("SELECT lo_get(1)", "lo_get"),
    ("SELECT pg_notify('a', 'b')", "pg_notify"),
    ("SELECT a FROM t TABLESAMPLE mine(1)", "mine"),
]


@each(("text", "name"), UNKNOWN_CODE)
def test_what_is_not_known_to_have_no_effect_is_called_and_writes(text, name):
    found = facts(text)
    assert name in found["functions"]
    assert found["writes"]
    assert not found["pure"]


def test_what_postgresql_runs_by_itself_is_no_call():
    text = (
        "SELECT a=-1, b*-2, c<>-3, d->'x'->>'y', e::numeric(10,2)[], f::double precision, date '2024-01-01',"
        " timestamp with time zone '2024-01-01', a COLLATE \"C\", $$it's$$, $q$a $$ b$q$, '1'::\"char\","
        " now() AT TIME ZONE 'UTC', a <> ALL(ARRAY[1]), interval '1' day, extract(year FROM a), make_interval(days => 1) FROM t"
    )
    found = facts(text)
    assert found["functions"] == ["extract", "make_interval", "now"]
    assert found["columns"] == ["a", "b", "c", "d", "e", "f"]
    assert not found["writes"]


ALL_ROWS = [
    "id IN (id)",
    "id BETWEEN id AND id",
    "id BETWEEN -1e18 AND 1e18",
    "iif(id = 1, 1, 1)",
    "id = 1 IS NOT 2",
    "id = 1 NOTNULL",
    "id = 1 IN (0, 1)",
    "id IN (1) IN (0, 1)",
    "id = 1 BETWEEN 0 AND 1",
    "id = id",
    "id = +id",
    "id >= 0",
    "id <> -1",
    "id IS NOT NULL",
    "id = 1 OR id <> 1",
    "id = 1 OR true",
    "NOT (id = -1)",
    "NOT id = -1",
    "id = (SELECT id)",
    "id IN (SELECT id FROM notes)",
    "id = coalesce(id, 1)",
    "name LIKE '%'",
    "coalesce(id, 1) = id",
    "'x' = 'x'",
    "\"x\" = 'x'",
    "\"x\" IN ('x')",
    "1 = 1 AND id = id",
    "CASE WHEN id = 1 THEN 1 ELSE 1 END",
    "EXISTS (SELECT 1 FROM notes WHERE id = 1)",
    "current_date = current_date",
    "(id, 1) = (id, 1)",
]


@each("condition", ALL_ROWS)
def test_a_condition_that_may_hold_for_every_row_is_no_filter(condition):
    assert not facts(f"UPDATE notes SET a = 1 WHERE {condition}", "sqlite")["filtered"]


NO_FILTERS = [
    ("postgres", "DELETE FROM t WHERE user = 'postgres'"),
    ("postgres", "DELETE FROM t WHERE current_role = 'postgres'"),
    ("postgres", "DELETE FROM t WHERE t.num_nulls = 0"),
    ("postgres", "UPDATE t SET a = 1 FROM u WHERE u.id = 7"),
    ("postgres", "UPDATE t SET a = 1 FROM u WHERE id = 7"),
    ("postgres", "DELETE FROM t USING u WHERE u.id = 7"),
    ("postgres", "DELETE FROM t WHERE t = 'x'"),
    ("postgres", "DELETE FROM t WHERE xmax = 0"),
    ("postgres", 'DELETE FROM t WHERE "tableoid" = 16400'),
    ("postgres", "MERGE INTO t USING u ON t.id = 7 WHEN NOT MATCHED BY SOURCE THEN DELETE"),
    ("postgres", "DROP TABLE t"),
    ("postgres", "ALTER TABLE t DROP COLUMN a"),
    ("mysql", "DELETE FROM t WHERE name = 0"),
    ("mysql", "DELETE FROM t WHERE name = -0.0"),
    ("mysql", "DELETE FROM t WHERE name = 1e-400"),
    ("mysql", "DELETE FROM t WHERE name IN (0, 'x')"),
    ("mysql", "DELETE FROM t WHERE name = false"),
    ("mysql", "DELETE FROM t WHERE y XOR id = 1 AND id = 2"),
    ("mysql", "DELETE FROM t WHERE y || id = 1 AND id = 2"),
    ("mysql", "UPDATE t JOIN u ON t.id = u.id SET u.a = 1 WHERE t.id = 7"),
    ("tsql", "UPDATE t SET a = 1 FROM t JOIN u ON t.a = u.a WHERE t.id = 7"),
    ("sqlite", "PRAGMA writable_schema = 1"),
    ("sqlite", "INSERT OR REPLACE INTO t(id) SELECT id FROM t"),
]


@each(("dialect", "text"), NO_FILTERS)
def test_a_change_whose_rows_are_not_named_is_not_filtered(dialect, text):
    assert not facts(text, dialect)["filtered"]


FILTERS = [
    ("postgres", "DELETE FROM t WHERE 7 = id"),
    ("postgres", "DELETE FROM t WHERE id = -7 AND a > b"),
    ("postgres", "DELETE FROM t WHERE id = $1"),
    ("postgres", "DELETE FROM t WHERE id = '6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid"),
    ("postgres", "DELETE FROM t WHERE name = $$x$$"),
    ("postgres", "DELETE FROM t AS n USING u WHERE n.id IN (1, 2) AND u.id = n.a"),
    ("postgres", "DELETE FROM t WHERE done = true AND (id = 1 OR id = 2)"),
    ("sqlite", "DELETE FROM t WHERE t.id = 1"),
    ("sqlite", 'DELETE FROM t WHERE "id" = 1'),
    ("sqlite", "DELETE FROM t WHERE id = ?"),
    ("mysql", "DELETE FROM t WHERE `id` = 7"),
    ("mysql", "DELETE FROM t WHERE name = 'x'"),
    ("mysql", "DELETE FROM t WHERE done = true"),
    ("mysql", "DELETE FROM t WHERE price = 0.05 OR price = 10.0"),
    ("tsql", "UPDATE t SET a = 1 WHERE name = N'x'"),
]


@each(("dialect", "text"), FILTERS)
def test_a_change_of_named_rows_is_filtered(dialect, text):
    assert sql(text, dialect, ["t.id"] if dialect == "postgres" else None)["filtered"]


HIDDEN_COLUMNS = [
    ("sqlite", "SELECT id FROM users JOIN orders USING ('password')"),
    ("sqlite", 'SELECT id FROM users JOIN orders USING ("password")'),
    ("sqlite", "SELECT id FROM users JOIN orders USING ([password])"),
    ("mysql", "SELECT id FROM users JOIN orders USING (`password`)"),
    ("postgres", 'SELECT id FROM users JOIN orders USING ("password")'),
    ("mysql", "SELECT VALUES(password) FROM users"),
    ("sqlite", "SELECT u.'password' FROM users u"),
    ("sqlite", "UPDATE users SET 'password' = 1"),
    ("sqlite", "INSERT INTO users('password') VALUES (1)"),
    ("postgres", "SELECT date_trunc(password, now()) FROM users"),
    ("postgres", 'SELECT date_trunc("password", now()) FROM users'),
    ("postgres", "SELECT jsonb_array_elements(password->'a') FROM users"),
    ("postgres", "SELECT key FROM users, jsonb_each(password->'a')"),
]


@each(("dialect", "text"), HIDDEN_COLUMNS)
def test_a_column_is_seen_however_it_is_written(dialect, text):
    assert "password" in facts(text, dialect)["columns"]


FREE = {
    "sqlite": "text date time timestamp json uuid integer real double bit interval array any vector int8 nvarchar",
    "mysql": "json year datetime boolean signed unknown array any text month",
    "tsql": "date datetime2 money json text",
}
"""Words that are types, units or syntax elsewhere."""
NAMED = [
    *((one, f"SELECT id, {name} 'd' FROM t", name) for one, free in FREE.items() for name in free.split()),
    ("sqlite", "SELECT any x FROM t", "any"),
    ("sqlite", "SELECT id FROM t ORDER BY interval DESC", "interval"),
    ("sqlite", "SELECT current_user FROM t", "current_user"),
    ("mysql", "SELECT any x FROM t", "any"),
]


@each(("dialect", "text", "name"), NAMED)
def test_a_column_is_seen_whatever_its_name_means_to_others(dialect, text, name):
    assert name in facts(text, dialect)["columns"]


TEXTS_ALONE = [
    (
        "sqlite",
        "SELECT CASE WHEN name LIKE 'a' ESCAPE 'b' THEN 'c' ELSE 'd' END 'e' FROM t WHERE name IS NOT 'f'",
    ),
    (
        "sqlite",
        "SELECT NULL 'n', current_date 'd', name 'x' FROM t WHERE name BETWEEN 'a' AND 'b' OR name GLOB 'c'",
    ),
    (
        "mysql",
        "SELECT date '2026-01-01', timestamp '2026-01-01 00:00:00', name 'x' FROM t WHERE binary 'a' = name",
    ),
    ("mysql", "SELECT now() - interval '1' day FROM t WHERE name NOT RLIKE 'a' XOR name IN ('b')"),
    ("tsql", "SELECT TOP 5 name 'x' FROM t WHERE name LIKE 'a' AND name <> 'b'"),
]


@each(("dialect", "text"), TEXTS_ALONE)
def test_a_word_before_a_text_is_no_column_where_it_is_syntax(dialect, text):
    assert set(facts(text, dialect)["columns"]) <= {"name"}


WHOLE_ROWS = [
    "SELECT j FROM (users CROSS JOIN orders) AS j",
    "SELECT j.c FROM (users CROSS JOIN orders) AS j(a, b, c)",
    "SELECT id FROM users NATURAL JOIN orders",
    "SELECT (u).* FROM users u",
    "SELECT f(u -> 'a') FROM users u",
    "SELECT date_trunc(u, now()) FROM users u",
    "COPY users TO STDOUT",
]


@each("text", WHOLE_ROWS)
def test_a_whole_row_is_seen_however_it_is_written(text):
    assert "*" in facts(text)["columns"]


LIMITS = [
    ("postgres", "SELECT a FROM t", UNLIMITED),
    ("postgres", "SELECT a FROM t LIMIT 5000-1", UNLIMITED),
    ("postgres", "SELECT a FROM t LIMIT $1", UNLIMITED),
    ("postgres", "SELECT a FROM t LIMIT (5)", UNLIMITED),
    ("postgres", "(SELECT a FROM t LIMIT 5) UNION ALL SELECT a FROM t", UNLIMITED),
    ("postgres", "DELETE FROM t WHERE id = 1 RETURNING a", UNLIMITED),
    ("postgres", "DELETE FROM t WHERE id = 1", 0),
    ("postgres", "COPY t TO STDOUT", UNLIMITED),
    ("postgres", "EXPLAIN SELECT a FROM t", 0),
    ("postgres", "EXPLAIN ANALYZE SELECT a FROM t", UNLIMITED),
    ("postgres", "SELECT count(*), sum(a) / 2 AS half, coalesce(max(a), 0) FROM t", 1),
    ("postgres", "SELECT count(*) FROM t GROUP BY a", UNLIMITED),
    ("postgres", "SELECT count(*) OVER () FROM t", UNLIMITED),
    ("postgres", "SELECT count(*), generate_series(1, 9) FROM t", UNLIMITED),
    ("postgres", "SELECT count(*), unnest(array_agg(a)) FROM t", UNLIMITED),
    ("postgres", "SELECT round(avg(a), 2), sum(a)::numeric(10, 2) FROM t", 1),
    ("postgres", "SELECT 1 AS one", 1),
    ("postgres", "VALUES (1), (2)", 2),
    ("duckdb", "SELECT a FROM t LIMIT 10 PERCENT", UNLIMITED),
]


@each(("dialect", "text", "rows"), LIMITS)
def test_the_limit_is_a_bound_that_holds_for_certain(dialect, text, rows):
    assert facts(text, dialect)["limit"] == rows


@each(("dialect", "text", "field", "expected"), ANSWERS)
def test_the_answer_is_exact(dialect, text, field, expected):
    assert facts(text, dialect)[field] == expected


REFUSED = [
    ("oracle", "SELECT 1", "these dialects"),
    ("postgres", "", "no statement"),
    ("postgres", " -- nothing\n;", "no statement"),
    ("postgres", "SELECT (1]", "unbalanced brackets"),
    ("postgres", "SELECT (1", "unbalanced brackets"),
    ("postgres", "SELECT 1)", "unbalanced brackets"),
    ("postgres", "SELECT (1;2)", "semicolon within"),
    ("postgres", "SELECT " + "(" * 17 + "1" + ")" * 17, "nested this deeply"),
    ("postgres", "SELECT " + "NOT " * 7 + "true", "nested this deeply"),
    ("mysql", "SELECT " + "decimal(" * 14 + "1" + ")" * 14, "nested this deeply"),
    ("postgres", "SELECT " + "1, " * TOKEN_LIMIT + "1", "words and signs"),
    ("postgres", "SELECT '" + "x" * TEXT_LIMIT + "'", "characters"),
    ("postgres", "SELECT 'a' 'b'", "adjacent strings"),
    ("postgres", "SELECT 1 + .b", "without a name"),
    ("postgres", "SELECT $1.pg_read_file", "without a name"),
    ("sqlite", "SELECT 'users'.'password' FROM users", "without a name"),
    ("postgres", 'SELECT U&"a" FROM t', "Unicode escapes"),
    ("postgres", "SELECT ''; SELECT '\x07'", "control characters"),
    ("postgres", "SELECT 1\r", "carriage return"),
    ("postgres", 'SELECT "a\u200bb" FROM t', "invisible"),
    ("mysql", "SELECT `ä` FROM t", "letter in a name"),
    ("postgres", "EXPLAIN", "cannot parse"),
    ("postgres", "EXPLAIN (ANALYZE, SETTINGS) SELECT 1", "option of this EXPLAIN"),
    ("postgres", 'EXPLAIN ("costs") SELECT 1', "option of this EXPLAIN"),
    ("postgres", r"SELECT 'it\'s'", "a quote"),
    ("duckdb", r"SELECT E'it\'s'", "a quote"),
    ("postgres", r"SELECT E'it\'", "a quote"),
    ("bigquery", "DELETE 0", "cannot determine what this statement changes"),
    ("postgres", "SELECT FROM WHERE", "cannot parse"),
    ("sqlite", "CREATE WITHOUT ROWID", "effects are not visible"),
    ("sqlite", "CREATE TABLE t AS SELECT * FROM a, without rowid WITHOUT ROWID", "effects are not visible"),
    ("sqlite", "SELECT a FROM t WITHOUT ROWID", "cannot parse"),
    ("sqlite", "x'1f'[w]x", "disagree about where"),
    ("postgres", "VACUUM t", "effects are not visible"),
    ("postgres", "1 + 1", "effects are not visible"),
    ("postgres", "DROP FUNCTION f", "effects are not visible"),
    ("sqlite", "CREATE VIRTUAL TABLE t USING fts5vocab(other, row)", "effects are not visible"),
    (
        "mysql",
        "CREATE TABLE t (a INT) ENGINE=FEDERATED CONNECTION='mysql://u@h/d/t'",
        "effects are not visible",
    ),
    (
        "mysql",
        "CREATE TABLE t (a INT) ENGINE=InnoDB, CONNECTION='mysql://u@h/d/t'",
        "effects are not visible",
    ),
    ("mysql", "CREATE TABLE t (a INT) ENGINE=CONNECT FILE_NAME='/etc/passwd'", "effects are not visible"),
    ("mysql", "ALTER TABLE t ENGINE=FEDERATED CONNECTION='mysql://u@h/d/t'", "effects are not visible"),
    ("mysql", "CREATE DEFINER=root@localhost VIEW v AS SELECT 1", "effects are not visible"),
    ("postgres", "CREATE TABLE t (a int) USING columnar", "effects are not visible"),
    (
        "tsql",
        "CREATE EXTERNAL TABLE t (a INT) WITH (LOCATION='/x', DATA_SOURCE=d)",
        "effects are not visible",
    ),
    (
        "bigquery",
        "CREATE EXTERNAL TABLE d.t OPTIONS(format='CSV', uris=['gs://x/y'])",
        "effects are not visible",
    ),
    ("bigquery", "CREATE MODEL d.m OPTIONS(model_type='x') AS SELECT 1", "effects are not visible"),
    ("snowflake", "CREATE STAGE s URL='s3://x'", "effects are not visible"),
    (
        "snowflake",
        "CREATE DYNAMIC TABLE t TARGET_LAG='1 m' WAREHOUSE=w AS SELECT 1",
        "effects are not visible",
    ),
    ("snowflake", "ALTER SESSION SET x=1", "effects are not visible"),
    ("snowflake", "ALTER USER u SET PASSWORD='x'", "effects are not visible"),
    ("duckdb", "CREATE MACRO f() AS 1", "effects are not visible"),
    ("snowflake", "INSERT INTO t SELECT * FROM TABLE('users')", "effects are not visible"),
    ("tsql", "UPDATE t SET a = 1 OUTPUT inserted.a INTO users WHERE id = 1", "effects are not visible"),
    ("tsql", "INSERT INTO t OUTPUT inserted.a INTO users VALUES (1)", "effects are not visible"),
    ("postgres", "BEGIN ATOMIC", "transaction"),
    ("mysql", "SET @a = f(1)", "computes"),
    ("sqlite", "SHOW x", "SHOW of PostgreSQL"),
    ("mysql", "SHOW GRANTS FOR bob", "what this SHOW shows"),
    ("mysql", "SHOW BINLOG EVENTS", "what this SHOW shows"),
    ("mysql", "SHOW REPLICA STATUS", "what this SHOW shows"),
    ("postgres", "SHOW TABLES LIKE 'a%'", "what this SHOW shows"),
    ("sqlite", "SELECT 1..5", ""),
    ("sqlite", "SELECT 5.e FROM t", ""),
    ("sqlite", "SELECT .5x FROM t", ""),
    ("mysql", "SHOW COLUMNS FROM a FROM b", "what this SHOW shows"),
    ("postgres", "PRAGMA x", "PRAGMA of SQLite"),
    ("sqlite", "PRAGMA", "without a name"),
    ("tsql", "SELECT a FROM @t", "not given by name"),
    ("bigquery", "SELECT a FROM `b.c*`", "pattern"),
    ("tsql", "SELECT a FROM t SHUTDOWN", "begin another statement"),
    ("postgres", "SELECT dblink('x')", "runs a text"),
    *((dialect, "DELETE FROM users AS (1)", "cannot parse") for dialect in LEXIS if dialect != "snowflake"),
    ("sqlite", "SELECT 1 FROM a:b('x')", "cannot parse"),
]


@each(("dialect", "text", "reason"), REFUSED)
def test_what_is_not_certain_is_refused(dialect, text, reason):
    assert reason in refusal(text, dialect)


def test_the_longest_text_is_read():
    assert facts("SELECT '" + "x" * (TEXT_LIMIT - 9) + "'")["statements"] == 1
    assert facts("SELECT " + "1," * (TOKEN_LIMIT // 2 - 1) + "1")["statements"] == 1


def test_neither_a_refusal_nor_a_log_line_quotes_the_text(caplog, capsys):
    with caplog.at_level(0):
        for text in (
            "SELECT hunter2 FROM FROM",
            "VACUUM hunter2",
            "SELECT a -> 'hunter2[[' FROM t",
            "'hunter2\\'",
        ):
            for dialect in LEXIS:
                assert "hunter2" not in _said(text, dialect)
    assert "hunter2" not in caplog.text + "".join(capsys.readouterr())


def _pieces(text):
    return st.sampled_from(text.split(" "))


def _said(text, dialect):
    try:
        sql(text, dialect)
    except FunctionError as error:
        return f"{error} {error.__cause__}"
    return ""


WORDS = _pieces(
    "SELECT FROM WHERE a b users 'x' \"y\" `z` [w] ( ) ( ) , . ; * = 1 -- /* */ ' \" ` $$ \\ \n WITH AS INSERT INTO UPDATE"
    " SET DELETE UNION JOIN ON f( CASE WHEN THEN END CAST ARRAY decimal( NOT - EXPLAIN PRAGMA SHOW CREATE TABLE"
    " DROP GRANT MERGE USING VALUES LIMIT ORDER BY OVER {# #} # \u00a0 ß"
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=25).map(" ".join)), DIALECTS)
def test_any_text_has_an_answer_or_a_refusal(text, dialect):
    try:
        found = apply(SQL, (text, dialect))
    except FunctionError:
        return
    assert sorted(found) == sorted(SQL.fields)


CASES = st.sampled_from(CORPUS["attacks"] + CORPUS["benign"])
GAPS = st.sampled_from([" ", "\n", "\t", " /* x */ ", "\r\n", " -- x\n", " /* ' */ ", " -- \"'\n", "/**/"])


@settings(deadline=None)
@given(CASES, GAPS, st.randoms(use_true_random=False))
def test_case_space_and_comments_never_loosen_an_answer(case, gap, random):
    text, dialect = case["sql"], case["dialect"]
    try:
        before = facts(text, dialect)
        after = facts(_disguised(text, dialect, gap, random), dialect)
    except FunctionError:
        assume(False)
    assert after["writes"] >= before["writes"]
    assert after["filtered"] <= before["filtered"]
    assert after["statements"] == before["statements"]
    for field in FIELDS:
        assert set(after[field]) >= set(before[field])


def _disguised(text, dialect, gap, random):
    source = read(text, dialect)
    pieces, end = [], 0
    for token in source.tokens:
        if source.text[end : token.start]:
            pieces.append(gap)
        piece = source.text[token.start : token.end]
        pieces.append(
            "".join(random.choice([c.upper(), c.lower()]) for c in piece)
            if token.kind == "word" and piece.isascii()
            else piece
        )
        end = token.end
    return gap + "".join(pieces) + gap + ";" + gap


NAMES = ("users", "orders", "id", "name", "password", "user_id", "total")


@settings(deadline=None)
@given(CASES, st.sampled_from(["postgres", "sqlite", "duckdb"]))
def test_quotes_around_a_name_never_loosen_an_answer(case, dialect):
    text = case["sql"]
    try:
        before = facts(text, dialect)
        tokens = read(text, dialect)
        pieces = [tokens.text]
        for token in reversed(tokens.tokens):
            if token.kind == "word" and token.text in NAMES:
                pieces[0] = pieces[0][: token.start] + f' "{token.text}" ' + pieces[0][token.end :]
        after = facts(pieces[0], dialect)
    except FunctionError:
        assume(False)
    assert after["writes"] >= before["writes"]
    for field in FIELDS:
        assert set(after[field]) >= set(before[field])


def _really(text):
    """What SQLite itself says that it would touch."""
    read_, wrote = set(), set()

    def watch(action, first, second, _database, _trigger):
        # A read without a column may be of a WITH of that name.
        if action == sqlite3.SQLITE_READ and second and not first.startswith("sqlite_"):
            read_.add((first.lower(), second.lower()))
        elif action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
            wrote.add(first.lower())
        return sqlite3.SQLITE_OK

    database = sqlite3.connect(":memory:")
    try:
        for table in ("users", "orders", "secrets", "notes"):
            database.execute(f"CREATE TABLE {table} (id, name, password, user_id, total, a, at)")
        database.set_authorizer(watch)
        database.execute("EXPLAIN " + text)
    except (sqlite3.Error, sqlite3.Warning):
        return None
    finally:
        database.close()
    return read_, wrote


PARTS = _pieces(
    "SELECT DELETE FROM users u secrets s orders id name password * WHERE , , ( ) ( ) AS WITH a b UNION ALL JOIN ON = 1 'x' a.id"
    ' IN EXISTS ORDER BY GROUP count(*) max(id) UPDATE SET INSERT INTO VALUES "users" [secrets] `name` u.password'
)
ORDERED = st.one_of(
    st.lists(PARTS, max_size=14).map(" ".join),
    st.builds(
        "WITH {} {} AS (SELECT {} FROM {}) SELECT {} FROM {} {} WHERE {} IN (SELECT {} FROM {})".format,
        st.sampled_from(["", "RECURSIVE"]),
        *[st.sampled_from(["users", "secrets", "x", "id", "name", "*", "password"]) for _ in range(9)],
    ),
)


def _without_schema(names):
    return {one.rpartition(".")[2] for one in names}


def _agrees(text):
    truth = _really(text)
    if truth is None:
        return False
    try:
        found = facts(text, "sqlite")
    except FunctionError:
        return False
    assert {table for table, _ in truth[0]} | truth[1] <= _without_schema(found["tables"]), text
    assert truth[1] <= _without_schema(found["written"]), text
    assert not truth[1] or found["writes"], text
    if "*" not in found["columns"]:
        assert {column for _, column in truth[0] if column} <= set(found["columns"]), text
    return True


@settings(deadline=None)
@given(ORDERED)
def test_sqlite_itself_touches_nothing_that_was_not_told(text):
    _agrees(text)


def test_sqlite_itself_agrees_about_the_corpus():
    cases = [case["sql"] for case in CORPUS["attacks"] + CORPUS["benign"]]
    assert sum(_agrees(text) for text in cases) >= 40


@each(
    ("dialect", "text"),
    [
        ("mysql", "CREATE TABLE t (a INT) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4"),
        ("mysql", "ALTER TABLE t ENGINE=InnoDB"),
        ("mysql", "ALTER TABLE t MODIFY COLUMN a BIGINT"),
        ("postgres", "CREATE UNLOGGED TABLE t (a int) WITH (fillfactor=70)"),
        ("postgres", "ALTER TABLE t DROP COLUMN a, ADD COLUMN b int"),
        ("postgres", "DROP TABLE IF EXISTS t CASCADE"),
        ("sqlite", "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT) STRICT"),
        ("sqlite", "CREATE TABLE t (a INTEGER PRIMARY KEY) WITHOUT ROWID"),
        ("sqlite", "CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT, WITHOUT ROWID;"),
        ("tsql", "CREATE CLUSTERED INDEX i ON t (a)"),
        ("snowflake", "CREATE TRANSIENT TABLE t (a INT) COMMENT='x'"),
    ],
)
def test_what_stays_in_the_tables_that_are_named_is_read(dialect, text):
    assert sql(text, dialect)["written"] == ["t"]


def test_a_dialect_is_prepared_when_a_statement_in_it_is_first_read() -> None:
    _parser.cache_clear()
    _pattern.cache_clear()
    assert sql("SELECT 1", "postgres")["writes"] is False


@each(
    ("dialect", "text", "found"),
    [
        ("postgres", "SELECT repeat('x', 1000), lpad('x', 1000), rpad('x', 3, ',(')", []),
        ("postgres", "SELECT repeat('x', 1001)", ["repeat"]),
        ("postgres", "SELECT repeat('x', 40), repeat('y', 40)", ["repeat"]),
        ("postgres", "SELECT lpad('x', 40), rpad('y', 40)", []),
        ("postgres", "SELECT lpad('x', 2 * 9)", ["lpad"]),
        ("postgres", "SELECT lpad('x', $1)", ["lpad"]),
        ("postgres", "SELECT lpad(length => 9, string => 'x')", ["lpad"]),
        ("postgres", "SELECT rpad(lpad(a, 9), (SELECT 9)) FROM t", ["rpad"]),
        ("postgres", 'SELECT pg_catalog.rpad(a[1], 9), "lpad"(a, 10000) FROM t', ["lpad"]),
        ("postgres", "SELECT 'x'::char(9), 'x'::bit(1000000)", ["bit"]),
        ("postgres", "SELECT format('%s in 2026, %-9s', a, b) FROM t", []),
        ("postgres", "SELECT format('%-1000s', a), format(a) FROM t", ["format"]),
        ("postgres", "SELECT format(VARIADIC a) FROM t", ["format"]),
        ("postgres", "SELECT array_fill(0, ARRAY[9])", ["array_fill"]),
        ("sqlite", "SELECT char(8364), zeroblob(8), printf('%*d', 9, 1)", ["printf"]),
        ("sqlite", "SELECT lower(hex(randomblob(16))), hex(zeroblob(-1))", ["zeroblob"]),
        ("duckdb", "SELECT format('{:9}', a), format('{:9999}', a) FROM t", ["format"]),
        ("mysql", "SELECT format(a, 2), space(9) FROM t", []),
        ("mysql", "SELECT a, space(10000) FROM t", ["space"]),
    ],
)
def test_what_could_build_a_value_of_any_length_is_named(dialect, text, found):
    assert facts(text, dialect)["unbounded"] == found
