"""A credential that mcpguard holds, and the references that name one.

Law of this file: a `Secret` cannot be printed, compared, hashed, copied into a pickle or formatted. Only what
sends a value to the service that it is for, or looks for it in what comes back, may call `reveal()`:
`tests/test_architecture.py` lists these places. Of a value that says itself when it ends,
only that time leaves.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from msgspec import DecodeError, Struct, json

_WORD = r"[^${}\s]+"
_REFERENCE = re.compile(rf"\$\{{(?:(file):({_WORD}(?: +{_WORD})*)|([a-z][a-z0-9-]*):({_WORD}))\}}")
_LOOKS_LIKE_ONE = re.compile(r"\$\{[^}]*\}?")


class Secret:
    """One credential value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "<Secret>"

    def __str__(self) -> NoReturn:
        raise TypeError("a Secret cannot be turned into text")

    def __format__(self, _spec: str) -> NoReturn:
        raise TypeError("a Secret cannot be formatted")

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("a Secret cannot be compared")

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret cannot be hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")


class Unprinted(Struct, frozen=True):
    """A record whose fields may hold secrets, so that no log and no traceback shows them."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Lease(Struct, frozen=True, eq=False):
    """A credential that a source gave for a time.

    `seconds` is how long it may be used from now; None where the source does not say. `end` takes it back
    at its source (revokes a token, drops a role) and may fail with CredentialError; None where that cannot
    be done. `end` may block, is called in a thread, and doing it twice does no harm. `parts` are texts in
    it, or that came with it, that are secret by themselves, such as the password of a URL or a refresh
    token: who guards the value guards them too.
    """

    secret: Secret
    seconds: float | None = None
    end: Callable[[], None] | None = None
    parts: tuple[Secret, ...] = ()


class CredentialRef(Struct, frozen=True, order=True):
    """`${SOURCE:NAME}` in a configuration: a name that may be shown, logged and recorded."""

    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.source}:{self.name}"


class Template(Struct, frozen=True):
    """A configured text with references in it: `texts[0] refs[0] texts[1] … refs[n-1] texts[n]`."""

    texts: tuple[str, ...]
    refs: tuple[CredentialRef, ...]


Place = tuple[str | int, ...]
"""A way into a value: names of members and indices."""


class Placeholder(Struct, frozen=True):
    """A text with `{{secret:NAME}}` in it that a rule put into the arguments of a call. `place` leads there
    from `arguments`; `text` is as the rule has it, and `template` is that text split."""

    place: Place
    text: str
    template: Template


def parse_template(text: str) -> Template:
    """Split `text` at its `${SOURCE:NAME}` references. Only the path of a file can have spaces in it.

    Raises ValueError, with a sentence for the author, where `${` starts something else: a typo must
    not be sent to an upstream as a literal.
    """
    texts: list[str] = []
    refs: list[CredentialRef] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        texts.append(text[end : found.start()])
        refs.append(CredentialRef(found[1] or found[3], found[2] or found[4]))
        end = found.end()
    texts.append(text[end:])
    for part in texts:
        if _LOOKS_LIKE_ONE.search(part):
            raise ValueError("`${` must start a reference such as ${keyring:github/read} or ${env:TOKEN}")
    return Template(tuple(texts), tuple(refs))


def sole_reference(text: str) -> CredentialRef:
    """The reference of a text that is nothing but one. Raises ValueError with a sentence for the author."""
    template = parse_template(text)
    if template.texts != ("", "") or len(template.refs) != 1:
        raise ValueError("must be one reference and nothing else, such as ${keyring:vault/token}")
    return template.refs[0]


def filled(template: Template, secrets: Sequence[Secret]) -> Secret:
    """The text with a value in place of each reference, in order: a credential itself."""
    values = (secret._value for secret in secrets)
    rest = (value + text for value, text in zip(values, template.texts[1:], strict=True))
    return Secret(template.texts[0] + "".join(rest))


LONGEST_TOKEN = 65_536
"""Characters of a token that is looked at."""


def ends_at(secret: Secret) -> float | None:
    """The `exp` of a JSON Web Token (RFC 7519, section 4.1.4) in seconds since 1970, as it stands there:
    nothing is verified. None for anything else, and for a token that does not say."""
    value = secret.reveal()
    parts = value.removeprefix("Bearer ").split(".") if len(value) <= LONGEST_TOKEN else []
    if len(parts) not in (3, 5) or not parts[0].startswith("ey"):
        return None
    try:
        claims: Any = json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, DecodeError, RecursionError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else None
