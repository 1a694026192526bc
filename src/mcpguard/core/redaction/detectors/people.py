"""Chat, mail, telephony, social networks, office, support, and who somebody is."""

from base64 import b64encode

from mcpguard.core.redaction.detectors.format import (
    ALONE,
    END,
    HEX,
    IS,
    MIX,
    UUID,
    Detector,
    Format,
    inner,
    token,
)

PEOPLE: tuple[Detector, ...] = (
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
    token("sendgrid-key", "SG.", r"[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}", alone=True),
    Format(
        "twilio-auth-token",
        pattern=rf"(?i:twilio_?auth_?token){IS}([0-9a-f]{{32}}){END}",
        starts=("TWILIO_AUTH_TOKEN", "twilio_auth_token", "twilioAuthToken"),
        hits=("TWILIO_AUTH_TOKEN=" + HEX[:32],),
        misses=("TWILIO_AUTH_TOKEN=$TOKEN", "TWILIO_AUTH_TOKEN=" + HEX[:33]),
    ),
    token("brevo-key", "xkeysib- xsmtpsib-", "[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    token("mailersend-key", "mlsn.", "[0-9a-f]{64}", alone=True),
    token("onesignal-key", "os_v2_app_ os_v2_org_", "[a-z0-9]{80,120}"),
    token("pubnub-secret-key", "sec-c-", "[A-Za-z0-9]{40,80}", alone=True),
    token("pubnub-key", "sub-c- pub-c-", UUID, alone=True),
    token("telnyx-key", "KEY0", "[A-Za-z0-9_-]{50,60}", alone=True),
    token("instagram-token", "IGQV IGAA", "[A-Za-z0-9_-]{80,400}", alone=True),
    token("okta-token", "SSWS", " 00[A-Za-z0-9_-]{40}$", alone=True),
    token("stytch-secret", "secret-live- secret-test-", "[A-Za-z0-9_=-]{36}"),
    token("ory-token", "ory_at_ ory_rt_ ory_pat_ ory_st_ ory_wak_", "[A-Za-z0-9_-]{20,100}", alone=True),
    token("hubspot-token", "pat-na1- pat-na2- pat-eu1- pat-ap1-", UUID, alone=True),
    token("salesforce-token", "00D", "[A-Za-z0-9]{12,15}![A-Za-z0-9_.]{80,200}", alone=True),
    token("salesforce-consumer-key", "3MVG9", "[A-Za-z0-9._+/=]{80,251}", alone=True),
    token("salesforce-refresh-token", "5Aep861", "[A-Za-z0-9._=]{70,200}", alone=True),
    token("intercom-token", "dG9rO", "[A-Za-z0-9+/]{50,80}", "={0,2}", alone=True),
    token("linear-key", "lin_api_ lin_oauth_", "[A-Za-z0-9]{32,64}"),
    token("notion-token", "ntn_ secret_", "[A-Za-z0-9]{43,60}$", alone=True, often=True),
    token("atlassian-token", "ATATT3 ATCTT3", "[A-Za-z0-9_=-]{60,400}"),
    token("trello-token", "ATTA", "[0-9a-f]{64,72}$", alone=True),
    token("typeform-token", "tfp_", "[A-Za-z0-9_.=-]{40,64}", alone=True),
    token("dropbox-token", "sl. sl.u.", "[A-Za-z0-9_=-]{128,1400}", alone=True),
    token("pinterest-token", "pina_", "[A-Za-z0-9]{60,120}", alone=True),
    token("zoho-token", "1000.", r"[0-9a-f]{32}\.[0-9a-f]{32}$", alone=True),
    token("teamwork-token", "tkn.v1_", "[A-Za-z0-9]{71}", "=?", alone=True),
    token("nightfall-key", "NF-", "[A-Za-z0-9]{32}$", alone=True),
    token("adobe-client-secret", "p8e-", "[A-Za-z0-9-]{32}$", alone=True),
    token("twilio-key", "SK", "[0-9a-fA-F]{32}$", alone=True, often=True),
    token("mailgun-key", "key-", "[0-9a-f]{32}$", alone=True),
    token("mandrill-key", "md-", "[A-Za-z0-9_-]{22}$", alone=True),
    token("resend-key", "re_", "[A-Za-z0-9]{8}_[A-Za-z0-9]{24}$", alone=True, often=True),
    token("klaviyo-key", "pk_", "[0-9a-f]{34}$", alone=True),
    token("clickup-token", "pk_", "[0-9]{7,9}_[0-9A-Z]{32}$", alone=True),
    Format(
        "facebook-token",
        pattern=rf"{ALONE}(?<![+/])EAA[B-Zb-z][A-Za-z0-9]{{60,255}}+(?![A-Za-z0-9+/=])",
        starts=("EAA",),
        hits=("EAAG" + MIX[:120],),
        misses=("EAAG" + MIX[:59], "xEAAG" + MIX[:120], "/EAAG" + MIX[:120], f"EAAG{MIX[:120]}+{MIX[:9]}"),
    ),
    token("dingtalk-secret", "SEC", "[0-9a-f]{64}$", alone=True),
    inner("mailchimp-key", "[0-9a-f]{32}", "-us", "[0-9]{1,2}$"),
    inner("telegram-bot-token", "[0-9]{7,12}", ":AA", "[A-Za-z0-9_-]{33}$"),
)
