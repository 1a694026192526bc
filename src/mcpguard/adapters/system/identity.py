"""Who is on the other side (PIP). On stdio the operating system says so: the user that started us."""

import os
import socket
import sys
from contextlib import suppress

from mcpguard.core.model import Principal


def operating_system_user() -> Principal:
    """The user id of this process, by name where the system knows one; names and numbers do not mix up,
    since a name cannot be all digits."""
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Principal(name, "os-user")


def groups_of_user() -> tuple[str, ...]:
    """The names of the groups of this process, sorted; those without a name are left out."""
    import grp

    names: set[str] = set()
    for group in {os.getgid(), *os.getgroups()}:
        with suppress(KeyError):
            names.add(grp.getgrgid(group).gr_name)
    return tuple(sorted(names))


def machine_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def installed_versions(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed. Read from the names of folders alone, since
    `importlib.metadata` takes as long to import as half of a start."""
    found: dict[str, str] = {}
    names = {package.replace("-", "_"): package for package in packages}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if version and name in names and entry.endswith(".dist-info"):
                found.setdefault(names[name], version)
    return found
