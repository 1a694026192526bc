"""The syntax tree of a command line: what tree-sitter-bash found -> facts of a Reading.

Law of this file: every kind of node and every token has to be in a table here, what lies between tokens has
to be blank, and each word has to end where `words.py` says; anything else is refused. So a blind spot of
the parser is a refusal. Source: POSIX.1-2024, XCU 2.7 (redirection), 2.9 (commands), 2.10 (grammar).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.launch import launch
from mcpguard.core.functions.shell.own import EVALUATING
from mcpguard.core.functions.shell.programs import is_local
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.functions.shell.words import (
    SubstitutionSpans,
    Word,
    as_written,
    here_strings_first,
    read_body,
    read_word,
    read_words,
)
from mcpguard.core.tables import names

NESTING = 100
"""How deep statements may be nested; `a && b && c` is two deep."""

OPENERS = 200
"""How many characters and pairs that open something a text may have: the parser's time grows with them."""

_OPENER = re.compile(rb"[({`]|<<|\[\[")
_LINES = re.compile(rb"(?:[ \t\n]|(?<=[ \t])\\\n|(?:(?<=[ \t\n])|\A)#[^\n]*+(?=\n|\Z))*+")
"""Blanks, new lines and comments."""
_BLANKS = re.compile(rb"(?:[ \t]|(?<=[ \t])\\\n)*")
_ASSIGNMENT = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_DECLARED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:=|$)", re.ASCII)
_FUNCTION = re.compile(rb"[A-Za-z_][A-Za-z0-9_-]*")
_REDIRECT = re.compile(rb"[0-9]?(&>>|&>|>>|>\||>&|<&|<|>)[ \t]*")
_DELIMITER = re.compile(rb"(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_DASH = re.compile(rb"[ \t]+-[ \t]+")
_DESCRIPTOR = re.compile(r"[0-9]-?|-", re.ASCII)

_CLOSING = names("then elif else fi do done }")
_OPENING = names("if while until for in function { !")
_TOKENS = names("; & && || | |& ( ) $( <( >(") | _CLOSING | _OPENING | {"\n"}
_NESTED = names(
    "program list pipeline subshell compound_statement negated_command if_statement elif_clause else_clause "
    "while_statement do_group command_substitution process_substitution variable_assignments"
)
_SAME_FOLDER = (None, "&&", "(", "$(", "{")
"""Tokens behind which a command runs in the folder that those before it left."""

_LEAVING = ("command", "list", "redirected_statement")
"""Statements that can change the folder for those behind them, and whose success means that they did. Behind
`||` it does not: the success may be that of the statement before."""

_LAST = ("list", "pipeline", "negated_command")
_REDIRECTS = ("file_redirect", "herestring_redirect", "heredoc_redirect")
_SUBSTITUTIONS = ("command_substitution", "process_substitution")


@cache
def _language() -> Any:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def read_tree(source: bytes, reading: LineReading, depth: int) -> None:
    """Read all of `source` into `reading`. Raises FunctionError."""
    from tree_sitter import Parser

    if len(_OPENER.findall(source)) > OPENERS:
        raise FunctionError(f"shell() reads at most {OPENERS} brackets")
    parser = Parser(_language())
    root = parser.parse(source).root_node
    if root.has_error:
        source = here_strings_first(source)
        root = parser.parse(source).root_node
    if root.has_error:
        raise FunctionError("shell() cannot parse this text")
    substitutions = [node for node in _all_nodes(root) if node.type in _SUBSTITUTIONS]
    reading.repeats = reading.repeats or depth > 0
    ends = {_start(source, one): one.end_byte for one in substitutions}
    walk = _Walk(source, reading, depth, SubstitutionSpans(ends, plain_cat=not reading.redefined))
    if not _parts(root):
        raise FunctionError("shell() found no command")
    walk.last = _last(root) if depth == 0 else None
    walk.children(root, 0, len(source), 0)
    for node in substitutions:
        walk.substitution(node)
    reading.quoted |= walk.inner.quoted
    reading.bare |= walk.inner.bare


def _all_nodes(root: Any) -> Iterator[Any]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _parts(node: Any) -> list[Any]:
    """What a node consists of, but for comments, which `gap` reads."""
    return [child for child in node.children if child.type != "comment"]


def _last(node: Any) -> int | None:
    """Where the command starts behind which nothing runs."""
    while node.type in ("program", "list"):
        node = _parts(node)[-1]
    return int(node.start_byte) if node.type == "command" else None


def _start(source: bytes, substitution: Any) -> int:
    """Where it starts: behind an expansion, the parser counts blanks before it as a part of it."""
    written = source[substitution.start_byte : substitution.end_byte]
    return int(substitution.end_byte - len(written.lstrip(b" \t\n")))


def _is_ifs(node: Any, name: bytes, value: Word) -> bool:
    """Whether it is the `IFS=` of `IFS= read`, which only says how `read` cuts its line up."""
    command = node.parent.child_by_field_name("name") if node.parent.type == "command" else None
    return name == b"IFS" and value.literal and command is not None and command.text == b"read"


def _is_printed(word: Word, before: Sequence[Word]) -> bool:
    """Whether a word behind others is one argument that its program only prints."""
    program = before[0].text if before and before[0].literal else ""
    return word.single and (program == "echo" or (program == "printf" and (word.fixed or len(before) > 1)))


class _Walk:
    def __init__(self, source: bytes, reading: LineReading, depth: int, inner: SubstitutionSpans) -> None:
        self.source = source
        self.reading = reading
        self.depth = depth
        self.inner = inner
        self.outermost = True
        self.last: int | None = None
        self.streams: set[int] = set()
        self.printed: set[int] = set()
        self.folders: dict[int, set[str]] = {}
        self.behind: dict[int, list[Any]] = {}
        self.acts = {
            "command": self.command,
            "redirected_statement": self.redirected,
            "herestring_redirect": self.here_string,
            "heredoc_redirect": self.here_document,
            "variable_assignment": self.assignment,
            "declaration_command": self.declaration,
            "unset_command": self.declaration,
            "test_command": self.test,
            "function_definition": self.function,
            "for_statement": self.loop,
        }

    def children(self, node: Any, start: int, end: int, nesting: int) -> None:
        """Statements and tokens with blanks and new lines between. Raises FunctionError."""
        if nesting > NESTING:
            raise FunctionError(f"shell() reads statements in statements to a depth of {NESTING}")
        before = None
        for child in _parts(node):
            self.gap(start, child.start_byte, _LINES)
            self.has_command(child)
            if child.is_named and before not in _SAME_FOLDER:
                self.reading.places.anywhere()
            self.part(child, nesting)
            if child.is_named and (child.type not in _LEAVING or before == "||"):
                self.reading.places.anywhere()
            start, before = child.end_byte, child.type
        self.gap(start, end, _LINES)

    def has_command(self, node: Any) -> None:
        """Raises FunctionError for redirects without a command: zsh runs cat or a pager for them."""
        if node.type in _REDIRECTS:
            raise FunctionError("shell() does not read a redirect without a command")

    def part(self, node: Any, nesting: int) -> None:
        if not node.is_named:
            self.token(node)
        elif node.type in _NESTED:
            self.reading.repeats = self.reading.repeats or node.type == "while_statement"
            self.children(node, node.start_byte, node.end_byte, nesting + 1)
        elif node.type in self.acts:
            self.acts[node.type](node, nesting + 1)
        else:
            raise FunctionError("shell() does not read this kind of statement")

    def gap(self, start: int, end: int, blank: re.Pattern[bytes]) -> None:
        if not blank.fullmatch(self.source, start, end):
            raise FunctionError("shell() found text that is not part of a command")
        text = self.source[start:end]
        cut = b"#" in text.rpartition(b"\n")[2] and self.source[end : end + 1].strip(b"\n")
        if cut or (b"#" in text and not self.outermost):
            raise FunctionError("shell() reads a comment only to the end of its line, and in no `$(...)`")

    def token(self, node: Any) -> None:
        kind = node.type
        if kind not in _TOKENS:
            raise FunctionError("shell() does not read this kind of statement")
        if self.misplaced(node):
            raise FunctionError("shell() found a word that is reserved in some shells only")
        self.reading.background = self.reading.background or kind == "&"
        self.reading.pipes = self.reading.pipes or kind in ("|", "|&")

    def misplaced(self, node: Any) -> bool:
        """Whether a reserved word does not stand alone or first, or parentheses could be arithmetic."""
        before = self.source[: node.start_byte].rstrip(b" \t")
        after = self.source[node.end_byte : node.end_byte + 1]
        alone = not after or after in b" \t\n;&|)<>"
        first = before[-1:] in b";\n&)}"
        return (
            (node.type in _OPENING and not alone)
            or (node.type in _CLOSING and not (alone and first))
            or (node.type in ("(", "$(") and after == b"(")
        )

    def substitution(self, node: Any) -> None:
        start = _start(self.source, node)
        self.reading.places.here = self.folders.get(start) or set(self.reading.places.seen)
        if start in self.inner.texts:
            launch(self.reading, [Word("cat")], self.depth)
            return
        plain = start in self.streams or start in self.printed
        self.reading.substitutions = self.reading.substitutions or not plain
        self.outermost = False
        self.children(node, node.start_byte, node.end_byte, 0)

    def word(self, start: int, end: int, words: Sequence[Word] = ()) -> Word:
        """The word there; `words` are those of its command that stand before it."""
        word, after = read_word(self.source, start, self.inner)
        if after != end:
            raise FunctionError("shell() cannot determine where a word ends")
        if word.stream:
            self.streams.add(start)
        for place in self.inner.ends if b"(" in self.source[start:end] else ():
            if start <= place < end:
                self.folders[place] = self.folders.get(place, set()) | self.reading.places.here
        printed = not self.reading.redefined and _is_printed(word, words)
        self.printed |= {place for place in self.inner.ends if printed and start <= place < end}
        return self.reading.see(word, printed=printed)

    def command(self, node: Any, nesting: int) -> None:
        self.reading.ends = node.start_byte == self.last
        with self.reading.of_command():
            self._command(node, nesting)

    def _command(self, node: Any, nesting: int) -> None:
        words, at = list[Word](), node.start_byte
        for child in node.children:
            self.gap(at, child.start_byte, _BLANKS)
            if child.type == "file_redirect":
                words += self.file_redirect(child)
            elif child.type in self.acts:
                self.part(child, nesting)
            else:
                words.append(self.word(child.start_byte, child.end_byte, words))
            at = child.end_byte
        for redirect in self.behind.pop(node.start_byte, ()):
            if _DASH.fullmatch(self.source, at, redirect.start_byte):
                words.append(Word("-"))
            words += self.redirect(redirect, nesting)
            at = redirect.end_byte
        if any(word.choices for word in words):
            # Dash has no braces, and takes them as they stand.
            launch(self.reading, [as_written(word) for word in words], self.depth)
        launch(self.reading, [one for word in words for one in word.choices or (word,)], self.depth)

    def redirected(self, node: Any, nesting: int) -> None:
        """A statement and redirects behind it, which are of its last command."""
        body, *redirects = node.children
        self.has_command(body)
        at = body.end_byte
        for child in redirects:
            # The parser loses a `-` before a here-document.
            lost = body.type == "command" and _DASH.fullmatch(self.source, at, child.start_byte)
            self.gap(child.start_byte if lost else at, child.start_byte, _BLANKS)
            at = child.end_byte
        last = body
        while last.type in _LAST:
            last = last.children[-1]
        if last.type == "command":
            self.behind[last.start_byte] = redirects
        self.part(body, nesting)
        if last != body or last.type != "command":
            self.reading.places.anywhere()
        if last.type != "command" and any([self.redirect(child, nesting) for child in redirects]):
            raise FunctionError("shell() found words behind a redirect that are not part of a command")

    def redirect(self, node: Any, nesting: int) -> list[Word]:
        """Note a redirect. Returns the words behind it, which are arguments of its command."""
        if node.type == "file_redirect":
            return self.file_redirect(node)
        self.part(node, nesting)
        return []

    def file_redirect(self, node: Any) -> list[Word]:
        found = _REDIRECT.match(self.source, node.start_byte)
        destinations = node.children_by_field_name("destination")
        spans = [(one.start_byte, one.end_byte) for one in destinations]
        if not found or (spans and spans[0][0] != found.end()):
            raise FunctionError("shell() does not know this redirect")
        spans = spans or [(found.end(), node.end_byte)]
        target, *others = [self.word(*span) for span in spans]
        for (_, end), (start, _) in pairwise(spans):
            self.gap(end, start, _BLANKS)
        operator, end = found[1].decode(), spans[0][1]
        copies = operator in ("<&", ">&") and target.literal and _DESCRIPTOR.fullmatch(target.text)
        if copies:
            self.reading.redirects.append({"operator": operator, "target": target.text})
        elif operator == "<&" or (operator == "<" and self.source[end : end + 1] == b">"):
            raise FunctionError("shell() does not know this redirect")
        else:
            self.divided(operator, others)
            self.reading.redirect(operator, target)
        return others

    def divided(self, operator: str, others: list[Word]) -> None:
        """`&>` and `>&` are not redirects to dash: it takes `a &> b c` for `a &` and for `>b c`."""
        if "&" in operator:
            self.reading.places.divide()
            if others:
                raise FunctionError("shell() does not read words after this redirect: dash runs them")

    def here_string(self, node: Any, _nesting: int) -> None:
        text = self.word(node.children[-1].start_byte, node.end_byte).text
        self.gap(node.children[0].end_byte, node.children[-1].start_byte, _BLANKS)
        self.reading.redirects.append({"operator": "<<<", "target": text})

    def here_document(self, node: Any, _nesting: int) -> None:
        operator, opening, *others, _body, closing = node.children
        delimiter = _DELIMITER.fullmatch(self.source, opening.start_byte, opening.end_byte)
        line = self.source.find(b"\n", opening.end_byte)
        if not self.outermost:
            raise FunctionError(
                "shell() reads a here-document in `$(...)` only as `\"$(cat <<'EOF' ...)\"`, with quotes and "
                "brackets that pair up; any text can be input, as in `git commit -F - <<'EOF'`"
            )
        if operator.type != "<<" or not delimiter:
            raise FunctionError("shell() reads a here-document with `<<` and a plain word, such as `<<'EOF'`")
        at = opening.end_byte
        for child in others:
            self.gap(at, child.start_byte, _BLANKS)
            if child.type != "file_redirect" or self.file_redirect(child):
                raise FunctionError(
                    "shell() reads only redirects behind `<<'EOF'`: to go on with `|` or `&&`, write `{` "
                    "before the command, and `} | head` on the line after the one that ends the here-document"
                )
            at = child.end_byte
        self.gap(at, line, _BLANKS)
        end = re.compile(rb"^" + delimiter[2] + rb"$", re.MULTILINE).search(self.source, line + 1)
        if not end or end.span() != (closing.start_byte, closing.end_byte):
            raise FunctionError("shell() cannot determine where a here-document ends")
        body = self.source[line + 1 : end.start()]
        text = body.decode() if delimiter[1] else self.reading.see(read_body(body, self.inner)).text
        self.reading.redirects.append({"operator": "<<", "target": text})

    def assignment(self, node: Any, _nesting: int) -> None:
        found = _ASSIGNMENT.match(self.source, node.start_byte, node.end_byte)
        if not found:
            raise FunctionError("shell() does not read this form of assignment")
        value = self.word(found.end(), node.end_byte)
        if _is_ifs(node, found[1], value):
            return
        self.reading.assign(found[1].decode(), value, exported=node.parent.type == "command")

    def declaration(self, node: Any, _nesting: int) -> None:
        words = read_words(self.source, node.start_byte, node.end_byte, self.inner)
        self.reading.run(words[0], words[1:])
        if len(words) == 1:
            raise FunctionError("shell() does not read a declaration without a name, which prints variables")
        with self.reading.of_program(words[0].text, words[1:]):
            for word in words[1:]:
                if not _DECLARED.match(self.reading.see(word).text):
                    raise FunctionError("shell() reads only plain names in a declaration")
            self.reading.declare(words[0].text, words[1:])

    def test(self, node: Any, _nesting: int) -> None:
        words = read_words(self.source, node.start_byte, node.end_byte, self.inner)
        brackets = f"{words[0].text} {words[-1].text}"
        plain = brackets == "[[ ]]" and not any(word.text in EVALUATING for word in words)
        if brackets != "[ ]" and not plain:
            raise FunctionError("shell() compares no numbers in `[[`, which evaluates them: use `[`")
        launch(self.reading, [Word("["), *map(self.reading.see, words[1:])], self.depth)

    def function(self, node: Any, nesting: int) -> None:
        name = node.child_by_field_name("name")
        found = _FUNCTION.fullmatch(self.source, name.start_byte, name.end_byte)
        if not found:
            raise FunctionError("shell() reads only plain names of functions")
        self.reading.functions.add(found[0].decode())
        self.reading.repeats = True
        at = node.start_byte
        for child in _parts(node):
            self.gap(at, child.start_byte, _LINES)
            if child != name:
                self.part(child, nesting)
            at = child.end_byte

    def loop(self, node: Any, nesting: int) -> None:
        self.reading.repeats = True
        at, name, values = node.start_byte, "", []
        for child in _parts(node):
            self.gap(at, child.start_byte, _LINES if child.type in ("do_group", ";") else _BLANKS)
            if child.type == "variable_name":
                name = self.word(child.start_byte, child.end_byte).text
            elif child.is_named and child.type != "do_group":
                value = self.word(child.start_byte, child.end_byte)
                values += [*value.choices, as_written(value)]
            elif child.type == "do_group":
                self.body(child, nesting, name, values)
            else:
                self.part(child, nesting)
            at = child.end_byte

    def body(self, node: Any, nesting: int, name: str, values: list[Word]) -> None:
        """The body of a loop, once for each value of its variable, unless one of them is not known."""
        written = self.source[node.start_byte : node.end_byte]
        values = values if re.search(rb"\$\{?" + name.encode(), written) else values[:1]
        plain = is_local(name) and not self.reading.redefined
        known = plain and values and all(word.literal or word.pattern for word in values)
        outer, assigned = self.inner.values, self.reading.assignments
        if known and name not in outer and self.reading.repeat(len(values) * len(written)):
            self.reading.assignments, self.reading.unrolled = set(), True
            for word in values:
                self.inner.values = {**outer, name: word}
                self.part(node, nesting)
            changed = name in self.reading.assignments | self.reading.taken
            self.inner.values, self.reading.assignments = outer, assigned | self.reading.assignments
            if not changed:
                return
        self.reading.assign(name)
        self.inner.values = {one: word for one, word in outer.items() if one != name}
        self.part(node, nesting)
