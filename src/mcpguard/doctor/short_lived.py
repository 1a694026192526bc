"""Where a short-lived credential is available instead of a static key: the literal table of what is known.

To add one: an entry in `SHORT_LIVED`. Hosts are those of MCP servers that are known to log in with OAuth: a
wrong one costs a note that does not apply.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from mcpguard.config.loading import Server
from mcpguard.config.urls import host_of


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
