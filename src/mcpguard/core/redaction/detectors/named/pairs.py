"""Secrets that nothing but their name gives away: `DB_PASSWORD=…`, `"apiKey": "…"`, `Cookie: session=…`.

Law of this file: the name says how much a value has to look like a secret, and both are read where they
stand, forwards and backwards from one place, over a bounded number of bytes. What is not a literal value,
such as a template, a call or a word of a language, is left alone.
"""

from collections.abc import Callable, Mapping
from re import Match

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named import commands, sentences
from mcpguard.core.redaction.detectors.named.naming import Signal
from mcpguard.core.redaction.detectors.named.owners import says_little, signal_in
from mcpguard.core.redaction.detectors.named.sentences import Sentences
from mcpguard.core.redaction.detectors.named.values import (
    BACK,
    BARE,
    BASIC,
    DIGIT,
    KINDS,
    LINE,
    NEAR,
    QUOTES,
    SPACE,
    WORDS_OF_LINE,
    WRAPS,
    Found,
    crumbs,
    given,
    is_label,
    is_short,
    name_at_end,
    of_session,
    opened,
    said,
    shows,
)

VALUE = 6
"""How many bytes of a value are in a match of `WORDS` and `REST`."""
WORDS = ("pass", "pwd", "secret", "token", "key", "auth", "psk", "pw", "credential")
"""In lower case; one of them, in any case, begins what `REST` goes on with."""

_FIRST = r"""[^\s"'`\\=:<>()\[{,;\x00-\x1f\xff]"""
_MORE = r"""[^\s"'`\\\x00-\x1f\xff]"""
_QUOTED = r"""["'`\\\[\]*]{0,8}"""
_OF_TEXTS = r"str|string|bytes|secretstr|str \| none|optional\[str\]"
_TYPE = rf"(?:(?:\??:[ ]?&?(?:'static )?(?:{_OF_TEXTS})|[ ]as string)[ ]?)?"
_TAGGED = r"(?:(?:!{1,2}[a-z][a-z/.:-]{0,24}|&[a-z_-]{1,24})[ ])?"
_BLOCK = r"[ \t]?[|>][+-]?\r?\n[ \t]{1,16}"
_OPENED = rf"""(?:(?:[brun@$]{{0,2}}|(?:{WRAPS})\()["'`\\]{{1,8}})?"""
REST = (
    rf"[a-z0-9_.-]{{0,24}}{_QUOTED}(?:"
    rf"[ \t]{{0,32}}{_TYPE}(?:=>|::?=|[?+]=|<-|[:=])\*{{0,2}}(?:[ \t]{{0,32}}|{_BLOCK}){_TAGGED}{_OPENED}"
    r"|=>\s{1,9}string\([0-9]{1,4}\) \"|;s:[0-9]{1,4}:\""
    r"|>(?:<!\[cdata\[)?"
    rf"|[\s,;]{{1,40}}{_QUOTED}value{_QUOTED}\s{{0,4}}[:=]\s{{0,4}}{_QUOTED}"
    r"|\)?[ ]{0,2}(?:,|\|\||\?\?|or|\?:|-|\{)\s{0,12}b?[\"'`]"
    r"|[ \t]{1,3}['\"`]"
    r"|\t"
    rf"|(?:{'|'.join(sentences.LINKS)}){_QUOTED}"
    rf"){_FIRST}{_MORE}{{5}}"
)
"""What stands between a word of a name and a value, and the beginning of this. For each beginning it ends in
one place (two, where a type may be the value as well), so that the value begins `VALUE` bytes before it."""

# --- what stands around a value ---------------------------------------------------------------------------

_OF_PASSWORDS = expression(rb"passw|passphrase|pass\b|pwd|_pass|pass_")
_SAYS_PASSWORD = expression(r"(?i)passw|passphrase|pwd")
_TYPED = expression(rb"(?:\??:\s?&?|[ ](?=[Aa]s ))[A-Za-z' |\[\]]{3,16}$")
_SETS = expression(rb"(?:^|[\r\n\x1f]|\\n|export |ENV |ARG |set |SET )$")
_ALONE = expression(rb"(?:^|[\r\n\x1f]|\\n)[ \t]*(?:[-*+>] |\xe2\x80\xa2 )?$")
_OF_AWS = expression(rb"(?:^|\n)[A-Z]{6,24}\t(?:[^\t\n\x1f\xff]{0,80}\t)?$")
"""Before a name in a line of texts, as the command of AWS prints them."""
_ENDS = b"\n\r\x1f\xff\\"
_OF_OTHERS = expression(rb"""(?:(?:checksum|sha256|digest)/|\?\s{0,4}["'`])$""")
"""Before the name of a thing whose digest is the value, as Helm has it, and before the first of two texts."""
_OF_OBJECTS = ("self.", "this.", "cls.", "request.", "req.", "options.", "config.", "args.")
_COOKIES = expression(rb"""[^"'\r\n\\\x00-\x1f\xff]{1,4096}""")
_OF_JAR = expression(
    rb"[^\t\x00-\x1f\xff]{0,256}\t(?:TRUE|FALSE)\t[0-9]{1,12}\t([\w.-]{1,64})\t([^\s\x00-\x1f\xff]{16,1024})"
)
_BASIC = expression(rb"[A-Za-z0-9+/]{8,2048}={0,2}")
_BEARER = expression(rb"[A-Za-z0-9+/._~=%-]{16,4096}")
_OF_TYPES = frozenset(map(bytes, zip(b" :&'|[")))
"""What stands before a type or in one, as in `token: str | None = …`."""
_TYPED_BY = 28
_OTHERWISE = (b"\\", b"{")
"""Ahead of the letter of an escape, and of a name that a program fills in."""
_FORMS = (b";", b"?", b"&")
_IN_FORMS = (b"?", b"&")
_AFTER = frozenset(map(bytes, zip(b"})]&|+?:")))
_CLOSED = expression(rb"[\"']?(?:\r?\n|[\x1f\xff])")
_CALLED = expression(
    rb"""(?i)(?:get|getenv|env|environ|config|setting|option|default|lookup|fetch|pop|string|str|header|set|setheader|setdefault|setenv|define|property|getenvor|add|append|put|setitem|putstring|addheader|fill|type|settext)\((?:["'`][#.])?$"""
)
_OF_SECTIONS = expression(rb"(?i)(?:conf|config|cfg|parser)\.get\($")
_OPTION = expression(rb"""[a-z_]{4,40}["']\)""")
_CLOSES = (b'"', b"'")
_FALLBACK = expression(rb"""(?![-=?+])(?:[^\s"'`{}$\\<>\x00-\x1f\xff]|\$(?![{(])){4,512}(?=[\"']?\})""")
_LONGEST_FALLBACK, _LONGEST_RUN = 512, 2048
_UNCLOSED = expression(rb"""(?:[^\s"'`{}$\\<>\x00-\x1f\xff]|\$(?![{(])){4,2048}+(?!\})""")
_OWNER_OF_DEFAULT = expression(
    rb"""([A-Za-z][\w.-]{2,63})(?:["'],|[ ]?:[\w\[\]. |]{1,40}=[ ]?\w{1,24}\()[^()\n]{0,80}default=["']$"""
)
_BACKWARDS = expression(rb"""(["'`\\]{0,4})([ \t]*)([=:])[ \t]*["'`\\\]]*([\w.-]{1,64})(?=([^\w.-])|\Z)""")
"""The simplest pairs, from the value back to the name."""
_ALTERNATIVE = expression(rb"\)?[ ]{0,2}(?:,|\|\||\?\?|or|\?:|(?<!<)-|\{)\s{0,12}$")

Simple = tuple[str, Signal, bytes, bool, bool, Match[bytes]]
"""A simple pair: its name, what that says, the quotes that open the value, backwards; whether a space stands
before these, whether an equals sign does; and the match, read backwards from the value."""


def _plain(before: bytes) -> Match[bytes] | None:
    """The simplest pair that ends with `before`, if the name in it is one: no type, nothing that begins with
    the letter of an escape, nothing in braces, and no `value` that has its name in another place."""
    found = _BACKWARDS.match(before[::-1])
    if not found:
        return None
    _, _, mark, back, ahead = found.groups()
    typed = b":" in before[-_TYPED_BY:] or back.lower() == b"gnirts"
    if ahead in _OTHERWISE or (mark == b"=" and ahead in _OF_TYPES and typed):
        return None
    # `API key` goes on ahead of its space, and PHP shows how long a text is.
    aside = back.isdigit() or back[:5].lower() == b"eulav" or (ahead == b" " and back.lower() == b"yek")
    if not aside and ahead == b" " and mark == b":":
        # `password of the database: …`
        aside = sentences.LINK.search(before[-sentences.LONGEST_LINK :]) is not None
    return None if aside else found


def ahead_of(text: bytes, at: int) -> tuple[bytes, Simple | None] | None:
    """What stands before a value, and the simple pair that this ends with. None where the value is not worth
    to be read: it has no digit and is of words, as no secret is but a password; or the pair says so."""
    near = shows(text, at)
    if not near:
        ahead = text[max(0, at - NEAR) : at].lower()
        if not (b"pass" in ahead or b"pwd" in ahead) or not _OF_PASSWORDS.search(ahead):
            return None
    before = text[max(0, at - BACK) : at]
    found = _plain(before)
    if found is None:
        return None if before.endswith(b">") and is_short(text, at, "password", b"") else (before, None)
    opening, space, mark, back, ahead = found.groups()
    name = back[::-1].decode()
    strength = said(name)
    if not strength and not (near and says_little(text, at)):
        return None
    quoted = near or strength != "password" or opening or mark == b":" or ahead in _FORMS
    if not quoted and (space or not (name.startswith("-") or name.isupper() or name.count(".") > 1)):
        return None
    equals = mark == b"="
    simple = (name, strength, opening, bool(space), equals, found)
    # What stands first in this header says how the rest is read, and what a program reads may go on.
    of_header = name[-13:].lower() == "authorization"
    goes_on = not opening and (of_header or (equals and (name.isupper() or name.count(".") > 1)))
    if strength and not goes_on and is_short(text, at, given(strength), opening, ahead in _IN_FORMS):
        return None
    return before, simple


def _given_until(name: str, ahead: bytes) -> bytes:
    """Where a value ends of a `name=` that a program reads: an option, a variable of the environment, a
    property or a part of a connection string. Nothing where this may be code."""
    if name.startswith("-"):
        return SPACE
    if name.isupper() and _SETS.search(ahead[-8:]):
        return _ENDS
    if name.isupper() or (ahead.endswith(b";") and "." not in name):
        return SPACE + b";,\"'"
    of_code = name.count(".") < 2 or name.startswith(_OF_OBJECTS)
    return b"" if of_code or not _ALONE.search(ahead) else _ENDS


class Pairs(Sentences):
    """The pairs of one text. Each public method says what is to be removed where a value begins."""

    __slots__ = ()

    def pair(self, at: int, before: bytes, simple: Simple | None) -> Found | None:
        """Of what `WORDS` and `REST` match: `before` and `simple` are what `ahead_of` gave."""
        return self._simple(at, before, simple) if simple else self._other(at, before)

    def _other(self, at: int, before: bytes) -> Found | None:
        if before.endswith((b">", b"[")):
            return self._element(at, before)
        bare, opening = opened(before)
        if opening in (b'""', b"''") and self._text[at : at + 1] in _AFTER:
            return None  # An empty text, and code behind it.
        if alternative := _ALTERNATIVE.search(bare[-24:]) if opening and opening != b"`" else None:
            return self._default(at, bare[: -len(alternative[0])], opening, alternative[0])
        if bare.rstrip(b" \t*").endswith((b":", b"=", b">", b"\n", b"<-")):
            found = self._assigned(at, bare, opening) or self._named(at, bare, opening)
            return found or self._substituted(at, bare[:-1]) or self._said(at, bare, opening)
        if bare.endswith(b"\t"):
            return self._line(at, bare[:-1], opening)
        return self._said(at, bare, opening)

    def _simple(self, at: int, before: bytes, simple: Simple) -> Found | None:
        """A name, a mark and a value, as most pairs are."""
        name, strength, opening, spaced, equals, found = simple
        strength = strength or self._of_owner(at, found.end())
        if not strength or (opening in (b'""', b"''") and self._text[at : at + 1] in _AFTER):
            return None  # Or an empty text, and code behind it.
        ahead = before[: len(before) - found.end()]
        if not (equals or opening or spaced):
            return self._dumped(at, ahead, strength)
        return self._under(at, name, strength, ahead, opening[::-1], equals, spaced)

    def _of_owner(self, at: int, size: int) -> Signal:
        """What the name says of the pair that begins `size` bytes before `at`, by what it is in."""
        return signal_in(self._text, at - size) if says_little(self._text, at) else ""

    def _assigned(self, at: int, before: bytes, opening: bytes) -> Found | None:
        bare = before.rstrip(b" \t*")
        spaced = len(bare) < len(before)
        if block := bare.endswith(b"\n"):
            bare = bare.rstrip(b"\r\n").rstrip(b"+-").rstrip(b"|>").rstrip(b" \t")
        equals, colon = bare.endswith((b"=", b"<-")), bare.endswith(b":")
        if block and not (equals or colon):
            return None
        if colon and not opening and not spaced:
            name = name_at_end(bare[:-1])
            return self._dumped(at, bare[: -1 - len(name)], said(name)) if said(name) else None
        bare = bare[:-2].rstrip(b":") if bare.endswith((b"=>", b":=", b"?=", b"+=", b"<-")) else bare[:-1]
        typed = _TYPED.search(bare[-24:]) if equals else None
        # In the keys of .NET a colon stands between the names of sections.
        typed = None if typed and said(name_at_end(typed[0].rstrip())) and typed[0][1:2] != b" " else typed
        bare = (bare[: -len(typed[0])] if typed else bare).rstrip(b" \t").rstrip(b"\"'`\\[]*")
        name = name_at_end(bare)
        strength = said(name) or self._of_owner(at, min(at, BACK) - len(bare) + len(name))
        if not strength:
            return None
        return self._under(at, name, strength, bare[: len(bare) - len(name)], opening, equals, spaced)

    def _under(
        self, at: int, name: str, strength: Signal, ahead: bytes, opening: bytes, equals: bool, spaced: bool
    ) -> Found | None:
        """A value under a `name` that has something `ahead` of it."""
        of_type = ahead.endswith(b"::") and name[0].isupper()
        if not equals and (
            of_type or _OF_OTHERS.search(ahead[-12:]) or (name == "passwd" and ahead[-1:] == b"/")
        ):
            return None
        if name.lower().endswith("authorization"):
            return self._header(at)
        if equals and not spaced and (ends := _given_until(name, ahead)):
            whole = ends == _ENDS
            return self._judged(at, given(strength), opening, whole_line=whole, ends=ends)
        ends = b"&" if ahead.endswith((b"?", b"&")) else b""
        if not ends and strength == "password" and not self._may_be_of_letters(at, name, opening, equals):
            return None
        if not ends and not opening:
            of_line = _ALONE.search(ahead) or sentences.ANNOUNCED.search(ahead)
            ends = _ENDS if of_line else SPACE + b",\x1f\xff" if sentences.IN_A_ROW.search(ahead) else b""
        return self._judged(at, strength, opening, ends=ends)

    def _may_be_of_letters(self, at: int, name: str, opening: bytes, equals: bool) -> bool:
        """Whether a value has a digit, or stands where code has no name of something else."""
        if _SAYS_PASSWORD.search(name) and not is_label(name) and (opening or not equals):
            return True
        return shows(self._text, at)

    def _default(self, at: int, before: bytes, opening: bytes, between: bytes) -> Found | None:
        """What code takes where nothing is set: `getenv("DB_PASSWORD", "…")`, `env.DB_PASSWORD || "…"`."""
        bare = before.rstrip(b"\"'`\\])")
        name = name_at_end(bare)
        ahead = bare[: len(bare) - len(name)].rstrip(QUOTES).rstrip(SPACE)[-32:]
        if b"," not in between:
            if before.endswith(_CLOSES) and b")" not in between:
                return None  # One text or another: neither is the name of the other.
        elif not _CALLED.search(ahead):
            return self._line(at, before, opening, b"\n" in between)
        elif _OF_SECTIONS.search(ahead) and name.isalpha() and _OPTION.match(self._text, at):
            return None  # The names of a section and of an option in it.
        strength = given(said(name)) if name.isupper() else said(name)
        return self._judged(at, strength, opening[-1:]) if strength else None

    def fallback(self, at: int) -> Found | None:
        """What a shell takes where nothing is set: `${DB_PASSWORD:-…}`."""
        start = at + self._text.startswith(_CLOSES, at)
        return self._substituted(start, self._text[max(0, at - BACK) : at - 2])

    def _substituted(self, at: int, before: bytes) -> Found | None:
        """The same behind the name that `before` ends with; in Spring it is `${db.password:…}`."""
        found = _FALLBACK.match(self._text, at)
        name = name_at_end(before)
        strength = said(name) if before.endswith(b"${" + name.encode()) else ""
        if found is None or not strength or DIGIT.search(found[0]) is None:
            return None
        return self._secret(*found.span(), strength)

    def defaulted(self, at: int) -> Found | None:
        """`add_argument("--token", default="…")`, `token: str = Field(default="…")`."""
        start = self._text.rfind(b"\n", max(0, at - BACK), at) + 1 or max(0, at - BACK)
        found = _OWNER_OF_DEFAULT.search(self._text[start:at])
        strength = said(found[1].decode()) if found else ""
        return self._judged(at, strength, self._text[at - 1 : at]) if strength else None

    def _line(self, at: int, before: bytes, opening: bytes, below: bool = False) -> Found | None:
        """A line `DB_PASSWORD<TAB>…` or `"DB_PASSWORD","…"`, or `("password", "…")`, or with one `below`."""
        name = name_at_end(before.rstrip(QUOTES))
        ahead = WORDS_OF_LINE.sub(b"", before.rstrip(QUOTES)[: -len(name) or None]).rstrip(QUOTES)
        strength = said(name) if not below and (_ALONE.search(ahead) or _OF_AWS.search(ahead)) else ""
        if not strength:
            return self._paired(at, name, before.rstrip(QUOTES)[: -len(name) or None], opening)
        found = self._judged(at, given(strength) if name.isupper() else strength, opening, ends=_ENDS)
        return found if found and _CLOSED.match(self._text, found[1]) else None

    def called(self, at: int) -> Found | None:
        """`setPassword("…")`; `.password("…")` may ask for one, and `getKey("…")` for another thing."""
        before = self._text[max(0, at - BACK) : at - 2]
        name = name_at_end(before)
        strength = said(name)
        sets = name.rpartition(".")[2][:3].lower() == "set"
        sets = sets or (strength == "password" and DIGIT.search(self._text, at, at + NEAR) is not None)
        return self._judged(at, strength, self._text[at - 1 : at]) if strength and sets else None

    def field(self, at: int) -> Found | None:
        """A part of a form (RFC 7578): `name="password"`, and its value below an empty line."""
        before = self._text[max(0, at - BACK) : at].rstrip(b"\r\n")[:-1]
        name = name_at_end(before)
        strength = said(name) if before.endswith(b'name="' + name.encode()) else ""
        return self._judged(at, given(strength), b"", whole_line=True) if strength else None

    def _element(self, at: int, before: bytes) -> Found | None:
        """XML: `<password>…<`, `<entry key="db.password">…<`."""
        data = before.endswith(b"[")
        head = (before[: -len("<![CDATA[")] if data else before)[:-1].rstrip(b"\"'\\")
        name = name_at_end(head)
        strength = said(name)
        found = (LINE if data else BARE).match(self._text, at)
        named = strength and head[: len(head) - len(name)].endswith((b"<", b":", b'"', b"'"))
        if found is None or not named:
            return None
        value = found[0].partition(b"]]>")[0] if data else found[0]
        closed = data or self._text.startswith(b"<", found.end())
        return self._secret(at, at + len(value), strength) if closed else None

    def _named(self, at: int, before: bytes, opening: bytes) -> Found | None:
        """`name: DB_PASSWORD`, and `value: …` behind it."""
        bare = before.rstrip(b" \t")[:-1].rstrip(b" \t").rstrip(b"\"'`\\]")
        if bare[-5:].lower() != b"value":
            return None
        bare = bare[:-5].rstrip(QUOTES).rstrip(b" \t\r\n,;").rstrip(b"\"'`\\]")
        name = name_at_end(bare)
        strength = said(name)
        if not strength:
            return None
        return self._judged(at, given(strength) if name.isupper() else strength, opening, ends=_ENDS)

    def _header(self, at: int) -> Found | None:
        """The value of a header of the name Authorization: a word that says how, or the secret itself."""
        found = BARE.match(self._text, at)
        spaced = found is not None and self._text.startswith(b" ", found.end())
        return self._credentials(found.end() + 1 if found and spaced else at, "token")

    def cookie(self, at: int) -> Found | None:
        """Of a header of the name Cookie or Set-Cookie: the first secret in it."""
        line = _COOKIES.match(self._text, at)
        places = crumbs(line[0]) if line else ()
        return next(filter(None, (self._secret(at + start, at + end, "weak") for start, end in places)), None)

    def jar(self, at: int) -> Found | None:
        """Of a line of a file of cookies, as curl and browsers keep them, from its path on."""
        found = _OF_JAR.match(self._text, at)
        return self._secret(*found.span(2), "weak") if found and of_session(found[1]) else None

    def bearer(self, at: int) -> Found | None:
        """Of `Bearer …`."""
        return self._credentials(at, "token" if self._is_header(at) else "weak")

    def token(self, at: int) -> Found | None:
        """Of `token …`, as GitHub and others have it in a header, and as sentences and commands have it."""
        return self._credentials(at, "token") if self._is_header(at) else self.worded(at)

    def basic(self, at: int) -> Found | None:
        """Of `Basic …`: base64 of a user and a password."""
        found = _BASIC.match(self._text, at)
        return (at, found.end(), KINDS[2]) if found and self.judge(BASIC, found[0], True) else None

    def _is_header(self, at: int) -> bool:
        return b"uthorization" in self._text[max(0, at - 32) : at]

    def _credentials(self, at: int, strength: Signal) -> Found | None:
        found = _BEARER.match(self._text, at)
        if found is None:
            return None
        end = at + len(found[0].rstrip(b"."))
        return (at, end, KINDS[2]) if self._secret(at, end, strength) else None


Read = Callable[[Pairs, int], Found | None]
"""A method of Pairs."""


_FALLBACKS = tuple(
    f"{end}{mark}" for end in ("WORD", "_PASS", "TOKEN", "SECRET", "_KEY") for mark in (":-", ":=")
)
_FIELDS = tuple(f'{end}"{line}{line}' for end in ("assword", "oken", "ecret") for line in ("\r\n", "\n"))
_LOOKS: tuple[tuple[tuple[str, ...], str, Read], ...] = (
    (("Bearer ", "bearer ", "BEARER "), r"[A-Za-z0-9+/._~=%-]{16}", Pairs.bearer),
    (("token ", "Token "), r"[A-Za-z0-9+/._~=%-]{16}", Pairs.token),
    (("ookie: ", 'ookie": "', 'ookie = "', "ookie = '"), r"[^\x00-\x1f\x7f\xff]{1,512}=", Pairs.cookie),
    (("\tTRUE\t/", "\tFALSE\t/"), _OF_JAR.pattern.decode(), Pairs.jar),
    (("_auth=", "_auth = ", '_auth="', "ss://"), r"[A-Za-z0-9+/]{8}", Pairs.basic),
    (("Basic ", "basic ", "BASIC "), r"[A-Za-z0-9+/]{8}", Pairs.basic),
    (_FALLBACKS, r"[\"']?[^\s\"'`{}$\\<>\x00-\x1f\xff]{4}", Pairs.fallback),
    (('default="', "default='"), r"[^\s\"'\\\x00-\x1f\xff]{4}", Pairs.defaulted),
    (("assword) to ",), r"[^\x00-\x1f\x7f\xff]{4}", Pairs.set_to),
    (('assword("', "assword('", 'Key("', 'Token("', 'Secret("'), r"[^\s\"'\\\x00-\x1f\xff]{6}", Pairs.called),
    (_FIELDS, r"[^\x00-\x20\x7f\xff]{4}", Pairs.field),
    (sentences.BEHIND, sentences.STOPS, Pairs.named_behind),
    *commands.LOOKS,
)
LITERALS: tuple[tuple[bytes, str, Read], ...] = tuple(
    (word.encode(), peek, read) for words, peek, read in _LOOKS for word in words
)
"""Other ways to write a pair: what stands before it, what has to follow, and how it is read from the end of
the former on."""


# --- judging ---------------------------------------------------------------------------------------------


def _length_of_cookies(text: bytes, at: int) -> int:
    """How much of a header of cookies there is from a place on."""
    found = _COOKIES.match(text, at)
    return len(found[0]) if found else 0


def _length_of_fallback(text: bytes, at: int) -> int:
    """How much there is from a place on in which no fallback begins, since none would end."""
    found = _UNCLOSED.match(text, at)
    if found is None:
        return 0
    size = len(found[0])
    return size if size < _LONGEST_RUN else size - _LONGEST_FALLBACK


NEAR_ALONE: frozenset[Read] = frozenset(
    (Pairs.bearer, Pairs.token, Pairs.basic, Pairs.fallback, Pairs.defaulted, Pairs.set_to)
)
"""Those that look at nothing but `surroundings` where a value `ends_near`."""
_LENGTHS = (Pairs.cookie, _length_of_cookies), (Pairs.fallback, _length_of_fallback)
LENGTHS: Mapping[Read, Callable[[bytes, int], int]] = dict(_LENGTHS)
"""How much need not be read again."""
