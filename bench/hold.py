"""What it takes to hold values: `python bench/hold.py [ROTATIONS]`.

For 1, 10, 100 and 1,000 tokens and JWTs, one after another and all at once: until they are searched for, and
until they have been compiled, in seconds, and the processor time of that, which other programs do not change.
Then the memory after rotations of one credential (default 3,000).
Aims: 1,000 values compiled within 2 seconds and linear; memory flat.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret

COUNTS = (1, 10, 100, 1_000)
ROTATIONS = 3_000
STEPS = 6


def token() -> str:
    """One of 40 characters."""
    return secrets.token_urlsafe(30)


def jwt() -> str:
    """One of 527 characters, signed with RS256."""
    head = {"alg": "RS256", "typ": "JWT"}
    claims = {"iss": "https://login.example.com/", "sub": secrets.token_hex(8), "jti": secrets.token_hex(16)}
    parts = [json.dumps(head).encode(), json.dumps(claims).encode(), secrets.token_bytes(256)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def held(made: Callable[[], str], count: int, at_once: bool) -> tuple[float, float, float]:
    """Seconds until all are searched for, until they have been compiled, and of processor time."""
    redactor = Redactor(b"bench")
    values = [(f"env:N{number}", Secret(made())) for number in range(count)]
    begin, busy = time.perf_counter(), time.process_time()
    if at_once:
        redactor.hold_all(values)
    else:
        for name, secret in values:
            redactor.hold(name, secret)
    searched = time.perf_counter() - begin
    redactor.settle()
    return searched, time.perf_counter() - begin, time.process_time() - busy


def rotated(rotations: int) -> None:
    """Print the memory while one credential is rotated."""
    redactor = Redactor(b"bench")
    last: Secret | None = None
    begin = time.process_time()
    for number in range(1, rotations + 1):
        new = Secret(token())
        redactor.hold("env:ROTATED", new)
        redactor.settle()
        if last is not None:
            redactor.release("env:ROTATED", last)
        last = new
        if number % max(1, rotations // STEPS) == 0:
            each = (time.process_time() - begin) * 1_000 / number
            print(f"{number:>6} rotations {resident():8.1f} MB   {each:.1f} ms of processor time each")


def resident() -> float:
    """Megabytes of memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Print it all."""
    rotations = int(sys.argv[1]) if len(sys.argv) > 1 else ROTATIONS
    held(token, 1, True)  # What is compiled once in a process.
    for made in (token, jwt):
        for count in COUNTS:
            for at_once in (False, True):
                searched, compiled, busy = held(made, count, at_once)
                how = "all at once" if at_once else "one by one"
                print(
                    f"{made.__name__:>5} {count:>6}, {how}: {searched:.3f} s, compiled {compiled:.3f} s, "
                    f"{busy:.3f} s of CPU"
                )
    rotated(rotations)


if __name__ == "__main__":
    main()
