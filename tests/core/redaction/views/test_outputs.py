"""What ordinary programs make of a secret is found as the secret itself is: they are run here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random
from string import ascii_letters, digits

import pytest

from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import views
from mcpguard.core.secret import Secret
from tests.core.redaction.views.programs import PROGRAMS

CHANCE = Random(14)


def random(size: int, letters: str = ascii_letters + digits) -> str:
    return "".join(CHANCE.choice(letters) for _ in range(size))


AWS = f"{random(9)}/{random(12)}+{random(7)}/{random(9)}"
PEM = "\n".join(
    [
        "-----BEGIN PRIVATE " + "KEY-----",
        *[random(64, ascii_letters + digits + "+/") for _ in range(6)],
        random(30) + "==",
        "-----END PRIVATE KEY-----",
    ]
)
JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJ{random(80)}.{random(60, ascii_letters + digits + '-_')}"
SECRETS = {
    "with marks": ("""p@ss/w+rd&1=x"z""", "login = {}"),
    "of AWS": (AWS, "aws_secret_access_key = {}"),
    "a key": (PEM, "{}"),
    "a JWT": (JWT, "bearer: {}"),
    "a token": ("ghp_" + random(36), "token = {}"),
}
FORMATS = {"of AWS", "a key", "a JWT", "a token"}
LOST = {
    "of AWS": {"node URL", "a table", "fold", "fold and nl", "fold and quote", "column"},
    "a key": {"a table"},
}
"""These print a value without the name or the first line that says what it is, cut that up or put it far away."""
SHORTEST = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, (secret, line) in SECRETS.items():
        folder = made[name] = tmp_path_factory.mktemp("repository")
        run = "git init -q . && git config user.name a && git config user.email a@b.example"
        commit = "git add . && git commit -q -m one"
        before, after = "# settings of a service\nname = demo\n", "region = eu-central-1\n"
        (folder / "settings.txt").write_text(before + after)
        shell(f"{run} && {commit}", folder, secret)
        (folder / "settings.txt").write_text(f"{before}{line.format(secret)}\n{after}")
        shell(commit, folder, secret)
    return made


def shell(command: str, folder: Path, secret: str, line: str = "") -> str:
    words = {
        "F": str(folder / "settings.txt"),
        "D": str(folder),
        "S": secret,
        "L": line,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("$F", '"$F"').replace("$D", '"$D"')],
        cwd=folder, env=os.environ | words, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace")


@cache
def redactor(held: str = "") -> Redactor:
    made = Redactor(b"key")
    if held:
        made.hold("env:A", Secret(held))
        made.settle()
    return made


def missing(command: str) -> str | None:
    return next((word for word in programs(command) if not shutil.which(word)), None)


def programs(command: str) -> list[str]:
    return [part.split()[0] for part in re.split(r" \| (?=[a-z])|; (?=busybox)|&& ", command.split(" '")[0])]


def bones(text: bytes) -> bytes:
    return re.sub(rb"[^a-z0-9]", b"", text.lower())


def readable(text: str, secret: str) -> str:
    """The longest piece of the secret that can be read in the text, or in what it says to who decodes it."""
    said = [bones(view.text) for view in views(text.encode() + PAD)]
    whole = bones(secret.encode())
    longest = b""
    for start in range(len(whole)):
        while whole[start : start + len(longest) + 1] and start + len(longest) < len(whole):
            piece = whole[start : start + len(longest) + 1]
            if not any(piece in one for one in said):
                break
            longest = piece
    return longest.decode()


def tried(program: str) -> list[str]:
    """Two of the secrets, others for the next program; all of them where MCPGUARD_PROGRAMS is set."""
    names = list(SECRETS)
    at = list(PROGRAMS).index(program)
    return names if os.environ.get("MCPGUARD_PROGRAMS") else [(names * 3)[at % 5], (names * 3)[at % 5 + 2]]


REACHING = ("xxd -b", "zip and base64", "xz and xxd", "quote_plus")
"""They reach branches that no other test reaches."""


@pytest.mark.parametrize(
    "program",
    [one if one in REACHING else pytest.param(one, marks=pytest.mark.uncounted) for one in PROGRAMS],
)
def test_what_a_program_prints_of_a_secret_is_removed(program: str, folders: dict[str, Path]) -> None:
    if absent := missing(PROGRAMS[program]):
        pytest.skip(f"{absent} is not installed")
    leaks = []
    for name in tried(program):
        secret, line = SECRETS[name]
        text = shell(PROGRAMS[program], folders[name], secret, line.format(secret))
        assert text, name
        known = name in FORMATS and program not in LOST.get(name, ())
        for held in (secret, "") if known else (secret,):
            made = redactor(held).inspect({"text": text}).value["text"]
            body = secret.removeprefix("eyJhbGciOiJSUzI1NiJ9.") if name == "a JWT" else secret
            left = readable(made, body)
            if made == text or len(left) > max(SHORTEST, len(bones(body.encode())) * 3 // 4):
                leaks.append((name, "held" if held else "format", left, made == text))
    assert leaks == []
