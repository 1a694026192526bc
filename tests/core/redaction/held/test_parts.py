"""Of a value that is made of several, each secret member is found alone, and nothing harmless is taken."""

from __future__ import annotations

import json
import re
from base64 import b64encode

import pytest

from mcpguard.core.redaction.held.parts import MOST, parts
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


P = "hunter2pw"
R = "k9Xz7Lm2Qw8Rt4Vb6Ny1"
PW = "c0rrect-Horse9"
HEX = "9f86d081884c7d659a2feaa0c55ad015"
AWS = "wJalrXUtnFEMI7K7MDENG" + "bPxRfiCYzQ9kT3mW2nL"
GH = "ghp_" + "aB3kQ9xZ7mT2" * 3
BODY = "MzEfYyjiWA4R4ypbHqGC0H9vXg2mK3pTn5bWq8Zs1LdXcVfRtYuIoPaSdFgHjKlQ"
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
    f"{BODY}\n"
    "Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVtCrNmBk4Q\n"
    "-----END PRIVATE KEY-----\n"
)
SIG = "Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVtCrN"
JWT = ".".join(("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSJ9", SIG))
GONE = "[REDACTED:credential:x#1]"

# The value, its members that are secret, and what in it is not.
KINDS: dict[str, tuple[str, list[str], list[str]]] = {
    "aws credentials": (
        f"[default]\naws_access_key_id = AKIA2X7Q9ZLMNBVC5RTY\naws_secret_access_key = {AWS}\nregion = us-east-1\n",
        [AWS],
        ["us-east-1", "default"],
    ),
    "service account": (
        json.dumps(
            {
                "type": "service_account",
                "project_id": "acme-prod-4711",
                "private_key_id": HEX + "a1b2c3d4",
                "private_key": PEM,
                "client_email": "deploy-bot-77@acme-prod-4711.iam.gserviceaccount.com",
                "client_id": "115203948571029384756",
                "auth_uri": "https://accounts.google.com/o/oauth2/auth",
                "token_uri": "https://oauth2.googleapis.com/token",
                "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/deploy-bot-77%40acme-prod-4711.iam.gserviceaccount.com",
            },
            indent=2,
        ),
        [BODY],
        [
            "service_account",
            "acme-prod-4711",
            "https://oauth2.googleapis.com/token",
            "deploy-bot-77@acme-prod-4711.iam.gserviceaccount.com",
            "115203948571029384756",
            "https://www.googleapis.com/robot/v1/metadata/x509/",
        ],
    ),
    "kubeconfig": (
        f"apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: {b64('-----BEGIN CERTIFICATE-----xx')}\n    server: https://k8s-prod-1.example.com:6443\n  name: prod-cluster-01\nusers:\n- name: admin-user-01\n  user:\n    token: {R}\n    client-key-data: {b64(PEM)}\n",
        [R, b64(PEM)[:200]],
        ["https://k8s-prod-1.example.com:6443", "prod-cluster-01", "apiVersion: v1"],
    ),
    "docker config": (
        json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": b64("bob:" + PW)}}}),
        [PW, b64("bob:" + PW)],
        ["https://index.docker.io/v1/"],
    ),
    "npmrc": (
        f"registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken={R}\n//npm.acme.dev/:_password={b64(P)}\n",
        [R, b64(P), P],
        ["https://registry.npmjs.org/"],
    ),
    "pypirc": (
        f"[distutils]\nindex-servers = pypi\n[pypi]\nrepository = https://upload.pypi.org/legacy/\nusername = __token__\npassword = {P}\n",
        [P],
        ["https://upload.pypi.org/legacy/", "__token__"],
    ),
    "netrc": (
        f"machine api.github.com login octocat77 password {P}\nmachine h2 login x password {PW}",
        [P, PW],
        ["api.github.com", "octocat77"],
    ),
    "netrc lines": (f"machine api.github.com\n  login octocat77\n  password {P}\n", [P], ["api.github.com"]),
    ".env": (
        f"# prod\nexport DB_HOST=db-01.acme.internal\nDB_PASSWORD='{P}'\nAPI_KEY={R}\nREGION=eu-central-1\nLOG_LEVEL=debug\n",
        [P, R],
        ["db-01.acme.internal", "eu-central-1", "debug"],
    ),
    "postgres url": (
        f"postgresql://app:{P}@db-01.acme.internal:5432/orders?sslmode=require",
        [P],
        ["db-01.acme.internal", "require", "orders"],
    ),
    "redis url": (f"redis://:{P}@cache-01.acme.internal:6379/0", [P], ["cache-01.acme.internal"]),
    "amqp url": (f"amqps://svc:{PW}@mq-01.acme.internal/vhost1", [PW], ["mq-01.acme.internal"]),
    "mongodb": (
        "mongodb+srv://svc:p%40ss%2Fw0rd@cluster0.ab1cd.mongodb.net/test?retryWrites=true&w=majority",
        ["p@ss/w0rd", "p%40ss%2Fw0rd"],
        ["cluster0.ab1cd.mongodb.net", "majority"],
    ),
    "azure storage": (
        f"DefaultEndpointsProtocol=https;AccountName=acmestore01;AccountKey={b64(R * 3)}==;EndpointSuffix=core.windows.net",
        [b64(R * 3)],
        ["acmestore01", "core.windows.net"],
    ),
    "service bus": (
        f"Endpoint=sb://acme-bus-01.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={b64(R)}",
        [b64(R)],
        ["acme-bus-01.servicebus.windows.net", "RootManageSharedAccessKey"],
    ),
    "odbc": (
        f"Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:sql-01.acme.internal,1433;Database=orders;Uid=svc_app;Pwd={{{P};x}};Encrypt=yes;",
        [P + ";x"],
        ["ODBC Driver 18 for SQL Server", "sql-01.acme.internal", "svc_app"],
    ),
    "ado": (
        f"Server=db;Database=x;User Id=sa;Password={P};TrustServerCertificate=True",
        [P],
        ["TrustServerCertificate"],
    ),
    "libpq": (f"host=db-01.acme.internal user=app password={P} dbname=orders", [P], ["db-01.acme.internal"]),
    "jdbc": (
        f"jdbc:postgresql://db-01.acme.internal/orders?user=app&password={P}&ssl=true",
        [P],
        ["db-01.acme.internal"],
    ),
    "jdbc sqlserver": (f"jdbc:sqlserver://sql-01:1433;databaseName=x;user=sa;password={P};", [P], ["sql-01"]),
    "oracle": (f"jdbc:oracle:thin:scott/{P}@//ora-01.acme.internal:1521/XE", [P], ["ora-01.acme.internal"]),
    "jwt": (JWT, [SIG], ["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"]),
    "cookie": (
        f"Cookie: theme=dark; sessionid={R}; csrftoken={HEX}; lang=en-US",
        [R, HEX],
        ["dark", "en-US"],
    ),
    "set-cookie": (f"sid={R}; Path=/; HttpOnly; Domain=app.acme.dev", [R], ["app.acme.dev", "HttpOnly"]),
    "sas url": (
        "https://acmestore01.blob.core.windows.net/c/f.txt?sv=2022-11-02&ss=b&srt=sco&sp=rwdl&se=2030-01-01T00:00:00Z&sig=Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVt%3D",
        ["Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVt="],
        ["acmestore01.blob.core.windows.net", "2022-11-02"],
    ),
    "sas token": (
        "?sv=2022-11-02&sp=r&sig=Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVt%3D",
        ["Kx7vT1m3oS5n9bW2cRq8ZuYjLhGfDsAp0iEwXyVt="],
        ["2022-11-02"],
    ),
    "slack hook": (
        "https://hooks.slack.com/services/T024BE7LD/B0192KXQ8/" + R + "xYzA",
        [R + "xYzA"],
        ["hooks.slack.com"],
    ),
    "discord hook": (
        f"https://discord.com/api/webhooks/912345678901234567/{R}_{R}-aZ",
        [f"{R}_{R}-aZ"],
        ["discord.com"],
    ),
    "telegram url": (
        f"https://api.telegram.org/bot123456789:AAF{R}{R[:12]}/sendMessage",
        [f"AAF{R}{R[:12]}"],
        ["api.telegram.org", "sendMessage"],
    ),
    "api_key query": (
        f"https://api.acme.dev/v2/search?api_key={R}&format=json",
        [R],
        ["api.acme.dev", "json"],
    ),
    "bearer": (f"Bearer {GH}", [GH], ["Bearer"]),
    "basic": ("Basic " + b64("bob:" + PW), [b64("bob:" + PW), PW], ["Basic"]),
    "token": (f"token {R}", [R], ["token"]),
    "header": (f"Authorization: Bearer {R}", [R], ["Authorization"]),
    "header2": (f"X-Api-Key: {R}", [R], ["X-Api-Key"]),
    "userpw": (f"octocat77:{PW}", [PW], ["octocat77"]),
    "userpw b64": (b64(f"octocat77:{PW}"), [PW], ["octocat77"]),
    "url token user": (f"https://{GH}@github.com/acme/repo.git", [GH], ["github.com", "acme"]),
    "url oauth2": (f"https://oauth2:{R}@gitlab.com/acme/repo.git", [R], ["gitlab.com"]),
    "git-credentials": (
        f"https://bob:{P}@github.com\nhttps://ann:{PW}@gitlab.com\n",
        [P, PW],
        ["github.com"],
    ),
    "pgpass": (
        f"db-01.acme.internal:5432:orders:app:{P}\n*:*:*:bob:a\\:b{PW}\n",
        [P, "a:b" + PW],
        ["db-01.acme.internal"],
    ),
    "toml": (
        f'[registry]\ntoken = "{R}"\nindex = "https://idx.acme.dev"\n[db]\nconn = {{ user = "app", password = "{P}" }}\n',
        [R, P],
        ["https://idx.acme.dev"],
    ),
    "yaml": (
        f"db:\n  host: db-01.acme.internal\n  user: app\n  password: {P}\n  # c\nkeys:\n  - name: main\n    secret: '{R}'\n",
        [P, R],
        ["db-01.acme.internal"],
    ),
    "json": (
        json.dumps(
            {
                "host": "db-01.acme.internal",
                "port": 5432,
                "username": "app",
                "password": P,
                "engine": "postgres",
            }
        ),
        [P],
        ["db-01.acme.internal", "postgres"],
    ),
    "nested json": (json.dumps({"SecretString": json.dumps({"user": "svc", "password": P})}), [P], ["svc"]),
    "aws sts": (
        json.dumps(
            {
                "Credentials": {
                    "AccessKeyId": "ASIA2X7Q9ZLMNBVC5RTY",
                    "SecretAccessKey": AWS,
                    "SessionToken": "IQoJb3JpZ2luX2VjE" + R * 4,
                    "Expiration": "2030-01-01T00:00:00Z",
                }
            }
        ),
        [AWS, "IQoJb3JpZ2luX2VjE" + R * 4],
        ["2030-01-01T00:00:00Z"],
    ),
    "azure sp": (
        json.dumps(
            {
                "appId": "0f8fad5b-d9cb-469f-a165-70867728950e",
                "displayName": "ci",
                "password": "abc8Q~" + R + "xyz.12",
                "tenant": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            }
        ),
        ["abc8Q~" + R + "xyz.12"],
        ["7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    ),
    "maven": (
        f"<server><id>nexus</id><username>deploy</username><password>{P}</password></server>",
        [P],
        ["nexus", "deploy"],
    ),
    "appsettings": (
        f'<add key="ApiKey" value="{R}" /><add key="Region" value="eu-central-1"/>',
        [R],
        ["eu-central-1"],
    ),
    "ssh key": (PEM.replace("PRIVATE", "OPENSSH PRIVATE"), [BODY], ["-----BEGIN OPENSSH PRIVATE KEY-----"]),
    "pem body one line": (PEM, ["".join(PEM.split("\n")[1:-2])], []),
    "pem literal n": (PEM.replace("\n", "\\n"), [BODY], []),
    "cli": (f"mysql --host db-01 --user app --password {P}", [P], ["db-01"]),
    "cli eq": (f"tool --token={R} --region eu-central-1", [R], ["eu-central-1"]),
    "curl": (f"curl -u bob:{PW} https://api.acme.dev/v1", [PW], ["https://api.acme.dev/v1"]),
    "form": (
        f"grant_type=client_credentials&client_id=app-01&client_secret={R}",
        [R],
        ["client_credentials", "app-01"],
    ),
    "csv key": (f"User name,Access key ID,Secret access key\nbob,AKIA2X7Q9ZLMNBVC5RTY,{AWS}", [AWS], []),
    "sentry": (f"https://{HEX}@o450123.ingest.sentry.io/4501234", [HEX], ["o450123.ingest.sentry.io"]),
    "smtp url": (f"smtp://mailer%40acme.dev:{PW}@smtp.acme.dev:587", [PW], ["smtp.acme.dev", "acme.dev"]),
    "k8s secret": (
        f"apiVersion: v1\nkind: Secret\ndata:\n  password: {b64(P)}\n  username: {b64('application-user')}\ntype: Opaque",
        [P, b64(P)],
        ["Opaque"],
    ),
    "tf vars": (f'db_password = "{P}"\nregion = "eu-central-1"\n', [P], ["eu-central-1"]),
    "properties": (
        f"spring.datasource.url=jdbc:mysql://db-01/orders\nspring.datasource.password={P}\n",
        [P],
        ["db-01"],
    ),
    "python dict": (f"{{'user': 'app', 'password': '{P}'}}", [P], ["app"]),
    "rclone": (
        f"[s3]\ntype = s3\nprovider = AWS\naccess_key_id = AKIA2X7Q9ZLMNBVC5RTY\nsecret_access_key = {AWS}\n",
        [AWS],
        ["provider"],
    ),
    "digest hdr": (f'Digest username="bob", realm="api", response="{HEX}"', [HEX], ["realm"]),
}


def told(kind: str, texts: list[str]) -> list[str]:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(KINDS[kind][0]))
    return [redactor.inspect_text(f"it is <{text}>, you see") for text in texts]


@each("kind", KINDS)
def test_each_secret_member_is_found_alone_and_no_other(kind: str) -> None:
    _value, secrets, harmless = KINDS[kind]
    for text, said in zip(secrets, told(kind, secrets), strict=True):
        left = said.removeprefix("it is <").removesuffix(">, you see").replace(GONE, "")
        assert len(re.sub(r"\\n", "", left)) <= 3, f"{text}: {said}"
    for text, said in zip(harmless, told(kind, harmless), strict=True):
        assert GONE not in said, f"{text}: {said}"


def test_a_value_of_many_members_is_read_to_a_bound() -> None:
    value = json.dumps({f"token_{number}": f"{R[:9]}{number}" for number in range(600)})
    assert len(parts(value)) == MOST
    deep: object = f"{P}x"
    for _ in range(100):
        deep = [{"password": deep}]
    assert parts(json.dumps(deep)) == [f"{P}x"]


@pytest.mark.parametrize(
    ("value", "member"),
    [
        ('password = "hunter2\\"pw"', 'hunter2"pw'),
        ("scott/hunter2pw@ora-01.acme.internal", "hunter2pw"),
    ],
)
def test_a_member_is_read_as_its_format_has_it(value: str, member: str) -> None:
    assert member in parts(value)


@each(
    "value",
    [
        R,
        "localhost:8080",
        "db-01.acme.internal:5432",
        '{"password": "changeme", "token": "${TOKEN}", "pin": 1234}',
        '{"password": "12345678901"}',
        "password=\\",
        "[1, 2",
        '"\\ud800"',
        b64("ab\0cd\0ef\0gh"),
    ],
)
def test_a_value_without_a_secret_member_has_none(value: str) -> None:
    assert parts(value) == []
