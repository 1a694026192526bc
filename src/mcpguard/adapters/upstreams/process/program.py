"""The program that a command names."""

import os
import shutil


def executable(command: str, path: str | None, cwd: str | None, mode: int = os.F_OK | os.X_OK) -> str | None:
    """The program that `command` names in the folder `cwd` and the child's PATH, a file with these rights,
    or None."""
    if cwd is not None and os.sep in command:
        command = os.path.join(cwd, command)
    return shutil.which(command, mode, path or os.defpath)


def not_startable(command: str, path: str | None, cwd: str | None) -> str:
    """Why `executable` finds nothing, and what to do."""
    there = executable(command, path, cwd, os.F_OK)
    if there is None:
        return f"the command '{command}' was not found; give its full path or fix PATH"
    return f"the command '{command}' is {there}, which is not executable; `chmod +x` it"
