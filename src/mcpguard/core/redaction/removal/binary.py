"""Images, sound and other binary data leave as they came, or not at all.

Law of this file: a placeholder within base64 would be neither data nor text. Where something was removed from
such a block, a block of text takes its place and says why.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json
from mcpguard.core.redaction.removal.placeholder import PLACEHOLDER

_MARKS = expression(PLACEHOLDER.decode())
_WHAT = {"image": "An image", "audio": "An audio recording"}
_OTHERS = frozenset(["structuredContent", "_meta"])


def whole(before: Json, after: Json) -> Json:
    """`after`, which is `before` inspected, without blocks of binary data from which something was removed;
    the same object where there are none."""
    if type(after) is list and type(before) is list:
        items = [whole(*pair) for pair in zip(before, after, strict=True)]
        return after if all(one is other for one, other in zip(items, after, strict=True)) else items
    if type(after) is not dict or type(before) is not dict:
        return after
    kind = after.get("type")
    if kind in ("image", "audio") and _differs(before, after, "data"):
        kept = {name: after[name] for name in ("annotations", "_meta") if name in after}
        return {"type": "text", "text": _said(_WHAT[kind], after["data"]), **kept}
    if "uri" in after and _differs(before, after, "blob"):
        kept = {name: member for name, member in after.items() if name != "blob"}
        return {**kept, "mimeType": "text/plain", "text": _said("A file", after["blob"])}
    made = {
        name: new if name in _OTHERS else whole(old, new)
        for old, (name, new) in zip(before.values(), after.items(), strict=True)
    }
    return after if all(made[name] is new for name, new in after.items()) else made


def _differs(before: dict[str, Json], after: dict[str, Json], name: str) -> bool:
    return type(after.get(name)) is str and after[name] != before.get(name)


def _said(subject: str, data: str) -> str:
    found = sorted({mark[1] for mark in _MARKS.finditer(data)})
    what = f" ({', '.join(found)})" if found else ""
    return f"[{subject} was withheld by mcpguard, because it contains a secret or personal data{what}.]"
