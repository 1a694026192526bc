"""Where a remote upstream is, and what it is told of us: URL and headers with the credentials filled in.

Law of this file: a value is revealed only into the URL and the headers of the upstream whose configuration
names it. The redactor holds it already: whoever gives credentials sees to that (laws 2 and 3).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from msgspec import structs

from mcpguard.adapters.hosts import is_plain_url
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.secret import CredentialRef, Template
from mcpguard.recipients import Credentials, Recipient

_IN_AUTHORITY = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class Address:
    """The URL and the headers of one upstream, resolved anew at each start."""

    def __init__(
        self, url: Template, headers: Mapping[str, Template], credentials: Credentials, to: Recipient
    ) -> None:
        """`credentials` gives what the templates refer to, for `to` at the host that the URL has."""
        self._url = url
        self._headers = headers
        self._credentials = credentials
        self._to = to

    async def resolve(self) -> tuple[str, dict[str, str]]:
        """The URL and the headers. Raises CredentialError, which names the reference, and UpstreamError
        for a URL that has no host.

        A source may block (a keychain asks a person), so this runs in a thread where there is one.
        """
        if self._url.refs or any(template.refs for template in self._headers.values()):
            return await asyncio.to_thread(self._resolve)
        return self._resolve()

    def _resolve(self) -> tuple[str, dict[str, str]]:
        url = self._fill_url()
        host = urlsplit(url).hostname or ""
        return url, {name: self._fill_header(t, host) for name, t in self._headers.items()}

    def _fill_url(self) -> str:
        """A credential in the path or query is percent-encoded, so that it cannot lead elsewhere."""
        url = self._url.texts[0]
        for ref, text in zip(self._url.refs, self._url.texts[1:], strict=True):
            inside = _IN_AUTHORITY.fullmatch(url) is not None
            # Nothing that is bound to a host can be (a part of) one.
            value = self._value(ref, "" if inside else _host_of(url))
            if not inside:
                value = quote(value, safe="/")
            elif not _HOST.fullmatch(value):
                raise CredentialError(f"{ref} is no host name, and the URL has it where one must stand")
            url += value + text
        try:
            whole = urlsplit(url)
            usable = whole.scheme in ("http", "https") and whole.hostname
        except ValueError:
            usable = False
        if not usable or not is_plain_url(url):
            raise UpstreamError("its URL is not an http:// or https:// URL with a host, in ASCII")
        try:
            port = whole.port
        except ValueError:
            port = 0
        if port == 0:
            raise UpstreamError("the port of its URL is not from 1 to 65535")
        return url

    def _fill_header(self, template: Template, host: str) -> str:
        parts = [template.texts[0]]
        for ref, text in zip(template.refs, template.texts[1:], strict=True):
            value = self._value(ref, host)
            if not _HEADER_VALUE.fullmatch(value):
                raise CredentialError(f"{ref} has a character that no header can carry, such as a newline")
            parts += [value, text]
        return "".join(parts)

    def _value(self, ref: CredentialRef, host: str) -> str:
        return self._credentials.get(ref, structs.replace(self._to, host=host)).reveal()


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
