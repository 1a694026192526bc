"""Tokens of vendors and what is written like one."""

from mcpguard.core.redaction.detectors.format import ALONE, END, HEX, IS, MIX, Detector, token

TOKENS: tuple[Detector, ...] = (
    token(
        "github-token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        r"[A-Za-z0-9_-]{36,800}(?:\.[A-Za-z0-9_-]{1,800}){0,2}",
        MIX[:36],
        MIX[:35],
    ),
    token("github-fine-grained-token", ("github_pat_",), r"[A-Za-z0-9_]{22,255}", MIX[:82], MIX[:21]),
    token(
        "gitlab-token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "gloas-", "glimt-", "glagent-"),
        r"[A-Za-z0-9_-]{20,255}(?:\.[A-Za-z0-9_-]{2,255}){0,3}",
        MIX[:20],
        MIX[:19],
    ),
    token(
        "aws-access-key-id",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        rf"[A-Z2-7]{{16}}{END}",
        "Q3X7" * 4,
        "Q3X7" * 5,
        alone=True,
    ),
    Detector(
        "aws-secret-access-key",
        pattern=rf"(?i:secret_?access_?key){IS}([A-Za-z0-9/+]{{40}})(?![A-Za-z0-9/+=])",
        starts=("secret_access_key", "SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey"),
        members=("SecretAccessKey", "secretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        hits=("aws_secret_access_key = " + MIX[:40], '"SecretAccessKey": "' + "a/+Z" * 10 + '"'),
        misses=("secret_access_key", "AWS_SECRET_ACCESS_KEY=" + HEX[:39], "SecretAccessKey is " + MIX[:40]),
    ),
    token(
        "slack-token",
        (*(f"xox{letter}-" for letter in "abcdeoprs"), "xapp-"),
        r"[A-Za-z0-9%][A-Za-z0-9%-]{15,400}",
        "1234567890-" + MIX[:24],
        "1234567890-abc",
    ),
    Detector(
        "slack-webhook",
        pattern=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{30,120})",
        starts=("hooks.slack.com/",),
        hits=("https://hooks.slack.com/services/T0" + "A1B2C3D4/B0" + "A1B2C3D4/" + MIX[:24],),
        misses=("https://hooks.slack.com/services/", "https://slack.com/help"),
    ),
    token(
        "stripe-key",
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
        r"[A-Za-z0-9+/]{16,247}",
        MIX[:24],
        MIX[:15],
    ),
    token(
        "openai-key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), r"[A-Za-z0-9_-]{40,256}", MIX[:74], MIX[:39]
    ),
    Detector(
        "openai-legacy-key",
        pattern=rf"{ALONE}sk-[A-Za-z0-9]{{20}}T3BlbkFJ[A-Za-z0-9]{{20}}",
        starts=("sk-",),
        trigger="T3BlbkFJ",
        hits=("sk-" + MIX[:20] + "T3Blbk" + "FJ" + MIX[:20],),
        misses=("sk-" + MIX[:48], "T3BlbkFJ", "sk-T3BlbkFJ" + MIX[:20]),
    ),
    token("openrouter-key", ("sk-or-v1-",), r"[0-9a-f]{64}", HEX[:64], HEX[:63]),
    token(
        "anthropic-key",
        ("sk-ant-",),
        r"[a-z0-9]{3,10}-[A-Za-z0-9_-]{24,256}",
        "api03-" + MIX[:95],
        MIX[:20],
    ),
    token("google-api-key", ("AIza",), r"[A-Za-z0-9_-]{35}", MIX[:35], MIX[:34], alone=True),
    token("google-oauth-secret", ("GOCSPX-",), r"[A-Za-z0-9_-]{28}", MIX[:28], MIX[:27]),
    token("google-oauth-token", ("ya29.",), r"[A-Za-z0-9_-]{20,2048}", MIX[:120], MIX[:19]),
    token("google-refresh-token", ("1//0",), r"[A-Za-z0-9_-]{40,512}", MIX[:99], MIX[:39], alone=True),
    token("npm-token", ("npm_",), r"[A-Za-z0-9]{36}", MIX[:36], MIX[:35]),
    token("pypi-token", ("pypi-AgE",), r"[A-Za-z0-9_-]{50,1024}", MIX[:160], MIX[:49]),
    token("hugging-face-token", ("hf_", "api_org_"), r"[A-Za-z0-9]{34}", MIX[:34], MIX[:33], alone=True),
    token(
        "sendgrid-key",
        ("SG.",),
        r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
        f"{MIX[:22]}.{MIX[:43]}",
        MIX[:66],
        alone=True,
    ),
    Detector(
        "twilio-auth-token",
        pattern=rf"(?i:twilio_?auth_?token){IS}([0-9a-f]{{32}}){END}",
        starts=("TWILIO_AUTH_TOKEN", "twilio_auth_token", "twilioAuthToken"),
        hits=("TWILIO_AUTH_TOKEN=" + HEX[:32],),
        misses=("TWILIO_AUTH_TOKEN=$TOKEN", "TWILIO_AUTH_TOKEN=" + HEX[:33]),
    ),
    token("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{64}", HEX[:64], HEX[:63]),
    Detector(
        "azure-storage-key",
        pattern=r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{42,86}={1,2})",
        starts=("AccountKey=", "SharedAccessKey="),
        hits=(f"AccountName=a;AccountKey={MIX[:86]}==;Suffix=b", f"SharedAccessKey={MIX[:43]}="),
        misses=("AccountKey=", "AccountKey=" + MIX[:41] + "=", "AccountKey = <your key>"),
    ),
    token("linear-key", ("lin_api_", "lin_oauth_"), r"[A-Za-z0-9]{32,64}", MIX[:40], MIX[:31]),
    token("notion-token", ("ntn_", "secret_"), rf"[A-Za-z0-9]{{43,60}}{END}", MIX[:46], MIX[:42], alone=True),
    token("atlassian-token", ("ATATT3", "ATCTT3"), r"[A-Za-z0-9_=-]{60,400}", MIX[:186], MIX[:59]),
    token("databricks-token", ("dapi",), rf"[0-9a-f]{{32}}(?:-[0-9])?{END}", HEX[:32], HEX[:31], alone=True),
    token("shopify-token", ("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9a-fA-F]{32}", HEX[:32], HEX[:31]),
    token("docker-token", ("dckr_pat_", "dckr_oat_"), r"[A-Za-z0-9_-]{27,64}", MIX[:27], MIX[:26]),
    token("vault-token", ("hvs.", "hvb.", "hvr."), r"[A-Za-z0-9_-]{24,512}", MIX[:95], MIX[:23], alone=True),
    token("grafana-token", ("glsa_", "glc_"), r"[A-Za-z0-9_+/=]{32,512}", MIX[:41], MIX[:31]),
    token("groq-key", ("gsk_",), r"[A-Za-z0-9]{52}", MIX[:52], MIX[:51], alone=True),
    token("xai-key", ("xai-",), r"[A-Za-z0-9]{70,90}", MIX[:80], MIX[:69], alone=True),
    token("supabase-token", ("sbp_", "sb_secret_"), r"[A-Za-z0-9_-]{31,64}", MIX[:40], MIX[:30]),
    Detector(
        "jwt",
        # What may stand in it may not stand before it, so that no text is looked at over and over.
        pattern=r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))eyJ[A-Za-z0-9_-]{8,4096}"
        r"\.eyJ[A-Za-z0-9_-]{8,16384}\.[A-Za-z0-9_-]{8,2048}",
        starts=("eyJ",),
        hits=("eyJ" + MIX[:30] + ".eyJ" + MIX[:60] + "." + MIX[:43],),
        misses=("eyJ" + MIX[:60], "eyJ" + MIX[:30] + "." + MIX[:43], "eyJ.eyJ.x"),
    ),
    Detector(
        "private-key",
        pattern=r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^\x00-\x08\x0b-\x1f\xff-]|\r|-(?!----)){0,16384}+-----END [A-Z ]{0,40}-----"
        r"|[\sA-Za-z0-9+/=\\]{32,16384})",
        starts=("-----BEGIN ",),
        hits=(
            "-----BEGIN PRIVATE " + "KEY-----\n" + MIX[:64] + "\n" + MIX[:20] + "\n-----END PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE " + "KEY-----\\n" + MIX[:64],
        ),
        misses=("-----BEGIN PRIVATE " + "KEY-----", "-----BEGIN CERTIFICATE-----\n" + MIX[:64]),
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
