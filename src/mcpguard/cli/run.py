"""`mcpguard run`: serve the configured tool servers over standard input and output, or over HTTP."""

from __future__ import annotations

import argparse
import os
from errno import EADDRINUSE
from functools import partial
from typing import TYPE_CHECKING

from mcpguard.cli.parser import add_config, add_log_format, expect_a_client, to_stderr

if TYPE_CHECKING:
    from mcpguard.serve.settings import Settings

EXAMPLES = (
    "mcpguard run --config ~/.config/mcpguard/mcpguard.yaml",
    "mcpguard run --config mcpguard.yaml --agent cursor --project ~/shop",
    "mcpguard run --config mcpguard.yaml --http 127.0.0.1:8080",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_config(parser)
    parser.add_argument(
        "--agent",
        metavar="NAME",
        help="the label of the connecting agent, instead of `agent` in the configuration; each agent has "
        "its own sessions, and sees the servers that `clients` names for it",
    )
    parser.add_argument(
        "--project",
        metavar="FOLDER",
        help="the project whose servers are served, one of `clients.NAME.projects` in the configuration",
    )
    parser.add_argument(
        "--http",
        metavar="HOST:PORT",
        help="serve any number of clients over HTTP (Streamable HTTP at /mcp, HTTP+SSE at /sse) instead of "
        "one over standard input and output; port 0 picks a free port",
    )
    add_log_format(parser)


def execute(args: argparse.Namespace) -> int:
    """Serve until the client ends, or a signal does. Raises ConfigError, PolicyError or AuditError before
    it serves."""
    from mcpguard.adapters.system.own_process import tune_allocator
    from mcpguard.config.loading import find_config
    from mcpguard.serve.handover import HandedConfig, in_child, read

    reads = partial(read, find_config(args.config, os.environ), args.agent, args.project)
    tune_allocator()  # In the child too.
    found = in_child(reads, HandedConfig)  # Before there is a second thread.
    from mcpguard.core.redaction.beginnings import prepare_soon

    prepare_soon()  # Before the rest is imported.
    from msgspec import structs

    from mcpguard.serve.app import loaded, serve

    settings = structs.replace(loaded(found(), reads), log_format=args.log_format)
    if args.http is not None:
        os._exit(_serve_http(settings, args.http))
    expect_a_client()
    # A keychain that waits for a person must not keep a process that has served alive, so no interpreter
    # shutdown waits for its thread; everything that must be closed was closed by `serve`.
    os._exit(serve(settings))


def _serve_http(settings: Settings, address: str) -> int:
    from mcpguard.adapters.transports.http import refuse_address, split_address
    from mcpguard.serve.app import serve_http

    problem = refuse_address(address, settings.config.http.token is not None)
    if problem:
        to_stderr(problem)
        return 2
    try:
        return serve_http(settings, *split_address(address))
    except OSError as error:
        instead = (
            "; stop what is listening there, or choose another port" if error.errno == EADDRINUSE else ""
        )
        to_stderr(f"cannot listen on {address}: {error.strerror}{instead}")
        return 2
