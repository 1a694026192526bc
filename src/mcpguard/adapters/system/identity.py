"""Who is on the other side (PIP). On stdio the operating system says so: the user that started us."""

import os

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
