"""The lists that `sql()` reads by: `words.txt` has them, and says what each is for.

Law of this file: a function, a type or an operator is in a list of what has no effect only if it reads
nothing but its arguments (or the clock, the user, the database's name and the version) and changes nothing.
Whatever is not there is unknown, so it is taken for code with effects.
"""

from mcpguard.core.tables import names, sections

_LISTS = {name: names(words) for name, words in sections(__package__, "words.txt").items()}

TYPES = _LISTS["TYPES"]
NOT_CALLED = _LISTS["NOT_CALLED"]
WITHOUT_BRACKETS = _LISTS["WITHOUT_BRACKETS"]
SYNTAX = _LISTS["SYNTAX"]
MYSQL_SYNTAX = SYNTAX | _LISTS["MYSQL_SYNTAX"]
UNITS = _LISTS["UNITS"]
NOT_COLUMNS = WITHOUT_BRACKETS | _LISTS["NOT_COLUMNS"]
RUNS_TEXT_POSTGRES = _LISTS["RUNS_TEXT_POSTGRES"]
RUNS_TEXT = RUNS_TEXT_POSTGRES | _LISTS["RUNS_TEXT"]
BEFORE_STRING = _LISTS["BEFORE_STRING"]
BEFORE_TEXT = _LISTS["BEFORE_TEXT"]
MYSQL_BEFORE_TEXT = _LISTS["MYSQL_BEFORE_TEXT"]
ALARMS = _LISTS["ALARMS"]
MAY_BE_CALLED = _LISTS["MAY_BE_CALLED"]
SQL_SERVER_STATEMENTS = _LISTS["SQL_SERVER_STATEMENTS"]
READING_PRAGMAS = _LISTS["READING_PRAGMAS"]
READING_BARE_PRAGMAS = _LISTS["READING_BARE_PRAGMAS"]
READING_TABLES = _LISTS["READING_TABLES"] | {
    f"pragma_{name}" for name in READING_PRAGMAS | READING_BARE_PRAGMAS
}
"""Names of SQLite's own that stand for a table and only read."""
MODULES = _LISTS["MODULES"]
STATEMENT_WORDS = _LISTS["STATEMENT_WORDS"]
EXPLAINS = _LISTS["EXPLAINS"]
CATALOGUE = {name: columns for name, columns in _LISTS.items() if name.startswith("information_schema.")}
"""The columns of the views that describe a database, by their names."""
READ_NODES = _LISTS["READ_NODES"]
ROLES = _LISTS["ROLES"]
DEFINED = _LISTS["DEFINED"] | {"CLUSTERED INDEX", "NONCLUSTERED INDEX"}
ALTERATIONS = _LISTS["ALTERATIONS"]
ENGINES = _LISTS["ENGINES"]
PROPERTIES = _LISTS["PROPERTIES"]
SETTINGS = _LISTS["SETTINGS"]

PURE = {dialect: _LISTS["PURE_OTHERS"] for dialect in ("bigquery", "duckdb", "snowflake", "tsql")}
PURE |= {dialect: _LISTS[f"PURE_{dialect.upper()}"] for dialect in ("mysql", "postgres", "sqlite")}
"""Functions without effects, by dialect."""
LONG_BY_ARGUMENT = dict.fromkeys(_LISTS["LONG_BY_FIRST"], 0) | dict.fromkeys(_LISTS["LONG_BY_SECOND"], 1)
"""Functions that make a value as long as an argument says, with the place of that argument."""
LONG_BY_TYPE = _LISTS["LONG_BY_TYPE"]
LONG_BY_FORMAT = _LISTS["LONG_BY_FORMAT"]
LONG_ANYHOW = _LISTS["LONG_ANYHOW"]
POSTGRES_TYPES = _LISTS["POSTGRES_TYPES"]
POSTGRES_OPERATORS = _LISTS["POSTGRES_OPERATORS"]

NAMES = {
    "mysql": names("any tablesample"),
    "postgres": names(""),
    "sqlite": names("any fetch interval tablesample")
    | (WITHOUT_BRACKETS - names("current_date current_time current_timestamp")),
    "tsql": names("any"),
}
"""Words of the lists of syntax that mean nothing to a database, by dialect: to it they are names."""

CALLED_UNLESS_AFTER = {"filter": names(")"), "first": names("fetch"), "last": names("")}
"""Words that are functions of the parser too, with what stands before them where they are not."""

ALARM_PAIRS = frozenset(
    {("for", "share"), ("for", "key"), ("for", "no"), ("for", "browse"), ("value", "for")}
)
"""Pairs of words that keep a query from being a plain read: locks and sequences."""
