"""Every error that mcpguard raises on purpose. A Deny is a value, not one of these.

    McpGuardError
    ├── DocumentError      a file that a person wrote; carries file:line:column; fatal before serving
    │   ├── ConfigError
    │   └── PolicyError
    ├── CredentialError    a reference that cannot be resolved; its upstream is unavailable
    │   ├── WithdrawnError what was given before must not be used any more
    │   └── SourceError    its source cannot be asked at all, such as a keychain that is locked
    ├── UpstreamError      an upstream that is gone, broken or late; one clear error to the caller
    ├── SessionError       what a session did before cannot be read or kept; what depends on it is refused
    ├── AuditError         evidence that cannot be written; everything is refused
    │   └── ExportError    a sink that must have it takes nothing, so everything is refused
    ├── TelemetryError     a sink of telemetry that takes nothing now; what it did not take is sent again
    ├── InspectionError    something that cannot be inspected; the whole value is withheld
    ├── MessageError       a JSON-RPC message that is refused before a decision
    ├── BearerError        a token that is not good enough (`adapters/transports/http/bearer.py`)
    └── HttpRefusal, ClientGone  an HTTP exchange that is refused, or ended by its client (`transports/http`)

No message of these ever holds a secret, an argument or CEL source (law 2).
"""

from collections.abc import Iterable


class McpGuardError(Exception):
    """The one root: `except McpGuardError` is all that a command needs."""


def did_you_mean(name: str, names: Iterable[str], near: float = 0.6) -> str:
    """A question with the one of `names` that is nearest to `name`, "" where none is `near`: 0 to 1, which is
    for the same text."""
    # Imported where a mistake is reported: a start without mistakes does not pay for it.
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), n=1, cutoff=near)
    return f"did you mean `{found[0]}`?" if found else ""


class Problem:
    """One thing that is wrong in a document, and where.

    `line` and `column` count from 1; 0 means "the whole file". `excerpt` is the source line.
    `other` is another file, a change of which may mend it, "" for none.
    """

    __slots__ = ("column", "excerpt", "line", "message", "other", "source")

    def __init__(self, source: str, line: int, column: int, message: str, excerpt: str = "") -> None:
        self.source = source
        self.line = line
        self.column = column
        self.message = message
        self.excerpt = excerpt
        self.other = ""

    def __str__(self) -> str:
        if not self.line:
            return f"{self.source}: {self.message}"
        head = f"{self.source}:{self.line}:{self.column}: {self.message}"
        if not self.excerpt:
            return head
        return f"{head}\n  {self.excerpt}\n  {' ' * (self.column - 1)}^"


class DocumentError(McpGuardError):
    """A configuration or policy file that cannot be used; `problems` has at least one entry."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type["DocumentError"], tuple[list[Problem]]]:
        return type(self), (self.problems,)


class ConfigError(DocumentError):
    """`mcpguard.yaml` is missing, unreadable or wrong."""


class PolicyError(DocumentError):
    """A policy file is missing, unreadable or wrong."""


class CredentialError(McpGuardError):
    """A credential reference cannot be resolved. Names the reference, never the value."""


class MissingError(CredentialError):
    """A source has nothing under a name: `said` is the sentence about it, and the message adds a `remedy`,
    which differs if the value has a form of its own."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(f"{said}: {remedy}")
        self.said = said


class WithdrawnError(CredentialError):
    """A credential was taken back: what was given before must not be used any more, however long it lasts."""


class SourceError(CredentialError):
    """The source of credentials cannot be asked at all: it is locked, absent or failing."""


class UpstreamError(McpGuardError):
    """An upstream cannot answer: it did not start, ended, broke the protocol or was too late."""


class SessionError(McpGuardError):
    """The state of a session cannot be read or kept. The sentence is for the operator."""


class AuditError(McpGuardError):
    """A record could not be made durable."""


class ExportError(AuditError):
    """Nothing is served while a sink takes nothing. The sentence is for clients: it names the sink alone."""


class TelemetryError(McpGuardError):
    """A sink did not accept an export. `final`: it will never accept it as it is; `slow`: it might accept a
    smaller part; `after`: how many seconds it asked to be left alone."""

    def __init__(self, message: str, *, final: bool = False, slow: bool = False, after: float = 0.0) -> None:
        super().__init__(message)
        self.final = final
        self.slow = slow
        self.after = after


class InspectionError(McpGuardError):
    """A value could not be inspected to its end, so none of it may leave."""


class MessageError(McpGuardError):
    """A JSON-RPC message that is refused.

    `code` is the JSON-RPC 2.0 error code (section 5.1); `request_id` is the id to answer, or None
    where it could not be read; `data` is the error's `data`, None for none.
    """

    def __init__(
        self,
        code: int,
        message: str,
        request_id: int | str | None = None,
        data: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id
        self.data = data
