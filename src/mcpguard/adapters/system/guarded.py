"""Programs that do not outlive us: each is the head of a process group of its own, with a guard in it.

Law of this file: when mcpguard ends, however it ends, the guard kills the group, except for what has
left it, such as gpg-agent. No shell interprets a command.
"""

import os
import re
import signal
import subprocess
import time

_REAPS = 50

# The other end of its standard input is ours, so the first read ends when we do. A group of its own, and not
# a session: children in other sessions count as left behind (`upstreams/process/child.py`).
_GUARD = """
exec 3<&0 </dev/null
{ read -r nothing <&3; kill -KILL -$$; } >/dev/null 2>&1 &
"$@" 3<&-
status=$?
kill -KILL $!
wait $!
exit $status
"""


def found(program: str, path: str | None, mode: int = os.F_OK | os.X_OK) -> str | None:
    """The full path of a program, which has these rights; None if it is not found. Never one in the working
    folder: whoever may write there could give us another."""
    from shutil import which  # It brings three compressors along.

    place = which(os.path.expanduser(program), mode, path or os.defpath)
    return place if place is not None and os.path.isabs(place) else None


def misread(command: str) -> str:
    """Why a text, where no program is found by it, is more or other than the name of one, and what to do; ""
    for a name. Of a line for a shell only its first word is shown, without a value: there may be a credential
    in it."""
    from shutil import which

    first, *rest = command.split() or [""]
    if re.match("[a-z][a-z0-9+.-]*://", first):
        return "the command is the address of a remote server: write it as `url` in a configuration"
    if assigned := re.match("([A-Za-z_][A-Za-z0-9_]*)=", first):
        return f"the command begins with a value for {assigned[1]}: set it under `env`"
    if rest and (any(word.startswith("-") for word in rest) or which(first) is not None):
        return (
            f"the command is '{first}' and its arguments in one string: write each argument as its own word"
        )
    if first.startswith("~"):
        return f"the command '{command}' begins with ~, which only a shell replaces: give the full path"
    return ""


def lack_of(program: str, path: str | None) -> str:
    """Why `found` finds nothing, and what to do, as the end of a sentence about the program."""
    there = found(program, path, os.F_OK)
    return "was not found; give its full path or fix PATH" if there is None else unexecutable(program, there)


def unexecutable(program: str, there: str) -> str:
    """The same for a program that is `there`."""
    return f"is {'' if program == there else f'{there}, which is '}not executable; `chmod +x` it"


def not_found(command: str, path: str | None) -> str:
    """What is said where `found` finds no program by a command."""
    return misread(command) or f"the command '{command}' {lack_of(command, path)}"


def start(
    words: list[str], environment: dict[str, str], name: str, stdout: int, passed: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a program; `name` is what the guard is called in a list of processes, `passed` are descriptors
    that it gets as well. Its standard error goes nowhere. Raises OSError."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, name, *words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        process_group=0,
        bufsize=0,
        pass_fds=passed,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its group, and reap it."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
    # Orphans of it are our children where we adopt them; nothing else reaps these.
    for _ in range(_REAPS):
        try:
            if os.waitpid(-process.pid, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return
