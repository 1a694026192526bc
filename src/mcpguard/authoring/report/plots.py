"""Plots as inline SVG. Each is stretched to its place, so it has no text of its own: labels are HTML."""

from __future__ import annotations

from collections.abc import Sequence

from mcpguard.authoring.report.html import Markup, element

HEIGHT = 100.0
GAP = 0.18
"""The part of a column that is left free."""


def columns(series: Sequence[Sequence[int]], classes: Sequence[str], label: str) -> Markup:
    """Stacked columns: `series` has a tuple for each column, `classes` the class of each of its parts."""
    highest = max((sum(parts) for parts in series), default=0) or 1
    shapes = []
    for index, parts in enumerate(series):
        top = HEIGHT
        for amount, name in zip(parts, classes, strict=True):
            size = HEIGHT * amount / highest
            top -= size
            if amount:
                shapes.append(_box(index + GAP / 2, top, 1 - GAP, size, name))
    return _picture("columns", f"0 0 {max(len(series), 1)} {HEIGHT:g}", shapes, label)


def share(part: float, whole: float, name: str, label: str) -> Markup:
    """A bar that is filled as far as `part` is of `whole`."""
    filled = HEIGHT * part / whole if whole else 0.0
    return _picture("bar", "0 0 100 1", [_box(0, 0, HEIGHT, 1, "rest"), _box(0, 0, filled, 1, name)], label)


def stacked(parts: Sequence[tuple[int, str]], label: str) -> Markup:
    """One bar of several parts, each an amount with its class."""
    whole = sum(amount for amount, _ in parts) or 1
    shapes, at = [], 0.0
    for amount, name in parts:
        size = HEIGHT * amount / whole
        if amount:
            shapes.append(_box(at, 0, size, 1, name))
        at += size
    return _picture("bar", "0 0 100 1", shapes, label)


def span(begin: float, end: float, name: str, label: str) -> Markup:
    """A bar from `begin` to `end`, both parts of the whole from 0 to 1; never too thin to be seen."""
    at, size = HEIGHT * begin, max(HEIGHT * (end - begin), 0.8)
    shapes = [_box(0, 0, HEIGHT, 1, "rest"), _box(min(at, HEIGHT - size), 0, size, 1, name)]
    return _picture("bar", "0 0 100 1", shapes, label)


def _box(x: float, y: float, width: float, height: float, name: str) -> Markup:
    sizes = {"x": x, "y": y, "width": width, "height": height}
    return element("rect", class_=name, **{key: f"{value:.3f}" for key, value in sizes.items()})


def _picture(name: str, box: str, shapes: Sequence[Markup], label: str) -> Markup:
    return element(
        "svg",
        shapes,
        class_=name,
        viewBox=box,
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
