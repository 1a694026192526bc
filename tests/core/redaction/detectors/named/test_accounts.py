"""Lines that are nothing but a user and a password lose the latter; other lines with a colon stay."""

from __future__ import annotations

import pytest

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


@each(
    "form",
    [
        "{0}",
        "backup:{0}",
        "# users\nbackup:{0}\n",
        "bob@example.com:{0}\r\nx",
        "bob:{0}\nal:none\ncarol:{0}\n",
        "bob:Private area:{0}\n".replace(" ", "-"),
        "db.example:6000:shop:app:{0}\n",
        "*:15432:*:app:{0}",
        "a b\nroot:{0}\nc d",
        "bob:{0}\n",
        "\n# users\n\nbob:{0}\n # more\nal:{0}\n# end",
    ],
)
def test_the_password_of_a_line_is_removed(form: str) -> None:
    if form == "{0}":
        assert cleaned(HUMAN) == HUMAN
        return
    assert cleaned(form.format(HUMAN)) == form.format("[REDACTED:password#1]")


def test_hashes_in_a_file_of_users_are_removed() -> None:
    text = "bob:rOioh4Wh31cVw\nal:Private:4a7d1ed414474e4033ac29ccb8653d9b\n"
    assert cleaned(text) == "bob:[REDACTED:password#1]\nal:Private:[REDACTED:password#2]\n"


@each(
    "text",
    [
        "level:info\n",
        "nginx:1.25.3-alpine\n",
        "user:1000\n",
        "bob:x:1000:1000:Bob:/home/bob:/bin/bash\n",
        "user:password123\nuser:changeme\n",
        "note:river.Stone47! of it\n",
        "a.py:12:b:c:defghi\n",
        "git@github.com:owner/repo.git\n",
        "x:" + "river.Stone47!" * 20 + "\n",
        "a" * 80 + ":river.Stone47!\n",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8\n",
        "main:3f2a9c1b7d\nfix:9e107d9d372b\n",
        "app:sha-3f2a9c1b\n",
        "npm:left-pad@1.3.0\njsr:std@0.224.0\n",
        "tag:v1.0.0-beta+exp.sha.5114f85\n",
        "user:Ab12Cd34Ef56",
        "room:B12-F3@HQ",
        "a line\nroom:B12-F3@HQ\nid:Ab12Cd34Ef56\n",
        "room:B12-F3@HQ\nid:Ab12Cd34Ef56\na line",
    ],
)
def test_another_line_with_a_colon_stays(text: str) -> None:
    assert cleaned(text) == text


def test_a_file_is_read_in_steps_and_to_its_end() -> None:
    lines = "".join(f"user{number}:river.Stone{number}!\n" for number in range(10, 60))
    assert cleaned(lines).count("[REDACTED:password#") == 50


@pytest.mark.parametrize("leaves", [["bob:", "river.Stone47!"], ["bob:riv", "er.Stone47!"]])
def test_a_line_is_within_one_text(leaves: list[str]) -> None:
    assert Redactor(b"key").inspect(leaves).value == leaves


def test_a_line_behind_more_than_are_read_at_once_is_found_too() -> None:
    assert cleaned("bob:password1\n" * 2100 + f"al:{HUMAN}\n").endswith("\nal:[REDACTED:password#1]\n")


def test_a_digest_in_a_member_stays() -> None:
    value = {"Id": "sha256:9f86d081884c7d659a2f", "image": "app:3f2a9c1b7d", "cursor": "page:Ab12Cd34Ef56"}
    assert Redactor(b"key").inspect(value).value is value


def test_lines_behind_many_that_are_no_file_stay() -> None:
    text = "a line\n" + "id:password1\n" * 10 + "room:B12-F3@HQ\n"
    assert cleaned(text) == text
