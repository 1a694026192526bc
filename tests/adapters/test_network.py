"""Connections to other hosts: where they may lead, and where they must not."""

from __future__ import annotations

import ast
import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from yarl import URL

import mcpguard
from mcpguard.adapters import network
from mcpguard.adapters.network import Outbound, fetch_json
from mcpguard.adapters.system import authorities
from mcpguard.core.errors import UpstreamError
from tests.adapters.upstreams.http_script import Heard, Reply, scripted

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]

PRIVATE = "resolves to a private address that the configuration does not name"
HERE = frozenset({"127.0.0.1"})


class Lookup(AbstractResolver):
    """Answers one lookup after the other; remembers how many there were."""

    def __init__(self, *answers: list[str]) -> None:
        self.count = 0
        self._answers = answers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self._answers[min(self.count, len(self._answers) - 1)]
        self.count += 1
        if not answer:
            raise OSError("no such host")
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in answer
        ]

    async def close(self) -> None:
        return None


async def refusal(url: str, named: frozenset[str] = frozenset(), lookup: Lookup | None = None) -> str:
    """Why this request is refused."""
    out = Outbound(named, lookup)
    try:
        with pytest.raises(UpstreamError) as raised:
            await out.request("GET", url, {})
        return str(raised.value)
    finally:
        await out.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "localhost", "LOCALHOST"]
)
async def test_a_private_address_that_nobody_named_is_refused(host: str) -> None:
    async with scripted(lambda _heard, reply: reply.nothing()) as stage:
        port = stage.url.split(":")[2]
        assert await refusal(f"http://{host}:{port}") == PRIVATE
        assert stage.requests == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
async def test_an_address_in_disguise_is_refused(host: str) -> None:
    async with scripted(lambda _heard, reply: reply.nothing()) as stage:
        port = stage.url.split(":")[2]
        assert await refusal(f"http://{host}:{port}")
        assert stage.requests == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    lookup = Lookup(["1.1.1.1", "10.0.0.1"])
    assert await refusal("http://inside.example:1/", lookup=lookup) == PRIVATE
    assert (
        await refusal("http://inside.example:1/", frozenset({"other.example"}), Lookup(["10.0.0.1"]))
        == PRIVATE
    )


async def test_a_name_that_the_configuration_names_may_be_private_and_is_looked_up_once() -> None:
    async with scripted(lambda _heard, reply: reply.json({})) as stage:
        port = stage.url.split(":")[2]
        lookup = Lookup(["127.0.0.1"], ["10.0.0.1"])
        out = Outbound(frozenset({"Inside.Example"}), lookup)
        exchange = await out.request("GET", f"http://inside.example.:{port}", {})
        assert (exchange.status, lookup.count) == (200, 1)
        exchange.close()
        await out.close()


async def test_an_answer_can_be_let_go_before_its_end() -> None:
    async def endless(_heard: Heard, reply: Reply) -> None:
        await reply.head(200)
        await reply.raw(b"x" * 100_000)
        await reply.gone.wait()

    async with scripted(endless) as stage:
        out = Outbound(HERE)
        exchange = await out.request("GET", stage.url, {})
        await exchange.drain()
        exchange.close()
        await stage.until(lambda: stage.open == 0)
        await out.close()


async def test_a_redirect_to_nowhere_is_told() -> None:
    async with scripted(
        lambda _heard, reply: reply.head(307, Location="http://[::1/", Content_Length="0")
    ) as stage:
        told = await refusal(stage.url, HERE)
        assert told == "answered with a redirect (HTTP 307), which is not followed"


async def test_a_name_without_an_address_is_told() -> None:
    told = await refusal("http://nowhere.example/", lookup=Lookup([]))
    assert told == "cannot be reached: nowhere.example has no address"


async def test_a_server_that_speaks_no_tls_is_told() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.nothing()

    async with scripted(script) as stage:
        server = await asyncio.start_server(_plain_answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        told = await refusal(f"https://127.0.0.1:{port}/", HERE)
        said = "does not speak TLS: if that is right, its URL begins with http://"
        assert told == f"cannot be reached: 127.0.0.1:{port} {said}"
        server.close()
        assert stage.requests == []


async def _plain_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused_even_for_a_named_host(tmp_path: Path) -> None:
    assert await refused_by(*self_signed(tmp_path)) == (
        "is signed by itself and not trusted here: put it into a file, and name that file in the environment "
        "as SSL_CERT_FILE"
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"days": -1}, "has expired: its owner must renew it, unless the clock of this machine is wrong"),
        ({"address": "127.0.0.2"}, "is not for this address: connect with a name that it contains"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], said: str
) -> None:
    certificate, key = self_signed(tmp_path, **more)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await refused_by(certificate, key, ssl.create_default_context(cafile=certificate)) == said


async def test_an_authority_that_is_replaced_on_the_disk_is_trusted_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = self_signed(tmp_path)
    trusted = tmp_path / "trusted.pem"
    trusted.touch()
    (tmp_path / "old").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    known = authorities.SystemAuthorities(ssl.create_default_context(cafile=self_signed(tmp_path / "old")[0]))
    monkeypatch.setattr(network, "_AUTHORITIES", known)
    assert await refused_by(certificate, key) == (
        "is signed by itself and not trusted here: put it into a file, and name that file in the environment "
        "as SSL_CERT_FILE"
    )
    trusted.write_bytes(certificate.read_bytes())
    monkeypatch.setattr(authorities, "LOOK_SECONDS", 0.0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_plain_answer, "127.0.0.1", 0, ssl=context)
    out = Outbound(HERE)
    for _ in range(2):
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with closing(await out.request("GET", url, {})) as exchange:
            assert exchange.status == 200
    await out.close()
    server.close()


async def test_where_the_disk_of_the_authorities_hangs_the_known_ones_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = authorities.SystemAuthorities()
    hangs, looks = threading.Event(), list[int]()
    monkeypatch.setattr(authorities, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(authorities, "PATIENCE", 0.0)
    monkeypatch.setattr(authorities, "_stamp", lambda: looks.append(1) or (hangs.wait(20) and ()))
    assert [await known.context() for _ in range(3)] == [True] * 3
    hangs.set()
    monkeypatch.setattr(authorities, "PATIENCE", 20.0)
    changed = await known.context()
    assert isinstance(changed, ssl.SSLContext)
    assert len(looks) == 1


async def test_a_server_that_wants_a_certificate_of_the_client_is_told_apart() -> None:
    wanting = ssl.SSLError(1, "tlsv13 alert certificate required")
    wanting.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    error = aiohttp.ClientOSError(1, "it comes after the handshake")
    error.__cause__ = wanting
    said = "cannot be reached: h:8443 requires a certificate of the client, and mcpguard presents none"
    assert network._sentence(error, URL("https://h:8443/"), False) == said


async def test_a_server_that_breaks_a_handshake_off_is_told(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    wanting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wanting.load_cert_chain(certificate, key)
    wanting.verify_mode = ssl.CERT_REQUIRED
    wanting.load_verify_locations(certificate)
    wanting.maximum_version = ssl.TLSVersion.TLSv1_2
    server = await asyncio.start_server(_plain_answer, "127.0.0.1", 0, ssl=wanting)
    out = Outbound(HERE, certificates=ssl.create_default_context(cafile=certificate))
    with pytest.raises(UpstreamError, match="closed the connection before it answered"):
        await out.request("GET", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {})
    await out.close()
    server.close()


async def refused_by(certificate: Path, key: Path, trusted: ssl.SSLContext | None = None) -> str:
    """Why a server with this certificate is refused, after the words that name it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_plain_answer, "127.0.0.1", 0, ssl=context)
    out = Outbound(HERE, certificates=trusted)
    with pytest.raises(UpstreamError) as raised:
        await out.request("GET", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {})
    await out.close()
    server.close()
    return str(raised.value).removeprefix("cannot be reached: the certificate of 127.0.0.1 ")


def self_signed(folder: Path, days: int = 1, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """A certificate of its own making for `address`, and its key. It ends in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    end = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = (
        builder.not_valid_before(min(end - timedelta(days=1), datetime.now(UTC)))
        .not_valid_after(end)
        .add_extension(hosts, False)
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


# --- JSON documents -----------------------------------------------------------------------------


async def fetched(script: Any, named: frozenset[str] = HERE, **more: Any) -> Any:
    """What a document is, or why it is none."""
    async with scripted(script) as stage:
        try:
            return await fetch_json(stage.url, named, **more)
        except UpstreamError as problem:
            return str(problem).removeprefix(stage.url)


async def test_a_json_object_is_fetched() -> None:
    assert await fetched(lambda _heard, reply: reply.json({"keys": [2**70]})) == {"keys": [2**70]}


async def test_what_is_no_json_object_is_refused() -> None:
    async def nonsense(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, Content_Length="3")
        await reply.raw(b"\xff{}")

    told = " answered with something that is not a JSON object"
    assert await fetched(lambda _heard, reply: reply.json([1])) == told
    assert await fetched(nonsense) == told


async def test_a_document_over_the_limit_is_refused() -> None:
    told = await fetched(lambda _heard, reply: reply.json({"a": "x" * 500}), limit=100)
    assert told == " answered with more than 100 bytes"


async def test_another_status_and_a_broken_body_are_refused() -> None:
    async def broken(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, Content_Length="100")
        await reply.raw(b"{")

    assert await fetched(lambda _heard, reply: reply.nothing(404)) == " answered HTTP 404"
    assert await fetched(broken) == " closed the connection before its answer was complete"


async def test_a_document_that_never_comes_is_given_up() -> None:
    async def never(_heard: Heard, reply: Reply) -> None:
        await reply.gone.wait()

    assert await fetched(never, seconds=0.05) == " did not answer within 0.05 seconds"


async def test_a_document_from_a_private_or_an_unprotected_place_is_refused() -> None:
    assert "is not an https:// URL" in await fetched(lambda _heard, reply: reply.json({}), frozenset())
    with pytest.raises(UpstreamError, match=PRIVATE):
        await fetch_json("https://127.0.0.1:1/keys", frozenset())
    for url in ("file:///etc/passwd", "https://[::1/", "https://x.example/a b", "https://x.example/\nX"):
        with pytest.raises(UpstreamError, match="is not an https"):
            await fetch_json(url, HERE)
    with pytest.raises(UpstreamError, match="its URL is not valid"):
        await fetch_json("https://x.example:99999/", HERE)


async def test_a_document_is_not_looked_for_at_another_origin() -> None:
    async with scripted(lambda _heard, reply: reply.json({})) as other:
        told = await fetched(lambda _heard, reply: reply.head(302, Location=other.url, Content_Length="0"))
        place = other.url.removesuffix("/mcp")
        assert told.startswith(f" answered with a redirect (HTTP 302) to {place}, which is not followed; ")
        assert other.requests == []


# --- one place --------------------------------------------------------------------------------------


def test_only_the_one_place_knows_the_http_library() -> None:
    folder = Path(mcpguard.__file__).parent
    knows = set()
    texts = {path: path.read_text("utf-8") for path in folder.rglob("*.py")}
    for path in (path for path, text in texts.items() if "aiohttp" in text or "yarl" in text):
        for node in ast.walk(ast.parse(texts[path])):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"aiohttp", "yarl"}:
                knows.add(path)
    assert knows == {Path(network.__file__)}


def test_the_contracts_of_the_wires_need_no_http_library() -> None:
    code = (
        "import sys, mcpguard.adapters.upstreams.wires.wire, mcpguard.protocol.headers, mcpguard.adapters.upstreams.wires.address;"
        "print('aiohttp' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "challenge",
    ["a" * 8000, "-" * 8000, 'a="' + "\\" * 7900, "a=" * 4000, " =" * 4000, 'a="' * 2600, "a  " * 2600],
)
async def test_a_challenge_that_is_slow_to_read_is_read_at_once(challenge: str) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(403, WWW_Authenticate=challenge, Content_Length="0")

    async with scripted(script) as stage:
        outbound = Outbound(HERE)
        exchange = await outbound.request("GET", stage.url, {})
        for _ in range(100):  # With a pattern that tries every beginning it takes minutes.
            assert "error" not in exchange.challenge
            assert exchange.lacking is None
        exchange.close()
        await outbound.close()
