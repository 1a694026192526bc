"""One request to a service that issues credentials, from a thread: JSON there and JSON back.

Law of this file: what is sent goes to that origin only, over https or to this machine, and no answer is
quoted, however it looks: it may hold a credential.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.model import Json
from mcpguard.core.secret import Unprinted

MAX_BYTES = 1 << 20
"""The largest answer that is read."""


class ServiceAnswer(Unprinted, frozen=True):
    """What a service said: the HTTP status, its clock (the `Date` header, or None) and the
    JSON object of the body, {} where it is not one."""

    status: int
    date: str | None
    body: dict[str, Json]


def ask(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: Json | None = None,
    seconds: float = 10.0,
    ca_file: str | None = None,
) -> ServiceAnswer:
    """The answer to one request, whatever its status. `url` is one that the configuration names, so its
    host may be a private address. It blocks for `seconds` at most. `ca_file` is a path with the certificates
    to trust instead of the system's.

    Raises CredentialError with a sentence that follows the words "credential:NAME: ".
    """
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise CredentialError("its token has a character that is not allowed in a header, such as a newline")
    from mcpguard.adapters.network import Outbound, json_object

    certificates = None if ca_file is None else _trusting(ca_file)
    body = None if content is None else msgspec.json.encode(content)

    async def answer() -> ServiceAnswer:
        outbound = Outbound(frozenset({urlsplit(url).hostname or ""}), certificates=certificates)
        try:
            async with asyncio.timeout(seconds):
                with closing(await outbound.request(method, url, headers, body)) as exchange:
                    said = await exchange.body(MAX_BYTES)
        finally:
            await outbound.close()
        if said is None:
            raise CredentialError(f"{_origin(url)} answered with more than {MAX_BYTES} bytes")
        return ServiceAnswer(exchange.status, exchange.header("Date"), json_object(said) or {})

    try:
        return asyncio.run(answer())
    except TimeoutError:
        raise CredentialError(f"{_origin(url)} did not answer within {seconds:g} seconds") from None
    except UpstreamError as problem:
        raise CredentialError(f"{_origin(url)} {problem}") from None


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise CredentialError(f"`ca_file` {ca_file} cannot be read as certificates (PEM)") from None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
