"""A server as a client has it, and the secrets among its values."""

from msgspec import Struct

from mcpguard.onboarding.discovery.ourselves import claims_mcpguard, starts_mcpguard
from mcpguard.onboarding.formats.tree import Step

Place = tuple[Step, ...]


class Plaintext(Struct, frozen=True, order=True):
    """A secret in the clear: `text[start:end]` of the value at `place` in the entry, such as
    ("env", "TOKEN") or ("args", 2). `why` says how it was known: "name", "url", "again" for one that stands
    elsewhere in the entry too, "you" for what a person said, or a token format."""

    place: Place
    start: int
    end: int
    why: str


class Entry(Struct, frozen=True, kw_only=True):
    """One server of a client. `where` is the way to it in the document, `line` counts from 1.

    `problem` says why it cannot be guarded as it stands, "" for nothing; `guarded`: it starts mcpguard.
    `hidden` are tools that the client does not show, `only` the ones that it shows (None: no such list);
    `filters` are keys of that kind that have another form, `unread` others that nobody reads.
    `env_file` is a file with more variables. Values may be secrets: `secrets` says which.
    """

    name: str
    where: tuple[Step, ...]
    line: int
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str = ""
    headers: dict[str, str] = {}
    type: str = ""
    cwd: str = ""
    env_file: str = ""
    disabled: bool = False
    filters: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    unread: tuple[str, ...] = ()
    problem: str = ""
    secrets: tuple[Plaintext, ...] = ()

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"

    @property
    def texts(self) -> dict[Place, str]:
        """Every text in which a secret can stand."""
        texts: dict[Place, str] = {("args", index): word for index, word in enumerate(self.args)}
        texts |= {("env", name): value for name, value in self.env.items()}
        texts |= {("headers", name): value for name, value in self.headers.items()}
        return texts | {("url",): self.url, ("command",): self.command}

    @property
    def guarded(self) -> bool:
        """Whether it starts mcpguard, as far as its program is an installed one. Reads files."""
        return starts_mcpguard(self.command, self.args, self.env)

    @property
    def claims(self) -> bool:
        """Whether it looks as if it started mcpguard, whatever it starts."""
        return claims_mcpguard(self.command, self.args)
