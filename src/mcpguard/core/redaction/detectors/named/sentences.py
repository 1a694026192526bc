"""Secrets that a sentence gives: `the password for bob is …`, `use … as the key`.

Law of this file: in a sentence a word is a word, whatever it stands behind, so a value has a digit at least.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.commands import Commands
from mcpguard.core.redaction.detectors.named.naming import GIVEN
from mcpguard.core.redaction.detectors.named.values import (
    BACK,
    DIGIT,
    ENDS,
    NEAR,
    QUOTES,
    Found,
    name_at_end,
    said,
)

LINKS = (
    r"[ ](?:is|was|to|will be)(?: set to| now)?:?[ ]",
    r"[ ](?:(?:has been|was|is)[ ])?(?:re)?set to:?[ ]",
    r"[ ](?:(?:has been|was|is)[ ])?(?:changed|reset) to:?[ ]",
    r"[ ]\((?:for )?[a-z0-9_.@-]{1,40}\):[ ]",
    r"[ ](?:for|of|on|to)[ ](?:(?:the|my|our|your|user)[ ])?[a-z0-9_.@'-]{1,40}"
    r"(?:[ ]is(?: now)?|[ ]was|:)[ ]",
    r"[ ](?:del|della|di|de|do|da|du|von|van|voor|til)[ ][a-z0-9_.@'-]{1,40}[ ]"
    r"(?:\xc3[\xa8\xa9]|es|est|ist|is|er)[ ]",
)
"""What may be between the word for a secret and the secret, in lower case."""

IN_A_ROW = expression(rb"(?:^|[\s,;])[\w.-]{1,40}(?:=|: {1,3})[^\s=,;\"'(){}]{1,64}[ ,]{1,4}$")
"""A pair ahead of the next one, as programs print and take them."""
ANNOUNCED = expression(
    rb"(?i)(?:generated|new|temporary|temp|initial|your|default|admin|root|current|enter|user|the)"
    rb"[ ](?:\w{1,24}[ ])?$"
)
"""Before the word for a password where a program shows one."""
LINK = expression(rf"(?i)(?:{'|'.join(LINKS)})$".encode())
LONGEST_LINK = 80
_BEFORE = expression(rb"[^\s\"'`<>(){}\[\]\x00-\x1f\xff]{6,128}$")

_NOUNS = (
    "password",
    "passphrase",
    "token",
    "secret",
    "key",
    "API key",
    "api key",
    "access token",
    "API token",
)
_WHOSE = (
    "the ",
    "my ",
    "your ",
    "our ",
    "the root ",
    "the admin ",
    "the new ",
    "the database ",
    "the master ",
)
BEHIND = tuple(
    f" {verb} {whose}{noun}"
    for verb in ("as", "is", "AS")
    for whose in (*_WHOSE, "")
    for noun in _NOUNS
    if (whose or verb != "is") and not (whose and verb == "AS")
)
"""What stands behind a secret that a sentence names behind it, and behind a text in SQL."""
STOPS = rf"(?:[\s.,;:!?)\"'`]|{ENDS})"
"""What stands behind that."""
_STOPS = expression(STOPS.encode())


class Sentences(Commands):
    """The secrets in the sentences of one text."""

    __slots__ = ()

    def _said(self, at: int, before: bytes, opening: bytes) -> Found | None:
        """`PASSWORD '…'` in SQL, `the password is …` in prose."""
        bare = before.rstrip(b" \t:")
        if opening == b"'" and name_at_end(bare).lower() == "password":
            return self._judged(at, GIVEN if bare[-16:].isupper() else "password", opening)
        quoted = opening in (b'"', b"`") and bare != before and self._text[at : at + 1] != b"$"
        name = name_at_end(bare) if quoted else ""
        hit = self._judged(at, said(name), opening) if name.lower() != "pass" and said(name) else None
        if hit and DIGIT.search(self._text, *hit[:2]):
            return hit
        found = LINK.search(before[-LONGEST_LINK:])
        name = name_at_end(before[: len(before) - len(found[0])].rstrip(QUOTES)) if found else ""
        strength = "" if name.lower() == "pass" else said(name)
        if strength and strength != "password" and not opening:
            strength = "weak"
        if not strength or DIGIT.search(self._text, at, at + NEAR) is None:
            return None
        return self._judged(at, strength, opening)

    def named_behind(self, at: int) -> Found | None:
        """`Use … as the key`, from behind the name."""
        if not _STOPS.match(self._text, at):
            return None
        before = self._text[max(0, at - BACK - LONGEST_LINK) : at]
        name = name_at_end(before)
        verb = max(map(before.rfind, (b" as ", b" is ", b" AS ")))
        head = before[:verb].rstrip(QUOTES)
        if before.startswith(b" AS ", verb) and len(head) == verb:
            return None  # The name of a column.
        value = _BEFORE.search(head)
        if value is None or DIGIT.search(value[0]) is None:
            return None
        end = at - len(before) + len(head)
        strength = "password" if name.startswith("passw") or name == "passphrase" else "weak"
        return self._secret(end - len(value[0]), end, strength, known_end=False)
