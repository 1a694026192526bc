"""`mcpguard explain`: why a call is allowed or not, and what a principal can reach.

Law of this file: this is the operator's command, so it shows conditions; it shows no argument, no result and
no secret, and whatever it prints went through the inspection of everything that leaves.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcpguard.cli.hypothesis import add_request, invocation_of, principal_of, session_of

if TYPE_CHECKING:
    from mcpguard.config.loading import Config
    from mcpguard.core.explain import Result
    from mcpguard.core.explanation import Explanation
    from mcpguard.core.model import Invocation
    from mcpguard.core.policy.compiled import PolicySet
    from mcpguard.core.policy.session import Session
    from mcpguard.core.redaction.redactor import Redactor

EXAMPLES = (
    'mcpguard explain --server github --tool create_issue --args \'{"owner": "acme"}\'',
    "mcpguard explain policies/git.yaml --server git --tool git_add --args-file args.json --json",
    "mcpguard explain 4f1c09aa-17 --args-file args.json",
    "mcpguard explain --reach --principal ada --group ops --snapshot tools.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="POLICY.yaml|ID",
        help="policies instead of the configuration's; or the id of a recorded call, as refusals quote it",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder)",
    )
    add_request(parser)
    parser.add_argument(
        "--result", metavar="FILE", type=Path, help="what comes back, as JSON, to be explained too"
    )
    parser.add_argument("--reach", action="store_true", help="all that the principal can reach, per server")
    parser.add_argument(
        "--snapshot", metavar="FILE", type=Path, help="what the servers offer: from `mcpguard snapshot`"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def execute(args: argparse.Namespace) -> int:
    """0 where it could be explained, whatever the verdict is."""
    from mcpguard.core.redaction.redactor import Redactor

    redactor = Redactor(os.urandom(32))
    files = [Path(name) for name in args.what if _is_policy(name)]
    ids = [name for name in args.what if not _is_policy(name)]
    config = None if files and not ids else _config(args.config)
    policies = _policies(files or (config.policies if config else ()))
    agent = config.agent if config else None
    if args.reach:
        _reach(args, policies, config, agent, redactor)
    elif ids:
        from mcpguard.cli.explain_record import explain_record

        _print(explain_record(ids, args, policies, config, redactor), args.json, redactor)
    else:
        found = explained(policies, invocation_of(args, agent), session_of(args), args.result, redactor)
        _print(found, args.json, redactor)
    return 0


def explained(
    policies: PolicySet, invocation: Invocation, session: Session, result: Path | None, redactor: Redactor
) -> Explanation:
    """The explanation of a call, and of its result where there is a file with one."""
    from mcpguard.core.explain import explain

    given = None if result is None else _result(policies, invocation, session, result, redactor)
    return explain(policies, invocation, session, given)


def _result(
    policies: PolicySet, invocation: Invocation, session: Session, file: Path, redactor: Redactor
) -> Result | None:
    """The result in `file`, inspected as the gateway would for this call; None where it is refused."""
    import msgspec

    from mcpguard.config.policies import read_document
    from mcpguard.core.errors import ConfigError, Problem
    from mcpguard.core.explain import Result
    from mcpguard.core.model import Permit
    from mcpguard.core.policy.pdp import decide

    try:
        value = msgspec.json.decode(read_document(file, ConfigError), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise ConfigError([Problem(str(file), 0, 0, "a result is a JSON object")]) from None
    verdict = decide(policies, invocation, session)
    if not isinstance(verdict, Permit):
        return None
    clean = redactor.inspect(value, verdict.redact)
    return Result(clean.value, clean.findings)


def _is_policy(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or Path(name).is_file()


def _config(option: str | None) -> Config:
    from mcpguard.config.loading import find_config, load_config

    return load_config(find_config(option, os.environ))


def _policies(files: list[Path] | tuple[Path, ...]) -> PolicySet:
    from mcpguard.config.policies import load_policies
    from mcpguard.core.redaction.redactor import OPT_IN

    return load_policies(files, OPT_IN)


def _reach(
    args: argparse.Namespace,
    policies: PolicySet,
    config: Config | None,
    agent: str | None,
    redactor: Redactor,
) -> None:
    from datetime import UTC, datetime

    from mcpguard.cli.explain_reach import offered, reach_lines, servers_of
    from mcpguard.cli.hypothesis import snapshot_of
    from mcpguard.core.model import Invocation
    from mcpguard.core.reach import reach

    servers = servers_of(policies, tuple(config.servers) if config else (), args.server)
    asking = Invocation("explain", "", principal_of(args), args.now or datetime.now(UTC), args.agent or agent)
    snapshot = snapshot_of(args)
    found = [reach(policies, asking, target) for target in offered(policies, servers, snapshot)]
    if args.json:
        _print_json({"reach": found}, redactor)
    else:
        _print_lines(reach_lines(found, policies, snapshot is not None), redactor)


def _print(found: Any, as_json: bool, redactor: Redactor) -> None:
    from mcpguard.cli.explain_text import lines_of

    if as_json:
        _print_json(found, redactor)
    else:
        _print_lines(lines_of(found), redactor)


def _print_json(value: Any, redactor: Redactor) -> None:
    from msgspec.json import decode, encode

    print(redactor.inspect(decode(encode(value))).payload.decode())


def _print_lines(lines: list[str], redactor: Redactor) -> None:
    from mcpguard.adapters.system.terminal import plain

    for line in lines:
        print(plain(redactor.inspect_text(line)))
