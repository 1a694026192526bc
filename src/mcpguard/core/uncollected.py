"""What is made without the collector of garbage, which would look through it again and again meanwhile.

Law of this file: for what ends soon and makes no garbage in cycles. Of several at once, in several threads,
one that found it at work starts it again.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector wait."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
