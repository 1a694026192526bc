"""The page of the access review: escaped, without script, and looked at in a browser."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mcpguard.authoring.report.page import lasted, page, templates
from mcpguard.authoring.report.review import AccessReview
from mcpguard.cli import main
from tests.authoring.report import month
from tests.authoring.report.month import BOT
from tests.authoring.report.test_review import review
from tests.console.chromium import chromium
from tests.rows import each

pytestmark = pytest.mark.uncounted
HOSTILE = '</td><script>alert(1)</script><img src="https://x.example/a">\u202e"\'&'


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> AccessReview:
    """A month."""
    return review(month.write(tmp_path_factory.mktemp("month")))


def shown(template: str, text: str) -> str:
    return templates().from_string(template).render(text=text)


@each(
    ("template", "tags"),
    [
        ("{{ text }}", 0),
        ("{{ [text]|join }}", 0),
        ('<a title="{{ text }}"><b>{{ text }}</b></a>', 4),
        ("{{ text|name }}", 2),
        ("{{ text|prose }}", 0),
    ],
)
def test_text_is_escaped_in_content_and_in_attributes(template: str, tags: int) -> None:
    made = shown(template, HOSTILE)
    assert "<script" not in made
    assert "<img" not in made
    assert "\u202e" not in made
    assert "[U+202E]&#34;" in made
    assert made.replace("<wbr/>", "").count("<") == made.replace("<wbr/>", "").count(">") == tags


def test_names_may_be_broken_and_backticks_are_code() -> None:
    assert shown("{{ text|name }}", "a_b/c") == "<code>a_<wbr/>b/<wbr/>c</code>"
    assert shown("{{ text|prose }}", "run `a<b` now") == "run <code>a&lt;b</code> now"


@each(("seconds", "said"), [(0, "0 s"), (119, "119 s"), (600, "10 min"), (9_000, "2 h"), (900_000, "10 d")])
def test_a_time_span_is_in_one_unit(seconds: float, said: str) -> None:
    assert lasted(seconds) == said


def test_whatever_a_name_is_it_stays_text(found: AccessReview) -> None:
    data = json.loads(found.model_dump_json())

    def poisoned(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: poisoned(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [poisoned(one, key) for one in value]
        free = isinstance(value, str) and key in (
            *(
                "name",
                "message",
                "what",
                "detail",
                "by",
                "principal",
                "actor",
                "config",
                "policies",
                "because",
                "example",
            ),
            *("agents", "clients", "humans", "fix", "why", "kind", "place", "session", "rules", "servers"),
        )
        return (
            HOSTILE
            if free and value not in ("rule", "tool", "command", "url", "person", "open", "process end")
            else value
        )

    made = page(AccessReview.model_validate(poisoned(data)))
    assert "&lt;script&gt;" in made
    assert not re.search(r"<(script|img|iframe|link|object)\b", made)
    assert "\u202e" not in made


def test_the_page_needs_nothing_from_elsewhere(found: AccessReview) -> None:
    made = page(found)
    assert re.findall(r'(?:src|href)="(?!#)', made) == []
    assert "url(" not in made
    assert "@import" not in made
    assert "default-src &#x27;none&#x27;" in made


def test_each_section_is_there_and_every_link_leads_to_one(found: AccessReview) -> None:
    made = page(found)
    names = re.findall(r'<section id="(\w+)"', made)
    assert len(names) == 14
    assert set(re.findall(r'href="#(\w+)"', made)) <= set(names)


def test_it_says_which_agents_acted_for_somebody(found: AccessReview) -> None:
    made = page(found)
    bot = next(one for one in found.principals if one.name == BOT)
    assert f"; through agents build-agent ({bot.allowed} allowed, {bot.refused} refused)" in made
    assert f"{BOT} through build-agent</td>" in made


def test_a_review_of_nothing_is_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "mcpguard.yaml").write_text(
        "version: 1\nservers: {files: {command: x}}\naudit: {path: audit}\n"
    )
    made = page(review(tmp_path / "mcpguard.yaml"))
    for said in (
        "Nothing is on record yet, or the evidence was removed.",
        "Nothing was refused.",
        "No server needs a credential.",
    ):
        assert said in made


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a month of evidence, on a machine that has nothing else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "program"))
    monkeypatch.chdir(tmp_path)
    return month.write(tmp_path)


def test_the_command_prints_json_of_the_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--config", str(home), "--since", "9000d", "--json"]) == 0
    made = AccessReview.model_validate_json(capsys.readouterr().out)
    assert made.evidence.intact
    assert made.principals


def test_the_command_writes_a_page_that_only_its_user_reads(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = home.parent / "review.html"
    assert main(["report", "--config", str(home), "--html", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert target.read_text("utf-8").startswith("<!doctype html>")
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_command_says_in_short_what_to_look_at(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--config", str(home)]) == 0
    said = capsys.readouterr().out
    assert " granted but never used." in said
    assert re.search(r"Foundation +\d+", said)
    assert f"`mcpguard report --html FILE --config {home}`" in said


def test_without_a_configuration_it_is_about_what_wrap_recorded(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "MCPGUARD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(home.parent / "state"))
    assert main(["report"]) == 2
    folder = home.parent / "state" / "mcpguard" / "audit"
    assert f"{folder} has no records" in capsys.readouterr().err
    shutil.copytree(home.parent / "audit", folder)
    assert main(["report", "--since", "9000d", "--json"]) == 0
    printed = capsys.readouterr()
    assert f"there is no configuration, so this is only about what is on record in {folder}" in printed.err
    made = AccessReview.model_validate_json(printed.out)
    assert made.evidence.records
    assert made.principals
    assert not made.servers


def test_altered_evidence_is_exit_code_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (chain,) = (home.parent / "audit").iterdir()
    chain.write_bytes(chain.read_bytes().replace(b"create_issue", b"delete_issue", 1))
    assert main(["report", "--config", str(home)]) == 1
    assert "was altered" in capsys.readouterr().out


def test_evidence_that_cannot_be_read_is_not_called_clean(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (home.parent / "audit").iterdir():
        path.unlink()
    (home.parent / "audit").rmdir()
    (home.parent / "audit").symlink_to(home / "no-folder")
    assert main(["report", "--config", str(home), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no audit log at" in printed.err
    assert "Not a directory" in printed.err


def test_a_token_in_a_name_does_not_leave(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = "ghp_" + "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW2xY4"[:36]
    policy = home.parent / "team.yaml"
    policy.write_text(policy.read_text().replace("tools: [delete_file]", f"tools: [{token}]"))
    assert main(["report", "--config", str(home), "--json"]) == 0
    assert token not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "2999-01-01"], "--since is in the future"),
        (["--since", "soon"], "an age such as 30m, 2h, 3d or 2w"),
        (["--html", "/nowhere/at/all/x.html"], "cannot be written"),
        (["--snapshot", "team.yaml"], "not a snapshot"),
    ],
)
def test_wrong_usage_is_one_sentence(
    home: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--config", str(home), *words]) == 2
    assert said in capsys.readouterr().err


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(found: AccessReview, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    file = tmp_path_factory.mktemp("page") / "review.html"
    file.write_text(page(found), "utf-8")
    return file


@pytest.mark.browser
def test_in_a_browser_no_request_leaves_and_nothing_overflows(written: Path) -> None:
    from playwright.sync_api import sync_playwright

    wider = """() => [...document.querySelectorAll('body *')]
        .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
        .map(one => one.outerHTML.slice(0, 80))"""
    with sync_playwright() as play:
        browser = chromium(play)
        for width in (400, 1200):
            for scheme in ("light", "dark"):
                tab = browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True
                )
                asked: list[str] = []
                said: list[str] = []
                tab.on("request", lambda one, asked=asked: asked.append(one.url))
                tab.on("console", lambda one, said=said: said.append(one.text))
                tab.goto(written.as_uri())
                assert asked == [written.as_uri()]
                assert said == []
                assert tab.evaluate(wider) == []
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
                tab.close()
        browser.close()
