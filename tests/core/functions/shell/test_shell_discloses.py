"""What prints the environment or settings with secrets, according to shell(), and to real programs and shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import product

import pytest

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.tables import names
from tests.core.functions.shell.shells import SHELLS, present
from tests.core.functions.shell.test_shell_programs import FORMS
from tests.rows import each

MARK = "mark-8213"
ENVIRONMENT = {"PATH": os.environ["PATH"], "TOKEN": MARK}


@each("text", FORMS["disclose"])
def test_a_form_that_discloses_is_named_and_is_of_no_kind(text: str) -> None:
    try:
        told = shell(text)
    except FunctionError:
        return
    assert told["discloses"]
    assert "other" in told["kinds"]
    assert not told["simple"]


@each(
    "text",
    [
        *(
            "ps",
            "ps aux",
            "ps -ef",
            "ps axf",
            "ps -ely",
            "/bin/ps aux",
            "ps -aux",
            "ps -eo pid,args --sort=-pid",
        ),
        *("ps axo pid,cmd", "ps -p 4711 -o pid=,etime=", "ps -fC node", "ps -C node -o pid", "ps p 1,2"),
        *("printenv PATH HOME", "printenv -0 LANG", "env ls", "env -u X ls", "time ps", "command ps aux"),
        *("set -e", "set -euo pipefail", "set -ux", "set -o pipefail", "export LC_ALL=C"),
        *(
            "git config --get remote.origin.url",
            "git config remote.up.pushurl",
            "git config get remote.origin.fetch",
        ),
        *("git config user.name", "git config --get core.autocrlf", "git -C . config user.name"),
        *(
            "git config get user.email",
            "git config --bool core.bare",
            "git --no-pager config --get user.name",
        ),
        *(
            "grep -rn environ src",
            "awk '{print $1}' a",
            "jq .env a.json",
            "sudo_env=1",
            "echo env | grep env",
        ),
    ],
)
def test_what_shows_no_secret_only_reads(text: str) -> None:
    told = shell(text)
    assert (told["discloses"], set(told["kinds"]) - {"reads"}, told["code"]) == ([], set(), False)


@each(
    "text",
    [
        *("git config user.name Jo", "git config --global user.name Jo", "git config --unset user.name"),
        *(
            "git config set core.editor vi",
            "git config unset user.name",
            "git config --type=bool pull.rebase 1",
        ),
        *("export TOKEN", "unset TOKEN", "go env GOPATH", "npm run build", "npm run env:check", "npm test"),
        *("poetry env use 3.11", "docker run --env A=1 x", "python3 -c 'import secrets, inspect'"),
        *("docker compose exec api pytest", "rails --environment production", "./env/bin/python x.py"),
        *(
            "NODE_ENV=x npm test",
            "docker run -e ENV=prod x",
            "sudo grep env a",
            'ps -p "$1"',
            "ps -p $$",
            "git -c a=b log",
            "tmux ls",
        ),
    ],
)
def test_what_does_more_than_read_need_not_disclose(text: str) -> None:
    assert shell(text)["discloses"] == []


@each(
    ("text", "kinds"),
    [
        ("echo $HOME", ["reads"]),
        ("echo $TOKEN", ["other"]),
        ("ls; tee a <<< $TOKEN", ["other"]),
        ('while read -r line; do echo "$line"; done < a', ["reads"]),
        ("for f in a b; do cat $f; done", ["reads"]),
    ],
)
def test_a_line_with_a_variable_that_is_not_known_is_of_no_kind(text: str, kinds: list[str]) -> None:
    assert shell(text)["kinds"] == kinds


@cache
def accepted(line: str) -> bool:
    """Whether shell() says that `line` discloses nothing, and may have no other effect."""
    try:
        told = shell(line)
    except FunctionError:
        return False
    return not (told["discloses"] or told["variables"])


def of_ps() -> Iterator[str]:
    words = names("""
        -e -f -ef -A -ax aux e -o args pid,args -C cat -p 1 -l -y o axo -u -fC c -eF --forest -1
    """)
    for line in (*words, *map(" ".join, product(sorted(words), repeat=2))):
        yield f"ps {line}"


def shown(argv: list[str]) -> bool:
    done = subprocess.run(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return MARK.encode() in done.stdout + done.stderr


@pytest.mark.uncounted
@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_ps_shows_no_environment_where_it_says_so() -> None:
    if not shown(["ps", "auxe"]):
        pytest.skip("this ps shows no environment")
    lines = [line for line in of_ps() if accepted(line)]
    assert len(lines) >= 80
    assert "ps -ef" in lines
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert [line for line in lines if shown(line.split())] == []
        process.terminate()


@pytest.mark.uncounted
@pytest.mark.parametrize("name", present())
def test_shells_print_no_variable_where_it_says_so(name: str) -> None:
    first = names("set export declare typeset local readonly unset env printenv integer command builtin")
    second = names("-p -x -e -u -o pipefail + - --")
    last = ["", *names("TOKEN TOKEN=1 PATH ls export env set")]
    lines = {" ".join(filter(None, one)) for one in product(first, ["", *second, *last], last)}
    assert all(shown([*SHELLS[name], line]) for line in ("set", "env", "printenv TOKEN"))
    where_it_says_so = {line for line in lines if accepted(line)}
    assert len(where_it_says_so) > 300
    assert {line for line in where_it_says_so if shown([*SHELLS[name], line])} == set()
