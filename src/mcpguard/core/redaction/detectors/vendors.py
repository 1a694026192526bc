"""Keys that look like any other: what tells them is the name of their vendor beside them.

Law of this file: the name, at most a few words, and then a value of just the alphabet and length that the
vendor's keys have. What may be a digest or an identifier counts only where a word says that it is a key.
"""

import re

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.format import UUID, Detector, filled
from mcpguard.core.redaction.detectors.named.shapes import is_of_words
from mcpguard.core.tables import entries

_ALPHABETS = {
    "hex": "[0-9a-fA-F]",
    "alnum": "[A-Za-z0-9]",
    "word": "[A-Za-z0-9_-]",
    "dot": "[A-Za-z0-9_.-]",
    "b64": "[A-Za-z0-9+/=_-]",
}
# Nothing is tried twice, or an ordinary file would take seconds: so of two words the longer one comes first.
_SEPARATORS = r"""(?:[\s"'`:=>?,;(){}\[\]|<\\-]|</|\.(?==)){1,12}+"""
_WORD = (
    r"(?:access|account|api|app|auth|an|a|client|config|credentials?|debug|dev|env|for|http|info|id|is|keys?|live|"
    r"my|oauth|password|personal|prod|project|private|request|secret|sending|service|set|test|the|token|tok|to|using|"
    r"user|use|value|within|you|AQAAABAAA)"
)
_WORDS = rf"(?>(?i:{_WORD}(?:[_-]?{_WORD}){{0,4}})|td|th|tr|code|span|strong|em|pre|li|div|name|string)"
_REST = r"[A-Za-z0-9]{0,24}+(?:[_.-][A-Za-z0-9]{1,24}+){0,4}?"
_GAP = rf"{_REST}{_SEPARATORS}(?:{_WORDS}{_SEPARATORS}){{0,5}}"
_MIXED = r"(?=[A-Za-z_+/=.:%-]{0,40}[0-9])(?=[0-9_+/=.:%-]{0,24}[A-Za-z])"
_ENDS = r"(?![\w/+-]|\.\w)"
_DIGEST = expression(rb"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f-]{36})$")
_SAYS = expression(rb"(?i)key|token|secret|auth|password|credential|private|access|pat")
_SAME = expression(rb"(.)\1{7}")
_OF_NAMES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_ENOUGH = 5
"""Characters of the name of a vendor that a random value hardly ever has."""
_PUBLIC = expression(rb"(?i)client[_-]?id[^A-Za-z0-9]{1,12}[A-Za-z0-9_-]+$")


def likely(match: bytes) -> int:
    """Whether the end of a match is not a digest beside the name of a vendor by chance, nor a row of
    one character, nor the public name of a client, nor a name of code, such as `github_release_node_v2`."""
    if _SAME.search(match) or _PUBLIC.search(match) or _is_name(match):
        return 0
    digest = _DIGEST.search(match)
    return 0 if digest and not _SAYS.search(match, 0, digest.start()) else len(match)


def _is_name(match: bytes) -> bool:
    """Whether the end of a match has the name of the vendor in it again, or is made of words."""
    value, words = (match[len(match.rstrip(chars)) :] for chars in (_OF_NAMES, _OF_NAMES + b"-"))
    return match[:_ENOUGH].lower() in value.lower() or any(map(is_of_words, (value.decode(), words.decode())))


def _vendors() -> tuple[Detector, ...]:
    table = entries(__package__, "vendors.txt")
    bodies: dict[str, list[str]] = {}
    for shape, names in (table["forms"] | table["shapes"]).items():
        for name in names.split():
            bodies.setdefault(name, []).append(_body(shape))
    twice = table["others"]["twice"].split()
    return tuple(_vendor(name, of_one, name in twice) for name, of_one in sorted(bodies.items()))


class _Vendor(Detector, frozen=True, eq=False, kw_only=True):
    """Its only start is the vendor's name; `bodies` are patterns of its keys."""

    bodies: tuple[str, ...]

    @property
    def pattern(self) -> str:
        name = re.escape(self.starts[0])
        return rf"(?i:{name}){_GAP}{_MIXED}({'|'.join(self.bodies)}){_ENDS}"

    @property
    def hits(self) -> tuple[str, ...]:
        name, bodies = self.starts[0], self.bodies
        return f"{name}_api_key={filled(bodies[0])}", f'"{name.title()}Token": "{filled(bodies[-1])}"'

    @property
    def misses(self) -> tuple[str, ...]:
        name, hit = self.starts[0], self.hits[0]
        return f"{name}_api_key=", f"{name} {filled(self.bodies[0])[:-1]}", hit + "x" * 40


def _vendor(name: str, bodies: list[str], twice: bool) -> Detector:
    return _Vendor(
        f"{name.replace('_', '-')}-{'api-' if twice else ''}key",
        starts=(name,),
        any_case=True,
        joins=False,
        accept=likely,
        bodies=tuple(bodies),
    )


def _body(shape: str) -> str:
    alphabet, _, length = shape.partition(" ")
    if not length:
        return UUID if shape == "uuid" else shape
    return f"{_ALPHABETS[alphabet]}{{{length.replace('-', ',')}}}"


VENDORS: tuple[Detector, ...] = _vendors()
