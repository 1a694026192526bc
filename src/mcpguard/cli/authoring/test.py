"""`mcpguard test`: run the tests of policies, and report what they do not cover.

Law of this file: nothing is started and nothing is connected to; each case runs on every engine that is
installed, and a file that cannot be run is reported before any case runs.
"""

from __future__ import annotations

import argparse
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.files import read_regular
from mcpguard.adapters.system.terminal import from_here
from mcpguard.authoring.tests import PATTERN, files_below
from mcpguard.cli.parser import add_config
from mcpguard.config.loading import find_config, load_config
from mcpguard.config.policies import SIZE_LIMIT, PolicyFile
from mcpguard.core.errors import PolicyError, Problem

if TYPE_CHECKING:
    from mcpguard.authoring.tests.running import CompiledPolicies, Loaded
    from mcpguard.core.policy.compiled import CompiledPolicy

EXAMPLES = (
    "mcpguard test",
    "mcpguard test policies/ --coverage --fail-under 90",
    "mcpguard test policies/git_test.yaml --junit report.xml",
)

_DEFAULT = Path("policies")
_ADVICE = "name a file or folder of tests, or a configuration with --config (`mcpguard help test-a-policy`)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help=f"files, or folders that contain {PATTERN} files (default: the folders of the configuration's "
        "policies, else ./policies)",
    )
    add_config(parser)
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="report which rules never decided and which parts of conditions were never true or never false",
    )
    parser.add_argument(
        "--fail-under", metavar="PERCENT", type=_percentage, help="exit with 1 if coverage is lower"
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results to FILE, as JUnit XML")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """0 where all passed, 1 where a case failed, an aim was missed or coverage is too low. Raises
    DocumentError."""
    from mcpguard.authoring.sharing import run_files
    from mcpguard.authoring.tests import report as test_report
    from mcpguard.authoring.tests.running import CompiledPolicies, Coverage, load, percent
    from mcpguard.core.redaction.redactor import Redactor

    redactor = Redactor(os.urandom(32))
    known = CompiledPolicies()
    loaded = load(_files(args), known)
    coverage = Coverage() if args.coverage or args.fail_under is not None else None
    untested = []
    if coverage is not None:
        untested = _untested(args, loaded, known)
        coverage.add(untested, ())
    reports = run_files(loaded, redactor, coverage)
    goals = coverage.goals() if coverage is not None else None
    suite = test_report.suite_of(reports, goals, args.fail_under, untested)
    if args.junit:
        test_report.write_junit(Path(args.junit), reports)
    if args.json:
        print(suite.model_dump_json())
    else:
        low = goals is not None and args.fail_under is not None and percent(goals) < args.fail_under
        test_report.print_lines(reports, goals if args.coverage or low else None, args.fail_under, untested)
    return 0 if suite.ok else 1


def _percentage(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 100:
            return value
    raise argparse.ArgumentTypeError("a percentage is a number from 0 to 100")


_HOW = "`mcpguard help test-a-policy` shows how to write one"

# --- files ---------------------------------------------------------------------------------------


def _files(args: argparse.Namespace) -> list[Path]:
    """Every file to run, once. Raises PolicyError if there is none."""
    paths = [Path(path) for path in args.paths] or _folders(args.config)
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        files = files_below(path) if path.is_dir() else [path]
        if not path.exists():
            problems.append(Problem(str(path), 0, 0, "no such file or folder"))
        elif not files:
            problems.append(Problem(str(path), 0, 0, f"it contains no {PATTERN} file: {_HOW}"))
        for file in files:
            found.setdefault(file.resolve(), file)
    if problems:
        raise PolicyError(problems)
    return list(found.values())


def _folders(option: str | None) -> list[Path]:
    # As seen from here: in CI, the name of a test must not depend on where the machine keeps it.
    folders = list(dict.fromkeys(Path(from_here(str(one.path.parent))) for one in _configured(option)))
    if not folders and not _DEFAULT.exists():
        config = find_config(option, os.environ)
        said = "has no `policies`" if config.exists() else "does not exist"
        raise PolicyError(
            [Problem(str(config), 0, 0, f"{said}, and there is no folder {_DEFAULT} here: {_ADVICE}")]
        )
    # An import keeps its policies in a folder without tests, beside what was approved for good, which has.
    return [one for one in folders if files_below(one)] or folders or [_DEFAULT]


def _configured(option: str | None) -> tuple[PolicyFile, ...]:
    """The policies of the configuration, none where there is no configuration."""
    config = find_config(option, os.environ)
    return load_config(config).policies if option or config.exists() else ()


def _untested(
    args: argparse.Namespace, loaded: list[Loaded], known: CompiledPolicies
) -> list[CompiledPolicy]:
    """The policies that are in force or stand in a folder that is tested, and that no test uses. Raises
    PolicyError with the mistakes in them."""
    folders = [Path(path) for path in args.paths if os.path.isdir(path)] if args.paths else [_DEFAULT]
    files = () if args.paths else _configured(args.config)
    if not files:
        paths = [path for one in folders for path in files_below(one, "*.yaml", "*.yml") if _is_policy(path)]
        files = tuple(PolicyFile(path) for path in paths)
    used = {Path(one.document.source).resolve() for each in loaded for one in each.compiled}
    found = {file.path.resolve(): file for file in files if file.path.resolve() not in used}
    return [known.policy(file, known.engines[0]) for file in found.values()]


def _is_policy(file: Path) -> bool:
    """Whether it has the key of a policy, and so is not a test and nothing else, whatever is wrong in it."""
    try:
        text = read_regular(file, SIZE_LIMIT)
    except OSError as error:
        raise PolicyError([Problem(str(file), 0, 0, f"cannot be read: {error.strerror}")]) from None
    return text is not None and re.search(rb"^(?:\xef\xbb\xbf)?policy\s*:", text, re.MULTILINE) is not None
