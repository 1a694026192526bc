"""`sql(text, dialect)`: what a text of SQL does, statement by statement, before a server is asked.

Law of this file: nothing in the text stays unread. Our own reader of tokens (`text.py`) and the parser
must agree on where each string and each quoted name is; what the parser takes for a free text is refused;
the parser's own work is counted, so that no nesting makes it search for seconds. No message and no log
line of the parser leaves, since they quote the text.
Source: sqlglot 30.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec import Struct, structs

from mcpguard.core.functions.function import Function, FunctionError, Parameter, of_kind
from mcpguard.core.functions.sql.calls import (
    called,
    commanded,
    implicit,
    plain_read,
    pure,
    refuse_text_as_sql,
    tables_that_run,
    unknown_types,
)
from mcpguard.core.functions.sql.fields import Relations, fields, lost
from mcpguard.core.functions.sql.long import unbounded
from mcpguard.core.functions.sql.plain import PLAIN_KINDS, plain
from mcpguard.core.functions.sql.rows import IsColumn, filtered, most_rows
from mcpguard.core.functions.sql.text import LEXIS, Source, SqlToken, read, statements
from mcpguard.core.functions.sql.tree import Node, Tree
from mcpguard.core.functions.sql.words import (
    ALTERATIONS,
    DEFINED,
    ENGINES,
    EXPLAINS,
    PROPERTIES,
    SETTINGS,
    SQL_SERVER_STATEMENTS,
)
from mcpguard.core.model import Json

STEPS = 10
"""Steps of the parser for each token, before it is stopped. Ordinary texts need one or two."""

_UNREADABLE = "sql() cannot parse the text in this dialect"
_OPAQUE = "sql() found a statement whose effects are not visible in its text"


class Facts(Struct):
    """What is known of all statements so far, as the answer has it but for their number."""

    kinds: set[str] = set()
    writes: bool = False
    tables: set[str] = set()
    written: set[str] = set()
    columns: set[str] = set()
    functions: set[str] = set()
    pure: bool = True
    filtered: bool = True
    limit: int = 0
    unbounded: set[str] = set()


class DialectParser(Struct, frozen=True):
    """The parser of one dialect. `kinds` are the classes of statements with their names."""

    exp: Any
    tokenize: Any
    make: Any
    kinds: tuple[tuple[type, str], ...]


_KINDS = {"Query": "select", "Values": "select", "TruncateTable": "truncate"} | {
    name: name.lower()
    for name in (
        *("Insert", "Update", "Delete", "Merge", "Create", "Alter", "Drop", "Grant", "Revoke", "Copy"),
        *("Comment", "Analyze", "Attach", "Detach", "Use", "Kill"),
    )
}
"""Classes of sqlglot's expressions that are statements, and what we call them."""
KINDS = tuple(sorted({*_KINDS.values(), "explain", *PLAIN_KINDS}))
"""All kinds of statements."""


@cache
def _parser(dialect: str) -> DialectParser:
    # Costs some 100 ms once, so only where a condition calls.
    import sqlglot
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import ErrorLevel

    sqlglot.logger.disabled = True
    one = Dialect.get_or_raise(dialect)

    class StepCounter(one.parser_class):  # type: ignore[misc, name-defined]
        """Stops after this many steps, whatever it tries."""

        steps = 0

        def _advance(self, times: int = 1) -> None:
            self.steps -= 1
            if self.steps < 0:
                raise FunctionError("sql() cannot read anything nested this deeply")
            super()._advance(times)

    def make(steps: int) -> Any:
        parser = StepCounter(dialect=one, error_level=ErrorLevel.IMMEDIATE)
        parser.steps = steps
        return parser

    kinds = tuple((getattr(exp, name), kind) for name, kind in _KINDS.items())
    return DialectParser(exp, one.tokenize, make, kinds)


def sql(text: str, dialect: str, columns: Json = None) -> Json:
    """What the page of `SQL` describes. Raises FunctionError for a text that can be read in two ways, and for
    an unknown dialect."""
    if dialect not in LEXIS:
        raise FunctionError(f"sql() reads these dialects: {', '.join(sorted(LEXIS))}")
    source = read(text, dialect)
    parts = statements(source.tokens)
    if not parts:
        raise FunctionError("sql() found no statement")
    facts = Facts()
    written = _written(columns)
    for tokens in parts:
        _statement(source, tokens, dialect, written, facts)
    found = structs.asdict(facts).items()
    return {
        "statements": len(parts),
        **{name: sorted(one) if isinstance(one, set) else one for name, one in found},
    }


def _written(columns: Json) -> frozenset[str]:
    """The third argument as `TABLE.COLUMN`."""
    lists = columns.items() if isinstance(columns, dict) else [("", columns or [])]
    found = set()
    for table, names in lists:
        if not isinstance(names, list) or not of_kind("list", names):
            raise FunctionError("sql() needs `columns` to be a list of texts, or a map of such lists")
        found |= {f"{table}.{name}" if table else str(name) for name in names}
    return frozenset(found)


def _statement(
    source: Source, tokens: list[SqlToken], dialect: str, written: frozenset[str], facts: Facts
) -> None:
    tokens, explained, analyzed = _explained(tokens, facts)
    if dialect == "sqlite" and tokens[0].text == "create":
        tokens = _without_rowid(tokens)
    simple = plain(tokens, dialect)
    if simple is not None:
        facts.kinds.add(simple.kind)
        facts.writes |= simple.writes
        facts.tables |= simple.tables
        facts.filtered &= simple.kind != "pragma" or not simple.writes
        return
    try:
        tree = _tree(source, tokens, dialect)
        _read_tree(tree, tokens, dialect, written, facts)
        limit = 0 if explained and not analyzed else most_rows(tree, _parser(dialect).exp)
    except FunctionError:
        raise
    except Exception:  # the parser raises more than its own errors, and makes trees of unknown shapes
        raise FunctionError(_UNREADABLE) from None
    facts.limit = max(facts.limit, limit)


def _read_tree(
    tree: Tree, tokens: list[SqlToken], dialect: str, written: frozenset[str], facts: Facts
) -> None:
    exp = _parser(dialect).exp
    facts.kinds |= _kinds(tree, dialect)
    functions, more = called(tokens, tree, exp, dialect), lost(tokens, tree, exp, dialect)
    more |= {"*"} if more & tree.row_names() else set()
    is_column: IsColumn = _always
    if dialect == "postgres":
        is_column = Relations(tree, exp, written).column
        dotted = fields(tokens, tree, exp, is_column)
        functions |= dotted.calls | implicit(tokens, tree, exp)
        more |= {"*"} if dotted.whole else set()
    else:
        functions |= unknown_types(tree, exp, dialect)
    if dialect in ("sqlite", "duckdb"):
        functions |= tables_that_run(tree.tables())
    if dialect == "sqlite":
        functions |= commanded(tree, exp)
    refuse_text_as_sql(functions, dialect)
    facts.functions |= functions
    facts.unbounded |= unbounded(tokens, dialect)
    facts.tables |= tree.tables()
    facts.written |= tree.written()
    facts.columns |= tree.columns() | more
    facts.pure &= pure(functions, dialect)
    facts.filtered &= filtered(tree, exp, dialect, is_column)
    facts.writes |= not plain_read(tokens, tree, functions, exp, dialect, written)


def _without_rowid(tokens: list[SqlToken]) -> list[SqlToken]:
    """Without the option that only says how SQLite keeps a table, which the parser does not know."""
    words = [token.text for token in tokens]
    if words[-2:] != ["without", "rowid"] or "select" in words or "with" in words:
        return tokens  # In a query they could be a table and its alias.
    return tokens[: -3 if words[-3] == "," else -2]


def _always(_chain: tuple[str, ...]) -> bool:
    """In other databases `t.c` is a column, or a mistake."""
    return True


def _explained(tokens: list[SqlToken], facts: Facts) -> tuple[list[SqlToken], bool, bool]:
    """Without `EXPLAIN [ANALYZE] [VERBOSE] [QUERY PLAN] [(options)]`, whether it was there, and whether it
    runs the statement. Raises FunctionError for an option that is not known."""
    if tokens[0].kind != "word" or tokens[0].text != "explain":
        return tokens, False, False
    facts.kinds.add("explain")
    place = 1
    if len(tokens) > 1 and tokens[1].text == "(":
        place = next(at for at, token in enumerate(tokens) if token.text == ")") + 1
    while place < len(tokens) and tokens[place].text in ("analyze", "analyse", "verbose", "query", "plan"):
        place += 1
    head = tokens[1:place]
    if place == len(tokens):
        raise FunctionError(_UNREADABLE)
    if not all(token.kind != "name" and (token.kind != "word" or token.text in EXPLAINS) for token in head):
        raise FunctionError("sql() does not know an option of this EXPLAIN")
    return tokens[place:], True, any(token.text in ("analyze", "analyse") for token in head)


def _tree(source: Source, tokens: list[SqlToken], dialect: str) -> Tree:
    start, end = tokens[0].start, tokens[-1].end
    text = source.text[start:end]
    parser = _parser(dialect)
    theirs = parser.tokenize(text)
    _check_agreement(text, theirs, [token for token in tokens if token.kind in ("string", "name")], start)
    (root,) = parser.make(STEPS * (len(tokens) + 20)).parse(theirs, text)
    return Tree(parser.exp, root, dialect)


def _check_agreement(text: str, theirs: Any, ours: list[SqlToken], start: int) -> None:
    """Raises FunctionError unless both readers found the same strings and quoted names."""
    quoted = [(one.start, one.end + 1) for one in theirs if _quoted(text[one.start : one.end + 1])]
    if quoted != [(token.start - start, token.end - start) for token in ours]:
        raise FunctionError("sql() and its parser disagree about where a string or a name ends")


def _quoted(piece: str) -> bool:
    return any(quote in piece for quote in "'\"`") or (len(piece) > 1 and piece[0] in "[$")


def _kinds(tree: Tree, dialect: str) -> set[str]:
    """The kinds of the statement and of those within it. Raises FunctionError for what cannot be seen."""
    parser = _parser(dialect)
    exp = parser.exp
    if tree.of_kind((exp.Command, exp.Semicolon)) or not _known(tree.root, parser):
        raise FunctionError(_OPAQUE)
    if not all(_stays(node, tree.root, exp) for node in tree.nodes):
        raise FunctionError(_OPAQUE)
    if dialect == "tsql":
        for node in tree.of_kind(exp.Identifier):
            if not node.args.get("quoted") and node.name.lower() in SQL_SERVER_STATEMENTS:
                raise FunctionError("sql() found a word that may begin another statement")
    inner = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
    nodes = [tree.root, *tree.of_kind(inner)]
    return {_known(node, parser) for node in nodes}


def _known(node: Node, parser: DialectParser) -> str:
    return next((kind for one, kind in parser.kinds if isinstance(node, one)), "")


def _stays(node: Node, root: Node, exp: Any) -> bool:
    """Whether all tables are named, and whether what is defined stays in them: it is not code, a file or
    another server, as a table of MySQL's engine FEDERATED is."""
    if isinstance(node, exp.Returning):
        return not node.args.get("into")
    if isinstance(node, exp.TableFromRows):
        return isinstance(node.this, exp.Func)
    if node is root and isinstance(node, exp.Create | exp.Drop | exp.Alter):
        actions = node.args.get("actions") or []
        return node.args.get("kind") in DEFINED and all(type(one).__name__ in ALTERATIONS for one in actions)
    if isinstance(node, exp.EngineProperty | exp.FileFormatProperty):
        return node.name.lower() in ENGINES
    if type(node) is exp.Property:
        return node.name.lower() in SETTINGS
    return not isinstance(node, exp.Property) or type(node).__name__ in PROPERTIES


SQL = Function(
    name="sql",
    slow=64,
    parameters=(
        Parameter("text", "string"),
        Parameter("dialect", "string", choices=tuple(sorted(LEXIS))),
        Parameter("columns", "any", optional=True),
    ),
    fields=("statements", *Facts.__struct_fields__),
    values={"kinds": KINDS},
    call=sql,
    prepare=lambda: _parser("postgres"),
)
