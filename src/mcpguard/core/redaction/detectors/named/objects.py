"""Secrets of a JSON value whose name is the text of another member, of a heading or of the cell before.

Law of this file: names and values are those of the same object, row or table, each is looked at a bounded
number of times, and what the name says is judged as in a text.
"""

from binascii import Error, a2b_base64
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice, pairwise
from typing import Any

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.columns import CELLS, Columns
from mcpguard.core.redaction.detectors.named.naming import GIVEN, is_about_one
from mcpguard.core.redaction.detectors.named.owners import signal_of_owner
from mcpguard.core.redaction.detectors.named.roles import ARGUMENTS, GATES, NAMING, PLAIN, is_name, is_value
from mcpguard.core.redaction.detectors.named.values import KINDS, crumbs, given, is_secret, kind_of, said
from mcpguard.core.redaction.engine.matching import Matcher, compile_literals

Judge = Callable[[str, bytes], bool]
"""Whether a value is a secret under a name that says so much."""

WORDS = (
    *(
        "pass",
        "pwd",
        "pw",
        "psk",
        "secret",
        "token",
        "key",
        "auth",
        "cookie",
        "cred",
        "jwt",
        "sess",
        "sensitive",
    ),
    *("kty", "mnemonic", "dsn", "bearer", "securestring", "concealed", "masked", "httponly", "lease_id"),
)
"""In lower case; where none of them is nothing is to be removed."""


@cache
def words() -> Matcher:
    """WORDS, compiled when they are first asked for."""
    return compile_literals([word.encode() for word in WORDS], range(len(WORDS)), "words")


_OF_OWNERS = ("key", "Key")
"""What says something only by what it is in."""
OPEN = frozenset(
    ["username", "user", "host", "port", "namespace", "ca.crt", "tls.crt", "type", "url", "database"]
)
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")
_PLAINLY = 3
"""Members of an object that is nothing but a name and what it names."""
_AROUND_A_NAME = " :?"
_SECRET_TYPES = frozenset(["SecureString", "CONCEALED", "secret"])
_MARKS = ("sensitive", "secure", "secret", "isSecret", "is_secret", "masked")
"""Types, and members that are true, by which an object declares its value a secret."""
_KEY_VAULT = ".vault.azure.net/secrets/"
_SCHEMES = ("bearer ", "basic ", "token ", "apikey ", "api-key ")
_KEY = "account_key"
_LONGEST = 128
_OF_ROWS: frozenset[type] = frozenset([list, dict])
_HEADINGS = 4
_KNOWN = 1000
"""How many names of members, and sets of them, are remembered."""
_SHORTEST = 4
"""Characters of any secret."""


class NumberedLeaf(str):
    """A text of the value; `part` says which."""

    __slots__ = ("part",)
    part: int

    def __new__(cls, text: str, part: int) -> "NumberedLeaf":
        made = super().__new__(cls, text)
        made.part = part
        return made


_SAYING = _OF_ROWS | {str, NumberedLeaf}
"""What a list has to have in it to say anything: most lists of a map or a matrix are points and rows."""
_DIGIT, _OPTION = expression("[0-9]"), expression(r"--?[A-Za-z][\w-]*")
_NAME = expression(r"[A-Za-z][A-Za-z_. -]*[0-9]{0,2}")
_LABELS = "password", "passwd", "passphrase", "passcode", "pwd", "token", "secret", "key", "credential"
_ENDING = rf"(?i:{'|'.join(_LABELS)})s?"
_LAST_LETTERS = frozenset(f"{one}{end}"[-3:] for one in _LABELS for end in ("", "s"))
_LABEL = expression(
    rf"[^0-9A-Za-z]{{0,16}}((?:[A-Za-z][\w./-]{{0,32}} ){{0,4}}[\w./-]{{0,48}}{_ENDING})[^0-9A-Za-z]{{0,16}}"
)
"""A text of a few words, or the last line of one."""
_AROUND_A_VALUE = " \t\r\n\"'`*"
LABELLED = rf"{_ENDING}[^0-9A-Za-z\x1f\xff]{{0,8}}\x1f[^\s0-9\x1f\xff]{{0,64}}[0-9]"
"""Where a text with a digit may follow its label."""
_LOGINS = frozenset(["auth", "basicAuth", "basic_auth", "credentials", "login"])
"""Names of lists of a user and a password."""

Claim = tuple[str, int, str]
"""A text, how many bytes before the secret stay, and the kind of what is to be removed."""


def of_kubernetes(name: str, data: bytes, plain: bool, judge: Judge) -> str:
    """The kind of what a member of the `data` of a Secret is, or of its `stringData` (`plain`); "" for what
    is not a secret."""
    if name.lower() in OPEN:
        return ""
    if plain:
        return kind_of(GIVEN) if judge(GIVEN, data) else ""
    try:
        value = a2b_base64(data, strict_mode=True)
    except Error:
        return ""
    known = value.isascii() and len(value.split()) == 1 and not judge(GIVEN, value)
    return "" if known else kind_of("token")


class ObjectReading:
    """One reading of a value. `found` has all that is to be removed: texts of the value itself."""

    __slots__ = ("_judge", "_names", "_owners", "found")

    def __init__(self, judge: Judge, value: Any) -> None:
        self._judge = judge
        self._names: dict[tuple[str, ...], tuple[list[str], bool]] = {}
        self._owners: dict[str, str] = {}
        self.found: list[Claim] = []
        if type(value) is list:
            self._list(value, "")
        else:
            self._object(value, "")

    def _object(self, members: dict[str, Any], owner: str) -> None:
        """`owner` is the name of the member that it stands in."""
        below = 0
        for name, child in members.items():
            kind = type(child)
            if kind is dict:
                below += 1
                self._object(child, name)
            elif kind is list and not _SAYING.isdisjoint(map(type, child)):
                below += 1
                self._list(child, name)
        # Most objects have the same names as another.
        of_values, of_gates = self._told_by(tuple(members))
        if of_values and (values := _values(members, of_values)):
            self._named(members, values, owner)
        elif len(members) <= _PLAINLY and not PLAIN.isdisjoint(members):
            self._plainly(members)
        if owner and (said_of_owner := self._said_of(owner)):
            self._owned(members, said_of_owner, owner)
        if below > 1:
            self._table(members)
        if of_gates:
            self._known(members, owner)

    def _told_by(self, names: tuple[str, ...]) -> tuple[list[str], bool]:
        """Which members may be what others name, and whether there are GATES."""
        if len(self._names) > _KNOWN:
            self._names.clear()
        told = self._names.get(names)
        if told is None:
            told = self._names[names] = [n for n in names if is_value(n)], not GATES.isdisjoint(names)
        return told

    def _said_of(self, owner: str) -> str:
        """What a name says of the texts in what it is the name of."""
        if len(self._owners) > _KNOWN:
            self._owners.clear()
        said = self._owners.get(owner)
        if said is None:
            said = self._owners[owner] = _said(owner.removesuffix("s"))
        return said

    def _known(self, members: dict[str, Any], owner: str) -> None:
        """Objects that are known by their form: JSON Web Keys, Secrets of Kubernetes, logins of registries,
        passwords that Terraform has made, and answers of Google's Secret Manager."""
        for name in _OF_OWNERS:
            if name in members and (strength := signal_of_owner(owner)):
                self._one(strength, members[name])
        for name in _PRIVATE if "kty" in members else ():
            self._one("token", members.get(name))
        for block in ("data", "stringData") if members.get("kind") == "Secret" else ():
            below = members.get(block)
            for name, text in below.items() if type(below) is dict else ():
                if isinstance(text, str) and (
                    kind := of_kubernetes(name, _bytes(text), block != "data", self._judge)
                ):
                    self.found.append((text, 0, kind))
        self._stored(members)
        auth = members.get("auth")
        if isinstance(auth, str) and self._judge("basic", _bytes(auth)):
            self.found.append((auth, 0, kind_of("token")))

    def _stored(self, members: dict[str, Any]) -> None:
        """What is kept in a store of secrets, or made for it."""
        if "lease_id" in members:
            self._leased(members.get("data"))
        if "bcrypt_hash" in members:
            self._one("password", members.get("result"))
        payload = members.get("payload")
        if type(payload) is dict and "/secrets/" in str(members.get("name")):
            self._encoded(payload.get("data"))

    def _leased(self, data: Any) -> None:
        """The members of a secret of Vault, in either version of its store."""
        below = data.get("data", data) if type(data) is dict else None
        for name, text in below.items() if type(below) is dict else ():
            if name.lower() not in OPEN and not is_about_one(name):
                self._one(_said(name) or "password", text)

    def _encoded(self, text: Any) -> None:
        """A secret in base64."""
        if isinstance(text, str) and (kind := of_kubernetes("", _bytes(text), False, self._judge)):
            self.found.append((text, 0, kind))

    def _owned(self, members: dict[str, Any], strength: str, owner: str) -> None:
        """`{"password": {"current": "…"}}`, `{"tokens": {"bob": "…"}}`, but not a schema of one. What is
        called a token or cookie is often a thing that has texts of its own, such as a package; one text alone
        is its value, as in `{"S": "…"}`."""
        several = strength == "password" or owner.endswith("s") or len(members) == 1
        for name, text in members.items():
            if (
                isinstance(text, str)
                and "\n" not in text.rstrip("\n")
                and (not is_about_one(name) if several else _said(f"{owner}_{name}"))
                and _DIGIT.search(text)
            ):
                self._one(strength, text)

    def _named(self, members: dict[str, Any], values: list[str], owner: str) -> None:
        """`{"name": "DB_PASSWORD", "value": "…"}` in any order, and `{"db_password": {"value": "…"}}`."""
        names = [
            _KEY if name == "keyName" and not _said(text) else text
            for name, text in members.items()
            if isinstance(text, str) and not is_value(name) and is_name(name)
        ]
        for name in (*names, owner):
            if strength := _said(name):
                for text in values:
                    if name.lower().endswith("cookie"):
                        self._cookies(text)
                    else:
                        self._one(given(strength) if name.isupper() else strength, text)
                return
        if strength := _declared(members):
            for text in values:
                self._one(strength, text)

    def _plainly(self, members: dict[str, Any]) -> None:
        """`{"field": "password", "content": "…"}`: what is named has a digit and is one word."""
        strength = next(filter(None, (says(members[name]) for name in members if name in NAMING)), "")
        for text in _values(members, [name for name in members if name in PLAIN]) if strength else ():
            if _DIGIT.search(text) and len(text.split()) == 1:
                self._one(strength, text)

    def _table(self, members: dict[str, Any]) -> None:
        """`{"columns": ["name", "password"], "rows": [["ada", "…"]]}`, whatever these are called."""
        if not any(
            not _OF_ROWS.isdisjoint(map(type, child)) for child in members.values() if type(child) is list
        ):
            return
        heads = (head for child in members.values() if (head := _heading(child)))
        for head in islice(heads, _HEADINGS):
            columns = Columns(head)
            if not columns.any():
                continue
            for child in members.values():
                for row in _rows(child):
                    if len(row) == columns.count and row != head:
                        self._row(columns, row)

    def _list(self, items: list[Any], owner: str) -> None:
        """Rows below the row of their names; pairs; and what is called headers: names and values by turns."""
        objects = lists = False
        for child in items:
            kind = type(child)
            if kind is dict:
                objects = True
                self._object(child, owner)
            elif kind is list and not _SAYING.isdisjoint(map(type, child)):
                lists = True
                self._list(child, owner)
        if lists and len(items) == 2 and type(items[0]) is list and isinstance(items[1], str):
            self._pairs((name, items[1]) for name in items[0][-1:])  # `[["db", "password"], "…"]` of jq
        elif objects or lists:
            self._rows(items)
            if lists:
                self._pairs(row for row in items if type(row) is list and len(row) == 2)
        elif "header" in owner.lower():
            self._pairs(zip(items[::2], items[1::2], strict=False))
        elif owner in ARGUMENTS:
            self._options(items)
        elif owner in _LOGINS and len(items) == 2 and _DIGIT.search(str(items[1])):
            self._one("password", items[1])
        self._labelled([one.get("text") if type(one) is dict else one for one in items])

    def _labelled(self, items: list[Any]) -> None:
        """A secret behind its label, in a list of texts or of blocks of text: `["Password", "…"]`."""
        for label, text in pairwise(items):
            if not (isinstance(label, str) and isinstance(text, str)):
                continue
            if label[-1:].isalnum() and label[-3:].lower() not in _LAST_LETTERS:
                continue  # As most texts: it ends neither as a label does nor with a mark behind one.
            value = text.strip(_AROUND_A_VALUE)
            if len(value.split()) == 1 and _DIGIT.search(value) and (strength := _said_of_label(label)):
                data = _bytes(value)
                # What is known is that it is a text, which may be a word.
                if self._judge(strength, data) and is_secret(strength, data, False):
                    self.found.append((text, len(_bytes(text[: text.index(value)])), kind_of(strength)))

    def _options(self, items: list[Any]) -> None:
        for name, text in pairwise(items):
            if isinstance(name, str) and _OPTION.fullmatch(name) and (strength := _said(name.lstrip("-"))):
                self._one(given(strength), text)

    def _rows(self, items: list[Any]) -> None:
        first = _cells(items[0])
        columns = Columns([str(cell) for cell in first]) if first and all(map(_heads, first)) else None
        if columns is None or not columns.any():
            return
        # `[["password", "…"], ["realm", "…"]]` may be pairs, whose names are words.
        of_pairs = columns.count == 2 and bool(_said(first[0]))
        for row in map(_cells, items[1:]):
            if len(row) == columns.count and not (of_pairs and _NAME.fullmatch(str(row[0]))):
                self._row(columns, row)

    def _pairs(self, pairs: Iterable[Any]) -> None:
        for name, text in pairs:
            if isinstance(name, str) and (strength := _said(name)):
                self._one(given(strength) if name.isupper() else strength, text)

    def _row(self, columns: Columns, row: list[Any]) -> None:
        for at, strength in columns.of(lambda at: _bytes(row[at]) if isinstance(row[at], str) else b""):
            self._one(strength, row[at])

    def _cookies(self, text: str) -> None:
        """The first secret of a header of cookies, and what is behind it."""
        data = _bytes(text)
        for start, end in crumbs(data):
            if self._judge("weak", data[start:end]):
                self.found.append((text, start, kind_of("weak")))
                return

    def _one(self, strength: str, text: Any) -> None:
        if not isinstance(text, str):
            return
        low = text[:8].lower()
        ahead = low.index(" ") + 1 if low.startswith(_SCHEMES) else 0
        if self._judge(strength, _bytes(text[ahead:])):
            self.found.append((text, ahead, KINDS[2] if ahead else kind_of(strength)))


def _said(name: str) -> str:
    # A path, as the parameters of AWS have it.
    return said(name.rpartition("/")[2].strip()) if len(name) <= _LONGEST else ""


def _said_of_label(text: str) -> str:
    found = _LABEL.fullmatch(text.rstrip()[-_LONGEST:].rpartition("\n")[2])
    return _said(found[1].replace(" ", "_").removesuffix("s")) if found else ""


def says(text: Any) -> str:
    """What a text says that may be a name, as a page or a form has it."""
    return _said(text.strip(_AROUND_A_NAME)) if isinstance(text, str) else ""


def _values(members: dict[str, Any], names: list[str]) -> list[str]:
    """The texts of these names, which may be lists or objects of one text, such as `{"stringValue": "…"}`."""
    children = [members[name] for name in names]
    return [
        text
        for child in children
        for text in _of_one(child)
        if isinstance(text, str) and (text is not child or len(text) >= _SHORTEST)
    ]


def _of_one(child: Any) -> Iterable[Any]:
    if type(child) not in _OF_ROWS:
        return (child,)
    one: Iterable[Any] = child.values() if type(child) is dict else child
    return one if len(child) == 1 else ()


def _declared(members: dict[str, Any]) -> str:
    """What an object says about its value by declaring that it is a secret, whatever that is called; "" for
    nothing. A cookie that no script may read is one of a session, or says little."""
    texts = [text for name in ("type", "Type", "id", "kid") if isinstance(text := members.get(name), str)]
    if "password" in texts:
        return "password"
    marked = any(members.get(mark) is True for mark in _MARKS)
    if marked or not _SECRET_TYPES.isdisjoint(texts) or any(_KEY_VAULT in text for text in texts):
        return "token"
    return "weak" if members.get("httpOnly") is True else ""


def _heading(child: Any) -> list[str]:
    """The names of columns, as texts or as objects that have a name; [] for anything else."""
    if type(child) is dict and len(child) <= 2:
        child = next((one for one in child.values() if type(one) is list), None)
    if type(child) is not list or not 2 <= len(child) <= CELLS:
        return []
    of_objects = type(child[0]) is dict
    made: list[str] = []
    for one in child:
        name = one
        if of_objects:
            if type(one) is not dict:
                continue
            name = next((one[n] for n in one if n.lower() in _HEADS), None)
        if not _heads(name):
            return []
        made.append(name)
    return made


_HEADS = ("name", "column_name", "columnname", "label", "field", "key", "id", "title")


def _rows(child: Any) -> Iterator[list[Any]]:
    for row in child if type(child) is list else ():
        if cells := _cells(row):
            yield cells


def _cells(row: Any) -> list[Any]:
    """The cells of a row, which may be objects with one text each, such as `{"stringValue": "…"}`."""
    if type(row) is dict and len(row) == 1:
        row = next(iter(row.values()))
    if type(row) is not list or len(row) < 2:
        return []
    return [
        next(iter(cell.values())) if type(cell) is dict and len(cell) == 1 else cell
        for cell in islice(row, CELLS)
    ]


def _heads(cell: Any) -> bool:
    return isinstance(cell, str) and 0 < len(cell) <= 64 and not cell[0].isdigit()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
