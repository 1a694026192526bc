"""Sends one alert by apprise, in a process of its own: a library that imports much and may hang.

Run as `python -I apprise_child.py FD`; FD gives [url, title, body] as JSON and ends. It imports nothing of
mcpguard, so that nothing of it is read or held here.
"""

import json
import sys

SENT, LOST, MISSING, UNKNOWN = 0, 1, 3, 4
"""What it ends with: apprise is not installed, or does not know such a URL."""


def main(descriptor: int) -> int:
    """Send it; gives the exit code."""
    with open(descriptor, encoding="utf-8") as given:
        url, title, body = json.load(given)
    try:
        import apprise
    except ImportError:
        return MISSING
    sender = apprise.Apprise()
    if not sender.add(url):
        return UNKNOWN
    return SENT if sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT) else LOST


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
