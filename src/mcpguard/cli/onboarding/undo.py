"""`mcpguard undo`: restore the files of your clients to what they were before `mcpguard import`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import broken, plain, style
from mcpguard.cli.parser import add_client
from mcpguard.onboarding import disk
from mcpguard.onboarding.journal import ImportMove, MoveJournal, default_folder

if TYPE_CHECKING:
    from mcpguard.onboarding.moves import UndoOutcome

EXAMPLES = ("mcpguard undo", "mcpguard undo --client cursor", "mcpguard undo --beside")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_client(parser, "--client", "only this client")
    parser.add_argument(
        "--beside",
        action="store_true",
        help="if a file was changed since: write its original content, with its secrets, to a file next "
        "to it",
    )


def execute(args: argparse.Namespace) -> int:
    """0 where all is as it was, 1 where what the import wrote was changed and stays. Raises McpGuardError
    where a file or the keychain is unavailable."""
    from mcpguard.onboarding.moves import UndoOutcome, restore_clients, restore_rest, stays

    journal = MoveJournal(default_folder())
    code, done, said = 0, False, False
    client = args.client or ""
    with disk.locked(journal.lock):
        moves = [move for move in journal.moves() if move.state != "undone"]
        backs = [(move, UndoOutcome()) for move in reversed(moves)]
        newer = False
        try:
            for move, back in backs:
                restore_clients(journal, move, back, client)
            for move, back in backs:
                if not stays(move, moves):
                    restore_rest(journal, move, back, newer)
                newer = newer or move.state != "undone"
        finally:  # Also where one of them cannot be taken back.
            for number, (move, back) in enumerate(backs, 1):
                told = _tell(back, {path for _, one in backs[number:] for path in one.restored})
                if move.state == "undone" and not told:
                    print("an unfinished import had changed no file; what it had stored was removed")
                said = said or told or move.state == "undone"
                done = done or bool(back.restored or back.entries)
                if back.refused:
                    code = 1
                    _offer(journal, move, client, args.beside)
    if not said:
        print(f"there is nothing to undo{f' for {args.client}' if args.client else ''}")
    if done:
        print("restart these clients; until then they keep using what they started with")
    return code


def _tell(back: UndoOutcome, again: set[str]) -> bool:
    """Print the outcome of a move, without the files that come `again` later. False if there is nothing to
    report."""
    for path in [one for one in back.restored if one not in again]:
        did = "restored" if Path(path).exists() else "removed "
        print(f"{style(did, 'green')} {plain(path)}")
    for path in back.entries:
        why = "changed since; only its entries were restored"
        print(f"{style('restored', 'green')} {plain(path)} ({why})")
    for one in back.removed:
        print(f"{style('removed ', 'green')} {plain(one)}")
    for kept in back.kept:
        print(broken(f"note: {plain(kept)}"))
    for refused in back.refused:
        print(broken(f"{style('stays', 'yellow')}    {plain(refused)}"))
    return any((back.restored, back.entries, back.removed, back.kept, back.refused))


def _offer(journal: MoveJournal, move: ImportMove, client: str, beside: bool) -> None:
    from mcpguard.onboarding.moves import changed, unseal

    for step in changed(move, client):
        path = Path(step.path)
        try:
            was = unseal(journal, move, step)
        except disk.MoveError:
            continue  # That was said.
        aside = path.with_name(f"{path.name}.before-mcpguard")
        if not beside:
            only = f" --client {client}" if client else ""
            said = f"`mcpguard undo{only} --beside` writes the original content, with its secrets, to"
            print(broken(f"{said} {plain(str(aside))}"))
        else:
            disk.write(aside, was, expected=None)
            print(f"written: {plain(str(aside))}; it contains the secrets")
            said = "and run `mcpguard undo` again: the rest is restored once that file has no mcpguard entry"
            print(broken(f"copy what you need from it to {plain(str(path))}, delete it, {said}"))
