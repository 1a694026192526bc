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
CONDITIONS = st.recursive(
    _ATOMS,
    lambda some: st.one_of(
        st.builds("!({})".format, some),
        st.builds("({} && {})".format, some, some),
        st.builds("({} || {})".format, some, some),
        st.builds("({} ? {} : {})".format, some, some, some),
    ),
    max_leaves=4,
)
