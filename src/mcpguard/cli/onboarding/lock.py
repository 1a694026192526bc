"""`mcpguard lock`: a client starts no other server than mcpguard, by what it offers for that."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import broken, plain, style
from mcpguard.cli.parser import add_client, add_config
from mcpguard.config.loading import find_config, load_config
from mcpguard.core.errors import ConfigError
from mcpguard.onboarding import disk
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.disk import MoveError

if TYPE_CHECKING:
    from mcpguard.onboarding.locks.lockable import Lockable, LockSurvey, SystemFolders
    from mcpguard.onboarding.locks.locking import LockKeeper

EXAMPLES = (
    "mcpguard lock claude-code --print          (shows the file, changes nothing)",
    'sudo env HOME="$HOME" mcpguard lock claude-code',
    'sudo env HOME="$HOME" mcpguard lock claude-code --undo',
)

_BACK = {
    "restored": "restored: {path}, byte for byte",
    "removed": "removed: {path}, which was not there before",
    "unlocked": "unlocked: {path} has changed since, so only the lock's own entries were removed",
    "gone": "nothing to do: {path} was removed by somebody else",
    "": "{path} has no lock of mcpguard",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_client(parser, "client", "its name (default: list those that can be locked)", nargs="?")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--undo", action="store_true", help="remove the lock")
    how.add_argument(
        "--print", action="store_true", help="print the file that it would write, and do nothing else"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="allow only mcpguard, even if the file now allows more (`--undo` restores it)",
    )
    parser.add_argument(
        "--yes", action="store_true", help="lock even if that stops servers that are not behind mcpguard"
    )
    add_config(parser)


def _say(text: str) -> None:
    print(broken(text))


def execute(args: argparse.Namespace) -> int:
    """0 where the client is locked, or not any more, 1 where that needs an administrator, and where the
    client may still start something else, 2 where none is named: then those that can be locked are listed.
    Raises McpGuardError where it cannot be done; then nothing was."""
    from mcpguard.onboarding.discovery.reading import here
    from mcpguard.onboarding.locks.lockable import ELSEWHERE, NOTHING, lockable
    from mcpguard.onboarding.locks.locking import READABLE, LockKeeper

    if args.client is None:
        return _listed()
    one = lockable(args.client)
    if one is None:
        title = next(each.title for each in CLIENTS if each.name == args.client)
        raise MoveError(f"{title} cannot be locked: {ELSEWHERE.get(args.client, NOTHING)}")
    keeper = LockKeeper(system(), one, here(os.environ, None).home)
    if args.undo:
        if not keeper.may_write():
            return _needs_administrator(keeper, args, "")
        disk.make_folder(keeper.lock_file.parent, READABLE)
        with disk.locked(keeper.lock_file):
            print(_BACK[keeper.take_back()].format(path=plain(str(keeper.path))))
        return 0
    return _lock(one, keeper, args)


def _listed() -> int:
    from mcpguard.onboarding.locks.lockable import LOCKABLE

    print("name a client, `mcpguard lock CLIENT`; these can be locked:")
    for one in LOCKABLE:
        _say(f"  {', '.join(one.clients)}: {plain(str(system().file(one)))}")
    return 2


def system() -> SystemFolders:
    """This machine."""
    from mcpguard.onboarding.locks.lockable import SystemFolders

    return SystemFolders(Path("/"), sys.platform)


def _lock(one: Lockable, keeper: LockKeeper, args: argparse.Namespace) -> int:
    from mcpguard.onboarding.locks.locking import READABLE

    seen = _looked(one, keeper, args)
    if not seen.allowed:
        raise MoveError(_nothing_to_start(one, seen, args.client))

    text = keeper.planned(seen.allowed, only=args.replace)
    if args.print:
        print(text, end="")
        return 0
    if seen.ended and not args.yes:
        raise MoveError(
            f"these servers are not behind mcpguard and would no longer start: {', '.join(seen.ended)}. "
            f"Move them with `mcpguard import --client {args.client}`, or add --yes"
        )
    if not keeper.may_write():
        return _needs_administrator(keeper, args, text)
    disk.make_folder(keeper.lock_file.parent, READABLE)
    with disk.locked(keeper.lock_file):
        fresh = keeper.set(seen.allowed, only=args.replace)
    return _tell(one, keeper, seen, args.client, fresh)


def _looked(one: Lockable, keeper: LockKeeper, args: argparse.Namespace) -> LockSurvey:
    from mcpguard.onboarding.discovery.reading import here
    from mcpguard.onboarding.locks.lockable import look, projects_in

    path = find_config(args.config, os.environ)
    try:
        config = load_config(path)
    except ConfigError:
        config = None  # A client may start mcpguard with another one; `mcpguard check` reports mistakes.
    projects = [*projects_in(config, one), *keeper.projects()]
    return look(one, here(os.environ, Path.cwd()), projects, path)


def _nothing_to_start(one: Lockable, seen: LockSurvey, client: str) -> str:
    if seen.left:
        return f"no entry of mcpguard can be allowed: {seen.left[0]}"
    if seen.unread:
        return f"no entry of mcpguard was found, and a file could not be read: {seen.unread[0]}"
    way = "import --client" if seen.ended else "install"
    run = f"run `mcpguard {way} {client}` first"
    return (
        f"no entry of mcpguard was found for {one.title}, so a lock would leave it without any server: {run}"
    )


def _needs_administrator(keeper: LockKeeper, args: argparse.Namespace, text: str) -> int:
    from mcpguard.onboarding.installing import as_administrator

    if os.geteuid() == 0:
        raise MoveError(f"{keeper.path} cannot be written, even by the administrator")
    options = [name for name in ("undo", "replace", "yes") if getattr(args, name)]
    words = ["lock", args.client, *(f"--{name}" for name in options)]
    words += ["--config", os.path.abspath(args.config)] if args.config else []
    if text:
        print(f"{plain(str(keeper.path))} would be:\n\n{text}")
    print(f"nothing was done: this needs an administrator. Run\n\n    {as_administrator(words, os.environ)}")
    return 1


def _tell(one: Lockable, keeper: LockKeeper, seen: LockSurvey, client: str, fresh: bool) -> int:
    from mcpguard.onboarding.locks.forms import more, says
    from mcpguard.onboarding.locks.lockable import titles

    path = plain(str(keeper.path))
    before = "" if fresh else " already"
    _say(f"{style('locked', 'green')}{before} by {path}: {titles(seen.allowed)} starts nothing but")
    for each in seen.allowed:
        _say(f"  {plain(each.name)}: {plain(' '.join(each.command))}")
    for said in (*seen.left, *seen.unread):
        _say(f"{style('left out', 'yellow')}: {plain(said)}")
    for said in seen.ended:
        _say(f"{style('ended', 'yellow')}: {plain(said)}")
    rest = more(one, says(keeper.text(), one.format, path))
    for said in rest:
        _say(f"{style('allowed', 'yellow')} as well, as before: {plain(said)} (`--replace` ends that)")
    for said in one.limits:
        _say(f"note: {said}")
    _say(f"Restart {titles(seen.allowed)}. `mcpguard lock {client} --undo` takes it back.")
    return 1 if rest else 0
