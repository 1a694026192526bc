"""The authorities whose certificates are trusted: those of the operating system, or of `SSL_CERT_FILE`.

Law of this file: a file that was replaced is read again, in a thread. Until it has been read, and while its
disk hangs, those that were read before are trusted.
"""

import asyncio
import os
import ssl
import time
from concurrent.futures import Future

from mcpguard.adapters.system.disk import DiskThread

LOOK_SECONDS = 10.0
"""How long a replaced file may go unnoticed."""
PATIENCE = 1.0
"""How long a connection waits for the look, in seconds."""


class SystemAuthorities:
    """Those of this process. A folder of authorities (`SSL_CERT_DIR`) needs no look: OpenSSL reads it each
    time."""

    def __init__(self, context: ssl.SSLContext | bool = True) -> None:
        """`context` is what trusts them as they are now."""
        self._context = context
        self._read = _stamp()
        self._looked = time.monotonic()
        self._look: Future[None] | None = None
        self._thread = DiskThread("mcpguard-authorities")

    async def context(self) -> ssl.SSLContext | bool:
        """What verifies a certificate; True before any of it has changed."""
        if self._look is None and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look = self._thread.submit(self._look_again)
            self._thread.end()
        if self._look is not None:
            await asyncio.wait({asyncio.wrap_future(self._look)}, timeout=PATIENCE)
            if self._look is not None and self._look.done():
                self._look = None
        return self._context

    def _look_again(self) -> None:
        found = _stamp()
        if found != self._read:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            self._context, self._read = context, found
        self._looked = time.monotonic()


def _stamp() -> tuple[int, ...]:
    """What changes when the file is replaced; empty if there is no file."""
    try:
        facts = os.stat(os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().openssl_cafile)
    except OSError:
        return ()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
