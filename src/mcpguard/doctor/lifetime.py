"""How long credentials and policies last: static keys, what has ended and what ends soon, what is observed.

Law of this file: a value is asked for its end and for nothing else.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote

from mcpguard.authoring.findings import Finding, Unchecked
from mcpguard.config.loading import Config, Server
from mcpguard.config.policies import present, read_document
from mcpguard.config.references import ENTRY
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import CredentialError, PolicyError
from mcpguard.core.policy.observation import Observation
from mcpguard.core.policy.terms import end_of
from mcpguard.core.policy.written import Policy
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.core.token_end import ends_at
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.short_lived import source_for
from mcpguard.doctor.surroundings import Subject

SOON = timedelta(days=7)
"""What ends within that ends soon."""

_GUIDES = {
    "command": "mcpguard help hold-a-credential",
    "oauth": "mcpguard help oauth",
}
_GUIDE = "mcpguard help short-lived-credentials"


def check(subject: Subject) -> Iterator[Checked]:
    """D210, D211, D301 to D304, D307 and D308."""
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
    yield from _policies(subject, config)


def _observation(subject: Subject, observation: Observation) -> Finding:
    line = subject.line("observe")
    if observation.at(subject.at.now) == "on":
        said = f"observing {observation.said}: policies are recorded and not enforced"
        return found("D210", subject.path, said, line)
    return found("D211", subject.path, f"observing until {observation.until}", line)


def _all_refs(config: Config, server: Server) -> dict[CredentialRef, None]:
    """What a server may be given: what it names, and what a rule may choose for it."""
    chosen = [one for one in config.credentials.values() if server.name in one.servers]
    refs = [*server.credentials, *(CredentialRef(ENTRY, one.name) for one in chosen)]
    return dict.fromkeys([*refs, *(ref for one in chosen for ref in sorted(one.beside))])


def _static(subject: Subject, config: Config, server: Server) -> Iterator[Finding]:
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


def _held(subject: Subject, ref: CredentialRef, place: tuple[str, str]) -> Iterator[Finding]:
    from mcpguard.adapters.credentials import SOURCES

    line = subject.line(*place)
    try:
        secret: Secret = SOURCES[ref.source].source().get(ref)
        subject.redactor.hold(str(ref), secret)
    except CredentialError as error:
        # A client may set variables that the shell of who runs the doctor does not have.
        if ref.source != "env":
            run = _storing(ref) if _is_missing(ref) else ""
            yield found("D304", subject.path, f"{'.'.join(place)}: {error}", line, run=run, subject=place[1])
        return
    if (end := ends_at(secret)) is not None:
        yield from _ending(subject, f"{'.'.join(place)}: {ref}", end, line, _storing(ref), place[1])


def _storing(ref: CredentialRef) -> str:
    """The command that stores another value, "" where mcpguard does not store it."""
    return f"mcpguard secret set {quote(ref.name)}" if ref.source == "keyring" else ""


def _is_missing(ref: CredentialRef) -> bool:
    """Whether the keychain can be asked, and has none."""
    from mcpguard.adapters.credentials.keychain import Keychain

    try:
        return ref.source == "keyring" and Keychain().find(ref.name) is None
    except CredentialError:
        return False


def _ending(subject: Subject, what: str, end: float, line: int, run: str, about: str) -> Iterator[Finding]:
    try:
        when = datetime.fromtimestamp(end, UTC)
    except (OverflowError, ValueError, OSError):
        return
    said = f"{when:%Y-%m-%d %H:%M} UTC"
    if when <= subject.at.now:
        yield found("D302", subject.path, f"{what} expired at {said}", line, run=run, subject=about)
    elif when <= subject.at.now + SOON:
        yield found("D303", subject.path, f"{what} expires at {said}", line, run=run, subject=about)


def _logins(subject: Subject, config: Config, served: list[Server]) -> Iterator[Finding]:
    from mcpguard.adapters.credentials.oauth.grants import Grants

    names = {server.name for server in served}
    for name, entry in config.credentials.items():
        if entry.kind != "oauth" or entry.servers.isdisjoint(names):
            continue
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


def _policies(subject: Subject, config: Config) -> Iterator[Checked]:
    for path in [file.path for file in present(config.policies)]:
        try:
            document = Document(read_document(path, PolicyError), str(path), PolicyError)
            policy = document.read(Policy)
        except PolicyError as error:
            # `mcpguard check` says all of it, with its places.
            yield Unchecked(str(path), f"invalid: {error.problems[0].message}")
            continue
        end = end_of(policy.expires)
        if end is not None and end <= subject.at.now + SOON:
            code = "D307" if end <= subject.at.now else "D308"
            line = document.problem(("expires",), "").line
            yield found(code, path, f"{policy.policy} expires on {policy.expires}", line)
