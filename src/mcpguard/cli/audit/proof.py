"""The proof of the evidence: `mcpguard audit verify`, `heads` and `key`.

Law of this file: a private key is made and stored, and never printed.
"""

import argparse
import os
import re
import sys
from collections import defaultdict
from collections.abc import Container
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import DecodeError, json

from mcpguard.adapters.audit.reader import FolderProof, NoChain, chain_files, chain_name, head, proof
from mcpguard.adapters.audit.signing import PUBLIC, PublicKey, SigningKey, new_key, private_key
from mcpguard.adapters.system.terminal import plain, style
from mcpguard.cli.audit.query import same_place
from mcpguard.cli.audit.rows import trust
from mcpguard.cli.parser import configured_if_any, to_stderr
from mcpguard.core.errors import AuditError, CredentialError
from mcpguard.core.evidence.records import Anchor
from mcpguard.core.evidence.verification import ChainReport
from mcpguard.core.secret import CredentialRef

KEY = "audit/key"
"""The name in the keychain under which `key --new` stores one, if nobody says another."""
NEWER = 3
"""The exit code where a newer version of mcpguard has to verify."""
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-\S+\.jsonl")
_PROCESS = re.compile(r"[0-9]{8}T[0-9]{6}Z-([0-9]+)-")
_HASH = re.compile("[0-9a-f]{64}")
_HEAD = re.compile(rf"\S+:{_HASH.pattern}")
NO_KEY = (
    "no key is configured (`audit.key`), and the keychain has none: make one with "
    "`mcpguard audit key --new --to FILE`, or `--new` alone to keep it in the keychain"
)
_EXPECTED = "--expect takes FILE:HASH, as `mcpguard audit heads` prints it"


def add_verify(check: argparse.ArgumentParser) -> None:
    """The options of `verify`."""
    check.add_argument(
        "--expect",
        metavar="FILE:HASH",
        action="append",
        default=[],
        help="a head that was saved elsewhere: FILE must still contain it (may be repeated)",
    )
    check.add_argument(
        "--heads",
        metavar="FILE",
        type=Path,
        help="a file of such heads, one per line, as `mcpguard audit heads` prints or mcpguard posts them",
    )
    check.add_argument(
        "--public-key",
        metavar="KEY",
        action="append",
        default=[],
        help="the public key, or a file with it: each chain must be signed with its private key, or have "
        "its head in a chain that is (may be repeated, if the key was changed)",
    )
    check.add_argument(
        "--removed-until",
        metavar="FILE",
        default="",
        help="chains up to this one were removed on purpose (retention)",
    )


def add_key(key: argparse.ArgumentParser) -> None:
    """The options of `key`."""
    key.add_argument(
        "--new",
        action="store_true",
        help="create a key, and store it in the keychain, or in the file given with --to",
    )
    where = key.add_mutually_exclusive_group()
    where.add_argument(
        "--to",
        metavar="FILE",
        help="with --new: write it to a new file that only you can read, for a machine without a keychain",
    )
    where.add_argument(
        "--name", metavar="NAME", default=KEY, help=f"its name in the keychain with --new (default: {KEY})"
    )
    key.add_argument("--config", metavar="FILE", help="the configuration whose `audit.key` is meant")
    key.add_argument("--json", action="store_true", help="print JSON")


# --- verify ----------------------------------------------------------------------------------------


def verify_chains(path: Path, args: argparse.Namespace) -> int:
    """1 where something was altered or is missing, 3 where a newer version has to say so. Raises
    AuditError."""
    kept: defaultdict[str, list[str]] = defaultdict(list)
    for text in [*args.expect, *_kept_in(args.heads)]:
        name, _, head = text.rpartition(":")
        if not name:
            raise AuditError(_EXPECTED)
        kept[Path(name).name.removesuffix(".gz")].append(head)
    if path.is_file() and (own := chain_name(path)) in kept:
        kept = defaultdict(list, {own: kept[own]})  # Nothing is asked about other chains.
    keys = [_public(text) for text in args.public_key]

    def signed(message: bytes, signature: bytes) -> bool:
        return any(key.verifies(message, signature) for key in keys)

    until = _chain_named(args.removed_until)
    found = proof(path, kept, until, signed if keys else None)
    reports = found.reports.values()
    altered = bool(found.missing or found.doubts) or any(report.flaws for report in reports)
    newer = any(report.newer for report in reports)
    strange = _strange(found, keys)
    whole = bool(strange) and _is_whole(proof(path, kept, until))
    if strange:
        to_stderr(f"{strange}{_WHOLE if whole else ''}")
    if args.json:
        _print_json(found, not altered and not newer, keys)
    else:
        _print_reports(found, bool(keys), kept, whole)
    return 1 if altered else NEWER if newer else 0


_WHOLE = ". The hashes of the chains match, but that does not show who wrote them"


def _strange(found: FolderProof, keys: list[PublicKey]) -> str:
    """A sentence that the keys may be the wrong ones, where no signature is by one of them or says that it
    is, or that there is no signature; else ""."""
    reports = found.reports.values()
    stated = frozenset[str]().union(*(one.others for one in reports))
    sure = any(found.vouched.values()) or not any(one.flaws for one in reports)
    if not keys or sure or stated & {key.id for key in keys}:
        return ""
    if not stated:
        return "nothing here is signed, so no key can prove who wrote it"
    mine, others = (", ".join(sorted(filter(None, ids))) for ids in ({key.id for key in keys}, stated))
    which, right = ("this key", "is it the right one") if len(keys) == 1 else ("these keys", "is one missing")
    said = f"no signature here is by {which} ({mine}), but by {plain(others) or 'others'}: {right}?"
    return f"{said} After a change of the key give both (--public-key, repeated)"


def _is_whole(found: FolderProof) -> bool:
    return not found.missing and not any(one.flaws for one in found.reports.values())


def _kept_in(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        found = [head for line in path.read_text("utf-8").splitlines() for head in _heads_in(line)]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise AuditError(f"the heads in {path} cannot be read: {reason}") from None
    if not found:
        raise AuditError(f"{path} contains no heads, so it proves nothing")
    for text in found:
        if _HEAD.fullmatch(text) is None:
            raise AuditError(
                f"{path} is not a file of heads: each line is FILE:HASH, as `mcpguard audit heads` prints "
                "it, or a JSON object with `file` and `head`, as mcpguard posts it"
            )
    return found


def _heads_in(line: str) -> list[str]:
    """What a line has in place of heads: a JSON object with one, or any number of words."""
    with suppress(DecodeError, RecursionError):
        posted = json.decode(line, type=Anchor)
        return [f"{posted.file}:{posted.head}"]
    return line.split()


def _chain_named(text: str) -> str:
    """The name of a chain that need not be there any more, "" for none. Raises AuditError."""
    name = Path(text).name.removesuffix(".gz")
    if text and _NAME.fullmatch(name) is None:
        raise AuditError(
            f"--removed-until takes the name of a chain, such as 20260801T070000Z-311-5f0c9a1e.jsonl, "
            f"not {text}"
        )
    return name


def _public(text: str) -> "PublicKey":
    if text.startswith(PUBLIC):
        return PublicKey.parse(text)
    try:
        return PublicKey.parse(Path(text).read_text("utf-8"))
    except (OSError, UnicodeError):
        raise AuditError(
            f"--public-key takes a key, which begins with `{PUBLIC}`, or a file with one"
        ) from None


def _print_json(found: FolderProof, intact: bool, keys: list[PublicKey]) -> None:
    from mcpguard.cli.outputs import AuditReport, VerifiedChain

    chains = [
        {
            **{key: getattr(one, key) for key in VerifiedChain.model_fields if hasattr(one, key)},
            "file": name,
            "signed": found.vouched[name],
            "held_by": found.held.get(name, ""),
            "doubts": found.doubts.get(name, ()),
        }
        for name, one in found.reports.items()
    ]
    report = {"intact": intact, "chains": chains, "missing": found.missing, "removed": found.removed}
    print(AuditReport.model_validate(report | {"key": " ".join(key.id for key in keys)}).model_dump_json())


def _print_reports(
    found: FolderProof, signatures: bool, kept: "Container[str]", unproven: bool = False
) -> None:
    """`signatures` says whether they were checked; `kept` are the files whose heads are expected. `unproven`
    says that only signatures are missing."""
    flawed = "UNPROVEN" if unproven else "ALTERED"
    for name, report in found.reports.items():
        verdict = style(flawed, "red") if report.flaws else style("intact", "green")
        if not report.flaws and report.newer:
            verdict = style("NEWER ", "yellow")
        elif report.intact and not report.records:
            verdict = style("empty ", "yellow")
        elif not report.flaws and name in found.doubts:
            verdict = style("DOUBTFUL", "red")
        elif not report.flaws and name in found.held:
            verdict = style("unsigned", "yellow")
        # What an altered chain has in place of its head may be anything, and is not printed.
        head = report.head if _HASH.fullmatch(report.head) else "no hash"
        print(f"{verdict}  {plain(name)}:{head}  {report.records} records")
        for text in (
            *map(plain, found.doubts.get(name, ())),
            *_notes(report),
            *_renamed(report, name),
            *_unsaid(report, found),
            *(_signed(report, found, name) if signatures else ()),
        ):
            print(f"        {text}")
    _print_missing(found, signatures, kept)
    reports = found.reports.values()
    wrong = sum(bool(report.flaws) for report in reports)
    altered = len(found.missing) + (0 if unproven else wrong)
    newer = sum(bool(report.newer and not report.flaws) for report in reports)
    more = f", written by a newer mcpguard: {newer}" if newer else ""
    more += f", unproven: {wrong}" if unproven else ""
    more += f", doubtful: {len(found.doubts)}" if found.doubts else ""
    more += f", not signed: {len(found.held)}" if found.held else ""
    print(f"chains: {len(reports)}, altered or missing: {altered}{more}")


def _print_missing(found: FolderProof, signatures: bool, kept: "Container[str]") -> None:
    """What is missing, and what was removed on purpose."""
    claimed = "" if found.claimed is None else found.claimed.until
    for name in found.missing:
        why = "its head is expected (--expect, --heads)" if name in kept else "another chain holds its head"
        if name in found.renamed:
            why = f"it was renamed to {plain(found.renamed[name])}"
        elif name <= claimed:
            why = f"{why}; removed on purpose, as the evidence says without proof"
        print(f"{style('MISSING', 'red')} {plain(name)}: {why}")
    if any(name <= claimed for name in found.missing):
        what, until = "signature" if signatures else "kept head", plain(claimed)
        said = f"no {what} proves that chains up to {until} were removed on purpose"
        print(f"{said}: if you know that they were, add `--removed-until {until}`")
    elif found.removed is not None:
        print(f"removed on purpose, as the evidence says: all chains up to {plain(found.removed.until)}")


def _notes(report: ChainReport) -> list[str]:
    notes = [*map(plain, report.problems)]
    if report.newer and report.intact:
        said = "nothing was altered, but only that version can interpret its records"
        notes.append(f"written by {report.newer}: {said}")
    notes += [f"note: evidence-gap {plain(gap)}" for gap in report.gaps]
    if report.torn:
        notes.append("note: ends in an incomplete record, which was never acknowledged (a crash)")
    if not report.closed:
        said = "still being written, or ended by a crash; a cut-off end looks the same"
        notes.append(f"note: not closed: {said}")
    if report.unfinished:
        ids = ", ".join(plain(name) for name in report.unfinished[:10])
        more = ", ..." if len(report.unfinished) > 10 else ""
        notes.append(f"note: {len(report.unfinished)} allowed without an outcome: {ids}{more}")
    return notes


def _renamed(report: ChainReport, name: str) -> list[str]:
    said = _PROCESS.match(name)
    if said is None or report.pid in (0, int(said[1])):
        return []
    return [f"note: renamed: its name is that of process {said[1]}, and process {report.pid} wrote it"]


def _unsaid(report: ChainReport, found: FolderProof) -> list[str]:
    before = found.reports.get(report.continues)
    if before is None or before.handed_on:
        return []
    said = "whose last record does not say so: it ends none of its calls"
    return [f"note: it says that it continues {plain(report.continues)}, {said}"]


def _signed(report: ChainReport, found: FolderProof, name: str) -> list[str]:
    if name in found.held and not report.flaws:
        said = "it existed then, but nothing proves who wrote it"
        return [f"note: held by {plain(found.held[name])}, not signed: {said}"]
    line = found.vouched[name]
    after = report.records - line
    return [f"note: {after} records came after the last signature"] if line and after > 1 else []


# --- heads and key ---------------------------------------------------------------------------------


def print_heads(path: Path, args: argparse.Namespace) -> int:
    """The head of each chain, not verified; 1 where something is not a chain."""
    heads: dict[str, str] = {}
    altered: list[str] = []
    for file in chain_files(path):
        with suppress(NoChain):
            if _HASH.fullmatch(one := head(file)):
                heads[chain_name(file)] = one
                continue
        altered.append(chain_name(file))
    if args.json:
        from mcpguard.cli.outputs import AuditHead, AuditHeads

        found = tuple(AuditHead(file=name, head=one) for name, one in heads.items())
        print(AuditHeads(found).model_dump_json())
    else:
        for name, one in heads.items():
            print(f"{plain(name)}:{one}")
    return trust(altered, same_place(args))


def print_key(args: argparse.Namespace) -> int:
    """The public key; with `--new` a new one is made before. Raises CredentialError, AuditError."""
    from mcpguard.adapters.credentials import value_of
    from mcpguard.adapters.credentials.keychain import Keychain

    if args.to is not None and not args.new:
        raise AuditError("--to says where a new key is written: it goes with --new")
    ref = CredentialRef("keyring", args.name)
    if args.to is not None:
        ref = _write_key(args.to)
    elif args.new:
        _store_key(ref)
    else:
        config = configured_if_any(args.config)
        configured = None if config is None else config.audit.key
        ref = configured or ref
        if configured is None and not Keychain().has(ref):
            raise AuditError(NO_KEY)
    key = SigningKey(private_key(partial(value_of, ref), ref)).public
    if args.json:
        from mcpguard.cli.outputs import AuditKey

        print(AuditKey(reference=str(ref), id=key.id, public=str(key)).model_dump_json())
        return 0
    print(key)
    if args.new:
        print(f"stored; to sign with it, add `audit: {{key: '${{{ref}}}'}}` to the configuration")
    return 0


def _store_key(ref: "CredentialRef") -> None:
    from mcpguard.adapters.credentials.keychain import UNENCRYPTED, Keychain, in_the_open

    keychain = Keychain()
    try:
        kept = keychain.find(ref.name)
    except CredentialError as error:
        raise AuditError(f"{error}; `mcpguard audit key --new --to FILE` needs no keychain") from None
    if kept is not None:
        raise AuditError(
            f"{ref} is in the keychain already: print its public key with `mcpguard audit key`, or give "
            "the new one another --name"
        )
    keychain.put(ref.name, new_key())
    if kind := in_the_open():
        print(f"warning: {UNENCRYPTED.format(kind)}", file=sys.stderr)


def _write_key(to: str) -> "CredentialRef":
    if to in ("", "-"):
        raise AuditError("--to takes a file: a private key is never printed")
    path = os.path.abspath(to)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise AuditError(f"{to} exists, and a key is never overwritten: name another file") from None
    except OSError as error:
        raise AuditError(f"{to} cannot be written: {error.strerror}") from None
    try:
        with open(file, "w", encoding="utf-8") as new:
            new.write(f"{new_key()}\n")
            new.flush()
            os.fsync(new.fileno())
    except OSError as error:
        os.unlink(path)
        raise AuditError(f"{to} cannot be written: {error.strerror}") from None
    return CredentialRef("file", path)
