"""A program of the tests in a process that has its imports already: those of mcpguard, or of the SDK, cost more
processor time than most tests.

A process that has imported the program calls `serve`, and forks for each request at its socket; whoever asks hands
over standard streams, arguments, folder and variables, learns the process id, and at the end how it ended.

    python -S warm.py SOCKET ARGUMENT ...

asks with its own streams and ends as the child ends; killed, it takes the child along.
"""

import _socket
import marshal
import os
import sys

SIZE = 4


def ask(path: str, said: dict, descriptors: tuple[int, int, int]) -> tuple[_socket.socket, int]:
    """Have the process at `path` fork; the connection on which the status of its end comes, and its id. Closing the
    connection kills it. Imports as little as can be: many a server that is asked for lives for a moment."""
    request = marshal.dumps(said)
    link = _socket.socket(_socket.AF_UNIX)
    link.connect(path)
    handed = b"".join(one.to_bytes(SIZE, sys.byteorder) for one in descriptors)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handed)]
    link.sendmsg([len(request).to_bytes(SIZE, "big")], rights)
    link.sendall(request)
    return link, int.from_bytes(link.recv(SIZE, _socket.MSG_WAITALL), "big")


def serve(path: str, main) -> None:
    """Fork for each request at `path`, and let `main()` run in the child, with the arguments in `sys.argv`. Ends, and
    ends all children, when standard input ends."""
    import selectors
    import signal
    import socket

    children: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as look:
        listening.bind(path)
        listening.listen(64)
        for one in (0, listening, woken):
            look.register(one, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in look.select():
                if key.fileobj == 0:
                    for child in children:
                        os.kill(child, signal.SIGKILL)
                    return
                if key.fileobj is listening:
                    link, _address = listening.accept()
                    descriptors, said = _asked(link)
                    if (child := os.fork()) == 0:
                        for one in (look, listening, woken, wake, link, *children.values()):
                            one.close()
                        _become(descriptors, said, main)
                    for descriptor in descriptors:
                        os.close(descriptor)
                    link.sendall(child.to_bytes(SIZE, "big"))
                    children[child] = link
                    look.register(link, selectors.EVENT_READ, child)
                elif key.fileobj is woken:
                    woken.recv(4096)
                    _reap(children, look)
                elif key.data in children:  # Who asked for it has gone.
                    os.kill(key.data, signal.SIGKILL)
                    look.unregister(key.fileobj)


def _reap(children: dict, look) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        link = children.pop(child)
        if link.fileno() in look.get_map():
            look.unregister(link)
        try:
            link.sendall(status.to_bytes(SIZE, "big"))
        except OSError:
            pass
        link.close()


def _asked(link) -> tuple[list[int], dict]:
    import socket

    head, descriptors, _flags, _address = socket.recv_fds(link, SIZE, 3)
    return descriptors, marshal.loads(link.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))


def _become(descriptors: list[int], said: dict, main) -> None:
    import resource
    import signal

    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if said["session"]:
            os.setsid()
        for ours, theirs in zip((0, 1, 2), descriptors, strict=True):
            os.dup2(theirs, ours)
            os.close(theirs)
        sys.argv[1:] = said["arguments"]
        for which, most in said.get("limits", {}).items():
            resource.setrlimit(which, (most, most))
        os.chdir(said["folder"])
        os.environ.clear()
        os.environ.update(said["variables"])
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # ValueError: the program has closed it.
                pass
        os._exit(code)


if __name__ == "__main__":
    _ours = {
        "arguments": sys.argv[2:],
        "folder": os.getcwd(),
        "variables": dict(os.environ),
        "session": False,
    }
    _link, _ = ask(sys.argv[1], _ours, (0, 1, 2))
    for _one in (0, 1, 2):
        os.close(_one)
    os._exit(os.waitstatus_to_exitcode(int.from_bytes(_link.recv(SIZE, _socket.MSG_WAITALL), "big")) & 0xFF)
