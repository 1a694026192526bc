"""JSON as `json` has it, without what that imports: regular expressions take longer to import than most servers of the
tests live. What is not JSON raises `StopIteration`, as from the scanner inside of `json`."""

import _json


class _Reading:
    """How `json.loads` reads."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int


_scan = _json.make_scanner(_Reading)


def loads(text):
    """The value of a text."""
    value, _end = _scan(text.strip(), 0)
    return value


def dumps(value, separators=(", ", ": ")):
    """The text of a value."""
    comma, colon = separators
    spelled = _json.encode_basestring_ascii
    encode = _json.make_encoder({}, None, spelled, None, colon, comma, False, False, True)
    return "".join(encode(value, 0))
