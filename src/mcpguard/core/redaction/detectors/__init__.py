"""The formats that are looked for. To add one: a line of `formats.txt`, from which its examples are made; a
key that only the name of its vendor tells is a name in `vendors.txt`, which `vendors.py` reads. These are
always on; personal data (`personal.py`) is off unless a rule asks for it by name. `format.py` says what a
format is, `written.py` has those with an expression of their own, and `checks.py` what issuers put into
theirs. Secrets that only their name gives away are found by `named/`.

Forms of tokens are those of the vendors' documentation; lengths are lower bounds, since vendors lengthen
tokens. The examples are made up, and written so that no scanner takes these files for a leak.
"""

from mcpguard.core.redaction.detectors.format import ALONE, UUID, Detector, compiled, inner, token
from mcpguard.core.redaction.detectors.named import values
from mcpguard.core.redaction.detectors.personal import PERSONAL
from mcpguard.core.redaction.detectors.vendors import VENDORS
from mcpguard.core.redaction.detectors.written import WRITTEN
from mcpguard.core.tables import sections

__all__ = [
    "ALONE",
    "DETECTORS",
    "GROUPS",
    "HELD",
    "KINDS",
    "OPT_IN",
    "PERSONAL",
    "TABLES",
    "VENDORS",
    "Detector",
    "compiled",
]

_WORDS = {word: {word: True} for word in ("alone", "digit", "often")} | {"apart": {"joins": False}}
_OF_ONE_KIND = {one.kind: one for one in WRITTEN}


def _format(line: str) -> Detector:
    """What a line of `formats.txt` says."""
    kind, *parts = line.replace("<UUID>", UUID).split()
    if not parts:
        return _OF_ONE_KIND[kind]
    parts = [part.replace("<BLANK>", " ") for part in parts]
    at = next(at for at, part in enumerate(parts) if "[" in part)
    if not at:
        return inner(kind, *parts)
    tail = "".join(part for part in parts[at + 1 :] if part not in _WORDS)
    said = {name: is_so for part in parts[at + 1 :] for name, is_so in _WORDS.get(part, {}).items()}
    return token(kind, " ".join(parts[:at]), parts[at], tail, **said)


TABLES: dict[str, tuple[Detector, ...]] = {
    title: tuple(map(_format, filter(None, text.split("\n"))))
    for title, text in sections(__package__, "formats.txt").items()
}
"""The formats that are always on, by what they are for."""

DETECTORS: tuple[Detector, ...] = (*(one for table in TABLES.values() for one in table), *VENDORS)
"""The formats that are always on."""

OPT_IN: frozenset[str] = frozenset(detector.kind for detector in PERSONAL)
"""Kinds that a rule may ask for with `redact:`."""

KINDS: frozenset[str] = OPT_IN | {detector.kind for detector in DETECTORS} | {*values.KINDS}
"""All kinds that are formats."""

HELD = "held"
"""What conditions call the values that mcpguard holds, whichever they are."""

GROUPS: dict[str, frozenset[str]] = {
    "secret": KINDS - OPT_IN | {HELD},
    "personal": OPT_IN,
    "all": KINDS | {HELD},
}
"""Names for several kinds, for conditions."""
