"""Whether a value that stands under the name of a secret is one: a judgement of its form alone.

Law of this file: what somebody wrote to be replaced, to be looked up elsewhere or to be read by people is
not a secret. A value has to look the more like one, the less its name says.
"""

from binascii import Error, a2b_base64
from urllib.parse import unquote

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.checks import CHECKS
from mcpguard.core.redaction.detectors.named.languages import STEMS, WORDS, is_foreign
from mcpguard.core.redaction.detectors.named.naming import GIVEN, is_about
from mcpguard.core.redaction.detectors.named.shapes import (
    LEET,
    LONG,
    has_reference,
    is_address,
    is_known_to_all,
    is_of_no_words,
    is_of_words,
    is_path,
    is_reference,
    is_uuid,
    looks_random,
)

_TEMPLATE = expression(
    r"\{[A-Za-z_.][\w.:\[\]()!-]*\}|\$\{|\$\(|\{\{|<[^<>]*>|%\(|^%[a-z]|=%[sdr]$|^\$[A-Za-z_]\w*\]?$|^&[a-z-]+:[A-Z]|^@[A-Z0-9_]+@?$|^#\{"
    r"|^%[A-Z_]+%|\$\{?[A-Z_]{3,}|\{[0-9]{0,2}\}|\[[A-Za-z_ -]+\]"
    r"|(?i:password|token|secret|key)\$[0-9]{1,2}$"
)
_CODE = expression(
    r"(?:[0-9.]+[*+/-]{1,2})?(?:process\.env|os\.environ|os\.getenv|getenv|import\.meta|env|ENV|settings|config|self|this|args|opts|options|"
    r"request|req|params|props|state|data|ctx|context|secrets|vars|var|local|module|random|string|crypto)[.\[(].*"
    r"|[A-Za-z]{3,16}\([0-9, ]{1,9}\),?|\.[a-z_]\w*\(.*"
    r"|[a-z_](?=\S*_)\w*(?:\.[a-z_]\w*){2,}(?::\w+)?|(?:[A-Za-z_]\w*\.)+\w*(?:[Pp]assword|[Tt]oken|[Ss]ecret|Key|_key)"
)
_FILE = expression(
    r"\S*\.(?:pem|key|crt|cer|json|ya?ml|txt|env|py|js|ts|html?|md|p12|pfx|jks"
    r"|png|jpe?g|gif|svg|webp|pdf|zip|gz|csv|log|xml|css|mp[34])"
)
_IDENTIFIER = expression(r"[A-Za-z_][A-Za-z_]*(?:[.:/-]{1,2}[A-Za-z_]+)*[0-9]{0,3}")
_LONGEST = 400
"""Characters of the password of a URL that show whether it stands for one."""
_OF_TEMPLATES = frozenset("{$<%@#[&")
_OF_CODE = frozenset(".([")
_MARKS = frozenset("!#$%^*+?@")
_BEGIN_OBJECTS = '{"', '{\\"', '[{"', '[{\\"'
"""Members of JSON are judged by their own names."""
_WORD_AND_YEAR = expression(r"(?:[A-Z][a-z]{2,})+[0-9]{4,8}[A-Za-z]{0,2}")
"""As many people make a password, and hardly anybody a name."""
_OF_PATHS = frozenset("._/:\\=(),")
_AND_ONE = bytes((byte + 1) % 256 for byte in range(256))
_SAMPLES = WORDS["samples"]
_SHORTEST_SAMPLE = 2
_LONGEST_FIRST = sorted((one for one in _SAMPLES if len(one) >= _SHORTEST_SAMPLE), key=len, reverse=True)
_JOINED = expression(f"(?:{'|'.join(_LONGEST_FIRST)})++")
"""Some of them in one, as in `mypassword`."""
_SAMPLE = expression(r"(?:[A-Za-z]{2,}+[_-]?)++[0-9]{0,4}")
_RULE = expression(
    r"[-+_.:()<>=/0-9]*+(?:(?:min(?:imum)?|max(?:imum)?|char(?:acter)?s?|digits|letters|symbols|bits|bytes|length"
    r"|required|n?varchar2?|bcrypt|argon2(?:id|i|d)?|scrypt|sha|md5|pbkdf2|hmac|blake2[bs]|hashed|encrypted)"
    r"[-+_.:()<>=/0-9]*+)++"
)
"""What a password has to be, or how it is kept, in lower case: `8+characters`, `varchar255`."""
_PORTS = expression(r"[0-9]{1,5}(?:,|$)")
_MAPPING = expression(r"[0-9]{2,5}:[0-9]{2,5}|[0-9]+[.,][0-9.,]*")
"""Ports of a container, and numbers."""
_WORDS = expression(r"(?:[A-Za-z:_-]|%20)+")
_STEMS = expression(r"(?i)pass|secret|token|key|user|pwd|^my|hook")
_OF_EXPRESSIONS = expression(r"\[[\^,]|\.[*+]|\\[dSsWw][*+]|^\^|^[^A-Za-z0-9]+$")
"""Of an expression that is to match a URL, of a form that has optional parts; and signs alone."""
_ESCAPES = expression(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_SAY_SO = WORDS["say so"]
_ENDS_OF_ONE = ("word", "wd", "phrase", "pass", "pwd", "secret", "key", "token")
_NAME_OF_ONE = expression(
    r"(?:[A-Z][0-9]?(?:[a-z]+[0-9]?)?){1,12}Password"
    r"|@?[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*[_-](?i:password|passwd|passphrase)"
    r"|[A-Za-z]+[0-9]?[A-Za-z]*(?:[_-][A-Za-z]+){0,3}[_-](?i:pass|pwd|secret|key|token)"
    r"|[a-z]+[0-9]?(?:[A-Z][a-z]+){0,4}Pass(?:word|phrase)|(?:[A-Z]{1,3}|[A-Z]?[a-z]+)[0-9]{0,3}[a-z]?"
    r"(?:[A-Z]{1,3}[a-z]+[0-9]{0,3}){0,4}(?:Key|Token|Secret)"
)
_SIGNS = expression(r"[^A-Za-z]+")
_TRIVIAL = expression(r"[-_./:+,*]*[0-9]{0,5}[-_./:+,!*]*")
"""What somebody writes between such words or behind them."""
_TOKEN = expression(r"[A-Za-z0-9+/_.=~%-]+")
_DOTTED = expression(r"[A-Za-z_]\w{0,40}(?:\.[A-Za-z_]\w{0,40})+")
_NAME = "_{0,2}[A-Za-z][A-Za-z_]*[0-9]{0,3}[A-Za-z_]*"
_NAMES = expression(rf"{_NAME}(?:\.{_NAME})+(?::{_NAME})?")
_TYPE = expression(r"(?:[A-Z][a-z]{2,}(?:[A-Z]?[0-9]{1,2})?){2,}")
"""Names of modules and members, and of types, as code has them."""
_LETTERS = expression(r"[A-Z]?[a-z]+|[A-Z]+")
_SEQUENCES = " ".join(
    row * 4
    for row in (
        "0123456789",
        "1234567890",
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiop",
        "9876543210",
        "0987654321",
        "25519 2048 4096 ",
    )
)
"""What somebody types, and numbers of algorithms."""

_DIGIT = expression("[0-9]")
_DIGITS = expression(r"[0-9].*[0-9]")
_METAVARIABLE = expression(r"[A-Z]+(?:[_-][A-Z]+)*|[A-Za-z_][\w.]*\(.*")
_OF_FORMS = expression(
    r"(?i)password|passphrase|string|field|input|type|text|value|error|exception|provider|handler|secret|token|manager|service|"
    r"request|response|object|config|auth|user|valid|form|label|button|component|class|model|none|null|test|str$"
)
"""Words of names of types, of errors and of parts of a page."""
_TRANSLATION = expression(f"{STEMS}|salasona|jelsza|wachtwo|wachtwu|contrasi|contraseg|pasiwedi|palavra")
"""What files of translations have."""
_OF_SOMETHING = expression(r"[a-z]+(?:_[a-z]+){1,2}")
_MEMBER = expression(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_QUALIFIED = expression(r"[a-z_]{2,16}:[a-z_]+")
_UNSPACED = expression("[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7a3]")
"""Letters of languages that have no spaces: a row of them is a sentence."""
_HEX = expression(
    r"0[xX](?:[0-9a-f]{1,16}|[0-9A-F]{1,16})[uUlL]{0,3}|[0-9]{1,3}\.[0-9]{1,3}-[0-9a-f]{32}"
    r"|sha(?:1|256|384|512)-[A-Za-z0-9+/]{27,86}={0,2}"
)
"""A number, as code and headers have it, a version with its digest, and the digest of a package."""
_NO_MARKS = str.maketrans("", "", "-_ ")
_SAYINGS = WORDS["sayings"]
_PUBLISHED = expression(
    # Each begins with one character that is written as such, so that all others are passed over.
    rb"EXAMPLE|x[xX]{7}|X[xX]{7}|\*\*\*\*|00000000|0123456789|1234567890abcdef"
    # RFC 5849, RFC 6749 and 6750, RFC 7519, and the page that most people read about JWT.
    rb"|wOJIO9A2W5mFwDgiDvZbTSMK|0685bd9184jfhq22|ad180jjd733klru7|dpf43f3p2l4k3l03|nnch734d00sl2jdk"
    rb"|hh5s93j4hdidpola|hdhd0244k9j7ao03|pfkkdhi9sl3r4s00|kd94hf93k423kf44|9djdj82h48djs9d2"
    rb"|74KNZJeDHnMBp0EMJ9ZHt|h480djs93hd8"
    rb"|2YotnFZFEjr1zCsicMWpAA|tGzv3JOkF0XG5Qx2TlKWIA|SplxlOBeZQQYbYS6WxSbIA|mF_9\.B5f-4\.1JqM|SlAV32hkKG"
    rb"|dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk|SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    rb"|QWxhZGRpbjpvcGVuIHNlc2FtZQ|czZCaGRSa3F0Mzpn"
    # The emulator of Azure's storage, the public server of MinIO, and the page that most read about TOTP.
    rb"|Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu|Q3AM3UQ867SPQQA43P2F|zuf\+tfteSlswRu7BJ86wekitnifILbZam1KYY3TG"
    rb"|JBSWY3DPEHPK3PXP"
    # How a public key begins (RFC 5280, section 4.1): no private one has it.
    rb"|NBgkqhkiG9w0BAQEFAAO|A0GCSqGSIb3DQEBAQUAA4|YHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    # Cipher suites (RFC 8446, appendix B.4, and those before it).
    rb"|TLS_(?:PSK|RSA|DHE|ECDHE|ECDH|DH|SRP|KRB5|ECCPWD)_"
    # The digests of nothing.
    rb"|d41d8cd98f00b204e9800998ecf8427e|da39a3ee5e6b4b0d3255bfef95601890afd80709|e3b0c44298fc1c149afbf4c8996fb924"
)
_BODY = expression(rb"[A-Za-z0-9+/]{24}")
_BEGINNING_OF_RSA = expression(
    rb"PRIVATE KEY-----(?:\\n|\s){0,4}MII"
    rb"(?:[A-Za-z0-9+/]{1,96}(?:\\{1,4}n)?\.{1,3}(?![A-Za-z0-9+/])|[A-Za-z0-9+/]{1,56}\s*$)"
)
"""What documentation shows of a key: so much of it is the modulus, which is public."""
_PREFIX = expression(r"^(?:[A-Za-z0-9]{1,10}[-_.]){0,3}")
_NO_WORD = expression(r"[0-9\s]")
_OF_NUMBERS = expression(
    r"[v^~]?[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?:[-+.][a-z]{1,8}[-.0-9]*)?$|[0-9]+/[0-9]*[smhd](?:in|our|ay|ec)?/"
    rf"|(?:{_HEX.pattern})$"
)
"""A version, a rate or a number."""
_BEGINS_NUMBER = frozenset("0123456789v^~s")
"""What these begin with, and digests."""


def is_example(kind: str, match: bytes) -> bool:
    """Whether what is written as a format is one that documentation gives, or has nothing in it."""
    if kind == "private-key":
        return _BODY.search(match) is None or _BEGINNING_OF_RSA.search(match) is not None
    if kind in CHECKS and _counts(match.decode()) and not CHECKS[kind][1](match):
        return True  # Somebody typed it.
    return _is_of_words(match.decode()) or _PUBLISHED.search(match) is not None


def _is_of_words(match: str) -> bool:
    """Whether words stand in place of a token, as in `glpat-your-access-token`."""
    rest = _PREFIX.sub("", match, count=1)
    return not _NO_WORD.search(rest) and is_of_words(rest)


def is_secret(strength: str, value: str, quoted: bool) -> bool:
    """Whether `value` is a secret under a name that says `strength`: "password", "token" or "weak". `quoted`:
    it is known where it ends."""
    if "\\" in value:
        value = _ESCAPES.sub(lambda found: chr(int(found[0][2:], 16)), value)
    if strength in ("password", GIVEN):
        likely = is_given(value) if strength == GIVEN else _is_password(value, quoted)
        return likely and not is_template(value)
    if (
        " " in value
        or "://" in value
        or is_address(value)
        or (value[:1] in _BEGINS_NUMBER and _HEX.fullmatch(value))
        or ("." in value and _NAMES.fullmatch(value))
        or (value[:1].isupper() and _TYPE.fullmatch(value))
    ):
        return False
    if not quoted and (_TOKEN.fullmatch(value) is None or _DOTTED.fullmatch(value) is not None):
        return False
    if is_uuid(value):
        return strength == "token" and not is_template(value)
    weak = strength == "weak"
    if weak and _DIGITS.search(value) is None:
        return False
    return looks_random(value) and (weak or not _counts(value)) and not is_template(value)


def is_template(value: str) -> bool:
    """Whether it is to be replaced, or stands for what is elsewhere: `{password}`, `$X`, `<token>`."""
    return (
        is_stand_in(value)
        or (not value.isalnum() and (is_path(value) or _is_of_code(value)))
        or _is_sample(value)
        or _PUBLISHED.search(value.encode("utf-8", "surrogatepass")) is not None
    )


def _is_of_code(value: str) -> bool:
    return not _OF_CODE.isdisjoint(value) and (_CODE.fullmatch(value) or _FILE.fullmatch(value)) is not None


def is_stand_in(value: str) -> bool:
    """The same for a value that no program reads as code, such as the password in a URL."""
    return (
        is_known_to_all(value)
        or (not value.isalnum() and _is_filled_in(value))
        or (_SAMPLE.fullmatch(value) is not None and _words_of_samples(value))
    )


def _is_filled_in(value: str) -> bool:
    return (
        is_reference(value)
        or has_reference(value)
        or (not _OF_TEMPLATES.isdisjoint(value) and _TEMPLATE.search(value) is not None)
    )


def is_sample_of_a_url(value: str) -> bool:
    """Whether the password of a URL stands for one, or is the port of one of several hosts."""
    value = unquote(value[:_LONGEST].strip("[]()"))
    if is_stand_in(value) or _PORTS.match(value) or "&lt;" in value or _OF_EXPRESSIONS.search(value):
        return True
    if value.lower().translate(LEET) in _SAY_SO:
        return True
    if not value.isascii():
        return value.translate(_NO_MARKS).isalpha()  # The word for "password" in some language.
    if not _WORDS.fullmatch(value) or looks_random(value):
        return False
    return len(value) < 8 or ":" in value or bool(_STEMS.search(value) or _is_translation(value))


def _is_sample(value: str) -> bool:
    """Whether nothing but words that stand for a secret, and what is counted up, is in it."""
    low = value.lower()
    if (
        low in _SEQUENCES
        or _RULE.fullmatch(low)
        or (low.endswith(_ENDS_OF_ONE) and _NAME_OF_ONE.fullmatch(value))
    ):
        return True
    if _words_of_samples(value) and all(map(_is_trivial, _SIGNS.findall(value))):
        return True
    # `P@ssw0rd1`, but not two words that are written so.
    bare = low.strip("0123456789!")
    if bare.translate(LEET) not in _SAY_SO:
        return False
    ahead, _, behind = low.partition(bare)
    return _is_trivial(ahead) and _is_trivial(behind)


def _is_trivial(signs: str) -> bool:
    return _TRIVIAL.fullmatch(signs) is not None or signs.strip("-_./:+,!") in _SEQUENCES


def _words_of_samples(value: str) -> bool:
    some = False
    for word in _LETTERS.finditer(value):
        low = word[0].lower()
        if low not in _SAMPLES and (len(low) < 2 * _SHORTEST_SAMPLE or not _JOINED.fullmatch(low)):
            return False
        some = True
    return some


def _is_password(value: str, quoted: bool) -> bool:
    if "://" in value or " " in value or value.isdigit() or value.startswith(_BEGIN_OBJECTS):
        return False
    if (value[:1] in _BEGINS_NUMBER and _OF_NUMBERS.match(value)) or _is_of_one(value):
        return False
    if not value.isascii() and 2 * len(_UNSPACED.findall(value)) > len(value):
        return False
    if _DIGIT.search(value) is None:
        return (len(value) >= LONG and is_of_no_words(value)) or (quoted and _is_of_letters(value))
    return looks_random(value) or (len(value) >= 8 and _is_mixed(value, quoted))


def _is_of_one(value: str) -> bool:
    """Whether it is a name in code for something about a password, such as `db_password_label`."""
    return "_" in value and bool(_MEMBER.fullmatch(value) and _STEMS.search(value)) and is_about(value)


def _is_mixed(value: str, quoted: bool) -> bool:
    """Whether a text with a digit is made as people make passwords."""
    kinds = 1 + (value != value.lower()) + (value != value.upper()) + (not value.isalnum())
    if kinds < 3:
        return quoted and value.isalnum() and _OF_FORMS.search(value) is None
    if _IDENTIFIER.fullmatch(value):
        return quoted and sum(char.isdigit() for char in value) > 1
    if not quoted and _WORD_AND_YEAR.fullmatch(value):
        return True
    return quoted or not _MARKS.isdisjoint(value) or (kinds > 3 and _OF_PATHS.isdisjoint(value))


def _is_of_letters(value: str) -> bool:
    """Whether a text without a digit is not a word that stands for a password, or says something of it."""
    if len(value) < 8 or not value.isascii() or value.startswith(("@", "--")) or value.endswith(":"):
        return False
    if _is_translation(value) or _QUALIFIED.fullmatch(value):
        return False
    if _OF_SOMETHING.fullmatch(value) and is_about(value):
        return False
    if looks_random(value) or not _MARKS.isdisjoint(value[1:-1]):
        return _METAVARIABLE.fullmatch(value) is None
    return _WORDS.fullmatch(value) is not None and _OF_FORMS.search(value) is None


def _is_translation(value: str) -> bool:
    return _TRANSLATION.search(value.lower().translate(_NO_MARKS)) is not None


def is_given(value: str) -> bool:
    """Whether what a program is given for a password is one: any word, but for those that stand for one."""
    if "://" in value or " " in value or len(value) < 4 or _MAPPING.fullmatch(value):
        return False
    if value.lower() in _SAYINGS or _METAVARIABLE.fullmatch(value) or value.startswith(("-", "$")):
        return False
    return not is_foreign(value) or _DIGIT.search(value) is not None


def _counts(value: str) -> bool:
    """Whether it goes up as nothing random does: `abcdef123456`."""
    low = value.lower().encode("utf-8", "surrogatepass")
    # All steps at once: where each byte and one is the next byte, both cancel each other out.
    steps = int.from_bytes(low.translate(_AND_ONE)[:-1]) ^ int.from_bytes(low[1:])
    return steps.to_bytes(len(low)).count(0) * 2 > len(low) + 2


def is_basic(value: bytes) -> bool:
    """Whether `value` is base64 of a user and a password (RFC 7617, section 2)."""
    if _PUBLISHED.search(value):
        return False
    try:
        plain = a2b_base64(value + b"=" * (-len(value) % 4)).decode()
    except (Error, UnicodeDecodeError):
        return False
    user, colon, password = plain.partition(":")
    return bool(colon and user and len(password) > 2 and plain.isprintable()) and not is_template(password)
