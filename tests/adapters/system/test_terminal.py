"""Style is for people at terminals; what others wrote cannot steer one."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from mcpguard.adapters.system.terminal import broken, plain, style, table
from mcpguard.cli import main
from mcpguard.cli.parser import Parser, examples


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def a_colourful_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("name", ["bold", "dim", "red", "green", "yellow"])
def test_a_terminal_gets_style_that_ends_where_the_text_ends(name: str) -> None:
    styled = style("text", name, Terminal())
    assert styled.startswith("\x1b[")
    assert styled.endswith("mtext\x1b[0m")


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert style("text", "red", io.StringIO()) == "text"
    assert style("text", "red") == "text"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert style("text", "red", Terminal()) == "text"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 大小 👍", "größe 大小 👍"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_could_steer_a_terminal_or_hide_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_table_has_aligned_columns_and_no_trailing_blanks() -> None:
    assert table([("a", "bb", ""), ("ccc", "d\x1b", "e")]) == "a    bb\nccc  d\\x1b  e"


def test_examples_keep_their_lines_in_the_help_of_a_verb() -> None:
    parser = Parser(prog="x", epilog=examples("x one", "x two"))
    assert "examples:\n  x one\n  x two\n" in parser.format_help()


def test_an_example_that_is_too_long_goes_on_in_the_next_line_as_a_shell_reads_it() -> None:
    long = f"x --{'a' * 40} --{'b' * 40}"
    assert examples(long) == f"examples:\n  x --{'a' * 40} \\\n      --{'b' * 40}"
    assert examples("a" * 90) == f"examples:\n  {'a' * 90}"
    assert examples("x one      (a note)") == "examples:\n  x one  (a note)"
    assert examples(f"x one      ({'a' * 75})") == f"examples:\n  x one\n      ({'a' * 75})"


def test_options_cannot_be_abbreviated_in_sub_commands_either(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="x")
    sub = parser.add_subparsers().add_parser("y")
    sub.add_argument("--json", action="store_true")
    assert parser.parse_known_args(["y", "--js"])[1] == ["--js"]


def test_a_sentence_is_broken_for_a_terminal_but_never_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    command = "`mcpguard import --set shop.folders=/srv/data/of/a/long/path`"
    first, *rest = broken(f"  note: what needs a folder is refused until you run {command}").splitlines()
    assert first == "  note: what needs a folder is refused"
    assert rest == ["    until you run", f"    {command}"]


def test_a_look_takes_no_room_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = f"{style('to do', 'yellow')}    a {style('b', 'bold')} sentence that is wider than the screen is"
    unstyled = re.sub(r"\x1b\[\d+m", "", text)
    assert "\x1b[33mto do\x1b[0m    a \x1b[1mb\x1b[0m sentence" in broken(text)
    assert re.sub(r"\x1b\[\d+m", "", broken(text)) == broken(unstyled)


def test_a_sentence_for_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert broken("word " * 40) == "word " * 40


def test_a_table_that_is_too_wide_for_its_terminal_goes_on_below_each_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [("ID", "WHO", "WHAT", "WHY"), ("1", "ada", "x" * 20, "a b " * 12), ("22", "", "y", "")]
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    assert table(rows).splitlines() == [
        "ID  WHO  WHAT",
        "    WHY",
        f"1   ada  {'x' * 20}",
        "    a b a b a b a b a b a b a b a b a b",
        "    a b a b a b",
        "22       y",
    ]
    assert table([("x" * 60, "y")]) == f"{'x' * 60}\n    y"


def test_an_error_is_broken_for_a_terminal_and_what_it_quotes_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quoted = "servers: {s: {command: x, args: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, '${keyring:x}']}}"
    (tmp_path / "c.yaml").write_text(f"version: 1\n{quoted}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr", said := Terminal())
    assert main(["run", "--config", "c.yaml"]) == 2
    assert said.getvalue().splitlines()[:4] == [
        "mcpguard: c.yaml:2:77: every process on",
        "  this machine can read an argv: put the",
        "  reference in `env`",
        f"  {quoted}",
    ]
