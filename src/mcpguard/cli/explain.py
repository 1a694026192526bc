"""`mcpguard explain`: explain a decision, or list what a principal can reach.

Law of this file: this is the operator's command, so it shows conditions; it shows no argument, no result and
no secret, and whatever it prints went through the inspection of everything that leaves.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.parser import add_config, configured
from mcpguard.core.errors import ConfigError, Problem, SessionError

if TYPE_CHECKING:
    from mcpguard.authoring.explain.explanation import Explanation, Recorded
    from mcpguard.config.loading import Config
    from mcpguard.core.document.printed import Sparse
    from mcpguard.core.model import Invocation, Json
    from mcpguard.core.policy.compiled import PolicySet
    from mcpguard.core.policy.session import StoredSession
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
        help="policy files to use instead of the configuration's, or the id of a recorded call, as quoted "
        "in a refusal",
    )
    add_config(parser)
    _add_request(parser)
    parser.add_argument(
        "--result", metavar="FILE", type=Path, help="a result of the call, as JSON, to explain as well"
    )
    parser.add_argument(
        "--reach", action="store_true", help="list everything that the principal can reach, per server"
    )
    parser.add_argument(
        "--snapshot", metavar="FILE", type=Path, help="what the servers offer, from `mcpguard snapshot`"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_request(parser: argparse.ArgumentParser) -> None:
    """The options that say what is asked, by whom and when."""
    parser.add_argument("--server", metavar="NAME", default="", help="the tool server")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--tool", metavar="NAME", help="the tool, by the name that its server uses")
    target.add_argument("--prompt", metavar="NAME", help="the prompt")
    target.add_argument("--resource", metavar="URI", help="the URI of the resource")
    parser.add_argument("--action", metavar="METHOD", help="another method, such as sampling/createMessage")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--args", type=_object, metavar="JSON", help="the arguments (default: {})")
    given.add_argument("--args-file", metavar="FILE", help="a file with the arguments; `-` is standard input")
    parser.add_argument(
        "--annotations", type=_object, metavar="JSON", help="the tool's own annotations (or use --snapshot)"
    )
    parser.add_argument(
        "--now", type=_time, metavar="TIME", help="the time of the call, RFC 3339 (default: now)"
    )
    _add_principal(parser)
    _add_session(parser)


def _add_principal(parser: argparse.ArgumentParser) -> None:
    """The options that say who asks."""
    parser.add_argument("--principal", metavar="ID", help="who makes the call (default: you)")
    parser.add_argument("--source", metavar="ISSUER", help="the source of that identity (default: os-user)")
    parser.add_argument(
        "--group", metavar="NAME", action="append", help="a group of the principal (may be repeated)"
    )
    parser.add_argument("--claims", type=_object, metavar="JSON", help="the claims of the principal's token")
    parser.add_argument("--agent", metavar="NAME", help="the agent (default: the configuration's)")


def _add_session(parser: argparse.ArgumentParser) -> None:
    """The options that say what the session did before."""
    parser.add_argument(
        "--label",
        metavar="NAME",
        action="append",
        default=[],
        help="a label of the session (may be repeated)",
    )
    parser.add_argument(
        "--fact", metavar="NAME", action="append", default=[], help="a fact of the session (may be repeated)"
    )
    parser.add_argument(
        "--session",
        metavar="FILE",
        type=Path,
        help="a JSON file with the session's calls, tools, labels, facts and spent",
    )


def _object(text: str) -> dict[str, Json]:
    from mcpguard.authoring.explain.hypothesis import an_object

    return an_object(text)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write a time as 2026-01-02T03:04:05Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def execute(args: argparse.Namespace) -> int:
    """0 where it could be explained, whatever the verdict is."""
    from mcpguard.authoring.explain.hypothesis import explained, invocation_of, session_of
    from mcpguard.authoring.explain.recorded import explain_record
    from mcpguard.authoring.explain.text import lines_of
    from mcpguard.core.redaction.redactor import Redactor

    found: Explanation | Recorded
    redactor = Redactor(os.urandom(32))
    files = [Path(name) for name in args.what if _is_policy(name)]
    ids = [name for name in args.what if not _is_policy(name)]
    config = None if files and not ids else configured(args.config)
    policies = _policies(files, config)
    agent = config.agent if config else None
    if args.reach:
        _reach(args, policies, config, agent, redactor)
        return 0
    if ids:
        found = explain_record(ids, args, policies, config, redactor)
    else:
        _check_server(config, args.server)
        asked = invocation_of(args, agent)
        live = None if config is None or args.session is not None else _live(config, asked)
        found = explained(policies, asked, session_of(args, live), args.result, redactor)
    _print(found, lines_of(found), args.json, redactor)
    return 0


def _check_server(config: Config | None, server: str) -> None:
    """Raises ConfigError for a server that is not in the configuration: rules for all servers would seem to
    decide about it."""
    if config is None or not server or server in config.servers:
        return
    from difflib import get_close_matches

    near = get_close_matches(server, config.servers, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(config.servers)}"
    raise ConfigError([Problem(str(config.path), 0, 0, f"there is no server `{server}`; {hint}")])


def _live(config: Config, asked: Invocation) -> StoredSession | None:
    """The session that this call would be decided in now, None for a new one. Says which it is."""
    from mcpguard.adapters.store.sqlite import SqliteStore, default_folder
    from mcpguard.adapters.system.clock import SystemClock
    from mcpguard.core.policy.session import name_of

    folder = config.session_folder or default_folder()
    if not folder.exists():
        return None
    store = SqliteStore(folder, config.session_idle_seconds, SystemClock())
    name = name_of(asked.principal, asked.agent)
    found = next((one for one in store.known() if one.name == name), None)
    if found is None:
        return None
    if found.state is None:
        raise SessionError("the session cannot be read, so what depends on it is refused")
    said = ", ".join(found.state.labels) or "none"
    print(f"note: in the session as it is now; its labels: {plain(said)}", file=sys.stderr)
    return found.state


def _is_policy(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or Path(name).is_file()


def _policies(paths: list[Path], config: Config | None) -> PolicySet:
    from mcpguard.config.policies import PolicyFile, load_policies
    from mcpguard.core.redaction.redactor import OPT_IN

    files = [PolicyFile(path) for path in paths] or (config.policies if config else ())
    return load_policies(files, OPT_IN)


def _reach(
    args: argparse.Namespace,
    policies: PolicySet,
    config: Config | None,
    agent: str | None,
    redactor: Redactor,
) -> None:
    from mcpguard.authoring.explain.hypothesis import principal_of, snapshot_of
    from mcpguard.authoring.explain.reach import Reaches, offered, reach, servers_of
    from mcpguard.authoring.explain.text import reach_lines
    from mcpguard.core.model import Invocation

    servers = servers_of(policies, tuple(config.servers) if config else (), args.server)
    asking = Invocation("explain", "", principal_of(args), args.now or datetime.now(UTC), args.agent or agent)
    snapshot = snapshot_of(args)
    found = [reach(policies, asking, target) for target in offered(policies, servers, snapshot)]
    lines = reach_lines(found, policies, snapshot is not None)
    _print(Reaches(reach=tuple(found)), lines, args.json, redactor)


def _print(found: Sparse, lines: Iterable[str], as_json: bool, redactor: Redactor) -> None:
    from mcpguard.adapters.system.terminal import plain

    if as_json:
        said = found.model_dump(mode="json", exclude_defaults=True)
        print(redactor.inspect(said).payload.decode())
    else:
        for line in lines:
            print(plain(redactor.inspect_text(line)))
