"""The listening socket that a supervisor opened for this process (sd_listen_fds(3)).

Law of this file: it changes no address. Whether a token is needed, and which `Host` is served, was decided by
the address on the command line, so a socket that is bound to another one is refused.
"""

import errno
import os
import socket

_FIRST = 3
_NUMERIC = {"localhost": "127.0.0.1"}


def passed(host: str, port: int) -> socket.socket | None:
    """The socket, None where none was passed. Raises OSError where it is not one that listens on that
    address."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise OSError(errno.EINVAL, "more than one socket was passed")
    listening = socket.socket(fileno=_FIRST)
    listening.setblocking(False)
    listening.set_inheritable(False)
    wanted = (_NUMERIC.get(host, host), port)
    if listening.type != socket.SOCK_STREAM or listening.getsockname()[:2] != wanted:
        listening.close()
        raise OSError(errno.EADDRNOTAVAIL, "the socket that was passed is bound to another address")
    return listening
