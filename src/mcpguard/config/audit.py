"""The schema of `audit`: where evidence goes, how much of it a session may make, and how long it is kept."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mcpguard.config.references import SOLE_REFERENCE, FilePath, wrong_reference
from mcpguard.config.terms import ArgumentsOnRecord, Durability
from mcpguard.config.urls import UrlName
from mcpguard.core.document.must import Must, between
from mcpguard.core.document.written import Written
from mcpguard.core.evidence.bounds import ARGUMENTS_A_MINUTE, REFUSALS_A_MINUTE
from mcpguard.core.evidence.chain import SUFFIXES

FREE_BYTES = 500_000_000
"""The default of `audit.free_bytes`."""


def taken_for_chain(folder: Path, file: str | Path) -> bool:
    """Whether what is written to `file` would be read as a chain of the evidence in `folder`."""
    name = os.path.basename(file)
    named = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(file))), name)
    inside = os.path.realpath(folder)
    return any(
        one.endswith(SUFFIXES) and os.path.dirname(one) == inside for one in (named, os.path.realpath(file))
    )


_NO_KEY = "expected one reference, such as ${keyring:audit/key}: `mcpguard audit key --new` makes a key"
KeyRef = Annotated[str, Must(lambda text: wrong_reference(text, _NO_KEY), pattern=f"^{SOLE_REFERENCE}$")]


class RotateEntry(Written):
    """`rotate` of `audit`: when a process goes on in a new chain."""

    bytes: Annotated[int, between(4096, 1 << 40, "bytes")] | None = Field(
        None, description="When the file reaches this size."
    )
    seconds: Annotated[float, between(1, 31_536_000, "seconds")] | None = Field(
        None, description="When it reaches this age, and something was recorded."
    )


class BoundsEntry(Written):
    """`bounds` of `audit`: how much evidence one session may make a minute, whoever its clients are. What is
    not used adds up for four minutes; 0 removes the bound."""

    refusals_per_minute: Annotated[int, between(0, 1_000_000, "refusals")] = Field(
        REFUSALS_A_MINUTE,
        description="Refused requests and messages that are recorded individually, and as many requests for "
        "lists. Beyond that they are counted: a notice `refusals-folded` or `lists-folded` stands for them. "
        "Servers are not asked for lists more often than that on behalf of one session.",
    )
    arguments_bytes_per_minute: Annotated[int, between(0, 1 << 40, "bytes")] = Field(
        ARGUMENTS_A_MINUTE,
        description="Arguments on record, refused and allowed requests apart. Beyond that their sha256 and "
        "length are; those of an allowed request up to 1 KiB always are on record.",
    )


class HeadsEntry(Written):
    """`heads` of `audit`: where the head of the chain goes at each checkpoint."""

    file: FilePath | None = Field(
        None,
        description="A line `FILE:HASH` is appended to this file. A relative one is relative to this file.",
    )
    url: UrlName | None = Field(
        None, description="A JSON object with `file` and `head` is posted to this URL."
    )
    stdout: bool = Field(
        False,
        description="A line `FILE:HASH` is printed; only where it serves over HTTP, since a client reads "
        "the output otherwise.",
    )


class AuditEntry(Written):
    """`audit` as written."""

    path: FilePath = Field(
        description="The folder; made if it is missing, mode 0700. A relative one is relative to this file.",
    )
    durability: Durability = Field(
        "flush",
        description="What evidence survives: `flush` a killed process, `fsync` also a power "
        "failure. `group` is as `fsync`, and gathers records for up to 2 ms, or until there are 64, so that "
        "more of them share one sync.",
    )
    arguments: ArgumentsOnRecord = Field(
        "redacted",
        description="What is recorded of the arguments of a call beside their sha256: `redacted` all of "
        "them, redacted as results are, up to 16 KiB; `digest` nothing.",
    )
    key: KeyRef | None = Field(
        None,
        description="A reference to the private key that signs checkpoints, such as `${keyring:audit/key}`; "
        "`mcpguard audit key --new` makes one, in the keychain or with `--to FILE` in a file.",
    )
    checkpoint_seconds: Annotated[float, between(1, 86_400, "seconds")] = Field(
        60.0,
        description="How often there is a checkpoint, where something was recorded; after 1,000 records "
        "there is one in any case.",
    )
    heads: HeadsEntry | None = Field(None, description="Where heads are kept beside the chains.")
    rotate: RotateEntry | None = Field(
        None,
        description="When a process goes on in a new chain. Default: never; with `keep_days` once a day, "
        "with `keep_bytes` after a tenth of them.",
    )
    compress: bool = Field(False, description="Whether chains that are over are compressed (`.jsonl.gz`).")
    keep_days: Annotated[float, between(1, 36_500, "days")] | None = Field(
        None,
        description="Chains that were last written longer ago are removed, oldest first, and evidence says "
        "up to which. Default: none is.",
    )
    keep_bytes: Annotated[int, between(1 << 20, 1 << 50, "bytes")] | None = Field(
        None,
        description="Where the chains of the folder are larger together, the oldest are removed as with "
        "`keep_days`, but none that was written within a day. Default: none is.",
    )
    free_bytes: Annotated[int, between(0, 1 << 50, "bytes")] = Field(
        FREE_BYTES,
        description="Where less is free on the disk, mcpguard warns: on standard error, in "
        "`mcpguard status`, `/readyz` and `/metrics`. 0 for never.",
    )
    bounds: BoundsEntry = Field(
        default_factory=BoundsEntry, description="How much evidence a session may make a minute."
    )
