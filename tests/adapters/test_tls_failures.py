"""Each cause of a TLS failure has a sentence that says what to do."""

from __future__ import annotations

import ssl

import pytest

from mcpguard.adapters.tls_failures import tls_failure

AUTHORITY = "is signed by an authority that is not trusted here: put the certificate of the authority into"
BY_ENVIRONMENT = "a file, and name that file in the environment as SSL_CERT_FILE"


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: quoted.example")
    error.verify_code = code
    return error


def handshake_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "quoted.example")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("code", "by_file", "said"),
    [
        (2, False, f"{AUTHORITY} {BY_ENVIRONMENT}"),
        (19, False, f"{AUTHORITY} {BY_ENVIRONMENT}"),
        (20, True, f"{AUTHORITY} `ca_file`"),
        (21, False, f"{AUTHORITY} {BY_ENVIRONMENT}"),
        (18, True, "is signed by itself and not trusted here: put it into `ca_file`"),
        (
            9,
            False,
            "is not valid yet: the clock of this machine or that one is wrong, or its owner must wait",
        ),
        (10, False, "has expired: its owner must renew it, unless the clock of this machine is wrong"),
        (62, False, "is for another name: connect with a name that it contains"),
        (64, False, "is not for this address: connect with a name that it contains"),
        (66, False, "is not accepted (OpenSSL's verification error 66)"),
    ],
)
def test_a_certificate_that_is_not_accepted_says_what_would_be(code: int, by_file: bool, said: str) -> None:
    told = tls_failure(certificate_error(code), "h", "h:1", by_file)
    assert told == f"the certificate of h {said}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            handshake_error("WRONG_VERSION_NUMBER"),
            "h:1 does not speak TLS: if that is right, its URL begins with http://",
        ),
        (
            handshake_error("UNSUPPORTED_PROTOCOL"),
            "h:1 offers no version of TLS that is accepted (1.2 and later): upgrade it",
        ),
        (
            handshake_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "h:1 requires a certificate of the client, and mcpguard presents none",
        ),
        (
            handshake_error("SSLV3_ALERT_HANDSHAKE_FAILURE"),
            "h:1 ended the TLS connection (SSLV3_ALERT_HANDSHAKE_FAILURE): its log says why",
        ),
        (handshake_error("INTERNAL_ERROR"), "the TLS connection to h:1 failed (INTERNAL_ERROR)"),
        (handshake_error("not a constant"), "the TLS connection to h:1 failed"),
        (OSError("reset"), "the TLS connection to h:1 failed"),
        (None, "the TLS connection to h:1 failed"),
    ],
)
def test_a_handshake_that_fails_says_why(error: Exception | None, said: str) -> None:
    assert tls_failure(error, "h", "h:1", False) == said
