"""The literal lists that `sql()` reads by: functions without effects, words that follow no call, alarms.

Law of this file: lists of what is known to be harmless may grow only with what reads nothing but its
arguments (or the clock, the user and the version) and writes nothing. All words are lower case.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE = _words(
    """
    abs acos acosd against any_value approx_count_distinct approx_quantile array array_agg array_append
    array_cat array_concat array_concat_agg array_contains array_distinct array_filter array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove array_replace
    array_reverse array_size array_slice array_sort array_to_json array_to_string array_transform
    array_upper ascii asin atan atan2 atn2 avg base64 bin bit_and bit_count bit_length bit_or bit_xor
    bool_and bool_or btrim cardinality cast cbrt ceil ceiling char char_length character_length
    charindex chr coalesce concat concat_ws contains convert corr cos cosh cot count count_if countif
    covar_pop covar_samp cume_dist curdate current_catalog current_database current_date current_role
    current_schema current_setting current_time current_timestamp current_user current_version curtime
    database date date_add date_bin date_diff date_format date_from_parts date_part date_sub date_trunc
    dateadd datediff datediff_big datename datepart datetime datetime_add datetime_diff datetime_sub
    datetime_trunc day dayname dayofmonth dayofweek dayofyear decode degrees dense_rank div elt encode
    ends_with endswith eomonth epoch every exp export_set extract factorial field find_in_set first
    first_value flatten floor format format_date format_datetime format_timestamp format_type
    from_base64 from_days from_hex from_unixtime gcd gen_random_uuid generate_array generate_date_array
    generate_series generate_subscripts getdate getutcdate greatest group_concat grouping
    has_table_privilege hex histogram hour if iff ifnull iif ilike initcap instr isdate isjson isnan
    isnull isnumeric jaro_winkler_similarity json json_agg json_array json_array_elements
    json_array_elements_text json_array_length json_arrayagg json_build_array json_build_object
    json_contains json_each json_each_text json_extract json_extract_array json_extract_path
    json_extract_path_text json_extract_scalar json_group_array json_group_object json_keys json_length
    json_object json_object_agg json_object_keys json_objectagg json_overlaps json_patch json_pretty
    json_query json_quote json_search json_strip_nulls json_table json_tree json_type json_typeof
    json_unquote json_valid json_value jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_exists
    jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_path_exists
    jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_strip_nulls
    jsonb_typeof julianday justify_days justify_hours justify_interval lag last last_day last_value
    lcase lcm lead least left len length levenshtein like likelihood likely list list_contains
    list_distinct list_filter list_sort list_transform list_value listagg ln localtime localtimestamp
    locate log log10 log2 logical_and logical_or lower lpad ltrim make_date make_interval make_time
    make_timestamp make_timestamptz makedate match max max_by maxif md5 median microsecond mid min
    min_by minute mod mode month monthname now nth_value ntile nullif num_nonnulls num_nulls nvl nvl2
    object_construct oct octet_length overlay parse_date parse_datetime parse_json parse_timestamp
    parsename patindex percent_rank percentile_cont percentile_disc pg_column_size pg_database_size
    pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_userbyid pg_get_viewdef pg_indexes_size
    pg_relation_size pg_size_pretty pg_table_is_visible pg_table_size pg_total_relation_size pg_typeof
    phraseto_tsquery pi plainto_tsquery position pow power printf quarter quote quote_ident
    quote_literal quote_nullable quotename radians rand random range_bucket rank regexp_contains
    regexp_count regexp_extract regexp_extract_all regexp_instr regexp_like regexp_match regexp_matches
    regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace replicate
    reverse right round row row_number row_to_json rpad rtrim safe_cast safe_divide schema sec_to_time
    second session_user setweight sha1 sha2 sha224 sha256 sha384 sha512 sign sin sinh soundex space
    split split_part sqlite_version sqrt square st_area st_asgeojson st_astext st_contains st_distance
    st_dwithin st_geogpoint st_intersects st_makepoint st_point st_within st_x st_y starts_with
    startswith std stddev stddev_pop stddev_samp stdev stdevp str str_to_date strcmp strftime string_agg
    string_split string_to_array strip strpos strptime struct stuff subdate substr substring
    substring_index subtime sum sumif sysdate sysdatetime system_user tan tanh time time_bucket
    time_format time_to_sec time_trunc timediff timeofday timestamp timestamp_add timestamp_diff
    timestamp_micros timestamp_millis timestamp_seconds timestamp_sub timestamp_trunc timestampadd
    timestampdiff timezone to_base64 to_char to_date to_days to_hex to_json to_json_string to_jsonb
    to_number to_timestamp to_tsquery to_tsvector to_variant total trim trunc truncate try_cast
    try_convert try_to_date try_to_number ts_headline ts_rank ts_rank_cd typeof ucase unaccent unhex
    unicode unix_epoch unix_timestamp unixepoch unlikely unnest upper user utc_date utc_time
    utc_timestamp uuid uuid_generate_v4 var_pop var_samp variance version websearch_to_tsquery week
    weekday weekofyear width_bucket xmlagg year yearweek zeroblob
    """
)
"""Functions that write nothing and read nothing but their arguments or what every session may know."""

TYPES = _words(
    """
    bigint binary bit bpchar char character datetime datetime2 datetimeoffset dec decimal double enum
    float int integer interval nchar number numeric nvarchar real smallint string time timestamp
    timestamptz timetz tinyint varbinary varchar varying
    """
)
"""Types that take a size in brackets. No server has a function of such a name that does anything else."""

ROW_FUNCTIONS = _words(
    """
    any_value array_agg concat hash_record json_agg json_agg_strict json_build_array jsonb_agg
    jsonb_agg_strict jsonb_build_array max min quote_literal quote_nullable record_out row_to_json to_json
    to_jsonb
    """
)
"""Functions of PostgreSQL that tell all of a row that they are given."""

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

WITHOUT_BRACKETS = _words(
    """
    current_catalog current_date current_role current_schema current_time current_timestamp current_user
    localtime localtimestamp session_user system_user
    """
)
"""Functions that are called by their bare name."""

RUNS_TEXT = _words(
    """
    columns connectby crosstab cursor_to_xml database_to_xml dblink dblink_exec dblink_open
    dblink_send_query eval exec execute_immediate external_query identifier json_execute_serialized_sql
    lo_export lo_import load_extension mysql_execute mysql_query mysql_scan opendatasource openquery
    openrowset plpgsql_check_function postgres_execute postgres_query postgres_scan query query_table
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema result_scan schema_to_xml sp_execute
    sp_executesql sqlite_query sqlite_scan sys_eval sys_exec system table table_to_xml
    table_to_xml_and_xmlschema table_to_xmlschema ts_rewrite ts_stat xpath_table
    """
)
"""Functions that run a text as SQL, or find tables and columns by a text: what they touch cannot be seen."""

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
