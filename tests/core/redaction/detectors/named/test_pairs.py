"""A secret is found by its name wherever pairs are written, and what only looks like one is left alone."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.detectors.named.pairs import ahead_of
from mcpguard.core.redaction.detectors.named.plausible import (
    is_basic,
    is_example,
    is_sample_of_a_url,
    is_secret,
)
from mcpguard.core.redaction.detectors.named.values import named, said
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"
HUMAN = "river.Stone47!"
BASIC = b64encode(f"bob:{HUMAN}".encode()).decode()


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


FOUND = [
    "// api key: {}\n",
    "Trying the token {} for bob.",
    "cf set-env shop API_KEY {}",
    "redis-cli HSET user:1 token {}",
    "vault kv put app/api_token {}",
    'token <- "{}"',
    "token<-'{}'",
    'std::string token{{"{}"}};',
    "token?: string = '{}'",
    'Dim apiKey As String = "{}"',
    "export API_TOKEN=$'{}'\n",
    "{{&quot;api_key&quot;:&quot;{}&quot;}}",
    "&#39;api_key&#39; =&gt; &#39;{}&#39;",
    "&lt;token&gt;{}&lt;/token&gt;",
    "**API key:** `{}`\n",
    "Your secret key is '{}'.",
    "map[api_key:{}]",
    "token={}&x=1\n",
    "production:\n  secret_key_base: {}\n",
    "export API_KEY={}",
    "define('API_TOKEN', '{}');",
    '#define API_TOKEN "{}"\n',
    "API_TOKEN=${{API_TOKEN:-{}}}\n",
    "API_TOKEN=${{X:-{}}}\n",
    'API_TOKEN="${{X:-{}}}"\n',
    'export API_TOKEN=${{OTHER:-"{}"}}\n',
    "  api_token: ${{X:-${{Y:-{}}}}}\n",
    "API_TOKEN=${{1-{}}}\n",
    "API_TOKEN=${{X:+{}}}\n",
    'api_token: "${{some.other:{}}}"\n',
    ': "${{API_TOKEN:={}}}"\n',
    ": ${{API_TOKEN:='{}'}}\n",
    "API_TOKEN=$(echo {})\n",
    "API_TOKEN=$(printf '%s' '{}')\n",
    "API_TOKEN += {}\n",
    "API_TOKEN ::= {}\n",
    "read -r API_TOKEN <<< {}\n",
    "printf -v API_TOKEN '%s' '{}'\n",
    "Set-Item -Path Env:API_TOKEN -Value '{}'\n",
    "aws ssm put-parameter --name /a/API_TOKEN --value {}\n",
    "${{env:API_TOKEN}} = '{}'\n",
    "Recovery key: {}\n",
    "Personal access token\t{}\n",
    '"Personal access token","{}"\n',
    "Personal access token - {}\n",
    "User          ada\nAccess token  {}\n",
    "API key       {}\n",
    ": ${{CLIENT_SECRET:={}}}\n",
    "  token: ${{app.api-token:{}}}\n",
    'parser.add_argument("--token", default="{}")',
    "API_KEY = config('API_KEY', default='{}')",
    'token: SecretStr = Field(default="{}")',
    'viper.SetDefault("api.token", "{}")',
    "API_KEY={}\nX=1",
    'API_KEY="{}"',
    "x\\nAPI_KEY={}\\ny",
    '{{"apiKey": "{}", "a": 1}}',
    '{{"clientSecret":"{}"}}',
    '"{{\\"auth_token\\": \\"{}\\"}}"',
    "a: 1\naccess_token: {}\n",
    "secret: '{}'",
    "secret_key: |\n  {}\n",
    'webhook_secret = "{}"',
    "aws.secret.key = {}\n",
    "client(api_key=b'{}')",
    'config["secret_key"] = "{}"',
    'api_key: str = "{}"',
    "'api_secret' => '{}',",
    "apiSecret := `{}`",
    "<client-secret>{}</client-secret>",
    "<apiKey><![CDATA[{}]]></apiKey>",
    '<entry key="api.secret">{}</entry>',
    '<add key="ApiSecret" value="{}" />',
    '{{"name": "API_TOKEN", "value": "{}"}}',
    "- name: API_TOKEN\n  value: {}\n",
    "https://x.example/a?b=1&api_key={}&c=2",
    "X-Api-Key: {}\r\n",
    "Authorization: Bearer {}",
    "Authorization: token {}",
    "Authorization: ApiKey {}",
    "Authorization: {}",
    '{{"Authorization": "Bearer {}"}}',
    "curl -H 'authorization: bearer {}'",
    "Cookie: a=b; sessionid={}",
    "Set-Cookie: sid={}; Path=/",
    "Cookie: session=aaaaaaaaaaaaaaaaaaaa; sid={}",
    "tool --token {} --x",
    '["--api-key", "{}"]',
    "tool --client-secret={}",
    "//registry.npmjs.org/:_authToken={}",
    "Server=db;SharedSecret={};Timeout=3",
    'the token is "{}"',
]
PASSWORDS = [
    "map[password:{} user:ada]",
    'password <- "{}"',
    "password?: string = '{}'",
    'Dim dbPassword As String = "{}"',
    "<pre>password: &quot;{}&quot;</pre>",
    "{{&#34;password&#34;:&#34;{}&#34;}}",
    "cfg=&{{DB:{{Host:x Password:{}}} Port:1}}\n",
    "- **Password:** {}\n",
    "**password**: `{}`\n",
    'password: Some("{}")',
    "User(name='ada', password=SecretStr('{}'))",
    'String password = new String("{}");',
    'char password[] = "{}";',
    'NSString *password = @"{}";',
    "EXEC add @password = N'{}'",
    "DB_PASSWORD ?= {}\n",
    "[('user', 'ada'), ('password', '{}')]",
    '[["password", "{}"]]',
    '{{password, "{}"}}.',
    '  ["password"]=>\n  string(14) "{}"\n',
    'a:1:{{s:8:"password";s:14:"{}";}}',
    "Db:Password = {}\n",
    "ConnectionStrings:Db:Password={}\n",
    "x login bob password {}\n",
    "Setting --password (password) to {}\n",
    "x\nDB_PASSWORD\t{}\ny",
    '"DB_PASSWORD","{}"\n',
    "DB_PASSWORD={}\n",
    "DB_PASSWORD:                   {}\n",
    'password             = "{}"\n',
    "mysql_pwd: {}\n",
    '{{"smtpPass": "{}"}}',
    "machine h login bob password {}\n",
    "CREATE USER bob IDENTIFIED BY '{}';",
    "ALTER ROLE bob WITH PASSWORD '{}';",
    "curl -u bob:{} https://x.example",
    "curl --user 'bob:{}' https://x.example",
    "Server=db;Password={};Timeout=3",
    "The password is {} for now.",
    "config.get('password', '{}')",
    'user.setPassword("{}");',
    "new Client().password('{}').build()",
    'Content-Disposition: form-data; name="password"\r\n\r\n{}\r\n--boundary',
    'Content-Disposition: form-data; name="new_password"\n\n{}\n--boundary',
    "SetEnv DB_PASSWORD {}\n",
    '<input type="password" name="password" value="{}">',
    "getenv(\n  'DB_PASSWORD',\n  '{}')",
    "spring.datasource.password=${{DB_PASSWORD:{}}}\n",
]


@each("form", [*FOUND, *PASSWORDS])
def test_a_secret_is_cut_out_of_every_form_of_a_pair(form: str) -> None:
    value = HUMAN if form in PASSWORDS else TOKEN
    kind = "password" if form in PASSWORDS else "authorization" if "uthorization" in form else "secret-value"
    assert cleaned(form.format(value)) == form.format(f"[REDACTED:{kind}#1]")


@each(
    "password",
    ["S3cretPassw0rd!99", "MyP@ssw0rd123!", "shop-Password#7", "Pr0dSecret-x81", "river_Passw0rd47"],
)
def test_a_password_with_a_word_for_it_within_is_a_secret(password: str) -> None:
    assert cleaned(f"DB_PASSWORD={password}\n") == "DB_PASSWORD=[REDACTED:password#1]\n"
    assert cleaned(f'{{"password": "{password}"}}') == '{"password": "[REDACTED:password#1]"}'
    assert cleaned({"password": password}) == {"password": "[REDACTED:password#1]"}


@each(
    "sample",
    [
        *("P@ssw0rd", "P@ssw0rd1!", "s3cr3t", "mypassword1234", "TestPassword123!", "secret_key-1", "b1999"),
        *("shop_password", "@ESXI1_PASSWORD", "yoursecretkey", "my-password-1234567890", "rsa4096key"),
    ],
)
def test_what_is_made_of_nothing_but_words_for_it_and_a_count_is_none(sample: str) -> None:
    for text in (f"DB_PASSWORD={sample}\n", f'{{"password": "{sample}"}}'):
        assert cleaned(text) == text


def test_a_user_and_a_password_are_cut_out_of_a_header() -> None:
    assert cleaned(f"Authorization: Basic {BASIC}") == "Authorization: Basic [REDACTED:authorization#1]"
    assert cleaned("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert cleaned("Basic instructions of this page") == "Basic instructions of this page"


def test_a_member_is_a_pair_too() -> None:
    value = {"user": "bob", "password": HUMAN, "nested": [{"apiKey": TOKEN}, {"apiKey": "none"}], "n": 1}
    assert cleaned(value) == {
        "user": "bob",
        "password": "[REDACTED:password#1]",
        "nested": [{"apiKey": "[REDACTED:secret-value#2]"}, {"apiKey": "none"}],
        "n": 1,
    }
    harmless = {
        "password": "Passwort",
        "token": "user_12",
        "nextPageToken": TOKEN,
        "x" * 70 + "_token": TOKEN,
    }
    assert cleaned(harmless) is harmless


@each(
    "form",
    [
        *(
            "contraseña: {}\n",
            "La contraseña de la base de datos es {}.",
            "CONTRASENA={}",
            "Passwort für bob: {}",
        ),
        *("Das Passwort lautet {}\n", "Kennwort = '{}'", "mot de passe : {}", "Le mot de passe est « {} »"),
        *("senha: {}", "A senha é {}", "palavra-passe:\n  {}\n", "wachtwoord: {}", "hasło={}", "şifre: {}"),
        *(
            "Ваш пароль — {}",
            "ПАРОЛЬ: {}",
            "Пароль пользователя: `{}`",
            "パスワード\uff1a{}",
            "パスワードは{}です",
        ),
        *(
            "密码是{}。",
            "密碼: {}",
            "비밀번호: {}",
            "كلمة المرور: {}",
            "סיסמה: {}",
            "mật khẩu: {}",
            "รหัสผ่าน: {}",
        ),
        *(
            '{{"contrase\\u00f1a": "{}"}}',
            '{{"пароль": "{}"}}',
            "<senha>{}</senha>",
            'name="senha" value="{}"',
        ),
        *("profile::db::password: {}\n", "parola d'ordine: {}"),
    ],
)
def test_a_password_is_found_behind_the_word_for_it_in_other_languages(form: str) -> None:
    assert cleaned(form.format(HUMAN)) == form.format("[REDACTED:password#1]")


@each("name", ["contraseña", "motDePasse", "senha", "пароль", "パスワード", "db_wachtwoord"])
def test_a_member_may_have_a_name_in_another_language(name: str) -> None:
    assert cleaned({name: HUMAN}) == {name: "[REDACTED:password#1]"}
    words = {name: "obrigatoria", "x": f"{name}: introduzca su clave", "y": f"{name} 密码为6-16个字符"}
    assert cleaned(words) is words


@each(
    "form",
    [
        *("API-Schlüssel: {}\n", "Geheimnis: {}\n", "Zugriffstoken: {}", "Clé d'API : {}", "Clé API : {}"),
        *("Jeton d'accès : {}", "Clave de API: {}", "Chave de API: {}", "Chiave API: {}", "API-sleutel: {}"),
        *("Klucz API: {}", "Ключ API: {}", "Токен: {}", "APIキー\uff1a{}", "アクセストークン: {}"),
        *("访问令牌: {}", "API 密钥: {}", "API 키: {}", '{{"\\u30c8\\u30fc\\u30af\\u30f3": "{}"}}'),
    ],
)
def test_a_key_or_a_token_is_found_behind_the_word_for_it_in_other_languages(form: str) -> None:
    assert TOKEN not in cleaned(form.format(TOKEN))
    assert cleaned(form.format("geheim1")) == form.format("geheim1")


def test_a_member_for_a_key_may_have_a_name_in_another_language() -> None:
    assert cleaned({"Zugriffsschlüssel": TOKEN}) == {"Zugriffsschlüssel": "[REDACTED:secret-value#1]"}
    assert cleaned({"Schlüssel": "siehe Seite 12"}) == {"Schlüssel": "siehe Seite 12"}


@each(
    "text",
    [
        '"resetpass-validity": "La contraseña no es válida: $1\\n\\nDefine una nueva"',
        '"reset": "Lozinka nije važeća: $1"',
        '"yourpassword": "Kontrasenias:"',
        '"login-yourpassword": "Liwengngada"',
        '"admin-password": "Contrasegno:"',
        "$labels['password'] = 'Contrasigno';",
        '"CsvInfoModal.password": "Pasiwedi"',
        "/etc/passwd: 429b225650b912a2ee067b0a4cf1e949\n",
        "gpg --recv-keys 3D06A59ECE730EB71B511C17CE752F178259BD92",
        "  fastcgi_pass             unix:/run/php7.0-fpm.sock;\n",
        ".show-password #pass1-text {\n",
        "tool -user $DB_user -password $DB_password]\n",
        "Cleartext-Password := &session-state:Tmp-Integer-0\n",
        "-password=oauth:XXXX\n",
        "__all__ = ('V3Saml2Password', 'V3ADFSPassword')",
        "Saml2Password = saml2.Password",
        "curl -u root:icinga https://x.example",
        ".IX Item \\-\\-http\\-password=mot_de_passe\n",
        "wget --password=hasło",
        "NickServ IDENTIFY after\n",
        "give --auth-user-pass directive.\n",
        "    password: password$1\n",
        "('dcheck_snmpv3_privpassphrase', 'dcheck_snmpv3_privpassphrase_label')",
        "$DB['PASSWORD'] = ''.addcslashes($this->config['DB']['PASSWORD'], 'x').';'",
        'pem_key = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA8Z1oLQbaYkakUSIYRvjmOoeX"',
        "return{hasLoaded:!1,isActive:!1,isIndeterminate:!1}",
        "const storageSlots = accessListItem[1];\\n",
        "    Pass          VARCHAR(64),\n",
        "self, arn: Arn, passphrase: PassphraseBlob, **kwargs",
        '"smtp_password": "mail_settings",',
        "token = '00000000-0000-0000-0000-000000000000'",
        r'REG_KEY = "HKEY_CLASSES_ROOT\\Licenses\\6F0F8269-1516-44C6-BD30-0E90BE27871C"',
    ],
)
def test_a_label_a_blank_and_a_name_of_code_are_no_passwords(text: str) -> None:
    assert cleaned(text) == text


@each("name", ["userHaslo", "HASLO", "motDePasse", "matKhau", "kataSandi", "db_geslo"])
def test_a_word_of_another_language_is_a_word_of_a_name(name: str) -> None:
    assert cleaned(f'{name} = "{HUMAN}"') == f'{name} = "[REDACTED:password#1]"'
    assert cleaned({"hasLoaded": HUMAN, name: HUMAN}) == {"hasLoaded": HUMAN, name: "[REDACTED:password#1]"}


def test_a_label_says_nothing_of_a_member_without_a_digit() -> None:
    assert cleaned({"yourpassword": "Liwengngada"}) == {"yourpassword": "Liwengngada"}
    assert cleaned({"yourpassword": HUMAN}) == {"yourpassword": "[REDACTED:password#1]"}


def test_a_key_in_base64_may_begin_with_a_slash() -> None:
    key = "/0OfURtPDqrbZtS9K57s7p4/MpEJGHSriZEu//eJwk8="
    assert (
        cleaned(f"[Interface]\nPrivateKey = {key}\n")
        == "[Interface]\nPrivateKey = [REDACTED:secret-value#1]\n"
    )
    path = "PrivateKey = /etc/wireguard/wg0.conf"
    assert cleaned(path) == path


@each("mark", ["-", "*", "+", ">", "\u2022"])
def test_an_item_of_a_list_is_a_line_of_its_own(mark: str) -> None:
    assert cleaned(f" {mark} Password: harbour7bridges\n") == f" {mark} Password: [REDACTED:password#1]\n"


def test_a_type_names_no_secret() -> None:
    value = {"AWS::IAM::AccessKey": "bf29289b78d371e3", "AWS::AppSync::ApiKey": TOKEN}
    assert cleaned(value) is value


@each(
    "rule",
    [
        "password:[min8chars]",
        "- **password** — 8characters or more",
        "password -> bcrypt10 hash",
        "# Password\n8+characters",
        '[["db", "password"], "varchar255"]',
        "password: min(8),max(64)",
        '{"password": "nvarchar(128)"}',
    ],
)
def test_what_a_password_has_to_be_and_how_it_is_kept_stays(rule: str) -> None:
    assert cleaned(rule) == rule


@each("value", ["Max8chars-Winter", "8+charactersX9q2", "bcrypt10-Kx29dk", "Sha-Tin-2041"])
def test_a_word_of_a_rule_in_a_password_hides_nothing(value: str) -> None:
    assert value not in cleaned(f"password: {value}")


@each("sample", ["changeme", "my-secret-token", "password123", "REPLACE_ME"])
@each("line", ["e0b1c2d3e4f5a6b7c8d9", "Z9y8X7w6V5u4T3s2", "S3_BUCKET=Prod1Data"])
def test_a_sample_is_one_whatever_the_next_line_is(sample: str, line: str) -> None:
    for text in (f"API_KEY={sample}\n{line}\n", f"+ password: {sample}\n+ {line}"):
        assert cleaned(text) == text


def test_a_name_and_its_value_may_be_members_of_their_own() -> None:
    rows = [{"name": "LEVEL", "value": HUMAN}, {"name": "DB_PASSWORD", "type": "plain", "value": HUMAN}]
    assert cleaned({"env": rows, "value": 7}) == {
        "env": [rows[0], {"name": "DB_PASSWORD", "type": "plain", "value": "[REDACTED:password#1]"}],
        "value": 7,
    }
    tags = {"Tags": [{"Key": "api_key", "Value": TOKEN}, {"Key": "api_key", "Value": "none"}, {"Key": "a"}]}
    assert cleaned(tags)["Tags"][0] == {"Key": "api_key", "Value": "[REDACTED:secret-value#1]"}
    harmless = {"value": [HUMAN, 1], "name": "DB_PASSWORD"}
    assert cleaned(harmless) is harmless


@pytest.mark.parametrize("name", ["password0", "userPassword2", "passwords", "DB_PASSPHRASES"])
def test_a_name_may_have_a_number_at_its_end_or_be_that_of_a_list(name: str) -> None:
    assert cleaned({name: ["Xk30zQpL9"]}) == {name: ["[REDACTED:password#1]"]}
    assert cleaned({name: "Xk30zQpL9"}) == {name: "[REDACTED:password#1]"}


def test_the_words_of_a_list_of_passwords_are_no_passwords() -> None:
    value = {"passwords": ["Mismatched", "unsupported"]}
    assert cleaned(value) == value


LEFT_ALONE = [
    '"AWS::IAM::AccessKey": "bf29289b78d371e3", "AWS::Config::AggregationAuthorization": "141e19f3841b50f5"',
    'CLIENT_LONG_PASSWORD = 0x00000001; SEC_E_NO_CREDENTIALS = 0x8009030E; "token": "0x8009030EUL"',
    "pw = 2.0**self.frac_bits; passphrase = conf.p11_crypto_plugin.login",
    "self.san_password = HPE3PAR_USER_PASS; raid_password = 'password=%s'",
    "passphrase = 'insecure-key-do-not-use-this-key'; password = '**SECRET**'; key = auth.oauth2.clientPassword",
    "v2private_get_user_api_key = v2PrivateGetUserApiKey; exports.I18nInjectionKey = I18nInjectionKey",
    'invalid_password:"\u30d1\u30b9\u30ef\u30fc\u30c9\u306f8\u6587\u5b57\u5fc5\u8981\u3067\u3059"',
    '"2. **Password policy**\\n4. x"; password: "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"',
    '"identity:change_password": "rule:admin_or_owner", amqp://{0}:{1}@h',
    "ldaptor-ldap2passwd = ldaptor._scripts.ldap2passwd:console_script",
    "resource secret 'Microsoft.KeyVault/vaults/secrets@2023-07-01'",
    "setenv('MYSQL_PWD', 'env-secret'); x = {'password': 'work-pass', 'passphrase': '--passphrase-fd'}",
    "scheme://user:pass@host:port[,user1:pass1@host1:port1]; http://atslash%2F%40:%2F%40@x",
    "'ConsoleAuthToken': '1.3-64803f4ab6b1bf92af587bbf21793390'",
    "'AUDIO_TTS_AZURE_SPEECH_OUTPUT_FORMAT', 'audio-24khz-160kbitrate-mono-mp3'",
    '"redis_password": "redis_url", port: 30001, password: "password-for-30001"',
    '{"new_password1": "2pa$$word!"}',
    "rediss://user%40example.com:pass%3Aword@cache",
    "{password:String(pass1word2)}",
    "{password:harboursunshine}",
    "{password:harbour1sun,user:b}",
    "x={password:harbour1sun",
    "a ? password:harbour1sunshine",
    'f("password", "harbour1sunshine")',
    '["password", "harbour1sunshine", "x"]',
    '["password", "harboursunshine"]',
    '["monkey", "harbour1sunshine"]',
    "sort key: q7Zt2Wb9Kx4Lm8Rv1Yd5\n",
    "x: Password = harboursunshine",
    "Key: logs/2026/01/abcDEF123456.gz\nKey=uploads/9f86d081884c7d65.png",
    '{"component_key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}',
    '{"versionToken": "9f86d081884c7d65", "concurrencyToken": "9f86d081884c7d65"}',
    'o.password=""}if(message.instanceId2!=null)',
    "`key`, `passphrase`,\n`agentOptions`, `strictSSL`",
    "x.signature = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'",
    "the token\tq7Zt2Wb9Kx4Lm8Rv1Yd5\n",
    "API_TOKEN\tq7Zt2Wb9Kx4Lm8Rv1Yd5 is one\n",
    "postgresql://{user}:{password}@{host}",
    "postgres://user:pass@localhost/db",
    "redis://:$REDIS_PASSWORD@cache",
    "https://bot:${TOKEN1}@git.example",
    "password = getpass(prompt2)",
    "token = tokenizer.next(12)[0]",
    "api_key=os.environ['API_KEY_2']",
    "api_key=process.env.API_KEY_2",
    "password: str = Field(min_length=12)",
    "secret: ${SECRET_1}",
    "secret: '{{ vault.secret_12 }}'",
    'password: "<your password 123>"',
    "password=%(password1)s",
    "API_KEY=your-api-key-123",
    "API_KEY=xxxxxxxxxxxxxxxxxxxx1",
    "password=changeme123",
    "password = 'password123'",
    "password = 'p4ssw0rd'",
    '"token_type": "bearer2"',
    '"token_id": "a1b2c3d4e5f6a7b8c9d0"',
    "nextPageToken: a1b2c3d4e5f6a7b8c9d0",
    "https://graph.microsoft.com/v1.0/me/messages?$skiptoken=a1b2c3d4e5f6a7b8c9d0",
    "https://graph.microsoft.com/v1.0/me/messages/delta?%24deltatoken=aQdvS1VwGCSRxVmZJqykmDik_JIC44iCZpv-GLiA",
    "https://example.com/items?nextpagetoken=a1b2c3d4e5f6a7b8c9d0",
    "aws s3api list-objects --starting-token a1b2c3d4e5f6a7b8c9d0",
    "<resumptionToken>a1b2c3d4e5f6a7b8c9d0</resumptionToken>",
    "paginationToken: a1b2c3d4e5f6a7b8c9d0",
    '"key": "d41d8cd98f00b204e9800998ecf8427e"',
    '"sort_key": "2024-01-01T00:00:00Z#a1b2"',
    "publicKey: a1B2c3D4e5F6g7H8i9J0",
    "key_file: /etc/ssl/private/host-2024.key",
    "secret_name: 'prod/db/main-2024'",
    "if password == 'q7Zt2Wb9Kx':",
    "auth::Token1234567::new",
    "sfr://user:password>/a1B2c3D4e5",
    "secret_arn: arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-a1B2c3",
    "password: 12345678",
    "password: 'correct horse battery staple 9'",
    "access_token=2YotnFZFEjr1zCsicMWpAA",
    "api_key: 0123456789abcdef0123456789abcdef",
    "token: 'abcdefgh12345678'",
    "token: a1b2c3",
    "secret=bob@example2.com9",
    "a token a1b2c3 of none",
    "the request token t0 and t1",
    "SELECT u.login_1 AS password FROM users u",
    "import x as token = 'a word'",
    "the secret to success2024 is work",
    "Cookie: _ga=GA1.2.1234567890.1234567890; theme=dark-2024",
    "Cookie: consent",
    "login with your password today",
    "IDENTIFIED BY 12 names",
    "tool --token-file a1B2c3D4e5F6g7H8i9J0",
    "tool --token",
    "tool -u 1000:1000 x",
    "bearer of good news1234567890123",
    "<password>\nq7Zt2Wb9Kx4\nq7Zt2Wb9Kx4\n</password>",
    "<password>q7Zt2Wb9Kx4",
    'password: "q7Zt2Wb9Kx4Lm',
    "name: VERSION\nvalue: a1B2c3D4e5F6g7H8i9J0 key",
    "PASSWORD 'none of 12 words'",
    b"-----BEGIN OPENSSH PRIVATE KEY-----".decode() + '"\nEND = "-----END OPENSSH PRIVATE KEY-----"',
    "AKIAIOSFODNN7EXAMPLE",
    "keys.py,sha256=ghp_" + "aB3kQ9xZ7mT2" * 3 + "x4C",
    "keys.py,sha256=x4C_ghp_" + "aB3kQ9xZ7mT2" * 2 + "x4CaB3kQ9xZ,1",
    "name = 'airtableOAuth2Api'; github: 'GithubV1WorkflowNode', 'v11'",
    "exports.UptimeRobotV1PublicStatusPageGetNode = UptimeRobotV1PublicStatusPageGetNode",
    "datadog: 'AlertingRuleEvaluationOutcome2x'",
    '"dialecte+controlador://usuari:contrasenya@amfitrio"',
    "'ocient://\u043f\u043e\u043b:\u043f\u0430\u0440\u043e\u043b\u044c@host'",
    "postgresql://usuario:contrase\u00f1a@servidor",
    're.compile(r"https://[^:]+:[^@]+@github"), re.compile(r"https://x-token-auth:[^@]+@")',
    'jdbc: "jdbc:mysql://admin:s3cr3t@db"',
    '(0,o.t)("Enter your login and password below:")}),(0,i.FD)(c.l,{layout:2})',
    'this.renderPass="translucent"; var blendPass = "additivefirst2";',
    "(for example, a PIN, biometric data, or a password) to uniquely identify",
    'credential_type: str  # "password" or "certificate"',
    "oci iam user update-capabilities --can-use-console-password false",
    "config.get('password', 'forbidden')",
    "self.proxy._IMAGE_MD5_KEY: '144c9defac04969c7bfad8efaa8ea194'",
    "password: 'something',",
    'inquirer.password("EnterIt"); checkPassword("SunshineHarbor")',
    'x.label("password")\n\nriver.Stone47! "password"\n\nriver.Stone47!',
    'types = [\n"forget-password",\n"change-email"\n]',
    "class Store(Model):\n    password: StrictStr\n    user: StrictStr\n",
    'ED25519_KEY_OPTIONAL_PASSPHRASE = "ed25519-key"; ECDSA_KEY_PASSPHRASE = "ecdsa-key"',
    '"token": "xoxb-your-slack-token", "key": "sk-ant-your-api-key-here"',
    "e.g. `-----BEGIN RSA PRIVATE "
    + "KEY----- MIIEpQIBAAKCAQEAuyf/lNrH9ck8DmNyo3fGgvCI1l9s+cmBY3WIz+cUDqmxiieR\\\\n."
    "-----END RSA PRIVATE KEY-----`",
    "<secret>|a1b2c3d4e5",
    "Authorization: a1b2c3d",
    "tool -u a1b2 x",
    "secret=a1b2=c3d4e5f6g7",
    "https://a.example:8080,b.example:8081@c",
    "ghp_" + "x" * 36,
    "def test_ContinuousDistributionHandmade():",
    "def test_failedPrivateKeyAuthentication_sk_ed25519_invalid():",
    "def test_exceptionGreaterThan64kEncoded():",
    "v3oauth2mtlsclientcredential = keystoneauth1.loading._plugins.identity.v3:OAuth2mTlsClientCredential",
    "RegEnumKey = win32api.RegEnumKey",
    "var(--md-circular-progress-size)",
    "let t=this.get(e);t._currentPass=t.currentPass,t.x=1",
    "type === 'password' ? 'newPassword' : 'verificationCode';",
    "password:`Ger-tremen`",
    'Use this key: "sk-1234567890abcdefghijklmnopqrstuvwxyz"',
    "verdaccio-htpasswd: 13.0.0-next-8.29\n",
    "export KEK_PASSPHRASE='new-passphrase'",
    '{name:"PASS",value:"passed"}',
    "static/translations/sk-06041317ae9fc90918f0b43fe1732c4e.json,sha256=x",
    'github = Client(CLIENT_ID = "1440cafcc86e3ea5d6a2")',
    *(
        f'"password": "{word}"'
        for word in ("Contrase\\u00f1a", "Palavra-passe", "Passwuert", "Gebruikerswachtwoord", "__generate__")
    ),
    '"encryption_key": "Verschl\\u00fcsselungscode"',
    r"re.findall(r'https?:\/\/.*:(.*)@.*', url)",
    "api_key: ApiKeyV2Model",
    "PS_ROUTING_SEARCH_KEY: _win32typing.PyIID",
]


@each("value", ["TEQGBVFJOCHVIEDNBHNVAHKVOL", "wYRnpmEBnlVeJAygPmCdjwSG", "tqwzkfxjvbnmhrglpdsk"])
@each("form", ["TOTP_SECRET={}", "client_secret: {}", '"api_key": "{}",', "export TOKEN={}", "password={}"])
def test_a_secret_may_have_no_digit_where_its_letters_make_no_words(form: str, value: str) -> None:
    assert value not in cleaned(form.format(value))
    assert value not in str(cleaned({"outputs": {"first": {"value": value, "sensitive": True}}}))


@each(
    "text", ["token: authenticationBackend", "API_KEY=configuredelsewhere", "secret = SecretsManagerClient"]
)
def test_words_are_no_secret_however_long(text: str) -> None:
    assert cleaned(text) == text


@each("text", LEFT_ALONE)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert cleaned(text) == text


def test_the_name_says_how_much_a_value_has_to_look_like_a_secret() -> None:
    assert is_secret("password", "Stone#River7", True)
    assert not is_secret("token", "Stone#River7", True)
    assert is_secret("token", "a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6", True)
    assert not is_secret("weak", "a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6", True)
    assert is_secret("weak", TOKEN, True)
    assert not is_secret("weak", "qZtgWbkKxxLmRvRvYd5x", True)
    assert is_secret("password", "winter.coffee20", True)
    assert not is_secret("password", "winter.coffee20", False)


def test_what_documentation_gives_as_an_example_is_known() -> None:
    assert is_example("aws-access-key-id", b"AKIAIOSFODNN7EXAMPLE")
    assert is_example("github-token", b"ghp_1234567890abcdefghijklmnopqrstuvwxyz")
    assert is_example("private-key", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")
    assert not is_example("private-key", b"-----BEGIN PRIVATE KEY-----\n" + b"aB3k" * 8)
    assert not is_basic(b"////")
    assert not is_basic(b"x")


def test_names_are_remembered_up_to_a_length() -> None:
    assert said("DB_PASSWORD") == "password"
    assert said("x" * 65 + "_token") == ""
    assert said("a_b_c_d_e_f_g_h_token") == ""
    assert named("password", HUMAN) == ("password", HUMAN.encode())
    assert named("password", "a1b2c") is None
    assert named("api_token", TOKEN[:9]) is None
    assert named("password", HUMAN * 100) is None
    assert named("user", HUMAN) is None


PIECE = st.sampled_from(
    [
        *(
            "password",
            "API_KEY",
            "token",
            "=",
            ": ",
            '"',
            "'",
            "\\",
            "\n",
            " ",
            TOKEN,
            HUMAN,
            "Bearer ",
            BASIC,
        ),
        *("Authorization", "Basic ", "value", "name", ",", "{", "://u:", "@", "<", ">", "&", "Cookie: sid="),
        *("--", "login bob password ", "IDENTIFIED BY '", "[REDACTED:password#1]", "\u200b"),
    ]
)
TEXT = st.lists(PIECE, max_size=12).map("".join)
NAME = TEXT | st.sampled_from(["password", "token", "name", "value"])
VALUE = st.recursive(
    TEXT | st.integers(), lambda one: st.lists(one, max_size=4) | st.dictionaries(NAME, one, max_size=4)
)


@settings(deadline=None, max_examples=150)
@given(value=VALUE)
def test_nothing_is_left_to_remove(value: Any) -> None:
    redactor = Redactor(b"key")
    try:
        once = redactor.inspect(value).value
    except InspectionError:
        return
    again = redactor.inspect(once)
    assert again.value == once
    assert not again.findings


def test_an_odd_name_above_an_empty_line_begins_no_table() -> None:
    value = {"\u200bpassword": "\nplain"}
    assert Redactor(b"key").inspect(value).value == {"[U+200B]password": "\nplain"}


def test_what_is_not_quoted_is_no_secret_where_it_is_no_token() -> None:
    assert is_secret("token", TOKEN, False)
    assert not is_secret("token", f"{TOKEN}(x)", False)
    assert not is_secret("token", "settings.api_v2.key_3x", False)


def test_the_password_of_a_url_is_no_sample_where_it_is_random() -> None:
    assert not is_sample_of_a_url("xkqzjvbw")
    assert not is_sample_of_a_url(HUMAN)
    assert is_sample_of_a_url("my-password")
    assert is_sample_of_a_url("p4ssw0rd")
    assert not is_sample_of_a_url("S3cretPassw0rd!99")
    assert not is_sample_of_a_url("pa55w0rd-of-app")


@each(
    "text",
    [
        "adduser -q --disabled-password river7stone ada",
        'click.option("-w", "--no-password", "never_prompt7")',
        "docker run --link my-mongo:mongo -v a:/b -p 1337:1337 x",
        "#define PASSWORD_SIZE 40\n",
        "#define API_TOKEN token_of_q7Zt2Wb9(x)\n",
        *(
            "DB_PASSWORD=${X:-postgres}",
            "DB_PASSWORD=${X:?must be set, 2 of them}",
            "DB_PASSWORD=$(cat /run/secrets/db1)",
        ),
        *(
            "DB_PASSWORD=${OTHER_PASSWORD1}",
            "TOKEN=${TOKENS[1]}",
            "TOKEN=$(echo $TOKEN1)",
            "token %s is 1 of many",
        ),
        *(
            f"the token  {TOKEN[:6]}words",
            "Access token - for 2 hours",
            "Reset password\tstep 2",
            "API key  sha256\n",
        ),
        *("secret_id = my-secret-1", '"SecretId": "prod/db-AbCdEf1"', "password += suffix1"),
        "${DB_PASSWORD:-postgres} and ${DB_PASSWORD:-} and ${DB_PASSWORD:-$OTHER1}",
        "x_password:-Tr0ub4dor&3}",
        'add_argument("--count", default="q7Zt2Wb9Kx4Lm8Rv1Yd5")',
        "password field; default='Tr0ub4dorAnd3'",
        "password=>''+concat(first1234)",
        'password:=""|coalesce(first1234)',
        # What is not closed, and repeats, is read once.
        "${DB_PASSWORD:-" + "x" * 40 + " ${DB_PASSWORD:-" + "y" * 40,
        "default='abcdef' " * 60,
    ],
)
def test_what_has_no_value_and_what_only_stands_behind_a_name_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize("value", ["0xA9f3C7e1B2d4", "aB3dE9fG2hKey"])
def test_what_only_begins_or_ends_as_a_number_or_a_name_is_a_secret(value: str) -> None:
    assert cleaned(f'token = "{value}"; db_password = "{value}"').count("[REDACTED:") == 2


@each(
    "pair",
    [
        '"token": "|abc123", "n": 1',
        "Token=|abc12;Server=a",
        "?token=|abc12&key=b234567890123456",
        "token: |a1\tb",
        "<password>|a1b2</password>",
    ],
    ids=str,
)
def test_a_value_that_ends_before_it_is_long_enough_is_not_read(pair: str) -> None:
    ahead, _, behind = pair.partition("|")
    assert ahead_of((ahead + behind).encode() + PAD, len(ahead)) is None


@each(
    "form",
    [
        "DB_PASSWORD=a;b1{}",
        "\nDB_PASSWORD=a;b1{}",
        "\na.b.password=a|b1{}",
        '"token": "q7Zt2Wb\\"{}x4Lm8Rv"',
        "Authorization: Basic {}",
        "?PASSWORD=a&b1{}",
        "--password={};a",
    ],
    ids=str,
)
def test_a_value_that_goes_on_behind_what_may_end_one_is_found(form: str) -> None:
    secret = BASIC if "Basic" in form else "kQ7x9"
    assert secret not in cleaned(form.format(secret))


def test_a_pair_is_found_in_json_within_json_to_a_depth_of_three() -> None:
    text = json.dumps({"user": "ada", "password": "q7Zt2Wb9Kx4", "port": 1})
    for _ in range(3):
        text = json.dumps({"message": text})
        said = cleaned(text)
        assert said == text.replace("q7Zt2Wb9Kx4", "[REDACTED:password#1]")
