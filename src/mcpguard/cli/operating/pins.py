"""`mcpguard pins`: the tools and prompts that are held back because their definitions are not those that were
accepted; a person sees what is different, and accepts it."""

from __future__ import annotations

import argparse
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import broken, coloured, counted, plain, style, table
from mcpguard.cli.parser import add_config, configured_if_any, confirmed, person_for, same_config
from mcpguard.core.errors import SessionError
from mcpguard.core.legible import utc
from mcpguard.core.policy.pins import UNSHOWN, HeldPin, Pin, held_now

if TYPE_CHECKING:
    from mcpguard.adapters.store.state import SharedState
    from mcpguard.config.loading import Config

EXAMPLES = (
    "mcpguard pins",
    "mcpguard pins show github/create_issue",
    "mcpguard pins accept github/create_issue",
    "mcpguard pins accept github",
    "mcpguard pins forget github",
)

NONE = "nothing is held back"
FULL = (
    "of {server} no more definitions can be remembered, so what is new is held back without being listed: "
    "`mcpguard pins forget {server}{option}` has the next list count as the first"
)
_MEMBER = re.compile(r'[+-](\w+|"[^"]*")')
_HEAD = ("HELD BACK", "SINCE", "WHAT IS DIFFERENT")
_ALL = ("DEFINITION", "STATE", "SINCE", "BY")
_OF = (
    "the server (`github`), one of its tools (`github/create_issue`) or prompts (`github/prompt:triage`), or "
    "its instructions (`github/server:instructions`)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "what",
        metavar="show|accept|forget",
        nargs="?",
        choices=["show", "accept", "forget"],
        help="`show` what is different; `accept` it; `forget` all that is known of a server, so that what it "
        "lists next counts as the first",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help=_OF)
    parser.add_argument("--all", action="store_true", help="list also what was accepted")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0; 1 where the person does not accept anything, 2 where nothing has that name, or where a change is not
    made from a terminal."""
    from mcpguard.config.loading import Config
    from mcpguard.serve.interventions import forget_pins, full_of_pins, pins_of, store_of

    # `mcpguard wrap` has no configuration.
    config = configured_if_any(args.config) or Config(Path("no configuration"), {})
    option = same_config(args.config)
    with closing(store_of(config)) as store:
        if args.what == "forget":
            by = person_for("`mcpguard pins forget`")
            if args.name not in config.servers and not _knows(config, store, args.name):
                raise SessionError(f"no server is called {args.name!r}; name one as in the configuration")
            forget_pins(config, store, args.name, by)
            print(f"{style('forgotten', 'green')} {plain(args.name)}: what it lists next counts as the first")
            return 0
        known = pins_of(config, store, open_only=args.what is not None or not args.all)
        if args.what is None:
            _list(known, args.all, args.json, option)
            for name in [] if args.json else full_of_pins(config, store):
                print(broken(FULL.format(server=name, option=option)))
            return 0
        chosen = _chosen(known, args.name, option)
        if args.what == "accept":
            return _accept(config, store, chosen)
        if args.json:
            _print_json([one.pin for one in chosen])
            return 0
        for one in chosen:
            print(_shown(one))
    return 0


def _knows(config: Config, store: SharedState, server: str) -> bool:
    from mcpguard.serve.interventions import pins_of

    return any(one.server == server for one in pins_of(config, store))


def _accept(config: Config, store: SharedState, chosen: list[HeldPin]) -> int:
    from mcpguard.serve.interventions import accept_pins

    by = person_for("`mcpguard pins accept`")
    for one in chosen:
        print(_shown(one))
    what = plain(chosen[0].pin.subject) if len(chosen) == 1 else counted(len(chosen), "definition")
    if not confirmed(f"accept {what}? [y/N] "):
        print("nothing is accepted")
        return 1
    accept_pins(config, store, [one.pin for one in chosen], by)
    print(f"{style('accepted', 'green')} {what}: listed again, and called where rules allow it")
    return 0


def _list(known: list[Pin], every: bool, as_json: bool, option: str) -> None:
    held = held_now(known)
    if as_json:
        _print_json(known if every else [one.pin for one in held])
        return
    if every:
        rows = [
            (one.subject, "accepted" if one.accepted else "held back", utc(one.since), one.by or "first seen")
            for one in known
        ]
        print(table([_ALL, *rows]) if rows else "no definition is known: no server was listed yet")
        return
    if not held:
        print(NONE)
        return
    print(table([_HEAD, *((one.pin.subject, utc(one.pin.since), _summary(one)) for one in held)]))
    first = f"{plain(held[0].pin.subject)}{option}"
    print(broken(f"`mcpguard pins show {first}` shows it, and `mcpguard pins accept {first}` accepts it"))


def _print_json(pins: list[Pin]) -> None:
    from mcpguard.cli.outputs import PinList

    print(PinList.model_validate({"pins": pins}).model_dump_json())


def _chosen(known: list[Pin], name: str, option: str) -> list[HeldPin]:
    found = [one for one in held_now(known) if name in (one.pin.subject, one.pin.server)]
    if not found:
        said = f"nothing called {plain(name)!r} is held back" if name else "name what you mean"
        raise SessionError(f"{said}; `mcpguard pins{option}` lists what is held")
    return found


def _summary(one: HeldPin) -> str:
    if not one.before:
        return "it is new"
    changed = (_MEMBER.match(line) for line in one.changes)
    return ", ".join(dict.fromkeys(found[1] for found in changed if found)) or UNSHOWN


def _shown(one: HeldPin) -> str:
    head = style(plain(one.pin.subject), "bold") + f", seen at {utc(one.pin.since)}"
    return "\n".join([head, *(coloured(plain(line)) for line in one.changes)])
