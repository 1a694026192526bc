"""A proxy that plays sites of the web, so that a fetch of a public address needs no network.

It answers each CONNECT itself, with a certificate of its own authority, and remembers who was asked for.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAGE = "All about JSON."


class Page(NamedTuple):
    """What a site answers."""

    text: str
    kind: str = "text/plain"
    status: str = "200 OK"


NOTHING = Page("", status="404 Not Found")
Answer = Callable[[str, str, str], Page]
"""The page for a host, a method and a path with its query."""


class Site:
    """`hosts` over https, through the proxy at `url`; `authority` is the file of their certificate. `asked`
    has the targets of all CONNECTs, `requests` the method and path of what was asked within them."""

    def __init__(self, folder: Path, hosts: tuple[str, ...], answer: Answer) -> None:
        self._page = answer
        self.authority = folder / "authority.pem"
        self.asked: list[str] = []
        self.requests: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_certificate(folder, hosts))
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
            target = _head(connection)[0].split()[1]
            self.asked.append(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context.wrap_socket(connection, server_side=True) as safe:
                first, length = _head(safe)
                method, path = first.split()[:2]
                self.requests.append(f"{method} {path}")
                while length > 0:
                    length -= len(safe.recv(4096)) or length
                page = self._page(target.partition(":")[0], method, path)
                body = page.text.encode()
                about = f"Content-Type: {page.kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
                safe.sendall(f"HTTP/1.1 {page.status}\r\n{about}\r\n\r\n".encode() + body)


@contextlib.contextmanager
def sites(folder: Path, hosts: tuple[str, ...], answer: Answer) -> Iterator[Site]:
    """A running Site, which answers as it is told."""
    running = Site(folder, hosts, answer)
    try:
        yield running
    finally:
        running.close()


def site(
    folder: Path, host: str, page: str = PAGE, kind: str = "text/plain"
) -> contextlib.AbstractContextManager[Site]:
    """A running Site, which answers everything with one page of a media type."""

    def answer(_host: str, _method: str, path: str) -> Page:
        return NOTHING if path == "/robots.txt" else Page(page, kind)

    return sites(folder, (host,), answer)


def _head(connection: socket.socket) -> tuple[str, int]:
    """The first line of a request, and how many bytes of its body are still to come."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise OSError("closed")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(":") for line in lines)}
    return first, int(fields.get("content-length", "0")) - len(body)


def _certificate(folder: Path, hosts: tuple[str, ...]) -> Path:
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
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
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
