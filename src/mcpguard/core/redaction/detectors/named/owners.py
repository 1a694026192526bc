"""A name that says little alone, `key`, and what it is a key of: `{"Jwt": {"Key": …}}`, `Jwt:Key`, `[jwt]`.

Law of this file: the owner of a name is looked for before it, over a bounded number of bytes.
"""

from functools import lru_cache

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.languages import WORDS
from mcpguard.core.redaction.detectors.named.naming import Signal, words_of

_REACH = 512
_SOME = 48
_KEY = expression(rb"""(?i)(?<![a-z0-9_.-])key["'`\\\]]{0,4}[ \t]{0,32}(?:=>|[:=])[ \t]{0,32}["'`\\]{0,4}$""")
_VALUE = expression(rb"[A-Za-z0-9+/=_~-]{16}")
_BRACKETS = expression(rb"[{}\[\]()]")
_AHEAD = b" \t\r\n:=>(\"'`\\"
_LAST_NAME = expression(rb"([A-Za-z][\w.-]{0,63})$")
_INDENT = expression(rb"(?:^|\n)([ \t]*)(?:- )?[\"']?\Z")
_BLOCK = expression(rb"([ \t]*)(?:- )?[\"']?([A-Za-z][\w.-]{0,63})[\"']?:[ \t]*\r?")
_SECTION = expression(rb"\[{1,2}[ \t]*([A-Za-z][^\]\n]{0,63}?)[ \t\"']*\]{1,2}[ \t]*\r?")
_OPENS = WORDS["opens"]
_ISSUERS = WORDS["issuers"]


def says_little(text: bytes, at: int) -> bool:
    """Whether the name before the value at a place says nothing alone, and the value may be a secret."""
    return _KEY.search(text, max(0, at - _SOME), at) is not None and _VALUE.match(text, at) is not None


def signal_in(text: bytes, at: int) -> Signal:
    """What a name that says little, and begins at a place, says in what it is in."""
    before = text[max(0, at - _REACH) : at]
    return signal_of_owner(_owner(before[before.rfind(b"\x1f") + 1 :]))


@lru_cache(1024)
def signal_of_owner(owner: str) -> Signal:
    """What `key` says in something that has the name `owner`."""
    words = words_of(owner[-_SOME:])
    if not words:
        return ""
    if words[-1] in _OPENS:
        return "token"
    return "weak" if words[-1] in _ISSUERS else ""


def _owner(before: bytes) -> str:
    """The name of the object, block or section that `before` ends in; "" for none."""
    if before.endswith(b":"):
        return _name_at_end(before[:-1])
    depth = 0
    for bracket in reversed([*_BRACKETS.finditer(before)]):
        depth += -1 if bracket[0] in b"{[(" else 1
        if depth < 0:
            return _name_at_end(before[: bracket.start()].rstrip(_AHEAD))
    return _of_block(before)


def _of_block(before: bytes) -> str:
    """The same in lines, by what they are indented, or below a section in brackets."""
    found = _INDENT.search(before)
    indent = len(found[1]) if found else 0
    for line in reversed(before.split(b"\n")[:-1]) if found else ():
        section = _SECTION.fullmatch(line)
        if section:
            return _name_at_end(section[1])
        block = _BLOCK.fullmatch(line)
        if block and len(block[1]) < indent:
            return block[2].decode()
    return ""


def _name_at_end(text: bytes) -> str:
    found = _LAST_NAME.search(text[-64:])
    return found[1].decode() if found else ""
