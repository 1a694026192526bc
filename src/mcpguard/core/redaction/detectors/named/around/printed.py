"""Secrets that clouds, clusters and databases print in a form of their own, apart from their name or without.

Law of this file: that of `apart`, whose readers these are. What the program calls a secret is one under any
name, if it looks like a password.
"""

from collections.abc import Callable

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import Seen
from mcpguard.core.redaction.detectors.named.around.pages import OnPages
from mcpguard.core.redaction.detectors.named.naming import is_about_one
from mcpguard.core.redaction.detectors.named.objects import OPEN
from mcpguard.core.redaction.detectors.named.values import BACK, Found, name_at_end, said

_WORD = r"[^\s\x00-\x1f\xff]{4,1024}"
_BELOW = b":\n----\n"
_DESCRIBED = rf"({_WORD})\r?\n"
_REJECTED = r"([^'\n\x00-\x1f\xff]{4,1024})'"
_PLACE = expression(rb"\s{0,16}(?:[\w-]{1,64}[.\[\]]{1,2}){0,8}([\w-]{1,64})\]?\r?\n\Z")
_DUPLICATE = r"([\w.]{2,64})\)=\(([^()\x00-\x1f\xff]{4,512})\)"
_OF_AWS = (
    r"[^\s\"'\x1f\xff]{8,256}\t[^\t\n\x1f\xff]{1,40}\t[^\t\n\x1f\xff]{1,256}\t"
    r"([^\s{}\x00-\x1f\xff]{4,1024})\t[0-9a-f-]{36}"
)
_CELL_OF_AWS = (
    r"(?:(?<=SecureString)\s{0,64}\|\s{0,4}\n\|\s{0,4}Value|(?<=SecretString))\s{0,64}\|\s{0,8}"
    rf"({_WORD})\s{{0,256}}\|"
)
_HEAD_OF_VAULT = r"=*\r?\nKey[ ]{2,64}Value\r?\n[- ]{4,256}\r?\n"
_ROW_OF_VAULT = expression(rf"([\w.-]{{1,64}})[ ]{{2,64}}({_WORD})[ ]*(?:\r?\n|[\x1f\xff])".encode())
_ROWS_OF_VAULT = 64


class PrintedForms(OnPages):
    """What programs print in one text. Each public method reads from the end of a literal on."""

    __slots__ = ()

    def described(self, at: int) -> Seen:
        """A member of a ConfigMap as `kubectl describe` shows it, below a rule below its name."""
        name = name_at_end(self._text[max(0, at - BACK) : at - len(_BELOW)])
        return self._value(at, _DESCRIBED, said(name))

    def rejected(self, at: int) -> Seen:
        """What pydantic does not take, below the name of the field."""
        start = self._start_of_line(at)
        place = _PLACE.search(self._text[self._start_of_line(start - 1) : start])
        return self._value(at, _REJECTED, said(place[1].decode()) if place else "")

    def duplicate(self, at: int) -> Seen:
        """`Key (api_key)=(…) already exists.`, as PostgreSQL says it."""
        found = expression(_DUPLICATE.encode()).match(self._text, at)
        return self._one(found[1], *found.span(2)) if found else ([], at)

    def of_aws(self, at: int) -> Seen:
        """A secret of AWS in a table, or in a line of texts behind its ARN."""
        return self._value(at, _CELL_OF_AWS if self._text[at - 6 : at] == b"String" else _OF_AWS, "password")

    def of_vault(self, at: int) -> Seen:
        """The members of a secret of Vault, as `vault kv get` shows them."""
        hits: list[Found] = []
        head = expression(_HEAD_OF_VAULT.encode()).match(self._text, at)
        end = head.end() if head else at
        for _ in range(_ROWS_OF_VAULT if head else 0):
            row = _ROW_OF_VAULT.match(self._text, end)
            if row is None:
                break
            end, name = row.end(), row[1].decode()
            strength = "" if is_about_one(name) or name.lower() in OPEN else said(name) or "password"
            if strength and (hit := self._secret(*row.span(2), strength)):
                hits.append(hit)
        return hits, end

    def _value(self, at: int, pattern: str, strength: str) -> Seen:
        found = expression(pattern.encode()).match(self._text, at) if strength else None
        hit = self._secret(*found.span(1), strength) if found else None
        return [hit] if hit else [], at


Read = Callable[[PrintedForms, int], Seen]
LOOKS: tuple[tuple[tuple[str, ...], bool, str, Read], ...] = (
    ((_BELOW.decode(),), False, _DESCRIBED, PrintedForms.described),
    (("input_value='",), False, _REJECTED, PrintedForms.rejected),
    (("Key (",), False, _DUPLICATE, PrintedForms.duplicate),
    (("arn:aws:secretsmanager:",), False, _OF_AWS, PrintedForms.of_aws),
    (("SecureString", "SecretString"), False, _CELL_OF_AWS, PrintedForms.of_aws),
    (("= Data =",), False, _HEAD_OF_VAULT, PrintedForms.of_vault),
)
"""As those of `apart`."""
