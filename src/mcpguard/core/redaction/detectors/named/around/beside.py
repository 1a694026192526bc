"""Secrets beside or below their name: in tags of HTML and XML, in cells, lines, members, and other languages.

Law of this file: that of `apart`, whose readers these are.
"""

import re

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.columns import CELLS, MARKS, Columns, columns_of
from mcpguard.core.redaction.detectors.named.languages import ACROSS, LEADS, VALUE
from mcpguard.core.redaction.detectors.named.naming import GIVEN, Signal, is_about_one
from mcpguard.core.redaction.detectors.named.shapes import looks_random
from mcpguard.core.redaction.detectors.named.values import (
    BACK,
    DIGIT,
    WORDS_OF_LINE,
    Found,
    Judge,
    Values,
    given,
    name_at_end,
    said,
)

Seen = tuple[list[Found], int]
"""What is to be removed, and where the reading ended."""

_AROUND = 4096
_MARKS_OF_CELLS = b" \t|`*\x82\x83\x91\x94\x95\xe2"
STRING = expression(
    rb"\s{0,32}(?:<value>\s{0,32})?<(string|[Vv]alue|dd|td|stringProp)(?: [^<>\x1f]{0,80})?>"
    rb"([^<\x1f]{4,1024})</\1>"
)
STRING_WITH_A_DIGIT = r"\s{0,32}<(string|value|dd|td)>(?=[^<\x1f0-9]{0,1023}+[0-9])[^<\x1f]{4,1024}+</\1>"
_HEADING = expression(rb"\s{0,64}<t([hd])[^<>\x1f]{0,256}>\s{0,64}([^<\x1f\xff]{0,128})</t\1>")
_NEXT_ROW = expression(
    rb"\s{0,64}</tr>\s{0,64}(?:</thead>\s{0,64})?(?:<tbody[^<>\x1f]{0,256}>\s{0,64})?<tr[^<>\x1f]{0,256}>"
)
_CELL = expression(
    rb"\s{0,64}<td[^<>\x1f]{0,256}>\s{0,64}(?:<\w{1,8}[^<>\x1f]{0,256}>)?([^<\x1f\xff]{0,1024})(?:</\w{1,8}>\s{0,64}){1,2}"
)
_FIELD = expression(rb"""\bvalue\s{0,4}=\s{0,4}\\?(["'])([^"'<>\\\x00-\x1f\xff]{4,256})\\?\1""")
_REACH = 400

_BREAK_OF_LINE = r"(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)"
_END = rf"""(?:[ \t]{{0,8}}(?:{_BREAK_OF_LINE}|[\x1f\xff]|$)|(?<=["'])\s{{0,16}}[,}}\]])"""
"""Of a line, also in a text that JSON has."""
BELOW = expression(
    "".join(
        (
            rf"\*{{0,2}}[ \t]{{0,8}}(?:{_BREAK_OF_LINE}[ \t>]{{0,8}}){{1,3}}",
            rf"(?:`{{3}}\w{{0,12}}{_BREAK_OF_LINE}[ \t>]{{0,8}})?",
            r"""["'`*]{0,3}(?=[^\s\x00-\x1f\xff]{0,64}[0-9])""",
            r"""([^\s\x00-\x1f\xff]{5,511}?[^\s:,"'`*\\\x00-\x1f\xff])["'`*]{0,3}""",
            _END,
        )
    ).encode()
)
REVERSED = expression(
    rb"""([^"'<>\x00-\x1f\xff]{6,512})["'][^<>\x1f\xff]{0,160}?\b(?:name|key|id)=["']([\w.:-]{3,64})["']"""
)
NUMBERED = expression(rb"""[0-9]{1,5}[)#] "([^"\\\x00-\x1f\xff]{4,1024})\"""")
_NUMBERED_NAME = expression(rb"""(?:^|\n)[ \t]{0,16}[0-9]{0,4}[13579][)#] "([\w.:-]{3,64})"\n$""")
_CHANGED = expression(rb"""([\w.-]{3,64})["']?[ \t]{0,64}[=:][ \t]{0,4}"[^"\n]{0,80}"$""")
CELLED = expression(
    rb"""(?:(?<=[|\x82\x91])|[`"'*]{0,2}[ \t]{0,40}(?:\||\xe2\x94[\x82\x83]|\xe2\x95\x91)"""
    rb"""|(?<=[ ]{2})(?=[ ]{0,40}[^ |]))\|?"""
    rb"""[ \t]{0,40}[`"'*]{0,2}"""
    rb"""((?=[^\s|\xe2\x00-\x1f\xff]{0,64}[0-9])[^\s|`"'\xe2\x00-\x1f\xff]{6,256})[`"'*]{0,2}"""
    rb"""[ \t]{0,80}(?:(?:\||\xe2\x94[\x82\x83]|\xe2\x95\x91)[ \t]*)?(?:\r?\n|[\x1f\xff]|$)"""
)
TAGGED = expression(
    rb"(?:\s{0,8}(?:</?[A-Za-z][A-Za-z0-9]{0,15}(?: [^<>\x00-\x1f\xff]{0,128})?>|&nbsp;|\xc2\xa0)){1,6}"
    rb"""\s{0,8}(?=[^\s<\x00-\x1f\xff]{0,64}[0-9])([^\s<>"'`\x00-\x1f\xff]{6,512})(?=[\s<\x1f\xff]|$)"""
)
OBJECT_BELOW = expression(rb"""\\{0,2}["']?[ \t]{0,4}(?:=>|[:=])\s{0,4}\{(?=\s{0,64}\\{0,2}["'\w])""")
DEFAULT = expression(
    rb"""([A-Za-z][\w-]{1,63})"\s{0,4}\{[^}\x00-\x08]{0,400}?\bdefault\s{0,16}=\s{0,4}"([^"\n\x00-\x1f]{4,512})\""""
)
_TEXT_IN_IT = expression(
    rb"""(\s{0,64}),?\s{0,64}\\{0,2}["']?([\w.-]{1,64})\\{0,2}["']?\s{0,4}(?:=>|[:=])\s{0,4}\\{0,2}(["'])"""
    rb"""([^"'\\\x00-\x1f\xff]{0,1024})\\{0,2}\3"""
)
BLOCK_BELOW = expression(rb""":[ \t]{0,8}\r?\n(?=([ \t]{1,32})[\w.-]{1,64}:[ \t])""")
_LINE_IN_IT = expression(
    rb"""([ \t]{1,32})([\w.-]{1,64}):[ \t]{1,8}(["']?)([^\s"'\\\x00-\x1f\xff]{1,1024})\3"""
    rb"""[ \t]{0,8}(?:\r?\n|(?=[\x1f\xff]))"""
)
LIST = expression(rb"""\\{0,2}["']?[ \t]{0,4}(?:=>|[:=])\s{0,4}[\[({](?=\s{0,64}\\{0,2}["'])""")
_ITEM = expression(rb"""\s{0,64},?\s{0,64}\\{0,2}(["'])([^"'\\\x00-\x1f\xff]{4,1024})\\{0,2}\1""")
FLOW = expression(rb""":[ \t]{0,4}\[(?=[ ]?[^\s"'\[\]{},:()\x00-\x1f\xff]{1,512}[,\]])""")
_CELL_OF_FLOW = r"""[^\s"'\[\]{},:()\x00-\x1f\xff]"""
_IN_FLOW = expression(
    rf"(?:,?[ ]?{_CELL_OF_FLOW}{{1,5}}(?=[,\]])){{0,256}}+"
    rf"(,?)[ ]?({_CELL_OF_FLOW}{{6,1024}})(?=[,\]])".encode()
)
"""One that is no shorter than a secret."""
DASHES = expression(rb""":[ \t]{0,8}\r?\n(?=[ \t]{0,32}- )""")
_DASH = expression(
    rb"""[ \t]{0,32}- (["']?)([^\s"'\\\x00-\x1f\xff]{4,1024})\1[ \t]{0,8}(?:\r?\n|(?=[\x1f\xff]))"""
)
_MARK = expression(
    rb"(?:\}[ ]?=[ ]|[ \t](?:-|<<<|'?%s'?|--?[Vv]alue)[ ]"
    rb"|[ \t](?:->|\xe2\x86\x92|\xe2\x80[\x93\x94]|\.{4,64}|\.)[ ]|::[ ]|(?:>>)?[ ]?(?:,|=>)[ ]?<<"
    rb"|[:=][ ]?(?:chr[ ]|(?:Optional)?\[|(?:Some|Optional|SecretString)\()"
    rb"|=[ ]?(?:<<[-~]?[A-Z]{3}|\\|\"{3})?\n[ \t]?|:(?:protected|[\"\w\\]{1,48}:private)\])[\"\n]?$"
)
_MARKED = expression(
    rb"""(?:[ \t]{0,8}=>\s{1,9}(?:&?string\([0-9]{1,4}\) )?|[ \t]{0,32})(["'`]?)"""
    rb"""(?=[^\s"'`\x00-\x1f\xff]{0,64}[0-9])(?=[^\s"'`(){}\x00-\x1f\xff]{6})"""
)
_NEXT_ENTRY = expression(rb"""[ \t]{0,32}(?:--|[\[#;]|(["']?)[\w.-]{1,64}\1[ \t]{0,8}[=:](?!=))""")
"""A line that no value goes on in, though the one above it ends with `=`."""
_NAMES = "password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "key"
MARKED_NAMES = tuple(
    f"{name}{mark}"
    for name in _NAMES
    for mark in (
        *(
            f"{closing}{mark}"
            for closing in ("", "**", "`")
            for mark in (" -> ", " \u2192 ", " \u2013 ", " \u2014 ")
        ),
        *(" - ", " <<< ", " %s ", " '%s' ", " -value ", " --value ", "} = ", "}= "),
        *(" ..... ", " ........ ", " . ", ":: ", " :: ", ":["),
        *("=\n ", "= \n ", " =\n ", " = \n ", "=\n\t", " =\n\t"),
    )
)
"""Names, in any case, with what some languages and lists write behind them."""
MARKS_OF_PAIRS = (
    *('" -> "', ',<<"', '=> <<"', '=><<"', ': chr "', "Some(\n", 'Optional("', 'SecretString("'),
    *("<<EOT\n", "<<-EOT\n", "<<~EOT\n", "<<EOF\n", "<<-EOF\n", "=\\\n", "= \\\n", '= """\n'),
    *(":protected]", ":private]", "Optional[", "=Some(", ": Some("),
)
"""What they write that is rare."""
PEEK_MARKED = _MARKED.pattern.decode()
_OCTETS = expression(rb"\s{1,8}((?:[0-9a-f]{2}(?::\s{0,32}|(?=\s))){8,2048}+)")
CLOSINGS = tuple(
    f"{ahead}{name}>"
    for name in ("password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key")
    for ahead in ("/", ":", "_", "-")
)
_LONGEST_TEXT = 1024
_OPENING = expression(
    rb"<((?:[\w.-]{1,32}:)?[\w.-]{1,64})(?:\s[^<>\x1f]{1,400})?>\s{0,64}([^<>\s\x1f]{4,1024})\s{0,64}</\Z"
)
_END_OF_KEY = b"-----END "
_END_OF_ROW = expression(rb"(?<![A-Za-z0-9+/=-])([A-Za-z0-9+/]{1,4096}+={0,2})(?:\\{1,4}r)?[\\\s]{0,64}$")
_ROW = expression(
    # The first character stands alone, so that a search passes over what cannot be one.
    rb"[A-Za-z0-9+/](?<![A-Za-z0-9+/=_-].)[A-Za-z0-9+/]{13,4095}+={0,2}(?![A-Za-z0-9_-])"
)
"""A row in a line that goes on behind it: in quotes, in a cell of a table, in a command."""
_BREAK = expression(rb"[\n\x1f]|\\n")
_NEAR_END = 96
_BEHIND_A_ROW = b" \t\r\\\"'`+,;.)"
_SHORTEST_ROW, _MOST_ROWS = 20, 250
"""Characters of a row of a key that is not the last, and how many rows are read."""
_LEAST_OF_KEY, _CHARACTERS_OF_KEY = 16, 10
"""Characters of what is left of a key, and how many of them are different."""
FOREIGN = expression(LEADS.encode())


def _rows_in(line: bytes, least: int, several: bool) -> tuple[list[tuple[int, int]], int]:
    """The row of a key with which a line ends, if it has as many characters; else the longest one in it that
    looks random, or all where there may be `several`. And how many characters were found."""
    row = _END_OF_ROW.search(line)
    size = row.end(1) - row.start(1) if row else 0
    if row and size >= least:
        return [row.span(1)], size
    spans = [one.span() for one in _ROW.finditer(line) if looks_random(one[0].decode())]
    longest = max(spans, key=lambda span: span[1] - span[0], default=(0, 0))
    if longest[1] - longest[0] < least:
        return [], size
    return spans[::-1] if several else [longest], longest[1] - longest[0]


def unended(pattern: re.Pattern[bytes]) -> str:
    """Without the end of a line or a text: where a beginning is looked for, nothing shows that."""
    return pattern.pattern.decode().removesuffix(_END).removesuffix(r"(?:\r?\n|[\x1f\xff]|$)")


def singular(name: str) -> str:
    """The name of one of several: `api_keys`, `passwords`."""
    return name if name[-2:].lower() == "ss" else name.removesuffix("s").removesuffix("S")


_TAIL, _LONGEST_TAIL = b"\"': [{\n", 4
"""What a literal may have behind a name."""


class BesideName(Values):
    """What stands beside its name in one text. Each method reads from the end of a literal on."""

    __slots__ = ("_headed",)

    def __init__(self, text: bytes, judge: Judge) -> None:
        super().__init__(text, judge)
        self._headed = -_AROUND  # Where no row begins.

    def number(self, at: int) -> Seen:
        """A private number of a key as OpenSSL prints it."""
        found = _OCTETS.match(self._text, at)
        return ([(*found.span(1), "private-key")], found.end()) if found else ([], at)

    def ended(self, at: int) -> Seen:
        """The rows of a private key above the line that ends it, such as where the end of a file was read;
        something may precede and follow each, and line breaks may be escaped."""
        rows: list[tuple[int, int]] = []
        stop, least = at - len(_END_OF_KEY), 0
        if self._follows_another(stop):
            return [], at
        for index in range(_MOST_ROWS):
            start = self._start_of_line(stop)
            escaped = self._text.rfind(b"\\n", start, stop)
            start = escaped + 2 if escaped >= 0 else start
            line = self._text[start:stop]
            if b"-----BEGIN" in line:  # The format of whole keys says whether it is one.
                return [], at
            if _END_OF_KEY in line:  # It has read what is above it.
                break
            stop = start - 1
            if escaped >= 0 and not line.strip(_BEHIND_A_ROW):
                continue
            some, size = _rows_in(line, least or _LEAST_OF_KEY, index == 0)
            # The last row of a key may be as short as a word.
            if size < least and not (index == 1 and DIGIT.search(line)):
                break
            rows += [(start + begin, start + end) for begin, end in some]
            least = _SHORTEST_ROW if rows else 1
        left = b"".join(self._text[begin:end] for begin, end in rows)
        is_key = len(left) >= _LEAST_OF_KEY and len(set(left)) >= _CHARACTERS_OF_KEY
        return ([(*row, "private-key") for row in rows] if is_key else []), at

    def _follows_another(self, stop: int) -> bool:
        """Whether another key ends shortly before `stop` in the same line: it has read what is above."""
        before = self._text[max(0, stop - _NEAR_END) : stop].rpartition(_END_OF_KEY)
        return bool(before[1]) and _BREAK.search(before[2]) is None

    def _start_of_line(self, at: int) -> int:
        at = max(at, 0)
        start = self._text.rfind(b"\n", max(0, at - _AROUND), at) + 1
        return max(start, self._text.rfind(b"\x1f", start, at) + 1)

    def property(self, at: int) -> Seen:
        """The text of a property list, a configuration or a list of terms, behind its name."""
        found = STRING.match(self._text, at)
        name = name_at_end(self._text[max(0, at - BACK) : self._text.rfind(b"<", 0, at)])
        return self._one(name.encode(), *found.span(2)) if found and name else ([], at)

    def enclosed(self, at: int) -> Seen:
        """The text of an element of XML, from its closing tag on."""
        stop = self._text.rfind(b"</", max(0, at - BACK), at)
        start = self._text.rfind(b"<", max(0, stop - _LONGEST_TEXT - _REACH), max(0, stop))
        found = _OPENING.match(self._text, start, stop + 2) if start >= 0 else None
        name = self._text[stop + 2 : at - 1]
        if found is None or found[1] != name:
            return [], at
        strength = said(name.rpartition(b":")[2].decode("utf-8", "replace"))
        hit = self._secret(*found.span(2), strength) if strength else None
        return [hit] if hit else [], at

    def marked(self, at: int) -> Seen:
        """A secret behind another mark than a colon or an equals sign, such as `password -> …`; in the line
        below, as configurations go on; or behind what PHP shows of a member."""
        before = self._text[max(0, at - BACK) : at]
        mark, lead = _MARK.search(before), _MARKED.match(self._text, at)
        if mark is None or lead is None or (b"\n" in mark[0] and _NEXT_ENTRY.match(self._text, at)):
            return [], at
        ahead = before[: mark.start()]
        changed = _CHANGED.search(ahead)  # `password = "old" -> "new"`
        name = changed[1].decode() if changed else name_at_end(ahead.rstrip(b" \t\"'`*]"))
        strength, opening = said(name), lead[1] or (b'"' if before.endswith(b'"') else b"")
        hit = self._judged(lead.end(), strength, opening, ends=b" \t\r\n\x1f\xff]") if strength else None
        return [hit] if hit and DIGIT.search(self._text, *hit[:2]) else [], at

    def attributed(self, at: int) -> Seen:
        """A value of an element that has its name in an attribute behind: `value="…" name="password"`."""
        found = REVERSED.match(self._text, at)
        strength = said(found[2].decode()) if found else ""
        hit = self._secret(*found.span(1), strength) if found and strength else None
        return [hit] if hit else [], at

    def numbered(self, at: int) -> Seen:
        """The item below its name in a list that Redis prints: `1) "password"`, and `2) "…"`."""
        name = _NUMBERED_NAME.search(self._text[max(0, at - BACK) : at])
        found = NUMBERED.match(self._text, at)
        return self._one(name[1], *found.span(1)) if name and found else ([], at)

    def filled_in(self, at: int) -> Seen:
        """A field of a form that shows no letters: its value, on either side of its type."""
        start = self._text.rfind(b"<", max(0, at - _REACH), at)
        end = self._text.find(b">", at, at + _REACH)
        field = _FIELD.search(self._text, start, end) if 0 <= start < end else None
        hit = self._secret(*field.span(2), "password") if field else None
        return [hit] if hit else [], max(at, end)

    def below(self, at: int) -> Seen:
        """A secret alone in a line, below its name: `Password:`, and maybe an empty line; or behind tags."""
        lead = BELOW.match(self._text, at) or TAGGED.match(self._text, at)
        name = name_at_end(self._text[max(0, at - BACK) : at - 1].rstrip(b"*"))
        strength = said(singular(name)) if lead else ""
        if lead is None or not strength:
            return [], at
        hit = self._secret(*lead.span(1), strength, known_end=False)
        return [hit] if hit else [], lead.end(1)

    def celled(self, at: int) -> Seen:
        """The cell beside the one that has a name alone, in a row of two: `| Password | … |`."""
        found = CELLED.match(self._text, at)
        line = self._text[max(0, at - BACK) : at].replace(b"\x1f", b"\n")
        before = line[line.rfind(b"\n") + 1 :].rstrip(_MARKS_OF_CELLS)
        name = name_at_end(before)
        alone = not WORDS_OF_LINE.sub(b"", before[: len(before) - len(name)]).strip(_MARKS_OF_CELLS)
        hit = (
            self._secret(*found.span(1), said(name), known_end=False)
            if found and alone and said(name)
            else None
        )
        return [hit] if hit else [], at

    def members(self, at: int) -> Seen:
        """The texts of an object that has the name of a password: `"password": {"current": "…"}`, or of
        several keys or tokens: `api_keys: {prod: "…"}`, but of one only that which is its value."""
        tail = self._text[max(0, at - _LONGEST_TAIL) : at]
        at -= len(tail) - len(tail.rstrip(_TAIL))
        at += self._text.startswith((b"s", b"S"), at)
        opening, member = OBJECT_BELOW.match(self._text, at), _TEXT_IN_IT
        if opening is None:
            opening, member = BLOCK_BELOW.match(self._text, at), _LINE_IN_IT
        name = name_at_end(self._text[max(0, at - BACK) : at])
        strength = said(singular(name)) if opening else ""
        several = strength == "password" or name[-1:] in "sS"
        hits: list[Found] = []
        end = opening.end() if opening else at
        while opening and strength and (found := member.match(self._text, end)):
            if member is _LINE_IN_IT and found[1] != opening[1]:
                break
            end = found.end()
            which = found[2].decode()
            about = is_about_one(which) if several else not said(f"{name}_{which}")
            if not about and DIGIT.search(found[4]) and (hit := self._secret(*found.span(4), strength)):
                hits.append(hit)
        return hits, end

    def several(self, at: int) -> Seen:
        """A list under the name of one or several: `"passwords": ["…", "…"]`, also in YAML."""
        tail = self._text[max(0, at - _LONGEST_TAIL) : at]
        at -= len(tail) - len(tail.rstrip(_TAIL))
        opening, item = LIST.match(self._text, at), _ITEM
        for begins, one in ((DASHES, _DASH), (FLOW, _IN_FLOW)):
            if opening is None:
                opening, item = begins.match(self._text, at), one
        name = name_at_end(self._text[max(0, at - BACK) : at])
        strength = said(singular(name)) if opening else ""
        if opening is None or not strength:
            return [], at
        hits: list[Found] = []
        end = opening.end()
        while found := item.match(self._text, end):
            end = found.end()
            # A word is a word in a list, such as one of passwords that are not to be used.
            if DIGIT.search(found[2]) and (hit := self._secret(*found.span(2), strength)):
                hits.append(hit)
        return hits, end

    def default(self, at: int) -> Seen:
        """`variable "db_password" { default = "…" }` of Terraform."""
        found = DEFAULT.match(self._text, at)
        return self._one(found[1], *found.span(2)) if found else ([], at)

    def foreign(self, at: int) -> Seen:
        """A password behind the word for it in another language."""
        return self._foreign(at, "password")

    def foreign_key(self, at: int) -> Seen:
        """A key or a token behind the word for it in another language: it has to look random."""
        return self._foreign(at, "weak")

    def _foreign(self, at: int, strength: Signal) -> Seen:
        lead = FOREIGN.match(self._text, at) if not ACROSS.search(self._text, max(0, at - 4), at) else None
        value = VALUE.match(self._text, lead.end()) if lead else None
        end = value.end() - len(value[0]) + len(value[0].rstrip(b".,:;)]}")) if value else at
        if value is None or DIGIT.search(self._text, value.start(), end) is None:
            return [], at
        hit = self._secret(value.start(), end, strength)
        return [hit] if hit else [], end

    def headed(self, at: int) -> Seen:
        """A table of HTML, from the end of its first heading on; nothing where its row was read before."""
        row = self._text.rfind(b"<tr", max(0, at - _AROUND), at)
        if row == self._headed or (row < 0 and at > _AROUND):
            return [], at
        self._headed = row
        end = self._text.find(b">", row) + 1 if row >= 0 else 0
        names: list[bytes] = []
        sure = True
        while len(names) < CELLS and (heading := _HEADING.match(self._text, end)):
            names.append(heading[2].strip())
            sure = sure and heading[1] == b"h"
            end = heading.end()
        columns, hits = columns_of(tuple(names)), list[Found]()
        while columns.any() and (begins := _NEXT_ROW.match(self._text, end)):
            end = begins.end()
            cells: list[tuple[int, int, bytes]] = []
            while len(cells) < CELLS and (found := _CELL.match(self._text, end)):
                cells.append((*found.span(1), found[1]))
                end = found.end()
            if len(cells) != columns.count:
                break
            hits += self._of_row(columns, cells, sure)
        return hits, max(at, end)

    def _one(self, name: bytes, start: int, end: int) -> Seen:
        strength = said(name.decode("utf-8", "replace"))
        hit = self._secret(start, end, given(strength) if strength else "") if strength else None
        return [hit] if hit else [], end

    def _of_row(self, columns: Columns, row: list[tuple[int, int, bytes]], sure: bool = True) -> list[Found]:
        hits = []
        for index, strength in columns.of(lambda at: row[at][2]):
            start, _, cell = row[index]
            value = cell.strip(MARKS)
            at = start + cell.find(value)
            says = "password" if strength == GIVEN and not sure else strength
            if value and (hit := self._secret(at, at + len(value), says, known_end=sure)):
                hits.append(hit)
        return hits
