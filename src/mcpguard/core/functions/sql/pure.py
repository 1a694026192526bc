"""What is known to have no effect, by dialect: functions, and for PostgreSQL types and operators too.

Law of this file: a name is here only if it reads nothing but its arguments (or the clock, the user, the
database's name and the version) and changes nothing: no file, network, large object, lock, sequence, setting,
statistic, other session, catalogue or text that is run as SQL. Whatever is not here is unknown, so it is
taken for code with effects. All names are lower case.
Sources: PostgreSQL 9 and its appendix F, SQLite `lang_corefunc`, `lang_aggfunc`, `lang_datefunc`,
`lang_mathfunc`, `json1` and `windowfunctions`, MySQL 14; each judged by hand.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POSTGRES = _names(
    """
    abbrev abs acos acosd acosh age any_value area array array_agg array_append array_cat array_dims
    array_fill array_length array_lower array_ndims array_position array_positions array_prepend
    array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_json
    array_to_string array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh
    avg bit bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or box bpchar broadcast btrim
    cardinality casefold cast cbrt ceil ceiling center char char_length character_length chr cidr circle
    clock_timestamp coalesce concat concat_ws convert convert_from convert_to corr cos cosd cosh cot cotd
    count covar_pop covar_samp crc32 crc32c cume_dist current_catalog current_database current_date
    current_role current_schema current_time current_timestamp current_user date date_add date_bin
    date_part date_subtract date_trunc datemultirange daterange decode degrees dense_rank diagonal
    diameter div encode enum_first enum_last enum_range erf erfc every exists exp extract factorial family
    first_value float4 float8 floor format format_type gamma gcd gen_random_uuid generate_series
    generate_subscripts get_bit get_byte greatest grouping height host hostmask inet_merge
    inet_same_family initcap int2 int4 int4multirange int4range int8 int8multirange int8range interval
    is_normalized isclosed isempty isfinite ishorizontal isopen isparallel isperp isvertical json
    json_agg json_agg_strict json_array json_array_elements json_array_elements_text json_array_length
    json_arrayagg json_build_array json_build_object json_each json_each_text json_exists
    json_extract_path json_extract_path_text json_object json_object_agg json_object_agg_strict
    json_object_agg_unique json_object_agg_unique_strict json_object_keys json_objectagg json_query
    json_scalar json_serialize json_strip_nulls json_to_record json_to_recordset json_to_tsvector
    json_typeof json_value jsonb jsonb_agg jsonb_agg_strict jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_exists jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object
    jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict
    jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
    jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
    jsonb_path_query_first_tz jsonb_path_query_tz jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof justify_days justify_hours
    justify_interval lag last_value lcm lead least left length lgamma like line ln localtime
    localtimestamp log log10 lower lower_inc lower_inf lpad lseg ltrim macaddr8_set7bit make_date
    make_interval make_time make_timestamp make_timestamptz masklen max md5 min min_scale mod mode money
    multirange name netmask network normalize now npoints nth_value ntile nullif num_nonnulls num_nulls
    numeric nummultirange numnode numrange octet_length overlaps overlay parse_ident path pclose
    percent_rank percentile_cont percentile_disc pg_collation_for pg_column_size pg_size_bytes
    pg_size_pretty pg_typeof phraseto_tsquery pi plainto_tsquery point polygon popen position pow power
    querytree quote_ident quote_literal quote_nullable radians radius random random_normal range_agg
    range_intersect_agg range_merge rank regexp_count regexp_instr regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace
    reverse right round row row_number row_to_json rpad rtrim scale session_user set_bit set_byte
    set_masklen setweight sha224 sha256 sha384 sha512 sign sin sind sinh slope split_part sqrt
    starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array
    string_to_table strip strpos substr substring sum system_user tan tand tanh text time timeofday
    timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb
    to_number to_oct to_timestamp to_tsquery to_tsvector transaction_timestamp translate treat trim
    trim_array trim_scale trunc ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsmultirange
    tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array unistr unnest upper upper_inc
    upper_inf user uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 var_pop var_samp varbit
    varchar variance version websearch_to_tsquery width width_bucket xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlattributes xmlcomment xmlconcat
    xmlelement xmlexists xmlforest xmlpi xpath xpath_exists

    akeys avals bm25 crypt daitch_mokotoff difference digest dmetaphone dmetaphone_alt gen_random_bytes
    gen_salt hmac hstore hstore_to_json hstore_to_jsonb levenshtein levenshtein_less_equal metaphone
    similarity skeys soundex st_area st_asgeojson st_astext st_buffer st_centroid st_contains st_distance
    st_dwithin st_geogfromtext st_geomfromtext st_intersection st_intersects st_length st_makepoint
    st_point st_setsrid st_srid st_transform st_within st_x st_y strict_word_similarity svals time_bucket
    unaccent uuid_generate_v1 uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 word_similarity
    """
)
"""Those of the server, then those of extensions that many databases have."""

_SQLITE = _names(
    """
    abs acos acosh asin asinh atan atan2 atanh avg bm25 cast ceil ceiling changes char coalesce concat
    concat_ws cos cosh count cume_dist current_date current_time current_timestamp date datetime degrees
    dense_rank exists exp first_value floor format generate_series glob group_concat hex highlight if
    ifnull iif instr json json_array json_array_insert json_array_length json_each json_error_position
    json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty
    json_quote json_remove json_replace json_set json_tree json_type json_valid jsonb jsonb_array
    jsonb_array_insert jsonb_each jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
    jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set jsonb_tree julianday lag
    last_insert_rowid last_value lead length like likelihood likely ln log log10 log2 lower ltrim max
    median min mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont
    percentile_disc pi pow power printf quote radians random randomblob rank replace round row_number
    rtrim sign sin sinh snippet soundex sqlite_source_id sqlite_version sqrt strftime string_agg substr
    substring subtype sum tan tanh time timediff total total_changes trim trunc typeof unhex unicode
    unistr unistr_quote unixepoch unlikely upper zeroblob
    """
)

_MYSQL = _names(
    """
    abs acos adddate addtime against any_value ascii asin atan atan2 avg bin bin_to_uuid bit_and
    bit_count bit_length bit_or bit_xor cast ceil ceiling char char_length character_length charset
    coalesce coercibility collation concat concat_ws conv convert convert_tz cos cot count crc32
    cume_dist curdate current_date current_role current_time current_timestamp current_user curtime
    database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear
    degrees dense_rank elt exists exp export_set extract field find_in_set first_value floor format
    from_base64 from_days from_unixtime get_format greatest group_concat grouping hex hour if ifnull
    inet6_aton inet6_ntoa inet_aton inet_ntoa instr interval is_ipv4 is_ipv6 is_uuid isnull json_array
    json_array_append json_array_insert json_arrayagg json_contains json_contains_path json_depth
    json_extract json_insert json_keys json_length json_merge_patch json_merge_preserve json_object
    json_objectagg json_overlaps json_pretty json_quote json_remove json_replace json_search json_set
    json_storage_size json_table json_type json_unquote json_valid json_value lag last_day last_value
    lcase lead least left length like ln localtime localtimestamp locate log log10 log2 lower lpad ltrim
    make_set makedate maketime match max md5 microsecond mid min minute mod month monthname now
    nth_value ntile nullif oct octet_length ord percent_rank period_add period_diff pi position pow
    power quarter quote radians rand rank regexp_instr regexp_like regexp_replace regexp_substr repeat
    replace reverse right round row row_number rpad rtrim schema sec_to_time second session_user sha
    sha1 sha2 sign sin soundex space sqrt st_area st_asgeojson st_astext st_contains st_distance
    st_distance_sphere st_geomfromtext st_intersects st_srid st_within st_x st_y std stddev stddev_pop
    stddev_samp str_to_date strcmp subdate substr substring substring_index subtime sum sysdate
    system_user tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64
    to_days to_seconds trim truncate ucase unhex unix_timestamp upper user utc_date utc_time
    utc_timestamp uuid uuid_to_bin values var_pop var_samp variance version week weekday weekofyear
    weight_string year yearweek
    """
)

_OTHERS = _names(
    """
    abs acos acosd against any_value approx_count_distinct approx_quantile array array_agg
    array_append array_cat array_concat array_concat_agg array_contains array_distinct array_filter
    array_length array_lower array_ndims array_position array_positions array_prepend array_remove
    array_replace array_reverse array_size array_slice array_sort array_to_json array_to_string
    array_transform array_upper ascii asin atan atan2 atn2 avg base64 bin bit_and bit_count
    bit_length bit_or bit_xor bool_and bool_or btrim cardinality cast cbrt ceil ceiling char
    char_length character_length charindex chr coalesce concat concat_ws contains convert corr cos
    cosh cot count count_if countif covar_pop covar_samp cume_dist curdate current_catalog
    current_database current_date current_role current_schema current_time current_timestamp
    current_user current_version curtime database date date_add date_bin date_diff date_format
    date_from_parts date_part date_sub date_trunc dateadd datediff datediff_big datename datepart
    datetime datetime_add datetime_diff datetime_sub datetime_trunc day dayname dayofmonth dayofweek
    dayofyear decode degrees dense_rank div elt encode ends_with endswith eomonth epoch every exp
    export_set extract factorial field find_in_set first first_value flatten floor format
    format_date format_datetime format_timestamp from_base64 from_days from_hex from_unixtime gcd
    gen_random_uuid generate_array generate_date_array generate_series generate_subscripts getdate
    getutcdate greatest grouping hex histogram hour if iff ifnull iif ilike initcap instr isdate
    isjson isnan isnull isnumeric jaro_winkler_similarity json json_agg json_array
    json_array_elements json_array_elements_text json_array_length json_arrayagg json_build_array
    json_build_object json_contains json_each json_each_text json_extract json_extract_array
    json_extract_path json_extract_path_text json_extract_scalar json_group_array json_group_object
    json_keys json_length json_object json_object_agg json_object_keys json_objectagg json_overlaps
    json_patch json_pretty json_query json_quote json_search json_strip_nulls json_table json_tree
    json_type json_typeof json_unquote json_valid json_value julianday justify_days justify_hours
    justify_interval lag last last_day last_value lcase lcm lead least left len length levenshtein
    like list list_contains list_distinct list_filter list_sort list_transform list_value listagg ln
    localtime localtimestamp locate log log10 log2 logical_and logical_or lower lpad ltrim make_date
    make_interval make_time make_timestamp make_timestamptz makedate match max max_by maxif md5
    median microsecond mid min min_by minute mod mode month monthname now nth_value ntile nullif
    num_nonnulls num_nulls nvl nvl2 object_construct oct octet_length overlay parse_date
    parse_datetime parse_json parse_timestamp parsename patindex percent_rank percentile_cont
    percentile_disc phraseto_tsquery pi plainto_tsquery position pow power quarter quote quote_ident
    quote_literal quote_nullable quotename radians rand random range_bucket rank regexp_contains
    regexp_count regexp_extract regexp_extract_all regexp_instr regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat
    replace replicate reverse right round row row_number row_to_json rpad rtrim safe_cast
    safe_divide schema sec_to_time second session_user setweight sha1 sha2 sha224 sha256 sha384
    sha512 sign sin sinh soundex space split split_part sqrt square st_area st_asgeojson st_astext
    st_contains st_distance st_dwithin st_geogpoint st_intersects st_makepoint st_point st_within
    st_x st_y starts_with startswith std stddev stddev_pop stddev_samp stdev stdevp str str_to_date
    strcmp strftime string_agg string_split string_to_array strip strpos strptime struct stuff
    subdate substr substring substring_index subtime sum sumif sysdate sysdatetime system_user tan
    tanh time time_bucket time_format time_to_sec time_trunc timediff timeofday timestamp
    timestamp_add timestamp_diff timestamp_micros timestamp_millis timestamp_seconds timestamp_sub
    timestamp_trunc timestampadd timestampdiff timezone to_base64 to_char to_date to_days to_hex
    to_json to_json_string to_jsonb to_number to_timestamp to_tsquery to_tsvector to_variant total
    trim trunc truncate try_cast try_convert try_to_date try_to_number typeof ucase unhex unicode
    unix_epoch unix_timestamp unixepoch unnest upper user utc_date utc_time utc_timestamp uuid
    var_pop var_samp variance version websearch_to_tsquery week weekday weekofyear width_bucket
    xmlagg year yearweek zeroblob
    """
)
"""Of BigQuery, DuckDB, Snowflake and SQL Server together."""

PURE: dict[str, frozenset[str]] = {
    "bigquery": _OTHERS,
    "duckdb": _OTHERS,
    "mysql": _MYSQL,
    "postgres": _POSTGRES,
    "snowflake": _OTHERS,
    "sqlite": _SQLITE,
    "tsql": _OTHERS,
}
"""Functions, by dialect."""

POSTGRES_TYPES = _names(
    """
    bigint bit bool boolean box bpchar bytea char character cidr circle date datemultirange daterange dec
    decimal double float float4 float8 inet int int2 int2vector int4 int4multirange int4range int8
    int8multirange int8range integer interval json jsonb jsonpath line lseg macaddr macaddr8 money name
    national nchar numeric nummultirange numrange oid oidvector path point polygon real smallint text
    tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector
    uuid varbit varchar xid xid8 xml citext geography geometry hstore vector
    """
)
"""Types whose input and casts are known, by their first word. `regclass` and the like read the catalogue."""

POSTGRES_OPERATORS = _names(
    """
    !! !~ !~* !~~ !~~* !~~ !~~* != # ## #- #> #>> % & && &< &<| &> * + - -> ->> -|- / < <-> << <<= <<| <=
    <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~= ~~
    ~~* % %> <% <#> <+> <=> =>
    """
)
"""Operators, and the sign between the name and the value of an argument."""
