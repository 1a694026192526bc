"""What ordinary programs and encoders make of a text, and a reader that gets it back: made without any code of
mcpguard, to see whether a secret can still be read in what left it.

`disguises(secret)` is what docs/guides/redaction.md promises to see through; `read(texts)` is every text that
somebody who undoes these gets to see.
"""

import base64
import gzip
import html
import io
import json
import quopri
import re
import tarfile
import unicodedata
import urllib.parse
import zipfile
import zlib

ESC = "\x1b"
DEPTH = 3


def _gzip(data):
    return gzip.compress(data, mtime=0)


def _zip(data):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", data)
    return whole.getvalue()


def _tar(data):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        entry = tarfile.TarInfo("notes.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return whole.getvalue()


def _xxd(data):
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(f"{16 * n:08x}: {row.hex(' ', -2):<39}  {_printable(row)}" for n, row in enumerate(rows))


def _hexdump(data):
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(
        f"{16 * n:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  |{_printable(row)}|"
        for n, row in enumerate(rows)
    )


def _od(data):
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(
        f"{16 * n:07o} " + " ".join(f"{_character(byte):>3}" for byte in row) for n, row in enumerate(rows)
    )


def _character(byte):
    return chr(byte) if 32 <= byte < 127 else format(byte, "03o")


def _printable(row):
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


def _lines(text, width, prefix):
    return "\n".join(
        f"{prefix(n)}{text[at : at + width]}" for n, at in enumerate(range(0, len(text), width), 1)
    )


def disguises(secret):
    """By name, each disguise of the secret, within a little text."""
    data = b"see " + secret.encode() + b" there"
    code = base64.b64encode(data * 3).decode()
    half = len(secret) // 2
    found = {
        "grep --color": f"a: {ESC}[01;31m{ESC}[K{secret[:half]}{ESC}[m{ESC}[K{secret[half:]}",
        "a syntax highlighter": "".join(f"{ESC}[38;5;{n}m{c}{ESC}[39m" for n, c in enumerate(secret)),
        "JSON with every character escaped": "".join(f"\\u{ord(c):04x}" for c in secret),
        "JSON as Go writes it": json.dumps(secret, ensure_ascii=False).translate(
            {ord(c): f"\\u{ord(c):04x}" for c in "&<>"}
        ),
        "JSON as .NET writes it": "".join(
            c if c.isascii() and c.isalnum() else f"\\u{ord(c):04X}" for c in secret
        ),
        "a C string": "".join(
            c if c.isalnum() and c.isascii() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in secret
        ),
        "octal escapes": "".join(f"\\{byte:03o}" for byte in secret.encode()),
        "percent in full": "".join(f"%{byte:02X}" for byte in secret.encode()),
        "userinfo of a URL": "https://u:" + urllib.parse.quote(secret, safe="!$&'()*+,;=-._~") + "@h/",
        "HTML": f"<b>{html.escape(secret)}</b>",
        "HTML in numbers": "".join(f"&#{ord(c)};" for c in secret),
        "HTML in hexadecimal": "".join(f"&#x{ord(c):X};" for c in secret),
        "HTML tags": "<span>" + "</span><span>".join((secret[:5], secret[5:half], secret[half:])) + "</span>",
        "word breaks": "<wbr>".join((secret[:half], secret[half:])),
        "quoted-printable": quopri.encodestring(secret.encode() * 2).decode(),
        "base64 with \\n in the text": "\\n".join(code[at : at + 60] for at in range(0, len(code), 60)),
        "base64 in lines": "\n".join(code[at : at + 76] for at in range(0, len(code), 76)),
        "base64 of hexadecimal": base64.b64encode(data.hex().encode()).decode(),
        "hexadecimal of base64": base64.b64encode(data).hex(),
        "base32": base64.b32encode(data).decode(),
        "base64 three times": base64.b64encode(base64.b64encode(base64.b64encode(data))).decode(),
        "gzip in base64": base64.b64encode(_gzip(data)).decode(),
        "zlib in base64": base64.b64encode(zlib.compress(data)).decode(),
        "zip in base64": base64.b64encode(_zip(data)).decode(),
        "tar in base64": base64.b64encode(_tar(data)).decode(),
        "gzip in hexadecimal": _gzip(data).hex(),
        "xxd": _xxd(data),
        "hexdump -C": _hexdump(data),
        "od -c": _od(data),
        "fold and nl": _lines(secret, 20, lambda n: f"{n:6}\t"),
        "a diff": _lines(secret, 20, lambda _: "+"),
        "wrapped by a logger": _lines(secret, 24, lambda n: f"2026-11-27T10:00:0{n % 10}Z app[12]: "),
        "a table": _lines(secret, 16, lambda n: f"| {'' if n else 'key':6} | ").replace("\n", " |\n") + " |",
        "full width": "".join(chr(ord(c) + 0xFEE0) if 33 <= ord(c) < 127 else c for c in secret),
        "mathematical letters": secret.translate({ord("a") + n: 0x1D41A + n for n in range(26)}),
        "zero-width characters": "\u200b".join(secret),
        "tags of Unicode": "".join(chr(0xE0000 + ord(c)) if 32 <= ord(c) < 127 else c for c in secret),
    }
    return {
        name: f"before\n{text}\nbehind" if "\n" in text else f"before {text} behind"
        for name, text in found.items()
    }


def disguised(secret):
    """All of them."""
    return list(disguises(secret).values())


# --- the reader ------------------------------------------------------------------------------------


def _unescaped(text):
    def one(match):
        return chr(int(match[1] or match[2], 16))

    plain = re.sub(r"\\+u([0-9A-Fa-f]{4})|\\+x([0-9A-Fa-f]{2})", one, text)
    plain = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8) & 255), plain)
    return re.sub(r'\\+(["\\/])', r"\1", plain)


def _seen(text):
    text = "".join(chr(ord(c) - 0xE0000) if 0xE0020 <= ord(c) < 0xE007F else c for c in text)
    return re.sub("[\u00ad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]", "", text)


def _dumped(text):
    """What the columns of a dump say."""
    rows = re.findall(r"[0-9a-f]{7,8}:? +((?:[0-9a-f]{2}(?:[0-9a-f]{2})?[ ]{1,2})+)", text)
    columns = ["".join(row.split()) for row in rows]
    return b"".join(bytes.fromhex(row[: len(row) // 2 * 2]) for row in columns).decode("utf-8", "ignore")


def _characters(text):
    """What `od -c` says."""
    rows = re.findall(r"^.*?[0-7]{7} (.*)$", text, re.MULTILINE)
    columns = [row[at : at + 4].strip() or " " for row in rows for at in range(0, len(row), 4)]
    return "".join(chr(int(one, 8)) if re.fullmatch("[0-7]{3}", one) else one for one in columns)


def _bytes_in(text):
    bare = re.sub(r"\\[nr]|\s", "", text)
    for source in (text, bare):
        for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", source):
            standard = run.translate(str.maketrans("-_", "+/"))
            for skipped in range(4):
                chars = standard[skipped:]
                chars = chars[: len(chars) // 4 * 4]
                yield base64.b64decode(chars)
        for run in re.findall(r"[A-Z2-7]{16,}", source):
            yield base64.b32decode(run[: len(run) // 8 * 8])
        for run in re.findall(
            r"[0-9A-Fa-f]{16,}", re.sub(r"(?<=[0-9a-fA-F]{2})[ :](?=[0-9a-fA-F]{2})", "", source)
        ):
            yield bytes.fromhex(run[: len(run) // 2 * 2])


def _unpacked(data):
    for how in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            plain = zlib.decompressobj(how).decompress(data, 1_000_000)
        except zlib.error:
            continue
        yield plain
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data + b"\0" * 4)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def read(text, depth=DEPTH, known=None):
    """Every text that somebody gets to see who undoes disguises of it, so many over one another. Those that are
    in `known`, by how deep, were seen before."""
    known = {} if known is None else known
    if known.get(text, -1) >= depth:
        return
    known[text] = depth
    yield text
    if not depth:
        return
    plain = [
        re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07", "", text),
        _unescaped(text),
        _unescaped(text).encode("latin-1", "ignore").decode("utf-8", "ignore"),
        urllib.parse.unquote(text),
        html.unescape(text),
        re.sub("<[^<>]*>", "", text),
        quopri.decodestring(text.encode("utf-8", "ignore")).decode("utf-8", "ignore"),
        unicodedata.normalize("NFKC", text),
        _seen(text),
        _dumped(text),
        _characters(text),
        re.sub(r"(?: \|)?\n(?:\s*\d+\t|\+|\|\s+\| |\S+Z app\[12\]: )", "", text),
    ]
    for data in _bytes_in(text):
        try:
            plain += [one.decode("utf-8", "ignore") for one in (data, *_unpacked(data))]
        except (zipfile.BadZipFile, zlib.error, EOFError):
            plain.append(data.decode("utf-8", "ignore"))
    for one in dict.fromkeys(plain):
        if one and one != text:
            yield from read(one, depth - 1, known)
