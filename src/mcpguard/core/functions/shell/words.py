"""One word of a command line: bytes -> the text that a program gets, or that it is not known.

Law of this file: it is a second opinion. It reads the source itself, never the tree, apart from where a
substitution ends; a word has to end exactly where the tree says. sh, bash, dash, BusyBox and zsh, not at a
prompt, read the word alike, or it is refused. Source: POSIX.1-2024, XCU 2.2 (quoting) and 2.6.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.core.functions.function import FunctionError

ENDS = b" \t\n;&|<>()"
"""What ends a word that is not quoted."""

_BEHIND = rb"(?=\Z|[ \t\n\"'/.,;=+%@~^{}\]|&()<>$`*?!#-]|\\[^\n]|:(?:\Z|[ \t\n\"'/.,;:=+%@$0-9-]|\\[^\n]))"
"""What may follow a variable without braces: to zsh `:h` changes it, to zsh and ksh a letter beyond ASCII is
of its name, and to all what follows a backslash and a new line."""
_NAMED = rb"\$[A-Za-z_][A-Za-z0-9_]*" + _BEHIND
_STATUS = re.compile(rb"\$\?(?:(?=[A-Za-z0-9_])|" + _BEHIND + rb")")
_COUNT = rb"\$#(?=\Z|[ \t\n\"'/.,;=+%|&()<>])"
"""To zsh `$#-` and `$#f` are lengths."""
_SPECIAL = rb"\$(?:[0-9](?![0-9])|[@*!$-])(?:(?=[A-Za-z0-9_])|" + _BEHIND + rb")"
_PARAMETER = re.compile(_NAMED + rb"|" + _COUNT + rb"|" + _SPECIAL)
_DIRECT = re.compile(rb"\$[A-Za-z0-9_@*#?$!-]")
_BRACED = re.compile(
    rb"\$\{(?:#?[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?])\}|"
    rb"\$\{[A-Za-z_][A-Za-z0-9_]*(?::?[-+]|##?|%%?)[A-Za-z0-9_./,@*?-]*\}"
)
_NAME = re.compile(rb"\$\{?(?:#(?=[A-Za-z_]))?([A-Za-z_][A-Za-z0-9_]*|[0-9@*#$!-])")
_ARITHMETIC = re.compile(rb"\$\(\([0-9+*/% -]*\)\)")
_ANSI = re.compile(rb"\$'((?:[^'\\]|\\[nt\\])*)'")
_ANSI_ESCAPES = {b"\\n": b"\n", b"\\t": b"\t", b"\\\\": b"\\"}

MOST_CHOICES = 32
"""How many words braces may stand for."""
_BRACES = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)", re.DOTALL)
_CHOICE = re.compile(r"[A-Za-z0-9_./-]*", re.ASCII)
_COUNTED = re.compile(r"(0|[1-9][0-9]{0,3})\.\.(0|[1-9][0-9]{0,3})", re.ASCII)

_SEVERAL = (b"$@", b"${@}")
_NUMBERS = (b"$#", b"${#}", b"$$")
_NUMBER = re.compile(
    r"[-+]?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?)|\$[?#$]|\$\{#[A-Za-z_][A-Za-z0-9_]*\}|\$\(\([0-9+*/% -]*\)\)",
    re.ASCII,
)

_HERE_DOCUMENT = re.compile(rb"(?<!<)<<(?!<)")
_MOVABLE = re.compile(
    rb"(?P<blank>[ \t]+)|(?P<text><<<[ \t]*)|(?P<file>(?<![0-9&<>])(?:>>|>)(?![>&|(!])[ \t]*)"
    rb"|(?P<other>[\n;&|<>()0-9])"
)
"""What stands before words: a here-string, a redirect to a file, or an operator."""

_CAT = re.compile(rb"\$\(cat[ \t]*<<[ \t]*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1\n((?:[^\n]*\n)*?)\2\n[ \t\n]*\)")
_PAIRED = re.compile(rb"'[^'\\]*'|\"[^\"`$\\]*\"|`[^`'\"$()\\]*`")
_UNPAIRED = re.compile(rb"['\"`\\]|\$[({'\"]")
_REMARK = re.compile(rb"(?:(?<=[ \t\n])|\A)#[^\n]*")
_GLOB = re.compile(r"[*?\[]")
_ONE_WORD = re.compile(r"[A-Za-z0-9_./,:@%+=-]+|\{\d+\.\.\d+\}", re.ASCII)
_SUFFIX = re.compile(r"[A-Za-z0-9_./,-]+", re.ASCII)

_BLANK_ELSEWHERE = b"\x85\xa0"
"""Bytes of UTF-8 that a shell takes for a blank where its locale counts bytes."""


class Word(Struct, frozen=True):
    """A word. `text` is what a program gets, except that what a shell would expand stands as written; then
    `literal` is false. `single`: it is one argument, not none or several. `fixed`: each argument's first
    character is known, and if it is not literal no dash. `pattern`: all that a shell would expand are globs.
    `found`: it stands for the files that find finds. `choices`: the words that shells with braces make of it,
    where these are known. `stream`: all of it is a process substitution `<(...)`,
    which stands for a file that holds what a command prints.
    """

    text: str
    literal: bool = True
    single: bool = True
    fixed: bool = True
    pattern: bool = False
    found: bool = False
    stream: bool = False
    choices: tuple[Word, ...] = ()


def unknown(text: str) -> Word:
    """Arguments that are not known."""
    return Word(text, literal=False, single=False, fixed=False)


UNKNOWN = unknown("")


def is_number(word: Word) -> bool:
    """Whether a word is a number, so that a shell that evaluates it runs nothing and sets nothing."""
    return bool(_NUMBER.fullmatch(word.text))


def as_written(word: Word) -> Word:
    """A word as shells without braces read it."""
    if not word.choices:
        return word
    return Word(
        word.text,
        literal=not word.choices[0].pattern,
        single=not word.choices[0].pattern,
        fixed=word.text[0] not in "-(!*?[" or not word.choices[0].pattern,
        pattern=word.choices[0].pattern,
    )


class SubstitutionSpans(Struct):
    """What stands in words: `ends` maps where each substitution starts to its end; `texts` are the starts of
    those that were read as the text that they stand for; `values` are what the variables of loops stand for
    now. `quoted` and `bare` are the variables that are expanded, within double quotes or not. `plain_cat`:
    `cat` prints its input."""

    ends: dict[int, int] = {}
    texts: set[int] = set()
    values: dict[str, Word] = {}
    quoted: set[str] = set()
    bare: set[str] = set()
    plain_cat: bool = True


def read_word(source: bytes, start: int, inner: SubstitutionSpans) -> tuple[Word, int]:
    """The word at `start`, and the offset after it. Raises FunctionError for what two shells could read
    differently."""
    return _WordReader(source, inner).read(start)


def read_words(source: bytes, start: int, end: int, inner: SubstitutionSpans) -> list[Word]:
    """The words from `start` to `end`, blanks between. Raises FunctionError, also for operators."""
    words = []
    while start < end:
        if source[start] in b" \t":
            start += 1
            continue
        word, after = read_word(source, start, inner)
        if not start < after <= end:
            raise FunctionError("shell() found an operator among words")
        words.append(word)
        start = after
    return words


def here_strings_first(source: bytes) -> bytes:
    """`cat > a <<< x` as `cat <<< x > a`, which means the same, and which the parser can read. Raises
    FunctionError as `read_word` does."""
    if b"<<<" not in source or _HERE_DOCUMENT.search(source):
        return source
    out, at, run = bytearray(), 0, -1
    while at < len(source):
        found = _MOVABLE.match(source, at)
        start, kind = at, found.lastgroup if found else ""
        at = found.end() if found else at
        if kind == "blank":
            out += source[start:at]
            continue
        if kind != "other":
            _, at = read_word(source, at, SubstitutionSpans())
        if kind == "text" and run >= 0:
            moved = source[start:at] + b" "
            out[run:run] = moved
            run += len(moved)
            continue
        if kind != "file":
            run = -1
        elif run < 0:
            run = len(out)
        out += source[start:at]
    return bytes(out)


def read_body(body: bytes, inner: SubstitutionSpans) -> Word:
    """The text of a here-document whose delimiter is not quoted. Raises FunctionError for a substitution."""
    reader = _WordReader(body, SubstitutionSpans(quoted=inner.quoted))
    if b"\\" in body or b"`" in body:
        raise FunctionError("shell() does not read a backslash or a backtick in a here-document")
    at = 0
    while at < len(body):
        at = reader.dollar(at, quoted=True) if body[at] == ord("$") else reader.keep(at)
    return reader.word()


def _without(word: Word, suffix: str) -> Word | None:
    """A word whose end is cut off, if it is known what is left: of a glob, a text that it ends with."""
    if suffix == ".*":
        kept, dot, ending = word.text.rpartition(".")
        text, known = kept if dot else word.text, bool(dot and _SUFFIX.fullmatch(ending))
    else:
        text, known = word.text.removesuffix(suffix), word.text.endswith(suffix)
    plain = suffix == ".*" or _SUFFIX.fullmatch(suffix)
    return replace(word, text=text) if plain and (known or word.literal) else None


def _text_of_cat(source: bytes) -> bytes | None:
    """What `$(cat <<'EOF' ...)` stands for in double quotes, if its here-document is text alone. Before
    version 4, bash takes quotes, brackets and remarks in it for its own: they have to pair up either way."""
    found = _CAT.fullmatch(source)
    if found is None:
        return None
    quote, delimiter, body = found.groups()
    pairs = [one.group() for one in _PAIRED.finditer(body)]
    if (
        (not quote and any(one in body for one in (b"$", b"`", b"\\")))
        or any(line.startswith(delimiter) for line in body.split(b"\n"))
        or any(b"#" in pair for pair in pairs)
        or not (_pairs_up(body) and _pairs_up(_REMARK.sub(b"", body)))
    ):
        return None
    return body.rstrip(b"\n")


def _pairs_up(body: bytes) -> bool:
    rest = _PAIRED.sub(b"", body)
    depth = 0
    for byte in rest:
        depth += (byte == ord("(")) - (byte == ord(")"))
        if depth < 0:
            return False
    return depth == 0 and not _UNPAIRED.search(rest)


class _WordReader:
    def __init__(self, source: bytes, inner: SubstitutionSpans) -> None:
        self.source = source
        self.inner = inner
        self.out = bytearray()
        self.prefix: bytes | None = None
        self.splits = False
        self.single_argument = self.only_globs = True
        self.braces = 0
        self.brace: int | None = None
        self.quotes = False
        self.listed = self.stream = False
        self.globs: int | None = None
        self.plain = {
            ord("\\"): self.escape,
            ord("'"): self.single,
            ord('"'): self.double,
            ord("$"): self.dollar,
            ord("`"): self.backtick,
        }

    def read(self, start: int) -> tuple[Word, int]:
        at = start
        while at < len(self.source):
            byte = self.source[at]
            if byte in ENDS and at not in self.inner.ends:
                break
            act = self.plain.get(byte)
            self.quotes = self.quotes or act is not None
            at = act(at) if act else self.other(at, at == start)
        if self.braces:
            raise FunctionError("shell() does not read a lone brace: to zsh it is the end of a group")
        return self.word(), at

    def word(self) -> Word:
        text, choices = self.out.decode(), tuple[Word, ...]()
        if self.brace is not None and self.listed:
            if (self.prefix is None or self.only_globs) and not self.quotes:
                choices = self.choices(text)
            self.expands(at=self.brace, many=True)
        if self.stream:
            return Word(text, literal=False, stream=True)
        if self.prefix is None:
            return Word(text)
        if self.globs is not None and self.globs != len(_GLOB.findall(text)):
            self.only_globs = False  # Of two globs, one could stand in quotes.
        fixed = not self.splits and bool(self.prefix) and self.prefix[0] not in b"-(!"
        only_globs, single = self.only_globs, self.single_argument
        return Word(text, literal=False, single=single, fixed=fixed, pattern=only_globs, choices=choices)

    def choices(self, text: str) -> tuple[Word, ...]:
        """The words that `{a,b}` and `{1..3}` stand for, if that is all that the braces hold; else none."""
        found = _BRACES.fullmatch(text)
        if found is None:
            return ()
        before, inside, behind = found.groups()
        pattern = self.prefix is not None
        counted = _COUNTED.fullmatch(inside)
        parts = inside.split(",")
        if counted:
            low, high = int(counted[1]), int(counted[2])
            parts = [str(one) for one in range(low, high + 1)]
        whole = [f"{before}{one}{behind}" for one in parts]
        if not (
            1 < len(parts) <= MOST_CHOICES and all(_CHOICE.fullmatch(one) for one in parts) and all(whole)
        ):
            return ()
        if not pattern:
            return tuple(Word(one) for one in whole)
        return tuple(
            Word(one, literal=False, single=False, fixed=one[0] not in "-(!*?[", pattern=True)
            for one in whole
        )

    def expands(
        self, *, at: int | None = None, splits: bool = False, many: bool = False, glob: bool = False
    ) -> None:
        """From here on, or from `at`, the text is not what a program gets."""
        before = bytes(self.out[:at])
        if self.prefix is None or len(before) < len(self.prefix):
            self.prefix = before
        self.splits = self.splits or splits
        self.only_globs = self.only_globs and glob
        self.single_argument = self.single_argument and not many

    def keep(self, at: int, count: int = 1) -> int:
        self.out += self.source[at : at + count]
        return at + count

    def other(self, at: int, first: bool) -> int:
        """An unquoted character that is not in `plain`."""
        byte = self.source[at]
        if at in self.inner.ends:
            end = self.inner.ends[at]
            self.stream = first and byte == ord("<") and self.source[end : end + 1].strip(ENDS) == b""
            return self.keep(at, end - at) if self.stream else self.substitution(at)
        if byte in _BLANK_ELSEWHERE:
            raise FunctionError("shell() reads this character only in quotes: to some shells it is a blank")
        if first and byte == ord("#"):
            raise FunctionError("shell() reads a comment only behind a command, or in a line of its own")
        self.pattern(at, first)
        return self.keep(at)

    def pattern(self, at: int, first: bool) -> None:
        """Globs, braces, tildes and, as zsh has them, a leading equals sign."""
        byte = self.source[at]
        equals = first and byte == ord("=") and self.source[at + 1 : at + 2].strip(ENDS)
        if byte in b"*?[" or equals:
            self.expands(many=True, glob=not equals)
        elif byte == ord("~") and (first or self.source[at - 1] in b":="):
            self.expands()
            self.prefix = self.prefix or b"~"
        elif byte == ord("{") and self.brace is None:
            self.brace = len(self.out)
        self.braces += (byte == ord("{")) - (byte == ord("}"))
        self.listed = self.listed or byte == ord(",") or self.source[at : at + 2] == b".."

    def escape(self, at: int) -> int:
        if self.source[at + 1 : at + 2] in (b"", b"\n"):
            raise FunctionError("shell() does not read a word that continues on the next line")
        return self.keep(at + 1)

    def single(self, at: int) -> int:
        end = self.source.find(b"'", at + 1)
        if end < 0:
            raise FunctionError("shell() found an unterminated quote")
        return self.keep(at + 1, end - at - 1) + 1

    def double(self, at: int) -> int:
        at += 1
        while at < len(self.source):
            byte = self.source[at]
            if byte == ord('"'):
                return at + 1
            if byte == ord("\\"):
                at = self.escape_in_double(at)
            elif byte == ord("$"):
                at = self.dollar(at, quoted=True)
            elif byte == ord("`"):
                at = self.backtick(at)
            else:
                at = self.keep(at)
        raise FunctionError("shell() found an unterminated quote")

    def escape_in_double(self, at: int) -> int:
        after = self.source[at + 1 : at + 2]
        if after == b"\n":
            return at + 2
        return self.keep(at + 1) if after and after in b'\\"$`' else self.keep(at)

    def substitution(self, at: int, quoted: bool = False) -> int:
        end = self.inner.ends[at]
        text = _text_of_cat(self.source[at:end]) if quoted and self.inner.plain_cat else None
        if text is None:
            self.expands(splits=not quoted, many=not quoted)
            return self.keep(at, end - at)
        self.inner.texts.add(at)
        self.out += text
        return end

    def backtick(self, _at: int) -> int:
        raise FunctionError("shell() does not read backticks: `$(...)` is the unambiguous form")

    def dollar(self, at: int, quoted: bool = False) -> int:
        if at in self.inner.ends:
            return self.substitution(at, quoted)
        if _STATUS.match(self.source, at):
            return self.keep(at, 2)  # It is a number.
        for form in (_BRACED, _ARITHMETIC, _PARAMETER):
            found = form.match(self.source, at)
            if found and self.value(found[0].strip(b"${}").decode(), quoted):
                return found.end()
            if found:
                name = _NAME.match(found[0])
                (self.inner.quoted if quoted else self.inner.bare).update([name[1].decode()] if name else ())
                number = form is _ARITHMETIC or found[0] in _NUMBERS
                several = found[0] in _SEVERAL or not (quoted or number)
                self.expands(splits=several, many=several)
                return self.keep(at, found.end() - at)
        after = self.source[at + 1 : at + 2]
        if _DIRECT.match(self.source, at):
            raise FunctionError(
                "shell() reads a variable before this character only in braces, as in `${f}:h`"
            )
        if not quoted and after == b"'":
            return self.ansi(at)
        if after and after not in (b'" |)\n' if quoted else b" \t\n;"):
            raise FunctionError("shell() does not know this form of expansion")
        return self.keep(at)

    def value(self, name: str, quoted: bool) -> bool:
        """Whether a variable stands for a text that is known, which then follows. `f%.js` is `${f%.js}`."""
        name, cut, suffix = name.partition("%")
        word = self.inner.values.get(name)
        if word is not None and cut:
            word = _without(word, suffix)
        if word is None or not (quoted or (word.literal and _ONE_WORD.fullmatch(word.text))):
            return False
        folder, glob = word.text, ""
        if not word.literal:
            at = _GLOB.search(word.text).start()  # type: ignore[union-attr]
            folder, glob = word.text[:at], word.text[at:]
        self.out += folder.encode()
        if glob:
            self.expands(glob=self.globs is None)
            self.globs = len(_GLOB.findall(glob))
            self.out += glob.encode()
        return True

    def ansi(self, at: int) -> int:
        found = _ANSI.match(self.source, at)
        if not found:
            raise FunctionError("shell() does not read such escapes: not all shells know them")
        self.expands()
        self.out += re.sub(rb"\\.", lambda one: _ANSI_ESCAPES[one[0]], found[1])
        return found.end()
