"""The disguises that are seen through: one that is not here is not promised. To add one: the module that
undoes it, its name here, and what it makes of a text in `tests/core/redaction/views/disguises.py`.
"""

DISGUISES = (
    "colours, links and other sequences of a terminal, also where their escape is shown as text",
    "escapes of JSON, JavaScript, Go, C and shells, whole or in part",
    "percent-encoding of any set of characters, also twice",
    "entities of HTML, by name or number",
    "tags of HTML within a word, `<wbr>` and CDATA",
    "quoted-printable, and encoded words in headers of mail",
    "characters that are not seen, and letters in another shape (NFKC)",
    "line breaks at a width, or `\\n`, also with numbers, marks, names or times before each line, if that "
    "leaves at least four characters in a line, twelve of base64",
    "three rows or more of at most 16 characters, behind numbers or words in capitals; one character a "
    "row, or a text of a list",
    "cells of a table that go on in the next row",
    "base64, also for URLs, in lines or joined to a path",
    "hexadecimal, also with marks between the bytes or in rows behind something else, and base32",
    "what is packed with gzip, zlib, deflate, bzip2, xz, lzma or zip within these, and files in tar",
    "dumps of `xxd`, `hexdump`, `hexyl`, `od`, `objdump`, `tcpdump`, `curl --trace` and debuggers, of "
    "bytes, words, bits and numbers of up to eight bytes, also with a fraction; without offsets only if "
    "there are several rows; also where a log or a diff writes something before each row",
    "character codes in a list, as Node, Go and Python print bytes, or that follow a number, stand in "
    "`CHR()` or behind `[char]`, or have a fraction, in rows, members, lines or tables; "
    "in rows also behind the number of each line, or what a log writes before it",
    "numbers of two, four or eight bytes in hexadecimal, or in decimal if an array or words are named; "
    "bits, in a row or a byte at a time; rows of `cmp -l` and of names of characters",
)
