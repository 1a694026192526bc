"""After an upgrade, policies that nobody has changed can follow."""

from pathlib import Path

import pytest

from mcpguard.adapters.system.shipped import pack_for
from mcpguard.cli import main
from tests.adapters.system.shipping import ship

Patch = pytest.MonkeyPatch
PACK = "filesystem/careful.yaml"
NOTHING = "no policy is an unchanged copy of a pack of an earlier version\n"


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A copied pack of a configuration that the environment names."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "mcpguard.yaml").write_text(
        "version: 1\nservers: {files: {command: sh}}\n"
        "policies:\n  - {file: files.yaml, params: {folders: [/srv/files]}}\n"
    )
    (folder / "files.yaml").write_text(pack_for(PACK, "files") or "")
    monkeypatch.setenv("MCPGUARD_CONFIG", str(folder / "mcpguard.yaml"))
    return folder / "files.yaml"


def run(*more: str) -> int:
    return main(["import", "--policies", *more])


def test_a_pack_of_this_version_stays(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--yes") == 0
    assert capsys.readouterr().out == NOTHING


def test_what_a_person_has_changed_stays(
    policy: Path, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    ship(monkeypatch, tmp_path / "shipped", PACK)
    policy.write_text(f"{policy.read_text()}# mine\n")
    assert run("--yes") == 0
    assert capsys.readouterr().out == NOTHING


def test_a_dry_run_shows_the_difference(
    policy: Path, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = policy.read_text()
    ship(monkeypatch, tmp_path / "shipped", PACK)
    assert run("--dry-run") == 0
    said = capsys.readouterr().out
    assert "\n+# A hole is closed.\n" in said
    assert said.endswith("\nnothing was changed\n")
    assert policy.read_text() == before


def test_a_policy_is_replaced_for_its_server_and_what_it_was_is_kept(
    policy: Path, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = policy.read_text()
    ship(monkeypatch, tmp_path / "shipped", PACK)
    assert run("--yes") == 0
    assert policy.read_text() == f"# A hole is closed.\n{before}"
    assert policy.with_name("files.yaml.earlier").read_text() == before
    assert "the earlier version is in files.yaml.earlier" in capsys.readouterr().out.replace("\n", " ")
    assert run("--yes") == 0
    assert capsys.readouterr().out == NOTHING


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_replaced_unless_the_person_agrees(
    terminal: bool, policy: Path, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = policy.read_text()
    ship(monkeypatch, tmp_path / "shipped", PACK)
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert run() == 2
    said = "nothing was done\n" if terminal else "nothing was done: confirm with --yes\n"
    assert capsys.readouterr().out.endswith(said)
    assert policy.read_text() == before


def test_a_version_that_would_not_be_loaded_is_left_alone(
    policy: Path, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = policy.read_text()
    ship(monkeypatch, tmp_path / "shipped", PACK, "unknown: 1\n")
    assert run("--yes") == 1
    assert "would not be loaded, so it is left alone: " in capsys.readouterr().out.replace("\n", " ")
    assert policy.read_text() == before


def test_a_link_to_a_policy_stays_a_link(policy: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    real = policy.rename(tmp_path / "real.yaml")
    policy.symlink_to(real)
    ship(monkeypatch, tmp_path / "shipped", PACK)
    assert run("--yes") == 0
    assert policy.is_symlink()
    assert real.read_text().startswith("# A hole is closed.\n")
