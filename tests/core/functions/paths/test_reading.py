"""Paths have one reading or none, and a folder holds what is in it."""

from __future__ import annotations

from posixpath import normpath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.conditions.cel import ConditionError
from mcpguard.core.conditions.engines import engine
from mcpguard.core.functions.paths.reading import LIMIT, LONGEST
from tests.core.functions.web.test_urls import message, says
from tests.rows import each


@each(
    ("path", "folders", "answer"),
    [
        ("/a", "/", True),
        ("/", "/", True),
        ("/a/b", ["/x", "/a"], True),
        ("/a/b", [], False),
        ("/a/b/", "/a/b//", True),
        ("a/./b", "./a", True),
        ("b", "a", False),
        (".", ".", True),
        ("a/..", ".", True),
        ("a/b", "/a", None),
        ("/a/b", "a", None),
        ("/a/b", ["/a", "a"], None),
        ("/a/b", "/a/../a", None),
        ("/a/b", "", None),
        ("/a/b", "~", None),
        ("c:x", ".", None),
        ("host:x/y", ".", None),
        ("a/c:x", "a", True),
        ("/Straße/x", "/strasse", None),
        ("/a/ﬁ", "/a", None),
        ("/proc/cpuinfo", "/proc", True),
        ("/dev/null", "/dev", True),
        ("/PROC/self", "/", None),
        ("/a/\ud800", "/a", None),
        ("/a/\u115f", "/a", None),
        ("/a/\u2e33", "/a", None),
    ],
)
def test_a_folder_holds_what_is_below_it(path: str, folders: Any, answer: bool | None) -> None:
    assert says("pathWithin", path, folders) is answer


def test_a_path_is_as_long_as_the_kernel_allows() -> None:
    assert says("pathWithin", "/a/" + "b" * LONGEST, "/a") is True
    assert "255" in message("pathWithin", "/a/" + "b" * (LONGEST + 1), "/a")
    assert "255" in message("pathWithin", "/a/" + "é" * 128, "/a")
    assert "4,096" in message("pathWithin", "/a" * LIMIT, "/a")
    assert "4,096" in message("pathWithin", "/é/" * 1100, "/a")


def test_a_refusal_never_quotes_the_argument() -> None:
    for path in ("~s3cret", "/s3cret\0", "s3cret:/x", "/x/s3cret ", "/x/s3cret/{a,b}", "/S3CRET"):
        assert "s3cret" not in message("pathWithin", path, "/s3cret").lower()


PIECES = st.sampled_from(
    [
        "/",
        "//",
        ".",
        "..",
        "/../",
        "srv",
        "data",
        "/srv/data",
        "a",
        "b",
        "~",
        "%2e",
        "\\",
        " ",
        "A",
        "é",
        "{",
        "[",
    ]
)
PATHS = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=12).map("".join))


@given(PATHS, PATHS)
def test_no_text_makes_anything_but_an_answer_or_a_refusal(path: str, folder: str) -> None:
    assert says("pathWithin", path, folder) in (True, False, None)
    assert says("pathWithin", "/srv/data/" + path, ["/srv/data", folder]) in (True, False, None)


@given(PATHS)
def test_the_standard_library_finds_the_same_place(path: str) -> None:
    for one in (path, "/srv/data/" + path):
        answer = says("pathWithin", one, "/srv/data")
        if answer is not None:
            assert answer == (normpath(one) + "/").startswith("/srv/data/")


DISGUISES = [
    lambda path: path.replace("/", "//").removeprefix("/"),
    lambda path: path.replace("/", "/./"),
    lambda path: path.replace("/", "/x/../"),
    lambda path: path.replace("..", "%2e%2e"),
    lambda path: path.replace("..", "\uff0e\uff0e"),
    lambda path: path.replace("..", ".\u200b."),
    lambda path: path.replace("/", "\\"),
    lambda path: path.replace("/..", "\u2215.."),
    lambda path: path.swapcase(),
    lambda path: path + "/",
    lambda path: path + " ",
    lambda path: "file://" + path,
    lambda path: path.replace("..", "[.]."),
    lambda path: path.replace("..", "{..,x}"),
]


@given(
    st.sampled_from(
        ["/srv/data/../secret", "/srv/data/a/../../secret", "/etc/passwd", "/srv/database", "/srv"]
    ),
    st.lists(st.sampled_from(DISGUISES), max_size=3),
)
def test_no_disguise_brings_a_path_into_a_folder(path: str, disguises: list[Any]) -> None:
    assert says("pathWithin", path, "/srv/data") is False
    for disguise in disguises:
        path = disguise(path)
    assert says("pathWithin", path, "/srv/data") is not True


@given(
    st.sampled_from(["/srv/data/x", "/srv/data", "/srv/data/a/../b"]),
    st.lists(st.sampled_from(DISGUISES), max_size=3),
)
def test_no_disguise_takes_a_path_out_of_a_folder(path: str, disguises: list[Any]) -> None:
    """A deny rule asks the other way round: `false` would let the call pass."""
    for disguise in disguises:
        path = disguise(path)
    assert says("pathWithin", path, "/srv/data") is not False


@each(
    ("path", "folders", "base", "answer"),
    [
        ("a/b", "/srv/data", "/srv/data", True),
        (".", "/srv/data", "/srv/data/", True),
        ("data/a", ["/etc", "/srv/data"], "/srv", True),
        ("../data/a", "/srv/data", "/srv/x", True),
        ("../a", "/srv/data", "/srv/data", False),
        ("../../../../etc/passwd", "/srv/data", "/srv/data", False),
        ("/etc/passwd", "/srv/data", "/srv/data", False),
        ("/srv/data/a", "data", "/srv", True),
        ("a", ".", "/srv", True),
        (["a", "/srv/data/b"], "/srv/data", "/srv/data", True),
        (["a", "../b"], "/srv/data", "/srv/data", None),
        ("../proc/self/root", "/", "/srv", None),
        ("a", "/srv/data", "data", None),
        ("a", "/srv/data", "/srv/x/../data", None),
        ("a", "/srv/data", "~", None),
        ("a", "/srv/data", None, None),
        ("~/a", "/srv/data", "/srv/data", None),
    ],
)
def test_a_relative_path_starts_in_the_folder_that_is_stated(
    path: Any, folders: Any, base: Any, answer: bool | None
) -> None:
    assert says("pathWithin", path, folders, *([] if base is None else [base])) is answer


def test_a_refusal_says_how_relative_paths_are_compared() -> None:
    assert "third argument" in message("pathWithin", "a", "/srv")
    assert "write out the folder" in message("pathWithin", "~/a", "/srv")


@each(
    ("condition", "why"),
    [
        ('pathWithin(args.path, "~/x")', "`~` is not expanded: write out the folder"),
        ('pathWithin(args.path, ["/srv", "~root"])', "`~root`"),
        ('pathWithin(args.path, "$HOME/x")', "`\\$HOME/x`"),
        ('pathWithin(args.path, "/srv/../x")', "without `..`"),
        ('pathWithin(args.path, "/srv/*")', "`\\*`"),
        ('pathWithin(args.path, "")', "empty"),
        ('pathWithin(args.path, "/srv", "data")', "must be absolute"),
        ('pathWithin(args.path, "/srv", "~")', "must be absolute"),
    ],
)
def test_a_folder_that_holds_nothing_is_known_when_a_policy_is_loaded(condition: str, why: str) -> None:
    with pytest.raises(ConditionError, match=why):
        engine().compile(condition)


@each(
    "path",
    [
        *(
            "/srv/[d]ata/x",
            "/srv/(data)/x",
            "/srv/{data}",
            "/srv/data#x",
            "/srv/data;x/y",
            "/srv/DATA",
            "/srv/data x",
        ),
        *("/srv/data,x", "/srv/da[t]a", "/srv/[x]", "/[a]/[b]/c"),
    ],
)
def test_what_could_be_in_a_folder_is_neither_in_it_nor_out_of_it(path: str) -> None:
    """For a rule that refuses what is in a folder, `false` would let the call pass."""
    assert says("pathWithin", path, "/srv/data") is None
    assert says("pathWithin", path, "/srv/other/folder") in (False, None)


@each("path", ["/srv/[x]/y", "/srv/x#data/y", "/srv/(x)", "/srv/data2", "/srv"])
def test_brackets_matter_only_where_the_answer_depends_on_them(path: str) -> None:
    assert says("pathWithin", path, "/etc") is False
    assert says("pathWithin", path, "/srv") is True


@each(
    ("path", "answer"),
    [
        ("users.$id.tsx", True),
        ("routes/$.tsx", True),
        ('it\'s/a "b"/wow!.txt', True),
        ("../it's.txt", False),
        ("/etc/it's", False),
        *(
            (path, None)
            for path in ("$HOME/x", "'/etc/x'", '"x', "x'", "${x}", "a/$(x)", "a/`x`", "a/*", "a/..$x")
        ),
        *(
            (path, None)
            for path in ("'..'", "a/'..'/b", '..""', "a/.$x./b", "a/$x/../b", "a/b!/../c", "a\\b", "$")
        ),
        ("/srv/data$x", None),
    ],
)
def test_without_a_shell_signs_of_shells_are_parts_of_a_name(path: str, answer: bool | None) -> None:
    assert says("pathWithin", path, "/srv/data", "/srv/data", "literal") is answer
    assert says("pathWithin", path, "/srv/data", "/srv/data") is None


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@each(
    ("path", "answer"),
    [
        *(
            ("what now?.md", True),
            ("a|b <c> ^d", True),
            ("Screenshot at 10.00\u202fAM.png", True),
            ("a\xa0b", True),
        ),
        *(
            ("cafe\u0301/x", True),
            ("caf\xe9/cafe\u0301", True),
            (f"{FAMILY}.png", True),
            ("\u2764\ufe0f.md", True),
        ),
        *(("/etc/what now?", False), ("/etc/cafe\u0301", False), ("../a\u202fb", False)),
        # What trims, expands or leaves out what is not seen may read these as another path.
        *(
            (path, None)
            for path in ("..\u202f/x", "\xa0..", ".\u200d./x", f"{FAMILY}../..", "a?/../b", "a|/../b")
        ),
        *(
            (path, None)
            for path in (".?/x", "??", "?", "a\u200db", "\u200d", "\ufe0f", "a\ufe0f", "x\u2003y")
        ),
        *((path, None) for path in ("\ufb01", "\u212a", "\uff0e\uff0e/x", "\u2024\u2024", "a\\b", "a*")),
        *((path, None) for path in ("/srv/d?ta/x", "/srv/data\u202fx", "/srv/data|x", "/s?v/data/x")),
    ],
)
def test_without_a_shell_a_name_may_have_what_file_systems_store(path: str, answer: bool | None) -> None:
    assert says("pathWithin", path, "/srv/data", "/srv/data", "literal") is answer
    assert says("pathWithin", path, "/srv/data", "/srv/data") is None


def test_how_letters_are_composed_decides_nothing() -> None:
    for path in ("/srv/cafe\u0301/x", "/srv/CAFE\u0301/x", "/srv/caf\xc9/x"):
        assert says("pathWithin", path, "/srv/caf\xe9", "/", "literal") is None
    assert says("pathWithin", "/srv/caf\xe9/cafe\u0301", "/srv/caf\xe9", "/", "literal") is True


def test_a_spelling_that_does_not_exist_is_refused() -> None:
    assert "spelling" in message("pathWithin", "a", "/srv", "/srv", "shell")
    assert "spelling" in message("secretName", "a", "file", "shell")
    with pytest.raises(ConditionError, match="spelling"):
        engine().compile('obeyedFile(args.path, "file", "shell")')
