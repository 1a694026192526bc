"""Personal data: off unless a rule asks for it by name, as in `redact: [email, payment-card]`."""

from mcpguard.core.redaction.detectors.format import ALONE, Detector, Format

_IBAN = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18"
    "FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21"
    "LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24"
    "SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
)
_LENGTHS = {_IBAN[i : i + 2].encode(): int(_IBAN[i + 2 : i + 4]) for i in range(0, len(_IBAN), 4)}

_BEYOND = (
    r"(?:[\xc3-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xe3[\x81-\xbf][\x80-\xbf]"
    r"|[\xe1\xe4-\xed][\x80-\xbf]{2}|\xf0[\xa0-\xb1][\x80-\xbf]{2})"
)
"""A letter beyond ASCII, in UTF-8: not the blocks of punctuation, symbols and emoji."""


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
    Format(
        "email",
        # Letters beyond ASCII (RFC 6531) count only where they stand at the end of the name: before that they
        # may be the text of a script that puts no blanks between words.
        pattern=r"(?<![A-Za-z0-9._%+-])(?:[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}"
        rf"|(?:[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{{0,31}})?{_BEYOND}{{1,21}})@"
        # A placeholder for a removed address is not an address.
        r"(?!redacted\.invalid(?![A-Za-z0-9.-]))"
        rf"(?:(?:[A-Za-z0-9-]|{_BEYOND}){{1,63}}\.){{1,8}}"
        rf"(?:xn--[A-Za-z0-9-]{{1,59}}|[A-Za-z]{{2,24}}|{_BEYOND}{{2,24}})(?![A-Za-z0-9])",
        hits=("jane.doe+x@example.co.uk", "a@b.io", "a@b.xn--p1ai"),
        misses=(
            "jane.doe@",
            "@example.com",
            "user@localhost",
            "ü@ä",
            "@bücher.example",
            "20€@shop.example",
            "“x@y”.txt",
            "pkg@1.2.3",
            "redacted-1@redacted.invalid",
        ),
    ),
    Format(
        "payment-card",
        pattern=ALONE + r"(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}(?: [0-9]{4}){3}|[2-6][0-9]{3}(?:-[0-9]{4}){3}"
        r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})(?![0-9A-Za-z])",
        accept=luhn,
        hits=("4111 1111 1111 1111", "378282246310005", "3782 822463 10005", "5555-5555-5555-4444"),
        misses=("4111 1111 1111 1112", "411111111111", "id4111111111111111", "1234567890123"),
    ),
    Format(
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
