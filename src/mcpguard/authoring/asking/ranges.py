"""Regular expressions (RE2) for the JSON of values in a range: of numbers, of sizes, and of all but one.

Law of this file: JSON of a value in the range, as this program writes it, is never left out; JSON of another
one may be let through. A number is followed by something else than a digit, since it stands in an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import json

_ESCAPE = r"\\[^u]|\\u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
_UNIT = rf'(?:[^"\\]|{_ESCAPE})'
"""A character of a string. What it repeats itself would count against RE2's limit."""
_FLAT = rf'(?:"{_UNIT}*"|[^"\[\]{{}},]+)'
_MEMBER = f'"{_UNIT}*":'
_ANY_WITH_EXPONENT = "-?[0-9.]+e"
_LARGEST = 10**15
"""Numbers up to this are written with all their digits."""
_FRACTION = 20
_LONGEST = 1_000
"""The most repetitions that RE2 allows."""
_MOST_MEMBERS = 32
_MOST_TOLD = 48
"""From longer texts those differ that begin in another way; the rest may be equal."""


def number(how: str, bound: Decimal) -> str | None:
    """A number that is `how` (<, <=, >, >=) `bound`; None where that is not followed."""
    whole, _, fraction = format(abs(bound).normalize(), "f").partition(".")
    if abs(bound) >= _LARGEST or len(fraction) > _FRACTION:
        return None
    equal, above = "=" in how, ">" in how
    towards_zero = above == (bound < 0)
    ways = list((_below if towards_zero else _above)(whole, fraction, equal) if bound else _zero(how))
    if bound < 0:
        ways = [f"-(?:{'|'.join(ways)})"]
    if towards_zero or (not bound and how != ">"):
        ways.append("[0-9]" if above else "-")
    return f"(?:{'|'.join([*ways, _ANY_WITH_EXPONENT])})"


def _zero(how: str) -> Iterator[str]:
    """What is `how` 0, but for all numbers of one sign."""
    if how == ">":
        yield from _above("0", "", False)
    elif "=" in how:
        yield r"-?0(?:\.0)?[^0-9.]"


def _above(whole: str, fraction: str, equal: bool) -> Iterator[str]:
    yield f"[0-9]{{{len(whole) + 1}}}"
    for before, digit, after in _places(whole, fraction):
        if digit < "9":
            yield f"{before}[{int(digit) + 1}-9][0-9]{{{after}}}"
    same = rf"{whole}\.{fraction}"
    yield (same if fraction else whole) if equal else f"{same}[0-9]*[1-9]"


def _below(whole: str, fraction: str, equal: bool) -> Iterator[str]:
    if len(whole) > 1:
        yield f"[0-9]{{1,{len(whole) - 1}}}[^0-9]"
    for before, digit, after in _places(whole, fraction):
        if digit > "0":
            end = "[^0-9]" if len(before) < len(whole) else ""
            yield f"{before}[0-{int(digit) - 1}][0-9]{{{after}}}{end}"
    # A fraction may end before that of the bound.
    if fraction:
        yield f"{whole}[^0-9.]"
    for at in range(1, len(fraction)):
        yield rf"{whole}\.{fraction[:at]}[^0-9]"
    if equal:
        yield rf"{whole}\.{fraction}[^0-9]" if fraction else rf"{whole}(?:\.0)?[^0-9.]"


def _places(whole: str, fraction: str) -> Iterator[tuple[str, str, int]]:
    """Each digit with what is before it, and how many digits of the whole number follow."""
    for at, digit in enumerate(whole):
        yield whole[:at], digit, len(whole) - at - 1
    for at, digit in enumerate(fraction):
        yield rf"{whole}\.{fraction[:at]}", digit, 0


def at_least(size: int) -> str:
    """A string, list or map of this size or more; `size` is 1 or more."""
    some = min(size, _MOST_MEMBERS) - 1
    longer = [rf'"(?:[^"\\]|\\.){{{min(size, _LONGEST)}}}']
    for begin, member, end in ((r"\[", "", r"\]"), (r"\{", _MEMBER, r"\}")):
        longer.append(f"{begin}(?:{member}{_FLAT},){{{some}}}[^{end}]")
        # What is inside of another list or map is not counted.
        longer.append(rf"{begin}(?:{member}{_FLAT},){{0,{some}}}{member}[\[{{]")
    return f"(?:{'|'.join(longer)})"


def at_most(size: int) -> str | None:
    """A string, list or map of this size or less; None where that is not followed."""
    if not 0 <= size <= _LONGEST:
        return None
    shorter = [rf'"{_UNIT}{{0,{size}}}"', r"\[\]", r"\{\}"]
    for begin, member, end in ((r"\[", "", r"\]"), (r"\{", _MEMBER, r"\}")):
        if size > _MOST_MEMBERS:
            shorter.append(begin)
        elif size:
            shorter.append(f"{begin}{member}{_FLAT}(?:,{member}{_FLAT}){{0,{size - 1}}}{end}")
            shorter.append(rf"{begin}(?:{member}{_FLAT},){{0,{size - 1}}}{member}[\[{{]")
    return f"(?:{'|'.join(shorter)})"


def all_but(token: str) -> str:
    """JSON of all values but the one with this JSON."""
    end = [] if len(token) > _MOST_TOLD else [rf"{quoted(token)}[^,}}\]]"]
    return f"(?:{'|'.join([*_differing(token), *end])})"


def not_beginning(text: str) -> str:
    """JSON of a string that does not begin with `text`."""
    return f"(?:{'|'.join(_differing(json.encode(text).decode()[:-1]))})"


def _differing(token: str) -> Iterator[str]:
    for at, one in enumerate(token[:_MOST_TOLD]):
        yield rf"{quoted(token[:at])}[^{quoted(one)}]"
    if token[_MOST_TOLD:]:
        yield quoted(token[:_MOST_TOLD])


def not_ending(text: str) -> str:
    """JSON of a string that does not end with `text`."""
    units = [json.encode(one).decode()[1:-1] for one in text[-_MOST_TOLD:]]
    ends = ['"']
    ways = []
    for unit in reversed(units):
        other = rf'[^{quoted(unit)}"\\]|{_ESCAPE}' if len(unit) == 1 else _UNIT
        ways += [f'"{ends[-1]}', f'"{_UNIT}*(?:{other}){ends[-1]}']
        ends.append(quoted(unit) + ends[-1])
    if text[:-_MOST_TOLD]:
        ways.append(f'"{_UNIT}*{ends[-1]}')
    return f"(?:{'|'.join(ways)})"


def quoted(text: str) -> str:
    """`text` as RE2 has it, in a set of characters too."""
    return "".join([one if one.isalnum() or one == "_" or ord(one) > 127 else f"\\{one}" for one in text])
