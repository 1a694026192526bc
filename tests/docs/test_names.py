"""What docs, docstrings and comments name is there: files, folders, classes, members of modules, and laws."""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT
from tests.rows import each

SRC = ROOT / "src" / "mcpguard"
PLACES = (SRC, ROOT, ROOT / "tests", SRC / "adapters", SRC / "core", SRC / "adapters" / "upstreams")
"""What a path may be relative to, beside the folder of the file that names it."""
NOT_OURS = {"Authorization", "Date", "secrets/", "sitecustomize.py", "usercustomize.py"}
"""Header fields of HTTP in the form of a class, a folder of the user's, and files of Python."""
NAMED_IN_COMMENT = re.compile(r"#.*(?:`|\blaw \d)")
"""To find comments takes longer than all else here, and few files name anything in one."""
CLASS = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z0-9]+)*")
KEYS = {"client", "entry", "http", "limits", "postgres", "session"}
"""Keys of files that people write, which modules are called like: `http.token` is a key."""


@cache
@cache
def modules() -> dict[str, str]:
    """The source of each module by its stem; of those with the same stem, all of it."""
    found: dict[str, str] = {}
    for path in sorted(SRC.rglob("*.py")):
        found[path.stem] = found.get(path.stem, "") + path.read_text("utf-8")
    return found


@cache
def defined() -> frozenset[str]:
    """Every class and constant of the source that has a name as classes have."""
    pattern = re.compile(r"^\s*(?:class\s+)?([A-Z]\w*)\s*(?:\(|:|=)", re.MULTILINE)
    names = {name for source in modules().values() for name in pattern.findall(source)}
    return frozenset(names) | NOT_OURS | set(dir(builtins))


@cache
def prose(path: Path) -> tuple[str, ...]:
    """The sentences of a file: docstrings and comments of code, remarks of a table, a page without its blocks."""
    return tuple(_prose(path))


def _prose(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    if path.suffix == ".txt":
        yield from re.findall(r"^# (.+)", text, re.MULTILINE)
        return
    if path.suffix == ".md":
        yield re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        return
    for node in statements(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and type(node.value.value) is str
        ):
            yield node.value.value
    if NAMED_IN_COMMENT.search(text):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements in a node, in any depth; what they consist of is passed over, which is most of a tree."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(node, field, ()):
            yield one
            yield from statements(one)


def pages() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "policies" / "README.md"]
    return sorted({*found, *SRC.rglob("*.py"), *SRC.rglob("*.txt")} - {ROOT / "CHANGELOG.md"})


def missing(path: Path, word: str) -> bool:
    """Whether `word`, which stands in backticks in the file at `path`, names something of ours that is not there."""
    if re.fullmatch(r"[\w/.-]*\w\.py", word) or re.fullmatch(r"\w[\w/]*/", word):
        return not any((place / word).exists() for place in (*PLACES, path.parent))
    if path.suffix != ".md" and re.fullmatch(r"[\w/-]*\w\.txt", word):
        return not any((place / word).exists() for place in (*PLACES, path.parent))
    if path.suffix == ".py" and re.fullmatch(r"\w+(?:\.\w+){2,}(?:\(\))?", word):
        *parts, name = word.removesuffix("()").split(".")
        module = SRC.joinpath(*parts).with_suffix(".py")
        return (SRC / parts[0]).is_dir() and not (
            module.exists() and re.search(rf"\b{name}\b", module.read_text("utf-8"))
        )
    if path.suffix == ".py" and CLASS.fullmatch(word):
        return word not in defined()
    member = re.fullmatch(r"(\w+)\.(\w+)(?:\(\))?", word)
    if path.suffix == ".py" and member and member[1] in modules() and member[1] not in KEYS:
        return re.search(rf"\b{member[2]}\b", modules()[member[1]]) is None
    return False


@each("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_text_names_is_there(path: Path) -> None:
    words = {word for text in prose(path) for word in re.findall(r"`([^`\s]+)`", text)}
    said_whole = {word.rpartition("/")[2] for word in words if "/" in word}
    assert {word for word in words - said_whole - NOT_OURS if missing(path, word)} == set()


ALIKE = {".", "cli", "cli/audit", "cli/authoring", "cli/onboarding", "cli/operating", "console/views"}
"""Folders whose modules are entries of one kind, by the name of each: verbs, pages."""


@each("package", sorted(SRC.rglob("__init__.py")), ids=lambda path: str(path.parent.relative_to(SRC)))
def test_a_package_says_what_each_of_its_modules_is_for(package: Path) -> None:
    folder = package.parent
    if str(folder.relative_to(SRC)) in ALIKE:
        return
    said = ast.get_docstring(ast.parse(package.read_text("utf-8"))) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    named = set(re.findall(r"`(\w+)(?:\.py)?`|^ {4}(\w+)(?:, (\w+))? ", said, re.MULTILINE))
    assert modules - {word for one in named for word in one} == set()


def added() -> list[tuple[str, str, str]]:
    """The rows of the table in CONTRIBUTING that says where what is added."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where do I add")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    return [(what, entry, more) for what, entry, more in rows[2:]]


@each(("entry", "more"), [row[1:] for row in added()], ids=[row[0] for row in added()])
def test_what_is_added_to_is_in_a_file_beside_which_it_is_named(entry: str, more: str) -> None:
    words = re.findall(r"`([^`\s]+)`", f"{entry} {more}")
    named = [
        place / word for word in words if "/" in word for place in (SRC, ROOT) if (place / word).exists()
    ]
    assert len(named) == sum("/" in word for word in words)
    files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
    text = "\n".join(file.read_text("utf-8") for file in files)
    names = {word for word in words if re.fullmatch(r"\w+(?:\(\))?", word)}
    assert {name for name in names if not re.search(defining(name), text, re.MULTILINE)} == set()


def defining(name: str) -> str:
    """What is in a module that defines this function, class or constant, or has this field or key."""
    if name.endswith("()"):
        return rf"^\s*def {name[:-2]}\("
    return rf"^class {name}\b|^{name}\b.*=" if name[0].isupper() else rf"\b{name}\b"


def test_a_table_has_one_row_in_contributing() -> None:
    tables = [
        table for _, entry, _ in added() for table in re.findall(r"`([A-Z_]+)` (?:in|of) `(\S+)`", entry)
    ]
    assert len(tables) == len(set(tables)) >= 12
    assert len({what for what, _, _ in added()}) == len(added())


def test_each_law_that_a_text_refers_to_is_stated() -> None:
    laws = re.findall(r"^(\d+)\. \*\*", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.MULTILINE)
    assert laws == [str(number) for number in range(1, 14)]
    named = {
        number for path in pages() for text in prose(path) for number in re.findall(r"\blaw (\d+)", text)
    }
    assert named <= set(laws)


def test_the_threat_model_has_a_section_for_each_law_under_its_number() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    laws = re.findall(r"^(\d+)\. \*\*(.+?)\.?\*\*", page, re.MULTILINE)
    sections = (ROOT / "docs" / "threat-model.md").read_text("utf-8").split("\n## ")[1:]
    for (number, title), section in zip(laws, sections, strict=False):
        assert section.startswith(f"{number}. {title}\n")
        assert "\n- [`test_" in section, title
