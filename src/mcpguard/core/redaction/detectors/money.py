"""Payment, banking, shops and delivery."""

from mcpguard.core.redaction.detectors.format import UUID, Detector, token

MONEY: tuple[Detector, ...] = (
    token(
        "stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_ whsec_", "[A-Za-z0-9+/]{16,247}"
    ),
    token(
        "square-token", "sq0atp- sq0csp- sq0idp- sq0ids- sq0idb- sq0cgp-", "[A-Za-z0-9_-]{22,60}", alone=True
    ),
    token("square-access-token", "EAAAE EAAAl", "[A-Za-z0-9_-]{59}$", alone=True),
    token("paypal-token", "access_token$production$ access_token$sandbox$", r"[a-z0-9]{16}\$[0-9a-f]{32}"),
    token("plaid-token", "access-sandbox- access-development- access-production-", UUID, alone=True),
    token("razorpay-key", "rzp_live_ rzp_test_", "[A-Za-z0-9]{14,20}$", alone=True),
    token(
        "flutterwave-key", "FLWSECK- FLWSECK_TEST- FLWPUBK- FLWPUBK_TEST-", "[0-9A-Za-z]{12,36}", "(?:-X)?"
    ),
    token("shopify-token", "shpat_ shpca_ shppa_ shpss_", "[0-9a-fA-F]{30,34}"),
    token("shippo-token", "shippo_live_ shippo_test_", "[0-9a-fA-F]{40}"),
    token("easypost-key", "EZAK EZTK", "[A-Za-z0-9]{54}$", alone=True),
    token("duffel-token", "duffel_live_ duffel_test_", "[A-Za-z0-9_=-]{43}"),
    token("pagarme-key", "ak_live_ ak_test_", "[A-Za-z0-9]{30}$", alone=True),
    token("mercadopago-token", "APP_USR-", "[0-9]{10,20}-[0-9]{6}-[0-9a-f]{32}-[0-9]{5,12}"),
    token("ramp-secret", "ramp_sec_ ramp_id_ ramp_tok_", "[A-Za-z0-9]{40,48}"),
    token("mercury-token", "secret-token:mercury_", "[a-z]{4,12}_[A-Za-z0-9_-]{20,80}"),
    token("robinhood-key", "rh-api-", UUID, alone=True),
    token("paddle-key", "pdl_live_apikey_ pdl_sdbx_apikey_", "[a-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}"),
    token("flexport-token", "shltm_", "[A-Za-z0-9_-]{40}", alone=True),
    token("fleetbase-key", "flb_live_ flb_test_", "[A-Za-z0-9]{20}$"),
    token("woocommerce-key", "ck_ cs_", "[0-9a-f]{40}$", alone=True, often=True),
    token("gocardless-token", "live_", "[A-Za-z0-9_=-]{40,42}$", alone=True, digit=True, often=True),
    token("lob-key", "live_ test_", "[0-9a-f]{35}$", alone=True, often=True),
    token("mollie-key", "live_ test_", "[A-Za-z0-9]{30}$", alone=True, digit=True, often=True),
)
