"""The formats that have an expression of their own: `formats.txt` says what each is for."""

from base64 import b64encode
from binascii import Error, a2b_base64

from mcpguard.core.redaction.detectors.format import ALONE, END, HEX, IS, MIX, UUID, Detector, Format
from mcpguard.core.redaction.detectors.named.shapes import looks_random


def is_pair(match: bytes) -> int:
    """Whether the last text in quotes is the base64 of a user and a password (RFC 7617, section 2)."""
    value = match.rstrip(b'\\"').rpartition(b'"')[2]
    try:
        user, colon, password = a2b_base64(value + b"=" * (-len(value) % 4)).partition(b":")
    except Error:
        return 0
    return len(match) if user.isascii() and colon and len(password) > 2 else 0


def is_user_of_chance(match: bytes) -> int:
    """Whether the user of a URL is made of random characters, as no person's name is."""
    return len(match) if looks_random(match[3:].rstrip(b"@:").decode()) else 0


def is_bitlocker(match: bytes) -> int:
    """Whether each of the last eight numbers is one of a recovery key: 16 bits times 11."""
    numbers = [int(one) for one in match[-55:].split(b"-")]
    return len(match) if all(one % 11 == 0 and one // 11 < 1 << 16 for one in numbers) else 0


_RUN, _LINE = "[A-Za-z0-9+/]", r"(?:\r?\n|(?:\\r)?\\n)[ \t]{0,16}"
_LAST = f"(?:{_LINE}(?=[A-Za-z+/]{{0,75}}[0-9=]){_RUN}{{1,75}}+={{0,2}})?"
_SHORT = f"{_RUN}{{12,16384}}+={{0,2}}(?:{_LINE}{_RUN}{{60,76}}(?!{_RUN})){{0,200}}{_LAST}"
_LONG = (
    f"(?:{_RUN}{{120,16384}}+={{0,2}}|{_RUN}{{20,76}}(?:{_LINE}{_RUN}{{60,76}}(?!{_RUN})){{2,200}}{_LAST})"
)
"""The rest of a key without its head: lines of one width, and a last one. The beginning of a long one is the
modulus, which is public, and documentation shows no more of it."""

_ID = "-".join((HEX[:8], HEX[:4], HEX[:4], HEX[:4], HEX[:12]))
_CODE = (
    r"(?:[0-9]{1,2}[.)] )?(?=[a-z-]{0,11}[0-9])(?:[a-z0-9]{4,6}[ -][a-z0-9]{4,6}|[a-z0-9]{8,12})"
    r"(?![A-Za-z0-9-])"
)
"""Of a list for a lost second factor."""

WRITTEN: tuple[Detector, ...] = (
    Format(
        "jwt",
        # What it may contain may not precede it, so that no text is looked at over and over.
        pattern=r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))eyJ[A-Za-z0-9_-]{8,4096}"
        r"\.eyJ[A-Za-z0-9_-]{8,16384}\.[A-Za-z0-9_-]{8,2048}",
        starts=("eyJ",),
        trigger=".eyJ",
        hits=("eyJ" + MIX[:30] + ".eyJ" + MIX[:60] + "." + MIX[:43],),
        misses=("eyJ" + MIX[:60], "eyJ" + MIX[:30] + "." + MIX[:43], "eyJ.eyJ.x"),
    ),
    Format(
        "private-key",
        pattern=r"-----BEGIN (?:[A-Z ]{0,100}PRIVATE {1,100}KEY(?: BLOCK)?"
        r"|OpenVPN (?:Static key V1|tls-crypt-v2 (?:client|server) key))-----"
        r"(?:(?:[^\x00-\x08\x0b-\x1f\xff-]|\r|-(?!----)){0,16384}+-?-----END [A-Za-z0-9 -]{0,40}-----"
        r"|[\sA-Za-z0-9+/=\\]{32,16384})",
        starts=("-----BEGIN ",),
        hits=(
            "-----BEGIN PRIVATE " + "KEY-----\n" + MIX[:64] + "\n" + MIX[:20] + "\n-----END PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE " + "KEY-----\\n" + MIX[:64],
            f"-----BEGIN OpenVPN Static key V1-----\n{HEX[:32]}\n{HEX[:32]}\n-----END OpenVPN Static key V1"
            "-----",
        ),
        misses=("-----BEGIN PRIVATE " + "KEY-----", "-----BEGIN CERTIFICATE-----\n" + MIX[:64]),
    ),
    Format(
        "private-key-body",
        # In PKCS 8, the 24 letters behind the kind of key are the curve and the length of the number.
        pattern="(?:b3BlbnNzaC1rZXktdjEA|MHcCAQEE|MIGkAgEBBD|MIHcAgEBBEI|MC4CAQAwBQYDK2V[wu]"
        f"|MIG(?:HAgEAMBM|2AgEAMBA)GByqGSM49AgEG{_RUN}{{24}}){_SHORT}",
        starts=(
            *("b3BlbnNzaC1rZXktdjEA", "MHcCAQEE", "MIGkAgEBBD", "MIHcAgEBBEI", "MIGHAgEAMBMGByqGSM49AgEG"),
            *("MIG2AgEAMBAGByqGSM49AgEG", "MC4CAQAwBQYDK2V"),
        ),
        hits=("MHcCAQEE" + MIX[:56] + "\n" + MIX[:64] + "\n" + MIX[:18] + "==",),
        misses=(
            *("MHcCAQEE " + MIX[:12], "MHcCAQE" + MIX[:64]),
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
        ),
    ),
    Format(
        "rsa-private-key-body",
        pattern=f"MII[B-K][A-Za-z0-9+/][AQgw]IBAAK[BC][Ag]{_LONG}",
        trigger="IBAAK",
        back=(6,),
        hits=("MIIEpAIBAAKCAQEA" + MIX[:48] + f"\n{MIX[:64]}" * 2 + "\n" + MIX[:18] + "==",),
        misses=("MIIBCgKCAQEA" + MIX[:52], "MIIEpAIBAAKCAQEA" + MIX[:48]),
    ),
    Format(
        "pkcs8-private-key-body",
        pattern=f"MII[B-K][A-Za-z0-9+/][AQgw]IBADANBgkqhkiG9w0BAQEFAAS{_LONG}",
        trigger="IBADANBgkqhkiG9w0BAQEFAAS",
        back=(6,),
        hits=(
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + MIX[:32] + f"\\n{MIX[:64]}" * 2 + "\\n" + MIX[:18] + "==",
        ),
        misses=("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" + MIX[:32],),
    ),
    Format(
        "url-password",
        # A raw "@" in a password is a common mistake, so it may reach to the last one; so is a raw "#".
        # No user begins with a bracket: a host does, and a placeholder.
        pattern=r"""://(?!\[)[^\x00-\x20"'<>\\/?#@:\xff]{0,256}:([^\x00-\x20"'<>\\/?#\xff]{1,2048}"""
        r"""|(?![0-9]{1,5}[/?#])(?<!\.[a-z]{2}:)(?<!\.[a-z]{3}:)[^\x00-\x20"'<>\\/?#@\xff]{1,64}[/?#]"""
        r"""(?=[^\x00-\x20"'<>\\@\xff0-9]{0,64}[0-9])[^\x00-\x20"'<>\\@\xff]{1,128}"""
        r"""(?=@[A-Za-z0-9.-]{1,253}[:/]))@""",
        starts=("://",),
        trigger="@",
        joins=False,
        hits=(
            *("postgres://app:" + "pa55-w0rd@db:5432/x", "https://user:" + "tok3n@example.com/path"),
            "amqp://app:" + "pa#55/w0rd@db:5672/",
        ),
        misses=(
            *("https://example.com:8080/a@b", "https://user@example.com", "http://a/b:c@d", "x:y@z"),
            *("https://example.com:8080/a1@b/c", "git+ssh://example.com:org/x1@v2/y", "s://a:b/c@d1"),
        ),
    ),
    Format(
        "url-token",
        # The part of a Sentry DSN that stands there is public.
        pattern=r"://([A-Za-z0-9_.~%-]{20,512}:?)@(?!(?:[A-Za-z0-9-]{1,63}\.){0,4}sentry\.)",
        starts=("://",),
        accept=is_user_of_chance,
        joins=False,
        hits=(
            "https://" + MIX[:40] + "@git.example.com/a/b.git",
            "https://" + MIX[:24] + ":@api.example.com/",
        ),
        misses=(
            *("https://build-and-release-robot@git.example.com/", "https://kim.lee@example.com/" + MIX[:24]),
            *(f"https://{HEX[:32]}@o12345.ingest.sentry.io/42", f"https://{HEX[:32]}@sentry.example.com/42"),
        ),
    ),
    Format(
        "1password-secret-key",
        pattern=rf"{ALONE}A3-[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}{END}",
        starts=("A3-",),
        hits=("A3-ZQ3B7T-ZQ3B7T-ZQ3B7" + "-ZQ3B7" * 3, "A3-ZQ3B7T-ZQ3B7TZQ3B7" + "-Q3B7Z" * 3),
        misses=("A3-", "A3-ZQ3B7T-ZQ3B7T-ZQ3B7" + "-ZQ3B7" * 2, "A3-sized paper"),
    ),
    Format(
        "bitlocker-recovery-key",
        pattern=r"(?:[Rr]ecovery ?(?:[Kk]ey|Password)|Numerical Password)"
        r"(?=[^0-9\x00-\x08\x0b\x0c\x0e-\x1f\xff]{1,160}+[0-9])"
        r"[^\x00-\x08\x0b\x0c\x0e-\x1f\xff]{1,160}?(?<![0-9-])"
        rf"([0-9]{{6}}(?:-[0-9]{{6}}){{7}}){END}",
        starts=(
            *("Recovery Key", "Recovery key", "RecoveryKey", "Recovery Password", "RecoveryPassword"),
            *("recovery key", "recoveryKey", "Numerical Password"),
        ),
        accept=is_bitlocker,
        hits=(
            "BitLocker Recovery Key:\n    " + "-".join(["110781"] * 8),
            "RecoveryPassword    : " + "-".join(["438471"] * 8),
            "Numerical Password:\n  ID: {0A1B2C3D-0A1B-2C3D}\n  Password:\n    " + "-".join(["110781"] * 8),
        ),
        misses=("Recovery Key: " + "-".join(["110782"] * 8), "Recovery Key: " + "-".join(["110781"] * 7)),
    ),
    Format(
        "recovery-codes",
        pattern=r"(?:[Rr]ecovery|[Bb]ackup)[ _-]?[Cc]odes?[^A-Za-z0-9\x00-\x08\x0b\x0c\x0e-\x1f\xff]{1,40}"
        rf"({_CODE}(?:[\s,;|\"'\\*-]{{1,12}}{_CODE}){{1,32}}){END}",
        starts=tuple(
            f"{one}{mark}{code}"
            for one in ("recovery", "Recovery", "backup", "Backup")
            for mark in ("", " ", "_", "-")
            for code in ("code", "Code")
        ),
        hits=(
            "recovery " + "codes:\n  a1b2c-3d4e5\n  f6g7h-8i9j0\n",
            "backup_" + "codes=73196482,20957318",
            "Backup " + "codes\n1. 7319 6482\n2. 2095 7318\n",
        ),
        misses=("recovery codes: see page 12", "Recovery codes are shown once", "backup code 12345678"),
    ),
    Format(
        "putty-private-key",
        pattern=r"Private-Lines: [0-9]{1,3}\r?\n"
        r"((?=[A-Za-z0-9+/=\r\n]{40})[A-Za-z0-9+/=]{1,12800}+"
        r"(?:\r?\n(?!Private-)[A-Za-z0-9+/=]{1,64}+){0,199}+)",
        starts=("Private-Lines: ",),
        hits=(f"Private-Lines: 2\n{MIX[:64]}\n{MIX[:60]}\n",),
        misses=("Private-Lines: 14", "Public-Lines: 2\n" + MIX[:64] + "\n" + MIX[:60]),
    ),
    Format(
        "password-hash",
        pattern=rf"{ALONE}\$(?:2[abxy]\$[0-9]{{2}}\$[./A-Za-z0-9]{{53}}"
        r"|[156y]\$(?:rounds=[0-9]{1,9}\$)?[./A-Za-z0-9$]{1,40}\$[./A-Za-z0-9]{22,86}"
        r"|apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}"
        r"|(?:gy|7|8|9|sha1)\$[./A-Za-z0-9$]{1,80}\$[./A-Za-z0-9]{22,90}"
        r"|(?:scrypt|pbkdf2(?:-sha[0-9]{1,3})?|bcrypt-sha256)\$[a-z0-9=,]{1,40}"
        r"\$[./A-Za-z0-9+]{8,64}\$[./A-Za-z0-9+]{22,90}"
        r"|krb5(?:asrep|tgs|pa)\$[0-9]{2}\$[^\s\x00-\x1f\xff]{1,256}?[0-9a-f]{32}\$[0-9a-f]{32,4096}"
        rf"|argon2i?d?\$v=[0-9]{{1,3}}\$[a-z0-9=,]{{5,60}}\$[A-Za-z0-9+/]{{11,90}}\$[A-Za-z0-9+/]{{16,90}}){END}",
        starts=(
            *(
                "$2a$",
                "$2b$",
                "$2x$",
                "$2y$",
                "$1$",
                "$5$",
                "$6$",
                "$7$",
                "$8$",
                "$9$",
                "$y$",
                "$gy$",
                "$apr1$",
            ),
            *("$argon2", "$sha1$", "$scrypt$", "$pbkdf2", "$bcrypt-", "$krb5"),
        ),
        hits=(
            f"root:$6${MIX[:16]}${MIX[:86]}:19000:0",
            f"$2b$12${MIX[:53]}",
            f"admin:$apr1${MIX[:8]}${MIX[:22]}",
            f"$argon2id$v=19$m=65536,t=3,p=4${MIX[:22]}${MIX[:43]}",
            f"$pbkdf2-sha512$25000${MIX[:22]}${MIX[:86]}",
            f"$9${MIX[:14]}${MIX[:43]}",
            f"$krb5asrep$23$bob@corp.local:{HEX[:32]}${HEX[:64]}",
        ),
        misses=("$2b$12$", f"$2b$12${MIX[:52]}", "costs $1$ or $5$", "$argon2id$"),
    ),
    Format(
        "ldap-password-hash",
        pattern=r"\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT)\}[A-Za-z0-9+/=$.]{20,128}",
        starts=("{SSHA", "{SHA", "{SMD5}", "{MD5}", "{CRYPT}"),
        hits=(f"bob:{{SHA}}{MIX[:27]}=", f"userPassword: {{SSHA512}}{MIX[:86]}=="),
        misses=("{SHA}", "{SSHA}" + MIX[:12]),
    ),
    Format(
        "password-hash-by-name",
        pattern=r"(?:pbkdf2_sha(?:1|256|512)\$[0-9]{1,9}\$[A-Za-z0-9./+]{6,64}\$[A-Za-z0-9+/]{27,90}={0,2}"
        r"|SCRAM-SHA-(?:1|256)\$[0-9]{1,9}:[A-Za-z0-9+/=]{8,64}\$[A-Za-z0-9+/=]{28,90}:[A-Za-z0-9+/=]{28,90}"
        r"|scrypt:[0-9]{1,9}:[0-9]{1,3}:[0-9]{1,3}\$[A-Za-z0-9]{8,64}\$[0-9a-f]{64,128})",
        starts=("pbkdf2_sha", "SCRAM-SHA-", "scrypt:"),
        hits=(
            f"pbkdf2_sha256$600000${MIX[:22]}${MIX[:43]}=",
            f"SCRAM-SHA-256$4096:{MIX[:22]}==${MIX[:43]}=:{MIX[:43]}=",
            f"scrypt:32768:8:1${MIX[:16]}${HEX[:128]}",
        ),
        misses=("pbkdf2_sha256$", "SCRAM-SHA-256", "scrypt:32768:8:1$"),
    ),
    Format(
        "docker-registry-auth",
        pattern=r"\"auth\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\"([A-Za-z0-9+/]{16,1024}={0,2})\\{0,3}\"",
        starts=('"auth"', '"auth\\"', '"auth\\\\"'),
        accept=is_pair,
        hits=('"auth": "' + b64encode(f"kim:{MIX[:24]}".encode()).decode() + '"',),
        misses=(f'"auth": "{MIX[:32]}"', f'"auth": "{MIX[:17]}"', '"auth": "none"', '"author": "kim"'),
    ),
    Format(
        "filezilla-password",
        pattern=r"<Pass encoding=\"base64\">([A-Za-z0-9+/]{4,400}={0,2})</Pass>",
        starts=('<Pass encoding="base64">',),
        hits=(f'<Pass encoding="base64">{MIX[:16]}</Pass>',),
        misses=('<Pass encoding="base64"></Pass>',),
    ),
    Format(
        "wordpress-key",
        pattern=r"(?:AUTH|LOGGED_IN|NONCE)_(?:KEY|SALT)['\"]\s{0,4},\s{0,16}['\"]([^'\"\x00-\x1f\xff]{32,128})['\"]",
        starts=tuple(
            f"{of}_{what}{q}"
            for of in ("AUTH", "LOGGED_IN", "NONCE")
            for what in ("KEY", "SALT")
            for q in "'\""
        ),
        hits=("define('AUTH_KEY', '" + MIX[:64] + "');",),
        misses=("define('AUTH_KEY', 'put your unique phrase');", "AUTH_KEY = get('AUTH_KEY')"),
    ),
    Format(
        "aws-secret-access-key",
        pattern=rf"(?i:secret_?access_?key){IS}([A-Za-z0-9/+]{{40}})(?![A-Za-z0-9/+=])",
        starts=("secret_access_key", "SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey"),
        members=("SecretAccessKey", "secretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        hits=("aws_secret_access_key = " + MIX[:40], '"SecretAccessKey": "' + "a/+Z" * 10 + '"'),
        misses=("secret_access_key", "AWS_SECRET_ACCESS_KEY=" + HEX[:39], "SecretAccessKey is " + MIX[:40]),
    ),
    Format(
        "azure-storage-key",
        pattern=r"(?i:(?:account|(?:shared)?access|storage)[_-]?key|sharedsecretvalue)[\"'\])}]{0,4}\s{0,4}[=:,({]{1,2}\s{0,16}"
        r"[\"'{]{0,2}([A-Za-z0-9+/]{42,86}={1,2})(?![A-Za-z0-9+/=])",
        starts=(
            "AccountKey",
            "SharedAccessKey",
            "SharedSecretValue",
            *("accountKey", "account_key", "account-key", "ACCOUNT_KEY", "StorageKey", "storageKey"),
            *("storage_key", "storage-key", "STORAGE_KEY", "AccessKey", "accessKey", "ACCESS_KEY"),
        ),
        hits=(f"AccountName=a;AccountKey={MIX[:86]}==;Suffix=b", f"SharedAccessKey={MIX[:43]}="),
        misses=("AccountKey=", "AccountKey=" + MIX[:41] + "=", "AccountKey = <your key>"),
    ),
    Format(
        "azure-app-configuration-key",
        pattern=r"\.azconfig\.io;Id=[^;\s]{4,80};Secret=([A-Za-z0-9+/]{36,100}={0,2})",
        starts=(".azconfig.io;Id=",),
        hits=("Endpoint=https://shop.azconfig.io;Id=Ab1-l0-s0:x;Secret=" + MIX[:43] + "=",),
        misses=("Endpoint=https://shop.azconfig.io;Id=Ab1;Secret=", "https://shop.azconfig.io"),
    ),
    Format(
        "azure-shared-access-signature",
        pattern=rf"{ALONE}sig=([A-Za-z0-9%+/_-]{{43,128}}={{0,2}})",
        starts=("sig=",),
        hits=("https://a.blob.core.windows.net/b?sv=2024-11-04&sig=" + MIX[:42] + "%2Bq%3D&sp=r",),
        misses=("?sig=" + MIX[:42], "config=" + MIX[:50]),
    ),
    Format(
        "tines-webhook",
        pattern=r"\.tines\.com/webhook/([A-Za-z0-9]{16,64}/[A-Za-z0-9]{16,64})",
        starts=(".tines.com/webhook/",),
        hits=("https://shop.tines.com/webhook/" + MIX[:32] + "/" + MIX[:32],),
        misses=("https://shop.tines.com/webhook/help",),
    ),
    Format(
        "zapier-webhook",
        pattern=r"hooks\.zapier\.com/hooks/(?:catch|standard)/([A-Za-z0-9/]{12,40})",
        starts=("hooks.zapier.com/hooks/",),
        hits=("https://hooks.zapier.com/hooks/catch/1234567/" + MIX[:7],),
        misses=("https://hooks.zapier.com/hooks/catch/", "https://zapier.com/apps"),
    ),
    Format(
        "ifttt-webhook",
        pattern=r"maker\.ifttt\.com/trigger/[^/\s]{1,64}/(?:json/)?with/key/([A-Za-z0-9_-]{16,64})",
        starts=("maker.ifttt.com/trigger/",),
        hits=("https://maker.ifttt.com/trigger/door/with/key/" + MIX[:22],),
        misses=("https://maker.ifttt.com/trigger/door/with/key/", "https://ifttt.com/maker"),
    ),
    Format(
        "openai-legacy-key",
        pattern=rf"{ALONE}sk-[A-Za-z0-9]{{20}}T3BlbkFJ[A-Za-z0-9]{{20}}",
        starts=("sk-",),
        trigger="T3BlbkFJ",
        hits=("sk-" + MIX[:20] + "T3Blbk" + "FJ" + MIX[:20],),
        misses=("sk-" + MIX[:48], "T3BlbkFJ", "sk-T3BlbkFJ" + MIX[:20]),
    ),
    Format(
        "openai-like-key",
        pattern=rf"{ALONE}sk-(?![A-Za-z0-9]{{20}}T3BlbkFJ)[A-Za-z0-9]{{32,64}}(?!\.[a-z]{{2,5}}\b){END}",
        starts=("sk-",),
        hits=("sk-" + MIX[:32], "sk-" + HEX[:48]),
        misses=("sk-" + MIX[:31], "sk-" + MIX[:65], "task-" + MIX[:32], "sk-" + HEX[:32] + ".json"),
    ),
    Format(
        "slack-token",
        pattern=r"(?:xox[a-eoprs]-|xapp-|xoxe\.xox[bp]-)(?!1234-1234-)[A-Za-z0-9%][A-Za-z0-9%-]{15,400}",
        starts=(*(f"xox{letter}-" for letter in "abcdeoprs"), "xapp-", "xoxe.xoxb-", "xoxe.xoxp-"),
        hits=tuple(f"xox{letter}-1234567890-{MIX[:24]}" for letter in "abcdeoprs"),
        misses=("xoxa-", "xoxa-1234567890-abc", "xoxb-1234-1234-1234-abc124"),
    ),
    Format(
        "slack-webhook",
        pattern=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{30,120})",
        starts=("hooks.slack.com/",),
        hits=("https://hooks.slack.com/services/T0" + "A1B2C3D4/B0" + "A1B2C3D4/" + MIX[:24],),
        misses=("https://hooks.slack.com/services/", "https://slack.com/help"),
    ),
    Format(
        "discord-bot-token",
        # The first part is the number of a user in base64, so of its letters each fourth is one of a few.
        pattern=rf"{ALONE}(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){{5,6}}[A-Za-z0-9]{{0,4}}"
        rf"\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,38}}{END}",
        starts=tuple(b64encode(f"{digits}0".encode()).decode()[:3] for digits in range(10, 100)),
        hits=(b64encode(b"112233445566778899").decode() + f".{MIX[:6]}.{MIX[:38]}",),
        misses=(
            b64encode(b"112233445566778899").decode() + f".{MIX[:6]}.{MIX[:20]}",
            "MTA",
            f"{MIX[:24]}.{MIX[:6]}.{MIX[:38]}",
        ),
    ),
    Format(
        "discord-webhook",
        pattern=r"discord(?:app)?\.com/api/webhooks/([0-9]{17,20}/[A-Za-z0-9_-]{60,80})",
        starts=("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        hits=("https://discord.com/api/webhooks/123456789012345678/" + MIX[:68],),
        misses=("https://discord.com/api/webhooks/", "https://discord.com/developers"),
    ),
    Format(
        "teams-webhook",
        pattern=r"(?:webhook\.office\.com/webhookb2|outlook\.office\.com/webhook)/([0-9A-Za-z@/-]{100,300})",
        starts=("webhook.office.com/webhookb2/", "outlook.office.com/webhook/"),
        hits=(
            "https://shop.webhook.office.com/webhookb2/"
            + "1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f@1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/IncomingWebhook/"
            + "0a1b2c3d" * 4
            + "/1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f",
        ),
        misses=("https://shop.webhook.office.com/webhookb2/",),
    ),
    Format(
        # Of an AppRole of Vault, and of a token of Consul or Nomad. Others call the name of a secret so.
        "vault-secret-id",
        pattern=rf"(?i:secret[_-]?id)(?:{IS}|[:\"' |]{{1,40}})({UUID})(?![\w-])",
        starts=("secret_id", "secretid", "secret-id"),
        any_case=True,
        members=("secret_id", "secretId", "SecretId", "SecretID"),
        hits=tuple(f"{name}{_ID}" for name in ("secret_id=", "secret_id             ", "SecretID:     ")),
        misses=(
            *("secret_id=", "secret_id: my-secret-1", '"SecretId": "prod/db-AbCdEf"', "secret_id_accessor"),
            f"secret_id_accessor    {_ID}",
        ),
    ),
    Format(
        "twilio-auth-token",
        pattern=rf"(?i:twilio_?auth_?token){IS}([0-9a-f]{{32}}){END}",
        starts=("TWILIO_AUTH_TOKEN", "twilio_auth_token", "twilioAuthToken"),
        hits=("TWILIO_AUTH_TOKEN=" + HEX[:32],),
        misses=("TWILIO_AUTH_TOKEN=$TOKEN", "TWILIO_AUTH_TOKEN=" + HEX[:33]),
    ),
    Format(
        "facebook-token",
        pattern=rf"{ALONE}(?<![+/])EAA[B-Zb-z][A-Za-z0-9]{{60,255}}+(?![A-Za-z0-9+/=])",
        starts=("EAA",),
        hits=("EAAG" + MIX[:120],),
        misses=("EAAG" + MIX[:59], "xEAAG" + MIX[:120], "/EAAG" + MIX[:120], f"EAAG{MIX[:120]}+{MIX[:9]}"),
    ),
)
