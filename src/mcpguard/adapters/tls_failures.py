"""Why a TLS connection was not made, in words that say what to do about it.

Law of this file: nothing that the other side sent is quoted; the words are ours, or constants of OpenSSL.
"""

import ssl

from mcpguard.core.expressions import expression

_UNTRUSTED = {
    2: "is signed by an authority that is not trusted here",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    18: "is signed by itself and not trusted here",  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    19: "is signed by an authority that is not trusted here",  # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    20: "is signed by an authority that is not trusted here",  # ..._UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: "is signed by an authority that is not trusted here",  # ..._UNABLE_TO_VERIFY_LEAF_SIGNATURE
}
"""By the code of OpenSSL (openssl-verification-options)."""
_OTHERWISE = {
    9: "is not valid yet: the clock of this machine or that one is wrong, or its owner must wait",
    10: "has expired: its owner must renew it, unless the clock of this machine is wrong",
    62: "is for another name: connect with a name that it contains",
    64: "is not for this address: connect with a name that it contains",
}
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"})
_WANTS_ONE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"})
_CONSTANT = expression(r"[A-Z0-9_]{1,64}")


def tls_failure(error: Exception | None, host: str, place: str, by_file: bool) -> str:
    """The sentence about `error`, which ended a connection to `host`; `place` is that with its port.
    `by_file` says that only authorities of the configuration are trusted (`ca_file`)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {host} {_certificate(error, by_file)}"
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return f"{place} does not speak TLS: if that is right, its URL begins with http://"
    if reason in _OLD:
        return f"{place} offers no version of TLS that is accepted (1.2 and later): upgrade it"
    if reason in _WANTS_ONE:
        return f"{place} requires a certificate of the client, and mcpguard presents none"
    constant = f" ({reason})" if _CONSTANT.fullmatch(reason) else ""
    if "ALERT" in constant:
        return f"{place} ended the TLS connection{constant}: its log says why"
    return f"the TLS connection to {place} failed{constant}"


def _certificate(error: ssl.SSLCertVerificationError, by_file: bool) -> str:
    code = error.verify_code
    if code in _UNTRUSTED:
        where = "`ca_file`" if by_file else "a file, and name that file in the environment as SSL_CERT_FILE"
        what = "it" if code == 18 else "the certificate of the authority"
        return f"{_UNTRUSTED[code]}: put {what} into {where}"
    return _OTHERWISE.get(code) or f"is not accepted (OpenSSL's verification error {code})"
