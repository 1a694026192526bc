"""Law 11: a reading calls harmless only what it positively knows. What no table has is refused, wherever it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.shell.git import subcommands
from mcpguard.core.functions.shell.programs import known, programs
from mcpguard.core.functions.sql.function import sql
from mcpguard.core.functions.sql.text import LEXIS

PRINTING = {
    *(":", "true", "false", "echo", "printf", "expr", "seq", "yes", "sleep", "clear", "times", "tty"),
    *("arch", "free", "hostid", "logname", "nproc", "uptime", "uuidgen"),
}
"""Programs that print what they are given, or how the machine is, whatever their options are."""
WORDS = st.from_regex(r"zq[a-z]{2,10}", fullmatch=True)
"""Words that no table has."""


def simple(text: str) -> bool:
    try:
        return bool(shell(text)["simple"])
    except FunctionError:
        return False


def reads(text: str, dialect: str) -> bool:
    try:
        return not sql(text, dialect)["writes"]
    except FunctionError:
        return False


@given(WORDS)
def test_a_program_that_is_not_known_is_never_simple(word: str) -> None:
    assert known(word) is None
    for text in (
        word,
        f"{word} -v",
        f"ls | {word}",
        f"env {word} a",
        f"cat $({word})",
        f"time {word}",
        f"ls && ./{word}",
    ):
        assert not simple(text), text


@pytest.mark.uncounted
def test_an_option_that_is_not_known_of_a_program_is_simple_only_where_none_can_do_more_than_print() -> None:
    passed = {
        name
        for name in programs()
        for text in (f"{name} --zq-unknown a", f"{name} --zq-unknown=a", f"{name} a --zq-unknown")
        if simple(text)
    }
    assert passed == PRINTING


def test_a_subcommand_or_option_of_git_that_is_not_known_is_never_simple() -> None:
    assert not simple("git zq-unknown")
    assert [name for name in subcommands() if simple(f"git {name} --zq-unknown")] == []
    assert not simple("git --zq-unknown log")


@given(WORDS)
def test_a_word_of_a_script_that_is_not_known_is_never_simple(word: str) -> None:
    for script in (
        f"{word}(1)",
        f"{{ print {word} }}",
        f"BEGIN {{ {word} = 1; {word}(2) }}",
        f"{word.upper()}[1]",
    ):
        assert not simple(f"awk '{script}' a"), script
    for script in (word, f".a | {word}(1)", f"@{word}", f"${word}", f'"\\({word})"', f"{{a: {word}}}"):
        assert not simple(f"jq '{script}' a"), script
    assert not simple(f"sed '{word}' a")


@given(WORDS)
def test_a_variable_that_is_not_known_is_not_set_for_a_command(word: str) -> None:
    assert not simple(f"{word.upper()}=1 git log")


@pytest.mark.parametrize("dialect", sorted(LEXIS))
@given(WORDS)
def test_a_word_of_sql_that_is_not_known_is_never_only_read(dialect: str, word: str) -> None:
    assert reads("SELECT a FROM t", dialect)
    for text in (
        f"SELECT {word}(a) FROM t",
        f"SELECT a FROM {word}(1)",
        f"{word} TABLE t",
        f"SELECT a FROM t WHERE a {word} b",
        f"SELECT a FROM t; {word}",
        f"SELECT a FROM t {word} UPDATE t",
    ):
        assert not reads(text, dialect), text
    # The type of a cast says no more to SQLite than how to compare.
    assert dialect == "sqlite" or not reads(f"SELECT CAST(a AS {word}) FROM t", dialect)
