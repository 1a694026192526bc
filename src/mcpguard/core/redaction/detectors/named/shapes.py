"""What a value looks like: a reference, a sample that a person is to replace, a word, or random characters.

Law of this file: no name is known here, so that the same value is read alike wherever it stands.
"""

import re
from functools import cache, lru_cache
from itertools import pairwise

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.languages import WORDS
from mcpguard.core.redaction.detectors.named.naming import Signal

_REFERENCE = expression(
    r"\$?\{\{[^}]{0,200}\}\}|\$\{[^}]{0,200}\}|\$\(?[A-Za-z_][A-Za-z0-9_]{0,200}\)?|%[A-Za-z_]\w{0,200}%"
    r"|\{(?:env|file):[^}]{0,200}\}"
)
_FILLED = expression(r"\$\{|\{\{|\$\(|%[A-Z_]{3,}%|\{(?:env|file):")
_ELSEWHERE = ("op://", "pass:", "vault:", "keyring:", "ref+", "file:", "env:", "arn:", "urn:", "`")
_SAMPLE = expression(
    r"""(?ix)
    ^<[A-Za-z] | <[^<>]{1,100}> | ^\[.*\]$ | \*{3,} | \.{3} | \u2026
    | (?:^|[-_.])x{3}(?:$|[-_.])
    | (?:^|[^a-z])(?:your|example|placeholder|redacted|dummy|sample|fixme|todo|tbd|foobar)(?:s?[^a-z]|$)
    | ^(?:change|replace|insert|enter|paste|put|add|fill|set|use|get)[-_\s]?(?:me|it|this|your|my|with|the|
      here|in|a|key|token|secret|password|api)(?:[^a-z]|$) | [-_\s]here$
    | ^__[a-z_]+__$
    | ^(?:none|null|nil|undefined|n/?a|fake|not?[-_\s]?(?:needed|set|used|required|key|auth|token|password))$
    """
)
_IN_SAMPLES = expression(
    r"your|example|placeholder|redacted|dummy|sample|fixme|todo|tbd|foobar|xxx|here|<|\*{3}|\.{3}"
)
_BEGIN_SAMPLES = (
    *("change", "replace", "insert", "enter", "paste", "put", "add", "fill", "set", "use", "get", "none"),
    *("null", "nil", "undefined", "na", "n/a", "fake", "no", "[", "__"),
)
"""One of these is in each sample in ASCII, or begins it: to ask this first takes a tenth of the time."""
LEET = str.maketrans("013457$@!", "oleastsai")
"""What people write for letters -> the letters."""
_CROSSES = expression(r"(?i)x{4,}")
_BEGINNING = expression(r"^(?:[A-Za-z0-9]{1,10}[-_:]){1,3}")
_KNOWN_TO_ALL = WORDS["known to all"]
_MODES = WORDS["modes"]
_PATH = expression(
    r"(?:~|\.{1,2})?/\S*|(?:[A-Za-z]:|HKEY_[A-Z_]{4,24}\\|HK[A-Z]{2,3}:)\\.*|\.{1,2}", re.DOTALL
)
_ROOTED = expression(
    r"/(?:home|Users|root|tmp|var|private|usr|opt|srv|mnt|media|etc|run|proc|nix|snap|Volumes|workspaces?|builds"
    r"|github|codebuild|app|data|project|repo|code|src)/|[A-Za-z]:\\{1,2}(?:Users|ProgramData|Windows)\\"
)
"""How a path begins whose names may be anything, such as those of temporary folders."""
_NUMBER = expression(r"[0-9]{1,9}|[0-9.,]{1,12}[a-zA-Z%]{0,3}")
_VARIABLE = expression(r"[A-Z][A-Z]*(?:_[A-Z]+)+")
_UUID = expression(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LENGTH_OF_UUID = 36
_ACCOUNT_OF_A_CHAIN = expression(r"0x[0-9a-fA-F]{40}")
_DATED = expression(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:T[0-9:.]+Z?)?")
_SAME = expression(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_UNLIKELY = (
    "ajoz bghkqvwxz cgjnqvwxz dhjkqwxz ejz fghjkmnqvwxz gbdfjkqvwxyz hbcdfghjkpqvwxz ihijwy"
    " jbcdfghijklmnpqrstvwxyz kbcfghjkmpqrtvwxyz lhjqwxz mfghjknqrvwxz nqwxz ojqz pbfjqvwxz"
    " qabcdefghijkmnoprstvwxyz rhjqxz sbjxz tjkqvx uhjkquvwxyz vbcdfghjklmnpqrstuvwxyz wbcdfgjklmpqtuvwxyz"
    " xdghjklnoqrsuvwyz ybfghjkquvwxyz zbcdfghjklmnpqrstuvwxyz"
)
"""Each letter with those that follow it in less than one of 5,000 pairs in the words of code and manual pages
(20,000 words were counted), and in three of ten pairs of random letters."""
LONG = 16
"""Characters that show of themselves whether they are random."""
_SHOWS = 64
"""How many of them are looked at."""
_RUN = expression(r"[A-Za-z0-9]+")
_WORDS = expression(r"\s\S*\s")
_MAIL = expression(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.]{1,190}")
_URL = expression(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://")
_LEAST = 5
"""Characters of a token. A password can be shorter, since a person thought of it."""
_BOT = expression(r"[0-9]{8,12}:AA[A-Za-z0-9_-]{30,40}")
_KEY_OF_A_PERSON = expression(r"nsec1[a-z0-9]{58}|AGE-SECRET-KEY-1[A-Z0-9]{58}")
_PREFIXED = expression(r"((?:[A-Za-z0-9]{1,10}[-_]){1,3})([A-Za-z0-9_-]{16,200})")
_NAMES_A_THING = expression(
    r"(?:org|proj|prj|srv|pub|public|acct|cus|price|prod|usr|user|team|ws|wksp|app|req|msg|thread|asst|run|file|pk|evt|sub|in|txn|conv|"
    r"chat|ds|db|env|ses|snap|vol|subnet|vpc|sg|ami|i|eni|key|tbl|rec|fld|sha1|sha256|sha512|md5|v\d+)[-_].*"
)


def is_reference(value: str) -> bool:
    """Whether `value` says where a value is, and holds none."""
    if value.startswith(_ELSEWHERE) or not value.strip():
        return True
    return value.strip()[0] in "$%{" and not _REFERENCE.sub("", value).strip()


def has_reference(value: str) -> bool:
    """Whether a part of `value` is filled in from elsewhere."""
    return bool(_FILLED.search(value))


def is_known_to_all(value: str) -> bool:
    """Whether `value` is a sample that is to be replaced, or a password that a program comes with."""
    low = value.lower()
    if low in _KNOWN_TO_ALL or len(set(value)) < 2:
        return True
    if (
        (low.isascii() or low.isalnum())
        and not low.startswith(_BEGIN_SAMPLES)
        and not _IN_SAMPLES.search(low)
    ):
        return False
    return bool(_SAMPLE.search(value[:400])) or _is_crossed_out(value[:400])


def _is_crossed_out(value: str) -> bool:
    """Whether most of `value`, but for what a format begins with, is a row of the letter x: a token can have
    a few of them."""
    if not _CROSSES.search(value):
        return False
    rest = _BEGINNING.sub("", value, count=1)
    return 2 * sum(char in "xX" for char in rest) > sum(char.isalnum() for char in rest)


def is_literal(value: str) -> bool:
    """Whether `value` is one itself: no reference, sample, path or password that everyone knows."""
    text = value.strip()
    return bool(text) and not (is_reference(text) or is_known_to_all(text) or is_path(text))


def is_secret(said: Signal, value: str) -> bool:
    """Whether `value` is a secret under a name that says `said`."""
    if not said or not is_literal(value):
        return False
    if said == "password":
        return not _is_url(value)
    if said == "weak":
        return looks_random(value)
    text = value.strip()
    return len(text) >= _LEAST and not (
        text.lower() in _MODES or _NUMBER.fullmatch(text) or _VARIABLE.fullmatch(text) or is_address(text)
    )


def is_address(value: str) -> bool:
    """Whether `value` is a URL or a mail address; a secret can be a part of the former."""
    return _is_url(value) or ("@" in value and _MAIL.fullmatch(value) is not None)


def _is_url(value: str) -> bool:
    return ("://" in value and _URL.match(value) is not None) or value.startswith("jdbc:")


def is_path(value: str) -> bool:
    """Whether it is written as a path; a key in base64 can begin with a slash too."""
    if not _PATH.fullmatch(value):
        return False
    rooted = _ROOTED.match(value) is not None
    return rooted or not any(len(run) >= LONG and _is_random(run) for run in _RUN.findall(value[:400]))


def is_uuid(value: str) -> bool:
    """Whether `value` is a UUID: the key of some services, and the name of a thing at most."""
    return len(value) == _LENGTH_OF_UUID and bool(_UUID.fullmatch(value))


def looks_random(text: str) -> bool:
    """Whether `text` changes between letters, digits and cases as often as random characters do."""
    text = text.strip()
    if is_uuid(text):
        return True
    if not 8 <= len(text) <= 20_000 or (text.startswith("0x") and _ACCOUNT_OF_A_CHAIN.fullmatch(text)):
        return False
    if not text.isalnum() and ("://" in text or is_path(text) or _WORDS.search(text)):
        return False
    runs = _RUN.findall(_DATED.sub("", text))
    return any(map(_is_random, runs)) or (len(runs) > 1 and _is_random("".join(runs)) and _spread(runs))


def _spread(runs: list[str]) -> bool:
    """Whether the pieces between the signs are random too: a name has words among them."""
    return sum(len(run) for run in runs if _is_word(run)) * 3 < sum(map(len, runs))


def _is_word(run: str) -> bool:
    return len(run) > 2 and bool(re.fullmatch(r"[A-Z]?[a-z]+[0-9]{0,4}|[0-9]+|[A-Z]+", run))


def _is_random(run: str) -> bool:
    """A run of letters and digits: random ones change their kind every two or three characters."""
    run = run[:200]
    if len(run) < 8 or len(set(run)) < 6:
        return False
    long = len(run) >= LONG
    if long and is_of_no_words(run):
        return True
    if run.isdigit() or (run.isalpha() and (run.islower() or run.isupper())):
        return False
    pieces = len(_SAME.findall(run))
    return len(run) / pieces < (3.6 if long else 2.7) and pieces >= 4


@cache
def _unlikely() -> frozenset[tuple[str, str]]:
    pairs = ((row[0], second) for row in _UNLIKELY.split() for second in row[1:])
    # A small letter and a capital belong to two words.
    return frozenset(pair for a, b in pairs for pair in ((a, b), (a.upper(), b), (a.upper(), b.upper())))


def is_of_no_words(run: str) -> bool:
    """Whether letters follow each other in `run` as they do not in words: true of 95 of 100 rows of 16 random
    letters of one case or more."""
    some = run[:_SHOWS]
    count = sum(map(_unlikely().__contains__, pairwise(some)))
    return count > 2 and count * 5 >= len(some) - 1


def is_of_words(text: str) -> bool:
    """Whether `text` is a name of code: what changes its kind as seldom as words do."""
    # Of random ones no more is read than it takes to know.
    return _pieces(len(text) // 4 + 1).match(text) is None


@lru_cache(256)
def _pieces(count: int) -> re.Pattern[str]:
    """`count` words or pieces of words, one after another."""
    return re.compile(rf"(?:[^A-Za-z0-9]*+(?>{_SAME.pattern})){{{count}}}")


def is_token(text: str) -> bool:
    """Whether the whole of `text` is written as issuers write tokens: a prefix, and random characters."""
    if _BOT.fullmatch(text) or _KEY_OF_A_PERSON.fullmatch(text):
        return True
    found = _PREFIXED.fullmatch(text)
    return (
        found is not None
        and not _NAMES_A_THING.match(text)
        and not _UUID.search(text)
        and all((looks_random(found[2]), not is_known_to_all(text), sum(map(str.isdigit, found[2])) > 1))
    )


def names_a_thing(text: str) -> bool:
    """Whether `text` begins as the identifiers of some services do."""
    return bool(_NAMES_A_THING.match(text))


def is_of_both_cases(text: str) -> bool:
    """Whether `text` is 20 random characters of both cases with digits, or more: digests and the numbers of
    requests are not written so."""
    mixed = any(map(str.isupper, text)) and any(map(str.islower, text)) and any(map(str.isdigit, text))
    return bool(re.fullmatch(r"[A-Za-z0-9_-]{20,}={0,2}", text)) and mixed and looks_random(text)


def is_nothing_but_random(text: str) -> bool:
    """Whether `text` is 20 random characters of both cases with digits, or 32 hexadecimal digits, or more."""
    if re.fullmatch(r"[0-9a-f]{32,}|[0-9A-F]{32,}", text):
        return len(set(text)) > 6
    pieces = text.split(":")
    if len(pieces) == 2:
        return all(is_uuid(one) or is_nothing_but_random(one) for one in pieces)
    return is_of_both_cases(text)
