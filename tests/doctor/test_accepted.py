"""What a person accepts stays in the report, apart and with its reason, until it ends."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator

import pytest

from mcpguard.cli import main
from tests.doctor.machine import PHRASE, TOKEN, Machine, machine

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def made(monkeypatch: Patch) -> Iterator[Machine]:
    with machine() as one:
        monkeypatch.setenv("HOME", str(one.home))
        monkeypatch.setenv("XDG_STATE_HOME", str(one.root / "xdg"))
        for name in ("XDG_CONFIG_HOME", "MCPGUARD_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(one.project)
        monkeypatch.setattr("sys.prefix", str(one.program))
        one.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
        one.write("home/.zshrc", f"export B_TOKEN={PHRASE}\n")
        yield one


def accept(*words: str) -> int:
    return main(["doctor", "--accept", "D102", "--reason", "rotated in January", *words])


def test_what_is_accepted_is_shown_apart_in_one_line_and_does_not_fail(
    made: Machine, capsys: Capture
) -> None:
    assert main(["doctor"]) == 1
    assert accept() == 0
    assert f"accepted: {made.home}/.bashrc:1: looks like a credential: A_TOKEN\n" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    line = f"  D102 {made.home}/.bashrc:1: looks like a credential: A_TOKEN (accepted: rotated in January)"
    assert said.startswith("accepted:\n" + line)
    assert said.endswith("nothing to do, 2 accepted\n")


def test_one_subject_is_accepted_and_the_others_count(made: Machine, capsys: Capture) -> None:
    assert accept("--subject", str(made.home / ".bashrc"), "--until", "2099-01-31") == 0
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [(one["standing"], one["accepted"]) for one in findings] == [
        ("accepted", "accepted: rotated in January; until 2099-01-31"),
        ("now", ""),
    ]


def test_an_acceptance_that_covers_nothing_any_more_is_reported_with_how_to_withdraw_it(
    made: Machine, capsys: Capture
) -> None:
    subject = str(made.home / ".bashrc")
    assert accept("--subject", subject) == 0
    (made.home / ".bashrc").unlink()
    (made.home / ".zshrc").unlink()
    capsys.readouterr()
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"D102 of {subject} is accepted, but nothing like it is found any more" in said
    assert f"\n    mcpguard doctor --withdraw D102 --subject {subject}\n" in said
    assert main(["doctor", "--withdraw", "D102", "--subject", subject]) == 0
    capsys.readouterr()
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "nothing found\n"


def test_what_was_accepted_until_a_day_counts_again_after_it(made: Machine, capsys: Capture) -> None:
    accept("--until", "2099-01-31")
    [one] = json.loads((made.root / "xdg/mcpguard/accepted.json").read_text())
    made.write("xdg/mcpguard/accepted.json", json.dumps([{**one, "until": "2026-01-31"}]))
    capsys.readouterr()
    assert main(["doctor"]) == 1
    assert "the acceptance of D102 expired on 2026-01-31" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--accept", "D102"], "say why with `--reason TEXT`"),
        (["--accept", "D102", "--reason", "x", "--until", "soon"], "write the date as in 2027-01-31"),
        (["--accept", "D102", "--reason", "x", "--until", "2020-01-31"], "2020-01-31 has passed"),
        (["--accept", "D102", "--reason", "x", "--subject", "other"], "so nothing was accepted"),
        (["--accept", "D101", "--reason", "x"], "is accepted only `--until` a date"),
        (["--withdraw", "D102"], "no acceptance of D102 is kept"),
        (["--withdraw", "D102", "--subject", "x"], "no acceptance of D102 with the subject x is kept"),
    ],
)
def test_what_cannot_be_accepted_is_refused_in_one_sentence(
    words: list[str], said: str, made: Machine, capsys: Capture
) -> None:
    assert main(["doctor", *words]) == 2
    assert said in capsys.readouterr().err
    assert not (made.root / "xdg/mcpguard/accepted.json").exists()


def test_the_file_is_the_persons_own_and_has_one_acceptance_a_subject(made: Machine) -> None:
    accept()
    accept("--until", "2099-01-31")
    path = made.root / "xdg/mcpguard/accepted.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one["until"] for one in json.loads(path.read_text())] == ["2099-01-31"]


def test_acceptances_that_cannot_be_read_accept_nothing(made: Machine, capsys: Capture) -> None:
    made.write("xdg/mcpguard/accepted.json", "[{")
    assert main(["doctor"]) == 1
    assert "accepted.json cannot be read, so nothing counts as accepted" in capsys.readouterr().out


def test_a_reason_that_quotes_a_token_is_not_printed(made: Machine, capsys: Capture) -> None:
    assert main(["doctor", "--accept", "D102", "--reason", f"it is {TOKEN}"]) == 0
    capsys.readouterr()
    main(["doctor"])
    assert TOKEN not in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_said(made: Machine, capsys: Capture) -> None:
    made.write("xdg/mcpguard", "a file")
    assert accept() == 2
    assert "cannot be " in capsys.readouterr().err
