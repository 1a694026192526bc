"""The key that signs checkpoints: Ed25519 (RFC 8032), kept in the keychain or by another source.

A private key is written as `mcpguard-audit-key-1:` and its 32 bytes in base64, a public one as
`mcpguard-audit-public-1:` and its 32 bytes. `cryptography` is imported where one is used.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from shlex import quote

from msgspec.structs import replace

from mcpguard.core.errors import AuditError, MissingError
from mcpguard.core.evidence.chain import signed
from mcpguard.core.evidence.records import Checkpoint
from mcpguard.core.secret import CredentialRef, Secret

PRIVATE = "mcpguard-audit-key-1:"
PUBLIC = "mcpguard-audit-public-1:"


def new_key() -> str:
    """A new private key, as it is kept."""
    return PRIVATE + b64encode(os.urandom(32)).decode()


def private_key(read: Callable[[], Secret], ref: CredentialRef) -> Secret:
    """What `read()` gives for `ref`. A missing key is to be made, not typed in: AuditError says how."""
    try:
        return read()
    except MissingError as error:
        raise AuditError(f"{error.said}: {making(ref)} makes a key") from None


def making(ref: CredentialRef) -> str:
    """The command that makes a key which `ref` finds; of a source that it cannot write to, one in a file."""
    options = {"file": f"--to {quote(ref.name)}", "keyring": f"--name {quote(ref.name)}"}
    return f"`mcpguard audit key --new {options.get(ref.source, '--to FILE')}`"


class SigningKey:
    """Signs. Raises AuditError where the value is not a private key."""

    def __init__(self, value: Secret) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = _bytes(value.reveal(), PRIVATE, "private", "`mcpguard audit key --new` makes one")
        private = Ed25519PrivateKey.from_private_bytes(raw)
        self._sign = private.sign
        self.public = PublicKey(private.public_key().public_bytes_raw())

    def signed(self, record: Checkpoint, file: str, prev: str) -> Checkpoint:
        """The record with key and signature, as the line after `prev` in the chain `file`."""
        return signed(replace(record, key=self.public.id), file, prev, self._sign)


class PublicKey:
    """Checks signatures."""

    def __init__(self, raw: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key in a text. Raises AuditError."""
        return cls(_bytes(text.strip(), PUBLIC, "public", "`mcpguard audit key` prints it"))

    def __str__(self) -> str:
        return PUBLIC + b64encode(self._raw).decode()

    @property
    def id(self) -> str:
        """What records call it: the first 16 digits of its sha256."""
        return sha256(self._raw).hexdigest()[:16]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _bytes(text: str, begin: str, what: str, source: str) -> bytes:
    try:
        raw = b64decode(text.removeprefix(begin), validate=True) if text.startswith(begin) else b""
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise AuditError(f"that is not a {what} key: one is `{begin}` and 32 bytes in base64; {source}")
    return raw
