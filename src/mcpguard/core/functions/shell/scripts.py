"""Programs for sed, awk and jq: whether they only turn one text into another.

Law of this file: for sed a positive list of commands; for awk and jq, whose expressions are many, what can
run, write or open something is refused in any spelling, and in a string, too. Sources: POSIX.1-2024, XCU
sed and awk; the manuals of GNU sed, gawk, mawk, BusyBox and jq.
"""

from __future__ import annotations

import re

_BRACKETS = r"\[\^?\]?(?:\[:[a-z]+:\]|[^\[\]\\DELIMITER\n])*\]"
_BODY = r"(?:[^\\\[DELIMITER\n]|\\[^c\n]|" + _BRACKETS + ")*"
_REPLACEMENT = r"(?:[^\\DELIMITER\n]|\\[^c\n])*"


def _sed_command() -> re.Pattern[str]:
    """A command with its addresses. `s` may have no flag that runs (`e`) or writes (`w`) something."""
    regex = "/" + _BODY.replace("DELIMITER", "/") + "/I?"
    address = rf"(?:\d+(?:~\d+)?|\$|{regex})"
    substitutions = [
        f"[sy]{one}{(_BODY + one + _REPLACEMENT).replace('DELIMITER', one)}{one}[0-9gpIiM]*"
        for one in (re.escape(char) for char in "/,|#:@!%")
    ]
    commands = "|".join(("[=dDgGhHnNpPxz{}]", r"[qQl]\d*", r":\w+|[bt]\w*", *substitutions))
    return re.compile(rf"(?:{address}(?:,(?:{address}|[+~]\d+))?[ \t]*!?[ \t]*)?(?:{commands})", re.ASCII)


_SED_COMMAND = _sed_command()
_SED_BETWEEN = re.compile(r"[ \t\n;]*")
_SED_END = re.compile(r"[ \t]*(?:[;\n}]|$)")

_AWK = re.compile(r"(?<!\|)\|(?!\|)|\|\|\||@|system|getline|\\\n", re.ASCII)
_AWK_PRINTS = re.compile(r"print.*>(?!=)", re.ASCII | re.DOTALL)
_AWK_FILES = re.compile(r"ARG[VC]|BEGINFILE|ENDFILE", re.ASCII)
_JQ = re.compile(r"(?<!\.)\b(?:import|include|env|ENV|modulemeta)\b")


def plain_sed(script: str) -> bool:
    """Whether a script of sed only edits text."""
    at = 0
    while (at := _skip(script, at)) < len(script):
        found = _SED_COMMAND.match(script, at)
        if not found or not (found[0].endswith("{") or _SED_END.match(script, found.end())):
            return False
        at = found.end()
    return True


def _skip(script: str, at: int) -> int:
    found = _SED_BETWEEN.match(script, at)
    return found.end() if found else at


def plain_awk(program: str) -> bool:
    """Whether a program of awk starts no other and writes no file. Before `print` a `>` only compares."""
    return not _AWK.search(program) and not _AWK_PRINTS.search(program)


def awk_chooses_files(program: str) -> bool:
    """Whether it could read other files than its arguments name."""
    return bool(_AWK_FILES.search(program))


def plain_jq(program: str) -> bool:
    """Whether a program of jq reads only its input: no module, no environment."""
    return not _JQ.search(program)
