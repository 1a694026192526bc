"""Databases, search, metrics, logs and alarms."""

from mcpguard.core.redaction.detectors.format import MIX, UUID, Detector, Format, inner, token

DATA: tuple[Detector, ...] = (
    token("supabase-token", "sbp_ sb_secret_", "[A-Za-z0-9_-]{31,64}"),
    token("planetscale-token", "pscale_tkn_ pscale_pw_ pscale_oauth_", "[A-Za-z0-9_=.-]{32,64}"),
    token("neon-key", "napi_", "[a-z0-9]{60,70}", alone=True),
    token("xata-key", "xau_", "[A-Za-z0-9]{36,60}", alone=True),
    token("fauna-key", "fnAE fnAF", "[A-Za-z0-9_-]{36}$", alone=True),
    token("astra-token", "AstraCS:", "[A-Za-z0-9]{20,30}:[0-9a-f]{64}"),
    token("cockroach-key", "CCDB1_", "[A-Za-z0-9]{22}_[A-Za-z0-9]{40}"),
    token("mongodb-atlas-secret", "mdb_sa_sk_", "[A-Za-z0-9_-]{40}"),
    token("clickhouse-key", "4b1d", "[A-Za-z0-9]{38}$", alone=True),
    token(
        "databricks-token", "dapi dkea dose", "[0-9a-f]{32}", f"(?:-[0-9])?{'(?![A-Za-z0-9])'}", alone=True
    ),
    token("elastic-cloud-key", "essu_", "[A-Za-z0-9+/]{40,200}", "={0,2}", alone=True),
    token("confluent-secret", "cflt", "[A-Za-z0-9+/]{60}$", alone=True),
    token("grafana-token", "glsa_ glc_", "[A-Za-z0-9_+/=]{32,512}"),
    token("grafana-key", "eyJrIjoi", "[A-Za-z0-9]{60,400}", "={0,3}", alone=True),
    token("new-relic-key", "NRAK- NRII- NRIQ- NRBR- NRJS- NRRA-", "[A-Za-z0-9_-]{19,42}", alone=True),
    token("sentry-token", "sntrys_eyJ", "[A-Za-z0-9+/=]{40,400}", "(?:_[A-Za-z0-9+/]{30,60})?"),
    token("sentry-user-token", "sntryu_", "[0-9a-f]{64}"),
    token(
        "dynatrace-token",
        "dt0c01. dt0s01. dt0s02. dt0s08. dt0s16. dt0a01.",
        r"[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}",
        alone=True,
    ),
    token("honeycomb-key", "hcaik_ hcaic_ hcamk_ hcbik_ hcbic_ hcbmk_ hcxik_", "[a-z0-9]{26,70}", alone=True),
    token("posthog-key", "phx_ phs_", "[A-Za-z0-9_]{40,60}", alone=True),
    token("axiom-token", "xaat- xapt- xait-", UUID, alone=True),
    token("fullstory-key", "na1.", "[A-Za-z0-9+/]{100}", alone=True),
    token("segment-token", "sgp_", "[A-Za-z0-9]{64}$", alone=True),
    token("rootly-key", "rootly_", "[0-9a-f]{64}"),
    token("censys-token", "censys_", "[A-Za-z0-9]{8,12}_[A-Za-z0-9]{16,60}"),
    token(
        "mapbox-token", "pk.eyJ sk.eyJ tk.eyJ", r"[A-Za-z0-9_=+/-]{30,400}\.[A-Za-z0-9_-]{20,40}", alone=True
    ),
    token("datadog-token", "ddapp_ ddpat_", "[A-Za-z0-9_]{30,80}", alone=True),
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
    inner("maxmind-key", "[A-Za-z0-9]{6}_[A-Za-z0-9]{29}", "_mmk", "$"),
    inner("new-relic-license-key", "[0-9a-zA-Z]{36}", "NRAL", "$"),
    inner("new-relic-mobile-token", "[0-9a-zA-Z]{42}", "-NRMA", "$"),
    token("locationiq-key", "pk.", "[0-9a-f]{32}$", alone=True),
    token("pganalyze-key", "pgar_", "[A-Za-z0-9]{27}$", alone=True),
    inner("tableau-token", "[A-Za-z0-9+/]{22}", "==:", "[A-Za-z0-9]{32}$"),
)
