"""The formats that are looked for. To add one: an entry in `DETECTORS` or `PERSONAL`, with its examples."""

from __future__ import annotations

from mcpguard.core.redaction.detectors.detector import Detector
from mcpguard.core.redaction.detectors.personal import PERSONAL
from mcpguard.core.redaction.detectors.tokens import DETECTORS

OPT_IN: frozenset[str] = frozenset(detector.kind for detector in PERSONAL)
"""Kinds that a rule may ask for with `redact:`."""

KINDS: frozenset[str] = OPT_IN | {detector.kind for detector in DETECTORS}
"""All kinds."""

__all__ = ["DETECTORS", "KINDS", "OPT_IN", "PERSONAL", "Detector"]
