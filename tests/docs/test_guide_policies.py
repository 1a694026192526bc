"""The rules of the guide mean what their names say."""

from __future__ import annotations

import pytest

from mcpguard.core.model import Permit
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from tests.docs.pages import ROOT, blocks
from tests.docs.verdicts import verdict

GUIDE = ROOT / "docs" / "guides" / "write-a-policy.md"


def reading() -> PolicySet:
    (text,) = [one.text for one in blocks("yaml", "policy", [GUIDE]) if "policy: reading\n" in one.text]
    return PolicySet([compile_policy(text, "guide", OPT_IN)])


def allowed(command: str) -> bool:
    return isinstance(verdict(reading(), "shell", "run", {"command": command}), Permit)


@pytest.mark.parametrize(
    "command", ["ls -l", "cat a.txt 2>/dev/null | head -3", "grep -rn x src | sort", "wc -l src/*"]
)
def test_harmless_commands_are_run(command: str) -> None:
    assert allowed(command)


@pytest.mark.parametrize(
    "command",
    [
        "git push --force", "git rm -r .", "git status", "cat /etc/passwd", "cat ../x", "cd .. && cat x", "ls > x",
        "sort -o x y", "wc --files0-from=x", "grep -f /etc/passwd x", "./ls", "ls $(rm x)", "cat x | tee y", "head $x",
        "wc -l *",
    ],
)  # fmt: skip
def test_what_is_not_harmless_is_not(command: str) -> None:
    assert not allowed(command)
