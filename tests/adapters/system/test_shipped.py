"""Which policies came with mcpguard, and with which version."""

from pathlib import Path

import pytest

from mcpguard.adapters.system.shipped import (
    DECLARED,
    declared_for,
    pack_digest,
    pack_for,
    shipped,
    shipped_digests,
    version_of,
)
from tests.adapters.system.shipping import ship


def test_the_table_has_every_pack_as_it_is_now() -> None:
    folder = shipped("policies")
    assert folder is not None
    texts = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.yaml")}
    now = {name: pack_digest(text) for name, text in texts.items() if not name.endswith("_test.yaml")}
    now[DECLARED] = pack_digest(declared_for("any"))
    table = shipped_digests()
    missing = [name for name, digest in now.items() if digest not in table.get(name, ())]
    assert missing == [], "run scripts/reference"


def test_no_version_stands_for_two_packs() -> None:
    every = [digest for digests in shipped_digests().values() for digest in digests]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("server", ["git", "my-git", "files"])
def test_a_pack_is_known_under_whatever_name_its_server_has(server: str) -> None:
    for name in ("git.yaml", "filesystem/careful.yaml"):
        text = pack_for(name, server) or ""
        found = version_of(text)
        assert found is not None
        assert (found.name, found.newest, found.is_newest) == (name, text, True)


def test_the_policy_that_goes_by_declarations_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = version_of(declared_for("notes"))
    assert found is not None
    assert (found.name, found.is_newest) == (DECLARED, True)


def test_a_pack_of_an_earlier_version_is_known_with_what_came_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = pack_for("git/careful.yaml", "work") or ""
    ship(monkeypatch, tmp_path, "git/careful.yaml")
    found = version_of(text)
    assert found is not None
    assert not found.is_newest
    assert found.newest == f"# A hole is closed.\n{text}"


def test_what_a_person_has_changed_is_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pack_for("git/careful.yaml", "work") or ""
    assert version_of(text.replace("effect: ask", "effect: allow", 1)) is None
    assert version_of(f"{text}# mine\n") is None
    assert version_of("version: 1\npolicy: mine\nrules: []\n") is None
    ship(monkeypatch, tmp_path, "git.yaml")
    assert version_of(text) is None, "a pack that was not installed"
