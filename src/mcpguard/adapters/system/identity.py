"""Who is on the other side (PIP). On stdio the operating system says so: the user that started us."""

import os
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
