r"""Secrets behind or below a label, whatever stands between: `Password (initial): …`, `token: ApiKey("…")`, a
button of a page, the marks of a cell, `$ cat /run/secrets/token` and the next line.

Law of this file: what may stand between is known piece by piece, and one piece at least parts the label from
the value. Without a colon or an equals sign, the label and the value are alone in what they are in.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import singular
from mcpguard.core.redaction.detectors.named.around.statements import Statements
from mcpguard.core.redaction.detectors.named.languages import WORDS
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, said

LABELS = (
    *("password", "passwd", "passphrase", "pass phrase", "passcode", "pass code", "pwd", "psk", " pin"),
    *("_pin", "token", "secret", "key", "credential"),
)  # fmt: skip
"""How a label ends, in lower case."""
_REACH, _LONGEST_WORD = 120, 16
_ON = r"(?:for|of|on|to|is|now|was|copy|show|hide|reveal)[: \r\n]|[0-9]{1,2}[:= ]"
BEHIND_LABEL = (
    rf"s?(?:__|[^0-9A-Za-z ,;_/\x1f\xff-]|[ ](?:[^0-9A-Za-z\x1f\xff]|{_ON}))"
    rf"[^0-9\x1f\xff]{{0,{_REACH}}}[0-9]"
)
"""What stands behind that up to the first digit, which may be of a value."""
_IN_A_CALL = expression(rb"[A-Za-z]{0,32}[(<]")
_NO_CALL = b" \t\"'`:="
_OF_TEXTS = b"tring "
_WORD = expression(
    rb"(?i)(?:(edoc ?ssap|esarhp ssap|nip[ _])|drowssap|dwssap|esarhpssap|dwp|ksp|nekot|terces|yek"
    rb"|laitnederc)"
)
"""One of them backwards; those that simple pairs know nothing of are a group."""

_BREAK = r"(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)"
_SIGN = r"[\xc2\xe2\xf0][\x80-\xbf]{1,3}(?:\xef\xb8\x8f)?"
"""A dash, an arrow, a bullet or a picture."""
_WHICH = (
    r"(?:[ \t]{0,2}(?:\([^()\n\"'=:;{}<>\x00-\x1f\xff]{1,32}\)|\*{1,3}|#?[0-9]{1,2}(?![\w.])"
    r"|(?i:for|of|on|to)[ ](?:(?i:the|my|our|your|user)[ ])?[\w.@'-]{1,40}|(?i:is(?:[ ]now)?|now|was)\b"
    rf"|\[[^\[\]\n\"'=;{{}}\x1f\xff]{{1,24}}\]|(?:{_SIGN}){{1,4}})){{0,3}}"
)
"""What says of a label which one it is, or that its value has to be there."""
_BUTTONS = "|".join(sorted(WORDS["buttons"], key=len, reverse=True)).replace("_", " ")
_BUTTON = rf"(?:[\[(](?i:{_BUTTONS})[\])]|(?i:\b(?:{_BUTTONS})\b)(?![\w.@=/(-])[!?]?)"
_PIECES = (
    r"[ \t]{1,80}",
    _BREAK,
    # What languages write around a text: calls, types, prefixes, brackets.
    r"(?:\[\]|[A-Za-z_&])[\w.:<>]{0,40}(?:[ ]\{\}|\[\w{0,12}\])?[({]\s{0,16}(?=[\"'`A-Z])",
    r"\((?=[\"']|\s{1,16}[\"'])|(?<=[A-Z]=)\((?=\w)|\$\(cat[ ]",
    r"(?i:string|text|str)\b(?=[ ]?[|&=])|(?:lib\.)?mk[A-Z]\w{2,12}(?=[ ]\")",
    r"(?:[fbrunFBRUN@$]{1,2}|~[a-z]|<<)(?=[\"'`])|(?:%?q{1,2}|~[a-z])[(\[{|]|\[\[|\|{3}",
    r"\((?:len=[0-9]{1,5}|string|str)\)|\{[ ]get;[ ](?:(?:private[ ])?(?:set|init);[ ])?\}",
    r"<(?!t[rhb]|h[1-6]|label|option)/?[A-Za-z][^<>\n\x1f\xff]{0,200}>",
    r"(?:[ ][\w:.-]{1,24}=\"[^\"<>\n\x1f\xff]{0,60}\"){1,3}/?>",
    r"(?<=[\n ])(?:>{1,3}(?=[ ])|[=~^+*#-]{3,80}(?=\r?\n))",
    r"\[/?[a-z*]{1,8}(?:=[^\[\]\n\"'\x1f\xff]{0,40})?\]|\[[ ]\]",
    # `=` that compares, and `:` of a name with colons in it, part nothing.
    r"(?<![=!<>~])(?:=>|[:?+]{0,2}=(?![=~])|[+?]?:{1,3}[+?]?(?![/\w]))",
    r":(?=[\w.]{1,40}(?:[ ]\{\})?[({]\s{0,16}[\"'`])",
    r"->|<<<|\.{2,64}|[-|&,?]",
    r"[\"'`*~]{1,3}|__(?=\s)|(?<=```)[a-z]{1,12}(?=\n)|(?:(?<=\n)|(?<=\n[ ]))[0-9]{1,3}[.)][ ]",
    r"\\f[A-Z]|\\[a-z]{2,12}(?:\{|[|+!])|@(?:tab\b|[a-z]{2,9}\{)|\{(?:noformat|code)[^{}\n]{0,20}\}|\{\{",
    r"(?<=\n)\.[A-Z][A-Za-z]?[ ]",
    # What stands ahead of a value within an object, or of a line in a file or of its end.
    r"(?<=[\s{,-])(?:some|value|default|type[ ]=[ ]string)(?=\"?[ ]{0,16}[:=\n])|\{(?=\s)",
    r"REG_[A-Z_]{2,12}|/[td][ ]|\.[a-z]{2,5}(?=[\"'\s])|<<[-~]?[ ]?[\"']?[A-Z]{3,8}[\"']?|>?[ ]?/dev/null",
    _BUTTON,
    r"[)\]}]{1,3}",
    _SIGN,
    r"(?:\[[ xX]\]|-)[ ]|(?<=- )[a-z]{3,16}(?=[ :])",
)
_BETWEEN = expression(rf"[sS]?{_WHICH}(?:{'|'.join(_PIECES)}){{1,24}}+".encode())
_QUOTED = expression(
    rb"(?=[^\"'`\s\x00-\x1f\xff]{0,64}[0-9])([^\"'`\s\\\x00-\x1f\xff]{4,512})(?<!\.)(?=[\"'`])"
)
_BARE = expression(
    rb"(?!#|//|--)(?=[^\s\x00-\x1f\xff]{0,64}[0-9])([^\s\"'`<>\\()\[\]{},;|\x00-\x1f\xff]{6,512}+)"
    rb"(?![(\[\\][^\]rnf\\])"
)
_OPENS = b'"', b"'", b"`"
_STRONG = expression(rb"[:=]")
_PARTS = expression(rf"[|&\t>]|\],|->|<<<|[ ][-][ ]|[ ]{{2}}|\.{{3}}|@tab|{_SIGN}|{_BREAK}".encode())
_LABEL = expression(
    rb"([\w.-]{1,64}(?:/[\w.~-]{0,32}){0,6}(?:[$][\"']?)?(?:[ ][\w.-]{0,32}?[A-Za-z](?![A-Za-z0-9.-])){0,4})"
)
_ALONE = expression(
    rb"[^A-Za-z0-9\n]{0,24}?(?:[.):][0-9]{1,3}[^A-Za-z0-9\n]{0,8}?)?"
    rb"(?:$|[\n\x1f\xff>\]|{}]|[rn]\\|[\"']\s{0,4}[:\[,])|[rn]\\"
)
"""A label, and what is ahead of one that is alone in what it is in: both are read backwards."""
_ARTICLE = expression(rb"(?i)(?:the|an?|this|that) ")
_ITEM = expression(rb"\n[ ]?[0-9]{1,3}[.)][ ]")
_OF_TYPES = b"::"
_PLAIN = expression(rb"[\"'`]{0,2}[ \t]{0,32}[:=][ \t]{0,32}[\"'`]{0,2}(?!\?)[^\s\"'`\\(\[{<>]{1,64}")
"""A pair that is found as such."""
_BEHIND = expression(
    rf"[\"'`*_~)\]}}|=@.]{{0,6}}(?:\\f[A-Z])?[ \t]{{0,80}}(?:{_BREAK}|[\x1f\xff<}}|]|$|\[/|\\\\"
    r"|\{code|\{noformat|,?[ ]?[\]\[])".encode()
)
_IDENTIFIER = expression(
    rb"(?:[A-Za-z]{2,}[0-9]{0,2}[-_.])+[a-z0-9]{1,12}|(?:[A-Za-z]{2,5}[-:])?0x[0-9A-Fa-f]{40}|__[A-Za-z]\w*"
)
"""A name that something was given, such as `default-token-x7k2p`, an account of a chain, and a type."""
_ABOVE = 200


class Labels(Statements):
    """The labels of one text and their values."""

    __slots__ = ()

    def label(self, at: int) -> int:
        """Where the last label before a place ends, of whose value one of the first digits may be there, but
        for a call such as `ApiKey(…)`; -1 if it is that of a simple pair."""
        text = self._text
        back = text[max(0, at - _REACH - _LONGEST_WORD) : at][::-1]
        word = _WORD.search(back)
        if word and text[at - word.start()] not in _NO_CALL and _IN_A_CALL.match(text, at - word.start()):
            word = _WORD.search(back, word.end()) or word
        end = at - word.start() if word else -1
        return -1 if word and word[1] is None and _PLAIN.fullmatch(text, end, at) else end

    def labelled(self, end: int) -> list[Found]:
        """What stands behind the label that ends at a place, or below."""
        between = _BETWEEN.match(self._text, end)
        if between is None:
            return []
        start = between.end()
        quoted = self._text[start - 1 : start] in _OPENS
        value = (_QUOTED if quoted else _BARE).match(self._text, start)
        strength = self._said(end, between[0], value.end(1)) if value else ""
        if value is None or not strength:
            return []
        stop = start + len(value[1].rstrip(b"" if quoted else b".,:;?*~"))
        if strength != "password" and _IDENTIFIER.fullmatch(self._text, start, stop):
            return []
        hit = self._secret(start, stop, strength, known_end=False)
        return [hit] if hit else []

    def _said(self, end: int, between: bytes, stop: int) -> str:
        """What the label says that ends at a place, if it names what stands behind `between` up to `stop`."""
        back = self._text[max(0, end - _ABOVE) : end][::-1]
        label = _LABEL.match(back)
        if label is None or back.startswith(_OF_TYPES, label.end()):
            return ""
        last, _, folder = label[1].partition(b"/")
        name = (last if folder and b" " not in last else label[1])[::-1]
        name = name.rpartition(_OF_TEXTS)[2]  # `public string Token { get; set; }`
        strength = said(singular(name.translate(None, b"$\"'").decode().replace(" ", "_")))
        if not strength or back.startswith(b"<", label.end()):
            return ""
        if _STRONG.search(between):
            return "" if folder else strength
        if not _PARTS.search(between) or not _BEHIND.match(self._text, stop):
            return ""
        alone = _ALONE.match(back, label.end())
        numbered = alone and (_ITEM.search(between) is None or DIGIT.search(alone[0]))
        return strength if numbered and not _ARTICLE.match(name) else ""
