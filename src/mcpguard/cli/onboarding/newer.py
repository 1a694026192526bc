"""`mcpguard import --policies`: packs that an earlier version copied are replaced by those of this one."""

from __future__ import annotations

import argparse
import os
import sys
from difflib import unified_diff
from pathlib import Path

from mcpguard.adapters.system.terminal import broken, plain, style
from mcpguard.cli.parser import confirmed
from mcpguard.config.loading import find_config
from mcpguard.onboarding import disk
from mcpguard.onboarding.policies import NewerPolicy, newer_policies

_KEPT = ".earlier"


def renew(args: argparse.Namespace, lock: Path) -> int:
    """0 where all are of this version now, or would be, 1 where one would not be loaded, 2 where nobody
    agreed. Raises McpGuardError where a file cannot be read or written; those before it stay replaced."""
    found = list(newer_policies(find_config(args.config, os.environ).absolute()))
    if not found:
        print("no policy is an unchanged copy of a pack of an earlier version")
        return 0
    for one in found:
        before, after = one.before.splitlines(), one.after.splitlines()
        name = plain(str(one.path))
        for line in unified_diff(before, after, name, f"{name} ({one.name})", n=1, lineterm=""):
            print(plain(line))
        if one.refusal:
            said = f"{name} would not be loaded, so it is left alone: {plain(one.refusal)}"
            print(broken(f"{style('stays', 'yellow')}    {said}"))
    todo = [one for one in found if not one.refusal]
    code = 1 if len(todo) < len(found) else 0
    if args.dry_run or not todo:
        print("nothing was changed")
        return code
    if not (args.yes or (sys.stdin.isatty() and confirmed("proceed? [y/N] "))):
        print("nothing was done" if sys.stdin.isatty() else "nothing was done: confirm with --yes")
        return 2
    with disk.locked(lock):
        for one in todo:
            _replace(one)
    return code


def _replace(one: NewerPolicy) -> None:
    kept = one.path.with_name(one.path.name + _KEPT)
    disk.refuse_irreplaceable(one.path)
    disk.write(kept, one.before.encode())
    disk.write(one.path, one.after.encode(), expected=disk.digest_of(one.before.encode()))
    said = f"{plain(str(one.path))}; the earlier version is in {plain(kept.name)}"
    print(broken(f"{style('replaced', 'green')} {said}"))
