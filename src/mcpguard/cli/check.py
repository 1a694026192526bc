"""`mcpguard check`: everything that is wrong with a configuration, told before a client finds out.

Law of this file: nothing is started, nothing is left behind and no value is printed; a broken
configuration file hides the rest, everything else is told together.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, to_builtins

from mcpguard.cli.terminal import plain, style
from mcpguard.core.errors import ConfigError, CredentialError, DocumentError, PolicyError, Problem

if TYPE_CHECKING:
    from mcpguard.config import Config, Server
    from mcpguard.core.document import Document
    from mcpguard.core.policy import CompiledPolicy
    from mcpguard.core.redaction import Redactor
    from mcpguard.core.secret import CredentialRef, Template

EXAMPLES = (
    "mcpguard check",
    "mcpguard check --config mcpguard.yaml --json",
)

_PROBE_BYTES = 4096
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


class Remark(Struct, frozen=True):
    """One line of the answer. `where` is FILE:LINE:COLUMN, a path or a name; `excerpt` shows the place."""

    level: Literal["ok", "warning", "error"]
    where: str
    message: str
    excerpt: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def execute(args: argparse.Namespace) -> int:
    """0 where `mcpguard run` would serve everything (warnings allowed), 1 where it would not."""
    from mcpguard.config import find_config
    from mcpguard.core.redaction import Redactor

    redactor = Redactor(os.urandom(32))
    found = list(_remarks(find_config(args.config, os.environ), redactor))
    # Authors put credentials in places where nobody looks for one, such as a command or a condition.
    remarks = [Remark(one.level, *map(redactor.inspect_text, _texts(one))) for one in found]
    ok = all(remark.level != "error" for remark in remarks)
    if args.json:
        _print_json(remarks, ok)
    else:
        _print_lines(remarks)
    return 0 if ok else 1


def _texts(remark: Remark) -> tuple[str, str, str]:
    return remark.where, remark.message, remark.excerpt


def _remarks(path: Path, redactor: Redactor) -> Iterator[Remark]:
    from mcpguard.adapters.policy_files import read_document
    from mcpguard.config import load_config
    from mcpguard.core.document import Document

    try:
        config = load_config(path)
        document = Document(read_document(path, ConfigError), str(path), ConfigError)
    except ConfigError as error:
        yield from _problems(error)
        return
    yield Remark("ok", str(path), "the configuration is well-formed")
    compiled: list[CompiledPolicy] = []
    yield from _policies(config, document, compiled)
    yield from _coverage(config, document, compiled)
    yield from _servers(config, document, redactor)
    yield from _audit(config)


def _problems(error: DocumentError) -> Iterator[Remark]:
    for problem in error.problems:
        excerpt = str(problem).partition("\n")[2] if problem.line else ""
        yield Remark("error", _where(problem), problem.message, excerpt)


def _where(problem: Problem) -> str:
    return f"{problem.source}:{problem.line}:{problem.column}" if problem.line else problem.source


# --- policies ------------------------------------------------------------------------------------


def _policies(config: Config, document: Document, compiled: list[CompiledPolicy]) -> Iterator[Remark]:
    """Tells of each policy file, and fills `compiled` with those that are right in themselves."""
    from mcpguard.adapters.policy_files import read_document
    from mcpguard.core.policy import PolicySet, compile_policy
    from mcpguard.core.redaction import OPT_IN

    for path in config.policies:
        try:
            one = compile_policy(read_document(path, PolicyError), str(path), OPT_IN)
        except PolicyError as error:
            yield from _problems(error)
            continue
        compiled.append(one)
        count = len(one.rules)
        yield Remark("ok", str(path), f"policy {one.policy.policy}: {count} rule{'s' * (count != 1)}")
        yield from _rules(one)
    try:
        PolicySet(compiled)
    except PolicyError as error:
        yield from _problems(error)
    if not config.policies:
        where = _where(document.problem(("policies",), ""))
        yield Remark("warning", where, "there are no `policies`, so every call is refused")


def _rules(one: CompiledPolicy) -> Iterator[Remark]:
    for index, rule in enumerate(one.policy.rules):
        if rule.effect == "ask":
            message = f"rule {rule.id}: nobody can be asked yet, so `ask` refuses"
            yield Remark("warning", _where(one.document.problem(("rules", index, "effect"), "")), message)


def _coverage(config: Config, document: Document, compiled: list[CompiledPolicy]) -> Iterator[Remark]:
    """Servers that no rule speaks of, and rules that speak of no server: most are a typing mistake."""
    from fnmatch import fnmatchcase

    spoken_of: set[str] = set()
    for one in compiled:
        for index, rule in enumerate(one.policy.rules):
            globs = (rule.server,) if isinstance(rule.server, str) else rule.server
            matched = {name for name in config.servers if any(fnmatchcase(name, glob) for glob in globs)}
            spoken_of |= matched
            if not matched:
                where = _where(one.document.problem(("rules", index, "server"), ""))
                message = f"rule {rule.id}: no server of this configuration has such a name"
                yield Remark("warning", where, message)
    if len(compiled) < len(config.policies) or not compiled:
        return
    for name, server in config.servers.items():
        if name not in spoken_of and not server.disabled:
            where = _where(document.problem(("servers", name), ""))
            yield Remark("warning", where, f"no rule mentions {name}, so every call to it is refused")


# --- servers and their credentials -----------------------------------------------------------------


def _servers(config: Config, document: Document, redactor: Redactor) -> Iterator[Remark]:
    for name, server in config.servers.items():
        at = ("servers", name)
        if server.disabled:
            yield Remark("warning", _where(document.problem(at, "")), f"{name} is disabled: it is not served")
        else:
            problems = list(_server_problems(server, document, redactor))
            yield from problems
            if not problems:
                needs = ", ".join(map(str, server.credentials))
                said = "can be started" if server.url is None else "is in order (not connected to)"
                message = f"{name} {said}{', with ' + needs if needs else ''}"
                yield Remark("ok", _where(document.problem(at, "")), message)
        yield from _plain_credentials(server, document, redactor)


def _server_problems(server: Server, document: Document, redactor: Redactor) -> Iterator[Remark]:
    if server.url is None:
        yield from _program_problems(server, document)
    for path, template in _templates(server):
        where = _where(document.problem(("servers", server.name, *path), ""))
        for ref in template.refs:
            if trouble := _trouble(ref, redactor):
                yield Remark("error", where, trouble)


def _templates(server: Server) -> Iterator[tuple[tuple[str, ...], Template]]:
    if server.url is not None:
        yield ("url",), server.url
    for key in ("env", "headers"):
        for name, template in getattr(server, key).items():
            yield (key, name), template


def _program_problems(server: Server, document: Document) -> Iterator[Remark]:
    from mcpguard.adapters.upstreams.process import child_environment, executable, not_startable

    literal = {key: value.texts[0] for key, value in server.env.items() if not value.refs}
    path = child_environment(os.environ, literal).get("PATH")
    cwd = None if server.cwd is None else str(server.cwd)
    if executable(server.command, path, cwd) is None:
        where = _where(document.problem(("servers", server.name, "command"), ""))
        yield Remark("error", where, not_startable(server.command, path, cwd))
    if server.cwd is not None and not server.cwd.is_dir():
        where = _where(document.problem(("servers", server.name, "cwd"), ""))
        yield Remark("error", where, f"{server.cwd} is not a folder")


def _trouble(ref: CredentialRef, redactor: Redactor) -> str:
    """Why `ref` could not be injected, "" where it could: it must be there and long enough to be guarded."""
    from mcpguard.adapters.credentials import SOURCES

    try:
        redactor.hold(str(ref), SOURCES[ref.source]().get(ref))
    except CredentialError as error:
        return str(error)
    return ""


def _plain_credentials(server: Server, document: Document, redactor: Redactor) -> Iterator[Remark]:
    # The name of a variable is a part of some formats, so it is inspected together with its value.
    texts: list[tuple[tuple[str | int, ...], str, object]] = [
        (path, path[-1], {path[-1]: "".join(template.texts)}) for path, template in _templates(server)
    ]
    texts += [(("args", index), "NAME", argument) for index, argument in enumerate(server.args)]
    for path, name, text in texts:
        kinds = sorted({finding.kind for finding in redactor.inspect(text).findings})
        if kinds:
            where = _where(document.problem(("servers", server.name, *path), ""))
            refer = f"`mcpguard secret set {name}` and refer to it as ${{keyring:{name}}}"
            message = f"looks like a credential in plain text ({', '.join(kinds)}): {refer}"
            yield Remark("warning", where, message)


# --- evidence ----------------------------------------------------------------------------------------


def _audit(config: Config) -> Iterator[Remark]:
    from tempfile import TemporaryFile

    from mcpguard.adapters.audit_reader import default_folder, newest_head

    folder = config.audit.path if config.audit else default_folder()
    # `run` makes the folder; what must be writable until then is the nearest one that exists.
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        # A full disk makes files, and takes nothing into them.
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
        if folder.exists():
            newest_head(folder)
    except OSError as error:
        yield Remark("error", str(folder), f"the audit folder cannot be used: {error.strerror}")
        return
    yield Remark("ok", str(folder), "evidence can be written")


# --- output ------------------------------------------------------------------------------------------


def _print_json(remarks: list[Remark], ok: bool) -> None:
    from msgspec.json import encode

    findings = [{k: v for k, v in to_builtins(one).items() if k != "excerpt"} for one in remarks]
    print(encode({"ok": ok, "findings": findings}).decode())


def _print_lines(remarks: list[Remark]) -> None:
    here = f"{os.getcwd()}/"
    for one in remarks:
        level = style(f"{one.level:<7}", _COLOURS[one.level])
        print(f"{level}  {plain(one.where.removeprefix(here))}: {plain(one.message)}")
        for line in one.excerpt.splitlines():
            print(f"         {plain(line)}")
    counts = {level: sum(one.level == level for one in remarks) for level in ("error", "warning")}
    said = [f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count]
    print(", ".join(said) or style("all fine", "green"))
