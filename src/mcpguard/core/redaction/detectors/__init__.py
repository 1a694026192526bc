"""The formats that are looked for. To add one: an entry in a table of this package, with its examples. The
tables of secrets are always on; personal data is off unless a rule asks for it by name. Secrets that only
their name gives away are found by `named/`.

Forms of tokens are those of the vendors' documentation; lengths are lower bounds, since vendors lengthen
tokens. The examples are made up, and written so that no scanner takes these files for a leak.
"""

from mcpguard.core.redaction.detectors.ai import AI
from mcpguard.core.redaction.detectors.cloud import CLOUD
from mcpguard.core.redaction.detectors.code import CODE
from mcpguard.core.redaction.detectors.data import DATA
from mcpguard.core.redaction.detectors.format import ALONE, Detector, compiled
from mcpguard.core.redaction.detectors.keys import KEYS
from mcpguard.core.redaction.detectors.money import MONEY
from mcpguard.core.redaction.detectors.named import values
from mcpguard.core.redaction.detectors.people import PEOPLE
from mcpguard.core.redaction.detectors.personal import PERSONAL
from mcpguard.core.redaction.detectors.vendors import VENDORS

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

TABLES: dict[str, tuple[Detector, ...]] = {
    "Keys and tokens of any vendor": KEYS,
    "Clouds and hosting": CLOUD,
    "Code, builds and packages": CODE,
    "Databases and monitoring": DATA,
    "Models": AI,
    "Chat, mail, office and identity": PEOPLE,
    "Payment and shops": MONEY,
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
