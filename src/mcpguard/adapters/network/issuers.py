"""Where an OAuth issuer publishes its metadata: for tokens that we check, and for tokens that we ask for."""

from __future__ import annotations

from urllib.parse import urlsplit


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be, in order: RFC 8414 section 3.1, then OpenID Discovery as that
    RFC places it, then as OpenID itself does."""
    url = urlsplit(issuer)
    origin, path = f"{url.scheme}://{url.netloc}", url.path.rstrip("/")
    places = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(places))
