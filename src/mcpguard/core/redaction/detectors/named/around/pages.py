"""Secrets as pages show them: in elements of HTML and XML, and in what a browser says of a page.

Law of this file: that of `apart`, whose readers these are. A name is all that its element says, and a value
is one word.
"""

from collections.abc import Callable
from re import Match, Pattern

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import BesideName, Seen
from mcpguard.core.redaction.detectors.named.values import BACK, DIGIT, name_at_end, said

_NAMES = "password", "passphrase", "passwd", "passcode", "token", "secret", "key", "pwd"
_LONG_NAMES = "password", "passphrase", "passwd", "token", "secret", "api_key", "apikey", "api-key"
_ONE_WORD = r"""(?=[^\s"'<>\x00-\x1f\xff]{0,64}[0-9])[^\s"'<>\\\x00-\x1f\xff]{6,512}"""

_END_OF_SHOWN = r"""(?:"|[ \t]*(?:\r?\n|[\x1f\xff]|$))"""
_STATES = r"(?: \[[^\]\n]{1,40}\]){0,4}"
_SHOWN = expression(
    rf"""(?:(?<=\[)[^\n"\x1f\xff]{{1,120}}\n)?(?:[ \t]{{0,64}}- [a-z]{{3,16}}{_STATES}:\n){{0,2}}"""
    r"[ \t]{0,64}- (?:cell|gridcell|definition|generic|text|code|paragraph|textbox|strong|emphasis|status)"
    rf"""(?: "|{_STATES}: "?)({_ONE_WORD}){_END_OF_SHOWN}""".encode()
)
_LABEL = expression(
    r"""[ \t]{0,64}- (?:cell|rowheader|term|generic|text|paragraph|strong|emphasis|heading|listitem)"""
    rf"""(?: "|{_STATES}: "?)([A-Za-z][\w.-]{{0,32}}(?: [\w.-]{{1,32}}){{0,3}}):?"?:?(?: \[)?\n?\Z""".encode()
)
_ROW = expression(
    r"((?:[A-Za-z][\w ./-]{0,48}?)?(?i:password|passphrase|token|secret|key|pwd)):? "
    rf"({_ONE_WORD})(?: [A-Z][a-z]{{2,12}}){{0,3}}\"".encode()
)
_BETWEEN = (
    r"(?:</?(?!t[rhb]|h[1-6]|label|button|option|a[ >])"
    r"[A-Za-z][A-Za-z0-9]{0,15}(?: [^<>\x00-\x08\xff]{0,256})?>)"
)
"""A tag, but not one that begins something else."""
_SIBLING = expression(
    r"(?:label|div|span|p|b|strong|em|li|h[1-6]|th|td|dt|legend)>:?"
    rf"(?:(?:\s{{0,64}}(?:{_BETWEEN}|&nbsp;|\xc2\xa0)){{1,6}}\s{{0,64}}({_ONE_WORD})(?=\s{{0,64}}<)"
    rf"|(?:\s{{0,64}}{_BETWEEN}){{0,4}}\s{{0,64}}<input(?![^<>]{{0,300}}type=.?(?:submit|button|checkbox|radio|image))"
    r"""\s[^<>]{0,300}?\bvalue="([^"<>\\\x00-\x1f\xff]{6,512})")""".encode()
)
_TEXT_OF_LABEL = expression(rb"(?:>|^)\s{0,64}([A-Za-z][\w.-]{0,32}(?: [\w.-]{1,32}){0,3})</\Z")
_ATTRIBUTE = r"""[\w:.-]{1,24}(?:=(?:"[^"<>\x1f\xff]{0,120}"|\{[^{}<>]{0,80}\}))?"""
_VALUED = expression(
    rf"""\s{{0,32}}(?:{_ATTRIBUTE}\s{{1,32}}){{0,4}}(?:value|content|defaultValue)="""
    r""""([^"<>\\\x00-\x1f\xff]{4,512})\"""".encode()
)
_NAMED = expression(rb"""\b(?:name|key|property|id)=["']([\w.:-]{2,64})["']\s?\Z""")
_CHILD = expression(rb"""\s{0,32}<((?:\w{1,12}:)?(?:[Vv]alue|string))>([^<\x1f\xff]{4,1024})</\1>""")
_ESCAPED = expression(rb"""([^\s&<>"'\\\x00-\x1f\xff]{4,512})&lt;/""")
_TAG = expression(rb"&lt;(?:[\w.-]{1,32}:)?([\w.-]{1,64})&gt;\Z")
_OF_TEXT = r"\"(?:text|content|plain_text)\"\s{0,4}:\s{0,4}\""
_NODE = expression(
    rf"""(?:[\s,{{}}\[\]:]|"(?!{_OF_TEXT[2:]})[\w-]{{1,36}}"|true|false|null){{1,80}}+"""
    rf"""{_OF_TEXT}([^\s"\\\x00-\x1f\xff]{{6,512}})\"""".encode()
)
_PLAIN = expression(
    rb"""[^"\]]{0,64}(?:"[\w-]{1,36}"[^"\]]{0,64}){0,24}"plain_text"\s{0,4}:\s{0,4}"([^"\x00-\x1f\xff]{6,512})\""""
)


class OnPages(BesideName):
    """What pages show in one text. Each public method reads from the end of a literal on."""

    __slots__ = ()

    def shown(self, at: int) -> Seen:
        """What a driven browser says of an element, behind the one that is its name: `- cell "API key"`,
        `- definition: …`."""
        found = _SHOWN.match(self._text, at)
        line = self._text[self._start_of_line(at - 1) : at] if found else b""
        return self._labelled(at, _LABEL.match(line), found)

    def row(self, at: int) -> Seen:
        """Of a row of two cells: `- row "API key …"`."""
        found = _ROW.match(self._text, at)
        strength = said(name_at_end(found[1])) if found else ""
        hit = self._secret(*found.span(2), strength, known_end=False) if found and strength else None
        return [hit] if hit else [], at

    def beside_label(self, at: int) -> Seen:
        """The element behind the one that is its name: `<label>Password</label> <code>…</code>`."""
        found = _SIBLING.match(self._text, at)
        before = self._text[max(0, at - BACK) : at] if found else b""
        return self._labelled(at, _TEXT_OF_LABEL.search(before), found)

    def valued_attribute(self, at: int) -> Seen:
        """A value of an element that has its name in an attribute further ahead:
        `name="token" type="hidden" value="…"`."""
        found = _VALUED.match(self._text, at)
        name = _NAMED.search(self._text[max(0, at - BACK) : at]) if found else None
        strength = said(name[1].decode()) if name else ""
        hit = self._secret(*found.span(1), strength) if found and strength else None
        return [hit] if hit else [], at

    def child(self, at: int) -> Seen:
        """A value in an element that has its name: `<property name="password"><value>…`."""
        found = _CHILD.match(self._text, at)
        name = _NAMED.search(self._text[max(0, at - BACK) : at - 1]) if found else None
        return self._one(name[1], *found.span(2)) if found and name else ([], at)

    def escaped(self, at: int) -> Seen:
        """An element of XML in a page that shows it: `&lt;password&gt;…&lt;/password&gt;`."""
        found = _ESCAPED.match(self._text, at)
        name = _TAG.search(self._text[max(0, at - BACK) : at]) if found else None
        strength = said(name[1].decode()) if name else ""
        hit = self._secret(*found.span(1), strength) if found and strength else None
        return [hit] if hit else [], at

    def node(self, at: int) -> Seen:
        """The next node of a text that an editor keeps in pieces, behind its name: `{"text": "Password: "},
        {"text": "…"}`; or the text of a property of that name."""
        found = _NODE.match(self._text, at)
        name = name_at_end(self._text[max(0, at - BACK) : at].rstrip(b'": {'))
        hit = self._secret(*found.span(1), said(name)) if found and said(name) else None
        if found is None or hit is None or DIGIT.search(found[1]) is None:
            return [], at
        again = _PLAIN.match(self._text, found.end())
        hits = [hit, (*again.span(1), hit[2])] if again and again[1] == found[1] else [hit]
        return hits, found.end()

    def _labelled(self, at: int, label: Match[bytes] | None, found: Match[bytes] | None) -> Seen:
        """What stands behind a label: text of an element, or what is in a field."""
        strength = said(name_at_end(label[1])) if label and found else ""
        if found is None or not strength:
            return [], at
        which = found.lastindex or 0
        hit = self._secret(*found.span(which), strength, known_end=which > 1)
        return [hit] if hit else [], found.end()


Read = Callable[[OnPages, int], Seen]


def _begins(pattern: Pattern[bytes], end: str = "") -> str:
    """What has to follow a literal in any case: without the end of a line, which nothing shows there."""
    return pattern.pattern.decode().removesuffix(end)


SHOWN = _begins(_SHOWN, _END_OF_SHOWN)
LOOKS: tuple[tuple[tuple[str, ...], bool, str, Read], ...] = (
    (
        tuple(f"{name}{end}" for name in _NAMES for end in ('" [', '"\n', '":\n')),
        True,
        SHOWN,
        OnPages.shown,
    ),
    (('- row "',), False, _begins(_ROW), OnPages.row),
    (tuple(f"{name}</" for name in _NAMES), True, _begins(_SIBLING), OnPages.beside_label),
    (
        tuple(f'{name}"{space}' for name in _LONG_NAMES for space in (" ", "\n")),
        True,
        _begins(_VALUED),
        OnPages.valued_attribute,
    ),
    (tuple(f'{name}">' for name in _LONG_NAMES), True, _begins(_CHILD), OnPages.child),
    (
        tuple(f"{name}{end}" for name in _NAMES for end in (': "', ':"', '": {', '":{')),
        True,
        _begins(_NODE),
        OnPages.node,
    ),
    (tuple(f"{name}&gt;" for name in _LONG_NAMES), True, _begins(_ESCAPED), OnPages.escaped),
)
"""As those of `apart`."""
