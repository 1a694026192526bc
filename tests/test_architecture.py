"""What the layers cannot say by imports: who constructs, who reveals, and how long anything may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "mcpguard"
FILES = sorted(SRC.rglob("*.py"))
FILE_LINES, FUNCTION_LINES, FOLDER_MODULES = 450, 40, 16

PURE_FORBIDDEN = {
    "mcp", "anyio", "asyncio", "httpx", "httpx2", "aiohttp", "uvicorn", "starlette", "keyring", "os", "pathlib", "socket",
    "subprocess", "time", "random", "logging",
}  # fmt: skip


def relative(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Of the syntax tree of a file: the tree, then what is in it."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node.lineno
            elif isinstance(node.func, ast.Attribute):
                yield f".{node.func.attr}", node.lineno


def imported_by(path: Path) -> Iterator[str]:
    """Every module, and every name within a module, that it imports anywhere."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # A name of a package may be a module of its own, which then is all that is meant.
            named = [f"{node.module}.{name.name}" for name in node.names]
            within = [SRC.parent.joinpath(*name.split(".")) for name in named]
            modules = [one.is_dir() or one.with_suffix(".py").exists() for one in within]
            yield from (name for name, is_module in zip(named, modules, strict=True) if is_module)
            if not all(modules):
                yield node.module


def where(call: str) -> set[str]:
    return {relative(path) for path in FILES for name, _line in calls(path) if name == call}


def test_a_permit_is_constructed_in_the_decision_point_only() -> None:
    assert where("Permit") | where(".Permit") == {"core/policy/pdp.py"}


def test_a_redacted_is_constructed_in_the_redaction_only() -> None:
    assert where("Redacted") == {"core/redaction/redactor.py"}


def test_a_secret_is_revealed_on_the_upstream_side_and_to_the_detector_only() -> None:
    revealing = where(".reveal")
    assert {path for path in revealing if not path.startswith("adapters/upstreams/")} == {
        "core/redaction/held/search.py",
        "core/secret.py",  # Gives the time that stands in a token, and nothing else of it.
        "adapters/credentials/github_app.py",  # Each shows what it needs to the service that mints.
        "adapters/credentials/oauth/clients.py",
        "adapters/credentials/oauth/mints.py",
        "adapters/credentials/postgres.py",
        "adapters/credentials/vault.py",
        "adapters/credentials/environ.py",  # For a program that makes another credential of it.
        "adapters/audit/signing.py",
        "adapters/store/connections.py",  # The URL of the database of sessions, to connect to it.
        "adapters/telemetry/destinations.py",  # A header of a sink, in the request to it.
        "adapters/approvals/notifying.py",  # The URL of apprise, for the process that sends by it.
    }


def test_what_a_defect_raises_is_caught_at_the_named_places_only() -> None:
    broad = {
        relative(path)
        for path in FILES
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or {"Exception", "BaseException"}
            & {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
        )
    }
    assert broad == {
        "core/functions/function.py",  # A condition's error, which is decided and recorded.
        "gateway/flight.py",
        "core/redaction/redactor.py",
        "core/redaction/held/holding.py",  # A value that cannot be compiled is searched for as it is.
        "core/conditions/engines.py",
        "core/conditions/cel_python.py",
        "core/functions/sql/function.py",
        "adapters/store/postgres.py",  # One change must not fail those that are stored with it.
        "adapters/audit/writer.py",
        "adapters/telemetry/exporting.py",  # One record must not end the export of the others.
        "adapters/system/disk.py",  # Its owner is told, whatever it was.
        "adapters/approvals/passkeys.py",  # Whatever its library raises, nothing is proven.
        "adapters/credentials/keychain.py",
        "adapters/upstreams/session/conversation.py",  # One message of an upstream: its stream must go on.
        "adapters/credentials/kept.py",  # Calls that wait for a credential must be answered.
        "adapters/upstreams/supply.py",  # The same.
        "serve/handover.py",  # What does not come over whole is read here.
        "cli/__init__.py",
        "doctor/diagnosis.py",  # A check that fails must not hide what the others find.
    }


@pytest.mark.parametrize("folder", ["core", "protocol"])
def test_the_pure_layers_import_no_io_no_clock_and_no_sdk(folder: str) -> None:
    for path in sorted((SRC / folder).rglob("*.py")):
        for node in nodes(path):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found = {name.split(".")[0] for name in names} & PURE_FORBIDDEN
            assert not found, f"{relative(path)}:{node.lineno} imports {found}"


def test_no_modules_import_each_other_in_a_circle_also_where_only_a_type_checker_looks() -> None:
    known = {".".join(path.relative_to(SRC.parent).with_suffix("").parts): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in known.items()}
    imports = {
        module: {name for name in imported_by(path) if name in modules and name != module}
        for module, path in modules.items()
    }
    tuple(TopologicalSorter(imports).static_order())  # Raises CycleError with the circle.


def test_folders_keep_their_budget() -> None:
    beside = Counter(relative(path.parent) for path in FILES if path.name != "__init__.py")
    assert {folder for folder, modules in beside.items() if modules > FOLDER_MODULES} == set()


def test_the_folders_of_tests_are_those_of_the_source() -> None:
    tests = Path(__file__).parent
    folders = {path.parent.relative_to(tests) for path in tests.glob("*/**/test_*.py")}
    of_source = {folder for folder in folders if (SRC / folder.parts[0]).is_dir()}
    assert {str(folder) for folder in of_source if not (SRC / folder).is_dir()} == set()


def test_a_file_of_tests_that_has_the_name_of_a_module_stands_where_the_module_does() -> None:
    tests = Path(__file__).parent
    places: dict[tuple[str, str], set[str]] = {}
    for path in FILES:
        top = path.relative_to(SRC).parts[0]
        places.setdefault((top, path.stem), set()).add(relative(path.parent))
    elsewhere = {}
    for path in tests.glob("*/**/test_*.py"):
        folder, name = path.parent.relative_to(tests), path.stem.removeprefix("test_")
        right = places.get((folder.parts[0], name), {folder.as_posix()})
        if folder.as_posix() not in right:
            elsewhere[path.relative_to(tests).as_posix()] = right
    assert elsewhere == {}


def test_files_and_functions_keep_their_budget() -> None:
    too_long = []
    for path in FILES:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > FILE_LINES:
            too_long.append(f"{relative(path)}: {lines} lines")
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if length > FUNCTION_LINES:
                    too_long.append(f"{relative(path)}:{node.lineno} {node.name}: {length} lines")
    assert too_long == []


def test_public_names_say_what_they_promise() -> None:
    silent = []
    for path in FILES:
        tree = nodes(path)[0]
        assert isinstance(tree, ast.Module)
        if not ast.get_docstring(tree):
            silent.append(relative(path))
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and node.name[0] != "_" and not ast.get_docstring(node):
                silent.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert silent == []


def test_no_class_name_stands_for_two_things() -> None:
    found: dict[str, list[str]] = {}
    for path in FILES:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(relative(path))
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_no_name_says_nothing() -> None:
    for path in FILES:
        assert not {"utils", "util", "helper", "helpers", "manager", "base", "common"} & set(
            path.stem.split("_")
        )


def test_serving_over_stdio_imports_neither_the_sdk_nor_the_slow_engine_nor_what_reads_or_prints_files() -> (
    None
):
    code = (
        "import sys; import mcpguard.serve.app, mcpguard.cli.run, mcpguard.config.loading; "
        "print([m for m in ('pydantic', 'pydantic_core', 'yaml') if m in sys.modules]); "
        "from mcpguard.config.policies import builtin_read_only; builtin_read_only(); "
        "print([m for m in ('mcp', 'mcp_types', 'httpx2', 'anyio', 'celpy', 'keyring', 'platformdirs',"
        " 'aiohttp', 'uvicorn', 'httptools', 'jwt', 'cryptography', 'mcpguard.core.document.printed',"
        " 'starlette', 'jinja2', 'markupsafe', 'pygments', 'mcpguard.console')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["[]", "[]"]


def test_a_task_is_begun_by_an_owner_that_ends_it_and_reports_its_defect() -> None:
    bare = {
        path.relative_to(SRC).as_posix()
        for path in FILES
        for node in nodes(path)
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) in ("create_task", "ensure_future")
    }
    assert bare == {"adapters/relay/background.py", "adapters/transports/http/connection.py"}


def test_a_test_that_waits_runs_in_the_loop_of_the_plugin() -> None:
    runs = [
        path.name
        for path in Path(__file__).parent.rglob("test_*.py")
        if "asyncio" in (text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("asyncio.run", "asyncio.Runner")
    ]
    assert runs == []
