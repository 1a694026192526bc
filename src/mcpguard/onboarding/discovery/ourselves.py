"""Whether an entry of a client starts mcpguard: known by what is started, never by its name.

Law of this file: only what is positively an installed mcpguard counts as one. An installation is a
distribution whose record lists the script, with its digest; whoever can write as this user can make one up.
"""

import os
import re
import shutil
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

NAMES = ("mcpguard", "mcpguard-gateway")

PROJECT = "mcpguard-gateway"
"""What this project is called on PyPI. `mcpguard` there is another project, and npm has none of ours."""

_DISTRIBUTION = "mcpguard_gateway-*.dist-info/RECORD"
_AS_ANOTHER = ("sudo", "doas")
_STEERING = re.compile(r"(?i)(?:PYTHON|LD_|DYLD_|__PYVENV_|GCONV_PATH$)")
"""Variables of the interpreter and the loader, most of which can have other code run in the program that is
named: a folder of modules, of compiled ones, or of libraries."""
_HARMLESS = frozenset(
    [
        *("PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"),
        *("PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONFAULTHANDLER", "PYTHONDEVMODE", "PYTHONCOERCECLOCALE"),
    ]
)

_STARTERS = re.compile(
    r"(?:python|pypy)[0-9.]*|sh|bash|dash|zsh|ksh|fish|env|sudo|doas|nice|nohup|node|deno|bun|npx|bunx|pnpx|npm|"
    r"pnpm|yarn|uvx|uv|pipx|docker|podman|cmd|cmd\.exe"
)

_FETCHERS = frozenset(("uvx", "uv", "pipx"))
_NODE_FETCHERS = frozenset(("npx", "bunx", "pnpx", "npm", "pnpm", "yarn", "bun"))
_OPTION = re.compile(r"--?[a-z-]+=")
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
_LEADING = 6


def starts_mcpguard(command: str, args: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether these words start an installed mcpguard. Reads files."""
    words = _without_user([command, *args])
    if not words or any(_STEERING.match(name) and name not in _HARMLESS for name in env):
        return False
    program = shutil.which(words[0], path=env.get("PATH") or os.environ.get("PATH"))
    if program is None or not os.path.isabs(program):
        return False
    if os.path.basename(program).startswith("python"):
        return _as_module(words[1:]) and _has_mcpguard(Path(program))
    real = Path(os.path.realpath(program))
    return real.name in NAMES and any(_lists(record, real) for record in _records(real))


def arguments_of(command: str, args: Sequence[str]) -> list[str]:
    """What mcpguard gets of these words, which start it."""
    words = _without_user([command, *args])
    if words and os.path.basename(words[0]).startswith("python"):
        return words[words.index("-m") + 2 :] if "-m" in words else []
    return words[1:]


def claims_mcpguard(command: str, args: Sequence[str]) -> bool:
    """Whether these words look as if they started mcpguard."""
    if os.path.basename(command) in NAMES:
        return True
    if fetched(command, args):
        return True
    starts = _STARTERS.fullmatch(os.path.basename(command))
    return bool(starts) and any(os.path.basename(re.sub(r"[=@].*$", "", word)) in NAMES for word in args[:3])


def fetched(command: str, args: Sequence[str]) -> str:
    """What a launcher of packages would fetch under a name of mcpguard, such as "mcpguard of PyPI"; "" for
    nothing. Only PROJECT of PyPI is ours."""
    launcher = os.path.basename(command)
    if launcher not in _FETCHERS | _NODE_FETCHERS:
        return ""
    words = [_OPTION.sub("", word) for word in args[:_LEADING]]
    names = {found[0].lower() for word in words if "/" not in word and (found := _PACKAGE.match(word))}
    name = next((one for one in reversed(NAMES) if one in names), "")
    return name and f"{name} of {'PyPI' if launcher in _FETCHERS else 'npm'}"


def _without_user(words: list[str]) -> list[str]:
    """The words after `sudo -n -u USER`, which start the same program."""
    if os.path.basename(words[0]) not in _AS_ANOTHER:
        return words
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        if rest[0] not in ("-n", "-u", "-H"):
            return []
        rest = rest[2:] if rest[0] == "-u" else rest[1:]
    return rest


def _as_module(args: Sequence[str]) -> bool:
    """Whether Python runs the module, and not one of the same name in the folder where it is started."""
    end = next((index for index, word in enumerate(args) if word == "-m"), len(args))
    flags = set(args[:end])
    module = list(args[end + 1 : end + 2]) == ["mcpguard"]
    return module and bool(flags & {"-P", "-I"}) and flags <= {"-P", "-I", "-E", "-s", "-B", "-u"}


def _has_mcpguard(python: Path) -> bool:
    # Not where a link leads: that of a virtual environment leads out of it.
    ours = os.path.abspath(python) == os.path.abspath(sys.executable)
    return ours or any(True for _ in _records(python))


def _records(program: Path) -> Iterator[Path]:
    """The records of the distributions beside the folder of `program`."""
    for packages in ("site-packages", "dist-packages"):
        yield from program.parent.parent.glob(f"lib*/python3*/{packages}/{_DISTRIBUTION}")


def _lists(record: Path, script: Path) -> bool:
    """Whether the record of a distribution has this script as it is (binary distribution format, RECORD)."""
    try:
        digest = urlsafe_b64encode(sha256(script.read_bytes()).digest()).rstrip(b"=").decode()
        lines = record.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return False
    for line in lines:
        path, _, rest = line.partition(",")
        if os.path.basename(path) == script.name and rest.startswith(f"sha256={digest},"):
            return os.path.realpath(record.parent.parent / path) == str(script)
    return False
