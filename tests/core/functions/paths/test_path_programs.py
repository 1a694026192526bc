"""No program takes a path for one in another place than a condition was told of.

The paths are made by chance from a seed. MCPGUARD_PATHS sets how many, MCPGUARD_PATH_SEED which ones.
"""

from __future__ import annotations

import glob
import json
import ntpath
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

import pytest

from scripts import node
from tests.conformance import stage
from tests.core.functions.web.test_urls import says

COUNT = int(os.environ.get("MCPGUARD_PATHS", "3000"))
SEED = int(os.environ.get("MCPGUARD_PATH_SEED", "11"))
SECONDS = 300

ORDINARY = [
    *(
        "a",
        "b.txt",
        ".x",
        "100%.txt",
        "50% of it",
        "[id]",
        "[...slug]",
        "[[...rest]]",
        "{{name}}",
        "{id}",
        "{}",
    ),
    *(
        "my file (1).txt",
        "(app)",
        "@types",
        "+page.svelte",
        "C#",
        "#1.md",
        "R&D",
        "backup~",
        "it\u2019s",
        "é",
        "日本",
    ),
    *("a-b_c", "x=1", "1,2", "a;b", "..data", "a..b", "12:30.log", "data", "-rf", "v1.2+3", "\U0001f600.png"),
]
ODD = [
    *(
        "..",
        "..",
        ".",
        "",
        "~",
        "~root",
        "$HOME",
        "${EMPTY}",
        "..${EMPTY}",
        "..$EMPTY",
        "$UP",
        "$(echo ..)",
        "`echo ..`",
    ),
    *(
        "..''",
        '..""',
        "'..'",
        "..\\",
        "\\..",
        "%2e%2e",
        "%2E.",
        "..%2f",
        "%252e%252e",
        "%EMPTY%..",
        "..%EMPTY%",
        "!UP!",
    ),
    *(
        "[.][.]",
        ".[.]",
        "[.].",
        "[[:punct:]].",
        ".{.,x}",
        "{..,a}",
        "{.}.",
        "@(..)",
        "+(.)",
        "?(.).",
        ".?",
        "*",
        "**",
        "??",
    ),
    *(
        "..#",
        "#",
        "..;",
        ";..",
        "..;x=1",
        ".. ",
        " ..",
        "...",
        "a:~",
        "a=~",
        "=ls",
        "a:",
        "a,",
        "dat[a]",
        "[d]ata",
        "{data}",
    ),
    *(
        "..\u200b",
        "\uff0e\uff0e",
        "..\u2215",
        "\u2024.",
        "..\n",
        "..\t",
        "DATA",
        "data#",
        "data;x",
        "data x",
        "data,x",
        "(d)ata",
        "dat(a)",
        "d@(a)ta",
    ),
    *(
        "{a,/../../x}",
        "{a..b}",
        "{-..0}",
        "x~1",
        "<(a)",
        "..^",
        ".^.",
        "..%",
        "%..",
        "..% %",
        "u%",
        "file:",
        "C:",
    ),
]
CHARACTERS = "\\/.~$%{}[]()*?!'\"`#;:&|<>^,=@+- \t\n\x00éA"


def made(chance: Random, root: str) -> str:
    """A path of a few names, from `root`, from nowhere or from elsewhere."""
    starts = [
        f"{root}/",
        f"{root}/",
        "",
        "",
        "./",
        "/",
        "../",
        "~/",
        "$HOME/",
        "//",
        f"{root}",
        "file://",
        f"{root}/../",
    ]
    names = [chance.choice(ORDINARY if chance.random() < 0.6 else ODD) for _ in range(chance.randint(1, 4))]
    text = chance.choice(starts) + "/".join(names)
    if chance.random() < 0.3:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(CHARACTERS) + text[at + chance.choice([0, 1]) :]
    return text


class Place:
    """A folder with files in it and beside it, and the paths that conditions answer for."""

    def __init__(self, top: Path) -> None:
        self.root = str(top / "srv" / "data")
        for name in ("a", ".x", "i", "data", "sub/b"):
            for folder in (top / "srv" / "data", top / "srv" / "data2", top / "srv"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        chance = Random(SEED)
        texts = [made(chance, self.root) for _ in range(COUNT)]
        answers = [says("pathWithin", text, self.root, self.root) for text in texts]
        self.answers = {text: it for text, it in zip(texts, answers, strict=True) if it is not None}

    def holds(self, path: str) -> bool:
        """Whether the kernel finds `path` in the folder."""
        return (os.path.realpath(os.path.join(self.root, path)) + "/").startswith(self.root + "/")

    def mistakes(self, readings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Of the paths and what a program makes of them: those of which the answer is not true."""
        return [(path, read) for path, read in readings if self.holds(read) is not self.answers[path]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: Any) -> Place:
    return Place(tmp_path_factory.mktemp("paths"))


VARIABLES = {"EMPTY": "", "UP": "..", "HOME": "/root", "PATH": os.environ.get("PATH", os.defpath)}


def words(path: str) -> list[str]:
    """What a command line that is split as a shell does makes of it: words from the start of the path on."""
    try:
        return shlex.split(path)[:1]
    except ValueError:
        return []


LIBRARIES = {
    "the kernel": lambda path: [path],
    "expandvars": lambda path: [os.path.expandvars(path)],
    "expandvars of Windows": lambda path: [ntpath.expandvars(path)],
    "expanduser": lambda path: [os.path.expanduser(path)],
    "GitPython": lambda path: [os.path.expandvars(os.path.expanduser(path))],
    "normpath": lambda path: [os.path.normpath(path)],
    "a decoder": lambda path: [unquote(path), unquote(unquote(path))],
    "backslashes": lambda path: [path.replace("\\", "/")],
    "a shell's words": words,
    "a list of paths": lambda path: [re.split(r"[,:;&]", path)[0]] if path[0] not in ",:;&" else [],
    "quotes": lambda path: [re.sub(r"['\"`]", "", path)],
    "a trim": lambda path: [path.strip(), "/".join(name.strip() for name in path.split("/"))],
    "Tomcat": lambda path: [re.sub(r";[^/]*", "", path)],
    "csh": lambda path: [re.sub(r"[{}]", "", path)] if "{}" not in path else [path],
    "a URL's path": lambda path: [path.partition("#")[0].partition("?")[0]],
}
"""What libraries and programs make of a path, each by its own rule."""


@pytest.mark.uncounted
@pytest.mark.parametrize("program", LIBRARIES)
def test_a_library_finds_the_place_that_a_condition_saw(
    program: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    read = LIBRARIES[program]
    assert place.mistakes((path, other) for path in place.answers for other in read(path)) == []


def test_a_glob_finds_the_place_that_a_condition_saw(place: Place) -> None:
    matches = [
        (path, f) for path in place.answers for f in glob.glob(path, root_dir=place.root, recursive=True)
    ]
    assert matches
    assert place.mistakes(matches) == []


EVALUATED = 'for word do ( eval "printf \'%s\\\\0\' $word" ) 2>/dev/null; printf "\\\\1"; done'
SHELLS = {
    "sh": ["sh", "-c", EVALUATED],
    "bash": ["bash", "-O", "extglob", "-O", "dotglob", "-c", EVALUATED],
    "busybox": ["busybox", "sh", "-c", EVALUATED],
    "zsh": ["zsh", "-f", "-o", "nonomatch", "-c", EVALUATED],
}


def unsplit(path: str) -> str:
    """One word for a shell, in which all that expands still does."""
    return re.sub(r"(?<![@+])\(|[ ;&|<>#)]", lambda found: "\\" + found[0], path)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_finds_the_place_that_a_condition_saw(shell: str, place: Place) -> None:
    command = SHELLS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    paths = list(place.answers)
    done = subprocess.run(
        [*command, shell, *map(unsplit, paths)],
        cwd=place.root,
        env=VARIABLES,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    printed = done.stdout.decode().split("\1")[:-1]
    assert len(printed) == len(paths)
    found = [(path, one) for path, all_ in zip(paths, printed, strict=True) for one in all_.split("\0")[:-1]]
    assert len(found) > len(paths) / 2
    assert place.mistakes(found) == []


NODE = """
const path = require("path"), url = require("url");
const said = (read) => { try { return read(); } catch { return null; } };
const [root, paths] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(paths.map((one) => [
  path.resolve(root, one),
  path.normalize(one),
  said(() => url.fileURLToPath("file://" + path.join(root, "x").slice(0, -2) + "/" + one)),
].slice(0, one.startsWith("/") ? 2 : 3))));
"""


@pytest.mark.node
def test_node_finds_the_place_that_a_condition_saw(place: Place) -> None:
    if stage.without_node():
        pytest.skip("MCPGUARD_WITHOUT_NODE=1")
    done = subprocess.run(
        [node.program(node.ready(), "x")[0], "-e", NODE],
        input=json.dumps([place.root, list(place.answers)]),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    found = zip(place.answers, json.loads(done.stdout), strict=True)
    assert (
        place.mistakes((path, one) for path, readings in found for one in readings if one is not None) == []
    )


@pytest.mark.uncounted
def test_an_ordinary_path_is_read(place: Place) -> None:
    chance = Random(SEED)
    for _ in range(COUNT // 5):
        names = [chance.choice(ORDINARY) for _ in range(chance.randint(1, 4))]
        for start in (f"{place.root}/", "./", "sub/"):
            path = start + "/".join(names)
            assert says("pathWithin", path, place.root, place.root) is True or path.count("%") > 1, path


def test_the_paths_are_enough(place: Place) -> None:
    """An oracle that sees no answer would prove nothing."""
    assert sum(place.answers.values()) > COUNT / 20
    assert sum(not answer for answer in place.answers.values()) > COUNT / 100
