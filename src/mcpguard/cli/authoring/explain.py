"""`mcpguard explain`: explain a decision, or list what a principal can reach.

Law of this file: this is the operator's command, so it shows conditions; it shows no argument, no result and
no secret, and whatever it prints went through the inspection of everything that leaves.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from mcpguard.adapters.store import default_folder
from mcpguard.adapters.system.terminal import broken, plain
from mcpguard.cli.parser import (
    add_config,
    add_snapshot,
    completed_for,
    configured,
    configured_if_any,
    same_config,
)
from mcpguard.config.loading import Config
from mcpguard.config.policies import PolicyFile, builtin_read_only, load_policies
from mcpguard.core.errors import ConfigError, Problem, SessionError, did_you_mean
from mcpguard.core.model import Invocation, Json
from mcpguard.core.policy.session import ServerPlaces, Session, StoredSession, name_of
from mcpguard.core.policy.tickets import Ticket, ticket_of

if TYPE_CHECKING:
    from mcpguard.adapters.store.state import SharedState
    from mcpguard.authoring.explain.explanation import Explanation
    from mcpguard.core.document.printed import Sparse
    from mcpguard.core.policy.compiled import PolicySet
    from mcpguard.core.redaction.redactor import Redactor

EXAMPLES = (
    'mcpguard explain --server github --tool create_issue --args \'{"owner": "acme"}\'',
    "mcpguard explain policies/git.yaml --server git --tool git_add --args-file args.json --json",
    "mcpguard explain 4f1c09aa-17 --args-file args.json",
    "mcpguard explain --reach --principal ada --group ops --snapshot tools.json",
)

_WRAPPED = (
    "note: there is no configuration, so the call is explained under the policy of `mcpguard wrap`: name the "
    "configuration that it was decided with, as --config FILE"
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
    add_snapshot(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_request(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--principal", metavar="ID", help="who makes the call (default: you)")
    parser.add_argument("--source", metavar="ISSUER", help="the source of that identity (default: os-user)")
    parser.add_argument(
        "--group", metavar="NAME", action="append", help="a group of the principal (may be repeated)"
    )
    parser.add_argument("--claims", type=_object, metavar="JSON", help="the claims of the principal's token")
    parser.add_argument(
        "--agent",
        metavar="NAME",
        help="the agent (default: the configuration's); where the configuration has `clients`, one of these",
    )
    parser.add_argument(
        "--project", metavar="FOLDER", help="the project of the agent, as for `mcpguard run --project FOLDER`"
    )


def _add_session(parser: argparse.ArgumentParser) -> None:
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
    """0 where it could be explained, whatever the verdict is; 1 where the record was altered."""
    from mcpguard.authoring.explain.explanation import Recorded, lines_of
    from mcpguard.authoring.explain.recorded import explain_record
    from mcpguard.core.redaction.redactor import Redactor

    found: Explanation | Recorded
    redactor = Redactor(os.urandom(32))
    files = [Path(name) for name in args.what if _is_policy(name)]
    ids = [name for name in args.what if not _is_policy(name)]
    config = None if files and not ids else (configured_if_any if ids else configured)(args.config)
    if config is not None and not ids:
        config = _as_seen(config, args)
    # What `mcpguard wrap` recorded was decided by a policy of its own.
    policies = builtin_read_only() if not files and config is None else _policies(files, config)
    agent = config.agent if config else None
    if args.reach:
        _reach(args, policies, config, agent, redactor)
        return 0
    if ids:
        found = explain_record(ids, args, policies, config, redactor, named=bool(files))
        if config is None and not files and not found.same_policies:
            print(_WRAPPED, file=sys.stderr)
    else:
        _check_server(config, args.server)
        found = _explained(args, policies, config, redactor)
    _print(found, list(map(completed_for(args.config), lines_of(found))), args.json, redactor)
    return 1 if isinstance(found, Recorded) and found.altered else 0


def _as_seen(config: Config, args: argparse.Namespace) -> Config:
    """The configuration as the client sees it who asks; the whole where nobody says who that is. Raises
    ConfigError for a client or project that it does not have."""
    unsaid = config.clients and args.project is None and (args.agent or config.agent) is None
    return config if unsaid else config.view(args.agent, args.project)


def _explained(
    args: argparse.Namespace, policies: PolicySet, config: Config | None, redactor: Redactor
) -> Explanation:
    """A call as it would be decided now."""
    from mcpguard.authoring.explain.explainer import KnownFacts
    from mcpguard.authoring.explain.hypothesis import absent, asked_by, explained, session_of, unknown_of
    from mcpguard.serve.settings import places_of

    asked = asked_by(args, config)
    if asked.target is not None and asked.target.absent:
        return absent(asked)
    unknown = unknown_of(args, asked, config, counted=True)
    if config is None or args.session is not None:
        session = session_of(args)
        return explained(policies, asked.invocation, session, args.result, redactor, KnownFacts(unknown))
    with _store(config) as store:
        places = places_of(config)
        live, readable = _live(store, asked.invocation, places, same_config(args.config))
        as_now = session_of(args, live) if readable else None
        listed = asked.target is None or asked.target.known
        known = KnownFacts(unknown, partial(_ticket, store, policies, places, listed))
        return explained(policies, asked.invocation, as_now, args.result, redactor, known)


def _check_server(config: Config | None, server: str) -> None:
    """Raises ConfigError for a server that is not in the configuration: rules for all servers would seem to
    decide about it."""
    if config is None or not server or server in config.servers:
        return
    hint = did_you_mean(server, config.servers) or f"it has {', '.join(config.servers)}"
    seen = f" for the client `{config.agent}`" if config.prefix else ""
    raise ConfigError([Problem(str(config.path), 0, 0, f"there is no server `{server}`{seen}; {hint}")])


@contextmanager
def _store(config: Config) -> Iterator[SharedState | None]:
    """The state that a call would be decided in now; None where nothing was ever stored."""
    from mcpguard.serve.interventions import store_of

    # To look into a folder that is not there would make it.
    if config.session_postgres is None and not (config.session_folder or default_folder()).exists():
        yield None
        return
    with closing(store_of(config)) as store:
        yield store


def _live(
    store: SharedState | None, asked: Invocation, places: ServerPlaces, option: str
) -> tuple[StoredSession | None, bool]:
    """The session that this call would be decided in now, None for a new one, and whether it can be read.
    Says which it is; `option` as of `same_config`."""
    name = name_of(asked.principal, asked.agent)
    try:
        known = [] if store is None else store.known(name)
    except SessionError as problem:
        print(f"note: {plain(str(problem))}", file=sys.stderr)
        return None, False
    found = next((one for one in known if one.name == name), None)
    if found is None:
        return None, True
    if found.state is None:
        ends = f"`mcpguard session end {found.name[:8]}{option}`"
        print(f"note: the session cannot be read: {ends} starts it over", file=sys.stderr)
        return None, False
    said = ", ".join(found.state.labels) or "none"
    print(f"note: in the session as it is now; its labels: {plain(said)}", file=sys.stderr)
    return structs.replace(found.state, facts=Session(found.state, places).facts), True


def _ticket(
    store: SharedState | None,
    policies: PolicySet,
    places: ServerPlaces,
    listed: bool,
    call: Invocation,
    rules: tuple[str, ...],
) -> Ticket | None:
    """The ticket by which these rules asked a person about exactly this call. Unless it is `listed` as the
    server lists it, that is taken to be as it was."""
    if store is None:
        return None
    mine = ticket_of(call, rules, policies.terms(rules), policies.asking, places)
    return store.standing(mine, listed)


def _is_policy(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or Path(name).is_file()


def _policies(paths: list[Path], config: Config | None) -> PolicySet:
    from mcpguard.core.redaction.detectors import OPT_IN

    files = [PolicyFile(path) for path in paths] or (config.policies if config else ())
    # Policies that are named are explained alone.
    return load_policies(files, OPT_IN).observing(config.observe if config and not paths else None)


def _reach(
    args: argparse.Namespace,
    policies: PolicySet,
    config: Config | None,
    agent: str | None,
    redactor: Redactor,
) -> None:
    from mcpguard.authoring.explain.hypothesis import principal_of, snapshot_of
    from mcpguard.authoring.explain.reach import ReachReport, offered, reach, reach_lines, servers_of

    servers = servers_of(policies, tuple(config.servers) if config else (), args.server)
    asking = Invocation("explain", "", principal_of(args), args.now or datetime.now(UTC), args.agent or agent)
    snapshot = snapshot_of(args)
    found = [reach(policies, asking, target) for target in offered(policies, servers, snapshot)]
    unlisted = None if snapshot is None else [one for one in servers if one not in snapshot.servers]
    lines = reach_lines(found, policies, unlisted)
    _print(ReachReport(reach=tuple(found)), lines, args.json, redactor)


def _print(found: Sparse, lines: Iterable[str], as_json: bool, redactor: Redactor) -> None:
    if as_json:
        said = found.model_dump(mode="json", exclude_defaults=True)
        print(redactor.inspect(said).payload.decode())
    else:
        for line in lines:
            print(broken(plain(redactor.inspect_text(line))))
