"""Tokens of a GitHub App: what is asked for, what is taken, and that each is revoked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mcpguard.adapters.credentials.github_app import GithubAppMint
from mcpguard.adapters.credentials.service import MAX_BYTES, ServiceAnswer
from mcpguard.config.minted import GithubAppEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret
from tests.servers.answering import Reply, serving
from tests.servers.github import (
    APP_ID,
    CLIENT_ID,
    INSTALLATION,
    ORGANISATION,
    USER,
    FakeGithub,
    pem,
    private_key,
)


class Setting:
    def __init__(self, github: FakeGithub, url: str) -> None:
        self.github = github
        self.url = url
        self.key = pem(private_key())

    def mint(self, **entry: Any) -> GithubAppMint:
        if "app_id" not in entry:
            entry.setdefault("client_id", CLIENT_ID)
        if "account" not in entry:
            entry.setdefault("installation_id", INSTALLATION)
        if "all_repositories" not in entry:
            entry.setdefault("repositories", ("app", "docs"))
        made = {
            "private_key": "${file:/app.pem}",
            "permissions": {"contents": "read"},
            "api_url": self.url,
            **entry,
        }
        return GithubAppMint("gh", GithubAppEntry(**made), self.secret)

    def secret(self, ref: CredentialRef) -> Secret:
        assert ref == CredentialRef("file", "/app.pem")
        return Secret(self.key)

    def refusal(self, **entry: Any) -> str:
        with pytest.raises(CredentialError) as caught:
            self.mint(**entry).lease()
        said = str(caught.value)
        assert said.startswith("credential:gh: ")
        assert not any(word in said for word in ("ghs_", "eyJ", "PRIVATE"))
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return said


@pytest.fixture
def setting() -> Iterator[Setting]:
    github = FakeGithub(private_key().public_key())
    with serving(github) as url:
        yield Setting(github, url)


def test_a_token_is_for_the_named_repositories_and_permissions_and_is_revoked_once(setting: Setting) -> None:
    lease = setting.mint().lease()
    assert setting.github.asked[-1].body == {
        "permissions": {"contents": "read"},
        "repositories": ["app", "docs"],
    }
    assert setting.github.tokens == [lease.secret.reveal()]
    assert lease.seconds is not None
    assert 3000 < lease.seconds <= 3600
    assert lease.end is not None
    for _ in range(2):
        lease.end()
        assert setting.github.tokens == []


def test_each_lease_is_another_token_and_none_is_renewed(setting: Setting) -> None:
    mint = setting.mint()
    first = mint.lease()
    mint.refused()
    second = mint.lease()
    assert setting.github.tokens == [first.secret.reveal(), second.secret.reveal()]
    assert mint.renew(first) is None


@pytest.mark.parametrize("account", [ORGANISATION, USER])
def test_the_installation_of_an_account_is_found_once(setting: Setting, account: str) -> None:
    mint = setting.mint(account=account, app_id=APP_ID)
    mint.lease()
    before = len(setting.github.asked)
    mint.lease()
    assert len(setting.github.asked) == before + 1


def test_an_account_without_the_app_is_told(setting: Setting) -> None:
    assert "no such installation" in setting.refusal(account="nobody")


def test_an_installation_that_is_gone_is_looked_up_again(setting: Setting) -> None:
    mint = setting.mint(account=ORGANISATION)
    mint.lease()
    setting.github.override = Reply(404, {})
    with pytest.raises(CredentialError):
        mint.lease()
    setting.github.override = None
    mint.lease()
    assert setting.github.asked[-2].path == f"/orgs/{ORGANISATION}/installation"


def test_all_repositories_are_asked_for_only_where_the_entry_says_so(setting: Setting) -> None:
    setting.mint(all_repositories=True).lease()
    assert setting.github.asked[-1].body == {"permissions": {"contents": "read"}}


@pytest.mark.parametrize(
    "permissions",
    [
        {"contents": "write", "metadata": "read"},
        {"contents": "read", "issues": "read"},
        {"contents": "read", "metadata": "write"},
        {"contents": "owner"},
        {"contents": None},
        {},
        None,
        "read",
    ],
)
def test_a_token_with_wider_permissions_is_revoked_and_refused(setting: Setting, permissions: object) -> None:
    setting.github.change = {"permissions": permissions}
    assert "different permissions than requested" in setting.refusal()
    assert setting.github.tokens == []


def test_a_token_with_less_than_was_asked_for_is_taken(setting: Setting) -> None:
    setting.github.change = {"permissions": {"contents": "read"}}
    setting.mint(permissions={"contents": "write", "issues": "read"}).lease()


@pytest.mark.parametrize(
    "change",
    [
        {"repository_selection": "all"},
        {"repositories": [{"name": "app"}, {"name": "secret-plans"}]},
        {"repositories": []},
        {"repositories": ["app"]},
        {"repositories": [{"name": None}]},
        {"repositories": None},
        {"repositories": "app"},
    ],
)
def test_a_token_for_other_repositories_is_revoked_and_refused(
    setting: Setting, change: dict[str, Any]
) -> None:
    setting.github.change = change
    assert "different repositories than requested" in setting.refusal()
    assert setting.github.tokens == []


def test_names_of_repositories_do_not_differ_by_case(setting: Setting) -> None:
    setting.github.change = {"repositories": [{"name": "App"}, {"name": "DOCS"}]}
    setting.mint().lease()


@pytest.mark.parametrize(
    "ends", ["2001-01-01T00:00:00Z", "2999-13-01T00:00:00Z", "2999-01-01T00:00:00", 5, None, "soon"]
)
def test_a_token_without_a_usable_end_is_revoked_and_refused(setting: Setting, ends: object) -> None:
    setting.github.change = {"expires_at": ends}
    assert "so it was not used" in setting.refusal()
    assert setting.github.tokens == []


def test_a_token_is_not_used_for_longer_than_an_hour(setting: Setting) -> None:
    setting.github.change = {"expires_at": "2999-01-01T00:00:00Z"}
    assert setting.mint().lease().seconds == 3600


@pytest.mark.parametrize("skew", [-7200, -300, 300, 7200])
def test_a_clock_that_is_wrong_does_not_matter(setting: Setting, skew: float) -> None:
    setting.github.skew = skew
    mint = setting.mint()
    lease = mint.lease()
    assert lease.seconds is not None
    assert 3000 < lease.seconds <= 3600
    tries = len(setting.github.asked)
    mint.lease()
    assert len(setting.github.asked) == tries + 1


def test_a_jwt_that_is_not_taken_is_tried_again_only_where_the_clock_may_be_why(setting: Setting) -> None:
    setting.key = pem(private_key("another"))
    assert "does not accept the app's JWT" in setting.refusal()
    assert len(setting.github.asked) == 1


def test_without_a_date_the_own_clock_counts(setting: Setting) -> None:
    setting.github.dated = False
    assert setting.mint().lease().seconds is not None
    setting.github.skew = 7200
    assert "does not accept the app's JWT" in setting.refusal()
    impossible = ServiceAnswer(401, "Mon, 01 Jan 2020 00:00:00 +99999999999999", {})
    assert setting.mint()._difference(impossible) is None


@pytest.mark.parametrize("token", [None, "", 5, "ghs_a\nb", "ghs_ä"])
def test_an_answer_without_a_token_is_refused(setting: Setting, token: object) -> None:
    setting.github.change = {"token": token}
    assert "issued no token" in setting.refusal()


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "does not accept the app's JWT"),
        (403, "suspended, or there were too many requests"),
        (404, "no such installation"),
        (422, "does not have all of these repositories or permissions"),
        (500, "answered with HTTP 500"),
        (200, "answered with HTTP 200"),
    ],
)
def test_each_refusal_of_github_is_a_sentence_that_quotes_nothing(
    setting: Setting, status: int, why: str
) -> None:
    setting.github.override = Reply(status, {"message": "canary ghs_x", "token": "ghs_x"})
    assert why in setting.refusal()


def test_what_the_installation_does_not_have_is_told(setting: Setting) -> None:
    assert "does not have all of these repositories or permissions" in setting.refusal(
        repositories=("elsewhere",)
    )
    assert "does not have all of these repositories or permissions" in setting.refusal(
        permissions={"contents": "admin"}
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff"])
def test_an_answer_that_is_no_json_object_is_refused(setting: Setting, body: bytes) -> None:
    setting.github.override = Reply(201, body)
    assert "issued no token" in setting.refusal()


def test_a_huge_answer_is_not_read_to_its_end(setting: Setting) -> None:
    setting.github.override = Reply(201, b" " * (MAX_BYTES + 1))
    assert "more than 1048576 bytes" in setting.refusal()


def test_no_redirect_is_followed_to_another_origin(setting: Setting) -> None:
    elsewhere = FakeGithub(private_key().public_key())
    with serving(elsewhere) as other:
        setting.github.override = Reply(307, b"", {"Location": f"{other}/app"})
        assert "redirect" in setting.refusal()
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "key",
    [
        "not a key",
        "",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_a_key_that_is_no_rsa_key_is_refused_by_the_name_of_its_reference(setting: Setting, key: str) -> None:
    setting.key = key
    assert "file:/app.pem is not an RSA private key in PEM" in setting.refusal()
    assert setting.github.asked == []


def test_taking_back_fails_with_a_sentence(setting: Setting) -> None:
    lease = setting.mint().lease()
    assert lease.end is not None
    setting.github.override = Reply(500, {"message": lease.secret.reveal()})
    with pytest.raises(CredentialError, match=r"did not revoke the token \(HTTP 500\)") as caught:
        lease.end()
    assert "ghs_" not in str(caught.value)
    setting.github.override = None
    lease.end()
    assert setting.github.tokens == []


def test_taking_back_where_github_is_gone_is_a_sentence() -> None:
    github = FakeGithub(private_key().public_key())
    with serving(github) as url:
        lease = Setting(github, url).mint().lease()
    assert lease.end is not None
    with pytest.raises(CredentialError, match=r"credential:gh: .* does not accept connections"):
        lease.end()


def test_nothing_that_holds_a_value_prints_it(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    assert not any(word in repr([mint, lease, lease.end, mint.__dict__]) for word in ("ghs_", "PRIVATE"))
