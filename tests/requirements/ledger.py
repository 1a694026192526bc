"""The requirements ledger: each normative sentence of the specification, and the test that proves that we keep it.

Law of this file: no sentence is left out. Each page says how many there are, and each has exactly one row: kept, with
tests; not ours, with the reason; or a gap, with the reason.

How the sentences were found (`extract.py` does it again): take the pages of the specification that concern a server, a
client or a proxy; leave out code blocks; a list item, a row of a table or the lines between two empty ones is a
paragraph; a paragraph is cut after `.`, `:` or `;` before a capital letter, a backtick or `*`; a sentence counts where
it has MUST, REQUIRED or SHALL. They are numbered within their page. For a new revision: extract, number, add pages.
"""

from __future__ import annotations

from tests.requirements import (
    advice,
    legacy_basic,
    legacy_features,
    modern_authorization,
    modern_basic,
    modern_features,
    modern_transports,
    older,
)

PAGES = (
    *legacy_basic.PAGES,
    *legacy_features.PAGES,
    *modern_authorization.PAGES,
    *modern_basic.PAGES,
    *modern_transports.PAGES,
    *modern_features.PAGES,
)
"""Every page, by revision and name."""

ADVICE = advice.PAGES
"""What is advised (SHOULD); not complete."""

OLDER = older.PAGES
"""What only an older revision asks; not complete."""
