"""A secret is found behind or below its label, whatever stands between the two."""

from __future__ import annotations

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(text: str) -> object:
    return Redactor(b"key").inspect({"text": text}).value["text"]


WHICH = [
    *("{} (initial)", "{} for admin", "{} for ada@example.com", "{} *", "{} (required)", "{} [hidden]", "{} #1"),
    *("{} \U0001f511", "\U0001f511 {}", "Temporary {}", "{} (base64)"),
]  # fmt: skip


@each("label", WHICH)
def test_what_says_of_a_label_which_one_it_is_hides_nothing(label: str) -> None:
    forms = (
        "{}: {}",
        "{}\n{}\n",
        "| {} | {} |\n",
        "{}\t{}",
        "**{}:** `{}`",
        '{{"{}": "{}"}}',
    )
    for name, value, kind in (("password", HUMAN, "password"), ("Access token", TOKEN, "secret-value")):
        for form in forms:
            text = form.format(label.format(name), "{}")
            assert cleaned(text.replace("{}", value)) == text.replace("{}", f"[REDACTED:{kind}#1]"), text


BETWEEN = [
    *("Password\nCopy\n{}\n", "Password\nShow password\n{}\n", "Password Copy\n{}\n", "Password\n* required\n{}"),
    *("Password\n[Copy]\n{}\n", "Password\n(click to copy)\n{}\n"),
    *("Your password is:\n{}\n", "Pass phrase: {}", "Pass code = {}", "Admin PIN: {}"),
    *("<div>Password</div><button>Copy</button><code>{}</code>", "<b>Password</b><br>{}<br>"),
    *('- text: Password\n- button "Show" [ref=e3]\n- code: {}\n', "[b]Password:[/b] {}", "*Password*\n{{noformat}}\n{}\n"),
    *(".TP\n\\fBPassword\\fR\n{}\n", "@item @strong{{Password}}\n@code{{{}}}\n", "@item Password @tab {}\n"),
    *("Password & \\texttt{{{}}} \\\\\n", "\\item[Password:] \\verb|{}|\n", "1. Password\n2. {}\n", "Password\n====\n{}\n"),
    *("$ cat /run/secrets/db_password\n{}\n", "$ cat password.txt\n{}\n", "cat > password.txt <<EOF\n{}\nEOF\n"),
]  # fmt: skip


@each("form", BETWEEN)
def test_marks_tags_buttons_and_commands_between_a_label_and_its_value_hide_nothing(form: str) -> None:
    found = str(cleaned(form.format(HUMAN)))
    assert found == form.format("[REDACTED:password#1]"), found


SHELL = [
    *("echo '{}' > /run/secrets/db_password", 'echo -n "{}" >> ~/.token', "printf '%s' '{}' > .secret"),
    *("echo {} | sudo tee /etc/app/api_key", "$ echo $DB_PASSWORD\n{}\n", '$ echo "$DB_PASSWORD"\n{}\n'),
    *('PASSWORDS=("{}")', "DB_PASSWORD=({})", "echo ${{DB_PASSWORD:?{}}}", "read -r DB_PASSWORD <<< {}"),
    *("DB_PASSWORD=$(cat <<EOF\n{}\nEOF\n)\n", "$ pass show db_password\n{}\n"),
]


@each("form", SHELL)
def test_what_a_shell_keeps_sets_and_prints_is_found(form: str) -> None:
    found = str(cleaned(form.format("vK8-tR2-mB5x")))
    assert found == form.format("[REDACTED:password#1]"), found


WRAPPED = [
    *('token: ApiKey("{}"),', 'token: Some(Secret("{}")),', 'Token:main.Secret("{}")}}', '"token":[]byte("{}")'),
    *("token = lib.mkForce \"{}\";", 'token: string | *"{}"', 'token: *"{}" | string', 'let token : Text = "{}"'),
    *('token = (\n    "{}"\n)', 'token = f"{}"', "token = q({});", "token = %q({})", "token = [[{}]]", "token+: '{}'"),
    *("token: |||\n  {}\n|||", "TOKENS=(\"{}\")", "token: ~c\"{}\"", "token: <string>'{}'", 'token {{\n  value: "{}"\n}}'),
    *('public string Token {{ get; set; }} = "{}";', "    Token    REG_EXPAND_SZ    {}\r\n"),
    'token: SecretBox<str>("{}")',
]  # fmt: skip


@each("form", WRAPPED)
def test_what_languages_write_around_a_text_hides_nothing(form: str) -> None:
    found = str(cleaned(form.format(TOKEN)))
    assert found == form.format("[REDACTED:secret-value#1]"), found


@each(
    "text",
    [
        *("Password (min. 8 characters):\nat least 1 digit\n", "Token (type):\nBearer2\n", "Password\nCopy\nUse 12 or more"),
        *("echo river2.txt > token.log", "echo $PW > password.txt", "API_TOKEN=(a b)", "echo ${TOKEN:?is not set}"),
        *("Token\ndefault-token-x7k2p\n", "Secret\ngithub-actions-2024\n", "Token\nETH-0x52908400098527886E0F7030069857D2E4169EE7"),
        *("Key\nCtrl+Shift+F5\n", "API key for production\n2024-01-02\n", "ClientToken?: __stringMin1Max64PatternS;", "token == 'q7Zt2Wb9Kx4Lm8Rv1Yd5'"),
        *("the token (x)\nq7Zt2Wb9Kx4Lm8Rv1Yd5\n", "token: hash(q7Zt2Wb9Kx4Lm8Rv1Yd5)", "checksum/secret *: q7Zt2Wb9Kx4Lm8Rv1Yd5"),
        *("<token>(1)\nq7Zt2Wb9Kx4Lm8Rv1Yd5", "AWS::IAM::Token *: q7Zt2Wb9Kx4Lm8Rv1Yd5", "Public key (x): q7Zt2Wb9Kx4Lm8Rv1Yd5"),
        *('3) "color"\n  "token"\n4) "q7Zt2Wb9Kx4Lm8Rv"\n', "x\n  token\n1. q7Zt2Wb9Kx4Lm8Rv1Yd5", "Password: see (1) and q7Zt2Wb9Kx4"),
        *("-----BEGIN PRIVATE KEY-----\n  q7Zt2Wb9Kx4Lm8Rv1Yd5\n", "f(token) \"q7Zt2Wb9Kx4Lm8Rv1Yd5\"", "Password for admin\n12345678"),
        *("token (`foo`) `q7Zt2Wb9Kx4Lm8Rv1Yd5` x", "my token | q7Zt2Wb9Kx4Lm8Rv1Yd5 and more"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_a_label_stays(text: str) -> None:
    assert cleaned(text) == text
