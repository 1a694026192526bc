"""What the name of a variable, header, option or parameter says about its value.

Law of this file: a name that ends with the word for a secret says that its value is one; where another word
stands behind, as in `AUTH_MODE`, it says little, and the value has to look like one.
"""

from array import array
from functools import lru_cache
from typing import Literal

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.languages import STEMS, WORDS
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.engine.patterns import shapes

Signal = Literal["", "weak", "token", "password"]
"""When a value under such a name is a secret: "password": unless everyone knows it; "token": unless it is, in
addition, a word or a path; "weak": only if it looks random. "": never, by the name alone."""

GIVEN = "given"
"""The strength of a value that can be nothing but a password, since a program reads it as one."""
_WORDS = expression(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PASSWORDS = (
    r".*(?:password|passwd|passphrase|passwort)|(?:require|ssh|db|user|root|admin|mail|smtp|imap|ftp|sudo|my|app|remote|wifi|wlan|mqtt|proxy|bind)?pass"
    r"|passcode|pwd|(?:user|root|admin|db|my|sudo)?pw|psk|mnemonic|authtok"
)
_TOKENS = (
    r".*(?:token|secret|apikey|credential)s?|(?:api|auth|access|secret|private)key"
    r"|authorization|bearer|pat|sas|jwt|cookies?|creds|userpass"
)
_PASSWORD, _TOKEN = expression(_PASSWORDS), expression(_TOKENS)
_OF_SECRETS = expression(f"{_PASSWORDS}|{_TOKENS}|.*auth")
_SHORTEST_STEM = 3
_PLURALS = ("tokens", "secrets")
_WEAK = WORDS["weak"]
_KEYS = WORDS["keys"]
_COLUMNS = WORDS["columns"]
_PAIRS: dict[tuple[str, str], Signal] = {
    ("auth", "code"): "token",
    ("authorization", "code"): "token",
    ("access", "code"): "token",
    ("password", "hash"): "token",
    ("pass", "phrase"): "password",
    ("pass", "code"): "password",
    **{(owner, "pin"): "password" for owner in ("admin", "user", "login", "account", "card", "sim", "so")},
    ("secret", "string"): "password",
    ("secret", "binary"): "password",
    ("api", "hash"): "weak",
    ("app", "hash"): "weak",
}
_OF_AWS = ["secret", "string"], ["secret", "binary"]
"""Whatever a person keeps there."""
_CHOSEN = frozenset(("shared", "preshared", "wifi", "wlan"))
_PASSES = WORDS["passes"]
_PUBLIC = frozenset(("public", "publishable"))
_ABOUT = WORDS["about"]
_OF_SCHEMAS = WORDS["of schemas"]
_WHICH = WORDS["which"]
_STEMS = (
    "key|pin|pas[sc]|pw|psk|mnem|tok|sec|cred|auth|bear|pat|sas|jwt|cook|dsn|ses|sig|bot|salt|seed|otp|login|hook"
    "|sid|csrf|ct0|ak|sk|hash|pepper"
)
_STEM = expression(_STEMS)
_NO_LETTER = expression(r"[^\x00-\x7f\w\u2019]+")
_ALONE = expression("[KTPktp](?![a-z])(?:(?<=[KTP])|(?<![a-z].))")
"""One of the two is in each name that says something. Most have neither, and are not taken apart."""
_VALUE = expression(r"(?i)(?:value|^val|^plaintext|^setting)\Z")
_LAST = expression("[KTPktp][^A-Za-z0-9]*$")
_ENDS_SO = (
    *(f"{_STEMS}|{STEMS}|[\\xc2-\\xf4]", "[ktp][^a-z0-9\n]*\n"),
    *("value\n", "(?:^|\n)(?:val|plaintext|setting)\n"),
)
_ASKS_FOR_A_PAIR = WORDS["pairs"]


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: `openaiApiKey` is three."""
    return [word.lower() for word in _WORDS.split(name) if word]


@lru_cache(4096)
def signal(name: str) -> Signal:
    """What `name` says. A name that has nothing to do with secrets says ""."""
    return signal_of(name, words_of(name)) if may_say(name) else ""


def may_say(name: str) -> bool:
    """Whether `name` may say something: a quick test that most names do not pass."""
    return bool(_STEM.search(name.lower()) or _ALONE.search(name))


def may_end_so(name: str) -> bool:
    """The same for a name whose last word has to say it, if none has a stem."""
    return bool(not name.isascii() or _STEM.search(name.lower()) or _LAST.search(name))


def that_end_so(names: list[str]) -> list[str]:
    """Those of the `names`, and maybe some others, of which the same is true or that are names for a value:
    in one pass over all."""
    low = "\n".join(names).lower()
    if low.count("\n") != len(names) - 1:
        return [name for name in names if may_end_so(name) or _VALUE.search(name)]
    text = (low if low.isascii() else _NO_LETTER.sub("", low)).encode("utf-8", "surrogatepass") + b"\n"
    places = array("I")
    shapes("names", *_ENDS_SO, once=False).search(
        text + PAD, lambda _index, _from, end, _flags, _text: places.append(end - 1)
    )
    found, index, at, line = [], 0, 0, -1
    for place in sorted(places):
        if place > line:
            index += text.count(b"\n", at, place)
            at, line = place, text.find(b"\n", place)
            found.append(names[index])
    return found


def signal_of(name: str, words: list[str], of_secrets: list[str] | None = None) -> Signal:
    """What `name` says, which has these `words`; it says something weakly where one of them, or of
    `of_secrets`, has to do with secrets."""
    words = _unnumbered(_without_which(words))
    pair = (words[-2], words[-1]) if len(words) > 1 else ("", "")
    if not words or (words[-1] in _ABOUT and pair not in _PAIRS) or _PUBLIC & set(words):
        return ""
    last, before = words[-1], "".join(words[-2:-1])
    if last in ("key", "keys") and before:
        return _of_key(last, before)
    if name == "--key" or (before, last) in _PAIRS:
        return _PAIRS.get((before, last), "token")
    if _PASSWORD.fullmatch(last):
        return "" if last == "pass" and before in _PASSES else "password"
    if _TOKEN.fullmatch(last) and last not in _PLURALS:
        return "token"
    return "weak" if any(map(is_of_secrets, words if of_secrets is None else of_secrets)) else ""


def _of_key(last: str, before: str) -> Signal:
    if before in _COLUMNS:
        return ""
    if before in _CHOSEN and last == "key":
        return "password"  # People choose those of wireless networks and tunnels.
    return "token" if before in _KEYS and last == "key" else "weak"


def opens_with(word: str) -> bool:
    """Whether a key or token of this word, in lower case, is one that opens something."""
    return word in _KEYS


def is_about(name: str) -> bool:
    """Whether `name` is that of something about a secret or another thing, such as `..._ID`."""
    words = _without_which(words_of(name))
    return bool(words) and (words[-1] in _ABOUT or bool(_PUBLIC & set(words)))


def is_about_one(name: str) -> bool:
    """Whether a member of this name, in what a password or token has for its own, is not that itself."""
    return name.lower().rstrip("0123456789") in _OF_SCHEMAS or is_about(name)


def _without_which(words: list[str]) -> list[str]:
    size = len(words)
    while size > 1 and (words[size - 1] in _WHICH or words[size - 1].removeprefix("v").isdigit()):
        if words[size - 2 : size] in _OF_AWS:
            break
        size -= 1
    return words[:size]


def _unnumbered(words: list[str]) -> list[str]:
    """The words, the last one without the number at its end: `password1` is a password."""
    stem = words[-1].rstrip("0123456789") if words else ""
    return [*words[:-1], stem] if len(stem) >= _SHORTEST_STEM else words


@lru_cache(4096)
def is_of_secrets(word: str) -> bool:
    """Whether a word, in lower case, has to do with secrets."""
    return word in _WEAK or _OF_SECRETS.fullmatch(word) is not None


def names_a_pair(name: str) -> bool:
    """Whether a value of this name can be `USER:PASSWORD`."""
    words = words_of(name)
    return bool(words) and words[-1] in _ASKS_FOR_A_PAIR
