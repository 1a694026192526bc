"""Templates -> pages, and how these print times and numbers.

Law of this file: every value in a page is escaped by the template engine; what others wrote goes through
`texts.marked`, which is the filter `shown`.
"""

import os
import time
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mcpguard import __version__
from mcpguard.adapters.system.terminal import counted, plain
from mcpguard.config.loading import Config, config_option
from mcpguard.console.desk import Desk
from mcpguard.console.rendering.texts import marked
from mcpguard.core.legible import utc

STATIC = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
MOST_OF_A_NAME = 256
"""Of a name in a list: the longest that a tool has. Resources have longer ones, and a hundred may wait."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def page(desk: Desk, request: Request, view: str, status: int = 200, **values: Any) -> Response:
    """The page `view`; only its living part where a script asks for that (`part=live`)."""
    visit = request.scope.get("visit")
    counts = request.scope.get("counts", "")
    text = (
        _templates()
        .get_template(f"{view}.html")
        .render(
            layout="part.html" if request.query_params.get("part") == "live" else "layout.html",
            view=view,
            root="" if visit is None else desk.root,  # Known to nobody who has no visit.
            csrf="" if visit is None else visit.csrf,
            config=desk.config,
            option=config_option(desk.config.path, os.environ),
            observing=_observing(desk.config),
            waiting=desk.watch.waiting,
            held=desk.watch.held,
            counts=counts,
            unreadable=desk.evidence.unreadable,
            audit=desk.evidence.folder,
            person=desk.person,
            version=__version__,
            asset=asset_mark(),
            now=time.time(),
            **values,
        )
    )
    return HTMLResponse(text, status)


def _observing(config: Config) -> str:
    """The servers for which policies are only observed now, and until when; "" for none."""
    observation = config.observe
    if observation is None or observation.at(datetime.now(UTC)) != "on":
        return ""
    return observation.said


def message(desk: Desk, request: Request, title: str, said: str, status: int, **values: Any) -> Response:
    """A page that says one thing."""
    ticket = request.path_params.get("ticket", "")
    back = f"/tickets/{quote(ticket)}" if ticket and status == 409 else ""
    return page(desk, request, "message", status, title=title, said=said, back=back, **values)


def asset(name: str) -> bytes:
    """The file of that name in `static`."""
    return resources.files("mcpguard.console").joinpath("static", name).read_bytes()


@cache
def asset_mark() -> str:
    """Changes with the files, so that no page loads an old one from a cache."""
    return sha256(b"".join(map(asset, STATIC))).hexdigest()[:12]


@cache
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("mcpguard.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "shown": marked,
        "plain": plain,
        "clock": clock,
        "span": span,
        "count": counted,
        "short": short,
        "brief": brief,
        "near": near,
    }
    return found


def clock(at: datetime | float, seconds: bool = True) -> Markup:
    """A time of day, with the date if that is not today."""
    exact, day = utc(at), utc(datetime.now(UTC))[:11]
    said = utc(at, "seconds" if seconds else "minutes").removeprefix(day)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, said)


def span(seconds: float) -> str:
    """A length of time, in its two largest units."""
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (unit == "s" and not words):
            words.append(f"{left // size} {unit}")
            left %= size
        elif words:
            break
    return " ".join(words[:2])


def near(path: Path) -> str:
    """A path, with `~` for the home of whoever started the console."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def brief(text: str) -> Markup:
    """A name in a list, cut where it is too long to be one."""
    left_out = len(text) - MOST_OF_A_NAME
    if left_out <= 0:
        return marked(text)
    return Markup('{}<span class="more">… {} more characters</span>').format(
        marked(text[:MOST_OF_A_NAME]), f"{left_out:,}"
    )


def short(text: str, most: int = 12) -> Markup:
    """The beginning of an id or a digest, with the whole as its title."""
    more = "…" if len(text) > most else ""
    return Markup('<span title="{}">{}{}</span>').format(plain(text), marked(text[:most]), more)
