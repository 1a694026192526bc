"""Credential sources: one contract for all, then what each refuses in its own way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backends.null import Keyring as NullKeyring

from mcpguard.adapters.credentials import MINTS, SOURCES
from mcpguard.adapters.credentials.environ import Environ
from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.mounted import MountedFile
from mcpguard.config import references
from mcpguard.config.credentials import KINDS
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, parse_template
from tests.adapters.credentials.credential_contract import CONTRACT, VALUE, Setting
from tests.adapters.credentials.fake_credentials import FakeSource
from tests.adapters.credentials.fake_keyring import FakeKeyring


def in_the_keychain(_folder: Path, _patch: pytest.MonkeyPatch) -> tuple[str, str]:
    keyring.set_password("mcpguard", "github/read", VALUE)
    return "github/read", "github/x"


def in_the_environment(_folder: Path, patch: pytest.MonkeyPatch) -> tuple[str, str]:
    patch.setenv("MCPGUARD_TEST", VALUE)
    patch.delenv("MCPGUARD_TEST_MISSING", raising=False)
    return "MCPGUARD_TEST", "MCPGUARD_TEST_MISSING"


def in_a_file(folder: Path, _patch: pytest.MonkeyPatch) -> tuple[str, str]:
    return str(secret_file(folder, VALUE.encode())), str(folder / "no")


SETTINGS = {"keyring": in_the_keychain, "env": in_the_environment, "file": in_a_file}
"""For each source, what puts VALUE where it looks: gives that name, and one under which nothing is."""


@pytest.fixture(params=[*SOURCES, "fake"])
def setting(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: FakeKeyring
) -> Setting:
    name: str = request.param
    if name == "fake":
        return Setting(FakeSource(here=VALUE), CredentialRef(name, "here"), CredentialRef(name, "gone"))
    present, missing = SETTINGS[name](tmp_path, monkeypatch)
    return Setting(SOURCES[name].source(), CredentialRef(name, present), CredentialRef(name, missing))


def test_each_source_has_its_setting_here() -> None:
    assert SETTINGS.keys() == SOURCES.keys()


def secret_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def refusal(source: Environ | Keychain | MountedFile, name: str) -> str:
    with pytest.raises(CredentialError) as caught:
        source.get(CredentialRef("file" if isinstance(source, MountedFile) else "x", name))
    assert not source.has(CredentialRef("file", name))
    return str(caught.value)


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_every_source_keeps_the_contract(setting: Setting, promise: Callable[[Setting], None]) -> None:
    promise(setting)


@pytest.mark.parametrize("name", SOURCES)
def test_the_example_of_each_source_is_a_reference_to_it(name: str) -> None:
    (ref,) = parse_template(SOURCES[name].example).refs
    assert ref.source == name


def test_a_configuration_accepts_exactly_the_sources_that_there_are() -> None:
    assert set(references.SOURCES) == set(SOURCES)


def test_each_kind_of_entry_that_a_configuration_accepts_has_its_mint() -> None:
    assert set(KINDS) == set(MINTS)


def test_importing_the_sources_does_not_import_keyring() -> None:
    code = "import sys, mcpguard.adapters.credentials; sys.exit('keyring' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_empty_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_TEST", "")
    assert "export MCPGUARD_TEST where mcpguard is started" in refusal(Environ(), "MCPGUARD_TEST")


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"abc\n\n", "abc\n"), (b" abc ", " abc ")],
)
def test_exactly_one_newline_at_the_end_of_a_file_is_not_part_of_it(
    tmp_path: Path, data: bytes, value: str
) -> None:
    path = secret_file(tmp_path, data)
    assert MountedFile().get(CredentialRef("file", str(path))).reveal() == value


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644, 0o777])
def test_a_file_that_is_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, b"value-1234", mode)
    said = refusal(MountedFile(), str(path))
    assert f"chmod o= {path}" in said
    assert "value-1234" not in said
    folder = tmp_path / "Application Support"
    folder.mkdir()
    path = secret_file(folder, b"value-1234", mode)
    assert f"chmod o= '{path}'" in refusal(MountedFile(), str(path))


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
def test_a_file_that_a_group_may_read_is_taken(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, b"value-1234", mode)
    assert MountedFile().has(CredentialRef("file", str(path)))


def test_a_link_is_followed_as_kubernetes_needs_it(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(secret_file(tmp_path, b"value-1234"))
    assert MountedFile().get(CredentialRef("file", str(link))).reveal() == "value-1234"


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    secret_file(tmp_path, b"value-1234")
    assert MountedFile().get(CredentialRef("file", "~/token")).reveal() == "value-1234"


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "UTF-8"), (b"x" * 65_537, "larger than 64 KiB")],
)
def test_a_file_without_a_credential_in_it_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    assert why in refusal(MountedFile(), str(secret_file(tmp_path, data)))


def test_a_file_may_have_64_kib(tmp_path: Path) -> None:
    path = secret_file(tmp_path, b"x" * 65_536)
    assert len(MountedFile().get(CredentialRef("file", str(path))).reveal()) == 65_536


def test_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a regular file" in refusal(MountedFile(), str(tmp_path / "pipe"))
    assert "Is a directory" in refusal(MountedFile(), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "why"), [("token", "absolute"), ("./token", "absolute"), ("/a\0b", "not a valid path")]
)
def test_a_path_that_depends_on_where_we_are_is_refused(name: str, why: str) -> None:
    assert why in refusal(MountedFile(), name)


def test_the_keychain_keeps_lists_and_forgets(backend: FakeKeyring) -> None:
    keychain = Keychain()
    assert keychain.names() == []
    for name in ("b/two", "a", "b/two"):
        keychain.put(name, VALUE)
    assert keychain.names() == ["a", "b/two"]
    keychain.remove("a")
    assert keychain.names() == ["b/two"]
    assert not keychain.has(CredentialRef("keyring", "a"))
    assert VALUE not in json.dumps([text for (_, user), text in backend.entries.items() if user == "names"])


def test_forgetting_what_is_not_there_is_an_error(backend: FakeKeyring) -> None:
    with pytest.raises(CredentialError, match="keyring:a is not in the keychain"):
        Keychain().remove("a")


def test_a_backend_that_drops_what_it_gets_is_noticed(backend: FakeKeyring) -> None:
    backend.drops = True
    with pytest.raises(CredentialError, match=r"was not stored by the keychain \(.*FakeKeyring\)"):
        Keychain().put("a", VALUE)


@pytest.mark.parametrize("text", ["{", "{}", "[1]"])
def test_a_damaged_list_of_names_is_an_error_and_not_an_empty_list(backend: FakeKeyring, text: str) -> None:
    backend.entries["mcpguard.names", "names"] = text
    with pytest.raises(CredentialError, match="is damaged"):
        Keychain().names()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (keyring.errors.KeyringLocked(VALUE), "locked or cannot be reached: unlock it"),
        (keyring.errors.InitError(VALUE), "locked or cannot be reached: unlock it"),
        (keyring.errors.NoKeyringError(VALUE), "no keychain that mcpguard can use"),
        (
            RuntimeError(VALUE),
            r"\(tests.adapters.credentials.fake_keyring.FakeKeyring\) failed with RuntimeError",
        ),
    ],
    ids=["locked", "no init", "none", "other"],
)
def test_a_keychain_that_fails_gives_its_own_sentence_and_never_the_backends_words(
    backend: FakeKeyring, error: Exception, why: str
) -> None:
    backend.error = error
    keychain = Keychain()
    questions: list[Callable[[], object]] = [
        lambda: keychain.get(CredentialRef("keyring", "a")),
        lambda: keychain.put("a", VALUE),
        lambda: keychain.remove("a"),
        keychain.names,
    ]
    for question in questions:
        with pytest.raises(CredentialError, match=why) as caught:
            question()
        assert VALUE not in str(caught.value)
        assert caught.value.__suppress_context__
    assert keychain.has(CredentialRef("keyring", "a")) is False


def test_only_a_reference_can_be_to_a_file_instead(backend: FakeKeyring) -> None:
    backend.error = keyring.errors.NoKeyringError()
    assert refusal(Keychain(), "a").endswith("gnome-keyring), or refer to a file instead")
    with pytest.raises(CredentialError, match=r"gnome-keyring\)$"):
        Keychain().find("oauth/linear")


def test_a_backend_that_cannot_be_loaded_is_a_keychain_that_fails(
    backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError(VALUE)

    backend.error = RuntimeError(VALUE)
    monkeypatch.setattr(keyring, "get_keyring", broken)
    assert "which is configured but cannot be loaded" in refusal(Keychain(), "a")


def test_the_null_backend_counts_as_no_keychain(backend: FakeKeyring) -> None:
    keyring.set_keyring(NullKeyring())
    assert "no keychain that mcpguard can use" in refusal(Keychain(), "a")


def test_the_sessions_bus_is_found_where_a_client_did_not_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: FakeKeyring
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setattr("mcpguard.adapters.credentials.keychain._RUNTIME", str(tmp_path))
    assert Keychain().names() == []
    assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ
    bus = tmp_path / str(os.getuid()) / "bus"
    bus.parent.mkdir()
    bus.touch()
    assert Keychain().names() == []
    assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={bus}"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/elsewhere")
    assert Keychain().names() == []
    assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/elsewhere"
