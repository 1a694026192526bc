"""What the words and the variables of a program say by themselves: which paths are in them, and which of
these are code.

Law of this file: a path is found wherever it stands in a text, since each program has a syntax of its own.
Only variables that are listed name code; a path in any other is one of data.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mcpguard.adapters.upstreams.process.inherited import AUTHORITIES

LAUNCHERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("npx", "pnpx", "bunx", "uvx"), ()),
    **dict.fromkeys(("pipx", "poetry", "pdm", "rye", "hatch"), ("run",)),
    **dict.fromkeys(("pnpm", "yarn"), ("exec", "dlx", "run", "start")),
    "npm": ("exec", "x", "run", "start"),
    "bun": ("x", "run"),
    "deno": ("run", "task"),
    "uv": ("run", "tool"),
}
"""What looks for a program, or for what says how to run it, in the folder that it starts in; where there are
words, with one of them."""

INTERPRETERS = (
    "python", "node", "nodejs", "deno", "bun", "tsx", "ts-node", "ruby", "perl", "php", "sh", "bash",
)  # fmt: skip
CODE_OPTIONS = (
    "--directory", "--project", "--prefix", "--cwd", "-C", "--from", "--with-editable", "--require", "-r",
    "--import", "--loader", "--env-file", "--class-path", "-classpath", "-cp", "-jar",
)  # fmt: skip
"""Options of launchers and interpreters whose value is a file or a folder that code is taken from."""

_CODE_VARIABLE = re.compile(
    "PATH|HOME|ENV|BASH_ENV|ZDOTDIR|SHELL|EDITOR|VISUAL|PAGER|CLASSPATH|PHPRC|KUBECONFIG|OPENSSL_CONF|GOBIN"
    "|XDG_(?:CONFIG|DATA|CACHE)_HOME|(?:LD|DYLD)_[A-Z_]+|PYTHON[A-Z]+|VIRTUAL_ENV|CONDA_PREFIX|(?:UV|PIPX?)_[A-Z_]+"
    "|NODE_(?:PATH|OPTIONS|COMPILE_CACHE)|(?i:npm_config_(?:prefix|cache|userconfig|globalconfig))"
    "|BUN_INSTALL|DENO_(?:DIR|INSTALL_ROOT)|PERL5(?:LIB|OPT)|RUBY(?:LIB|OPT)|GEM_(?:HOME|PATH)"
    "|BUNDLE_(?:GEMFILE|PATH)|(?:JAVA|CARGO|RUSTUP)_HOME|(?:JAVA_TOOL|JDK_JAVA|_JAVA)_OPTIONS"
    "|DOTNET_(?:ROOT|STARTUP_HOOKS)|PHP_INI_SCAN_DIR|LUA_C?PATH|SSH_ASKPASS"
    "|GIT_(?:EDITOR|PAGER|SSH(?:_COMMAND)?|ASKPASS|EXEC_PATH|TEMPLATE_DIR|CONFIG_(?:GLOBAL|SYSTEM)|EXTERNAL_DIFF)"
    "|AWS_(?:CONFIG|SHARED_CREDENTIALS)_FILE|GOOGLE_APPLICATION_CREDENTIALS|CLOUDSDK_CONFIG|DOCKER_CONFIG"
    "|(?:CHROME|PUPPETEER_EXECUTABLE|PLAYWRIGHT_BROWSERS)_PATH"
)
"""Variables that name what is run, or settings and credentials, in the manuals of loaders, interpreters,
package managers, git and the command lines of clouds."""

_SCRIPTS = (
    ".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".mts", ".rb", ".pl", ".php", ".sh", ".jar", ".so", ".node",
)  # fmt: skip
_MAIN = ("package.json", "index.js", "__main__.py")
"""What makes a folder a program."""
_SEPARATOR = re.compile(r"[\s,:;=|\"'`()\[\]{}<>]")
_JOINED = re.compile("-[A-Za-z](?=[/~.])")


def paths_in(text: str, folder: Path | None = None) -> Iterator[Path]:
    """Every full path in `text`, such as both in `--roots=/a,/b`: where several readings begin at the same
    place, the longest that exists, else the shortest. A relative one is in `folder`, if there is one, and has
    to exist."""
    text = text.replace("$HOME/", "~/").replace("\0", "")
    marks = [one.start() for one in _SEPARATOR.finditer(text)]
    joined = _JOINED.match(text)
    starts = [0, *([joined.end()] if joined else []), *(mark + 1 for mark in marks)]
    for start in starts:
        read = [os.path.expanduser(text[start:end]) for end in (*marks, len(text)) if end > start]
        if not read or (text[:start].endswith(":") and re.match("//[^/]", read[0])):
            continue  # Nothing, or the host of a URL.
        full = [os.path.join(folder or "", one) for one in reversed(read)]
        there = next((one for one in full if os.path.isabs(one) and os.path.exists(one)), None)
        if there is not None or os.path.isabs(read[0]):
            yield Path(os.path.normpath(there or read[0]))


def names_code(variable: str) -> bool:
    """Whether a variable names what a program runs, or what it goes by."""
    return variable in AUTHORITIES or _CODE_VARIABLE.fullmatch(variable) is not None


def sets_code(word: str) -> bool:
    """Whether a word sets such a variable, as one of `env PYTHONPATH=/a python3 …` does."""
    name, equals, _value = word.partition("=")
    return bool(equals) and names_code(name)


def is_code(path: Path) -> bool:
    """Whether a file is one that is run, by its name or its mode."""
    named = path.name.endswith(_SCRIPTS) or path.name.startswith(".env")
    return named or (path.is_file() and os.access(path, os.X_OK))


def option_values(words: Iterable[str], options: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The values of these options, each with its index."""
    before = ""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if equals and name in options:
            yield index, value
        elif before in options:
            yield index, word
        before = word


def script(command: str, args: tuple[str, ...]) -> int | None:
    """The index of the argument that an interpreter runs: a file or a folder. None where it runs a module or
    code in an argument, and where `command` is not an interpreter."""
    name = os.path.basename(command)
    if name.rstrip("0123456789.") not in INTERPRETERS:
        return None
    values = {index for index, _text in option_values(args, CODE_OPTIONS)}
    for index, word in enumerate(args):
        if word in ("-m", "-c", "-e", "--eval"):
            return None
        if not word.startswith("-") and index not in values and (os.sep in word or word.endswith(_SCRIPTS)):
            program = not os.path.isdir(word) or any(os.path.exists(os.path.join(word, one)) for one in _MAIN)
            return index if program else None
    return None
