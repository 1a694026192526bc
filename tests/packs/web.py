"""A proxy that plays one site of the web, so that a fetch of a public address needs no network.

It answers each CONNECT itself, with a certificate of its own authority, and remembers who was asked for.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAGE = "All about JSON."


class Site:
    """`host` over https, through the proxy at `url`; `authority` is the file of its certificate. `asked` has
    the targets of all CONNECTs, `requests` the method and path of what was asked within them."""

    def __init__(self, folder: Path, host: str, page: str, kind: str) -> None:
        self._page, self._kind = page, kind
        self.authority = folder / "authority.pem"
        self.asked: list[str] = []
        self.requests: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_certificate(folder, host))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """No further connection is taken."""
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            self.asked.append(_head(connection).split()[1])
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context.wrap_socket(connection, server_side=True) as safe:
                method, path = _head(safe).split()[:2]
                self.requests.append(f"{method} {path}")
                status, body = ("404 Not Found", "") if path == "/robots.txt" else ("200 OK", self._page)
                about = f"Content-Type: {self._kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
                safe.sendall(f"HTTP/1.1 {status}\r\n{about}\r\n\r\n{body}".encode())


@contextlib.contextmanager
def site(folder: Path, host: str, page: str = PAGE, kind: str = "text/plain") -> Iterator[Site]:
    """A running Site, which answers everything with one page of a media type."""
    running = Site(folder, host, page, kind)
    try:
        yield running
    finally:
        running.close()


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise OSError("closed")
        data += more
    return data.decode()


def _certificate(folder: Path, host: str) -> Path:
    """One certificate that is its own authority; writes it, gives the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests of packs")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "authority.pem").write_bytes(public)
    (folder / "site.pem").write_bytes(public + private)
    return folder / "site.pem"
