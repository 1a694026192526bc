"""`mcpguard help TOPIC`: the pages that messages name are there, readable, in a checkout and in a wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcpguard.adapters.system import shipped as shipping
from mcpguard.cli import main
from mcpguard.cli.help import named, readable, topics
from tests.docs.pages import PAGES, ROOT
from tests.rows import each

pytestmark = pytest.mark.uncounted
Capture = pytest.CaptureFixture[str]

TOPICS = topics()
_NAMED = re.compile(r"mcpguard help ([a-z0-9/-]+)")
_MISSING = re.compile(r"\b(?:docs|configs|schemas|tests|scripts|src)/[\w./-]+\.(?:md|yaml|json|py)\b")
"""Paths of the source tree, which an installation does not have."""
_SIGNS = re.compile(r"\b(?:docs|configs|schemas|tests|scripts|src)/")
"""What a file has in which one is found: to parse all takes seconds."""


def sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def strings_of(source: Path) -> list[str]:
    """The texts of a module that are not docstrings: what a person may get to see."""
    import ast

    text = source.read_text("utf-8")
    if not _SIGNS.search(text):
        return []
    tree = ast.parse(text)
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    constants = [one for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in docs]
    return [one.value for one in constants if isinstance(one.value, str)]


def test_the_topics_are_listed_with_one_line_each(capsys: Capture) -> None:
    assert main(["help"]) == 0
    said = capsys.readouterr().out
    listed = [line.split(maxsplit=1) for line in said.splitlines() if line.startswith("  ")]
    assert ["approve-a-call", "Approve a call"] in listed
    assert ["reference/config", "Configuration"] in listed
    assert {one[0] for one in listed} == {one for one in topics() if not one.startswith("decisions/")}
    assert max(map(len, said.splitlines())) <= 80


def test_a_page_is_printed_as_it_is_written(capsys: Capture) -> None:
    assert main(["help", "approve-a-call"]) == 0
    assert capsys.readouterr().out.startswith("# Approve a call\n")


@pytest.mark.parametrize("name", ["config", "reference/config", "docs/reference/config.md"])
def test_a_page_is_found_by_its_name_alone_and_by_its_path(name: str, capsys: Capture) -> None:
    assert main(["help", name]) == 0
    assert capsys.readouterr().out.startswith("# Configuration\n")


def test_a_guide_goes_before_a_page_of_the_same_name(capsys: Capture) -> None:
    assert main(["help", "doctor"]) == 0
    assert capsys.readouterr().out.startswith("# See what bypasses mcpguard\n")


def test_a_verb_without_a_page_prints_its_options(capsys: Capture) -> None:
    assert main(["help", "snapshot"]) == 0
    assert capsys.readouterr().out.startswith("usage: mcpguard snapshot")


def test_an_unknown_topic_names_the_nearest_ones(capsys: Capture) -> None:
    assert main(["help", "aprove-a-cal"]) == 2
    assert "did you mean `mcpguard help approve-a-call`?" in capsys.readouterr().err
    assert main(["help", "keychain"]) == 2
    assert "`mcpguard help hold-a-credential`" in capsys.readouterr().err
    assert main(["help", "qqqq"]) == 2
    assert "no page is called 'qqqq': `mcpguard help` lists the pages" in capsys.readouterr().err


def test_a_terminal_gets_the_page_laid_out(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["help", "concepts"]) == 0
    assert not re.search(r"^# Concepts$", capsys.readouterr().out, re.MULTILINE)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["help", "concepts"]) == 0
    assert capsys.readouterr().out.startswith("# Concepts\n")


def test_an_installation_without_pages_says_so(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_roots", lambda: iter(()))
    assert main(["help"]) == 2
    assert "has no pages" in capsys.readouterr().err


@each("topic", TOPICS)
def test_what_a_page_links_to_can_be_reached_from_where_it_is_printed(topic: str) -> None:
    pages = TOPICS
    text = readable(pages[topic], topic, pages)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "](" not in prose
    assert "<!--" not in prose
    for name in _NAMED.findall(text):
        assert named(name, pages), name


def test_every_topic_that_is_named_has_its_page() -> None:
    found = {
        name
        for path in (*sources(), *PAGES, *sorted((ROOT / "policies").rglob("*.yaml")))
        for name in _NAMED.findall(path.read_text("utf-8"))
    }
    assert {"hold-a-credential", "oauth", "short-lived-credentials"} <= found
    assert [one for one in found if named(one, TOPICS) is None] == []


@each("source", sources(), ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_message_names_a_file_that_only_the_source_tree_has(source: Path) -> None:
    examples = "core/functions/" in str(source)  # Names of somebody's files, as arguments.
    said = [] if examples else [text for text in strings_of(source) if _MISSING.search(text)]
    assert said == []


def test_a_wheel_has_every_page_and_prints_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    (share,) = (tmp_path / "unpacked").glob("*.data/data/share/mcpguard")
    # As `pip install --target` puts it: packages and shared data in one folder.
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "unpacked" / "mcpguard").rename(target / "mcpguard")
    (target / "share").mkdir()
    share.rename(target / "share" / "mcpguard")
    words = "from mcpguard.cli.help import topics; print(*topics().values(), sep='\\n')"
    isolated = {"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin"}
    bare = [sys.executable, "-c", f"import sysconfig; sysconfig.get_path = lambda *_: '/nowhere'; {words}"]
    done = subprocess.run(bare, env=isolated, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    installed = {
        Path(line).relative_to(target / "share" / "mcpguard") for line in done.stdout.decode().split()
    }
    assert installed == {page.relative_to(ROOT) for page in topics().values()}
