"""`mcpguard suggest`: rules for what none allowed or people approved, as a diff."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import coloured, plain, style, table
from mcpguard.cli.parser import add_config, add_since, configured, confirmed, person_for, to_stderr
from mcpguard.core.evidence.bounds import only_counted

if TYPE_CHECKING:
    from mcpguard.authoring.suggest import Suggestions

EXAMPLES = ("mcpguard suggest", "mcpguard suggest --since 24h --server git", "mcpguard suggest --write")

_HEAD = ("CALLS", "WHY", "TOOL", "PRINCIPAL", "AGENT", "RULE", "LAST CALLS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_since(parser, "7d")
    parser.add_argument("--server", metavar="NAME", help="calls to this server only")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--write", action="store_true", help="write the rules to your own policy, after you confirm"
    )
    what.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0; 1 where the person does not say yes, or a chain was altered; 2 where there is nothing to look at, or
    nothing to write to."""
    from mcpguard.authoring.own_policy import OwnPolicy, Proposal, SuggestError, own_policy, write
    from mcpguard.authoring.suggest import suggested
    from mcpguard.serve.interventions import store_of

    config = configured(args.config)
    if args.write:
        who = person_for("`mcpguard suggest --write`")
        own_policy(config)
    with closing(store_of(config)) as store:
        found, proposal = suggested(config, args.since, args.server, store.known_ticket)
        if args.json:
            print(found.model_dump_json())
        else:
            _print(found)
        if proposal is None or not args.write:
            return 1 if found.altered else 0
        if not confirmed("write this? [y/N] "):
            print("nothing was written")
            return 1

        def again(_own: OwnPolicy) -> Proposal:
            _, now = suggested(config, args.since, args.server, store.known_ticket)
            if now is None or now.rule != proposal.rule:
                raise SuggestError("the suggestions have changed in the meantime: review them again")
            return now

        made = write(config, "rules-suggested", f"by {who}", again)
        print(f"{style('written', 'green')} {made.rule} to {plain(str(config.own_policy))}")
        if any(line.startswith("+") and line.endswith("&& false") for line in made.diff.splitlines()):
            print("rules that end in `&& false` allow nothing yet: replace `false` in each")
        return 1 if found.altered else 0


def _print(found: Suggestions) -> None:
    from mcpguard.authoring.suggest import named

    for name in found.altered:
        to_stderr(f"{plain(name)} was altered, or written by a newer mcpguard, so it is ignored")
    if found.suggestions:
        print(table([_HEAD, *named(found.suggestions)]))
    else:
        print("no tool call was refused for lack of a rule, and no person approved one")
    if found.others:
        methods = ", ".join(f"{method} {count}" for method, count in found.others.items())
        print(f"other requests that no rule allows: {plain(methods)}; for them write rules with `action`")
    if found.folded:
        print(only_counted(found.folded))
    if found.diff:
        print()
    print(coloured(found.diff), end="\n" * bool(found.diff))
