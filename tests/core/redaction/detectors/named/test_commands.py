"""A password that a command line gives to a program is removed, whether it is a word or not."""

from __future__ import annotations

from base64 import b64encode

from mcpguard.core.redaction.detectors.named.commands import TAKING
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

VALUES = ("SunshineHarbor", "correcthorse", "kXwPqZvLmNbT", "Tr0ub4dor&3")
HITS = [hit for program in TAKING for hit in program.hits]
MISSES = [miss for program in TAKING for miss in program.misses]


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
    "args:\n- --db-password\n- {}\n- -v\n",
    'command:\n    - "--password"\n    - "{}"\n',
]


@each("form", GIVEN)
def test_a_word_is_a_password_where_nothing_else_can_stand(form: str) -> None:
    for value in VALUES[:3]:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


MADE = ("kXw4PqZvL", "Tr0ub4dor3", "7q-Zt2Wb")
ASKED_FOR = [
    "buildah login -u bob -p {} r.example",
    "cypher-shell -u neo4j -p '{}' \"MATCH (n)\"",
    'check_mysql -H db --username "bob" -p {}',
    "skopeo copy --src-creds bob:{} a b",
    "buildah push --creds=bob:{} x",
    "jenkins-cli -auth bob:{} version",
    'sqlmap --auth-cred="bob:{}"',
    "echo '{}' | gh auth login --with-token",
    "echo -n {} | npx wrangler secret put API_KEY",
    "mattermost user password bob {}",
    "redis-cli AUTH {}",
    "redis-cli AUTH {}\n",
    "AUTH {}\n",
    "AUTH app {}\n",
    "bw unlock {}",
    "netlify deploy --auth {}",
    "consul acl set-agent-token agent {}",
    "/msg NickServ identify bob {}",
    "iface wlan0 inet dhcp\n    wpa-psk {}\n",
    "$USER3$={}\n",
    "radtest bob word localhost 0 {}",
    'smtp.login("bob@x.example", "{}")',
    "server.login('bob', '{}')",
    'token.SignedString([]byte("{}"))',
    "app.use(cookieParser('{}'))",
    'config :app, :secret_key_base, "{}"',
    "Log in with bob / {}",
]


@each(
    "form",
    [
        "ALTER CURRENT USER SET PASSWORD FROM '{}' TO '{}'",
        "the password was changed from {} to {}",
        "(echo {}; echo {}) | smbpasswd -a bob",
        "printf '{}\\n{}\\n' | pdbedit -a bob",
        "radtest bob {} localhost 0 {}",
    ],
)
def test_each_of_two_passwords_of_a_command_is_removed(form: str) -> None:
    said = cleaned(form.format("kXw4PqZvL", "7q-Zt2Wb"))
    assert "kXw4PqZvL" not in said
    assert "7q-Zt2Wb" not in said
    assert said.startswith(form.partition("{")[0])
    assert said.rpartition("]")[2].lstrip("'") == form.rpartition("}")[2].lstrip("\\n'")


@each("form", ASKED_FOR)
def test_what_is_made_for_a_password_is_one_whatever_the_program(form: str) -> None:
    for value in MADE:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


CONFIGURED = [
    "cache_peer p.example parent 3128 0 login=bob:{} no-query",
    'user = "bob:{}"',
    'proxy-user = "x:{}"',
    "cli-port=5766\nuser=bob:{}\n",
    "[Repository R]\nremotepass = {}\n",
    "url,username,password,totp\nhttps://x.example,bob,,{}\n",
    "net rpc -U bob%{} -S host",
    "openssl enc -k {} -in a",
    "account x\nuser bob\npassword {}\n",
    "  @type elasticsearch\n  password {}\n  aws_sec_key q7Zt2Wb9Kx4Lm8Rv1Yd5",
    "storePassword '{}'\n",
    'AuthLDAPBindPassword "{}"\n',
    'key "k" {{\n\tsecret "{}";\n}};',
    'psk="{}"\n',
    "wpa_psk={}\n",
    "vault_db_pw: '{}'\n",
    'poll imap.x.example user "bob" password "{}" ssl\n',
    'proxy_set_header X-Api-Key "{}";\n',
    "*:6432:*:bob:{}\n",
    ".x.example\tTRUE\t/\tTRUE\t1790000000\tsessionid\t{}\n",
    "#HttpOnly_.x.example\tFALSE\t/a\tTRUE\t0\tauth_token\t{}\n",
    '<Key>Password</Key><Value ProtectInMemory="True">{}</Value>',
    '<stringProp name="Argument.name">password</stringProp><stringProp name="Argument.value">{}</stringProp>',
    '{{"headers": [{{"name": "Cookie", "value": "theme=dark; sid={}"}}]}}',
]


@each("form", CONFIGURED)
def test_files_of_configuration_are_read_as_their_programs_do(form: str) -> None:
    said = cleaned(form.format("q7Zt2Wb9Kx4Lm8Rv1Yd5"))
    assert said.startswith(form.format("[")[: form.index("{}") - 3])
    assert "[REDACTED:" in said
    assert "q7Zt2Wb9Kx4Lm8Rv1Yd5" not in said.partition("aws_sec_key")[0]


PAIRS = b64encode(b"bob:river.Stone47").decode()


def test_a_password_of_remote_desktop_is_removed() -> None:
    assert cleaned(f"password 51:b:{'01AB9F' * 70}\nx") == "password [REDACTED:password#1]\nx"


def test_the_key_of_a_gossip_in_base64_is_removed() -> None:
    key = b64encode(bytes(range(7, 39))).decode()
    for form in ('encrypt = "{}"', '{{"encrypt": "{}"}}'):
        assert cleaned(form.format(key)) == form.format("[REDACTED:password#1]")


@each("form", ["//r.example/:_auth={}\n", "_auth = {}\n", "ss://{}@x.example:8388"])
def test_a_user_and_a_password_in_base64_are_removed(form: str) -> None:
    assert PAIRS not in cleaned(form.format(PAIRS))


LEFT_ALONE = [
    "nuget setapikey -Source x1 -Verbose",
    "mvn sonar:sonar -Dsonar.login=administrator",
    "(echo yes1234; echo no12345) | tee answers",
    "printf 'one12345\\ntwo12345\\n' | tee lines",
    'page.login("bob", "the second page")',
    "jwt.decode(token, 'RS256')",
    "connect to the database as the user you are using now2",
    'dsn := "bob@tcp(h:3306)/db"',
    "SELECT crypt('harbour12', stored) = stored",
    "set_password is called with spice and vnc2",
    'user = "bob:users"',
    "login=alice:staff",
    f"    checksum/secret: {'3f9a0c4e' * 8}\n",
    f"    checksum/secret: '3f9a0c4e{'7b21d5' * 9}88'\n",
    "foreword 2026abc\n",
    "the password 2026abcd\n",
    "password expired\n",
    "Password 1.2.3\n",
    ".x.example\tTRUE\t/\tTRUE\t1790000000\tsession_theme\tdark\n",
    ".x.example\tTRUE\t/\tTRUE\t1790000000\t_ga_sid\tGA1.2.1790000000.1790000000\n",
    ".x.example\tTRUE\t/\tTRUE\t1790000000\tcolour\tq7Zt2Wb9Kx4Lm8Rv1Yd5\n",
    '{"name": "Cookie", "value": "theme=dark; lang=en"}',
    '{"name": "Cookie", "value": "sid=aaaaaaaaaaaaaaaaaaaa"}',
    "<Key>Password</Key><Value></Value>",
    "_auth=bm90IGEgcGFpcg\n",
    "_auth = basic_authentication\n",
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


@each(
    "form",
    [
        *(
            '{{"auth": ["bob", "{}"]}}',
            "basicAuth = ['bob', '{}']",
            "reset.\nNew value: {}\n",
            "Success: 'bob:{}' x",
        ),
        "creds for staging: bob / {}\n",
        *(
            '$password\n[1] "{}"\n',
            '    And I fill in "Password" with "{}"\n',
            "    Input Password    id=pw    {}\n",
        ),
        *(
            "pass show db/prod\n{}\n",
            "$ op read op://vault/item/password\n{}\n",
            "$ bw get password mail\n{}\n",
            "$ security find-generic-password -w -s shop\n{}\n",
            "$ gcloud secrets versions access latest --secret=db\n{}\n",
            "$ aws ssm get-parameter --name /x --with-decryption --output text\n{}\n",
            "$ az keyvault secret show --name x --vault-name y --query value -o tsv\n{}\n",
            "$ heroku config:get DATABASE_PASSWORD -a shop\n{}\n",
            "$ vault kv get -field=password secret/x\n{}\n",
            "$ kubectl get secret x -o jsonpath='{{.data.password}}' | base64 -d\n{}\n",
            "$ terraform output -raw db_password\r\n{}\r\n",
            "127.0.0.1:6379> AUTH {}\nOK",
            "redis> AUTH default {}\nOK",
            "wpa_passphrase home {}",
            "steamcmd +login bob {} +quit",
            "emqx ctl admins add bob {}",
            "net user bob {}\n",
        ),
        *("snmp-server user bob grp v3 auth sha {} priv aes 128 x", "page.fill('#password', '{}')"),
        *("CREATE USER bob IDENTIFIED BY {} DEFAULT TABLESPACE users;", "dscl . -passwd /Users/bob {}"),
        *('spawn x\nexpect "*?assword:*"\nsend -- "{}\\r"', 'mc_password "{}"', "$pw = Sensitive('{}')"),
        '{{"Parameter": {{"Name": "/prod/db/password", "Type": "SecureString", "Value": "{}"}}}}',
    ],
)
def test_a_password_with_a_digit_is_found_where_a_word_would_not_be(form: str) -> None:
    assert cleaned(form.format("Tr4verse-kite9")) == form.format("[REDACTED:password#1]")


def test_tokens_are_found_in_what_programs_print() -> None:
    token, user = "9c1be0d14f6c8a7be1d2c3f4a5b63f2a", "VXNlcm5hbWU6"
    assert token not in cleaned(f"$ gh auth token\n{token}\n")
    assert token not in cleaned(f"$ fly auth token -o x\n{token}\n")
    assert token not in cleaned(f"$ openssl rand -hex 16\n{token}\n")
    assert token not in cleaned(f"K10ab::server:{token}\n")
    assert token not in cleaned(f"key1\tFULL\t{token * 2}QWErTYuIoPaSdFgHjKlZxC==\n")
    assert "Y3JpdmVyLlN0b25lNDc=" not in cleaned(
        f"334 {user}\nYm9i\n334 UGFzc3dvcmQ6\nY3JpdmVyLlN0b25lNDc=\n235"
    )


@each(
    "form",
    [
        "password = [-changeme-]{{+{}+}}",
        "password=[-{}-]",
        "password:[-{}-]",
        "password: [-{}-]",
        "password:\t[-{}-]",
        "password:      [-{}-]",
        'db_password: [-"{}"-]{{+"changeme"+}}',
        '  "password": [-"changeme",-]{{+"{}",+}}\n',
        "-[-x-]\npassword: {{+{}+}} # new\n",
    ],
)
def test_a_password_in_a_diff_of_words_is_removed(form: str) -> None:
    for value in VALUES[:3]:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


@each(
    "text",
    [
        "usage: tool [-hv] [--token TOKEN] key = [-abcdef-]",
        "password: [-a-z0-9]",
        "token = [-getToken()-]{+fetchToken(1)+}",
        "see [-q7Zt2Wb9Kx4L-]{+q7Zt2Wb9Kx5L+}",
        "Use --password\n- Summer2024x is not one\n",
        "- use --password\n- Summer2024x is not one\n",
        "  - --token\n  - --help\n",
    ],
)
def test_what_only_looks_like_a_change_or_an_item_is_left_alone(text: str) -> None:
    assert cleaned(text) == text


@each(
    "command",
    [
        "npm config set //registry.example.org/:_authToken {}",
        'dotnet user-secrets set "Api:Token" "{}"',
        "netlify env:set API_KEY {}",
        "pulumi config set app:token {} --secret",
        "vault login {}\n",
        "snyk auth {}",
    ],
)
def test_what_a_command_is_to_keep_is_found(command: str) -> None:
    secret = "q7Zt2Wb9Kx4Lm8Rv1Yd5"
    assert secret not in cleaned(command.format(secret))
    assert cleaned(command.format("--help")) == command.format("--help")
