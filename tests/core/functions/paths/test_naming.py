"""Names of files say what they say in every reading of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.naming import (
    GLOBS,
    OBEYED,
    OBEYED_KINDS,
    PLAIN,
    SECRET_KINDS,
    SECRETS,
    FileKind,
    KindFinder,
)
from tests.rows import each

TABLES = ((SECRETS, SECRET_KINDS), (OBEYED, OBEYED_KINDS))
HITS = [(table, path) for table, kinds in TABLES for kind in kinds for path in kind.hits]
MISSES = [(table, path) for table, kinds in TABLES for kind in kinds for path in kind.misses]


def says(table: KindFinder, path: str, *, whole: bool = False) -> bool | None:
    """The answer, None for none."""
    try:
        return table.finds(path, whole=whole)
    except FunctionError:
        return None


def of(path: object) -> str:
    return path if isinstance(path, str) else ""


@each(("table", "path"), HITS, ids=of)
def test_a_kind_is_found_in_each_of_its_examples(table: KindFinder, path: str) -> None:
    assert says(table, path) is True
    assert says(table, f"/srv/x/{path}/.") is True
    assert says(table, path.upper()) is True


@each(("table", "path"), MISSES, ids=of)
def test_what_only_looks_alike_is_not_found(table: KindFinder, path: str) -> None:
    assert says(table, path) is False


@each("kind", [*SECRET_KINDS, *OBEYED_KINDS], ids=lambda kind: kind.what)
def test_a_kind_says_why_and_has_names_that_can_be_found(kind: FileKind) -> None:
    assert kind.why
    assert len(kind.hits) >= 2
    assert len(kind.misses) >= 2
    globs = [*kind.names.split(), *kind.but.split()]
    assert globs == [glob.lower().strip("/") for glob in globs]
    assert len(set(globs)) == len(globs)
    alone = KindFinder("x", [FileKind(kind.what, kind.why, kind.names, (), (), kind.but)])
    assert all(says(alone, path) for path in kind.hits)


@each(
    "path",
    [
        ".env",
        "./.ENV",
        "a/.env/",
        "a\\.env",
        ".env. ",
        ".env::$DATA",
        ".env:x",
        "%2eenv",
        "%252eenv",
        ".e\u200bnv",
        "\uff0eenv",
        ".env.bak",
        ".env~",
        "#.env#",
        ".#prod.env",
        ".prod.env.swp",
        "prod.env (copy)",
        '"/srv/server.pem"',
        "'.npmrc'",
        "HEAD~2:.npmrc",
        "host:/home/ada/.netrc",
        ":0:auth.json",
        "prod.env.2026-11-27",
        "server.pem;x",
        "server.pem?raw",
        "etc/x/../shadow",
        "etc/../shadow",
        "/etc//./shadow",
        ".env.example/.env",
        "${HOME}/.env",
        "a.py/.env",
    ],
)
def test_a_way_of_writing_hides_nothing(path: str) -> None:
    assert says(SECRETS, path) is True


@each(
    "path",
    ["*", ".e*", ".e?v", "[.]env", ".en[!x]", "{a,.env}", "{b,{d,.ssh}}/x", ".{d..f}nv", "key{3..4}.db", "key{03..04}.db", "*.pem", "@(.env)", "+(x)",
     "$X", "${X}/y", "`x`", "$(x)", "%X%", "s*.json", "**/x", "wp-config.[p]hp", "*.php"],
)  # fmt: skip
def test_a_pattern_that_could_be_such_a_name_has_no_answer(path: str) -> None:
    assert says(SECRETS, path) is not False


@each(
    "path",
    ["*.py", "src/**/*.ts", "src/[id]/page.tsx", "[...slug].tsx", "test_*.go", "{a,b}.md", "{{name}}/b.c", "$id.tsx",
     "100%.txt", "a$", "file[1].csv", "R&D (1)/notes.txt", "C#/a #1.md", "build-?.log", "[", "{a", "(a)/page.css",
     "routes/$id.edit.ts", "api/{1..3}", "a{3..1}.csv", "a{01..10}.py"],
)  # fmt: skip
def test_an_ordinary_pattern_is_read(path: str) -> None:
    assert says(SECRETS, path) is False


def test_a_path_has_bounds() -> None:
    assert says(SECRETS, "") is None
    assert says(SECRETS, "a" * 4097) is None
    assert says(SECRETS, "é" * 128) is None
    assert says(SECRETS, "a" * 255) is False
    assert says(SECRETS, "a\0") is None
    assert says(SECRETS, "?" + "a" * GLOBS) is None
    assert says(SECRETS, "q?/" * (GLOBS + 1)) is None
    assert says(SECRETS, "{a,b}" * 7) is None
    assert says(SECRETS, "a/{1..99}") is None
    assert says(SECRETS, "..") is False
    assert says(SECRETS, "%2525252541") is None
    assert says(SECRETS, "server.pem" + "~" * 7) is True
    assert says(SECRETS, "a" + "~" * 20) is False


def test_without_plain_endings_every_name_counts() -> None:
    every = KindFinder("x", [FileKind("", "", "*secret*", (), ())])
    assert says(every, "secret.py") is True
    assert says(every, "*.py") is None
    assert says(every, "a") is False
    assert ".py" in PLAIN


def test_what_copies_add_to_a_glob_is_no_part_of_the_name() -> None:
    table = KindFinder("x", [FileKind("", "", "*ab", (), ())])
    assert says(table, "2ab2") is True
    assert says(table, "2*2") is None
    assert says(table, "2*.bak~") is None
    assert says(table, "2*c") is False


@given(
    st.text(alphabet="ab.*?[]{},$/%2e()@ \\", max_size=12), st.sampled_from(["a", "b", ".", "ab", "", "2e"])
)
def test_no_text_in_place_of_a_star_turns_no_into_yes(text: str, other: str) -> None:
    table = KindFinder("x", [FileKind("", "", "a.b* *ab b/a a?", (), ())])
    if says(table, text) is False:
        assert says(table, text.replace("*", other)) is not True or "*" not in text


def test_a_source_file_is_found_by_names_without_a_star_alone() -> None:
    table = KindFinder("x", [FileKind("", "", "secrets.py *secret*", (), ())], (".py",))
    assert says(table, "a/secrets.py") is True
    assert says(table, "a/my_secret.py") is False
    assert says(table, "a/my_secret.txt") is True


def test_a_glob_within_an_escape_has_no_answer() -> None:
    assert says(KindFinder("x", [FileKind("", "", "a.b", (), ())]), "a%*e") is None


@each(
    ("table", "folder"),
    [
        (SECRETS, ".docker/"),
        (SECRETS, "deploy/secrets/"),
        (SECRETS, "a/.config/./"),
        (SECRETS, ".DOCKER\\"),
        (OBEYED, ".venv/"),
        (OBEYED, "web/venv//"),
    ],
    ids=of,
)
def test_a_folder_is_found_by_the_files_that_it_is_known_to_hold(table: KindFinder, folder: str) -> None:
    assert says(table, folder, whole=True) is True
    assert says(table, folder) is False
    assert says(table, f"{folder}/readme.md", whole=True) is False


@each(
    ("table", "folder"),
    [(SECRETS, "src/"), (SECRETS, "terraform/aws"), (OBEYED, "src/hooks"), (OBEYED, "/"), (SECRETS, "x*.py")],
    ids=of,
)
def test_a_folder_whose_name_mostly_means_something_else_is_not(table: KindFinder, folder: str) -> None:
    assert says(table, folder, whole=True) is False


def test_a_path_is_taken_for_nothing_that_is_not_listed() -> None:
    assert SECRETS.of([".docker", "secrets"], "folder") is True
    assert SECRETS.of(".docker", "file") is False
    with pytest.raises(FunctionError):
        SECRETS.of(".docker", "tree")
