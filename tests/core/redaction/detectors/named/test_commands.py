"""A password that a command line gives to a program is removed, whether it is a word or not."""

from __future__ import annotations

from mcpguard.core.redaction.detectors.named.commands import PROGRAMS
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

VALUES = ("SunshineHarbor", "correcthorse", "kXwPqZvLmNbT", "Tr0ub4dor&3")
HITS = [hit for program in PROGRAMS for hit in program.hits]
MISSES = [miss for program in PROGRAMS for miss in program.misses]


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


@each("form", HITS)
def test_what_a_program_takes_for_a_password_is_removed(form: str) -> None:
    for value in VALUES if "'" in form else VALUES[:3]:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


@each("form", MISSES)
def test_other_arguments_are_left_alone(form: str) -> None:
    text = form.replace("{}", "shop")
    assert cleaned(text) == text


GIVEN = [
    "tool --password {} --verbose",
    "tool --password={}",
    "tool --db-password {}",
    '["tool", "--password", "{}"]',
    "ENV DB_PASSWORD {}",
    "ARG DB_PASSWORD={}",
    "ENV A=b DB_PASSWORD={} C=d",
    "docker run -e DB_PASSWORD={} shop",
    "setx DB_PASSWORD {}",
    "PGPASSWORD={} psql -h db",
    "spring.datasource.password={}",
    'os.getenv("DB_PASSWORD", "{}")',
    "os.environ.get('DB_PASSWORD', '{}')",
    'const p = process.env.DB_PASSWORD || "{}";',
    "const p = process.env.DB_PASSWORD ?? '{}';",
    'config.get("db.password", "{}")',
    'os.getenv("DB_PASSWORD") or "{}"',
    '{{"name": "DB_PASSWORD", "value": "{}"}}',
    '{{"password": "{}", "port": 1}}',
    "password: {}\nuser: bob",
    'password = "{}"',
    "<password>{}</password>",
    "machine h\n  login bob\n  password {}",
    "CREATE USER bob IDENTIFIED BY '{}';",
    "ALTER ROLE bob WITH PASSWORD '{}';",
    "Server=db;Password={};Timeout=3",
]


@each("form", GIVEN)
def test_a_word_is_a_password_where_nothing_else_can_stand(form: str) -> None:
    for value in VALUES[:3]:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


LEFT_ALONE = [
    "Allowed only together with --test-passphrase parameter of it.",
    "borg key change\\-passphrase repo\n",
    ".BI \\-\\-http\\-proxy\\-user\\-pass \\ userpass\n",
    "clients that require a login and password whenever it is offered",
    "ENV PATH /usr/bin",
    "ENV DB_PASSWORD $DB_PW",
    "use --password with care",
    "REDIS_PASSWORD=TODO\nPORT=7234",
    "the module identified by 'fullname' is",
    "postgresql://{user}:{quote(password)}@db",
    'settings.get("monkey", "harbour1sunshine")',
    "<monkey>harbour1sunshine</monkey>",
    "name: monkey\nvalue: harbour1sunshine",
    "tool --password PASSWORD",
    "tool --password=FILE",
    "--password STRING  what opens it",
    "npm config set registry https://registry.example",
    'os.getenv("DB_PASSWORD", "changeme")',
    'zip(("password", "harboursunshine"))',
    'x = labels["password"] or "Kennwort"',
    '{"password": "Passwort"}',
    '{"password": "StringField"}',
    "self.password = harboursunshine",
    "a filter to pass to `expression`, then",
    "CI_MUST_PASS = 'ci_must_do'",
    "login and password removed)",
    "password: Optional",
    'password: "ab"',
    "password: 20/m/ip,5/m/key",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpQIBAAKCAQEAuyf/lNrH9ck8DmNyo3fG...\n-----END RSA PRIVATE KEY-----",
]


@each("text", LEFT_ALONE)
def test_a_word_is_no_password_where_anything_may_stand(text: str) -> None:
    assert cleaned(text) == text
