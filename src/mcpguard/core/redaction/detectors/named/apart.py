"""Secrets whose name stands apart: at the head of a column, in a list of columns, in another member.

Law of this file: a reader looks around one place over a bounded number of bytes, or along the rows that
follow it, and says up to where it has read, so that nothing is read twice.
"""

import re
from collections.abc import Callable
from itertools import islice

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named import documents
from mcpguard.core.redaction.detectors.named.around import grids, pages, printed
from mcpguard.core.redaction.detectors.named.around.beside import (
    BELOW,
    BLOCK_BELOW,
    CELLED,
    CLOSINGS,
    DASHES,
    DEFAULT,
    FLOW,
    LIST,
    MARKED_NAMES,
    MARKS_OF_PAIRS,
    NUMBERED,
    OBJECT_BELOW,
    PEEK_MARKED,
    REVERSED,
    STRING,
    STRING_WITH_A_DIGIT,
    TAGGED,
    Seen,
    unended,
)
from mcpguard.core.redaction.detectors.named.around.columns import (
    BARS,
    CELLS,
    Cells,
    aligned,
    are_heads,
    barred,
    columns_of,
    count,
    delimited,
    fixed,
    may_be_heads,
    rows_below,
    separator_in,
    starts_of,
)
from mcpguard.core.redaction.detectors.named.around.groups import Groups
from mcpguard.core.redaction.detectors.named.around.items import ITEMS, SERIES
from mcpguard.core.redaction.detectors.named.around.statements import (
    BARE_INSERT,
    COLUMNS,
    CREATED,
    RULE,
)
from mcpguard.core.redaction.detectors.named.documents import Documents
from mcpguard.core.redaction.detectors.named.languages import (
    LEADS,
    SPOKEN,
    SPOKEN_KEYS,
    WRITTEN,
    WRITTEN_KEYS,
)
from mcpguard.core.redaction.detectors.named.literals import PrintedText
from mcpguard.core.redaction.detectors.named.naming import GIVEN
from mcpguard.core.redaction.detectors.named.objects import of_kubernetes
from mcpguard.core.redaction.detectors.named.values import Found, Judge, crumbs

_NAMES = (
    *("password", "passwd", "pwd", "_pass", "secret", "token", "api_key", "apikey", "passphrase", " key"),
    *("_key", "passcode"),
)
_ALONE = ("password", "passphrase", "passwd", "passcode", "token", "secret", "key", "pwd", "pass")
_BARS = (" |", "  ", "|", "` |", "** |", " \u2502", " \u2551")
_SEVERAL = (
    *("passwords", "passphrases", "secrets", "tokens", "api_keys", "apikeys", "api-keys"),
    *("api keys", "access_keys"),
)
_OWNERS = tuple(
    f"{name}{end}"
    for name in ("secret", "token", "api_key", "apikey", "api-key", "access_key")
    for end in ('": {', '":{', ":\n", 's": {', 's":{', "s:\n", "s: {")
)
_BREAKS = *(f"{mark}\n" for mark in ("", "**", "__", "s")), "s**\n", "\\n", "**\\n", "s\\n"
_KINDS = (
    *("kind: Secret", '"kind": "Secret"', '"kind":"Secret"'),
    *(r"\"kind\": \"Secret\"", r"\"kind\":\"Secret\""),
)
_LISTED = tuple(f"{name[:-1]}{end}" for name in _SEVERAL for end in ('": [', '":[', "': [", ":\n"))
_AROUND = 4096
_HEAD = expression(rb"(?i)pass|pwd|secret|token|key|value")
_COST_OF_A_HEAD = 8
_RUN = expression(rb"[-=]{2,}")
_MEMBER_OF_JWK = expression(
    rb"""["'](?:d|p|q|dp|dq|qi|k)\\?["']\s{0,4}:\s{0,4}\\?["']([A-Za-z0-9_-]{20,2048})\\?["']"""
)
_VALUE = expression(rb"""\\?["']\s{0,4}:\s{0,4}(\\?["'])([^"'\\\x00-\x1f\xff]{4,1024})\\?["']""")
_NAME = expression(
    rb"""(?:["'\s{,](?:[A-Za-z_]{0,24}(?:name|key|Name|Key)|variable|id|label|field|setting))\\?["']?\s{0,4}:\s{0,4}\\?["']?"""
    rb"(?:/(?:[\w.-]{1,64}/){0,8})?([A-Za-z][A-Za-z0-9_.-]{2,63})"
)
_OWNER = expression(rb"""["']([A-Za-z][A-Za-z0-9_.-]{2,63})\\?["']\s{0,4}:\s{0,4}\{$""")
_BELOW_NAME = expression(
    rb"""(?:^|\n)[ \t-]{0,32}(?:name|key):[ \t]{1,4}["']?([A-Za-z][\w.-]{2,63})["']?[ \t]*\r?\n"""
    rb"""(?:[ \t]{1,32}\w{1,32}:[^\n\x1f]{0,80}\n){1,4}[ \t]{1,32}value: ["']?$"""
)
_IN_YAML = expression(rb"""["']?([^\s"'\x00-\x1f\xff]{4,1024})["']?[ \t]{0,8}(?:\r?\n|[\x1f\xff]|$)""")
_VALUE_IN_YAML = expression(
    rb"""["']?([^\s"'\x00-\x1f\xff]{4,1024})["']?[ \t]{0,8}\r?\n"""
    rb"""[ \t]{1,32}(?:name|key):[ \t]{1,4}["']?([A-Za-z][\w.-]{2,63})"""
)
_BLOCK = expression(
    rb"""(?:^|[\n\x1f\xff])([ \t]{0,32})(?P<data>data|stringData):[ \t]*\r?\n"""
    rb"""((?:\1[ \t]+[^\n\x1f]{1,4096}(?:\n|(?=\x1f)|$)){1,64})"""
)
_LINE_OF_BLOCK = expression(
    rb"""(?m)^[ \t]+["']?([A-Za-z0-9_.-]{1,64})["']?:[ \t]*["']?([^\s"'|>\x1f\xff]{4,4096})["']?[ \t]*\r?"""
    rb"""(?:$|(?=[\x1f\xff]))"""
)
_OBJECT = expression(rb"""\\?"(?P<data>data|stringData)\\?"\s{0,8}:\s{0,8}\{([^{}]{4,8192})\}""")
_MEMBER = expression(rb"""\\?"([A-Za-z0-9_.-]{1,64})\\?"\s{0,8}:\s{0,8}\\?"([^"\\\x00-\x1f]{4,4096})\\?\"""")
_NUMBERS = (
    *("privateExponent:", "prime1:", "prime2:", "exponent1:", "exponent2:", "coefficient:"),
    *("priv:", "private key:"),
)
_BEHIND_PRINTED = expression(documents.PEEK_PRINTED.encode())
_PGPASS = expression(
    rb"[^:\s\x00-\x1f]{1,64}:[^:\s\x00-\x1f]{1,64}:([^\s:\x00-\x1f\xff]{4,128})(?:\r?\n|\s*$|[\x1f\xff])"
)


class ApartFromName(Groups):
    """What stands apart from its name in one text. Each method reads from the end of a literal on."""

    __slots__ = ("_printed",)

    def __init__(self, text: bytes, judge: Judge, spend: Callable[[int], None]) -> None:
        super().__init__(text, judge, spend)
        self._printed = PrintedText(text, lambda strength, value: judge(strength, value, True), spend)

    @property
    def documents(self) -> Documents:
        """The JSON of the text."""
        return self._printed.documents

    def separated(self, at: int) -> Seen:
        """Values between commas, semicolons, tabs or spaces, below a line of their names."""
        start, end = self._line(at - 1)
        head = self._text[start:end]
        if not may_be_heads(head):
            return [], end
        self._spend(_COST_OF_A_HEAD)
        char = separator_in(head)
        if not char:
            return self._aligned(head, end) if b"  " in head else ([], end)
        above = self._text[self._start_of_line(start - 1) : max(start - 1, 0)]
        if char in above and count(above, char) == count(head, char):
            # It is one row among others, and so are those below it.
            rows = rows_below(char, count(head, char)).match(self._text, end)
            return [], rows.end() if rows else end
        names = [cell for _, _, cell in delimited(head, 0, char)]
        if not are_heads(names):
            return [], end
        return self._rows(columns_of(tuple(names)), end, lambda line, begin: delimited(line, begin, char))

    def _aligned(self, head: bytes, end: int) -> Seen:
        """Columns with two spaces or more between them, as `kubectl get` prints them. What stands so may be
        a list of words with what they mean, so that a word is not a secret."""
        starts = starts_of(head)
        if len(starts) == 1:
            return self.sole(end + 1)
        names = [cell.strip() for _, _, cell in fixed(starts)(head, 0)]
        if not are_heads(names):
            return [], end
        return self._rows(columns_of(tuple(names)), end, aligned(head, starts), sure=False)

    def ruled(self, at: int) -> Seen:
        """A table with lines between its columns, or below their names."""
        start, end = self._line(at - 1)
        if not RULE.fullmatch(self._text[start:end].rstrip(b"\r")):
            return [], end
        head_start, head_end = self._above_types(*self._line(start - 1))
        if head_end < start - 1 or not _HEAD.search(self._text[head_start:head_end]):
            if not self._text.startswith(b"+", start):
                return [], end
            head_start, head_end = self._line(end + 1)
            end = head_end
        head = self._text[head_start:head_end]
        if head_end > len(self._text) or not _HEAD.search(head) or self._is_amid(head_start):
            return [], end
        if BARS.search(head):
            cells: Cells = barred
        else:
            rule = self._text[start : self._line(at - 1)[1]]
            starts = [found.start() for found in islice(_RUN.finditer(rule), CELLS)]
            cells = fixed(starts)
        return self._rows(columns_of(tuple(cell for _, _, cell in cells(head, 0))), end, cells)

    def _above_types(self, start: int, end: int) -> tuple[int, int]:
        """Where the names stand, if the line with these bounds has the types below them, as polars prints."""
        rule_start, rule_end = self._line(start - 1)
        rule = self._text[rule_start:rule_end]
        of_polars = b"\xe2\x94\x82 ---" in rule and RULE.fullmatch(rule) is not None
        return self._line(rule_start - 1) if of_polars else (start, end)

    def _is_amid(self, at: int) -> bool:
        """Whether the row that begins at a place has a line above it, and above that another row."""
        start, end = self._line(at - 1)
        if at < 1 or not (self._text.startswith(b"+", start) and RULE.fullmatch(self._text[start:end])):
            return False
        return start > 0 and self._text.startswith(b"|", self._line(start - 1)[0])

    def record(self, at: int) -> Seen:
        """A row that psql shows with a line for each column."""
        hits: list[Found] = []
        end = self._line(at)[1]
        for _ in range(CELLS):
            start, stop = end + 1, self._end_of_line(end + 1)
            name, bar, value = self._text[start:stop].partition(b"|")
            if not bar:
                break
            hits += self._one(name.strip().replace(b" ", b"_"), stop - len(value.lstrip()), stop)[0]
            end = stop
        return hits, end

    def jwk(self, at: int) -> Seen:
        """The private members of a key in JSON (RFC 7517 and 7518)."""
        start = max(0, at - _AROUND, self._text.rfind(b"{", max(0, at - _AROUND), at))
        end = self._text.find(b"}", at, at + _AROUND)
        end = end if end >= 0 else min(len(self._text), at + _AROUND)
        return [
            hit
            for found in _MEMBER_OF_JWK.finditer(self._text, start, end)
            if (hit := self._secret(*found.span(1), "token"))
        ], end

    def valued(self, at: int) -> Seen:
        """The value of an object that has its name in another member, or before it."""
        found = _VALUE.match(self._text, at)
        start = self._text.rfind(b"{", max(0, at - 400), at)
        if found is None or start < 0:
            return [], at
        end = self._text.find(b"}", found.end(), found.end() + 400)
        owner = _OWNER.search(self._text[max(0, start - 80) : start + 1])
        ahead, behind = self._text[start:at], self._text[found.end() : max(end, found.end())]
        name = _NAME.search(ahead) or _NAME.search(behind) or owner
        if name and name[1].lower().endswith(b"cookie"):
            start, end = found.span(2)
            hits = [self._secret(start + first, start + last, "weak") for first, last in crumbs(found[2])]
            return [hit for hit in hits if hit], end
        return self._one(name[1], *found.span(2)) if name else ([], at)

    def listed(self, at: int) -> Seen:
        """`value: …` in YAML, and `name: DB_PASSWORD` below it, or above with others between."""
        if found := _VALUE_IN_YAML.match(self._text, at):
            return self._one(found[2], *found.span(1))
        above = _BELOW_NAME.search(self._text[max(0, at - 400) : at])
        found = _IN_YAML.match(self._text, at) if above else None
        return self._one(above[1], *found.span(1)) if above and found else ([], at)

    def secret(self, at: int) -> Seen:
        """A Secret of Kubernetes, as YAML or JSON: its data in base64, and as text."""
        start, end = max(0, at - _AROUND), min(len(self._text), at + 2 * _AROUND)
        hits: list[Found] = []
        for block, one in ((_BLOCK, _LINE_OF_BLOCK), (_OBJECT, _MEMBER)):
            which, members = block.groupindex["data"], block.groups
            for found in block.finditer(self._text, start, end):
                for member in one.finditer(self._text, *found.span(members)):
                    if hit := self._of_kubernetes(member, found[which] == b"stringData"):
                        hits.append(hit)
        return hits, end

    def document(self, at: int) -> Seen:
        """The JSON in which a text ends that names something, or what others print so."""
        return self._printed.secrets(at)

    def printed(self, at: int) -> Seen:
        """The same for lists and objects in other quotes, and for what is escaped."""
        behind = _BEHIND_PRINTED.match(self._text, at)
        return self._printed.secrets(behind.end()) if behind else ([], at)

    def pgpass(self, at: int) -> Seen:
        """A line of `.pgpass`, from behind its port on."""
        found = _PGPASS.match(self._text, at)
        start, _ = self._line(at)
        host = self._text[start:at].rstrip(b":").rpartition(b":")[0]
        if found is None or not host or b":" in host or b" " in host:
            return [], at
        hit = self._secret(*found.span(1), GIVEN)
        return [hit] if hit else [], found.end()

    def _of_kubernetes(self, member: re.Match[bytes], plain: bool) -> Found | None:
        kind = of_kubernetes(member[1].decode(), member[2], plain, self._is_secret)
        return (*member.span(2), kind) if kind else None

    def _is_secret(self, strength: str, value: bytes) -> bool:
        return self.judge(strength, value, True)

    def _line(self, at: int) -> tuple[int, int]:
        """Where the line that a place is in begins and ends."""
        at = max(at, 0)
        return self._start_of_line(at), self._end_of_line(at)


Read = Callable[[ApartFromName, int], Seen]

_NO_HEAD = r"[\"' ]?[0-9]"
"""Begins a cell that is not the name of a column."""
_NEXT_LINE = (
    rf"(?!(?<=[,;\t|]){_NO_HEAD})"
    r"(?:(?<=\n)[^\r\n\x1f\xff]|(?=[\"'A-Za-z0-9_ .,;\t()-]{0,400}+\r?\n[^\r\n\x1f\xff])"
    rf"[^,;\t\n]*+(?:[,;\t](?!{_NO_HEAD})[^,;\t\n]*+)*+\n)"
)
_BORDERS = (
    "-+-", "=+=", "|--", "| --", "|:-", "| :-", "--  --", "==  ==", "== ==", "---   ",
    "\u253c\u2500", "\u251c\u2500", "\u256a\u2550", "\u255e\u2550",
    "\u2521\u2501",
)  # fmt: skip
_SEPARATORS = tuple(
    form.replace("N", name)
    for name in _NAMES
    for form in (
        *("N,", ",N", "N\t", "\tN", "N;", ";N", "N|", "|N", 'N",', ',"N', 'N";', "N',", ",'N"),
        *("N\n", "N\r\n", "N  ", 'N"\n', 'N"\r\n'),
    )
)
LOOKS: tuple[tuple[tuple[str, ...], bool, str, Read], ...] = (
    (_SEPARATORS, True, _NEXT_LINE, ApartFromName.separated),
    ((",value", "\tvalue"), True, r"[a-z0-9_ ,\t]{0,200}+\r?\n[^\r\n\x1f\xff]", ApartFromName.separated),
    (_BORDERS, False, "", ApartFromName.ruled),
    (
        tuple(f"{name}\u2500" for name in _NAMES),
        True,
        "(?:\u2500){0,64}[\\xe2]\\x94[\\x90\\xac]",
        ApartFromName.boxed,
    ),
    (("\nName: ",), False, SERIES, ApartFromName.series),
    (("--+\n",), False, r"\|", ApartFromName.ruled),
    (("-[ RECORD ",), False, r"[0-9]", ApartFromName.record),
    (tuple(f"{name}{end}" for name in _NAMES for end in (" \n--", "\n--")), True, "", ApartFromName.ruled),
    (("insert into ", "replace into ", "copy "), True, COLUMNS.pattern.decode(), ApartFromName.inserted),
    (('"kty',), False, "", ApartFromName.jwk),
    (("value",), True, _VALUE.pattern.decode(), ApartFromName.valued),
    (
        _SEVERAL,
        True,
        "|".join(one.pattern.decode() for one in (LIST, DASHES, FLOW)),
        ApartFromName.several,
    ),
    (_LISTED, True, r"[ \t]{0,32}- |\s{0,64}\\{0,2}[\"']", ApartFromName.several),
    (
        tuple(f"{name}:" for name in (*_ALONE, *_SEVERAL)),
        True,
        f"{unended(BELOW)}|{TAGGED.pattern.decode()}|{ITEMS}",
        ApartFromName.below,
    ),
    (
        tuple(f"{name}{bar}" for name in _ALONE for bar in _BARS),
        True,
        unended(CELLED),
        ApartFromName.celled,
    ),
    (
        ("password", "passphrase"),
        True,
        f"s?(?:{OBJECT_BELOW.pattern.decode()}|{BLOCK_BELOW.pattern.decode()})",
        ApartFromName.members,
    ),
    (_OWNERS, True, r"\s{0,64}\\{0,2}[\"'\w]", ApartFromName.members),
    (SPOKEN, True, LEADS, ApartFromName.foreign),
    (WRITTEN, False, LEADS, ApartFromName.foreign),
    (SPOKEN_KEYS, True, LEADS, ApartFromName.foreign_key),
    (WRITTEN_KEYS, False, LEADS, ApartFromName.foreign_key),
    (
        tuple(f"{name}{end}" for name in _ALONE for end in _BREAKS),
        True,
        f"{pages.SHOWN}|{ITEMS}",
        ApartFromName.under,
    ),
    (tuple(f'{name}"\n' for name in _ALONE), True, NUMBERED.pattern.decode(), ApartFromName.numbered),
    (('value="', "value='"), True, REVERSED.pattern.decode(), ApartFromName.attributed),
    (MARKED_NAMES, True, PEEK_MARKED, ApartFromName.marked),
    (MARKS_OF_PAIRS, False, PEEK_MARKED, ApartFromName.marked),
    (documents.LITERALS, True, documents.PEEK, ApartFromName.document),
    (documents.MARKS, True, documents.PEEK_MARKS, ApartFromName.document),
    (documents.PRINTED, True, documents.PEEK_PRINTED, ApartFromName.printed),
    (("value: ",), False, unended(_IN_YAML), ApartFromName.listed),
    (_KINDS, False, "", ApartFromName.secret),
    (('variable "',), False, DEFAULT.pattern.decode(), ApartFromName.default),
    (_NUMBERS, False, r"\s{1,8}(?:[0-9a-f]{2}:){7}", ApartFromName.number),
    (("-----END ",), False, r"[A-Z ]{0,40}PRIVATE KEY", ApartFromName.ended),
    (
        ("</key>", "</Key>", "</name>", "</dt>", "</th>", "</stringProp>"),
        False,
        STRING.pattern.decode(),
        ApartFromName.property,
    ),
    (
        ('type="password"', "type='password'", 'type=\\"password\\"', "type=password"),
        True,
        "",
        ApartFromName.filled_in,
    ),
    (CLOSINGS, True, "", ApartFromName.enclosed),
    *pages.LOOKS,
    *printed.LOOKS,
    *grids.LOOKS,
    # Two cells may be a heading too.
    (("</td>",), False, STRING_WITH_A_DIGIT, ApartFromName.property),
    (("</th>",), False, r"\s{0,64}<(?:th|/tr)", ApartFromName.headed),
    (tuple(f"{name}</td>" for name in _ALONE), True, r"\s{0,64}<(?:td|/tr)", ApartFromName.headed),
    (("create table ",), True, CREATED.pattern.decode(), ApartFromName.created),
    (("insert into ",), True, BARE_INSERT.pattern.decode(), ApartFromName.filled),
    (
        (*(f":{port}:" for port in (*range(5432, 5440), 6432, 6543, 25060, 26257)), ":*:"),
        False,
        _PGPASS.pattern.decode(),
        ApartFromName.pgpass,
    ),
)
"""Literals, whether they are found in any case, what has to follow, and how it is read from there on."""
