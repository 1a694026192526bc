"""The shapes of what `mcpguard audit` prints of calls with `--json`.

Law of this file: programs rely on each key. None is renamed or removed without a line in CHANGELOG.md.
"""

from typing import Any

from pydantic import Field

from mcpguard.authoring.asking.figures import AuditFigures
from mcpguard.core.document.printed import Printed


class StoryParagraph(Printed):
    """Sentences about one topic."""

    topic: str = Field(
        description="who, what, why, session, credentials, approval, time, result or evidence."
    )
    text: str = Field(description="The sentences, in plain words.")


class StoryLine(Printed):
    """A record and where it stands."""

    file: str = Field(description="The name of the chain's file.")
    line: int = Field(description="The line, from 1.")
    record: dict[str, Any] = Field(description="The record, without what links it in its chain.")


class CallStory(Printed):
    """What `mcpguard audit show ID --json` prints."""

    summary: str = Field(description="Its outcome, and when it was recorded.")
    story: tuple[StoryParagraph, ...] = Field(description="The story.")
    asked: StoryLine | None = Field(description="The decision that a person had to be asked.")
    decision: StoryLine = Field(description="The last decision about it.")
    outcome: StoryLine | None = Field(description="Its outcome, if that is on record.")
    intact: dict[str, bool] = Field(description="The chains that contain it -> whether they are unaltered.")


class CalledTool(Printed):
    """The tool of a recorded call."""

    name: str = Field(description='As its server calls it, "" for none.')
    digest: str = Field(description="sha256 (hex) of its definition.")


class CallPrincipal(Printed):
    """Who asked for a recorded call."""

    id: str = Field(description="As in policies.")
    source: str = Field(description="As in policies.")
    name: str = Field(description="`SOURCE:ID`, as records have it.")
    human: str = Field(description="The person for whom an agent acts, as far as a token says so.")
    actor: str = Field(description="The agent that acts for `human`, by the same token.")


class ClientClaims(Printed):
    """What a client says about itself."""

    name: str = Field(description="Its name.")
    version: str = Field(description="Its version.")


class CallClient(Printed):
    """The client of a recorded call: claims."""

    agent: str = Field(description="What the launcher's configuration calls the agent.")
    claims: ClientClaims = Field(description="The client's claims about itself.")


class CallSession(Printed):
    """The session of a recorded call, before it."""

    name: str = Field(description="`mcpguard session show NAME`.")
    labels: tuple[str, ...] = Field(description="Labels that it had, if a rule could read them.")
    facts: tuple[str, ...] = Field(description="Facts that it had, likewise.")


class ObservedCall(Printed):
    """What policies that are only observed would have refused a recorded call with."""

    cause: str = Field(description='As `cause`; "" if they would not have refused it.')
    rules: tuple[str, ...] = Field(description="The rules that would have refused it or withheld its result.")


class QueriedCall(Printed):
    """A call on record, with the names that conditions of queries use."""

    id: str = Field(description="Of the invocation.")
    at: str = Field(description="When it was decided, RFC 3339.")
    action: str = Field(description="As `method`.")
    method: str = Field(description="The MCP method.")
    server: str = Field(description="The upstream.")
    tool: CalledTool = Field(description="The tool.")
    subject: str = Field(description="Its subject if that is not a tool.")
    args: dict[str, Any] = Field(description="The arguments as they are on record; {} if they are not.")
    principal: CallPrincipal = Field(description="Who asked.")
    client: CallClient = Field(description="The client: claims.")
    session: CallSession = Field(description="The session before it.")
    effect: str = Field(description="`allow`, `deny`, or `ask` while a person has not answered.")
    cause: str = Field(description="Why it was refused.")
    rules: tuple[str, ...] = Field(description="The rules that decided.")
    status: str = Field(description='The status of its outcome; "" without one.')
    findings: tuple[str, ...] = Field(description="The kinds of what was removed from the result.")
    observed: ObservedCall = Field(description="What was only observed: the call was let through.")
    shadow: str = Field(description="What rules in shadow mode would have decided otherwise.")
    ms: float | None = Field(description="Milliseconds from the decision to the outcome; null without one.")
    credentials: tuple[str, ...] = Field(description="Names of credentials of the server.")
    approval: str = Field(description="The ticket, and who approved.")
    ticket: str = Field(description="The ticket by which a person was asked.")
    message: str = Field(description="The message to the client.")
    error: str = Field(description="What went wrong.")
    policy: str = Field(description="sha256 (hex) of the policies in force.")
    trace: str = Field(description="The W3C `traceparent`.")
    token: str = Field(description="Its verified token: the `jti`, or the beginning of the sha256.")
    sent: int = Field(description="Bytes to the server.")
    received: int = Field(description="Bytes of its answer.")
    file: str = Field(description="The chain that has the decision.")
    line: int = Field(description="Its line there.")


class QueriedCalls(Printed):
    """What `mcpguard audit query --json` prints."""

    calls: tuple[QueriedCall, ...] = Field(description="The last calls that match, the oldest first.")
    folded: int = Field(
        description="How many more refusals were only counted (`refusals-folded`), whatever the condition is."
    )


class AuditStatistics(Printed):
    """What `mcpguard audit stats --json` prints."""

    by: str = Field(description="As `--by`.")
    rows: tuple[AuditFigures, ...] = Field(description="The figures, most calls first.")
    folded: int = Field(description="How many more refusals were only counted (`refusals-folded`).")
