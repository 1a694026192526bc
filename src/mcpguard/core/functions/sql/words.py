"""The literal lists that `sql()` reads by: words that are not calls, alarms, pragmas, classes of nodes. All
words are lower case; the functions that have no effect are in `pure.py`.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TYPES = _words(
    """
    bigint binary bit bpchar char character datetime datetime2 datetimeoffset dec decimal double enum
    float int integer interval nchar number numeric nvarchar real smallint string time timestamp
    timestamptz timetz tinyint varbinary varchar varying
    """
)
"""Types that take a size in brackets. No server has a function of such a name that does anything else."""

NOT_CALLED = _words(
    """
    add all and any as asc bernoulli between by check column conflict cross cube default desc distinct
    do else end except exclude exists filter first from full group having ilike in inner intersect into
    is join key last lateral like limit materialized minus not of offset on only or order outer over
    partition primary qualify recursive references rename returning rollup select set sets similar some
    system table tablesample then to top union unique using value values when where window with within
    """
)
"""Words that may stand before a bracket without being called."""

CALLED_UNLESS_AFTER = {
    "filter": _words(")"),
    "first": _words("fetch"),
    "last": frozenset[str](),
}
"""Words that are functions of the parser too, with what stands before them where they are none."""

WITHOUT_BRACKETS = _words(
    """
    current_catalog current_date current_role current_schema current_time current_timestamp current_user
    localtime localtimestamp session_user system_user
    """
)
"""Functions that are called by their bare name."""

SYNTAX = _words(
    """
    all analyze and any array as asc asymmetric at begin between both by case cast cluster collate
    conflict constraint create cross cube current default delete desc distinct do else end escape except
    exclude excluded exists extract false fetch filter first following for from full glob group grouping
    groups having if ignore ilike in indexed inner insert intersect interval into is isnull join key
    last lateral leading left like limit local match materialized merge natural next no not nothing
    notnull null nulls of offset on only or order ordinality others outer over overlaps partition
    placing preceding primary range recursive regexp replace respect returning right rollup row rows
    select set sets similar some symmetric table tablesample temp temporary then ties to trailing true
    unbounded union unique update using values variadic when where window with within without zone time
    """
)
"""Words that are syntax wherever the parser's tree does not have them as a name."""

MYSQL_SYNTAX = SYNTAX | _words(
    """
    against big_result binary boolean char character charset cross date datetime day_hour
    day_microsecond day_minute day_second decimal distinctrow div double dual duplicate exists expansion
    float force high_priority hour_microsecond hour_minute hour_second hours int integer json language
    low_priority minute_microsecond minute_second mod mode offset option query quick rename rlike rollup
    schema second_microsecond separator share signed sounds sql_big_result sql_buffer_result sql_cache
    sql_calc_found_rows sql_no_cache sql_small_result straight_join unknown unsigned use utf8 utf8mb4
    view xor year_month zerofill
    """
)
"""The same of MySQL."""

UNITS = _words(
    """
    century day days decade dow doy epoch hour hours isodow isoyear julian microsecond microseconds millennium
    millisecond milliseconds minute minutes month months quarter second seconds timezone timezone_hour
    timezone_minute week weeks year years
    """
)
"""Units of time, which are words after a number, a string, TO, and in EXTRACT."""

NOT_COLUMNS = WITHOUT_BRACKETS | _words(
    """
    current curdate curtime cursor default false getdate null rownum sysdate sysdatetime sysdatetimeoffset
    systimestamp sysutcdatetime today tomorrow true user utc_date utc_time utc_timestamp yesterday
    """
)
"""Words that may stand for a value though they look like a column."""

RUNS_TEXT_POSTGRES = _words(
    """
    connectby crosstab crosstab2 crosstab3 crosstab4 cursor_to_xml cursor_to_xmlschema database_to_xml
    database_to_xml_and_xmlschema database_to_xmlschema dblink dblink_exec dblink_fetch dblink_open
    dblink_send_query plpgsql_check_function query_to_xml query_to_xml_and_xmlschema query_to_xmlschema
    schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema
    table_to_xmlschema ts_rewrite ts_stat xpath_table
    """
)
"""Functions of PostgreSQL that run a text as SQL, or find tables by one: what they touch cannot be seen."""

RUNS_TEXT = RUNS_TEXT_POSTGRES | _words(
    """
    columns eval exec execute_immediate external_query identifier json_execute_serialized_sql lo_export
    lo_import load_extension mysql_execute mysql_query mysql_scan opendatasource openquery openrowset
    postgres_execute postgres_query postgres_scan query query_table result_scan sp_execute sp_executesql
    sqlite_query sqlite_scan sys_eval sys_exec system table
    """
)
"""The same of other databases, where they are not names of columns."""

BEFORE_STRING = _words(
    """
    all and as between bigint bit both bool boolean box bpchar bytea by case char character cidr circle
    date daterange dec decimal default distinct double else escape float float4 float8 for from having
    ilike in inet int int2 int4 int4range int8 int8range integer interval is json jsonb jsonpath leading
    like limit line lseg macaddr money name not nullif numeric numrange offset on or path placing point
    polygon precision real returning select set similar smallint symmetric text then time timestamp
    timestamptz timetz to trailing tsquery tsrange tstzrange tsvector using uuid value varbit varchar
    varying when where xml zone
    """
)
"""Words of PostgreSQL that stand before a string, and types that are known."""

ALARMS = _words(
    """
    alter attach bulk call checkpoint create currval dbcc delete deny detach drop dumpfile exec execute
    grant insert install into kill load_file lock merge nextval outfile pivot pragma print raiserror
    reconfigure returning revoke shutdown truncate update vacuum waitfor writetext
    """
)
"""Words that keep a query from being a plain read, wherever they stand."""

ALARM_PAIRS = frozenset(
    {("for", "share"), ("for", "key"), ("for", "no"), ("for", "browse"), ("value", "for")}
)
"""Pairs of words that do the same: locks and sequences."""

MAY_BE_CALLED = frozenset({"replace", "insert", "truncate"})
"""Words of effects that are harmless functions too, where a bracket follows."""

SQL_SERVER_STATEMENTS = _words(
    """
    alter backup begin break bulk checkpoint close commit continue create dbcc deallocate declare delete
    deny disable drop dump enable exec execute fetch get go goto grant if insert kill load merge move
    open print raiserror readtext receive reconfigure restore return revert revoke rollback save select
    send set setuser shutdown throw truncate update updatetext use waitfor while writetext
    """
)
"""Words that begin a statement of SQL Server, which needs no semicolon before it."""

READING_PRAGMAS = _words(
    """
    collation_list compile_options database_list foreign_key_check foreign_key_list function_list
    index_info index_list index_xinfo module_list pragma_list table_info table_list table_xinfo
    """
)
"""Pragmas of SQLite that read only, with an argument too. Source: sqlite.org/pragma.html."""

READING_BARE_PRAGMAS = _words(
    "application_id data_version encoding foreign_keys freelist_count journal_mode page_count page_size"
    " query_only recursive_triggers schema_version synchronous user_version"
)
"""Pragmas that read only where they have no value."""

STATEMENT_WORDS = frozenset(
    {"with", "select", "from", "values", "table", "insert", "update", "delete", "merge"}
)
"""Words that a set statement has only where it holds a query."""

READ_NODES = _words(
    """
    Alias Aliases All And Any Array AtTimeZone Between BitString BitwiseNot Boolean Bracket ByteString
    CTE Case Cast CharacterSet Coalesce Collate Column ColumnDef Cube DataType DataTypeParam Distinct
    Dot Escape Except Exists Extract Fetch Filter ForIn From Group GroupingSets Having HexString
    Identifier If IgnoreNulls In Intersect Interval IntervalOp IntervalSpan Is JSONColumnDef
    JSONKeyValue JSONPath JSONPathKey JSONPathRoot JSONPathSubscript JSONPathWildcard JSONSchema Join
    Kwarg Lambda Lateral Like Limit LimitOptions Literal National Neg Not Null Offset Or Order Ordered
    Ordinality Overlaps Parameter Paren Placeholder Qualify RawString RespectNulls Rollup Select
    SessionParameter Slice Star Struct Subquery Table TableAlias TableColumn TableSample TryCast Tuple
    Unicode UnicodeString Union Values Var Where Window WindowSpec With WithOrdinality WithinGroup Xor
    """
)
"""Classes of nodes, by name, that a plain read may have besides operators and functions."""

ROLES = _words(
    """
    Alias.alias Aliases.expressions Anonymous.this Collate.expression Column.catalog Column.db Column.table
    Column.this ColumnDef.this DataType.kind Index.this Join.using Schema.expressions Table.catalog Table.db
    Table.this TableAlias.columns TableAlias.this Unnest.offset Window.alias Window.this
    """
)
"""Places of identifiers, by class and argument, that name something else or a column that is reported."""

DEFINED = _words("TABLE VIEW INDEX SCHEMA DATABASE SEQUENCE TYPE") | {"CLUSTERED INDEX", "NONCLUSTERED INDEX"}
"""What can be created, altered or dropped without being code or a way to somewhere else."""

ALTERATIONS = _words(
    """
    AddConstraint AlterColumn AlterRename ColumnDef Drop DropPrimaryKey ModifyColumn RenameColumn SwapTable
    """
)
"""Classes of what ALTER does that touch the tables that are named, and nothing else."""

ENGINES = _words("archive aria blackhole heap innodb memory myisam rocksdb")
"""Ways in which MySQL and PostgreSQL keep a table that keep it in the database."""

PROPERTIES = _words(
    """
    AutoIncrementProperty CharacterSetProperty ClusterProperty CollateProperty InheritsProperty LikeProperty
    MaterializedProperty OnCommitProperty OnProperty PartitionByListProperty PartitionByRangeProperty
    PartitionedByProperty PartitionedOfProperty RowFormatProperty SchemaCommentProperty SecureProperty
    StrictProperty TableSpaceProperty TemporaryProperty TransientProperty UnloggedProperty
    WithDataProperty WithSchemaBindingProperty
    """
)
"""Classes of properties of tables and views that keep them in the database."""

SETTINGS = _words(
    """
    autovacuum_enabled avg_row_length change_tracking checksum data_compression data_retention_time_in_days
    default_rounding_mode delay_key_write description enable_schema_evolution encryption excluding
    expiration_timestamp fillfactor friendly_name including key_block_size labels max_rows min_rows pack_keys
    parallel_workers partition_expiration_days require_partition_filter row_format
    stats_auto_recalc stats_persistent stats_sample_pages toast_tuple_target
    """
)
"""Names of settings of tables that do the same."""
