"""What a command is for: the words of a command line -> its kind, such as `builds` or `deletes`.

Law of this file: a positive list. A command is of a kind only if a form in `forms.txt` has all of its words:
those that it begins with, each option, and each operand by its role; any other is of the kind `other`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from msgspec import Struct

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.programs import SHELL_SETTINGS, WHERE_AND_WHO, known, lines
from mcpguard.core.functions.shell.scripts import harmless
from mcpguard.core.functions.shell.words import Word
from mcpguard.core.functions.web.networks import is_private_host
from mcpguard.core.tables import names, read_table

READS, SHOWS, BUILDS, RUNS, OTHER = "reads", "shows", "builds", "runs", "other"
_KINDS = (
    "reads shows edits cleans deletes builds runs installs adds probes posts fetches queries pushes other"
)
KINDS = tuple(_KINDS.split())
"""All kinds, as the page of `SHELL` explains them."""

_BEHIND = {kind: kind for kind in (BUILDS, RUNS, "installs", "adds")} | {SHOWS: BUILDS}
"""What a command is behind the words of another, such as `uv run`: the project says what its words mean."""

_TOOL = re.compile(r"(?:\./)?(?:node_modules/\.bin|\.?venv/bin)/([\w.-]+)", re.ASCII)
"""A program that the project installed for itself."""
_WRAPPER = re.compile(r"\./((?:mvn|gradle)w)", re.ASCII)
_SYSTEM = re.compile(r"(?:/(?:usr/|usr/local/|opt/homebrew/)?s?bin/)?([^/]+)", re.ASCII)
_OWN = re.compile(r"(?:\./)?\w[\w+-]*(?:[/.][\w+-]+)*", re.ASCII)

_ABLE = names("code inner")
"""Traits of programs that could run code which stands in their arguments, wherever the project has them."""
_MANAGE = "manage.py"
"""The script of Django, which can run code that stands in its arguments."""

_PATH = re.compile(r"(?![-~=+@])(?!(?:.*/)?\.(?:\.(?:/|$)|\.?[*?\[]))[^:=$`\n\\]+")
"""A path, and nothing that means more to some program: an option, a setting, a file of options, the folder
above, which `.*` is to dash."""
_BELOW = r"(?!(?:.*/)?\.\.(?:/|\Z))[\w.][\w./@+-]*"
"""What a symbolic link may lead to (not `.`), and its own name. If it led to a folder above, `..` behind it
would lead out of what the path says: `ln -s . a`, `cat a/../b`."""
_DELETABLE = re.compile(
    r"(?:\./)?(?:\w[^*?\[]*(?:\*\.\w+)?|\.(?:venv|tox|nox|next|nuxt|coverage|cache|[a-z]+_cache))|\./\*\.\w+",
    re.ASCII,
)
"""What is named, with all that is in it; of a folder's files those with one ending."""
_BUNDLED = names("tar")
"""Programs that read a first word without a dash as options, whose arguments may begin with one: in
`tar cfV a -t b`, `-t` is a label."""
_LINE = re.compile(r"(?:::(?!.*\.\./).*|:\d+(?:,\d+)*)\Z", re.ASCII)
_BUILT = names("""
    node_modules __pycache__ .pytest_cache .mypy_cache .ruff_cache .tox .nox .next .nuxt .turbo .parcel-cache
    .eslintcache .coverage htmlcov coverage dist target .DS_Store *.pyc *.pyo *.o *.class *.tsbuildinfo
    *.egg-info
""")
_TARGET = (
    r"(?:all|tests?|build|check|lint|format|fmt|types?|type-?check|coverage|cov|docs?|clean|unit|e2e|integration|spec"
    r"|compile|verify|package|assemble|bench|ci|fix|style|validate)"
)
_TASK = (
    r"(?:test|assemble|bundle|lint|compile|check|build|clean|ktlintCheck|detekt|dependencies)"
    r"(?:Debug|Release)?(?:UnitTest|AndroidTest|Kotlin|Java|Sources)?"
)
_PART = (
    r"(?:\d+|all|unit|int|integration|e2e|ci|watch|fix|dev|prod|production|css|styles|js|ts|web|api|app|server|client|ui"
    r"|libs?|types?|docs?|coverage|cov|debug|fast|slow|quick|full|changed|staged|check|wasm|esm|cjs|node|browser"
    r"|storybook|assets|report|strict|smoke|snapshots?|update|backend|frontend)"
)
"""What may follow a target: the kind of a `docs:deploy` is not known."""
_NO_CONTAINER = r"(?:svc|services?|no|nodes?|ns|namespaces?|ev|events?|ing|ingress(?:es)?|pvc?|hpa|endpoints)"
_RESOURCE = (
    rf"(?:{_NO_CONTAINER}|all|po|pods?|deploy|deployments?|jobs?|cronjobs?|sts|statefulsets?|ds|daemonsets?"
    r"|rs|replicasets?)"
)
_COLUMN = (
    r"(?:args|blocked|bsdstart|bsdtime|cgroup|class|cls|cmd|comm|command|cp|c|cputime|drs|egid|egroup|elapsed|etimes?|euid"
    r"|euser|f|flags?|gid|group|lstart|lwp|maj_flt|min_flt|ni|nice|nlwp|p?pid|pgid|pgrp|pri|psr|rgid|rgroup|rss|rssize"
    r"|rsz|rtprio|ruid|ruser|s|sess|sid|size|spid|start|start_time|stat|state|stime|sz|tgid|thcount|tid|time|trs|tty?"
    r"|ucmd|ucomm|uid|uname|user|vsi?ze?|wchan|%?cpu|%?mem|pcpu|pmem)"
)
"""What ps prints of a process, but its environment."""
_LOCAL = r"(?:http://)?(?:localhost|127\.0\.0\.1):(?:3\d{3}|4200|4321|5000|5173|8000|808\d|8888)"
SETTING = re.compile(
    r"(?:advice|branch|color|commit|core|diff|fetch|format|gc|init|log|merge|pull|push|rebase|rerere|status|tag|user)"
    r"\.[\w./-]+",
    re.ASCII,
)
"""The name of a setting of git that holds no secret."""
_ROLES = {
    role: re.compile(form, re.ASCII | re.DOTALL)
    for role, form in {
        # Go asks others for a package whose first name has a dot, or that has an `@`.
        "A": r"(?!.*(?:\A|/)\.\.(?:/|\Z))(?:\.|\./[\w./-]*|\w[\w-]*(?:/[\w.-]*)*|\w[\w-]*\.go)",
        "B": r"-|main|master|develop|trunk|(?:feature|feat|fix|bugfix|hotfix|chore|claude|codex)/\w[\w-]*",
        "C": _BELOW,
        "E": r"\.(?:/\.\.\.)?|(?!.*/\.\.(?:/|\Z))(?:\./\w[\w./-]*"
        r"|\w[\w-]*(?:/\w[\w-]*)*(?:/(?:\w[\w.-]*|\.\.\.)?|\.\w[\w.-]*))",
        "F": r"(?:[^@%]|%\{[a-z_]+\})+",
        "G": rf"{_TARGET}(?:[:_-]{_PART})*",
        "H": r"(?!(?i:\s*(?:host|proxy)))[^@\n][^\n]*",
        "I": r"[1-9]\d+",
        "K": r"[+-]?[\w%]+(?:,[+-]?[\w%]+)*",
        "L": r"\d+(?:,\d+)*",
        "M": r".+",
        "N": r"(?!env\Z)\w[\w.:-]*",  # `npm run env` prints the environment.
        "O": rf"{_COLUMN}=?(?:,{_COLUMN}=?)*",
        "P": r"no:[a-z]+",
        "Q": rf"(?!(?:\./*)+\Z){_BELOW}",
        "R": r"default|verbose|dot|json|summary|tap|list|line|html|github|github-actions|spec|min|progress",
        "U": r"https://(?:[a-z0-9-]+\.)+[a-z]+(?:/[\w.~%+@,=-]+)+",
        "V": "|".join(map(re.escape, sorted(WHERE_AND_WHO))),
        "W": rf"{_RESOURCE}(?:,{_RESOURCE})*(?:/[\w.-]+)?",
        # What ps is given without a dash: letters, none of them `e`, and what `o` or `p` before it takes.
        "X": r"(?!.*(?:\A|/)\.\.(?:/|\Z))(?:\.|(?:\./)?\w[\w-]*(?:[./][\w-]+)*)",
        "Y": rf"[1LSTXacfhjlmnrsuvwx]+[op]?|[op]|\d+(?:,\d+)*|{_COLUMN}=?(?:,{_COLUMN}=?)+",
        "Z": rf"{SETTING.pattern}|remote\.[\w/-]+\.(?:fetch|(?:push)?url)",
        "a": r"[a-z_][\w.]*:\w+",
        "c": r"(?!.*\.\.)[\w.,:=+][\w.,:=@+-]*",
        "d": r"\d+(?:\.\d+)?(?:ms|[smh])?",
        "e": r"(?:\./)?\w[\w-]*(?:/\w[\w-]*)*(?:/\w[\w.-]*|\.\w[\w.-]*)",
        "f": r"false|true|never|no|none",
        "g": r"\w[\w.-]*(?:/[\w.~-]+)+(?:@[\w.-]+)?",
        "h": r"[^@\n][^\n]*",
        "i": r"-?\d+|auto|max",
        "j": rf"(?:(?::[\w-]+)*:)?{_TASK}",
        "k": r"(?:@\w[\w.-]*/)?\w[\w.-]*(?:\[[\w,-]+\])?(?:(?:@|[=~<>!]=?)[\w.*^~<>=!,-]+)?",
        "l": _LOCAL + r"(?:/[^\s$`]*)?",
        "m": r"0?[0-7]{3}|[ugoa]*[+-][rwx]+",
        "n": r"(?!.*\.\.)\w[\w.@/+-]*",
        "o": r"origin|upstream",
        "r": r"-|[\w@][\w./@{}~^-]*",
        "s": r"(?:\.?(?:bak|backup|old|orig|tmp))?",
        "u": r"https://(?:[a-z0-9-]+\.)+[a-z]+(?:/[\w.~%/+=&?,:;@!-]*)?",
        "v": r"\.?venv/bin/activate",
        "w": r"wide|name",
        "z": "|".join(sorted(SHELL_SETTINGS)),
        "y": r"(?!.*\.\.)\w[\w./-]*(?::[\w.-]+)?",
        "0": r"/dev/null",
        "1": rf"{_NO_CONTAINER}(?:,{_NO_CONTAINER})*(?:/[\w.-]+)?",
        "2": r"wide|name|json|yaml",
        "-": r"-",
        "|": r"(?!)",  # No more operands.
        ".": r"\.(?:\[[\w,-]+\])?",
    }.items()
}

_SCRIPTS = {"S": "sed", "J": "jq"}

_OPTION = re.compile(r"(!?)(--?)([\w.-]*)(?:(\??)=(.))?", re.ASCII)


class Form(Struct, frozen=True):
    """How to read a line of `forms.txt`.

    `words`: what may stand at each of the first places. `roles`: what the operands are, one letter each, the
    last for all that follow: one of `_ROLES`, `t` any text, `p` a path in the folder, `q` the same, but no
    script of Django, `x` as `p`, with a line or a test behind it, `D` one that may be deleted, `b` what a
    build makes again, `S` and `J` a script for sed or jq, and `T` or `*` for all that follows whatever it is,
    which with `T` has to be known; so has what stands behind a `--` if `--=T` is an option.
    `at_least`: how many operands there have to be: one where `+` stands before the roles.
    `options`: each by its name with its dashes, and the role of its argument or "". `joined`: those whose
    argument, if they have one, follows a `=`. `exact`: other words that may stand anywhere; of the kind `via`
    those of which one has to follow, and begins another command. `needed`: options of which one has to be
    there. `one_dash`: `-name` is one option, not four.
    """

    kind: str
    words: tuple[frozenset[str], ...]
    roles: str = ""
    at_least: int = 0
    options: dict[str, str] = {}
    joined: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    one_dash: bool = False


@cache
def _forms() -> dict[str, list[Form]]:
    """The forms by program, those with most words first."""
    found: dict[str, list[Form]] = {}
    shared: dict[str, list[str]] = {}
    for line in lines(read_table(__package__, "forms.txt")):
        kind, *parts = [one for part in line.split() for one in shared.get(part, [part])]
        if kind.startswith("*"):
            shared[kind] = parts
            continue
        form = _form(kind, parts)
        for program in form.words[0]:
            found.setdefault(program, []).append(form)
    return {name: sorted(forms, key=lambda one: -len(one.words)) for name, forms in found.items()}


def _form(kind: str, parts: list[str]) -> Form:
    at = parts.index(":") if ":" in parts else len(parts)
    roles, options = "", dict[str, str]()
    joined, exact, needed = set[str](), set[str](), set[str]()
    for part in parts[at + 1 :]:
        found = _OPTION.fullmatch(part)
        if part.startswith("("):
            roles = part.strip("(+)")
        elif part == "-=":
            pass
        elif found is None:
            exact.add(part.removeprefix("="))
        else:
            need, dashes, letters, may, role = found.groups()
            each = [dashes + letters] if dashes == "--" else [f"-{one}" for one in letters]
            options |= dict.fromkeys(each, role or "")
            joined |= set(each) if may else set()
            needed |= set(each) if need else set()
    at_least = sum(part.startswith("(+") for part in parts)
    words = tuple(frozenset(one.split(",")) for one in parts[:at])
    one_dash = "-=" in parts
    if one_dash:
        options = {name[1:]: role for name, role in options.items()}
        joined, needed = {name[1:] for name in joined}, {name[1:] for name in needed}
    return Form(
        kind,
        words,
        roles,
        at_least,
        options,
        frozenset(joined),
        frozenset(exact),
        frozenset(needed),
        one_dash,
    )


def kind_of(path: str, args: Sequence[Word], folder: str = "") -> str:
    """What the program `path` is for with these arguments, in `folder`, an absolute path or "". Never
    raises."""
    tool = _TOOL.fullmatch(path) or _WRAPPER.fullmatch(path)
    system = _SYSTEM.fullmatch(path)
    if tool is not None:
        return _BEHIND.get(_kind(tool[1], args, folder), OTHER)
    if system is not None:
        return _kind(system[1], args, folder)
    if not (_OWN.fullmatch(path) and all(_is_known(word) for word in args)):
        return OTHER
    name = path.rpartition("/")[2]
    if name == _MANAGE:
        return _kind("python", [Word(name), *args], folder)
    program = known(name)
    return _BEHIND.get(_kind(name, args, folder), OTHER) if program and program.traits & _ABLE else RUNS


def _kind(program: str, args: Sequence[Word], folder: str) -> str:
    for form in _forms().get(program, ()):
        places = form.words[1:]
        if len(args) < len(places) or not all(
            word.literal and word.text in one for word, one in zip(args, places, strict=False)
        ):
            continue
        rest = args[len(places) :]
        if not places and program in _BUNDLED and not (rest and rest[0].text.startswith("-")):
            continue
        if form.kind == "via":
            inner = _behind(form, rest, folder)
            if inner != OTHER:
                return inner
        elif _Match(form, folder).fits(rest):
            return form.kind
    return OTHER


def _behind(form: Form, rest: Sequence[Word], folder: str) -> str:
    """The kind of the command that follows the words and options of a form."""
    match = _Match(form, folder)
    rest = list(rest)
    while rest and rest[0].literal and rest[0].text.startswith("-"):
        if not match.option(rest.pop(0).text, rest):
            return OTHER
    if not rest or not rest[0].literal or rest[0].text not in form.exact:
        return OTHER
    return _BEHIND.get(_kind(rest[0].text, rest[1:], folder), OTHER)


def _is_known(word: Word) -> bool:
    """Whether a word stands for what it says, and cannot become an option."""
    return word.literal or (word.pattern and (word.text[0] not in "*?[" or word.text in _BUILT))


def _is_index(role: str, word: Word) -> bool:
    """Whether it is an expression for jq with `[]` that is not quoted, such as `.[].title`."""
    return role == "J" and word.pattern and not any(char in word.text for char in "*?")


def _is_public(url: str) -> bool:
    try:
        return not is_private_host(url)
    except FunctionError:
        return False


class _Match:
    """One reading of words by a form."""

    def __init__(self, form: Form, folder: str) -> None:
        self.form = form
        self.folder = folder
        self.seen: set[str] = set()

    def fits(self, args: Sequence[Word]) -> bool:
        """Whether each of `args` has a place in the form."""
        form, rest, count = self.form, list(args), 0
        while rest:
            role = form.roles[count : count + 1] or form.roles[-1:]
            if role == "T":
                return self.complete(count + 1) and all(_is_known(word) for word in rest)
            word = rest.pop(0)
            if word.text == "--" and form.options.get("--") == "T":
                return self.complete(count) and all(_is_known(one) for one in rest)
            if not _is_known(word):
                return False
            if word.literal and word.text in form.exact:
                continue
            if word.text.startswith("-") and word.text != "-":
                if not (word.literal and self.option(word.text, rest)):
                    return False
            elif not self.is_of(role, word):
                return False
            else:
                count += 1
        return self.complete(count)

    def complete(self, count: int) -> bool:
        """Whether all is there that the form needs: an option, and operands, of which there are `count`."""
        return count >= self.form.at_least and (not self.form.needed or bool(self.form.needed & self.seen))

    def option(self, text: str, rest: list[Word]) -> bool:
        """Whether the form has this option, with its argument, which may be the next word."""
        options = self.form.options
        name, equals, value = text.partition("=")
        if name in options and (self.form.one_dash or name.startswith("--")):
            return self.argument(name, Word(value) if equals else None, rest)
        if text.startswith("--") or self.form.one_dash:
            return False
        for at, letter in enumerate(text[1:], 2):
            role = options.get(f"-{letter}")
            if role is None:
                return False
            if role:
                return self.argument(f"-{letter}", Word(text[at:]) if text[at:] else None, rest)
            self.seen.add(f"-{letter}")
        return True

    def argument(self, name: str, value: Word | None, rest: list[Word]) -> bool:
        """Note an option. Whether its argument is as it has to be."""
        self.seen.add(name)
        role = self.form.options[name]
        if not role:
            return value is None
        if value is None and name in self.form.joined:
            return True
        if value is None and rest:
            value = rest.pop(0)
        if value is not None and role == "L" and value.single and not value.literal:
            return True  # Whatever it stands for, ps reads it as numbers.
        return value is not None and (value.literal or _is_index(role, value)) and self.is_of(role, value)

    def is_of(self, role: str, word: Word) -> bool:
        """Whether a word may stand where this role is."""
        text = word.text
        form = _ROLES.get(role)
        if form is not None:
            return word.literal and bool(form.fullmatch(text)) and (role not in "uU" or _is_public(text))
        if role == "q":
            return self.path("p", text) and not text.endswith(_MANAGE)
        if role == "t":
            return word.literal and text[:1] not in ("-", "@")
        if role in _SCRIPTS:
            return harmless(_SCRIPTS[role], (), (Word(text),))
        return role != "" and self.path(role, text)

    def path(self, role: str, text: str) -> bool:
        """Whether a text names what is in the folder, and may stand where this role is."""
        inside = text.removeprefix(f"{self.folder}/") if self.folder else text
        line = _LINE.search(inside) if role == "x" else None
        inside = inside[: line.start()] if line else inside
        if inside.startswith("/") or not _PATH.fullmatch(inside or "."):
            return False
        if role in "px":
            return True
        built = inside.rstrip("/").rpartition("/")[2] in _BUILT
        return built or (role == "D" and bool(_DELETABLE.fullmatch(inside)))
