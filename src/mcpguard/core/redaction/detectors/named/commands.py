"""Passwords that a command line gives to a program: `mysql -pX`, `sshpass -p X`, `tool --password X`.

Law of this file: what a program takes for a password is one, a word too, unless it stands for one; it is
looked for in the same command as the name of the program, over a bounded number of bytes.
"""

import re
from collections.abc import Callable

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.naming import GIVEN, signal
from mcpguard.core.redaction.detectors.named.programs import TAKING, leads
from mcpguard.core.redaction.detectors.named.values import (
    BACK,
    DIGIT,
    ENDS,
    SPACE,
    Found,
    Values,
    given,
    left_open,
    name_at_end,
    opened,
    said,
    value_at,
)

SETTERS = (
    "ENV ",
    "setenv ",
    "SetEnv ",
    "proxy_set_header ",
    "RequestHeader set ",
    "add_header ",
    "fastcgi_param ",
    "setx ",
    "set -x ",
    "set -gx ",
    "set -Ux ",
    "configure set ",
    "config set ",
    "config --global ",
    "config --local ",
    "kv put ",
    "etcdctl put ",
    "secret set ",
    "env set ",
    "variable set ",
    "credentials:set ",
    "user-secrets set ",
    "variables set ",
    "env:set ",
)
"""What is followed by a name, a blank and its value."""
OPTIONS = (
    "-Password", "-Token", "-ApiKey", "-Secret", "-Passphrase", "-ClientSecret", "-AccountKey",
    "-password", "-passwd", "-passphrase", "-pass", "-token", "-secret", "-key", "-credentials", "--pwd",
    "--pw", "-auth", "-apikey", "-apiKey",
)  # fmt: skip
"""How an option ends that is followed by its value."""
_SECTION = r"(?:(?:[\w./@-]{1,80}:)|/?(?:[\w.@-]{1,40}/){1,8})?"
"""Ahead of a name: the host of a registry, the section of a file, the folder of a key."""
PEEK_SETTER = rf"""["']?{_SECTION}[A-Za-z_][A-Za-z0-9_.-]{{2,64}}["']?[ \t]{{1,8}}["']?[^\s=]"""
_SETTER = expression(
    (
        rf"""["']?{_SECTION}([A-Za-z_][A-Za-z0-9_.-]{{2,64}})["']?[ \t]{{1,8}}"""
        r"""(?:"|'|\\")?(?=[^\s"'=\\])"""
    ).encode()
)


def set_by(text: bytes, at: int) -> tuple[int, str] | None:
    """Where the value begins and what the name says, of `NAME VALUE` from `at` on."""
    found = _SETTER.match(text, at)
    said = signal(found[1].decode()) if found else ""
    return (found.end(), said) if found and said else None


_OPTION = expression(
    rb"""([a-z0-9_-]{0,24})(?:[ \t]{1,3}["'\\]{0,3}|["'\\]{1,3},\s{0,8}["'\\]{1,3}|=["'\\]{0,3}"""
    rb"""|["']?([ \t]{0,8}\r?\n[ \t]{0,32}- )["']?)(?=[^\s"'\\-])"""
)
_ITEM = expression(rb"""(?:^|[\n\x1f])[ \t]{0,32}(?:[\w-]{1,32}:[ \t]{0,8})?- ["']?$""")
"""What stands before an item of a list in YAML."""
_CHANGED = expression(
    rb"""[\"'`]?((?:[^\s\"'`\]}+\x00-\x1f\xff-]|[-+](?![\]}])){4,256})[\"'`]?[,;]?(?:-\]|\+\})"""
)
_CHANGES = *(f"{before}[-" for before in ("=", ":", "= ", ": ", "  ", "\t")), "{+"
"""How what was removed or added begins, with what stands before it: lists of numbers begin with [- too."""
_OTHER = expression(rb"\[-[^\n\x1f\xff]{0,256}?-\]$")
"""What stood there before, in a diff of words."""
_BEHIND_OPTION = expression(rb"[\"'`\\]{0,2}[ \t]*(?:[\r\n|;&)\xff\x1f]|\\n|-|$|[\"'`]|\\\r?\n)")
_HYPHEN = expression(rb"[A-Za-z]\\$")
"""Before a hyphen, as manual pages write it: not an option, but the end of a word."""
_SHELL = expression(rb"""[^\s"'`\\|;&<>()\x00-\x1f\xff]{1,512}""")
_USER = expression(rb"""["']?[^\s:"'\\$<>{]{1,64}:(?=[^\s"'\\$<>{])""")
_IDENTIFIED = expression(
    rb"(?i)(?: with \S{1,32})? by (?:\\?(['\"])|(?=[\w$#!-]{0,48}[0-9][\w$#!-]{0,48}(?:[\s;]|$)))"
)
_OF_ACCOUNT = expression(rb"(?i)user|grant |connect to |alter role")
_LOGIN = expression(rb"\s{1,8}\S{1,64}\s{1,8}password\s{1,8}")

_WORDED = expression(
    rb"""[ \t]{0,64}(?:REG_SZ[ \t]{1,24})?(["']?)(?=[^\s0-9\x00-\x1f\xff]{0,64}[0-9])"""
    rb"""(?![|(])([^\s"';\x00-\x1f\xff]{6,1024})\1;?(?=[\s,)]|""" + ENDS.encode() + rb")"
)
_ENDS_LINE = expression(ENDS.encode())
_FIRST = expression(rb"(?:^|[\r\n\x1f\xff])[ \t]*$")


class Commands(Values):
    """The passwords of commands in one text. Each method says what is to be removed where one may begin."""

    __slots__ = ()

    def option(self, at: int) -> Found | None:
        """Of an option, behind its first word such as `--api`; it may be the next text of a list."""
        found = _OPTION.match(self._text, at)
        if found is None:
            return None
        name = name_at_end(self._text[max(0, at - 32) : found.end(1)])
        strength: str = said(name.lstrip("-")) if name.startswith("-") else ""
        ahead = self._text[max(0, found.end(1) - len(name) - BACK) : found.end(1) - len(name)]
        if not strength or _HYPHEN.search(ahead) or (found[2] and not _ITEM.search(ahead)):
            return None
        opening = opened(found[0])[1]
        value = value_at(self._text, found.end(), opening, False)
        if value and (opening or _BEHIND_OPTION.match(self._text, value.end())):
            strength = given(strength)
        elif value and DIGIT.search(value[0]) is None:
            return None  # A word of the sentence that the option is in.
        if value and name.replace("-", "").encode().endswith(value[0]):
            return None
        return self._judged(found.end(), strength, opening, ends=SPACE)

    def changed(self, at: int) -> Found | None:
        """Of a diff of words, behind `[-` or `{+`: `password = [-old-]{+new+}`."""
        found = _CHANGED.match(self._text, at)
        before = _OTHER.sub(b"", self._text[max(0, at - 2 - BACK) : at - 2]).rstrip(b" \t")
        if found is None or not before.endswith((b"=", b":")):
            return None
        strength = said(name_at_end(before[:-1].rstrip(b" \t\"'`")))
        return self._secret(*found.span(1), strength) if strength else None

    def given(self, at: int, leads: re.Pattern[bytes], until: bytes = b"") -> Found | None:
        """Of a command, behind the name of its program: what `leads` leads to."""
        found = leads.match(self._text, at)
        if found is None:
            return None
        opening = left_open(found[0])
        start = found.end()
        value = value_at(self._text, start, opening, False) if opening else _SHELL.match(self._text, start)
        if value is None:
            return None
        end = self._text.find(until, start, value.end()) if until else -1
        return self._secret(start, value.end() if end < 0 else end, GIVEN)

    def set(self, at: int) -> Found | None:
        """Of `ENV NAME VALUE` and the like."""
        found = set_by(self._text, at)
        if found is None:
            return None
        start, strength = found
        opening = opened(self._text[at:start])[1]
        return self._judged(start, given(strength), opening, whole_line=not opening)

    def worded(self, at: int) -> Found | None:
        """A name and a value with blanks between them: a whole line, as many programs are configured, or part
        of a sentence, where a token has to look random."""
        before = self._text[max(0, at - BACK) : at].rstrip(b" ")
        name = name_at_end(before)
        strength = said(name)
        found = _WORDED.match(self._text, at) if strength else None
        if found is None or name.startswith("."):
            return None  # The latter is a selector of CSS.
        start, value = found.start(2), found[2]
        bare = value.rstrip(b".,:?)")
        alone = _FIRST.search(before[: len(before) - len(name)]) is not None
        if alone and _ENDS_LINE.match(self._text, found.end()):
            end = start + len(bare if strength == "token" else value)
            return self._secret(start, end, strength)
        if b"\\" in value:
            return None  # The end of a line, as JSON has it.
        strength = "weak" if strength == "token" else strength
        return self._secret(start, start + len(bare), strength, known_end=False)

    def set_to(self, at: int) -> Found | None:
        """`Setting --password (password) to …`, as wget says it."""
        if b"Setting --" not in self._text[max(0, at - BACK) : at]:
            return None
        return self._judged(at, GIVEN, b"", ends=b"\n\r\x1f\xff\\")

    def user(self, at: int) -> Found | None:
        """Of an option for USER:PASSWORD."""
        found = _USER.match(self._text, at)
        if found is None:
            return None
        opening = found[0][:1] if found[0][:1] in (b'"', b"'") else b""
        return self._judged(found.end(), "password", opening, whole_line=not opening)

    def identified(self, at: int) -> Found | None:
        """Of SQL, behind `IDENTIFIED`: `BY '…'`."""
        found = _IDENTIFIED.match(self._text, at)
        if found is None:
            return None
        # Without a user it may be a sentence, in which a word is a word.
        of_user = _OF_ACCOUNT.search(self._text, max(0, at - BACK), at) is not None
        if found[1] is None:
            return self._judged(found.end(), "password", b"", ends=SPACE) if of_user else None
        return self._judged(found.end(), GIVEN if of_user else "token", found[1])

    def login(self, at: int) -> Found | None:
        """Of a line of `.netrc`, behind `login`: `USER password …`."""
        found = _LOGIN.match(self._text, at)
        if found is None:
            return None
        if b"machine" in self._text[max(0, at - BACK) : at]:
            return self._judged(found.end(), GIVEN, b"", whole_line=True)
        value = _SHELL.match(self._text, found.end())
        if value is None or DIGIT.search(value[0]) is None:
            return None  # A sentence about a login and a password.
        return self._judged(found.end(), "password", b"", whole_line=True)


_NEXT_DIGIT = r"[^\x00-\x1f\x7f\xff]{0,48}[0-9]"
_PEEK_OPTION = (
    r"[a-z0-9_-]{0,24}(?:(?:[ \t=]{1,3}|[\"'\\]{1,3},)[\"'\\\s]{0,8}"
    r"|[\"']?[ \t]{0,8}\r?\n[ \t]{0,32}- [\"']?)[^\s\"'\\-]"
)
Read = Callable[[Commands, int], Found | None]


def _of_program(index: int) -> Read:
    return lambda these, at: these.given(at, leads(index), TAKING[index].until)


LOOKS: tuple[tuple[tuple[str, ...], str, Read], ...] = (
    (OPTIONS, _PEEK_OPTION, Commands.option),
    (_CHANGES, _CHANGED.pattern.decode(), Commands.changed),
    (
        (" -u ", " --user ", " --proxy-user ", "creds ", "creds=", "-auth ", "-auth=", "-cred="),
        _NEXT_DIGIT,
        Commands.user,
    ),
    (SETTERS, PEEK_SETTER, Commands.set),
    (("#define ",), r"[A-Za-z]\w{2,64}[ \t]{1,8}\"[^\s\"]", Commands.set),
    *((program.names, program.leads, _of_program(index)) for index, program in enumerate(TAKING)),
    (("IDENTIFIED", "identified"), _IDENTIFIED.pattern.decode(), Commands.identified),
    (
        (
            *(
                "assword ",
                "asswd ",
                "_pass ",
                "ecret ",
                "_key ",
                "Token ",
                "_token ",
                "-key ",
                "assword1 ",
                "assword2 ",
            ),
            *("Pass ", "passphrase ", "Key ", "Secret "),
            *("PASSWORD ", "TOKEN ", "SECRET ", "_KEY "),
        ),
        _WORDED.pattern.decode(),
        Commands.worded,
    ),
    (("login",), _LOGIN.pattern.decode(), Commands.login),
)
"""What stands before a password, what has to follow, and how it is read from the end of the former on."""
