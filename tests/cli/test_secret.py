"""`mcpguard secret`: into the keychain and out of it, and never through argv."""

from __future__ import annotations

import errno
import getpass
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import keyring.errors
import pytest

from mcpguard.adapters.credentials import keychain
from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.cli import main
from tests.adapters.credentials.fake_keyring import FakeKeyring

Capture = pytest.CaptureFixture[str]
VALUE = "value-1234"


pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def pipe(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return pipe


def test_a_piped_value_is_stored_without_its_newline(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode() + b"\n")
    assert main(["secret", "set", "github/read"]) == 0
    assert backend.entries["mcpguard", "github/read"] == VALUE
    said = capsys.readouterr()
    assert said.out == "stored: refer to it in a configuration as ${keyring:github/read}\n"
    assert VALUE not in said.out + said.err


def test_only_one_newline_is_taken_away(backend: FakeKeyring, piped: Callable[[bytes], None]) -> None:
    piped(b"line one\nline two\n\n")
    assert main(["secret", "set", "key"]) == 0
    assert backend.entries["mcpguard", "key"] == "line one\nline two\n"


def test_at_a_terminal_the_value_is_asked_for_without_showing_it(
    backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return VALUE

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", answer)
    assert main(["secret", "set", "github/read"]) == 0
    assert asked == ["value of github/read (not shown): "]
    assert backend.entries["mcpguard", "github/read"] == VALUE


def test_an_input_that_ends_at_the_question_is_no_value(
    backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ended(_question: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", ended)
    assert main(["secret", "set", "github/read"]) == 2
    assert capsys.readouterr().err == "mcpguard: the value is empty\n"
    assert backend.entries == {}


@pytest.mark.parametrize(
    ("value", "said"), [("us-east-1", "is the name of a region"), ("aB3kQ9xZ7mT2pL5w", "")]
)
def test_a_value_that_can_be_guessed_is_stored_with_a_warning(
    value: str, said: str, backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(value.encode())
    assert main(["secret", "set", "github/read"]) == 0
    warned = capsys.readouterr().err
    assert warned.startswith(f"warning: the value {said}, so it can be guessed" if said else "")
    assert bool(warned) == bool(said)
    assert value not in warned
    assert backend.entries["mcpguard", "github/read"] == value


@pytest.mark.parametrize(
    "words", [["hunter22"], ["--value=hunter22"], ["--value", "hunter22"], ["-hunter22"]]
)
def test_a_value_in_argv_is_refused_with_the_reason(
    words: list[str], backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    assert main(["secret", "set", "github/read", *words]) == 2
    said = capsys.readouterr().err
    assert "can be read by every process" in said
    assert "hunter22" not in said
    assert backend.entries == {}


def test_a_value_that_is_assigned_to_the_name_is_refused_like_one_in_argv(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    assert main(["secret", "set", "github/read=hunter22"]) == 2
    said = capsys.readouterr().err
    assert "run `mcpguard secret set github/read` and type it" in said
    assert "hunter22" not in said
    assert backend.entries == {}


def test_an_option_before_the_name_does_not_show_its_value(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    assert main(["secret", "set", "--value=hunter22", "github/read"]) == 2
    assert "hunter22" not in capsys.readouterr().err
    assert backend.entries == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"12345", "is too short to be distinguished from ordinary text (at least 6 characters)"),
        (b"\xff\xfe\xfd\xfc\xfb\xfa", "not UTF-8"),
        (b"x" * 65_537, "more than 64 KiB"),
        (b"x" * 16_385, "is too long to be redacted (at most 16384 characters)"),
        (b"84019375", "is a number of fewer than 12 digits, and ordinary text may contain it"),
    ],
)
def test_what_cannot_be_a_credential_is_refused(
    data: bytes, why: str, backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(data)
    assert main(["secret", "set", "github/read"]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "12345" not in said
    assert backend.entries == {}


@pytest.mark.parametrize("name", ["t/", "/t", "a//b"])
def test_a_name_with_an_empty_part_is_not_stored_and_can_be_removed(
    name: str, backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    assert main(["secret", "set", name]) == 2
    assert "a part of the name is empty" in capsys.readouterr().err
    assert backend.entries == {}
    Keychain().put(name, VALUE)
    assert main(["secret", "rm", name]) == 0


@pytest.mark.parametrize("name", ["a b", "a}b", "${env:X}", "a$b", "", "a\x1bb", "}${keyring:x"])
@pytest.mark.parametrize("action", ["set", "rm"])
def test_a_name_that_no_reference_can_have_is_refused(
    action: str, name: str, backend: FakeKeyring, capsys: Capture
) -> None:
    assert main(["secret", action, name]) == 2
    assert "a name has no spaces" in capsys.readouterr().err
    assert backend.entries == {}


def test_the_list_has_names_and_no_values(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    for name in ("linear", "github/read"):
        piped(VALUE.encode())
        main(["secret", "set", name])
    capsys.readouterr()
    assert main(["secret", "list"]) == 0
    assert capsys.readouterr().out == "github/read\nlinear\n"
    assert main(["secret", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["github/read", "linear"]


def test_an_empty_list_says_what_to_do(capsys: Capture) -> None:
    assert main(["secret", "list"]) == 0
    assert "mcpguard secret set NAME" in capsys.readouterr().out
    assert main(["secret", "list", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_removing_is_said_and_a_missing_name_is_an_error(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    main(["secret", "set", "github/read"])
    assert main(["secret", "rm", "github/read"]) == 0
    assert capsys.readouterr().out.endswith("removed github/read\n")
    assert main(["secret", "rm", "github/read"]) == 2
    assert "keyring:github/read is not in the keychain" in capsys.readouterr().err


def test_a_reference_to_the_keychain_names_what_it_has(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(VALUE.encode())
    assert main(["secret", "set", "keyring:github/read"]) == 0
    assert "as ${keyring:github/read}\n" in capsys.readouterr().out
    assert backend.entries["mcpguard", "github/read"] == VALUE
    assert main(["secret", "rm", "keyring:github/read"]) == 0
    assert ("mcpguard", "github/read") not in backend.entries


@pytest.mark.parametrize(
    ("action", "name", "said"),
    [
        ("set", "env:TOKEN", "env:TOKEN is an environment variable: set it where mcpguard is started"),
        ("rm", "env:TOKEN", "env:TOKEN is an environment variable"),
        ("rm", "file:/run/secrets/a", "file:/run/secrets/a is a file: delete the file itself"),
        ("set", "credential:linear", "credential:linear is an entry in `credentials` of the configuration"),
    ],
)
def test_a_reference_to_another_source_is_no_name_in_the_keychain(
    action: str, name: str, said: str, backend: FakeKeyring, capsys: Capture
) -> None:
    assert main(["secret", action, name]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert backend.entries == {}


def test_an_older_name_that_looks_like_a_reference_can_be_removed(capsys: Capture) -> None:
    for name in ("env:TOKEN", "keyring:github"):
        Keychain().put(name, VALUE)
        assert main(["secret", "rm", name]) == 0
        assert capsys.readouterr().out == f"removed {name}\n"


def test_whoever_stores_in_a_keychain_that_may_not_encrypt_is_told(
    piped: Callable[[bytes], None], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = f"{FakeKeyring.__module__}.FakeKeyring"
    for name, warned in ((kind, False), ("keyring.backends.macOS.Keyring", True)):
        monkeypatch.setattr(keychain, "_ENCRYPTING", (name,))
        piped(VALUE.encode())
        assert main(["secret", "set", "github/read"]) == 0
        said = f"warning: the keychain is {kind}, which mcpguard does not know to encrypt what it stores"
        assert (said in capsys.readouterr().err) is warned


def test_an_action_is_needed(capsys: Capture) -> None:
    assert main(["secret"]) == 2
    assert "expected set, list, rm, check, login or logout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("used", "said"),
    [("file:/k", "${file:…}"), ("env:K", "${env:…}"), ("keyring:k", ""), ("", ""), ("keyring", "")],
)
def test_where_no_keychain_is_used_none_is_asked_for(
    used: str,
    said: str,
    backend: FakeKeyring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    config = tmp_path / "mcpguard.yaml"
    config.write_text(
        f'{{"version": 1, "servers": {{"s": {{"command": "x", "env": {{"K": "${{{used}}}"}}}}}}}}'
        if used
        else "servers: ["
    )
    monkeypatch.setenv("MCPGUARD_CONFIG", str(config))
    backend.error = keyring.errors.NoKeyringError()
    assert main(["secret", "list"]) == (0 if said else 2)
    shown = capsys.readouterr()
    if said:
        assert shown.out == (
            f"the configuration refers to {said} only: `mcpguard secret check` requests each\n"
        )
        assert main(["secret", "list", "--json"]) == 0
        assert capsys.readouterr().out == "[]\n"
    else:
        assert "this machine has no keychain that mcpguard can use" in shown.err


def test_what_is_no_name_in_a_keychain_needs_none(backend: FakeKeyring, capsys: Capture) -> None:
    backend.error = keyring.errors.NoKeyringError()
    assert main(["secret", "rm", "file:/run/secrets/a"]) == 2
    assert "file:/run/secrets/a is a file: delete the file itself" in " ".join(
        capsys.readouterr().err.split()
    )
    assert main(["secret", "rm", "github/read"]) == 2
    assert "this machine has no keychain that mcpguard can use" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("two\nlines here\n", "the value has 2 lines, and all of them together are the secret"),
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", ""),
        ("q7Xk2LmW9vR4tZq7Xk2LmW9vR4tZ\n", ""),
    ],
)
def test_a_value_of_several_lines_is_pointed_out(
    value: str, said: str, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    piped(value.encode())
    assert main(["secret", "set", "github/read"]) == 0
    shown = capsys.readouterr().err
    assert said in shown
    assert ("lines" in shown) == bool(said)


def test_a_value_can_go_to_the_file_that_a_reference_names(
    backend: FakeKeyring, piped: Callable[[bytes], None], tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "of mine" / "key"
    for value in ("aB3kQ9xZ7mT2pL5w", "zY3kQ9xZ7mT2pL5w"):
        piped(value.encode() + b"\n")
        assert main(["secret", "set", f"file:{path}"]) == 0
        assert path.read_text() == f"{value}\n"
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"stored: refer to it in a configuration as ${{file:{path}}}"
    )
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert backend.entries == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file:secrets/key", "must be an absolute path or begin with ~/"),
        ("file:/a{b", "a path has no `$`, `{` or `}`"),
        ("file:HERE/link", "is a link, or not a file, so it was left alone"),
        ("file:HERE", "is a link, or not a file, so it was left alone"),
        ("file:HERE/open", "is open to every account on this machine"),
        ("file:HERE/open/below", "cannot be created"),
    ],
)
def test_a_file_that_could_not_be_used_is_not_written(
    name: str, said: str, piped: Callable[[bytes], None], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "open").write_text("old")
    (tmp_path / "open").chmod(0o644)
    piped(b"aB3kQ9xZ7mT2pL5w")
    assert main(["secret", "set", name.replace("HERE", str(tmp_path))]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_on_a_read_only_disk_cannot_be_written(
    piped: Callable[[bytes], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    piped(b"aB3kQ9xZ7mT2pL5w")
    monkeypatch.setattr("mcpguard.onboarding.disk.os.unlink", read_only)
    assert main(["secret", "set", f"file:{tmp_path}/key"]) == 2
    assert f"{tmp_path}/key cannot be written: Read-only file system" in capsys.readouterr().err


def test_without_a_keychain_a_file_is_offered(
    backend: FakeKeyring, piped: Callable[[bytes], None], capsys: Capture
) -> None:
    backend.error = keyring.errors.NoKeyringError()
    piped(b"aB3kQ9xZ7mT2pL5w")
    assert main(["secret", "set", "github/read"]) == 2
    assert "`mcpguard secret set file:/PATH` stores it in a file" in capsys.readouterr().err
