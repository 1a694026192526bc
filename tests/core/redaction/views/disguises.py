"""What each disguise of `core/redaction/views/table.py` makes of a text, as programs print it."""

from __future__ import annotations

from typing import NamedTuple


class Disguise(NamedTuple):
    """One disguise, by its name in the table. `hidden` are pairs of what stands in a text and what it says;
    `misses` look alike and say nothing else."""

    name: str
    hidden: tuple[tuple[str, str], ...]
    misses: tuple[str, ...] = ()


_ALL = "say zq3Hv7kP9xWb5nT2mR8cL4aY6d"
_SAYS = "say zq3Hv7kP9xWb5nT2mR8cL4"

EXAMPLES: tuple[Disguise, ...] = (
    Disguise(
        "colours, links and other sequences of a terminal, also where their escape is shown as text",
        (
            ("zq3\x1b[01;31m\x1b[KHv7\x1b[m\x1b[KkP", "zq3Hv7kP"),
            ("zq3\\x1b[0mHv7\\033[0mkP\\e[0m9x", "zq3Hv7kP9x"),
            ("zq3^[[0mHv7", "zq3Hv7"),
        ),
        ("a [0m b", "a^b"),
    ),
    Disguise(
        "escapes of JSON, JavaScript, Go, C and shells, whole or in part",
        (
            ("zq3\\u0048v7kP\\u002B9xWb\\/5nT2", "zq3Hv7kP+9xWb/5nT2"),
            ("zq3\\x48v7\\u{6b}\\U00000050\\0539xWb", "zq3Hv7kP+9xWb"),
            ("zq3\\x00H\\u0000v\\07\\x15k", "zq3Hv7k"),
            ("\\xc3\\x9czq3\\x{48}v7", "\u00dczq3Hv7"),
            ("zq3Hv7kP\\+9xWb\\\n5nT2", "zq3Hv7kP+9xWb5nT2"),
            ("\\\\\\\\u007aq3Hv7", "zq3Hv7"),
        ),
        ("a\\nb", "\\d+", "C:\\users"),
    ),
    Disguise(
        "percent-encoding of any set of characters, also twice",
        (("zq3%48v7kP%2B9x", "zq3Hv7kP+9x"), ("zq3%2548v7", "zq3Hv7")),
        ("100% of it", "%s and %d"),
    ),
    Disguise(
        "entities of HTML, by name or number",
        (("zq3&#72;v7kP&#x2b;9x&plus;&sol;", "zq3Hv7kP+9x+/"), ("&amp;#72;v7", "Hv7")),
        ("this &amp; that", "it&#39;s"),
    ),
    Disguise(
        "tags of HTML within a word, `<wbr>` and CDATA",
        (
            ('zq3<span class="o">Hv7</span><span class="p">kP</span>', "zq3Hv7kP"),
            ("zq3<wbr>Hv7", "zq3Hv7"),
            ("zq3<![CDATA[Hv7]]>", "zq3Hv7"),
        ),
        ("<p>zq3</p> <b>Hv7</b>",),
    ),
    Disguise(
        "quoted-printable, and encoded words in headers of mail",
        (
            ("zq3=48=76=37kP=3D9x", "zq3Hv7kP=9x"),
            ("x" * 72 + "=\nzq3Hv7", "xzq3Hv7"),
            ("=?iso-8859-1?q?say_zq3=48v7kP?=", "say zq3Hv7kP"),
            (
                "=?utf-8?q?zq3Hv?=\n =?utf-8*en?Q?7kP9x?= =?utf-8?B?V2I1blQ=?=\r\n =?utf-8?b?Mm1S?=",
                "zq3Hv7kP9xWb5nT2mR",
            ),
        ),
        ("?a=41&b=42", "K=\nV=\n", "a =?b?c?= d", "?x_y=?a?q=1", "=?utf-8?b?A?=", "=?a?q?b_c"),
    ),
    Disguise(
        "characters that are not seen, and letters in another shape (NFKC)",
        (
            ("zq3\u200bHv7\u2060k\u00adP", "zq3Hv7kP"),
            ("zq3\U000e0020Hv7\u2028k\U00013430P\ufff9x", "zq3Hv7kPx"),
            ("".join(chr(ord(char) + 0xFEE0) for char in "zq3Hv7+"), "zq3Hv7+"),
            ("\U0001d433\U0001d42a3\U0001d407v7", "zq3Hv7"),
            ("".join(chr(0xE0000 + ord(char)) for char in "zq3Hv7"), "zq3Hv7"),
        ),
        ("caf\u00e9 \u4e2d\u6587",),
    ),
    Disguise(
        "line breaks at a width, or `\\n`, also with numbers, marks, names or times before each line, if "
        "that leaves at least four characters in a line, twelve of base64",
        (
            ("zq3Hv7kP9xWb5nT2\nmR8cL4aY6d", "zq3Hv7kP9xWb5nT2mR8cL4aY6d"),
            ("     1\tzq3Hv7kP9xWb5nT2\n     2\tmR8cL4aY6d", "zq3Hv7kP9xWb5nT2mR8cL4aY6d"),
            ("+zq3Hv7kP9xWb5nT2\n+mR8cL4aY6d", "zq3Hv7kP9xWb5nT2mR8cL4aY6d"),
            ("web  | zq3Hv7kP9xWb5nT2\nweb  | mR8cL4aY6d", "zq3Hv7kP9xWb5nT2mR8cL4aY6d"),
            (
                "2026-11-27T17:00:01Z F zq3Hv7kP9xWb5nT2\n2026-11-27T17:00:01Z F mR8cL4aY6d",
                "zq3Hv7kP9xWb5nT2mR8cL4aY6d",
            ),
            ("zq3Hv7kP9xWb5nT2\\nmR8cL4aY6d", "zq3Hv7kP9xWb5nT2mR8cL4aY6d"),
        ),
        ("short lines\nof words\n", "a line that ends with implementation\nand goes on"),
    ),
    Disguise(
        "three rows or more of at most 16 characters, behind numbers or words in capitals; one character "
        "a row, or a text of a list",
        (
            ("say\n" + "\n".join("zq3Hv7kP9xWb5nT2") + "\n", "zq3Hv7kP9xWb5nT2"),
            (str([*"zq3Hv7kP9xWb5nT2"]), "zq3Hv7kP9xWb5nT2"),
            (str([bytes([byte]) for byte in b"zq3Hv7kP9xWb5nT2"]), "zq3Hv7kP9xWb5nT2"),
            (
                "     1\tzq3\n     2\tHv7\n     3\tkP9\n     4\txWb\n     5\t5nT\n",
                "zq3Hv7kP9xWb5nT",
            ),
            ("ALFA zq3\nBRAVO Hv7\nCHARLIE kP9\nDELTA xWb\nECHO 5nT\nend", "zq3Hv7kP9xWb5nT"),
            (
                "".join(f"{at:07o} {byte:02x}\n" for at, byte in enumerate(b"say zq3Hv7kP9xWb5nT2")),
                "say zq3Hv7kP9xWb5nT2",
            ),
            (
                "1:ONQXSID2\n2:OEZUQ5RX\n3:NNIDS6CX\n4:MI2W4VBS\n5:NVJDQY2M\n6:GQ======\n",
                _SAYS,
            ),
        ),
        ("1 a\n2 b\nc\n", "1 a\rb\n2 c\rd\n3 e\rf\n", "12: return x\n13: raise ValueError\n14: x\n"),
    ),
    Disguise(
        "cells of a table that go on in the next row",
        (
            (
                "| a | zq3Hv7kP9xWb5nT2 |\n|   | mR8cL4aY6d       |\n",
                "zq3Hv7kP9xWb5nT2mR8cL4aY6d",
            ),
            ("| a | zqxhvbkpnxwbfntw |\n|   | mR8cL4aY6d       |\n", "zqxhvbkpnxwbfntwmR8cL4aY6d"),
        ),
        ("| a | b |\n|---|---|\n| some words | more of them |\n",),
    ),
    Disguise(
        "base64, also for URLs, in lines or joined to a path",
        (
            ("c2F5IHpxM0h2N2tQOXhXYjVuVDJtUjhjTDQ=", _SAYS),
            ("/a/b/c2F5IHpxM0h2N2tQOXhXYjVuVDJtUjhjTDQ", _SAYS),
            ("c2F5IHpxM0h2N2tQOXhX\nYjVuVDJtUjhjTDQ=", _SAYS),
            ("c2F5IHpxM0h2N2tQOXhX\\nYjVuVDJtUjhjTDQ=", _SAYS),
            ("gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJVzYXkgenEzSHY3a1A5eFdiNW5UMm1SOGNMNA==", _SAYS),
            ("gJVzYXkgenEzSHY3a1A5eFdiNW5UMm1SOGNMNP8=", _SAYS),
        ),
        ("src/mcpguard/core/redaction/Views", "0a1b2c3d" * 8),
    ),
    Disguise(
        "hexadecimal, also with marks between the bytes or in rows behind something else, and base32",
        (
            ("736179207a71334876376b50397857623562", "say zq3Hv7kP9xWb5b"),
            ("8004" + "00" * 17 + "95736179207a71334876376b5039785762", "say zq3Hv7kP9xWb"),
            ("73:61:79:20:7a:71:33:48:76:37:6b:50:39", "say zq3Hv7kP9"),
            ("0x73, 0x61, 0x79, 0x20, 0x7a, 0x71, 0x33, 0x48, 0x76, 0x37, 0x6b, 0x50", "say zq3Hv7kP"),
            (
                "[[0x73 0x61 0x79 0x20 0x7a 0x71]\n [0x33 0x48 0x76 0x37 0x6b 0x50]]",
                "say zq3Hv7kP",
            ),
            ("<Buffer 73 61 79 20 7a 71 33 48 76 37 6b 50>", "say zq3Hv7kP"),
            ("ONQXSID2OEZUQ5RXNNIDS6CXMI2W4VBSNVJDQY2MGQ======", _SAYS),
        ),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "aa:bb:cc:dd:ee:ff"),
    ),
    Disguise(
        "what is packed with gzip, zlib, deflate, bzip2, xz, lzma or zip within these, and files in tar",
        (
            (
                "H4sIAAAAAAACAytOrFSoKjT2KDPPDrCsCE8yzQsxyg2ySPYxAQDooKWoGgAAAA==",
                _SAYS,
            ),
            ("eJwrTqxUqCo09igzzw6wrAhPMs0LMcoNskj2MQEAekwIqQ==", _SAYS),
            ("K06sVKgqNPYoM88OsKwITzLNCzHKDbJI9jEBAA==", _SAYS),
            (
                "QlpoOTFBWSZTWfWX4TQAAAqfgEAAHuAARFSAOAspcCAAMUAAAZMgoBAxMnqfqPSGopjV79p+Mk6AQLklV2LuSKcKEh6y/CaA",
                _SAYS,
            ),
            (
                "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAZc2F5IHpxM0h2N2tQOXhXYjVuVDJtUjhjTDQAAADaEpVsLGyk/QABMhogGJQwH7bzfQEAAAAABFla",
                _SAYS,
            ),
            ("XQAAgAD//////////wA5mEuUISdc7b5bwMWLk49MAv0eruzRzzYGH8yOIWw4jr//9IhAAA==", _SAYS),
        ),
    ),
    Disguise(
        "dumps of `xxd`, `hexdump`, `hexyl`, `od`, `objdump`, `tcpdump`, `curl --trace` and debuggers, of "
        "bytes, words, bits and numbers of up to eight bytes, also with a fraction; without offsets only if "
        "there are several rows; also where a log or a diff writes something before each row",
        (
            ("00000000: 7361 7920 7a71 3348 7637 6b50  say zq3Hv7kP", "say zq3Hv7kP"),
            ("00000000  73 61 79 20 7a 71 33 48  76 37 6b 50  |say zq3Hv7kP|", "say zq3Hv7kP"),
            ("0000000 6173 2079 717a 4833 3776 506b", "say zq3Hv7kP"),
            ("0000000   s   a   y       z   q   3   H   v   7   k   P", "say zq3Hv7kP"),
            (
                "0000000   s   a   y  sp   z   q   3   H   v   7   k   P   9   x   W   b\n"
                "0000020   5   n   T   2  nl\n0000025",
                "say zq3Hv7kP9xWb5nT2\n",
            ),
            (
                "00000000: 6361 6665  cafe\n00000004: 207a 7133   zq3\n00000008: 4876 376b  Hv7k",
                "cafe zq3Hv7k",
            ),
            (
                "00000000: 7361 7920 7a71 33  say zq3\n00000007: 4876 376b 5039 78  Hv7kP9x\n"
                "0000000e: 5762 356e 5432     Wb5nT2",
                "say zq3Hv7kP9xWb5nT2",
            ),
            (
                "00000000: 20796173 4833717a 506b3776 62577839  say zq3Hv7kP9xWb\n"
                "00000010: 32546e35 6338526d 5961344c     6436  5nT2mR8cL4aY6d",
                _ALL,
            ),
            (
                "00000000: 736179207a713348 76376b5039785762  say zq3Hv7kP9xWb\n"
                "00000010: 356e54326d523863 4c3461593664      5nT2mR8cL4aY6d",
                _ALL,
            ),
            (
                "00000000: 01110011 01100001 01111001 00100000 01111010 01110001  say zq\n"
                "00000006: 00110011 01001000 01110110 00110111 01101011 01010000  3Hv7kP\n"
                "0000000c: 00111001 01111000 01010111 01100010 00110101 01101110  9xWb5n\n"
                "00000012: 01010100 00110010 01101101 01010010 00111000 01100011  T2mR8c\n"
                "00000018: 01001100 00110100 01100001 01011001 00110110 01100100  L4aY6d",
                _ALL,
            ),
            (
                "0000000   24947   08313   29050   18483   14198   20587   30777   25175\n"
                "0000010   28213   12884   21101   25400   13388   22881   25654        \n"
                "000001e",
                _ALL,
            ),
            (
                "0000000    6173    2079    717a    4833    3776    506b    7839    6257\n"
                "0000010    6e35    3254    526d    6338    344c    5961    6436        \n"
                "000001e",
                _ALL,
            ),
            (
                "0000000  060563  020171  070572  044063  033566  050153  074071  061127\n"
                "0000010  067065  031124  051155  061470  032114  054541  062066        \n"
                "000001e",
                _ALL,
            ),
            (
                "0000000 115  97 121  32 122 113  51  72 118  55 107  80  57 120  87  98\n"
                "0000020  53 110  84  50 109  82  56  99  76  52  97  89  54 100\n"
                "0000036",
                _ALL,
            ),
            (
                "0000000   544825715  1211330938  1349203830  1649899577\n"
                "0000020   844394037  1664635501  1499542604       25654\n"
                "0000036",
                _ALL,
            ),
            (
                "0000000 4833717a20796173 62577839506b3776\n"
                "0000020 6338526d32546e35 000064365961344c\n"
                "0000036",
                _ALL,
            ),
            (
                "\n".join(
                    f"{at:08x}: {_ALL[at : at + 3].encode().hex(' ', -2)}  {_ALL[at : at + 3]}"
                    for at in range(0, len(_ALL), 3)
                ),
                _ALL,
            ),
            (
                "\n".join(
                    f"{at:08x}: {ord(_ALL[at]):08b} {ord(_ALL[at + 1]):08b}  {_ALL[at : at + 2]}"
                    for at in range(0, len(_ALL), 2)
                ),
                _ALL,
            ),
            (
                "".join(f"{at:07o} {_ALL[at : at + 4].encode().hex(' ')}\n" for at in range(0, len(_ALL), 4))
                + "0000036",
                _ALL,
            ),
            (
                "0000000  5202626763887829363  7086264726248437622\n"
                "0000020  7149555037399969333      110184590554188\n"
                "0000036",
                _ALL,
            ),
            (
                " 24947  8313 29050 18483 14198 20587 30777 25175\n"
                " 28213 12884 21101 25400 13388 22881 25654",
                _ALL,
            ),
            (
                " 6173 2079 717a 4833 3776 506b 7839 6257\n 6e35 3254 526d 6338 344c 5961 6436",
                _ALL,
            ),
            (
                "0000000 04036260563 11014670572 12032633566 14225674071\n"
                "0000020 06225067065 14316051155 13130232114 00000062066\n"
                "0000036",
                _ALL,
            ),
            (
                "0000000 0440633427504036260563 0611273603452032633566\n"
                "0000020 0614702446646225067065 0000003103313130232114\n"
                "0000036",
                _ALL,
            ),
            (
                "0000000   2.1123364e-19        183749.9   1.5785122e+10    9.936782e+20\n"
                "0000020   1.2365082e-08   3.4001403e+21   3.9618357e+15      3.5949e-41\n"
                "0000036",
                _ALL,
            ),
            (
                "0000000    6.616201853892142e+39   5.406096261895804e+165\n"
                "0000020   9.179023374091685e+169     5.4438420893908e-310\n"
                "0000036",
                _ALL,
            ),
            ("0x7ffd0010:\t0x20796173\t0x4833717a\t0x506b3776\t0x62577839", "say zq3Hv7kP9xWb"),
            ("\t0x0000:  7361 7920 7a71 3348 7637 6b50 3978 5762  say.zq3Hv7kP9xWb", "say zq3Hv7kP9xWb"),
            (" 400000 73617920 7a713348 76376b50 39785762  say zq3Hv7kP9xWb", "say zq3Hv7kP9xWb"),
            (
                "bad request: 00000000: 7361 7920 7a71 3348 7637 6b50 3978 5762  say zq3Hv7kP9xWb\n"
                "00000010: 356e 5432 6d52                           5nT2mR",
                "say zq3Hv7kP9xWb5nT2mR",
            ),
            (
                "09:00:00,123 DEBUG wire:00000000  73 61 79 20 7a 71 33 48  |say zq3H|\n"
                "09:00:00,123 DEBUG wire:00000008  76 37 6b 50              |v7kP|",
                "say zq3Hv7kP",
            ),
            (
                "+00000000  73 61 79 20 7a 71 33 48  |say zq3H|\n+00000008  76 37 6b 50              |v7kP|",
                "say zq3Hv7kP",
            ),
            (
                "0000: 73 61 79 20 7a 71 33 48 say zq3H\n0008: 76 37 6b 50             v7kP",
                "say zq3Hv7kP",
            ),
            (
                "0000 - 73 61 79 20 7a 71 33 48-76 37 6b 50 39 78 57 62   say zq3Hv7kP9xWb\n"
                "0010 - 35 6e 54 32                                       5nT2",
                "say zq3Hv7kP9xWb5nT2",
            ),
            (
                "0000:   73 61 79 20  7a 71 33 48   say zq3H\n0008:   76 37 6b 50                v7kP",
                "say zq3Hv7kP",
            ),
            (
                "│00000000│ 73 61 79 20 7a 71 33 48 ┊ 76 37 6b 50 39 78 57 62 │say zq3H┊v7kP9xWb│\n"
                "│00000010│ 35 6e 54 32             ┊                         │5nT2    ┊        │",
                "say zq3Hv7kP9xWb5nT2",
            ),
        ),
        (
            "00000000: nothing of that",
            "0000012 files",
            "error: 0000ab1: 12 of 34 files",
            "│00000000│ 89 50 4e 47 0d 0a 1a 0a ┊ 00 00 00 0d 49 48 44 52 │.PNG__•_┊⋄⋄⋄_IHDR│",
        ),
    ),
    Disguise(
        "character codes in a list, as Node, Go and Python print bytes, or that follow a number, stand in "
        "`CHR()` or behind `[char]`, or have a fraction, in rows, members, lines or tables; "
        "in rows also behind the number of each line, or what a log writes before it",
        (
            *(
                (form.format(mark.join(map(str, b"zq3Hv7kP9xWb"))), "zq3Hv7kP9xWb")
                for form, mark in (
                    ('{{"type":"Buffer","data":[{}]}}', ","),
                    ("bytes([{}])", ", "),
                    ("{{Body:[{}] Size:12}}", " "),
                    ("[\n        {}\n    ]", ",\n        "),
                )
            ),
            (f"[{', '.join(map(str, b'AKIA7Q2Z9XW3'))}]", "AKIA7Q2Z9XW3"),
            (
                "[[0, 122], [1, 113], [2, 51], [3, 72], [4, 118], [5, 55], [6, 107], [7, 80], [8, 57], "
                "[9, 120], [10, 87], [11, 98], [12, 53]]",
                "zq3Hv7kP9xWb5",
            ),
            (
                "[122.0, 113.0, 51.0, 72.0, 118.0, 55.0, 107.0, 80.0, 57.0, 120.0, 87.0, 98.0, 53.0]",
                "zq3Hv7kP9xWb5",
            ),
            (
                '{"0": 122, "1": 113, "2": 51, "3": 72, "4": 118, "5": 55, "6": 107, "7": 80, "8": 57, '
                '"9": 120, "10": 87, "11": 98}',
                "zq3Hv7kP9xWb",
            ),
            ("||".join(f"CHR({code})" for code in b"zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
            ("+".join(f"[char]{code}" for code in b"zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
            (str(dict(enumerate(b"zq3Hv7kP9xWb"))), "zq3Hv7kP9xWb"),
            (
                f"map[{' '.join(f'{at}:{code}' for at, code in enumerate(b'zq3Hv7kP9xWb'))}]",
                "zq3Hv7kP9xWb",
            ),
            (
                "".join(f"  [{at}]=>\n  int({code})\n" for at, code in enumerate(b"zq3Hv7kP9xWb")),
                "zq3Hv7kP9xWb",
            ),
            (
                "".join(f"    [{at}] => {code}\n" for at, code in enumerate(b"zq3Hv7kP9xWb")),
                "zq3Hv7kP9xWb",
            ),
            (
                "".join(f"│ {at:<7} │ {code:<6} │\n" for at, code in enumerate(b"zq3Hv7kP9xWb")),
                "zq3Hv7kP9xWb",
            ),
            (
                "".join(f"{at:>3} | {code:>4}\n" for at, code in enumerate(b"zq3Hv7kP9xWb")),
                "zq3Hv7kP9xWb",
            ),
            (
                " [1] 122 113  51  72 118  55 107  80  57 120  87  98\n[13]  53 110",
                "zq3Hv7kP9xWb",
            ),
            (
                "\t.byte\t122, 113, 51, 72, 118, 55\n\t.byte\t107, 80, 57, 120, 87, 98\n",
                "zq3Hv7kP9xWb",
            ),
            (
                "0,122\n1,113\n2,51\n3,72\n4,118\n5,55\n6,107\n7,80\n8,57\n9,120\n10,87\n11,98\n",
                "zq3Hv7kP9xWb",
            ),
        ),
        (
            "[[0, 17], [1, 13], [2, 14], [3, 12]]",
            "[1.0, 12.0, 13.0, 14.0]",
            "SELECT CHR(13)||CHR(10)",
            "{0: 17, 1: 13, 2: 14, 3: 12, 4: 13}",
            "| 3 | 12 |\n| 4 | 15 |\n| 5 | 11 |\n",
        ),
    ),
    Disguise(
        "numbers of two, four or eight bytes in hexadecimal, or in decimal if an array or words are named; "
        "bits, in a row or a byte at a time; rows of `cmp -l` and of names of characters",
        (
            ("{0x7a713348, 0x76376b50, 0x39785762}", "zq3Hv7kP9xWb"),
            ("{0x4833717aUL, 0x506b3776UL, 0x62577839UL}", "zq3Hv7kP9xWb"),
            ("0x506b37764833717a, 0x38526d5262577839,", "zq3Hv7kP9xWbRmR8"),
            ("0x7a71, 0x3348, 0x7637, 0x6b50, 0x3978, 0x5762", "zq3Hv7kP9xWb"),
            ('{"words": [2054239048, 1983343440, 964187998], "sigBytes": 12}', "zq3Hv7kP9xW^"),
            ("Uint32Array(3) [ 1211330938, 1349203830, 1649899577 ]", "zq3Hv7kP9xWb"),
            ("    [1] => 2054239048\n    [2] => 1983343440\n    [3] => 964187998\n", "zq3Hv7kP9xW^"),
            (" ".join(f"{byte:08b}" for byte in b"zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
            (str([bin(byte) for byte in b"zq3Hv7kP9xWb"]), "zq3Hv7kP9xWb"),
            ("".join(f"{byte:08b}" for byte in b"zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
            ("".join(f"{byte:08b}"[::-1] for byte in b"zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
            ("".join(f"{at:>3} {byte:>3o}  55\n" for at, byte in enumerate(b"zq3Hv7kP9xWb")), "zq3Hv7kP9xWb"),
            ("".join(f"U+{ord(char):04X} {char} A LETTER\n" for char in "zq3Hv7kP9xWb"), "zq3Hv7kP9xWb"),
        ),
        (
            "0x2028, 0x2029, 0xfeff, 0x77073096, 0x6e0e612c, 0xee0e612c",
            "[1700000000, 1700000060, 1700000120]",
            '{"words": [1700000000, 4294967296]}',
            '{"words": [99999999999999999999, 99999999999999999999]}',
            "0b110000, 0b110001" + "00" * 40,
        ),
    ),
)
