"""The shapes of what verbs print with `--json`, where what they print is not a model already.

Law of this file: programs rely on each key. None is renamed or removed without a line in CHANGELOG.md.
"""

from typing import Literal

from pydantic import Field, RootModel

from mcpguard.authoring.findings import Severity, Standing
from mcpguard.core.document.printed import Printed
from mcpguard.gateway.ports import State


class CheckFinding(Printed):
    """One finding of `mcpguard check`."""

    level: Severity | Literal["ok"] = Field(
        validation_alias="severity", description="How severe it is; `ok` is a check that passed."
    )
    code: str = Field(description="Its code, which never changes its meaning; empty for `ok`.")
    where: str = Field(description="`FILE:LINE:COLUMN`, `FILE:LINE` or `FILE`.")
    file: str = Field(description="The file; below the current folder, as seen from there.")
    line: int = Field(description="The line, from 1; 0 for the whole file.")
    column: int = Field(description="The column, from 1; 0 for the whole line.")
    message: str = Field(description="What was found, in one sentence.")
    machine: bool = Field(
        description="Whether it is about this machine, and the same files may be right on another one: "
        "`--files-only` leaves such findings out."
    )


class CheckReport(Printed):
    """What `mcpguard check --json` prints."""

    ok: bool = Field(description="Whether the exit code is 0.")
    findings: tuple[CheckFinding, ...] = Field(description="What was found, and which checks passed.")


class DoctorFinding(Printed):
    """One finding of `mcpguard doctor`."""

    code: str = Field(description="Its code, which never changes its meaning.")
    severity: Severity = Field(description="How severe it is.")
    control: str = Field(description="The zero-trust control that it belongs to.")
    where: str = Field(description="`FILE:LINE:COLUMN`, `FILE:LINE` or `FILE`.")
    file: str = Field(description="The file.")
    line: int = Field(description="The line, from 1; 0 for the whole file.")
    message: str = Field(description="What was found, in one sentence.")
    what: str = Field(validation_alias="meaning", description="What the code means.")
    fix: str = Field(description="What to do about it.")
    is_command: bool = Field(description="Whether `fix` is a command that works as it is printed.")
    subject: str = Field(description="What it is about, as `--subject` takes it; empty for `file`.")
    standing: Standing = Field(
        description="`now`: to do now; `limit`: a known limit of the setup; `accepted`: by a person."
    )
    accepted: str = Field(description="Why it was accepted and until when; empty if it was not.")


class DoctorUnseen(Printed):
    """Something that `mcpguard doctor` could not check."""

    what: str = Field(description="What could not be checked.")
    why: str = Field(description="Why not, in one sentence.")


class DoctorReport(Printed):
    """What `mcpguard doctor --json` prints."""

    ok: bool = Field(
        description="Whether there is no finding to fix now of the severity of `--fail-on` or worse."
    )
    findings: tuple[DoctorFinding, ...] = Field(description="What was found, worst first.")
    unseen: tuple[DoctorUnseen, ...] = Field(
        validation_alias="unchecked", description="What could not be checked."
    )
    ignored: int = Field(description="How many findings `--ignore` left out.")


class ScanFinding(Printed):
    """One secret. Nothing here says anything of its value."""

    kind: str = Field(
        description="Its kind, as in `detectors`; `credential:NAME` for a value of the configuration."
    )
    level: Severity = Field(description="`note` for what only looks random, `warning` for personal data.")
    path: str = Field(description="The file, in a history within the repository; `<stdin>` for the input.")
    line: int = Field(description="The line, from 1; 0 in a binary file.")
    column: int = Field(description="The character in the line, from 1; in a binary file the byte, from 0.")
    end_line: int = Field(description="The line in which it ends.")
    end_column: int = Field(description="The character after its last one.")
    commit: str = Field(description="In a history, the first commit that has it; else empty.")
    fingerprint: str = Field(description="For an exception: of its kind and its line without it.")
    excepted: str = Field(description="The reason of the exception that covers it; empty if none does.")


class ScanUnread(Printed):
    """Something that was not read, or not to its end."""

    path: str = Field(description="The file.")
    why: str = Field(description="Why, in one sentence.")


class ScanReport(Printed):
    """What `mcpguard scan --format json` prints."""

    ok: bool = Field(description="Whether only notes and excepted findings were found.")
    findings: tuple[ScanFinding, ...] = Field(description="What was found, in the order of reading.")
    unread: tuple[ScanUnread, ...] = Field(description="What was not read, or not to its end.")
    sources: int = Field(description="How many files, or versions of files, were read.")
    bytes: int = Field(description="How many bytes were read, as UTF-8.")


class NeedShown(Printed):
    """Something that serving needs."""

    name: str = Field(description="`serving`, `evidence`, `policies`, `store`, `keychain` or `telemetry`.")
    ok: bool = Field(description="Whether it is there.")
    since: float = Field(description="Since when, in seconds since 1970.")
    problem: str = Field(description="What is wrong; empty if nothing is.")
    warning: str = Field(description="What may soon fail or is degraded; empty for nothing.")


class SinkShown(Printed):
    """Where evidence is exported to."""

    to: str = Field(description="As in `telemetry.sinks`.")
    format: str = Field(description="As in `telemetry.sinks`.")
    lag: int = Field(description="How many bytes of evidence it has not received.")
    since: float = Field(description="When it began to fail, in seconds since 1970; 0 where it works.")
    problem: str = Field(description="Why it fails; empty if it works.")
    refused: int = Field(description="How many events it rejected.")
    standby: bool = Field(description="Whether another process exports to it.")


class UpstreamStatus(Printed):
    """The state of an upstream."""

    name: str = Field(description="Its name in the configuration.")
    state: State = Field(description="What it is doing.")
    since: float = Field(description="When that began, in seconds since 1970.")
    era: str = Field(description="`legacy` or `modern`; empty before the first greeting.")
    version: str = Field(description="The revision of the protocol; empty before the first greeting.")
    restarts: int = Field(description="How often it was started after the first time.")
    open: int = Field(description="How many requests have no answer yet.")
    problem: str = Field(description="The last problem; empty if there was none.")


class LostAlertsShown(Printed):
    """Alerts to one target that cannot be sent."""

    to: str = Field(description="The target, as in `approvals.notify`.")
    since: float = Field(description="When the first was lost, in seconds since 1970.")
    lost: int = Field(description="How many were lost.")
    problem: str = Field(description="Why the first was lost.")


class NotInForceShown(Printed):
    """A changed file that is not in force."""

    what: Literal["configuration", "policies"] = Field(description="Which files.")
    state: Literal["refused", "restart"] = Field(
        description="`refused`: it is wrong, or cannot be read; `restart`: a restart would put it in force."
    )
    since: float = Field(description="Since when, in seconds since 1970.")
    problem: str = Field(description="Why.")


class ProcessStatus(Printed):
    """One running mcpguard."""

    pid: int = Field(description="The process.")
    started: float = Field(description="When it was started, in seconds since 1970.")
    birth: str = Field(description="What the system calls the start of the process; empty if unknown.")
    config: str = Field(description="The path of its configuration.")
    transport: str = Field(description="`stdio`, or the address that it listens on.")
    upstreams: tuple[UpstreamStatus, ...] = Field(description="Its tool servers.")
    alerts: tuple[LostAlertsShown, ...] = Field(description="Alerts about waiting calls that cannot be sent.")
    loaded: float = Field(description="When the configuration in force was read, in seconds since 1970.")
    not_in_force: NotInForceShown | None = Field(description="Which files are not in force; null if all are.")
    agent: str = Field(description="The label of the agent (`run --agent`); empty for none.")
    project: str = Field(description="The project whose servers it serves (`run --project`); empty for none.")
    observing: str = Field(
        description="The servers for which policies are recorded and not enforced, and until when; empty for "
        "none."
    )
    needs: tuple[NeedShown, ...] = Field(description="Each requirement for serving, and whether it is met.")
    sinks: tuple[SinkShown, ...] = Field(description="Where evidence is exported to.")
    unrecognised: str = Field(
        description="The credentials whose values are not removed from answers until a server needs "
        "them, and why; empty for none."
    )
    updated: float = Field(
        description="When it last said so, in seconds since 1970: some five seconds ago, unless it hangs or "
        "cannot write its status."
    )
    in_use: dict[str, int] = Field(
        description="How many connections, streams, sessions and requests of HTTP clients are open; empty "
        "over stdio."
    )
    waiting: int = Field(description="How many of its calls wait for a person.")
    held: dict[str, int] = Field(description="By server, how many of its tools and prompts are held back.")
    version: str = Field(description="The version of the running mcpguard; empty if it does not report one.")


class FailedServerShown(Printed):
    """A server that had failed when mcpguard last ran."""

    server: str = Field(description="Its name in the configuration.")
    since: float = Field(description="When it was lost, in seconds since 1970.")
    problem: str = Field(description="Why.")


class StatusReport(Printed):
    """What `mcpguard status --json` prints."""

    running: tuple[ProcessStatus, ...] = Field(description="What is running, oldest first.")
    last_failed: tuple[FailedServerShown, ...] = Field(
        description="If nothing runs, the servers that had failed when it last ran, by the newest evidence."
    )


class LabelCauseShown(Printed):
    """Why a session has a label."""

    call: str = Field(description="The id of the call that set it, as in the evidence.")
    at: float = Field(description="When that was made, in seconds since 1970.")
    what: str = Field(description="What it was for: `SERVER/NAME`, or the method.")
    rules: tuple[str, ...] = Field(description="The rules that set it.")


class SessionContent(Printed):
    """What a session has done so far."""

    calls: int = Field(description="How many calls were made.")
    tools: dict[str, int] = Field(description="How many of them by `SERVER/TOOL`.")
    labels: tuple[str, ...] = Field(description="Its labels.")
    facts: tuple[str, ...] = Field(description="Its facts.")
    spent: dict[str, tuple[tuple[int, int], ...]] = Field(
        description="By limit, what it has used up: `[part of the window, amount]`."
    )
    causes: dict[str, LabelCauseShown] = Field(description="By label, what set it, if that is known.")
    approvals: tuple[str, ...] = Field(description="The tickets that were approved for the session.")


class SessionShown(Printed):
    """A session, as `mcpguard session show --json` prints it."""

    name: str = Field(description="What it is called.")
    principal: str = Field(description="`SOURCE:ID` of its principal.")
    agent: str | None = Field(description="The agent's label in the configuration, if it has one.")
    used: float = Field(description="When it was used last, in seconds since 1970.")
    open: bool = Field(description="Whether a connection still uses it.")
    state: SessionContent | None = Field(description="What it has done; null if that cannot be read.")


class SessionList(Printed):
    """What `mcpguard session list --json` prints."""

    sessions: tuple[SessionShown, ...] = Field(
        description="Those that have not ended, the most recently used first."
    )


class PinShown(Printed):
    """A definition of a tool or a prompt."""

    server: str = Field(description="The upstream.")
    kind: str = Field(description="`tool`, `prompt`, or `server` for its instructions.")
    name: str = Field(description="Its name, as the server lists it.")
    digest: str = Field(description="The sha256 of the definition, as the server sent it.")
    accepted: bool = Field(description="False while it is held back.")
    since: float = Field(description="When it was first seen, or accepted, in seconds since 1970.")
    by: str = Field(description="Who accepted it (`SOURCE:ID`); empty where it was the first.")
    text: str = Field(description="The definition, inspected, as JSON text; cut at 64 KB.")


class PinList(Printed):
    """What `mcpguard pins --json` prints."""

    pins: tuple[PinShown, ...] = Field(
        description="By server and name, the latest of each name last; without `--all` those that are held."
    )


class WaitingTicket(Printed):
    """A call about which a person is asked."""

    id: str = Field(description="The number of its ticket.")
    created: float = Field(description="When it was made first, in seconds since 1970.")
    expires: float = Field(description="Until when it can be answered, in seconds since 1970.")
    waits_since: float | None = Field(
        description="Since when a call waits for the answer, in seconds since 1970; null where none does: an "
        "approval then counts for the same call made again."
    )
    principal: str = Field(description="`SOURCE:ID` of the caller.")
    agent: str | None = Field(description="The agent's label in the configuration, if it has one.")
    actor: str = Field(description="Who acts for the principal, where a token says so; else empty.")
    config: str = Field(
        description="The file of the configuration under which it was asked, and can be answered; empty for "
        "none."
    )
    server: str = Field(description="The upstream.")
    method: str = Field(description="The method, such as `tools/call`.")
    target: str = Field(description="The tool, prompt or resource.")
    args: str = Field(description="sha256 (hex) of the arguments as compact JSON.")
    rules: tuple[str, ...] = Field(description="The rules that ask.")
    message: str = Field(description="Their author's message.")
    shown: str = Field(description="The inspected arguments as JSON, at most 65,536 characters of them.")
    void: bool = Field(
        description="Whether an approval would have no effect, since the policies or the server's entry "
        "changed."
    )


class AnsweredCall(Printed):
    """A call about which a person was asked, and answered."""

    ticket: str = Field(description="The number of its ticket.")
    principal: str = Field(description="`SOURCE:ID` of the caller.")
    agent: str | None = Field(description="The agent's label in the configuration, if it has one.")
    actor: str = Field(description="Who acted for the principal, where a token said so; else empty.")
    config: str = Field(
        description="The file of the configuration under which it was asked, and can be answered; empty for "
        "none."
    )
    server: str = Field(description="The upstream.")
    method: str = Field(description="The method, such as `tools/call`.")
    target: str = Field(description="The tool, prompt or resource.")
    rules: tuple[str, ...] = Field(description="The rules that ask.")
    by: str = Field(description="`SOURCE:ID` of the person who answered.")
    via: str = Field(description="The channel: `terminal`, `console` or `client`.")
    ends: float = Field(description="When the answer ends at the latest, in seconds since 1970.")
    void: bool = Field(description="Whether it is void, since the policies or the server's entry changed.")
    shown: str = Field(description="The inspected arguments of the call, as JSON.")


class ApprovalInForce(AnsweredCall):
    """An approval that calls can use."""

    lasts: str = Field(description="`once`, `session` or `time`.")
    free: tuple[str, ...] = Field(description="The arguments that may have any value.")
    uses: int = Field(description="How many calls used it.")


class RefusalInForce(AnsweredCall):
    """A call that a person refused: until it ends nobody is asked about the same call."""

    reason: str = Field(description="Why, in that person's words; empty if they gave none.")


class TicketUnread(Printed):
    """A ticket that is damaged or of another version."""

    id: str = Field(description="The number of its ticket: `mcpguard approvals end` removes it.")
    principal: str = Field(description="`SOURCE:ID` of the caller.")
    state: str = Field(description="What it was: `waiting`, `approved` or `denied`.")


class WaitingTickets(Printed):
    """What `mcpguard approvals --json` prints."""

    waiting: tuple[WaitingTicket, ...] = Field(description="The calls without an answer, the oldest first.")
    in_force: tuple[ApprovalInForce, ...] = Field(description="The approvals that can be used.")
    refused: tuple[RefusalInForce, ...] = Field(description="The calls that a person refused for now.")
    unreadable: tuple[TicketUnread, ...] = Field(
        description="The tickets that cannot be read: the same calls are refused until a person removes them."
    )


class ChainFlaw(Printed):
    """Something that no writer of evidence does."""

    line: int = Field(description="The line, from 1.")
    what: str = Field(description="The rest of a sentence that begins with the line.")


class VerifiedChain(Printed):
    """What was found in one chain of evidence."""

    file: str = Field(description="The name of its file.")
    intact: bool = Field(description="Whether it has no flaw.")
    records: int = Field(description="How many complete lines it has.")
    head: str = Field(description="The hash that the last of them states.")
    closed: bool = Field(description="Whether it was closed properly; if not, a missing end goes unnoticed.")
    torn: bool = Field(description="Whether it ends in an incomplete record (a crash).")
    unfinished: tuple[str, ...] = Field(description="The ids of allowed calls without an outcome, in order.")
    flaws: tuple[ChainFlaw, ...] = Field(description="Its first flaws, at most 100.")
    continues: str = Field(description='The chain of the same process before it, "" for none.')
    signed: int = Field(
        description="Up to which line a signature, or a head kept elsewhere, vouches for it; 0 if there is "
        "none."
    )
    held_by: str = Field(
        description="The chain that holds its head where it is not signed: it existed then, and nothing says "
        'who wrote it. "" otherwise, and without `--public-key`.'
    )
    doubts: tuple[str, ...] = Field(
        description="What another chain says too although only one can say it: one of the two was planted."
    )
    newer: str = Field(
        description="Which newer mcpguard wrote it, so that this one cannot judge it; empty for none."
    )
    gaps: tuple[str, ...] = Field(
        description="When nothing could be written, how many requests were refused, and why; at most 100."
    )


class RemovedChains(Printed):
    """What the evidence says was removed since it need not be kept."""

    until: str = Field(description="The name of the last one that was; none before it is kept either.")
    count: int = Field(description="How many, as the records say that are still there.")


class AuditReport(Printed):
    """What `mcpguard audit verify --json` prints."""

    intact: bool = Field(
        description="Whether the exit code is 0: no chain has a flaw, is doubtful, missing or newer."
    )
    chains: tuple[VerifiedChain, ...] = Field(description="The chains, by the names of their files.")
    missing: tuple[str, ...] = Field(
        description="Files whose heads another chain holds or `--expect` names, and that are not there."
    )
    removed: RemovedChains | None = Field(description="What was removed on purpose; null for nothing.")
    key: str = Field(description="The ids of the keys of `--public-key`, with a space between them.")


class AuditHead(Printed):
    """The head of one chain."""

    file: str = Field(description="The name of its file.")
    head: str = Field(description="The hash of its last complete record, not verified.")


class AuditHeads(RootModel[tuple[AuditHead, ...]]):
    """What `mcpguard audit heads --json` prints."""


class AuditKey(Printed):
    """What `mcpguard audit key --json` prints."""

    reference: str = Field(description="Where the private key is: `SOURCE:NAME`.")
    id: str = Field(description="The id of the key, as records have it.")
    public: str = Field(description="The public key.")


class SecretNames(RootModel[tuple[str, ...]]):
    """What `mcpguard secret list --json` prints: the names of the stored values."""
