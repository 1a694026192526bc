"""A server of the tests in a process that has its imports already: importing the SDK takes most of a second.

    python -S warm.py SOCKET ARGUMENT ...

is the command of the server. It hands its standard streams, arguments, folder and variables to the process that
listens at SOCKET, which forks (`serve`), and ends with the child's exit code. The pipes are those of whoever started
the command; a command that is killed takes its child along.
"""

import json
import os
import socket
import sys


def launch(path: str, arguments: list[str]) -> int:
    """Run the server behind `path` with our streams; its exit code."""
    asked = json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        socket.send_fds(link, [len(asked).to_bytes(4, "big")], [0, 1, 2])
        link.sendall(asked)
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        return int.from_bytes(link.recv(1), "big")


def serve(path: str, main) -> None:
    """Fork for each command that connects to `path`, and call `main()` in the child with the command's arguments in
    `sys.argv`. Ends, with all children, when standard input ends."""
    import selectors

    children: dict[int, int] = {}  # The descriptor of a command -> its child.
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as look:
        listening.bind(path)
        listening.listen(64)
        look.register(0, selectors.EVENT_READ)
        look.register(listening, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in look.select():
                if key.fileobj is listening:
                    link, _address = listening.accept()
                    asked = _asked(link)
                    if (child := os.fork()) == 0:
                        look.close()
                        listening.close()
                        _become(link, *asked, main)
                    for descriptor in asked[0]:
                        os.close(descriptor)
                    children[link.fileno()] = child
                    look.register(link, selectors.EVENT_READ)
                elif key.fileobj == 0:
                    for child in children.values():
                        os.kill(child, 9)
                    return
                else:  # The child has said its exit code to the command and ended, or the command is gone.
                    look.unregister(key.fileobj)
                    child = children.pop(key.fd)
                    key.fileobj.close()
                    os.kill(child, 9)
                    os.waitpid(child, 0)


def _asked(link: socket.socket) -> tuple[list[int], list]:
    """The streams of a command, and its arguments, folder and variables."""
    head, descriptors, _flags, _address = socket.recv_fds(link, 4, 3)
    said = b""
    while len(said) < int.from_bytes(head, "big"):
        said += link.recv(65536)
    return descriptors, json.loads(said)


def _become(link: socket.socket, descriptors: list[int], said: list, main) -> None:
    """In the child: take the streams of the command, run, and tell it the exit code."""
    code = 1
    try:
        for ours, theirs in zip((0, 1, 2), descriptors, strict=True):
            os.dup2(theirs, ours)
            os.close(theirs)
        sys.argv[1:], folder, variables = said
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        main()
        code = 0
    finally:
        sys.stdout.flush()
        link.send(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    os._exit(launch(sys.argv[1], sys.argv[2:]))
