"""The formats that are looked for. To add one: an entry in `DETECTORS` (always on) or `PERSONAL` (off unless
a rule asks for it by name: `redact: [email, payment-card]`), with its examples.

Forms of tokens are those of the vendors' documentation; lengths are lower bounds, since vendors lengthen
tokens. The examples are made up, and written so that no scanner takes this file for a leak.
"""

import re
from collections.abc import Callable
from functools import cache

from msgspec import Struct

ALONE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
"""Nothing that belongs to a word stands before; an escape such as \\n or %3D may."""


class Detector(Struct, frozen=True):
    """One format of a secret or of personal data.

    `kind` is its public name. `starts` are literals, one of which begins every match; where one of
    them is too common to be looked for, `trigger` is a literal that is looked for instead, and the
    match begins at the last of `starts` before it. `pattern` is the whole of it, matched at the start;
    its group 1, if there is one, is what is removed. It never runs over a control character other than
    white space, nor over 0xFF, and its work is bounded by what it can remove. `accept` checks further
    and answers how many bytes of the match count, 0 for none. `members` are names of JSON members
    whose whole value is removed if `pattern` matches "name=value". Without `joins` it is not put
    together from several texts, since these would be one by chance. `hits` and `misses` are made-up
    examples that the tests run.
    """

    kind: str
    pattern: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    starts: tuple[str, ...] = ()
    trigger: str = ""
    accept: Callable[[bytes], int] | None = None
    members: tuple[str, ...] = ()
    joins: bool = True

    @property
    def stops(self) -> bool:
        """Whether it counts only where something does not go on behind it."""
        return self.pattern.rfind("(?!") > len(self.pattern) - 24

    def match(self, text: bytes, start: int) -> tuple[int, int] | None:
        """The span to remove if a match starts at `start`."""
        found = compiled(self.pattern).match(text, start)
        return found.span(found.re.groups) if found else None

    def every(self, text: bytes) -> list[tuple[int, int]]:
        """All spans to remove, for a detector without `starts`."""
        spans: list[tuple[int, int]] = []
        pattern = compiled(self.pattern)
        found = pattern.search(text)
        while found:
            length = self.accept(found[0]) if self.accept else len(found[0])
            if length:
                spans.append((found.start(), found.start() + length))
            found = pattern.search(text, found.start() + (length or 1))
        return spans


@cache
def compiled(pattern: str) -> re.Pattern[bytes]:
    """Compiled at first use: most formats are never met, and each costs some 0.3 ms."""
    return re.compile(pattern.encode())


_HEX = "0a1b2c3d" * 16
_MIX = "aZ3kQ9xB7mT2" * 22
_END = r"(?![A-Za-z0-9])"
_IS = r"""["'\\]{0,4}\s{0,4}(?:=>|[:=>])\s{0,4}["'\\]{0,4}"""


def _token(
    kind: str, starts: tuple[str, ...], rest: str, tail: str, short: str, *, alone: bool = False
) -> Detector:
    """A format that is a prefix and a run of characters: `tail` and `short` complete a hit and a miss.

    `alone`: the prefix is short or a word, and counts only where nothing stands before it.
    """
    prefixes = "|".join(start.replace(".", r"\.") for start in starts)
    return Detector(
        kind,
        pattern=f"{ALONE if alone else ''}(?:{prefixes}){rest}",
        starts=starts,
        hits=tuple(start + tail for start in starts),
        misses=(starts[0], starts[0] + short, *(["x" + starts[0] + tail] if alone else [])),
    )


DETECTORS: tuple[Detector, ...] = (
    _token(
        "github-token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        r"[A-Za-z0-9_-]{36,800}(?:\.[A-Za-z0-9_-]{1,800}){0,2}",
        _MIX[:36],
        _MIX[:35],
    ),
    _token("github-fine-grained-token", ("github_pat_",), r"[A-Za-z0-9_]{22,255}", _MIX[:82], _MIX[:21]),
    _token(
        "gitlab-token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "gloas-", "glimt-", "glagent-"),
        r"[A-Za-z0-9_-]{20,255}(?:\.[A-Za-z0-9_-]{2,255}){0,3}",
        _MIX[:20],
        _MIX[:19],
    ),
    _token(
        "aws-access-key-id",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        rf"[A-Z2-7]{{16}}{_END}",
        "Q3X7" * 4,
        "Q3X7" * 5,
        alone=True,
    ),
    Detector(
        "aws-secret-access-key",
        pattern=rf"(?i:secret_?access_?key){_IS}([A-Za-z0-9/+]{{40}})(?![A-Za-z0-9/+=])",
        starts=("secret_access_key", "SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey"),
        members=("SecretAccessKey", "secretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        hits=("aws_secret_access_key = " + _MIX[:40], '"SecretAccessKey": "' + "a/+Z" * 10 + '"'),
        misses=("secret_access_key", "AWS_SECRET_ACCESS_KEY=" + _HEX[:39], "SecretAccessKey is " + _MIX[:40]),
    ),
    _token(
        "slack-token",
        (*(f"xox{letter}-" for letter in "abcdeoprs"), "xapp-"),
        r"[A-Za-z0-9%][A-Za-z0-9%-]{15,400}",
        "1234567890-" + _MIX[:24],
        "1234567890-abc",
    ),
    Detector(
        "slack-webhook",
        pattern=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{30,120})",
        starts=("hooks.slack.com/",),
        hits=("https://hooks.slack.com/services/T0" + "A1B2C3D4/B0" + "A1B2C3D4/" + _MIX[:24],),
        misses=("https://hooks.slack.com/services/", "https://slack.com/help"),
    ),
    _token(
        "stripe-key",
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
        r"[A-Za-z0-9+/]{16,247}",
        _MIX[:24],
        _MIX[:15],
    ),
    _token(
        "openai-key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), r"[A-Za-z0-9_-]{40,256}", _MIX[:74], _MIX[:39]
    ),
    Detector(
        "openai-legacy-key",
        pattern=rf"{ALONE}sk-[A-Za-z0-9]{{20}}T3BlbkFJ[A-Za-z0-9]{{20}}",
        starts=("sk-",),
        trigger="T3BlbkFJ",
        hits=("sk-" + _MIX[:20] + "T3Blbk" + "FJ" + _MIX[:20],),
        misses=("sk-" + _MIX[:48], "T3BlbkFJ", "sk-T3BlbkFJ" + _MIX[:20]),
    ),
    _token("openrouter-key", ("sk-or-v1-",), r"[0-9a-f]{64}", _HEX[:64], _HEX[:63]),
    _token(
        "anthropic-key",
        ("sk-ant-",),
        r"[a-z0-9]{3,10}-[A-Za-z0-9_-]{24,256}",
        "api03-" + _MIX[:95],
        _MIX[:20],
    ),
    _token("google-api-key", ("AIza",), r"[A-Za-z0-9_-]{35}", _MIX[:35], _MIX[:34], alone=True),
    _token("google-oauth-secret", ("GOCSPX-",), r"[A-Za-z0-9_-]{28}", _MIX[:28], _MIX[:27]),
    _token("google-oauth-token", ("ya29.",), r"[A-Za-z0-9_-]{20,2048}", _MIX[:120], _MIX[:19]),
    _token("google-refresh-token", ("1//0",), r"[A-Za-z0-9_-]{40,512}", _MIX[:99], _MIX[:39], alone=True),
    _token("npm-token", ("npm_",), r"[A-Za-z0-9]{36}", _MIX[:36], _MIX[:35]),
    _token("pypi-token", ("pypi-AgE",), r"[A-Za-z0-9_-]{50,1024}", _MIX[:160], _MIX[:49]),
    _token("hugging-face-token", ("hf_", "api_org_"), r"[A-Za-z0-9]{34}", _MIX[:34], _MIX[:33], alone=True),
    _token(
        "sendgrid-key",
        ("SG.",),
        r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
        f"{_MIX[:22]}.{_MIX[:43]}",
        _MIX[:66],
        alone=True,
    ),
    Detector(
        "twilio-auth-token",
        pattern=rf"(?i:twilio_?auth_?token){_IS}([0-9a-f]{{32}}){_END}",
        starts=("TWILIO_AUTH_TOKEN", "twilio_auth_token", "twilioAuthToken"),
        hits=("TWILIO_AUTH_TOKEN=" + _HEX[:32],),
        misses=("TWILIO_AUTH_TOKEN=$TOKEN", "TWILIO_AUTH_TOKEN=" + _HEX[:33]),
    ),
    _token("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{64}", _HEX[:64], _HEX[:63]),
    Detector(
        "azure-storage-key",
        pattern=r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{42,86}={1,2})",
        starts=("AccountKey=", "SharedAccessKey="),
        hits=(f"AccountName=a;AccountKey={_MIX[:86]}==;Suffix=b", f"SharedAccessKey={_MIX[:43]}="),
        misses=("AccountKey=", "AccountKey=" + _MIX[:41] + "=", "AccountKey = <your key>"),
    ),
    _token("linear-key", ("lin_api_", "lin_oauth_"), r"[A-Za-z0-9]{32,64}", _MIX[:40], _MIX[:31]),
    _token(
        "notion-token", ("ntn_", "secret_"), rf"[A-Za-z0-9]{{43,60}}{_END}", _MIX[:46], _MIX[:42], alone=True
    ),
    _token("atlassian-token", ("ATATT3", "ATCTT3"), r"[A-Za-z0-9_=-]{60,400}", _MIX[:186], _MIX[:59]),
    _token(
        "databricks-token", ("dapi",), rf"[0-9a-f]{{32}}(?:-[0-9])?{_END}", _HEX[:32], _HEX[:31], alone=True
    ),
    _token(
        "shopify-token", ("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9a-fA-F]{32}", _HEX[:32], _HEX[:31]
    ),
    _token("docker-token", ("dckr_pat_", "dckr_oat_"), r"[A-Za-z0-9_-]{27,64}", _MIX[:27], _MIX[:26]),
    _token(
        "vault-token", ("hvs.", "hvb.", "hvr."), r"[A-Za-z0-9_-]{24,512}", _MIX[:95], _MIX[:23], alone=True
    ),
    _token("grafana-token", ("glsa_", "glc_"), r"[A-Za-z0-9_+/=]{32,512}", _MIX[:41], _MIX[:31]),
    _token("groq-key", ("gsk_",), r"[A-Za-z0-9]{52}", _MIX[:52], _MIX[:51], alone=True),
    _token("xai-key", ("xai-",), r"[A-Za-z0-9]{70,90}", _MIX[:80], _MIX[:69], alone=True),
    _token("supabase-token", ("sbp_", "sb_secret_"), r"[A-Za-z0-9_-]{31,64}", _MIX[:40], _MIX[:30]),
    Detector(
        "jwt",
        # What may stand in it may not stand before it, so that no text is looked at over and over.
        pattern=r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))eyJ[A-Za-z0-9_-]{8,4096}"
        r"\.eyJ[A-Za-z0-9_-]{8,16384}\.[A-Za-z0-9_-]{8,2048}",
        starts=("eyJ",),
        hits=("eyJ" + _MIX[:30] + ".eyJ" + _MIX[:60] + "." + _MIX[:43],),
        misses=("eyJ" + _MIX[:60], "eyJ" + _MIX[:30] + "." + _MIX[:43], "eyJ.eyJ.x"),
    ),
    Detector(
        "private-key",
        pattern=r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^\x00-\x08\x0b-\x1f\xff-]|\r|-(?!----)){0,16384}+-----END [A-Z ]{0,40}-----"
        r"|[\sA-Za-z0-9+/=\\]{32,16384})",
        starts=("-----BEGIN ",),
        hits=(
            "-----BEGIN PRIVATE "
            + "KEY-----\n"
            + _MIX[:64]
            + "\n"
            + _MIX[:20]
            + "\n-----END PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE " + "KEY-----\\n" + _MIX[:64],
        ),
        misses=("-----BEGIN PRIVATE " + "KEY-----", "-----BEGIN CERTIFICATE-----\n" + _MIX[:64]),
    ),
    Detector(
        "url-password",
        # A raw "@" in a password is a common mistake, so it may reach to the last one.
        pattern=r"""://[^\x00-\x20"'<>\\/?#@:\xff]{1,256}:([^\x00-\x20"'<>\\/?#\xff]{1,2048})@""",
        starts=("://",),
        trigger="@",
        joins=False,
        hits=("postgres://app:" + "pa55-w0rd@db:5432/x", "https://user:" + "tok3n@example.com/path"),
        misses=("https://example.com:8080/a@b", "https://user@example.com", "http://a/b:c@d", "x:y@z"),
    ),
)


_IBAN = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18"
    "FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21"
    "LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24"
    "SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
)
_LENGTHS = {_IBAN[i : i + 2].encode(): int(_IBAN[i + 2 : i + 4]) for i in range(0, len(_IBAN), 4)}


def luhn(match: bytes) -> int:
    """ISO/IEC 7812-1, annex B: the check digit of a payment card number."""
    digits = [byte - 48 for byte in reversed(match) if 48 <= byte <= 57]
    total = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return 0 if total % 10 else len(match)


def iban(match: bytes) -> int:
    """ISO 13616-1: the length that the registry gives for the country, and the MOD 97-10 check."""
    length = _LENGTHS.get(match[:2], 0)
    places = [place for place, byte in enumerate(match) if byte not in b" -"]
    if not 0 < length <= len(places):
        return 0
    code = "".join(chr(match[place]) for place in places[:length])
    number = "".join(str(int(char, 36)) for char in code[4:] + code[:4])
    ends = places[length - 1] + 1
    cut = match[ends : ends + 1].isalnum()
    return 0 if cut or int(number) % 97 != 1 else ends


PERSONAL: tuple[Detector, ...] = (
    Detector(
        "email",
        pattern=r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@"
        r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])",
        hits=("jane.doe+x@example.co.uk", "a@b.io"),
        misses=("jane.doe@", "@example.com", "user@localhost", "pkg@1.2.3"),
    ),
    Detector(
        "payment-card",
        pattern=ALONE + r"(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}(?: [0-9]{4}){3}|[2-6][0-9]{3}(?:-[0-9]{4}){3}"
        r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})(?![0-9A-Za-z])",
        accept=luhn,
        hits=("4111 1111 1111 1111", "378282246310005", "3782 822463 10005", "5555-5555-5555-4444"),
        misses=("4111 1111 1111 1112", "411111111111", "id4111111111111111", "1234567890123"),
    ),
    Detector(
        "iban",
        pattern=ALONE + r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,29}",
        accept=iban,
        hits=("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO9386011117947"),
        misses=(
            "DE88 3704 0044 0532 0130 00",
            "GB82WEST",
            "XD89370400440532013000",
            "GB82WEST123456987654321",
        ),
    ),
)

OPT_IN: frozenset[str] = frozenset(detector.kind for detector in PERSONAL)
"""Kinds that a rule may ask for with `redact:`."""

KINDS: frozenset[str] = OPT_IN | {detector.kind for detector in DETECTORS}
"""All kinds that are formats."""

HELD = "held"
"""What conditions call the values that mcpguard holds, whichever they are."""

GROUPS: dict[str, frozenset[str]] = {
    "secret": KINDS - OPT_IN | {HELD},
    "personal": OPT_IN,
    "all": KINDS | {HELD},
}
"""Names for several kinds, for conditions."""
