"""The `mcpguard` command itself: its help, its exit codes, and what it leaves unimported."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from mcpguard import __version__
from mcpguard.cli import VERBS, main
from mcpguard.core.errors import AuditError, ConfigError, Problem
from tests.rows import each

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Puts a module in place of the verb `check`, whose `execute` is the given function."""

    def install(body: Callable[[], int]) -> None:
        module = types.ModuleType("mcpguard.cli.authoring.check")
        module.EXAMPLES = ("mcpguard check",)  # type: ignore[attr-defined]
        module.add_arguments = lambda parser: None  # type: ignore[attr-defined]
        module.execute = lambda args: body()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "mcpguard.cli.authoring.check", module)

    return install


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_the_help_lists_each_verb_with_one_line_and_examples(word: str, capsys: Capture) -> None:
    assert main([word]) == 0
    said = capsys.readouterr().out
    for name, (_, what) in VERBS.items():
        assert any(line.split(maxsplit=1) == [name, what] for line in said.splitlines())
    assert "examples:\n  mcpguard demo\n" in said
    assert max(map(len, said.splitlines())) <= 80


def test_without_a_verb_the_help_is_an_error(capsys: Capture) -> None:
    assert main([]) == 2
    assert "usage: mcpguard VERB" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version(word: str, capsys: Capture) -> None:
    assert main([word]) == 0
    assert capsys.readouterr().out == f"mcpguard {__version__}\n"


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_explains_itself_with_examples(
    name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: mcpguard {name} ")
    assert f"examples:\n  mcpguard {name}" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_the_usage_of_wrap_can_be_typed(capsys: Capture) -> None:
    assert main(["wrap", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()[:2]
    options = "[-h] [--env NAME] [--cwd FOLDER] [--log-format {text,json}]"
    usage = f"usage: mcpguard wrap {options} -- COMMAND [ARGUMENT ...]"
    assert " ".join(" ".join(lines).split()) == usage
    assert max(map(len, lines)) < 80


def test_an_unknown_verb_gets_the_nearest_one(capsys: Capture) -> None:
    assert main(["audti"]) == 2
    assert capsys.readouterr().err == "mcpguard: unknown verb 'audti': did you mean `mcpguard audit`?\n"
    assert main(["\x1b[2Jzzz"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: unknown verb '\\\\x1b[2Jzzz': `mcpguard --help` lists the verbs\n"
    )


def test_a_verb_decides_the_exit_code(verb: Callable[[Callable[[], int]], None]) -> None:
    verb(lambda: 1)
    assert main(["check"]) == 1


def test_an_error_of_ours_is_one_sentence(verb: Callable[[Callable[[], int]], None], capsys: Capture) -> None:
    verb(raising(AuditError("the audit folder is full")))
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "mcpguard: the audit folder is full\n"


def test_an_interrupt_is_130(verb: Callable[[Callable[[], int]], None]) -> None:
    verb(raising(KeyboardInterrupt()))
    assert main(["check"]) == 130


def test_a_defect_shows_where_and_not_what(
    verb: Callable[[Callable[[], int]], None], capsys: Capture
) -> None:
    verb(raising(RuntimeError("hunter2-is-not-to-be-seen")))
    assert main(["check"]) == 70
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "test_help.py" in said
    assert said.endswith("mcpguard: RuntimeError: this is a bug, please report it\n")


def test_a_file_that_cannot_be_used_is_said_in_a_sentence(
    verb: Callable[[Callable[[], int]], None], capsys: Capture
) -> None:
    verb(raising(OSError(errno.EROFS, "Read-only file system", "/home/\x1bada/lock")))
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "mcpguard: /home/\\x1bada/lock cannot be used: Read-only file system\n"
    verb(raising(OSError(errno.EROFS, "no file of it is known")))
    assert main(["check"]) == 70


def test_an_output_that_lacks_a_character_gets_it_in_ascii_and_json_stays_json(tmp_path: Path) -> None:
    name = "Jürgen Müller \N{SNOWMAN}\N{GRINNING FACE}"
    file = str(tmp_path / name / "mcpguard.yaml")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = [sys.executable, "-m", "mcpguard", "check", "--config", file]
    text, data = (
        subprocess.run([*run, *more], capture_output=True, check=False, env=env) for more in ([], ["--json"])
    )
    assert (text.returncode, text.stderr, data.returncode, data.stderr) == (1, b"", 1, b"")
    assert json.dumps(name).strip('"') in text.stdout.decode("ascii")
    assert name in str(json.loads(data.stdout.decode("ascii")))


def test_what_follows_two_dashes_belongs_to_the_guarded_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcpguard.cli import wrap

    got = []
    monkeypatch.setattr(wrap, "execute", lambda args: got.append((args.env, args.command)) or 0)
    assert main(["wrap", "--env", "TOKEN", "--", "npx", "-y", "--flag=x", "server"]) == 0
    assert got == [(["TOKEN"], ["npx", "-y", "--flag=x", "server"])]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "--token=hunter22"], "unknown option --token\n"),
        (["check", "-phunter22"], "unknown option -p\n"),
        (["check", "hunter22"], "too many arguments\n"),
        (["wrap", "--env", "TOKEN=hunter22", "--", "x"], "If it was real, replace it at its issuer\n"),
        (
            ["wrap", "--env", "hunter-22", "--", "x"],
            "expected the name of a variable, such as GITHUB_TOKEN\n",
        ),
        (["wrap", "--env=", "--", "x"], "expected the name of a variable, such as GITHUB_TOKEN\n"),
    ],
)
def test_an_argument_too_many_is_refused_without_repeating_its_value(
    verb: Callable[[Callable[[], int]], None], words: list[str], said: str, capsys: Capture
) -> None:
    verb(lambda: 0)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.endswith(said)
    assert "hunter" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "vrify"], "'vrify' is not one of them: did you mean `verify`?\n"),
        (["session", "lst"], "'lst' is not one of them: did you mean `list`?\n"),
        (["import", "--to", "fiel"], "'fiel' is not one of them: did you mean `file`?\n"),
        (["import", "--to", "vault"], "expected keyring or file, not 'vault'\n"),
        (["completion", "tcsh"], "expected bash, zsh or fish, not 'tcsh'\n"),
        (["approvals", "4f1c\x1b"], "expected end, not '4f1c\\\\x1b'\n"),
        (["import", "--cleint", "cursor"], "unknown option --cleint: did you mean `--client`?\n"),
        (["audit", "query", "--serer=x"], "unknown option --serer: did you mean `--server`?\n"),
        (["demo", "mcpguard.yaml"], "too many arguments\n"),
        (["version"], "unknown verb 'version': did you mean `mcpguard --version`?\n"),
        (
            ["wrap", "server", "--repository", "x"],
            "--repository: put `--` before the command, if it is an option of that\n",
        ),
        (["wrap", "npx", "-y", "x"], "-y: put `--` before the command, if it is an option of that\n"),
        (["undo", "--yes"], "unknown option --yes\n"),
        (["wrap", "--evn", "T", "--", "x"], "unknown option --evn: did you mean `--env`?\n"),
        (["scan", "-"], "-: there is no such file or folder: `mcpguard scan --stdin` reads standard input\n"),
        (["check", "mcpguard.yaml"], "too many arguments: name the file as --config FILE\n"),
        (["replay", "p.yaml"], "too many arguments: name the file as --policy FILE or --config FILE\n"),
    ],
)
def test_a_word_with_a_mistake_in_it_gets_the_one_that_was_meant(
    words: list[str], said: str, capsys: Capture
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(said)


def test_an_unknown_option_is_refused_in_the_usage_of_its_own_command(capsys: Capture) -> None:
    assert main(["audit", "tail", "--sicne", "2h"]) == 2
    assert capsys.readouterr().err.startswith("usage: mcpguard audit tail ")
    assert main(["check", "--sicne", "2h"]) == 2
    assert capsys.readouterr().err.startswith("usage: mcpguard check ")


def test_the_reader_of_the_output_may_go_away() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mcpguard", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_what_was_closed_before_the_start_stays_out_of_the_way(descriptor: int) -> None:
    words = f"exec {sys.executable} -m mcpguard --version {descriptor}>&-"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False, timeout=60)
    said = "" if descriptor == 1 else f"mcpguard {__version__}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_an_output_that_is_full_is_no_bug() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcpguard", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"mcpguard: the output cannot be written: No space left on device\n"


def test_an_error_shows_neither_controls_nor_a_credential(
    verb: Callable[[Callable[[], int]], None], capsys: Capture
) -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2pL5wvN4cR8dF6gH1jK2lM4tX"

    def wrong() -> int:
        raise ConfigError([Problem("\x1b]0;a.yaml", 2, 3, "unknown key", f"  {token}: 1")])

    verb(wrong)
    assert main(["check"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("mcpguard: \\x1b]0;a.yaml:2:3: unknown key\n    [REDACTED:github-token#1]: 1\n")


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcpguard", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"mcpguard {__version__}\n"


def _imported_by(*words: str) -> set[str]:
    code = f"import sys; from mcpguard.cli import main; main({list(words)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_a_verb_imports_no_typing_extensions_for_msgspec_and_whoever_wants_it_gets_it() -> None:
    assert "msgspec" in _imported_by("audit", "heads", "--help")
    assert "typing_extensions" not in _imported_by("audit", "heads", "--help")
    code = (
        "from mcpguard.cli import main; main(['audit', 'heads', '--help']); "
        "import typing_extensions; print(typing_extensions.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "typing_extensions"


def test_the_help_imports_no_verb() -> None:
    assert not {f"mcpguard.cli.{place}" for place, _ in VERBS.values()} & _imported_by("--help")


@each("name", [name for name in VERBS if name != "secret"])
def test_the_help_of_a_verb_imports_nothing_that_only_its_work_needs(name: str) -> None:
    heavy = {"keyring", "platformdirs", "mcp", "httpx", "pydantic", "asyncio", "hyperscan", "celpy"}
    heavy |= {f"mcpguard.core.{part}" for part in ("redaction.redactor", "redaction.held", "policy.compiled")}
    assert not heavy & _imported_by(name, "--help")


def test_every_verb_has_its_module() -> None:
    assert [place for place, _ in VERBS.values() if find_spec(f"mcpguard.cli.{place}") is None] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("import", "--client", "vscod"),
            "argument --client: no client is called 'vscod': did you mean `vscode`?",
        ),
        (
            ("undo", "--client", "goos"),
            "argument --client: no client is called 'goos': did you mean `goose`?",
        ),
        (
            ("lock", "zzz"),
            "argument CLIENT: no client is called 'zzz': there are claude-desktop, claude-code,",
        ),
        (("install", "zedd"), "argument CLIENT: no client is called 'zedd': did you mean `zed`?"),
        (("schema", "polcy"), "argument KIND: no kind is called 'polcy': did you mean `policy`?"),
        (("secret", "set"), "error: NAME is missing: the NAME in ${keyring:NAME}; file:/PATH "),
        (
            ("approve",),
            "error: TICKET is missing: the ticket of the waiting call, as listed by `mcpguard approvals`\n",
        ),
        (("session",), "error: expected list, show, clear or end\n"),
        (("completion",), "error: expected bash, zsh or fish\n"),
    ],
)
def test_a_wrong_name_gets_the_nearest_one_and_no_list_of_all_in_the_usage(
    words: tuple[str, ...], said: str, capsys: Capture
) -> None:
    assert main(words) == 2
    found = capsys.readouterr().err
    assert said in found
    assert "{claude-desktop" not in found


WIDTH = """
import os, sys, shutil, fcntl, termios, struct
_, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
if sys.argv[2] == "terminal":
    os.dup2(terminal, 1)
from mcpguard.cli.parser import Parser
parser = Parser(prog="mcpguard x")
print(parser._get_formatter()._width + 2, shutil.get_terminal_size().columns, file=sys.stderr)
"""


@each(
    ("columns", "of_terminal", "output", "width"),
    [
        ("", 100, "terminal", 100),
        ("", 0, "terminal", 80),
        ("", 100, "file", 80),
        ("57", 100, "terminal", 57),
        *((columns, 100, "terminal", 100) for columns in ("0", "-3", "wide")),
    ],
)
def test_the_help_is_as_wide_as_the_terminal(columns: str, of_terminal: int, output: str, width: int) -> None:
    words = [sys.executable, "-c", WIDTH, str(of_terminal), output]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": columns}
    )
    assert done.stderr.split() == [str(width), str(width)]
