"""What a URL must have for a part of it to be what a condition wants."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.authoring.asking.names import VOCABULARY
from mcpguard.authoring.asking.needed import DECIDED, clauses, may_match, needed
from mcpguard.authoring.asking.patterns import compiled
from mcpguard.authoring.asking.results import names_in
from mcpguard.core.conditions.cel import TRUE, Bound, ConditionError
from mcpguard.core.conditions.engines import engine_for
from mcpguard.core.functions import FUNCTIONS, FunctionError, apply
from tests.authoring.asking.test_zoned import known
from tests.core.functions.sql.sql_statements import statements

ENGINE = engine_for(VOCABULARY)
HOSTS = [
    *(
        "api.example.com",
        "API.Example.com.",
        "bücher.example",
        "xn--bcher-kva.example",
        "a.bücher.example.org",
    ),
    *("10.0.0.1", "[::ffff:10.0.0.1]", "[2001:DB8::0:1]", "user@evil.example:8080", "localhost"),
]
ENDS = [
    "",
    "/",
    "/admin",
    "/%61dmin/x",
    "/ad%6Din?q=a%62c",
    "/a?tok%65n=1#top",
    "/é/admin",
    "/a{b}?x=100%#%74op",
]
URLS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["https", "HTTPS", "http", "ftp"]),
    st.sampled_from(HOSTS),
    st.sampled_from(ENDS),
)
READ = [
    *(
        "api.example.com",
        ".example.com",
        "example.com",
        "api.",
        "xn--bcher-kva.example",
        "bcher",
        ".example.",
        "10.0.",
    ),
    *(
        "evil.example",
        "10.0.0.1",
        "https",
        "ftp",
        "/admin",
        "/admin/x",
        "/ad",
        "admin",
        "q=abc",
        "token=1",
        "top",
        "/",
    ),
    *(
        "%7Bb",
        "7Bb",
        "A9/ad",
        "ucher",
        "EVIL.example",
        "2001:db8::1",
        "localhost",
        "LOCALHOST",
        "a.xn--",
        ".example.org",
        "/%C3%A9/admin",
        "a" * 40,
        "",
    ),
]
PARTS = st.sampled_from(["scheme", "host", "path", "query", "fragment", "port"])
WANTED = st.sampled_from(READ).map(json.dumps)
PATTERNS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "^", "(?i)", "(^|[.])", "(?i)^"]),
    st.sampled_from(READ).map(lambda one: one.replace(".", "[.]").replace("{", r"\{")),
    st.sampled_from(["", "", "$", ".*", "+", "|/a", "(/|$)"]),
    st.sampled_from(["", "", "x"]),
).map(json.dumps)
TEXTS = st.one_of(
    st.builds("url(args.u).{}.matches({})".format, PARTS, PATTERNS),
    st.builds('url(args.u, ["https", "http", "ftp"]).{} == {}'.format, PARTS, WANTED),
    st.builds("url(args.u).{} in [{}, {}]".format, PARTS, WANTED, WANTED),
    st.builds(
        "url(args.u).{}.{}({})".format, PARTS, st.sampled_from(["startsWith", "endsWith", "contains"]), WANTED
    ),
    st.builds("args.l.exists(u, {} == url(u).{})".format, WANTED, PARTS),
)


@settings(max_examples=80)
@given(urls=st.lists(URLS, min_size=1, max_size=3), text=TEXTS)
def test_no_call_with_such_a_url_is_left_out(urls: list[str], text: str) -> None:
    rows = [{"u": one, "l": urls} for one in urls]
    try:
        condition = ENGINE.compile(text)
    except ConditionError:
        return
    needs = needed(text, DECIDED)
    for row in rows:
        if condition.verdict(Bound({"args": row})) is TRUE:
            assert may_match(needs, known(*rows))
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
            assert all(compiled(some).search(line) for some in clauses(needs)), needs


@given(
    path=st.text("/admin%61é-_x", min_size=1, max_size=12),
    wanted=st.text("/admin-_x", min_size=2, max_size=5),
)
def test_nor_is_one_with_escapes_anywhere(path: str, wanted: str) -> None:
    for url in (
        f"https://h.example/{path}",
        f"https://h.example/{''.join(quote(one, '') if one == 'a' else one for one in path)}",
    ):
        text = f'url(args.u).path.contains("{wanted}")'
        if ENGINE.compile(text).verdict(Bound({"args": {"u": url}})) is TRUE:
            assert may_match(needed(text, DECIDED), known({"u": url}))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('url(args.u).host == "evil.example"', False),
        ('url(args.u).host == "API.example.com"', True),
        ('url(args.u).host == "api.example.com"', True),
        ('url(args.u).host in ["evil.example", "other.example"]', False),
        ('url(args.u).host.endsWith(".evil.example")', False),
        ('url(args.u).host.startsWith("files.example.")', False),
        ('url(args.u).host.contains("evil")', True),
        ('url(args.u).host.endsWith("evil")', True),
        ('url(args.u).host == "xn--bcher-kva.example"', True),
        ('url(args.u).host == "10.0.0.1"', True),
        ('url(args.u, ["ftp"]).scheme == "ftp"', False),
        ('url(args.u).scheme.startsWith("ftp")', True),
        ('url(args.u).path.startsWith("/admin")', False),
        ('url(args.u).path.contains("/é")', True),
        ('url(args.u).query == "page=2"', True),
        ("url(args.u).port == 8443", True),
        (r'url(args.u).host.matches("[.]evil[.]example[.]")', False),
        (r'url(args.u).host.matches("(?i)[.]EVIL\\.example\\.")', False),
        ('url(args.u).host.matches("^evil")', True),
        ('url(args.u).path.matches("/(users|admin)/")', True),
        ('url(args.u).path.matches("/users|/admin")', False),
        ('url(args.u).path.matches("(?i)/USERS")', False),
        ('url(args.u).path.matches("(?i)/V1")', True),
        ('url(args.u).path.matches("/v1(?i)")', True),
        ('url(args.u).path.contains("7Bb")', True),
        ('url(args.u).path.contains("7Bbsolute")', False),
        ('url(subject).host == "evil.example"', True),
        ("url(args.u).host == args.v", True),
        ('json(args.u).host == "evil.example"', True),
    ],
)
def test_passages_without_it_are_left_out(text: str, left: bool) -> None:
    passage = known({"u": "https://api.example.com/v1/items?page=2", "v": 1}, subjects=("x",))
    assert may_match(needed(text, DECIDED), passage) is left


@pytest.mark.parametrize("how", ['contains("evil")', 'endsWith("evil.example")', 'matches("^evil-?[.]ex")'])
@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://evil.example/", True),
        ("https://EVIL.example/", True),
        ("https://a.xn--evil-9ua.example/", True),
        ("https://évil.example/", True),
        ("https://api.example.com/v1", False),
    ],
)
def test_lines_without_a_part_of_a_name_are_left_out(how: str, url: str, left: bool) -> None:
    line = json.dumps({"u": url}, ensure_ascii=False, separators=(",", ":")).encode()
    needs = clauses(needed(f"url(args.u).host.{how}", DECIDED))
    assert all(compiled(some).search(line) for some in needs) is left


@pytest.mark.uncounted
@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
def test_a_statement_has_the_names_of_its_tables(dialect: str) -> None:
    found = 0
    read = FUNCTIONS["sql"]
    for text in [*statements(dialect, 7, 150), 'SELECT * FROM "Users" u JOIN Shop . ITEMS i', "TABLE users"]:
        try:
            tables = apply(read, (text, dialect))["tables"]
        except FunctionError:
            continue
        for table in tables:
            wanted = f'"{table}" in sql(args.q, "{dialect}").tables' if '"' not in table else "true"
            needs = needed(wanted, DECIDED)
            line = json.dumps({"q": text}).encode()
            assert may_match(needs, known({"q": text})), (text, table)
            assert all(compiled(some).search(line) for some in clauses(needs)), (text, table)
            found += bool(names_in(table))
    assert found > 40


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('"orders" in sql(args.q, "postgres").tables', False),
        ('"shop.items" in sql(args.q, "sqlite").written', False),
        ('"USERS" in sql(args.q, "postgres").tables', True),
        ('"orders" in sql(args.q, "bigquery").tables', True),
        ('"orders" in sql(args.q, args.dialect).tables', True),
        ('"orders" in sql(subject, "postgres").tables', True),
        ('"or ders" in sql(args.q, "postgres").tables', True),
        ('args.name in sql(args.q, "postgres").tables', True),
        ('"orders" in sql(args.q, "postgres").columns', True),
    ],
)
def test_passages_without_a_table_are_left_out(text: str, left: bool) -> None:
    passage = known({"q": "SELECT * FROM users", "name": "x", "dialect": "y"}, subjects=("x",))
    assert may_match(needed(text, DECIDED), passage) is left
