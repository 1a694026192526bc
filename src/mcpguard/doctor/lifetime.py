"""How long credentials and policies last: static keys, what has ended and what ends soon, what is observed.

Law of this file: a value is asked for its end and for nothing else.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from shlex import quote

from msgspec import Struct

from mcpguard.adapters.system.shipped import version_of
from mcpguard.authoring.findings import Finding, Unchecked
from mcpguard.config.loading import Config, Server
from mcpguard.config.policies import present, read_document
from mcpguard.config.references import ENTRY
from mcpguard.config.urls import host_of
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import CredentialError, MissingError, PolicyError
from mcpguard.core.legible import utc
from mcpguard.core.policy.terms import Observation, end_of
from mcpguard.core.policy.written import Policy
from mcpguard.core.secret import CredentialRef, ends_at
from mcpguard.doctor.clients import variables_given
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.surroundings import CheckSubject

SOON = timedelta(days=7)
"""What ends within that ends soon."""

_GUIDES = {"command": "mcpguard help hold-a-credential", "oauth": "mcpguard help oauth"}
_GUIDE = "mcpguard help short-lived-credentials"


def check(subject: CheckSubject) -> Iterator[Checked]:
    """D210, D211, D301 to D304 and D307 to D310."""
    config = subject.config
    if config is None:
        return
    if config.observe is not None:
        yield _observation(subject, config.observe)
    served = [*config.served.values()]
    for server in served:
        yield from _static(subject, config, server)
    for ref, place in _plain(config, served).items():
        yield from _held(subject, ref, place)
    yield from _logins(subject, config, served)
    for path in [file.path for file in present(config.policies)]:
        try:
            document = Document(read_document(path, PolicyError), str(path), PolicyError)
            policy = document.read(Policy)
        except PolicyError as error:
            # `mcpguard check` says all of it, with its places.
            yield Unchecked(str(path), f"invalid: {error.problems[0].message}")
            continue
        version = version_of(document.text)
        if version is not None and not version.is_newest:
            said = f"a copy of the pack {version.name} of an earlier version of mcpguard"
            yield found("D309", path, said, run=f"mcpguard import --policies{subject.option}")
        end = end_of(policy.expires)
        if end is not None and end <= subject.at.now + SOON:
            code = "D307" if end <= subject.at.now else "D308"
            line = document.problem(("expires",), "").line
            yield found(code, path, f"{policy.policy} expires on {policy.expires}", line)


def _observation(subject: CheckSubject, observation: Observation) -> Finding:
    line = subject.line("observe")
    state = observation.at(subject.at.now)
    return found("D210" if state == "on" else "D211", subject.path, observation.reported(state), line)


def _all_refs(config: Config, server: Server) -> dict[CredentialRef, None]:
    """What a server may be given: what it names, and what a rule may choose for it."""
    chosen = [one for one in config.credentials.values() if server.name in one.servers]
    refs = [*server.credentials, *(CredentialRef(ENTRY, one.name) for one in chosen)]
    return dict.fromkeys([*refs, *(ref for one in chosen for ref in sorted(one.surrounding))])


def _static(subject: CheckSubject, config: Config, server: Server) -> Iterator[Finding]:
    better = source_for(server, subject.at.environ)
    if better is None:
        return
    refs = [ref for ref in _all_refs(config, server) if is_static(config, ref)]
    if refs:
        line = subject.line("servers", server.name)
        said = f"{server.name} uses {', '.join(map(str, refs))}, and `{better.kind}` gives {better.gives}"
        guide = _GUIDES.get(better.kind, _GUIDE)
        fix = f"an entry `{better.kind}` in `credentials` (`{guide}`)"
        yield found("D301", subject.path, said, line, fix, subject=server.name)


def is_static(config: Config, ref: CredentialRef) -> bool:
    """Whether what `ref` gives stays the same until a person changes it."""
    return ref.source != ENTRY or config.credentials[ref.name].kind == "value"


def _plain(config: Config, served: list[Server]) -> dict[CredentialRef, tuple[str, str]]:
    """Every reference that can be read without asking a service, with where it stands."""
    plain: dict[CredentialRef, tuple[str, str]] = {}
    for server in served:
        for ref in _all_refs(config, server):
            if ref.source != ENTRY:
                plain.setdefault(ref, ("servers", server.name))
            else:
                for inner in sorted(config.credentials[ref.name].sources):
                    plain.setdefault(inner, ("credentials", ref.name))
    return plain


def _held(subject: CheckSubject, ref: CredentialRef, place: tuple[str, str]) -> Iterator[Finding]:
    from mcpguard.adapters.credentials import value_of

    line = subject.line(*place)
    try:
        secret = value_of(ref)
        subject.redactor.hold(str(ref), secret)
    except CredentialError as error:
        said = f"{'.'.join(place)}: {error}"
        if ref.source != "env":
            run = _storing(ref) if _is_missing(ref) else ""
            yield found("D304", subject.path, said, line, run=run, subject=place[1])
        elif not isinstance(error, MissingError):
            yield found("D304", subject.path, said, line, subject=place[1])
        elif ref.name not in variables_given(subject.at):
            said = f"{'.'.join(place)}: {error.said} in this shell, nor by a client that starts mcpguard"
            yield found("D310", subject.path, said, line, subject=place[1])
        return
    if (end := ends_at(secret)) is not None:
        yield from _ending(subject, f"{'.'.join(place)}: {ref}", end, line, _storing(ref), place[1])


def _storing(ref: CredentialRef) -> str:
    """The command that stores another value, "" where mcpguard does not store it."""
    stored = {"keyring": ref.name, "file": str(ref)}.get(ref.source, "")
    return f"mcpguard secret set {quote(stored)}" if stored else ""


def _is_missing(ref: CredentialRef) -> bool:
    """Whether the keychain can be asked, and has none."""
    from mcpguard.adapters.credentials.keychain import Keychain

    try:
        return ref.source == "keyring" and Keychain().find(ref.name) is None
    except CredentialError:
        return False


def _ending(
    subject: CheckSubject, what: str, end: float, line: int, run: str, about: str
) -> Iterator[Finding]:
    try:
        when = datetime.fromtimestamp(end, UTC)
    except (OverflowError, ValueError, OSError):
        return
    said = utc(when)
    if when <= subject.at.now:
        yield found("D302", subject.path, f"{what} expired at {said}", line, run=run, subject=about)
    elif when <= subject.at.now + SOON:
        yield found("D303", subject.path, f"{what} expires at {said}", line, run=run, subject=about)


def _logins(subject: CheckSubject, config: Config, served: list[Server]) -> Iterator[Finding]:
    names = {server.name for server in served}
    for name, entry in config.credentials.items():
        if entry.kind != "oauth" or entry.servers.isdisjoint(names):
            continue
        from mcpguard.adapters.credentials.oauth.grants import Grants  # It brings an HTTP client along.

        line, run = subject.line("credentials", name), f"mcpguard secret login {name}{subject.option}"
        try:
            grant = Grants().read(name)
        except CredentialError as error:
            yield found("D304", subject.path, f"credentials.{name}: {error}", line, subject=name)
            continue
        if grant is None:
            said = f"credentials.{name}: nobody has logged in yet"
            yield found("D304", subject.path, said, line, run=run, subject=name)
        elif grant.refresh is None and grant.ends_at is not None:
            yield from _ending(subject, f"credentials.{name}: the login", grant.ends_at, line, run, name)


class ShortLived(Struct, frozen=True):
    """A kind of `credentials`, what it gives, and the servers that it is for: by a text in their command or
    arguments, by a variable, or by the host of their URL, where `*.` stands for one label or more."""

    kind: str
    gives: str
    words: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


SHORT_LIVED: tuple[ShortLived, ...] = (
    ShortLived(
        "github_app",
        "a one-hour token for named repositories and permissions",
        words=("server-github", "github-mcp-server"),
        variables=("GITHUB_PERSONAL_ACCESS_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
        hosts=("api.githubcopilot.com",),
    ),
    ShortLived(
        "postgres",
        "a role created for the session, with its own grants and expiry",
        words=("server-postgres", "mcp-postgres", "postgres-mcp", "postgresql"),
        variables=("PGPASSWORD", "DATABASE_URI", "POSTGRES_URL", "POSTGRES_PASSWORD",
        "POSTGRES_CONNECTION_STRING"), ),
    ShortLived(
        "oauth",
        "an access token that is renewed automatically, after one login in a browser",
        hosts=(
            "mcp.linear.app", "mcp.notion.com", "mcp.sentry.dev", "mcp.atlassian.com", "mcp.stripe.com",
            "mcp.asana.com", "*.mcp.cloudflare.com", "mcp.figma.com", "mcp.vercel.com", "mcp.supabase.com",
            "mcp.paypal.com", "mcp.squareup.com", "mcp.intercom.com", "mcp.canva.com", "mcp.webflow.com",
            "mcp.neon.tech", "huggingface.co",
        ),
    ),
    ShortLived(
        "command",
        "what the vendor's own program, such as `aws`, `az` or `gcloud`, prints after a login",
        variables=("AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"),
    ),
)  # fmt: skip
"""The first that fits is reported."""

_VAULT = ShortLived(
    "vault", "a credential that Vault or OpenBao issues for the session", variables=("VAULT_ADDR", "BAO_ADDR")
)


def source_for(server: Server, environ: Mapping[str, str]) -> ShortLived | None:
    """What could give `server` a short-lived credential; None where nothing is known. Vault is taken to be at
    hand where `environ` names it."""
    known = next((one for one in SHORT_LIVED if any(_fits(one, server))), None)
    if known is None and any(environ.get(name) for name in _VAULT.variables):
        return _VAULT
    return known


def _fits(one: ShortLived, server: Server) -> Iterator[bool]:
    if server.url is None:
        yield any(word in text for word in one.words for text in (server.command, *server.args))
        yield not server.env.keys().isdisjoint(one.variables)
    else:
        host = host_of("".join(server.url.texts))
        yield any(host == name or (name[:2] == "*." and host.endswith(name[1:])) for name in one.hosts)
