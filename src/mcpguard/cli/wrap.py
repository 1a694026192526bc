"""`mcpguard wrap`: guard one server with no configuration file."""

import argparse
import os

from msgspec import structs

from mcpguard.cli.parser import add_log_format, expect_a_client

EXAMPLES = (
    "mcpguard wrap -- uvx mcp-server-git --repository ~/src/project",
    "mcpguard wrap --env GITHUB_PERSONAL_ACCESS_TOKEN -- npx -y @modelcontextprotocol/server-github",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--env",
        action="append",
        type=_variable,
        default=[],
        metavar="NAME",
        help="an environment variable to pass to the server; its value is treated as a credential and "
        "redacted from all results",
    )
    parser.add_argument(
        "--cwd",
        metavar="FOLDER",
        help="the folder to start the server in; `client` means the current folder of this command. "
        "Default: an empty folder, so that nobody can plant code there that `npx` or `python -m` "
        "would run",
    )
    add_log_format(parser)
    parser.usage = (
        "mcpguard wrap [-h] [--env NAME] [--cwd FOLDER]\n"
        "                     [--log-format {text,json}] -- COMMAND [ARGUMENT ...]"
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the server and its arguments")


def _variable(text: str) -> str:
    """The `type` of `--env`. What is wrong is not repeated: it may be a credential."""
    from mcpguard.config.references import names_a_variable

    if names_a_variable(text):
        return text
    if "=" not in text:
        raise argparse.ArgumentTypeError("expected the name of a variable, such as GITHUB_TOKEN")
    raise argparse.ArgumentTypeError(
        "name the variable only, as in `--env GITHUB_TOKEN`, and set it in the environment of mcpguard "
        "(`env` of the client's entry): a value on the command line can be read by every process on this "
        "machine (`ps`). If it was real, replace it at its issuer"
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until the client ends. Raises AuditError before it serves."""
    from mcpguard.config.policies import builtin_read_only
    from mcpguard.core.policy.compiled import PolicySet
    from mcpguard.serve.handover import in_child

    policies = in_child(builtin_read_only, PolicySet)  # Before there is a second thread.
    from mcpguard.adapters.system.own_process import tune_allocator
    from mcpguard.core.redaction.beginnings import prepare_soon

    tune_allocator()
    prepare_soon()  # Before the rest is imported.
    from mcpguard.serve.app import serve, settings_for_wrap

    command, *rest = args.command
    settings = settings_for_wrap(command, tuple(rest), tuple(args.env), args.cwd, policies())
    expect_a_client()
    os._exit(serve(structs.replace(settings, log_format=args.log_format)))
