"""Texts that may hold references, and the names that they stand under.

Law of this file: it reads nothing and changes nothing, and no message quotes a value.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from mcpguard.core.document.constraints import Constraint, Mistake, Path, matching
from mcpguard.core.secret import CredentialRef, Template, parse_template, sole_reference

SOURCES = ("env", "file", "keyring")
"""The sources that a `${SOURCE:NAME}` reference can name. `SOURCES` of `adapters/credentials` reads them."""

ENTRY = "credential"
"""What stands in their place in a reference to an entry of `credentials`."""

_NO_SECRET = re.compile(
    r"HOME|USER|LOGNAME|SHELL|PATH|PWD|TERM|TZ|TMPDIR|LANG|LANGUAGE|LC_[A-Z]+|XDG_[A-Z]+_(?:HOME|DIRS?)"
)

OWN_HEADERS = frozenset(
    {
        "accept", "connection", "content-length", "content-type", "host", "last-event-id", "mcp-method",
        "mcp-name", "mcp-protocol-version", "mcp-session-id", "transfer-encoding",
    }
)  # fmt: skip


def holds_no_secret(ref: CredentialRef) -> bool:
    """Whether it is a variable that says where or in which language a program runs (POSIX.1-2024, chapter 8;
    XDG Base Directory Specification). What it holds is in ordinary texts, so it is filled in and not held."""
    return ref.source == "env" and _NO_SECRET.fullmatch(ref.name) is not None


def template_of(text: str, environ: Mapping[str, str], quoted: Callable[[str], str] = str) -> Template:
    """`text` with its references. Variables that hold no secret are filled in where `environ` has them, each
    `quoted`. Raises ValueError as `parse_template` does."""
    written = parse_template(text)
    texts, refs = [written.texts[0]], []
    for ref, after in zip(written.refs, written.texts[1:], strict=True):
        value = environ.get(ref.name, "") if holds_no_secret(ref) else ""
        if value:
            texts[-1] += quoted(value) + after
        else:
            texts.append(after)
            refs.append(ref)
    return Template(tuple(texts), tuple(refs))


def references(text: str) -> tuple[CredentialRef, ...]:
    """The references in a text, none where it is malformed (which `reference_mistake` tells)."""
    try:
        return parse_template(text).refs
    except ValueError:
        return ()


def texts_in(at: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Every text in a value of a configuration, with its place."""
    if isinstance(value, str):
        yield at, value
    inner: Iterable[tuple[str | int, Any]] = ()
    if names := getattr(value, "names", None):  # A part of a file (Written).
        inner = ((key, getattr(value, name)) for key, name in names().items())
    elif isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, tuple):
        inner = enumerate(value)
    for step, one in inner:
        yield from texts_in((*at, step), one)


def reference_mistake(text: str) -> str:
    """Why a reference in the text can never have a value; "" if each one can."""
    try:
        refs = parse_template(text).refs
    except ValueError as error:
        return str(error)
    known = (*SOURCES, ENTRY)
    if not all(ref.source in known for ref in refs):
        return f"unknown source of a reference; the known ones are {', '.join(known)}"
    return next(filter(None, map(_misnamed, refs)), "")


_VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
_OF_A_VARIABLE = "the name of a variable has only the characters A-Z a-z 0-9 _"


def names_a_variable(text: str) -> bool:
    """Whether it is the name of an environment variable, and not one with its value (`NAME=VALUE`)."""
    return re.fullmatch(_VARIABLE, text) is not None


def _misnamed(ref: CredentialRef) -> str:
    if ref.source == "file" and not ref.name.startswith(("/", "~")):
        return f"${{{ref}}} must be an absolute path or begin with ~/"
    # The name of a reference is shown, logged and recorded, so a value must not get into one.
    if ref.source != "env" or names_a_variable(ref.name):
        return ""
    return f"{_OF_A_VARIABLE}, and its value is not written here, as in ${{env:TOKEN}}"


def header_mistakes(at: Path, headers: Iterable[str]) -> Iterator[Mistake]:
    """Headers that are there twice."""
    seen: set[str] = set()
    for name in headers:
        if name.lower() in seen:
            yield (*at, name), "this header is set twice: its case makes no difference"
        seen.add(name.lower())


def wrong_reference(text: str, otherwise: str = "") -> str:
    """What is wrong with a text that is to be one reference to a source; `otherwise` is said where it is not
    a reference at all."""
    try:
        ref = sole_reference(text)
    except ValueError as error:
        return otherwise or str(error)
    return _misnamed(ref) if ref.source in SOURCES else f"must be a reference to one of {', '.join(SOURCES)}"


SOLE_REFERENCE = rf"\$\{{(?:{'|'.join(SOURCES)}):.+\}}"
"""The pattern of such a text."""


def _wrong_header(name: str) -> str:
    lower = name.lower()
    taken = lower in OWN_HEADERS or lower.startswith("mcp-param-")
    return "not a header that can be set here" if taken else ""


def _wrong_header_value(text: str) -> str:
    if not text.isprintable():
        return "a header value must be one line of printable characters"
    return reference_mistake(text)


def wrong_path(text: str) -> str:
    """What is wrong with the path of a file or folder, "" for nothing. A URL would be a relative one."""
    if re.match("[A-Za-z][A-Za-z0-9+.-]*:", text):
        return "must be a path, not a URL; if it does begin with that, write ./ before it"
    return "" if text else "a path must not be empty"


FilePath = Annotated[str, Constraint(wrong_path, minLength=1)]

Text = Annotated[str, Constraint(reference_mistake)]
"""A text that may hold references."""

Reference = Annotated[str, Constraint(wrong_reference, pattern=f"^{SOLE_REFERENCE}$")]
"""One reference and nothing else."""


def no_reference(instead: str) -> Constraint:
    """A word of an argv; `instead` says where a reference can stand."""
    return Constraint(
        lambda word: f"every process on this machine can read an argv: {instead}" if "${" in word else "",
        offset=lambda word: word.index("${"),
        **{"not": {"pattern": r"\$\{"}},
    )


Variable = Annotated[str, matching(_VARIABLE, _OF_A_VARIABLE)]

Header = Annotated[
    str,
    matching("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", "not a header that can be set here"),
    Constraint(_wrong_header),
]

Variables = dict[Variable, Text]
Headers = dict[Header, Annotated[str, Constraint(_wrong_header_value)]]
