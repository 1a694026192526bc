"""One call's whole story, from its records: who, what, why, and what came back.

Law of this file: nothing is said that no record says, and what nobody verified is called a claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct, json

from mcpguard.adapters.audit.calls import CallRecords, ChainLine
from mcpguard.adapters.audit.reader import file_name
from mcpguard.core.evidence.records import Decided, ObservedRefusal, Opened, Outcome, Steps
from mcpguard.core.evidence.verification import ChainReport
from mcpguard.core.legible import utc


class Paragraph(Struct, frozen=True):
    """Sentences about one `topic`. No model: a verb that only names the causes imports no pydantic."""

    topic: str
    text: str


CAUSES = {
    "no-rule": "No rule allowed it, and calls are denied by default.",
    "arguments": "Its arguments do not match the schema that the tool declares.",
    "error": "A rule could not be evaluated, and errors fail closed.",
    "approval": "No person approved it.",
    "pin": "Its definition is not one that was accepted: `mcpguard pins` shows what is different.",
    "limit": "A limit was reached.",
    "credential": "It carried a credential that is not for this server.",
    "placeholder": "Its arguments contained a placeholder for a removed value.",
    "unavailable": "The server could not be asked what it offers.",
    "unknown": "No server has anything with that name.",
    "cancelled": "The client cancelled it before it was decided.",
    "disconnected": "The client disconnected before it was decided, and nothing was sent.",
    "abandoned": "mcpguard stopped, or the session ended, before it was decided, and nothing was sent.",
}
"""What each cause of a refusal means, but for a rule that denies."""
STATUS = {
    "ok": "The server answered, and the client got the result.",
    "tool-error": "The tool reported an error, and the client got it.",
    "error": "The server answered with an error, and the client got it.",
    "withheld": "The result was withheld from the client.",
    "unavailable": "The call did not reach the server.",
    "cancelled": "The client cancelled the call.",
    "disconnected": "The client disconnected before the answer came.",
    "expired": "It timed out before it could be finished.",
    "denied": "It was denied before it could be finished.",
    "abandoned": "mcpguard stopped before it was finished.",
    "input-required": "The server asks the client for more; its next call continues this one.",
    "paused": "The server asks the client for more; the call waits for the client's answer.",
    "resumed": "With this request, the client continued an earlier call.",
    "asked": "The question was sent to the client.",
}
"""What each status of an outcome means."""
_STEPS = {
    "decide": "to decide",
    "wait": "to wait for a person",
    "record": "to record the decision",
    "inject": "to send the request",
    "call": "for the server to answer",
    "inspect": "to inspect the result",
}
_OMITTED = {
    "setting": "The configuration says not to record arguments.",
    "size": "The arguments are too long to be recorded.",
    "rate": "The session sent more arguments than are recorded, so there is only their digest.",
    "inspection": "The arguments could not be inspected, so they were not recorded.",
}
_TARGETS = {
    "prompts/get": "asked for the prompt",
    "resources/read": "read the resource",
    "resources/subscribe": "subscribed to the resource",
    "resources/unsubscribe": "unsubscribed from the resource",
}


def story_of(
    call: CallRecords, causes: Mapping[str, CallRecords], reports: Mapping[str, ChainReport]
) -> list[Paragraph]:
    """The story of a call that has a decision. `causes` are the calls that brought labels, as far as they are
    known, `reports` what was found of the chains that it stands in."""
    line = call.decision
    decision = None if line is None else line.record
    if not isinstance(decision, Decided):
        return []
    outcome = _outcome(call)
    told = {
        "who": [*_who(decision), *_process(call.opened)],
        "what": _what(decision),
        "why": [*_why(decision), *_policies(decision, call.opened)],
        "session": [*_session(decision, causes), *_added(decision, outcome)],
        "credentials": _credentials(decision),
        "approval": _approval(decision, call),
        "time": _time(decision, outcome),
        "result": _result(decision, outcome),
        "evidence": _evidence(call, reports),
    }
    return [Paragraph(topic, " ".join(said)) for topic, said in told.items()]


def headline(call: CallRecords) -> str:
    """Its outcome, and when it was recorded."""
    decision = None if call.decision is None else call.decision.record
    if not isinstance(decision, Decided):
        return ""
    outcome = _outcome(call)
    said = {"allow": "allowed", "deny": "denied", "ask": "waiting for a person"}
    verdict = said.get(decision.effect, decision.effect)
    end = f" ({outcome.status})" if outcome is not None and outcome.status != "ok" else ""
    return f"{decision.id}: {verdict}{end}, {utc(decision.at, 'milliseconds')}"


def _outcome(call: CallRecords) -> Outcome | None:
    found = None if call.outcome is None else call.outcome.record
    return found if isinstance(found, Outcome) else None


# --- who ----------------------------------------------------------------------------------------


def _who(decision: Decided) -> Iterator[str]:
    source, _, name = decision.principal.partition(":")
    if source == "os-user":
        yield f"{decision.principal} asked for it: the operating system says that this is the user {name}."
    elif decision.principal == "http:anonymous":
        yield "Somebody without a token asked for it over HTTP (http:anonymous)."
    else:
        token = f"the verified token {_name(decision.token)}" if decision.token else "a verified token"
        yield f"{_name(decision.principal)} asked for it: {token} says who that is."
    if decision.human:
        acting = f" by the agent {_name(decision.actor)}" if decision.actor else ""
        yield f"It was done{acting} for the person {_name(decision.human)}: the verified token names them."
    claims = []
    if decision.agent:
        claims.append(f"the launcher's configuration calls the agent {_name(decision.agent)}")
    if decision.client:
        name, _, version = decision.client.rpartition("/")
        said = f"{_name(name)}, version {_name(version)}" if name else _name(decision.client)
        claims.append(f"the client calls itself {said}")
    if claims:
        which = "neither was" if claims[1:] else "that was not"
        yield f"{_capital(', and '.join(claims))}; {which} verified."


def _process(opened: Opened | None) -> Iterator[str]:
    if opened is not None:
        host = f" on {opened.host}" if opened.host else ""
        yield (
            f"It was served by process {opened.pid} of mcpguard {opened.version}{host}, which was started "
            f"by {opened.principal} at {utc(opened.at, 'milliseconds')}."
        )


# --- what ---------------------------------------------------------------------------------------


def _what(decision: Decided) -> Iterator[str]:
    server = f" of the server {decision.server}" if decision.server else ""
    if decision.tool:
        verb = "called the tool" if decision.method == "tools/call" else f"sent {decision.method} for"
        yield f"It {verb} {_name(decision.tool)}{server}."
        if decision.tool_digest:
            yield f"The tool's definition has the sha256 {decision.tool_digest}."
    elif decision.method in _TARGETS and decision.subject:
        yield f"It {_TARGETS[decision.method]} {_name(decision.subject)}{server}."
    else:
        about = f" about {_name(decision.subject)}" if decision.subject else ""
        to = f" to the server {decision.server}" if decision.server else " to mcpguard"
        yield f"It sent {decision.method}{about}{to}."
    if decision.arguments is not None:
        yield f"Its arguments, with secrets removed: {json.encode(decision.arguments).decode()}."
    elif decision.arguments_omitted:
        yield _OMITTED.get(decision.arguments_omitted, f"Not recorded: {decision.arguments_omitted}.")
    if decision.args:
        yield f"The arguments as they were sent have the sha256 {decision.args}."
    if decision.request:
        yield f"The client numbered the request {_name(decision.request)} (not verified)."
    if decision.trace:
        yield f"The client says that it belongs to the trace {_name(decision.trace)} (not verified)."


# --- why ----------------------------------------------------------------------------------------


def _why(decision: Decided) -> Iterator[str]:
    if decision.effect == "ask":
        yield f"{_rules(decision.rules)} a person's approval."
    elif decision.effect == "allow":
        yield _allowed(decision)
    elif decision.cause == "rule":
        yield _by(decision.rules, "denied it")
    else:
        yield CAUSES.get(decision.cause, f"The cause is: {decision.cause}.")
        if decision.rules:
            which = "rules are" if len(decision.rules) > 1 else "rule is"
            yield f"The {which} {_and(list(decision.rules))}."
    if decision.observed is not None:
        yield _observed(decision.observed, "refused", "it went on")
    if decision.message:
        yield f"The client was told: {_quoted_at_end(decision.message)}"
    if decision.shadow:
        yield f"Rules in shadow mode, which only note, would have decided: {decision.shadow}."
    if decision.redact:
        yield f"Rules asked for more, or less, redaction of the result: {', '.join(decision.redact)}."
    if decision.limits:
        counted = ", ".join(_use(key, uses) for key, uses in decision.limits.items())
        yield f"It counts against limits: {counted}."


def _use(key: str, uses: int) -> str:
    """`key` is RULE UNIT WINDOW; how many bytes it is was not known when it was decided."""
    unit = key.split(" ")[1:2]
    return f"{key} by {'the size of its result' if unit == ['bytes'] else uses}"


def _rules(rules: tuple[str, ...]) -> str:
    return f"{_capital(_several('the rule', rules))} {'asks' if len(rules) == 1 else 'ask'} for"


def _allowed(decision: Decided) -> str:
    if decision.rules:
        part = f", as part of the call {decision.began}, which began the task" if decision.began else ""
        return _by(decision.rules, f"allowed it{part}")
    if decision.method.endswith("/list"):
        return "It was allowed without a rule, since each entry of a list is decided by itself."
    return "It was allowed, and no rule is on record for that."


def _by(rules: tuple[str, ...], did: str) -> str:
    return f"{_capital(_several('the rule', rules))} {did}." if rules else f"A rule {did}."


def _observed(would: ObservedRefusal, verb: str, but: str) -> str:
    by = f" by {_several('the rule', would.rules)}" if would.rules else f" ({would.cause})"
    said = f", saying {_quoted(would.message)}" if would.message else ""
    return f"The policies would have {verb} it{by}{said}; {but}, since the server is only observed."


def _policies(decision: Decided, opened: Opened | None) -> Iterator[str]:
    if decision.policy_digest:
        same = opened is not None and opened.policy_digest == decision.policy_digest
        names = f" ({', '.join(opened.policies)})" if opened is not None and same and opened.policies else ""
        yield f"The policies in force{names} have the sha256 {decision.policy_digest}."


# --- session, credentials, approval ---------------------------------------------------------------


def _session(decision: Decided, causes: Mapping[str, CallRecords]) -> Iterator[str]:
    name = f"The session {decision.session}" if decision.session else "The session"
    if not (decision.session_labels or decision.session_facts):
        yield f"{name} had no labels and no facts before it, as far as the rules could see."
    for label in decision.session_labels:
        brought = decision.label_causes.get(label, "")
        since = f", since the call {brought}{_cause(causes.get(brought))}" if brought else ""
        yield f"{name} had the label {label}{since}."
    if decision.session_facts:
        yield f"{name} had {_several('the fact', decision.session_facts)}."


def _cause(call: CallRecords | None) -> str:
    decision = None if call is None or call.decision is None else call.decision.record
    if not isinstance(decision, Decided):
        return ", which is not in these chains"
    what = "/".join(filter(None, (decision.server, decision.tool or decision.subject or decision.method)))
    return f" ({what}, {utc(decision.at, 'milliseconds')})"


def _added(decision: Decided, outcome: Outcome | None) -> Iterator[str]:
    for kind in ("labels", "facts"):
        for by, names in (
            ("The call", getattr(decision, kind)),
            ("The result", getattr(outcome, kind) if outcome is not None else ()),
        ):
            if names:
                yield f"{by} added {_several(f'the {kind[:-1]}', names)} to the session."


def _credentials(decision: Decided) -> Iterator[str]:
    names = tuple(
        f"{name} ({decision.credential_kinds[name]})" if name in decision.credential_kinds else name
        for name in decision.credentials
    )
    if not names:
        yield "No credential was involved."
    elif decision.cause == "credential":
        yield f"The client sent {_several('the credential', names)}, which this server must not get."
    elif decision.effect == "allow":
        yield f"The server has {_several('the credential', names)}; the client never saw a value."
    else:
        yield f"The server has {_several('the credential', names)}, and nothing was sent to it."
    if decision.credential:
        yield f"A rule chose the credential {decision.credential}."


def _approval(decision: Decided, call: CallRecords) -> Iterator[str]:
    asked = call.asked
    if asked is not None and isinstance(asked.record, Decided):
        ticket = asked.record.ticket or decision.ticket
        by = f" by {_several('the rule', asked.record.rules)}" if asked.record.rules else ""
        yield f"A person had to be asked{by}: ticket {ticket}, {utc(asked.record.at, 'milliseconds')}."
    if decision.approval:
        ticket, _, who = decision.approval.partition(" by ")
        yield f"It was approved by {who} with the ticket {ticket}."
    elif decision.effect == "ask":
        yield "No answer is on record in these chains."
    elif asked is not None and isinstance(asked.record, Decided):
        waited = (decision.at - asked.record.at).total_seconds()
        after = f" after {milliseconds(waited * 1000)}" if waited > 0 else ""
        yield f"It was not approved{after}." if decision.effect == "deny" else f"It went on{after}."
    elif decision.cause == "approval":
        named = f" (ticket {decision.ticket})" if decision.ticket else ""
        yield f"A person had to approve it{named}, and nobody did."
    else:
        yield "No person had to approve it."


# --- its outcome ------------------------------------------------------------------------------


def _time(decision: Decided, outcome: Outcome | None) -> Iterator[str]:
    yield f"It was decided at {utc(decision.at, 'milliseconds')}."
    if outcome is None:
        return
    yield f"It finished {milliseconds(outcome.ms)} after the decision."
    if outcome.steps is not None:
        yield f"The steps took {_and(list(_steps(outcome.steps)))}."


def _steps(steps: Steps) -> Iterator[str]:
    for name, what in _STEPS.items():
        if took := getattr(steps, name):
            yield f"{milliseconds(took)} {what}"


def milliseconds(ms: float) -> str:
    """A duration as a person reads it."""
    if ms < 1000:
        return f"{ms:.2f} ms" if ms < 10 else f"{ms:.0f} ms"
    return f"{ms / 1000:,.1f} seconds"


def _result(decision: Decided, outcome: Outcome | None) -> Iterator[str]:
    if outcome is None:
        yield {
            "deny": "Nothing was sent to the server.",
            "ask": "Nothing was sent to the server so far.",
        }.get(decision.effect, "No outcome is on record: it may still be running, or the process was ended.")
        return
    yield STATUS.get(outcome.status, f"It ended as {outcome.status}.")
    if outcome.error:
        yield f"What went wrong: {_quoted_at_end(outcome.error)}"
    if outcome.message:
        yield f"The client was told: {_quoted_at_end(outcome.message)}"
    if outcome.sent or outcome.received:
        yield f"{outcome.sent:,} bytes were sent and {outcome.received:,} were received."
    if outcome.result:
        yield f"The result as the client got it has the sha256 {outcome.result}."
    if outcome.rules:
        yield f"{_capital(_several('the rule', outcome.rules))} decided about the result."
    if outcome.observed is not None:
        yield _observed(outcome.observed, "withheld", "the client got it")
    if outcome.shadow:
        yield f"Rules in shadow mode would have decided about the result: {outcome.shadow}."
    yield from _detections(outcome)


def _detections(outcome: Outcome) -> Iterator[str]:
    if outcome.result and not (outcome.findings or outcome.unredacted or outcome.neutralised):
        yield "Nothing was removed from it."
    for said, found in (("were removed", outcome.findings), ("stayed, as a rule says", outcome.unredacted)):
        for what, count in found.items():
            kind, _, path = what.partition(" ")
            where = f" at {path}" if path else ""
            times = "One value" if count == 1 else f"{count} values"
            verb = said.replace("were", "was") if count == 1 else said
            yield f"{times} of the kind {kind}{where} {verb}."
    if outcome.neutralised:
        counted = ", ".join(f"{kind} {count}" for kind, count in outcome.neutralised.items())
        yield f"Hidden characters became visible, or were dropped: {counted}."


def _evidence(call: CallRecords, reports: Mapping[str, ChainReport]) -> Iterator[str]:
    for what, line in (("question", call.asked), ("decision", call.decision), ("outcome", call.outcome)):
        if line is not None and not (what == "question" and line is call.decision):
            yield f"The {what} is line {line.number} of {file_name(line.file)}."
    for file in dict.fromkeys(file_name(one.file) for one in places_of(call)):
        if file in reports:
            yield _verified(file, reports[file])


def places_of(call: CallRecords) -> list[ChainLine]:
    """Where its decisions and its outcome stand."""
    return [one for one in (call.asked, call.decision, call.outcome) if one is not None]


def _verified(file: str, report: ChainReport) -> str:
    if not report.intact:
        why = "; ".join(report.problems[:3])
        return f"THE CHAIN {file} {'WAS ALTERED' if report.flaws else 'IS NOT PROVEN'}: {why}."
    end = "and it was closed properly" if report.closed else "and it is not closed yet"
    return f"The chain {file} is intact: {report.records} records follow each other unchanged, {end}."


# --- words --------------------------------------------------------------------------------------


def _several(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {_and(list(names))}"


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "no time"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _quoted(text: str) -> str:
    """Words of others, which cannot end their own quotation."""
    return "“" + text.replace("”", '"') + "”"


def _quoted_at_end(text: str) -> str:
    """The same at the end of a sentence."""
    return _quoted(text) + ("" if text.endswith((".", "!", "?")) else ".")


def _name(text: str) -> str:
    """A name by others: in quotes where it could be read as more than a name."""
    return text if re.fullmatch(r"[\w.:/@+#%?=&~-]+", text) else _quoted(text)
