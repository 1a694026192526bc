"""Conditions and calls for tests that compare two ways to the same answer."""

from __future__ import annotations

import json

from hypothesis import strategies as st

TEXTS = ["", "a", "ab", "/srv/a.b", "/srv/../a", 'q"é\\\n', "x" * 9]
_PLAIN = st.sampled_from([*TEXTS, 0, 1, 5, 50, -5, 1.5, -0.0, 5.0, 1e16, 10**15, True, False, None])
_NAMES = ["a", "b", "l", "k e", "", "n" * 201]
ARGUMENTS = st.dictionaries(
    st.sampled_from(_NAMES),
    st.recursive(
        _PLAIN,
        lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), some, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
_SELECTED = ["args.a", "args.b", "args.l", "args.a.b", "args.l.a", "subject", "message", "error"]
_PATHS = st.sampled_from(
    [*_SELECTED, 'args["k e"]', "args.l[0]", "args.b[0].a", 'args["a"].b', "credentials"]
)
_STRINGS = st.sampled_from([json.dumps(text, ensure_ascii=False) for text in TEXTS])
_VALUES = _STRINGS | st.sampled_from(
    ["0", "1", "5", "-5", "0x5", "5u", "1.5", "5.0", "1e16", "true", "null", "-0.5", "0.0"]
)
_PATTERNS = st.sampled_from(
    ['"^a+b"', '"a|x"', 'r"/srv/[a-z]\\.b$"', '"(?i)AB"', '"(a|x)b?"', '"x{2,9}x"', r'r"q\"é\\"', '"s.v/a"']
)
_ORDERS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
_SIZES = st.sampled_from(["-1", "0", "1", "2", "5", "2.5", "9", "1e3", "0xa", "3u"])
_FOLDERS = st.sampled_from(
    ['"/srv"', '["/srv/./"]', '"/"', '"/srv/a.b"', '["a", "."]', '["/srv", "/a"]', '"/srv/.."', '"/é/a"']
)
_ATOMS = st.one_of(
    st.builds("pathWithin({}, {})".format, _PATHS, _FOLDERS),
    st.builds("pathWithin({}, {}, {})".format, _PATHS, _FOLDERS, _STRINGS),
    st.builds("{} == {}".format, _PATHS, _VALUES),
    st.builds("{} == {}".format, _VALUES, _PATHS),
    st.builds("{} != {}".format, _PATHS, _VALUES),
    st.builds("{} in [{}, {}]".format, _PATHS, _VALUES, _VALUES),
    st.builds("{} in {}".format, _VALUES, _PATHS),
    st.builds("{}.{}({})".format, _PATHS, st.sampled_from(["startsWith", "endsWith", "contains"]), _STRINGS),
    st.builds("{}.matches({})".format, _PATHS, _PATTERNS),
    st.builds("{} {} {}".format, _PATHS, _ORDERS, _VALUES),
    st.builds("{} {} {}".format, _VALUES, _ORDERS, _PATHS),
    st.builds("{} {} {}".format, _PATHS, _ORDERS, _PATHS),
    st.builds("{} in {}".format, _PATHS, _PATHS),
    st.builds("{} {} {} {} {}".format, _PATHS, st.sampled_from("+-"), _PATHS | _VALUES, _ORDERS, _VALUES),
    st.builds("size({}) - size({}) {} {}".format, _PATHS, _PATHS, _ORDERS, _SIZES),
    st.builds("{} in args".format, _STRINGS),
    st.sampled_from(["ms > 1", "sent >= received", "ms <= sent", "!(received != 0)"]),
    st.sampled_from(['effect == "deny"', 'status != "ok"', '"x" in rules', 'effect in ["deny", args.a]']),
    st.builds("size({}) {} {}".format, _PATHS, _ORDERS, _SIZES),
    st.builds("{} {} {}.size()".format, _SIZES, _ORDERS, _PATHS),
    st.builds("size({}) {} size({})".format, _PATHS, _ORDERS, _PATHS),
    st.builds("size({}) {} {}".format, st.sampled_from(["args", "prompt", "resource"]), _ORDERS, _SIZES),
    st.builds("{} == true".format, _PATHS),
    st.builds("args.exists(k, size(k) {} {})".format, _ORDERS, st.sampled_from(["0", "1", "200"])),
    _PATHS.map(str),
    st.sampled_from([f"has({path})" for path in _SELECTED if "args" in path]),
    st.builds(
        "{}.{}(e, {})".format,
        _PATHS,
        st.sampled_from(["exists", "all", "exists_one"]),
        st.one_of(
            st.builds("e == {}".format, _VALUES),
            st.builds("e != {}".format, _VALUES),
            st.builds("e.a == {}".format, _VALUES),
            st.builds("e {} {}".format, _ORDERS, _VALUES),
            st.builds("size(e) {} {}".format, _ORDERS, _SIZES | st.just("200")),
            st.builds("has(e.b) || args.a == {}".format, _VALUES),
        ),
    ),
    st.builds("{}.filter(e, e == {}).size() > 0".format, _PATHS, _VALUES),
)
_ZONES = st.sampled_from(
    ['"Europe/Berlin"', '"Asia/Kathmandu"', '"America/St_Johns"', '"-08:00"', '"05:45"', '"UTC"']
)
_PARTS = {
    "FullYear": ["2026", "2025"],
    "Month": ["0", "7", "11"],
    "Date": ["1", "31"],
    "DayOfMonth": ["0", "30"],
    "DayOfWeek": ["0", "3", "6"],
    "DayOfYear": ["0", "200"],
    "Hours": ["0", "7", "12", "23"],
    "Minutes": ["0", "15", "45"],
    "Seconds": ["0", "5"],
    "Milliseconds": ["0", "500"],
}
MOMENTS = [
    *(
        "2026-08-01T06:59:59.999999Z",
        "2026-08-01T07:00:00Z",
        "2026-08-01T07:00:05Z",
        "2026-08-01T07:00:05.000001Z",
    ),
    *("2026-08-01T07:15:00Z", "2026-08-01T09:00:05+02:00", "2026-08-02T00:00:00Z", "2026-10-25T01:00:00Z"),
]
_PART = st.sampled_from(list(_PARTS)).flatmap(
    lambda part: st.builds(
        f"at.get{part}({{}}) {{}} {{}}".format, st.just("") | _ZONES, _ORDERS, st.sampled_from(_PARTS[part])
    )
)
_INSTANTS = st.sampled_from([f'timestamp("{moment}")' for moment in MOMENTS])
_ODD = [
    *(
        'at.getHours("Nowhere/There") == 1',
        'at.getHours("00:07") < 9',
        "at.getHours(subject) == 7",
        "at == at",
    ),
    *(
        'at.getHours("No where") == 1',
        "at - at == duration('0s')",
        'timestamp("2026-08-01") < at',
        "at in [at]",
    ),
    *("at.getHours() in [6, 7]", "at.getHours() + at.getMinutes() > 30", "[1].all(e, at.getHours() > e)"),
    *('at > timestamp("2026-08-01T07:00:00.0000001Z")', 'timestamp("2026-08-01T07:00:05Z") == at // five'),
]
TIMES = st.one_of(
    _PART,
    st.builds("at {} {}".format, _ORDERS, _INSTANTS),
    st.builds("{} {} at".format, _INSTANTS, _ORDERS),
    st.sampled_from(_ODD),
)
"""Conditions on the time of a call."""


def _joining(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda some: st.one_of(
            st.builds("!({}\n)".format, some),
            st.builds("({}\n && {}\n)".format, some, some),
            st.builds("({}\n || {}\n)".format, some, some),
            st.builds("({}\n ? {}\n : {}\n)".format, some, some, some),
        ),
        max_leaves=4,
    )


CONDITIONS = _joining(_ATOMS)
TIMED = _joining(TIMES)
WITH_TIMES = st.builds("{}\n && {}".format, TIMED, CONDITIONS) | _joining(TIMES | _ATOMS)
