"""When a credential says itself that it ends.

Law of this file: the value is read and not kept; all that leaves is a time.
"""

from base64 import urlsafe_b64decode
from typing import Any

from msgspec import DecodeError, json

from mcpguard.core.secret import Secret

LONGEST = 65_536
"""Characters of a token that is looked at."""


def ends_at(secret: Secret) -> float | None:
    """The `exp` of a JSON Web Token (RFC 7519, section 4.1.4) in seconds since 1970, as it stands there:
    nothing is verified. None for anything else, and for a token that does not say."""
    value = secret.reveal()
    parts = value.removeprefix("Bearer ").split(".") if len(value) <= LONGEST else []
    if len(parts) not in (3, 5) or not parts[0].startswith("ey"):
        return None
    try:
        claims: Any = json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, DecodeError, RecursionError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else None
