"""A recorded call, found in the evidence by its id and explained.

Law of this file: arguments are on record by their digest only, so they are explained only where somebody
brings those with that digest.
"""

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from mcpguard.adapters.audit.reader import chain_files, default_folder, lines
from mcpguard.authoring.explain.explanation import Recorded
from mcpguard.authoring.explain.hypothesis import arguments_of, explained, principal_of, session_of, target_of
from mcpguard.config.loading import Config
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.verification import anchor, verify
from mcpguard.core.model import Invocation, Json
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import StoredSession
from mcpguard.core.policy.written import ASKED
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.jsonrpc import encode

_EMPTY = sha256(b"{}").hexdigest()
_KINDS = {"prompts/get": "prompt", "resources/read": "resource", "resources/subscribe": "resource"}

NOT_GIVEN = (
    "only the sha256 of its arguments was recorded; pass them with --args-file FILE for an explanation"
)
NOT_THESE = (
    "these are not the arguments of that call: their sha256 differs from the recorded one (the order of "
    "keys matters)"
)
NO_STATE = (
    "the tool's annotations, groups and claims, and counts of the session, were not recorded; pass them with "
    "--snapshot or --annotations, --group, --claims and --session"
)
NO_TARGET = (
    "the evidence does not contain everything that rules may read about such a request, so it is "
    "not explained"
)


def explain_record(
    ids: list[str], options: Namespace, policies: PolicySet, config: Config | None, redactor: Redactor
) -> Recorded:
    """What is on record of the call, explained under the present policies where its arguments are known.
    Raises AuditError where there is no such call, or other arguments are given."""
    decision, outcome, altered = _find(ids, config)
    found = _recorded(
        {name: decision[name] for name in Recorded.model_fields if name in decision}
        | {"outcome": outcome.get("status", ""), "altered": altered}
        | {"same_policies": decision.get("policy_digest") == policies.digest}
    )
    args = arguments_of(options)
    if args is None and decision.get("args") == _EMPTY:
        args = {}
    kind = "tool" if found.tool else _KINDS.get(found.method, "")
    if not found.server or not (kind or found.method in ASKED):
        return found.model_copy(update={"notes": (NO_TARGET,)})
    if args is None:
        return found.model_copy(update={"notes": (NOT_GIVEN,)})
    return _explained(found, decision, args, kind, options, policies, redactor)


def _recorded(values: dict[str, Any]) -> Recorded:
    """Raises AuditError for what no writer of records would have written."""
    try:
        return Recorded(**values)
    except ValidationError:
        said = f": {values['altered']}" if values["altered"] else ""
        raise AuditError(f"the record of this call has another form than mcpguard writes{said}") from None


def _explained(
    found: Recorded,
    decision: dict[str, Any],
    args: dict[str, Json],
    kind: str,
    options: Namespace,
    policies: PolicySet,
    redactor: Redactor,
) -> Recorded:
    invocation = _invocation(found, args, kind, options)
    session = session_of(options, None if options.session is not None else _session(decision))
    # What is on record is what was sent, and rules may have set arguments.
    approved = frozenset(found.rules if found.approval else ())
    sent = decide(policies, invocation, session, approved=approved).invocation.args
    if decision.get("args") not in (_digest(args), _digest(sent)):
        raise AuditError(NOT_THESE)
    told = explained(policies, invocation, session, options.result, redactor)
    notes = [NO_STATE]
    asked = found.effect == "deny" or found.approval
    if told.effect != found.effect and not (told.effect == "ask" and asked):
        notes.append("the decision would be different now")
    return found.model_copy(update={"notes": tuple(notes), "explanation": told})


def _session(decision: dict[str, Any]) -> StoredSession:
    """The session as it was, as far as it was recorded."""
    labels, facts = decision.get("session_labels", []), decision.get("session_facts", [])
    return StoredSession(labels=list(labels), facts=list(facts))


def _invocation(found: Recorded, args: dict[str, Json], kind: str, options: Namespace) -> Invocation:
    source, _, who = found.principal.partition(":")
    if source in ("http", "https") and who != "anonymous":
        source, _, who = found.principal.rpartition(":")
    options.principal, options.source = options.principal or who, options.source or source
    name = found.tool or found.subject
    return Invocation(
        id=found.id,
        method=found.method,
        principal=principal_of(options),
        now=options.now or datetime.fromisoformat(found.at),
        agent=options.agent or found.agent,
        server=found.server,
        target=target_of(options, found.server, kind, name) if kind else None,
        args=args,
        params={"arguments": args},
    )


def _digest(args: Json) -> str:
    return sha256(encode(args)).hexdigest()


def _find(ids: list[str], config: Config | None) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The records of a decision and of its outcome, {} where there is none yet, and where their file was
    altered, "" for nowhere. Raises AuditError."""
    if len(ids) != 1:
        raise AuditError("explain one recorded call at a time")
    folder = config.audit.path if config and config.audit else default_folder()
    files = chain_files(folder)
    for file in reversed(files):
        records = {record["kind"]: record for record in _records(lines(file), ids[0])}
        if "decision" in records:
            return records["decision"], records.get("outcome", {}), _altered(file, files)
    altered = next(filter(None, (_altered(file, files) for file in files)), "")
    lost = f", but it may have been removed: {altered}" if altered else ""
    raise AuditError(f"no record of such a call in {folder}{lost}")


def _altered(file: Path, files: list[Path]) -> str:
    """What is wrong with `file` by itself, and by what the first records of the others state about its
    end."""
    claims = [anchor(next(lines(one), b"")) for one in files]
    heads = [claim.head for claim in claims if claim is not None and claim.file == file.name]
    flaws = verify(lines(file), heads).flaws
    return f"{file.name}, line {flaws[0].line} {flaws[0].what}" if flaws else ""


def _records(chain: Iterator[bytes], id_: str) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    name = id_.encode(errors="replace")
    for line in chain:
        if name not in line:
            continue
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if record.get("id") == id_ and isinstance(record.get("kind"), str):
            yield record
