"""Every page: its links lead somewhere, its examples load, and its commands exist."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from mcpguard.cli import VERBS, main
from mcpguard.config.loading import load_config
from mcpguard.core.document.reading import Document
from mcpguard.core.policy.compiled import compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.scan.leaks import ScanExceptions
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, links, prose
from tests.rows import each


def named(found: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.name) for block in found]


@each("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_of_this_project(page: Path) -> None:
    for text, target in links(page):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{text}: {target}"
        assert file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), f"{text}: {target}"


@each("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_is_named_exists(page: Path) -> None:
    for text, target in links(page):
        name = re.fullmatch(r"`(test_\w+)`", text)
        if name:
            source = (page.parent / target).read_text("utf-8")
            assert re.search(rf"^(?:async )?def {name[1]}\(", source, re.MULTILINE), f"{name[1]} in {target}"


def test_every_page_is_linked_from_another_one() -> None:
    told = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for _, target in links(page)
        if not re.match(r"https?://|#", target)
    }
    folders = {ROOT / "docs" / "decisions"}
    assert {page for page in PAGES if page not in told and page.parent not in folders} == {ROOT / "README.md"}


def test_every_yaml_block_says_what_it_is() -> None:
    assert {block.role for block in blocks("yaml")} == {"policy", "config", "tests", "exceptions"}


@each("block", blocks("yaml", "policy"), ids=lambda block: block.name)
def test_every_policy_loads(block: Block) -> None:
    compile_policy(block.text, block.name, OPT_IN)


@each("block", blocks("yaml", "config"), ids=lambda block: block.name)
def test_every_configuration_loads(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "mcpguard.yaml"
    file.write_text(block.text)
    load_config(file)


@pytest.mark.parametrize("block", named(list(blocks("yaml", "exceptions"))))
def test_every_file_of_exceptions_loads(block: Block) -> None:
    assert Document(block.text, block.name).read(ScanExceptions).exceptions


@pytest.mark.parametrize("block", named(list(blocks("yaml", "tests"))))
def test_every_file_of_policy_tests_passes(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for policy in blocks("yaml", "policy", [block.page]):
        name = re.search(r"^policy: (.*)$", policy.text, re.MULTILINE)
        assert name
        (tmp_path / f"{name[1]}.yaml").write_text(policy.text)
    file = tmp_path / "page_test.yaml"
    file.write_text(block.text)
    code = main(["test", str(file)])
    assert code == 0, capsys.readouterr().out


def commands(text: str) -> list[list[str]]:
    """The `mcpguard` commands in lines of a shell; what follows a pipe or `&&` counts too."""
    parts = [part.strip() for line in text.splitlines() for part in _PART.findall(line)]
    found = [re.match(r"(?:\$ )?(?:[\w./-]*/)?mcpguard (.*)", part) for part in parts]
    alone = [re.split(r"    | > ~", match[1])[0] for match in found if match]
    return [shlex.split(words, comments=True) for words in alone]


_PART = re.compile(r"""(?:'[^']*'|"[^"]*"|[^&|]|&(?!&)|\|(?=\w))+""")
"""A command of a line: what is quoted may have `&&` and `|` in it."""


def words_of_every_command() -> dict[str, list[str]]:
    found = [
        (b.name, words) for b in blocks() if b.language in ("console", "sh") for words in commands(b.text)
    ]
    for page in PAGES:
        quoted = re.findall(r"`(mcpguard [a-z][^`]*)`", prose(page).replace("\n", " "))
        found += [(page.name, words) for text in quoted for words in commands(text)]
    for block in blocks("json"):
        for server in json.loads(block.text)["mcpServers"].values():
            assert server["command"].endswith("/mcpguard")
            found.append((block.name, server["args"]))
    return {f"{name}: {shlex.join(words)}": words for name, words in found}


WORDS = words_of_every_command()


@each("words", WORDS.values(), WORDS)
def test_every_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if words[0].startswith("-") or words[0] == "VERB":
        return
    assert words[0] in VERBS
    module = import_module(f"mcpguard.cli.{VERBS[words[0]][0]}")
    monkeypatch.setattr(module, "execute", lambda args: 0)
    if len(words) > 1 or words[0] not in ("wrap", "secret", "audit", "lock"):
        assert main(words) == 0


def test_the_guide_on_explanations_shows_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = [ROOT / "docs" / "guides" / "explain-a-decision.md"]
    policy, (call, said), reached = (
        next(blocks("yaml", "policy", page)).text,
        [next(blocks(language, "", page)).text for language in ("console", "text")],
        [block.text for block in blocks("text", "", page)][1],
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "git.yaml").write_text(policy.replace("rules:", READ_LOG))
    (tmp_path / "snapshot.json").write_text(SNAPSHOT)
    assert main(commands(call)[0]) == 0
    assert capsys.readouterr().out == said
    assert main(["explain", "git.yaml", "--reach", "--snapshot", "snapshot.json"]) == 0
    assert capsys.readouterr().out.startswith(reached)


READ_LOG = "rules:\n  - {id: log, effect: allow, server: git, tools: [log]}"
SNAPSHOT = json.dumps(
    {"version": 1, "servers": {"git": {"tools": [{"name": "log"}, {"name": "push"}, {"name": "reset"}]}}}
)
