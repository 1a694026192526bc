from __future__ import annotations

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
from mcpguard.core.functions.sql.function import SQL, sql
from mcpguard.core.functions.sql.text import LEXIS, TEXT_LIMIT, TOKEN_LIMIT, read

CORPUS = yaml.safe_load((Path(__file__).parent / "corpus" / "sql.yaml").read_text())
FIELDS = ("tables", "written", "columns", "functions", "kinds")
DIALECTS = st.sampled_from(sorted(LEXIS))


def name(case: dict[str, str]) -> str:
    return f"{case['dialect']}: {case['sql'][:50]}".encode("unicode_escape").decode()


def passes(case: dict[str, str]) -> bool:
    call = f'sql(args.q, "{case["dialect"]}").'
    guard = re.sub(r"\bs\.", call, CORPUS["guards"][case["guard"]])
    return engine().compile(guard).verdict(Bound({"args": {"q": case["sql"]}})) is TRUE


def facts(text: str, dialect: str = "postgres") -> dict:
    return sql(text, dialect)


def refusal(text: str, dialect: str = "postgres") -> str:
    with pytest.raises(FunctionError) as caught:
        sql(text, dialect)
    return str(caught.value)


@pytest.mark.parametrize("case", CORPUS["attacks"], ids=name)
def test_an_attack_does_not_pass_its_guard(case):
    assert not passes(case), case["why"]


@pytest.mark.parametrize("case", CORPUS["benign"], ids=name)
def test_everyday_use_passes_its_guard(case):
    assert passes(case)


def test_the_corpus_is_large_enough():
    assert len(CORPUS["attacks"]) >= 60
    assert len(CORPUS["benign"]) >= 25


def test_all_fields_are_always_there():
    for text in ("SELECT 1", "SET a = 1", "DROP TABLE x", "EXPLAIN SELECT 1"):
        assert sorted(facts(text)) == sorted(SQL.fields)


ANSWERS = [
    ("postgres", "SELECT 1; SELECT 2 LIMIT 5", "limit", -1),
    ("postgres", "SELECT 1 LIMIT 3; SELECT 2 LIMIT 5", "limit", 5),
    ("postgres", "(SELECT 1 LIMIT 3)", "limit", 3),
    ("postgres", "SELECT 1 LIMIT 3 + 1", "limit", -1),
    ("postgres", "SELECT 1 LIMIT ALL", "limit", -1),
    ("postgres", "SELECT 1 FETCH FIRST 5 ROWS ONLY", "limit", 5),
    ("postgres", "SELECT 1 FETCH FIRST 5 ROWS WITH TIES", "limit", -1),
    ("postgres", "SELECT 1 FETCH FIRST ROW ONLY", "limit", -1),
    ("tsql", "SELECT TOP 5 PERCENT a FROM t", "limit", -1),
    ("tsql", "SELECT TOP 5 a FROM t", "limit", 5),
    ("mysql", "SELECT a FROM t LIMIT 5, 10", "limit", 10),
    ("sqlite", "SELECT a FROM t LIMIT -1", "limit", -1),
    ("postgres", "SET a = 1", "limit", -1),
    ("postgres", "INSERT INTO t VALUES (1)", "columns", ["*"]),
    ("postgres", "CREATE TABLE t (a int, b text)", "columns", ["a", "b"]),
    ("postgres", "CREATE TABLE t AS SELECT a FROM u", "written", ["t"]),
    ("postgres", "CREATE INDEX i ON t (a)", "functions", []),
    ("postgres", "CREATE INDEX i ON t (a)", "written", ["t"]),
    ("postgres", "SELECT a INTO t FROM u", "written", ["t"]),
    ("postgres", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "written", ["t"]),
    ("postgres", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", "filtered", True),
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
    ("postgres", "DELETE FROM t WHERE NOT (a = 1)", "filtered", True),
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
    ("postgres", "SELECT a AS b FROM t ORDER BY t.b", "columns", ["a", "b"]),
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
    ("postgres", "SELECT t.current_user FROM t", "functions", []),
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
    ("postgres", "EXPLAIN (ANALYZE) SELECT 1", "writes", True),
    ("postgres", "EXPLAIN ANALYZE SELECT 1", "writes", True),
    ("postgres", "BEGIN", "kinds", ["transaction"]),
    ("postgres", "ROLLBACK TO SAVEPOINT a", "writes", True),
    ("postgres", "SET search_path = x", "kinds", ["set"]),
    ("postgres", "SHOW search_path", "writes", False),
    ("mysql", "SHOW TABLES LIKE 'a%'", "kinds", ["show"]),
    ("mysql", "SHOW FULL COLUMNS FROM a.`B`", "tables", ["a.b"]),
    ("mysql", "SHOW CREATE TABLE secrets", "tables", ["secrets"]),
    ("sqlite", "PRAGMA main.table_info('Users')", "tables", ["users"]),
    ("sqlite", "PRAGMA table_info(users)", "writes", False),
    ("sqlite", "PRAGMA user_version", "writes", False),
    ("sqlite", "PRAGMA user_version(5)", "writes", True),
    ("sqlite", "PRAGMA optimize", "writes", True),
    ("mysql", "USE shop", "kinds", ["use"]),
    ("sqlite", "VALUES (1)", "kinds", ["select"]),
    ("sqlite", "VALUES (1)", "columns", []),
    ("postgres", "SELECT a FROM t; ;", "statements", 1),
    ("duckdb", "SELECT * FROM 'a.csv'", "writes", True),
    ("postgres", "SELECT count(*) FROM t", "columns", []),
    ("postgres", "SELECT sum(x) FROM (SELECT * FROM t) y", "columns", ["*", "x"]),
]


@pytest.mark.parametrize(("dialect", "text", "field", "expected"), ANSWERS)
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
    ("postgres", 'SELECT U&"a" FROM t', "Unicode escapes"),
    ("postgres", "SELECT ''; SELECT '\x07'", "control characters"),
    ("postgres", "SELECT 1\r", "carriage return"),
    ("postgres", 'SELECT "a\u200bb" FROM t', "invisible"),
    ("mysql", "SELECT `ä` FROM t", "letter in a name"),
    ("postgres", "EXPLAIN", "cannot parse"),
    ("bigquery", "DELETE 0", "cannot determine what this statement changes"),
    ("postgres", "SELECT FROM WHERE", "cannot parse"),
    ("sqlite", "x'1f'[w]x", "disagree about where"),
    ("postgres", "VACUUM t", "effects are not visible"),
    ("postgres", "1 + 1", "effects are not visible"),
    ("postgres", "DROP FUNCTION f", "effects are not visible"),
    ("postgres", "BEGIN ATOMIC", "transaction"),
    ("mysql", "SET @a = f(1)", "computes"),
    ("sqlite", "SHOW x", "SHOW of PostgreSQL"),
    ("mysql", "SHOW GRANTS FOR bob", "what this SHOW shows"),
    ("mysql", "SHOW COLUMNS FROM a FROM b", "what this SHOW shows"),
    ("postgres", "PRAGMA x", "PRAGMA of SQLite"),
    ("sqlite", "PRAGMA", "without a name"),
    ("tsql", "SELECT a FROM @t", "not given by name"),
    ("bigquery", "SELECT a FROM `b.c*`", "pattern"),
    ("tsql", "SELECT a FROM t SHUTDOWN", "begin another statement"),
    ("postgres", "SELECT dblink('x')", "runs a text"),
]


@pytest.mark.parametrize(("dialect", "text", "reason"), REFUSED)
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


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=25).map(" ".join)), DIALECTS)
def test_any_text_has_an_answer_or_a_refusal(text, dialect):
    try:
        found = apply(SQL, (text, dialect))
    except FunctionError:
        return
    assert sorted(found) == sorted(SQL.fields)


CASES = st.sampled_from(CORPUS["attacks"] + CORPUS["benign"])
GAPS = st.sampled_from([" ", "\n", "\t", " /* x */ ", "\r\n", " -- x\n", " /* ' */ ", " -- \"'\n", "/**/"])


@settings(max_examples=200, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=200, deadline=None)
@given(ORDERED)
def test_sqlite_itself_touches_nothing_that_was_not_told(text):
    _agrees(text)


def test_sqlite_itself_agrees_about_the_corpus():
    cases = [case["sql"] for case in CORPUS["attacks"] + CORPUS["benign"]]
    assert sum(_agrees(text) for text in cases) >= 40
