"""What names say, and what values look like, each judged without the other."""

from __future__ import annotations

from mcpguard.core.redaction.detectors.named import naming, shapes, values
from tests.rows import each


@each(
    ("name", "says"),
    [
        ("DB_PASSWORD", "password"),
        ("mysqlPwd", "password"),
        ("passphrase_prod", "password"),
        ("client-secret", "token"),
        ("openaiApiKey", "token"),
        ("--key", "token"),
        ("authorization_code", "token"),
        ("api_hash", "weak"),
        ("AUTH_MODE_PLUS", "weak"),
        ("tokens", "weak"),
        ("customer_key", "weak"),
        ("service_keys", "weak"),
        ("password0", "password"),
        ("userPassword2", "password"),
        ("apiKey1", "token"),
        ("password_v2", "password"),
        ("TOKEN_URL2", ""),
        ("SecretBinary", "password"),
        ("SecretId", ""),
        ("wpa2-pre-shared-key", "password"),
        ("t1", ""),
        ("component_key", ""),
        ("oauth", "weak"),
        ("sort_key", ""),
        ("API_KEY_ID", ""),
        ("public_token", ""),
        ("colour", ""),
        ("", ""),
    ],
)
def test_a_name_says_how_sure_it_is(name: str, says: str) -> None:
    assert naming.signal(name) == says


@each(
    ("name", "says"),
    [
        ("REDIS_CACHE_PASSWORD", "password"),
        ("primaryDbPwd", "password"),
        ("version_password", "password"),
        ("cacheToken", ""),
        ("VERSION_TOKEN", ""),
        ("primary_access_key", "token"),
        ("primary_master_key", "token"),
        ("redis_cache_auth_token", "token"),
        ("primary_key", ""),
        ("next_page_token", ""),
        ("password_cache_size", ""),
    ],
)
def test_a_word_of_handles_says_that_a_token_is_one_and_not_that_a_password_is(name: str, says: str) -> None:
    assert values.said(name) == says


def test_a_name_may_be_about_a_secret_or_ask_for_two_values() -> None:
    assert naming.is_about("token_id")
    assert naming.is_about("public_key")
    assert not naming.is_about("token")
    assert not naming.is_about("")
    assert naming.names_a_pair("basic_auth")
    assert not naming.names_a_pair("password")
    assert not naming.names_a_pair("")
    assert naming.words_of("fooBar-BAZQux9") == ["foo", "bar", "baz", "qux9"]


def test_a_value_may_be_a_reference_a_sample_or_a_path() -> None:
    assert shapes.is_reference("${X}")
    assert shapes.is_reference("op://vault/item")
    assert not shapes.is_reference("a${X}")
    assert shapes.has_reference("a${X}")
    assert not shapes.has_reference("ax")
    for sample in ("aaaa", "postgres", "your-key", "<token>", "sk-xxxxxxxxxxxx"):
        assert shapes.is_known_to_all(sample), sample
    assert not shapes.is_known_to_all("q7Zt2Wb9Kx4Lm8xxxxRv1Yd5")
    assert shapes.is_path("/etc/ssl/key")
    assert not shapes.is_path("/q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert not shapes.is_path("/srv-q7Zt2Wb9Kx4Lm8Rv1Yd5/a")


def test_below_a_folder_of_the_system_a_name_may_be_random() -> None:
    assert shapes.is_path("/private/var/folders/zz/8b_2k9s50n7cm2f1xq9k1l240000gn/T/tmpab12cd")
    assert shapes.is_path("/home/ada/.local/state/mcpguard/servers/server/2138-866bd8c54964bc57")
    assert shapes.is_path("C:\\Users\\ada\\AppData\\Local\\Temp\\q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert shapes.is_literal("hunter-22")
    assert not shapes.is_literal(" ")
    assert not shapes.is_literal("./key")
    assert shapes.is_address("https://x.example")
    assert shapes.is_address("a@b.example")
    assert not shapes.is_address("ab")
    assert shapes.is_uuid("a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6")


@each(
    ("says", "value", "secret"),
    [
        ("", "q7Zt2Wb9Kx", False),
        ("password", "changeme", False),
        ("password", "tea for two", True),
        ("password", "https://x.example", False),
        ("weak", "q7Zt2Wb9Kx", True),
        ("weak", "words", False),
        ("token", "tea-leaf", True),
        ("token", "tea", False),
        ("token", "oauth2", False),
        ("token", "123456", False),
        ("token", "API_BASE_NAME", False),
        ("token", "a@b.example", False),
    ],
)
def test_a_value_is_a_secret_under_a_name(says: naming.Signal, value: str, secret: bool) -> None:
    assert shapes.is_secret(says, value) is secret


@each(
    ("text", "random"),
    [
        ("q7Zt2Wb9Kx", True),
        ("a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6", True),
        ("0x" + "a1B2" * 10, False),
        ("short1", False),
        ("https://x.example/q7Zt2Wb9Kx", False),
        ("2024-01-01T00:00:00Z", False),
        ("some-words-2-read", False),
        ("qwrtzpsdfghjklmn", True),
        ("abcdefgh12345678", False),
        ("12345678901234567", False),
        ("aaaabbbb", False),
        ("q7-Zt-2W-b9-Kx-4L", True),
        ("alpha1-beta-gamma22-delta-3", False),
    ],
)
def test_random_characters_look_random(text: str, random: bool) -> None:
    assert shapes.looks_random(text) is random


def test_tokens_are_told_from_names_of_things() -> None:
    assert shapes.is_token("acme_live_q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert shapes.is_token("12345678:AA" + "q7Zt2Wb9Kx" * 3)
    assert not shapes.is_token("words")
    assert not shapes.is_token("req_q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert shapes.names_a_thing("req_q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert shapes.is_of_both_cases("q7Zt2Wb9Kx4Lm8Rv1Yd5")
    assert not shapes.is_of_both_cases("q7zt2wb9kx4lm8rv1yd5")
    assert shapes.is_nothing_but_random("0a1b2c3d" * 4)
    assert not shapes.is_nothing_but_random("00000000" * 4)
    assert shapes.is_nothing_but_random("q7Zt2Wb9Kx4Lm8Rv1Yd5:a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6")
    assert not shapes.is_nothing_but_random("a:b")
    assert shapes.is_nothing_but_random("q7Zt2Wb9Kx4Lm8Rv1Yd5")


def test_names_are_looked_at_together_as_each_alone() -> None:
    names = [
        *(
            "id",
            "API_KEY",
            "apiKey",
            "token[",
            "K",
            "\u212aEY",
            "\u0130d_key",
            "value",
            "top",
            "stop-",
            "a b",
            "",
        ),
        *(
            "x" * 90 + "key",
            "DB_PASSWORD",
            "cookie",
            "T(",
            "part",
            "user.name",
            "e-mail",
            "pass\u200bword",
            "é",
        ),
    ]
    for some in (names, names[::-1], [*names, "two\nlines_key", "two\nlines"], ["id"], ["key"]):
        likely = naming.that_end_so(some)
        assert [name for name in some if naming.may_end_so(name)] == [
            name for name in likely if naming.may_end_so(name)
        ]
    assert naming.that_end_so([f"name{number}" for number in range(100)]) == []


@each("random", ["tqwzkfxjvbnmhrgl", "TEQGBVFJOCHVIEDN", "wYRnpmEBnlVeJAyg", "kqzxwvjhgfpbtdmcrlsn"])
def test_letters_that_make_no_words_look_random(random: str) -> None:
    assert shapes.looks_random(random)


@each(
    "words",
    [
        *("acknowledgements", "InternationalizationHelper", "ABSTRACTSINGLETONPROXY", "getuserbyidfromtoken"),
        *("przedsiebiorstwo", "geschwindigkeit", "onbekendewaarde", "contrasenaincorrecta"),
    ],
)
def test_letters_that_make_words_do_not(words: str) -> None:
    assert not shapes.looks_random(words)


def test_a_name_that_is_too_long_to_be_one_says_nothing_of_its_member() -> None:
    for name in ("a" * 56 + "password", "a" * 56 + "passwords"):
        assert values.said_of_member(name) == "password"
        assert values.said_of_member(f"aa{name}") == ""
