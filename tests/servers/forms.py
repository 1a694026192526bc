"""The forms in which a hostile upstream gives its secret away, made without any code of mcpguard."""

import base64
import json
import urllib.parse


def forms(secret):
    """Clear, base64 at all alignments and URL-safe, hexadecimal, percent-encoded, JSON-escaped."""
    data = secret.encode()
    found = [secret, secret[::-1], data.hex(), data.hex().upper(), data.hex(" "), data.hex(":")]
    for ahead in (b"", b"x", b"xy"):
        for behind in (b"", b"z", b"zz"):
            found.append(base64.b64encode(ahead + data + behind).decode())
            found.append(base64.urlsafe_b64encode(ahead + data + behind).decode())
    found.append(base64.b64encode(base64.b64encode(data)).decode())
    found.append(base64.b32encode(data).decode())
    found += [
        urllib.parse.quote(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
    ]
    found.append("".join(f"%{byte:02x}" for byte in data))
    found += [json.dumps(secret), json.dumps(secret, ensure_ascii=False), json.dumps(json.dumps(secret))]
    return list(dict.fromkeys(found))
