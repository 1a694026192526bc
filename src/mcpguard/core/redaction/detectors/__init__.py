"""The formats that are looked for. To add one: an entry in a table of this package, with its examples. The
tables of secrets are always on; personal data is off unless a rule asks for it by name.

Forms of tokens are those of the vendors' documentation; lengths are lower bounds, since vendors lengthen
tokens. The examples are made up, and written so that no scanner takes these files for a leak.
"""

from mcpguard.core.redaction.detectors.format import ALONE, Detector, compiled
from mcpguard.core.redaction.detectors.personal import PERSONAL
from mcpguard.core.redaction.detectors.tokens import TOKENS

__all__ = ["ALONE", "DETECTORS", "GROUPS", "HELD", "KINDS", "OPT_IN", "PERSONAL", "Detector", "compiled"]

DETECTORS: tuple[Detector, ...] = TOKENS
"""The formats that are always on."""

OPT_IN: frozenset[str] = frozenset(detector.kind for detector in PERSONAL)
"""Kinds that a rule may ask for with `redact:`."""

KINDS: frozenset[str] = OPT_IN | {detector.kind for detector in DETECTORS}
"""All kinds that are formats."""

HELD = "held"
"""What conditions call the values that mcpguard holds, whichever they are."""

GROUPS: dict[str, frozenset[str]] = {
    "secret": KINDS - OPT_IN | {HELD},
    "personal": OPT_IN,
    "all": KINDS | {HELD},
}
"""Names for several kinds, for conditions."""
