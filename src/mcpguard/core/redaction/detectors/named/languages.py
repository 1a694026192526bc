"""The lists of words by which names and values are judged, and the words for a password, a key and a token in
other languages, with what stands between them and a secret.

Law of this file: in these languages a password has a digit, since no table here knows their other words.
"""

import re

from mcpguard.core.expressions import expression
from mcpguard.core.tables import names, sections

WORDS = {title: names(text) for title, text in sections(__package__, "words.txt").items()}
"""The lists of `words.txt`, by title."""

# ruff: noqa: RUF001 - letters of other scripts look like those of ours
_LATIN = """
    contrasen contrasinal contraseñ kennwort kennwörter passwort passwörter passwuert passwoord
    wachtwoord wachtwuert wagwoord passord adgangskod kodeord losenord lösenord lykilord salasana salasõna
    lozinka zaporka geslo slaptazod slaptažod jelszo jelszav jelszó parool haslo hasło heslo sifre şifre
    motdepasse mot_de_passe mot-de-passe senha palavrapasse palavra-passe parolachiave parolă pasahitz
    kupuhipa pasfhocal focalfaire gertremen cyfrinair fjalekalim fjalëkalim pasvorto katalaluan katasandi
    matkhau nenosiri
""".split()  # noqa: SIM905 - one word a line would be two pages
_SPACED = (
    *(
        "mot de passe",
        "palavra passe",
        "mật khẩu",
        "mat khau",
        "kata sandi",
        "kata laluan",
        "clave de acceso",
    ),
    *("parola d'ordine", "parola d’ordine", "parola chiave", "contraseña"),
)
_SCRIPTS = """
    парол лозинк құпиясөз κωδικός κωδικό συνθηματικ סיסמה סיסמא סיסמת パスワード 暗証番号
    密码 密碼 口令 비밀번호 패스워드 암호 รหัสผ่าน पासवर्ड পাসওয়ার্ড கடவுச்சொல் գաղտնաբառ პაროლ گذرواژه
""".split()  # noqa: SIM905 - as above
_ARABIC = ("كلمة المرور", "كلمة السر", "كلمه المرور", "رمز عبور")


_KEYS = tuple(
    word.replace("_", " ")
    for word in """
    schlüssel schluessel geheimnis zugriffstoken zugangstoken clé_api clé_d'api clé_d’api clé_secrète
    jeton_d'accès jeton_d’accès jeton
    clave_api clave_de_api clave_secreta token_de_acceso chave_api chave_de_api chave_da_api chave_secreta
    token_de_acesso chiave_api chiave_segreta token_di_accesso api-sleutel toegangstoken geheime_sleutel
    api-nyckel åtkomsttoken api-nøgle api-nøkkel klucz_api token_dostępu tajny_klucz klíč_api api_klíč
    api-kulcs api-avain api_anahtarı erişim_belirteci kunci_api khóa_api κλειδί_api ключ_api api-ключ
    секретный_ключ секретний_ключ токен apiキー トークン アクセスキー シークレットキー 密钥 密鑰 令牌 權杖
    api_키 토큰 비밀_키 מפתח_api مفتاح_api api_कुंजी
    """.split()  # noqa: SIM905 - as above
)


def _escaped(word: str) -> str:
    """As JSON of ASCII has it."""
    return "".join(char if char.isascii() else f"\\u{ord(char):04x}" for char in word)


SPOKEN = (*(word for word in _LATIN if word.isascii()), *(word for word in _SPACED if word.isascii()))
"""The words that are found in any case."""
WRITTEN = tuple(
    dict.fromkeys(
        form
        for word in (*_LATIN, *_SPACED, *_SCRIPTS, *_ARABIC)
        if not word.isascii()
        for form in (word, word.capitalize(), word.upper(), _escaped(word), _escaped(word.capitalize()))
    )
)
"""The other words, in each case."""
SPOKEN_KEYS = tuple(filter(str.isascii, _KEYS))
"""The words for a key or a token that are found in any case."""
WRITTEN_KEYS = tuple(
    dict.fromkeys(
        form
        for word in _KEYS
        if not word.isascii()
        for cased in (word, word[0].upper() + word[1:])
        for form in (cased, cased.replace("api", "API"), _escaped(cased.replace("api", "API")))
    )
)
"""The others, as labels have them."""
STEMS = "|".join(word for word in _LATIN if word.isascii() and word.isalpha())
"""An expression: those that are one word of ASCII, in lower case."""
_NAMES = expression("|".join((*_LATIN, *_SPACED, *_SCRIPTS, *_ARABIC)))

_LETTER = r"(?:[A-Za-z]|[\xc3-\xd9][\x80-\xbf]|\xe1[\xb8-\xbb][\x80-\xbf])"
_ANY = r"(?:[A-Za-z]|[\xc3-\xdf][\x80-\xbf]|[\xe0-\xed][\x80-\xbf]{2}|\\u[0-9a-f]{4})"
_VERBS = (
    *(
        "es",
        "est",
        "ist",
        "lautet",
        "è",
        "é",
        "e",
        "är",
        "er",
        "on",
        "is",
        "to",
        "jest",
        "je",
        "là",
        "adalah",
    ),
    *("será", "sera", "este", "ni"),
)
_SIGNS = ("：", "は", "が", "是", "为", "為", "는", "은", "가", "–", "—", "→")


def _bytes(words: tuple[str, ...]) -> str:
    return "|".join("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in words)


_QUOTES = r"(?:[\"'`*]|\xc2\xab(?: |\xc2\xa0)?|\xe2\x80[\x98-\x9f]|\xe3\x80\x8c)"
LEADS = (
    # Most words of a language that stand for a password have no digit behind them.
    rf"(?=[^0-9\x1f\xff]{{0,520}}+[0-9])"
    rf"{_ANY}{{0,4}}(?:[ _-]{_LETTER}{{1,20}}){{0,6}}?{_QUOTES}{{0,3}}[ \t]{{0,8}}"
    rf"(?:(?:=>|->|[:=]|{_bytes(_SIGNS)})[ \t]{{0,32}}(?:\r?\n[ \t]{{0,8}}){{0,2}}"
    rf"|(?<= )(?:{_bytes(_VERBS)}):?[ ]|[\"'][ \t]{{1,4}}value=|>(?=[^<\s\x1f]{{6,128}}</))"
    rf"{_QUOTES}{{0,3}}(?=[^\s\x00-\x1f\xff]{{0,48}}[0-9])"
)
"""From behind the word to a value that has a digit."""
VALUE = expression(rb"(?!\$[0-9]{1,2}(?![0-9A-Za-z]))(?:[!#-&(-;=?-_a-~]|[\xc3-\xd9][\x80-\xbf]){6,128}+")
"""It ends where letters of a language without spaces begin; `$1` is what a translation leaves open."""


ACROSS = expression(rb"[a-z][A-Z][a-z]{0,2}\Z")
"""Where a word ends in the next word of a name, as in `hasLoaded`, it is there by chance."""
_NAMES_OF_KEYS = expression("|".join(_KEYS))


def is_foreign_key(name: str) -> bool:
    """Whether a name has the word for a key or a token in one of these languages."""
    return _has(_NAMES_OF_KEYS, name)


def is_foreign(name: str) -> bool:
    """Whether a name has the word for a password in one of these languages."""
    return _has(_NAMES, name)


def _has(words: re.Pattern[str], name: str) -> bool:
    low = name.lower()
    return words.search(low) is not None and any(
        not ACROSS.search(name[: found.end()].encode()) for found in words.finditer(low)
    )
