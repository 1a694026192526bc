"""The smallest picture and sound, built here so that nobody has to trust a blob."""

import base64
import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_HEADER = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)  # 1 x 1, eight bits of grey
_PNG = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", _HEADER) + _chunk(b"IDAT", zlib.compress(b"\0\x80"))
PICTURE = base64.b64encode(_PNG + _chunk(b"IEND", b"")).decode()
"""A PNG of one grey pixel, base64."""

_FORMAT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)  # PCM, one channel, 8 kHz, 8 bits
_SAMPLES = b"data" + struct.pack("<I", 2) + b"\x80\x80"
SOUND = base64.b64encode(
    b"RIFF" + struct.pack("<I", 4 + len(_FORMAT + _SAMPLES)) + b"WAVE" + _FORMAT + _SAMPLES
).decode()
"""A WAV of two silent samples, base64."""
