"""Secrets of Vault: what is read, how long it lasts, what is revoked, and what is said where it fails."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.credentials.service import MAX_BYTES
from mcpguard.adapters.credentials.vault import VaultMint
from mcpguard.config.minted import AppRoleEntry, KubernetesEntry, VaultAuth, VaultEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret
from tests.adapters.test_network import self_signed
from tests.servers.answering import Reply, serving
from tests.servers.vault import JWT, ROLE_ID, SECRET_ID, TOKEN, FakeVault

APPROLE = VaultAuth(approle=AppRoleEntry(role_id=ROLE_ID, secret_id="${keyring:secret-id}"))
KUBERNETES = VaultAuth(kubernetes=KubernetesEntry(role=ROLE_ID, jwt="${file:/jwt}"))
CREDS = "database/creds/reader"
CANARIES = (TOKEN, SECRET_ID, JWT, "p@ss")


class Setting:
    """A stand-in with its address, and what the references of entries stand for."""

    def __init__(self, vault: FakeVault, address: str) -> None:
        self.vault = vault
        self.address = address
        self.values = {"token": TOKEN, "secret-id": SECRET_ID, "/jwt": JWT}

    def mint(self, **entry: Any) -> VaultMint:
        if "auth" not in entry:
            entry.setdefault("token", "${keyring:token}")
        if "value" not in entry:
            entry.setdefault("field", "password")
        entry = {"address": self.address, "path": CREDS, **entry}
        return VaultMint("db", VaultEntry(**entry), self.secret)

    def secret(self, ref: CredentialRef) -> Secret:
        return Secret(self.values[ref.name])

    def refusal(self, **entry: Any) -> str:
        return refusal(self.mint(**entry))


def refusal(mint: VaultMint) -> str:
    with pytest.raises(CredentialError) as caught:
        mint.lease()
    said = str(caught.value)
    assert said.startswith("credential:db: ")
    assert not any(canary in said for canary in CANARIES)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return said


@pytest.fixture
def setting() -> Iterator[Setting]:
    vault = FakeVault()
    with serving(vault) as address:
        yield Setting(vault, address)


@pytest.mark.parametrize("version", [1, 2])
def test_a_value_of_a_key_value_store_is_read_again_each_time(setting: Setting, version: int) -> None:
    path = "secret/data/team/github" if version == 2 else "secret/team/github"
    mint = setting.mint(path="secret/team/github", field="token", version=version)
    for value in ("value-one", "value-two"):
        setting.vault.kept[path] = (version, {"token": value})
        lease = mint.lease()
        assert (lease.secret.reveal(), lease.seconds, lease.end) == (value, None, None)
        mint.refused()


def test_a_dynamic_secret_lasts_as_long_as_its_lease_and_is_revoked_once(setting: Setting) -> None:
    lease = setting.mint().lease()
    assert lease.secret.reveal() == "A1a/p@ss-1-word"
    assert lease.seconds == 600
    assert lease.end is not None
    for _ in range(2):
        lease.end()
    assert setting.vault.revoked == [f"{CREDS}/1"]
    assert [asked.path for asked in setting.vault.asked] == [f"/v1/{CREDS}", "/v1/sys/leases/revoke"]


def test_each_lease_is_one_of_its_own(setting: Setting) -> None:
    mint = setting.mint()
    first, second = mint.lease(), mint.lease()
    assert first.secret.reveal() != second.secret.reveal()
    assert first.end is not None
    first.end()
    assert setting.vault.revoked == [f"{CREDS}/1"]
    assert mint.renew(first) is None
    assert mint.renew(second) is not None


def test_a_lease_is_renewed_with_the_same_value(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    setting.vault.renewed_seconds = 500
    renewed = mint.renew(lease)
    assert renewed is not None
    assert (renewed.secret, renewed.seconds, renewed.end) == (lease.secret, 500, lease.end)
    assert setting.vault.asked[-1].body == {"lease_id": f"{CREDS}/1", "increment": 600}


@pytest.mark.parametrize("seconds", [199, 0, -1, "600", True, None])
def test_a_renewal_that_gives_little_or_nonsense_means_a_new_secret(
    setting: Setting, seconds: object
) -> None:
    mint = setting.mint()
    lease = mint.lease()
    setting.vault.renewed_seconds = seconds
    assert mint.renew(lease) is None


def test_a_lease_that_vault_does_not_renew_any_more_means_a_new_secret(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    setting.vault.leases.clear()
    assert mint.renew(lease) is None


def test_a_vault_that_cannot_be_asked_ends_no_lease(setting: Setting) -> None:
    mint = setting.mint()
    lease = mint.lease()
    setting.vault.sealed = True
    with pytest.raises(CredentialError, match="is sealed"):
        mint.renew(lease)
    setting.vault.sealed = False
    assert mint.renew(lease) is not None


@pytest.mark.parametrize("seconds", [0, -5, "600", True, None, 1.5, 10**12])
def test_a_lease_without_a_usable_length_is_revoked_and_refused(setting: Setting, seconds: object) -> None:
    setting.vault.lease_seconds = seconds
    assert "without a usable duration" in setting.refusal()
    assert setting.vault.revoked == [f"{CREDS}/1"]


def test_a_lease_whose_field_is_missing_is_revoked(setting: Setting) -> None:
    assert "no string in the field `token`" in setting.refusal(field="token")
    assert setting.vault.revoked == [f"{CREDS}/1"]


def test_fields_are_put_into_a_value_and_encoded_in_a_url(setting: Setting) -> None:
    lease = setting.mint(value="postgresql://{username}:{password}@db:5432/app").lease()
    assert lease.secret.reveal() == "postgresql://v-reader-1:A1a%2Fp%40ss-1-word@db:5432/app"
    assert [part.reveal() for part in lease.parts] == ["A1a/p@ss-1-word"]
    lease = setting.mint(value="user={username} password={password}").lease()
    assert lease.secret.reveal() == "user=v-reader-2 password=A1a/p@ss-2-word"
    setting.vault.kept["secret/x"] = (1, {"user_name": "somebody", "user_token": "tok-7-word"})
    lease = setting.mint(path="secret/x", version=1, value="{user_name}:{user_token}").lease()
    assert [part.reveal() for part in lease.parts] == ["tok-7-word"]


@pytest.mark.parametrize("auth", [APPROLE, KUBERNETES], ids=["approle", "kubernetes"])
def test_a_token_of_a_login_is_for_one_lease_and_revoked_with_it(setting: Setting, auth: VaultAuth) -> None:
    mint = setting.mint(auth=auth)
    lease = mint.lease()
    assert setting.vault.tokens == {TOKEN, "hvs.login-1"}
    assert mint.renew(lease) is not None
    assert lease.end is not None
    lease.end()
    lease.end()
    assert setting.vault.tokens == {TOKEN}
    assert setting.vault.revoked == [f"{CREDS}/2"]


def test_a_token_of_a_login_is_revoked_as_soon_as_a_stored_value_is_read(setting: Setting) -> None:
    setting.vault.kept["secret/data/x"] = (2, {"token": "value-one"})
    lease = setting.mint(auth=APPROLE, path="secret/x", field="token", version=2).lease()
    assert (lease.secret.reveal(), lease.end) == ("value-one", None)
    assert setting.vault.tokens == {TOKEN}


def test_a_token_of_a_login_is_revoked_if_nothing_can_be_read_with_it(setting: Setting) -> None:
    assert "nothing at this path" in setting.refusal(auth=APPROLE, path="secret/gone")
    assert setting.vault.tokens == {TOKEN}


@pytest.mark.parametrize(("token", "lease"), [(60, 60), (0, 600), (3600, 600)])
def test_a_lease_ends_with_the_token_that_has_it(setting: Setting, token: int, lease: int) -> None:
    setting.vault.token_seconds = token
    assert setting.mint(auth=APPROLE).lease().seconds == lease


def test_a_renewal_lasts_no_longer_than_the_token(setting: Setting) -> None:
    mint = setting.mint(auth=APPROLE)
    lease = mint.lease()
    setting.vault.token_seconds = 300
    renewed = mint.renew(lease)
    assert renewed is not None
    assert renewed.seconds == 300


@pytest.mark.parametrize("seconds", ["x", -1, None])
def test_a_login_with_a_nonsensical_length_is_refused_and_its_token_revoked(
    setting: Setting, seconds: object
) -> None:
    setting.vault.token_seconds = seconds
    assert "without a usable duration" in setting.refusal(auth=APPROLE)
    assert setting.vault.tokens == {TOKEN}


@pytest.mark.parametrize("auth", [{}, {"client_token": ""}, {"client_token": 5}, []])
def test_a_login_without_a_token_is_refused(setting: Setting, auth: object) -> None:
    setting.vault.override = Reply(200, {"auth": auth})
    assert "did not issue a token" in setting.refusal(auth=APPROLE)


def test_a_wrong_login_is_told_without_what_was_sent(setting: Setting) -> None:
    setting.values["secret-id"] = "another-canary"
    said = setting.refusal(auth=APPROLE)
    assert "check `path`, `version` and what it logs in with" in said
    assert "another-canary" not in said


def test_the_namespace_goes_with_each_request(setting: Setting) -> None:
    setting.vault.namespace = "team/a"
    lease = setting.mint(namespace="team/a", auth=APPROLE).lease()
    assert lease.end is not None
    lease.end()
    assert setting.vault.revoked == [f"{CREDS}/2"]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (400, "refused the request"),
        (403, "denied permission"),
        (404, "nothing at this path"),
        (429, "too many requests"),
        (472, "disaster recovery"),
        (473, "performance standby"),
        (501, "not initialized"),
        (503, "sealed"),
        (500, "answered with HTTP 500: see its log"),
        (418, "answered with HTTP 418: see its log"),
    ],
)
def test_each_refusal_of_vault_is_a_sentence_that_quotes_nothing(
    setting: Setting, status: int, why: str
) -> None:
    setting.vault.override = Reply(status, {"errors": [f"canary-text {TOKEN}"]})
    said = setting.refusal()
    assert why in said
    assert "canary-text" not in said


def test_a_sealed_vault_is_told(setting: Setting) -> None:
    setting.vault.sealed = True
    assert "has to unseal it" in setting.refusal()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"x"', b"null", b"[" * 100_000])
def test_an_answer_that_is_no_json_object_is_not_one_of_vault(setting: Setting, body: bytes) -> None:
    setting.vault.override = Reply(200, body)
    assert "gave an answer that is not Vault's: check `address`" in setting.refusal()


@pytest.mark.parametrize("value", [None, "", 5, ["x"], {"x": "y"}, True])
def test_a_field_that_is_no_text_is_refused(setting: Setting, value: object) -> None:
    setting.vault.kept["secret/x"] = (1, {"token": value})
    assert "no string in the field `token`" in setting.refusal(path="secret/x", field="token")


def test_a_store_of_version_2_that_is_read_as_another_is_told(setting: Setting) -> None:
    setting.vault.kept["secret/data/x"] = (2, {"token": "value"})
    assert "set `version: 2`" in setting.refusal(path="secret/data/x", field="token")


def test_a_huge_answer_is_not_read_to_its_end(setting: Setting) -> None:
    setting.vault.override = Reply(200, b" " * (MAX_BYTES + 1))
    assert "more than 1048576 bytes" in setting.refusal()


def test_no_redirect_takes_the_token_to_another_origin(setting: Setting) -> None:
    elsewhere = FakeVault()
    with serving(elsewhere) as other:
        for status in (301, 302, 303, 307, 308):
            setting.vault.override = Reply(status, b"", {"Location": f"{other}/v1/{CREDS}"})
            assert "redirect" in setting.refusal()
        setting.vault.override = Reply(307, b"", {"Location": "//attacker.invalid/x"})
        assert "which is not followed" in setting.refusal()
    assert elsewhere.asked == []


def test_a_vault_that_is_silent_is_given_up(setting: Setting) -> None:
    hang = threading.Event()
    setting.vault.answer = lambda _asked: (hang.wait(30), Reply(204))[1]  # type: ignore[method-assign]
    try:
        assert "did not answer within 0.2 seconds" in setting.refusal(timeout_seconds=0.2)
    finally:
        hang.set()


def test_a_vault_that_is_not_there_is_told() -> None:
    with serving(FakeVault()) as address:
        pass
    assert "does not accept connections" in Setting(FakeVault(), address).refusal()


def test_a_token_that_no_header_can_carry_is_refused(setting: Setting) -> None:
    setting.values["token"] = f"{TOKEN}\nX-Vault-Namespace: other"
    assert "not allowed in a header" in setting.refusal()
    assert setting.vault.asked == []


def test_taking_back_fails_with_a_sentence_and_can_be_tried_again(setting: Setting) -> None:
    lease = setting.mint(auth=APPROLE).lease()
    assert lease.end is not None
    setting.vault.override = Reply(500, {"errors": [TOKEN]})
    with pytest.raises(
        CredentialError, match="did not revoke the lease of this credential: it answered"
    ) as caught:
        lease.end()
    assert TOKEN not in str(caught.value)
    setting.vault.override = None
    lease.end()
    assert setting.vault.tokens == {TOKEN}


def test_what_ended_with_its_own_token_counts_as_taken_back(setting: Setting) -> None:
    lease = setting.mint(auth=APPROLE).lease()
    setting.vault.tokens = {TOKEN}
    assert lease.end is not None
    lease.end()


def test_a_lease_that_the_callers_token_may_not_revoke_is_told(setting: Setting) -> None:
    lease = setting.mint().lease()
    setting.vault.tokens.clear()
    assert lease.end is not None
    with pytest.raises(CredentialError, match="denied permission"):
        lease.end()


def test_the_environment_of_vaults_own_client_changes_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.of-the-environment")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert setting.mint().lease().secret.reveal() == "A1a/p@ss-1-word"


def test_without_the_library_the_extra_is_named(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    assert "-m pip install 'mcpguard-gateway[vault]'" in setting.refusal()


def test_nothing_that_holds_a_value_prints_it(setting: Setting) -> None:
    mint = setting.mint(auth=APPROLE)
    lease = mint.lease()
    shown = repr([mint, lease, mint._issued, mint._issued[0].client, lease.end])
    assert not any(canary in shown for canary in (*CANARIES, "hvs."))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[ssl.SSLContext, Path]) -> None:
    vault = FakeVault()
    with serving(vault, certificate[0]) as address:
        assert "is signed by itself and not trusted here" in Setting(vault, address).refusal()
    assert vault.asked == []


def test_a_certificate_of_the_named_authority_is_taken(certificate: tuple[ssl.SSLContext, Path]) -> None:
    vault = FakeVault()
    with serving(vault, certificate[0]) as address:
        lease = Setting(vault, address).mint(ca_file=str(certificate[1])).lease()
    assert lease.seconds == 600


def test_a_file_of_authorities_that_cannot_be_read_is_told(setting: Setting, tmp_path: Path) -> None:
    assert "cannot be read as certificates" in setting.refusal(ca_file=str(tmp_path / "gone.pem"))
    (tmp_path / "wrong.pem").write_text("x")
    assert "cannot be read as certificates" in setting.refusal(ca_file=str(tmp_path / "wrong.pem"))


def test_an_entry_without_a_way_to_log_in_is_refused(setting: Setting) -> None:
    assert "`token` or `auth` is needed" in setting.refusal(auth=VaultAuth())
    assert setting.vault.asked == []
