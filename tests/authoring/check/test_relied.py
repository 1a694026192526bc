"""Every path that a configuration makes mcpguard or a server run or believe is known."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from mcpguard.authoring.check.relied import installation, relied_on
from mcpguard.config.file import ConfigFile
from mcpguard.config.loading import load_config

FILE = "${file:HERE}"
GITHUB = "a: {servers: [git], github_app: {app_id: 1, account: acme, repositories: [x], permissions: {contents: read}"
VAULT = "a: {servers: [git], vault: {address: 'https://v.example', path: a/b, field: c"
OAUTH = "a: {servers: [far], oauth: {issuer: 'https://l.example', client_id: c"
SERVICE = "token_url: 'https://l.example/t', client_id: c, client_auth: client_secret_post"

PATHS = {
    "ServerEntry.command": "git: {command: HERE}",
    "ServerEntry.args": "git: {command: python3, args: [-u, HERE]}",
    "ServerEntry.env": "git: {command: git-server, env: {PYTHONPATH: 'src:HERE'}}",
    "ServerEntry.cwd": "git: {command: npx, args: [x], cwd: HERE}",
    "ServerEntry.headers": f"far: {{url: 'https://x.example/mcp', headers: {{A: '{FILE}'}}}}",
    "CredentialEntry.value": f"credentials: a: {{servers: [git], value: '{FILE}'}}",
    "CredentialEntry.command": "credentials: a: {servers: [git], command: [HERE, x]}",
    "CredentialEntry.env": "credentials: a: {servers: [git], command: [mint], env: {NODE_OPTIONS: '--require=HERE'}}",
    "CredentialEntry.headers": f"credentials: a: {{servers: [far], command: [mint], headers: {{A: '{FILE}'}}}}",
    "CommandEntry.argv": "credentials: a: {servers: [git], command: {argv: [sh, -c, 'cat HERE | head -1']}}",
    "VaultEntry.token": f"credentials: {VAULT}, token: '{FILE}'}}}}",
    "VaultEntry.ca_file": f"credentials: {VAULT}, token: '${{env:T}}', ca_file: HERE}}}}",
    "AppRoleEntry.secret_id": f"credentials: {VAULT}, auth: {{approle: {{role_id: r, secret_id: '{FILE}'}}}}}}}}",
    "KubernetesEntry.jwt": f"credentials: {VAULT}, auth: {{kubernetes: {{role: r, jwt: '{FILE}'}}}}}}}}",
    "GithubAppEntry.private_key": f"credentials: {GITHUB}, private_key: '{FILE}'}}}}",
    "PostgresEntry.admin": f"credentials: a: {{servers: [git], postgres: {{grants: ['GRANT x TO {{role}}'], admin: '{FILE}'}}}}",
    "OAuthEntry.client_secret": f"credentials: {OAUTH}, client_secret: '{FILE}'}}}}",
    "ClientCredentialsEntry.client_secret": f"credentials: a: {{servers: [far], client_credentials: {{{SERVICE}, client_secret: '{FILE}'}}}}",
    "ClientCredentialsEntry.private_key": f"credentials: a: {{servers: [far], client_credentials: {{{SERVICE}, private_key: '{FILE}'}}}}",
    "TokenExchangeEntry.client_secret": f"credentials: a: {{servers: [far], token_exchange: {{{SERVICE}, subject: '${{env:S}}', client_secret: '{FILE}'}}}}",
    "TokenExchangeEntry.private_key": f"credentials: a: {{servers: [far], token_exchange: {{{SERVICE}, subject: '${{env:S}}', private_key: '{FILE}'}}}}",
    "TokenExchangeEntry.subject": f"credentials: a: {{servers: [far], token_exchange: {{{SERVICE}, subject: '{FILE}'}}}}",
    "ConfigFile.policies": "policies: [HERE]",
    "PolicyEntry.file": "policies: [{file: HERE, params: {}}]",
    "AuditEntry.path": "audit: {path: HERE}",
    "AuditEntry.key": f"audit: {{key: '{FILE}'}}",
    "HeadsEntry.file": "audit: {heads: {file: HERE}}",
    "SessionEntry.path": "session: {path: HERE}",
    "SessionEntry.postgres": f"session: {{postgres: '{FILE}'}}",
    "ApprovalsEntry.policy": "approvals: {policy: HERE}",
    "ApprovalsEntry.notify": f"approvals: {{notify: ['{FILE}']}}",
    "NotifyEntry.to": f"approvals: {{notify: [{{to: '{FILE}'}}]}}",
    "AlertsEntry.command": "alerts: {command: [python3, HERE]}",
    "AlertsEntry.webhook": f"alerts: {{webhook: '{FILE}'}}",
    "SinkEntry.to": "telemetry: {sinks: [{to: HERE, format: jsonl}]}",
    "SinkEntry.headers": f"telemetry: {{sinks: [{{to: 'https://x.example', format: otlp, headers: {{A: '{FILE}'}}}}]}}",
}
"""Where a path can stand -> a configuration that has one there, HERE: a line of `servers` or another key."""

NO_PATHS = {
    *("ConfigFile.agent", "PasskeyEntry.person", "PasskeyEntry.groups"),
    *("CredentialEntry.servers", "CredentialEntry.principals", "ObserveEntry.servers", "ViewEntry.servers"),
    # The folder by which a client is known; nothing is read there.
    "ViewEntry.projects",
    *("JsonEntry.value", "JsonEntry.expires"),
    *(
        "VaultEntry.path",
        "VaultEntry.field",
        "VaultEntry.value",
        "VaultEntry.namespace",
        "AppRoleEntry.role_id",
    ),
    *("AppRoleEntry.mount", "KubernetesEntry.role", "KubernetesEntry.mount"),
    *("GithubAppEntry.client_id", "PostgresEntry.owner", "PostgresEntry.database"),
    *(
        "OAuthEntry.client_id",
        "OAuthEntry.scopes",
        "ClientCredentialsEntry.key_id",
        "ClientCredentialsEntry.scopes",
    ),
    *("ClientCredentialsEntry.resource", "ClientCredentialsEntry.client_id", "TokenExchangeEntry.key_id"),
    *("TokenExchangeEntry.scopes", "TokenExchangeEntry.resource", "TokenExchangeEntry.client_id"),
    *("TokenExchangeEntry.audience", "TokenEntry.audience", "TokenEntry.scopes", "TokenEntry.groups_claim"),
    *("TokenEntry.claims", "TokenEntry.types", "PolicyEntry.params"),
}
"""Fields that take a text like a path, and mean none."""

PATH, REFERENCE = "/canary/x", "${file:/canary/x}"
TEXTS = (
    PATH,
    "~/x",
    REFERENCE,
    [PATH],
    [REFERENCE],
    {"x": PATH},
    {"x": REFERENCE},
    {PATH: ["git"]},
    {"x": [PATH]},
)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, and in these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for one in get_args(annotation):
        yield from models(one)


def takes_a_path(annotation: Any) -> bool:
    for text in TEXTS:
        try:
            TypeAdapter(annotation).validate_python(text)
        except ValidationError:
            continue
        return True
    return False


@pytest.mark.uncounted
def test_each_field_that_can_name_a_path_is_known() -> None:
    found = set()
    for model in dict.fromkeys(models(ConfigFile)):
        model.model_rebuild()
        for name, field in model.model_fields.items():
            typed = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            if takes_a_path(typed):
                found.add(f"{model.__name__}.{name}")
    assert found == PATHS.keys() | NO_PATHS


@pytest.mark.parametrize("field", PATHS)
def test_a_path_in_it_is_relied_on(tmp_path: Path, field: str) -> None:
    at = tmp_path / "else where" / "it.py"
    at.parent.mkdir()
    if field not in ("ServerEntry.cwd", "AuditEntry.path", "SessionEntry.path"):
        at.write_text("#!/bin/sh\n")
        at.chmod(0o755)
    text = PATHS[field].replace("HERE", str(at))
    key, _, rest = text.partition(": ")
    servers = {"git": "{command: git-server}", "far": "{url: 'https://x.example/mcp'}"}
    if key in servers:
        servers[key] = rest
    more = {"credentials": f"\n  {rest}"}.get(key, rest)
    written = "".join(f"  {name}: {entry}\n" for name, entry in servers.items())
    config = tmp_path / "mcpguard.yaml"
    config.write_text(f"version: 1\nservers:\n{written}" + ("" if key in servers else f"{key}: {more}\n"))
    assert at in {one.path for one in relied_on(load_config(config))}


def test_what_a_command_is_looked_for_in_before_it_is_found_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    for name in ("mint", "npx", "notify-send", "osascript"):
        (tmp_path / "second" / name).touch(0o755)
    places = [str(tmp_path / name) for name in ("first", "second", "third")]
    monkeypatch.setenv("PATH", os.pathsep.join(places))
    config = tmp_path / "mcpguard.yaml"
    more = "credentials: {a: {servers: [git], command: [mint]}}\napprovals: {notify: [desktop]}\n"
    config.write_text(f"version: 1\nservers: {{git: {{command: npx}}}}\n{more}")
    relied = [*relied_on(load_config(config))]
    desktop = "osascript" if sys.platform == "darwin" else "notify-send"
    for name, server in (("mint", ""), (desktop, ""), ("npx", "git")):
        found = {one.path for one in relied if one.server == server}
        assert {tmp_path / "second" / name, tmp_path / "first"} <= found
        assert tmp_path / "third" not in found


def test_mcpguard_is_made_of_its_python_and_its_packages() -> None:
    import mcpguard

    parts = installation()
    assert Path(sys.executable) in parts
    assert any(Path(mcpguard.__file__).is_relative_to(one) for one in parts)
    assert any(Path(pytest.__file__).is_relative_to(one) for one in parts)
