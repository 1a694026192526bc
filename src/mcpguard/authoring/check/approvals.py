"""What `mcpguard check` says of approvals: whether somebody could give them, and hears that they are wanted.

Law of this file: nobody is alerted and no value is printed.
"""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from mcpguard.adapters.credentials import value_of
from mcpguard.adapters.system.guarded import found
from mcpguard.adapters.system.identity import operating_system_user
from mcpguard.adapters.system.shipped import command_for_extra
from mcpguard.authoring.check.codes import shown, wrong
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config
from mcpguard.config.terms import DESKTOP, NotifyTerms
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import CredentialError
from mcpguard.core.policy.compiled import CompiledPolicy
from mcpguard.core.secret import sole_reference

_ROOT = "os-user:root"


def approvals(config: Config, document: Document, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    """Each rule that asks, and each entry of `approvals.notify`."""
    for one in compiled:
        for index, rule in enumerate(one.policy.rules):
            if rule.ask is None:
                continue
            at = ("rules", index, "ask")
            if rule.ask.proof is not None:
                said = f"the package `webauthn` is missing: run `{command_for_extra('passkeys')}`"
                if find_spec("webauthn") is not None:
                    said = _holders(config, rule.ask.approvers)
                if said:
                    yield wrong("C111", one.document.problem((*at, "proof"), said))
            elif rule.ask.approvers and (said := _unreachable(config, rule.ask.approvers)):
                yield shown("C113", one.document.problem((*at, "approvers"), said))
    for index, entry in enumerate(config.approvals.targets):
        if said := _mute(entry):
            yield wrong("C112", document.problem(("approvals", "notify", index), said))


def _holders(config: Config, approvers: tuple[str, ...]) -> str:
    """Why none of the passkeys can approve; "" where one can."""
    passkeys = config.approvals.passkeys
    if not passkeys:
        return "`approvals.passkeys` of the configuration is empty: `mcpguard console` adds a passkey"
    known = [{one.person, *(f"group:{group}" for group in one.groups)} for one in passkeys]
    if approvers and all(one.isdisjoint(approvers) for one in known):
        return f"no passkey of the configuration is that of {' or '.join(approvers)}"
    return ""


def _unreachable(config: Config, approvers: tuple[str, ...]) -> str:
    """Why nobody who can open the state file is an approver; "" where somebody could be."""
    user = operating_system_user()
    me = f"{user.source}:{user.id}"
    # Who is in a group is not known here: whoever serves may be.
    if any(one in (me, _ROOT) or one.startswith("group:") for one in approvers):
        return ""
    if not _holders(config, approvers):
        return ""
    return (
        f"without a passkey only the user that serves can answer, which is {me} if mcpguard runs as you, and "
        "no approver: add a passkey of an approver (`mcpguard console`), or run mcpguard as an approver"
    )


def _mute(entry: NotifyTerms) -> str:
    """Why no alert could be sent to it; "" where one could."""
    if entry.to == DESKTOP:
        program = "osascript" if sys.platform == "darwin" else "notify-send"
        missing = found(program, os.environ.get("PATH")) is None
        return f"`{program}` was not found; on Linux it belongs to libnotify" if missing else ""
    if find_spec("apprise") is None:
        return f"the package `apprise` is missing: run `{command_for_extra('notify')}`"
    try:
        value_of(sole_reference(entry.to))
    except CredentialError as error:
        return str(error)
    return ""
