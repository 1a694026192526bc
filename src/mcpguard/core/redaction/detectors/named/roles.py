"""What the name of a member says of its text: that it names something, or is what has a name elsewhere."""

ARGUMENTS = frozenset(["args", "Args", "argv", "cmd", "Cmd", "command", "Command", "Entrypoint"])
"""Names of lists in which an option stands before its value."""
GATES = frozenset(
    [
        "kty",
        "stringData",
        "kind",
        "auth",
        "f",
        "rawHeaders",
        "raw_headers",
        "key",
        "Key",
        "payload",
        "bcrypt_hash",
        "lease_id",
        *ARGUMENTS,
    ]
)
"""Names of members that say that something is to be looked for, beside those of `is_value`."""
_VALUES = frozenset(["val", "plaintext", "setting"])
_LAST_OF_VALUES = frozenset("eltgELTG")
_NAMES = frozenset(
    [
        *(
            "variable",
            "parameter",
            "option",
            "setting",
            "field",
            "label",
            "id",
            "header",
            "property",
            "title",
        ),
        *("k", "question", "prompt", "term", "attribute", "heading", "caption", "description", "path"),
        *("first", "0"),
    ]
)
PLAIN = frozenset(
    [
        *("v", "data", "text", "content", "default", "answer", "response", "definition", "body", "new"),
        *("values", "Data", "Text", "Content", "Default", "Values", "second", "1"),
    ]
)
"""Names of members that may have what another names, where the object has hardly anything else."""
NAMING = frozenset([*_NAMES, *("name", "key", "Name", "Key", "Title", "Label", "Field")])
"""Names of members whose text may be the name of what is in one of PLAIN."""
SIGNS = frozenset(
    PLAIN.difference(["data", "text", "content", "Data", "Text", "Content"])
    | NAMING.difference(["name", "key", "id", "description", "path", "Name", "Key"])
)
"""Those of both that are not in most results: without one of them no member names another so."""
_LONGEST = 128


def is_value(name: str) -> bool:
    """Whether a member of this name may be what another member of the object names."""
    if name[-1:] not in _LAST_OF_VALUES:
        return False
    return name[-5:].lower() == "value" or (len(name) < _LONGEST and name.lower() in _VALUES)


def is_name(name: str) -> bool:
    """Whether the text of a member of this name may name another member of the object."""
    low = name.lower()
    return low in _NAMES or low.endswith(("name", "key"))
