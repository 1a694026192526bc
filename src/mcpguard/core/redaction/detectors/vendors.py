"""Keys that look like any other: what tells them is the name of their vendor beside them.

Law of this file: the name, at most a few words, and then a value of just the alphabet and length that the
vendor's keys have. What may be a digest or an identifier counts only where a word says that it is a key.
"""

import re

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.format import UUID, Detector, filled
from mcpguard.core.redaction.detectors.named.shapes import is_of_words

_ALPHABETS = {
    "hex": "[0-9a-fA-F]",
    "alnum": "[A-Za-z0-9]",
    "word": "[A-Za-z0-9_-]",
    "dot": "[A-Za-z0-9_.-]",
    "b64": "[A-Za-z0-9+/=_-]",
}
_TABLE: tuple[tuple[str, str], ...] = (
    ("hex 16", "asana nexmo vonage"),
    ("hex 18", "rownd"),
    ("hex 24", "kucoin meta-api metaapi sendbird"),
    ("hex 25", "vbout"),
    (
        "hex 32",
        "amplitude anypoint api2cart autopilot billomat braintree cloze datadog deepseek facebook "
        "finicity gocardless gtmetrix honeybadger infura ipstack lastfm lemlist linear madkudu mapquest "
        "newsapi openweather pdfshift rollbar runrunit speechtext spotify steam theoddsapi thinkific tmdb "
        "twelvedata websitepulse",
    ),
    ("hex 37", "cloudflare"),
    (
        "hex 40",
        "circleci cloudsmith codeclimate datadog deepgram docparser drone gitea github gogs jfrog "
        "jumpcloud klipfolio meraki monkeylearn nicereply npmjs sendbird sourcegraph stormboard twist "
        "vimeo wandb zenrows",
    ),
    ("hex 44", "ritekit"),
    ("hex 48", "packagecloud"),
    ("hex 50", "lunchmoney"),
    (
        "hex 64",
        "ambee besnappy boostnote captaindata coinmarketcap discord gitguardian linode meta-api metaapi "
        "onelogin prodpad sendinblue sentry serpapi virustotal webex youneedabudget",
    ),
    ("hex 128", "planview poloniex"),
    (
        "alnum 16",
        "amadeus autodesk braintree coinlib confluent convertapi formcraft linkedin maxmind metrilo nexmo "
        "shutterstock vonage",
    ),
    ("alnum 17", "airtable"),
    ("alnum 18-20", "runrunit"),
    (
        "alnum 20",
        "appveyor artsy browserstack codacy companyhub easyinsight eventbrite finicity finnhub freshdesk "
        "github invoiceocean looker pinata plivo pusher pushover statuscake tefter timezoneapi uploadcare",
    ),
    ("alnum 20-24", "codacy"),
    ("alnum 21", "carboninterface"),
    ("alnum 22", "splunk travis"),
    (
        "alnum 24",
        "betterstack clickhelp clockwork enablex etsy flightapi happyscribe looker oanda onepagecrm "
        "paystack plaid razorpay replyio satismeter textanywhere uptime",
    ),
    ("alnum 24-26", "clientary ronin"),
    ("alnum 24-27", "cexio"),
    ("alnum 25", "visualcrossing"),
    ("alnum 25-26", "skybiometry"),
    ("alnum 26", "mattermost sirv timecamp"),
    ("alnum 27", "glassnode miro"),
    ("alnum 28", "pollsapi tradier"),
    ("alnum 30", "alibaba aliyun centralstation nylas plaid pushover scrapeowl textmagic twitch"),
    ("alnum 31", "worldweather"),
    (
        "alnum 32",
        "accuweather adobe adzuna agora aletheiaapi algolia amadeus apiflash apilayer apimetrics artsy "
        "asana assemblyai atera autodesk aviationstack axonaut aylien bitbucket bittrex bulbul "
        "calendarific censys chartmogul checkly clarifai clinchpad cloudelements codecov coinlayer "
        "countrylayer currencyfreaks currencylayer currencyscoop demio deputy detectify detectlanguage "
        "diffbot dnscheck docsearch drone edamam exchangerates feedier financialmodelingprep flickr "
        "flightstats formsite geoapify getresponse giphy goodday infura ip2location ipapi ipgeolocation "
        "ipquality jotform knapsackpro languagelayer larksuite linkedin-api linkpreview liveagent "
        "mailboxlayer mailerlite mailjet mapquest marketstack meaningcloud mediastack mistral moonclerk "
        "newsapi numverify nutritionix onfleet opencage openuv openweather paydirtapp pdflayer pipedream "
        "podio postageapp privateai pyxis redhat route4me salescookie satismeter scraperapi scraperbox "
        "scrapestack scrapingant securitytrails semaphore serpstack sheety sherpadesk shodan shutterstock "
        "signupgenius simfin spoonacular stability statuspal sugester survicate taxjar testingbot "
        "thousandeyes ticketmaster toggl tomtom travelpayouts travis trello twelvedata tyntec typetalk "
        "upcdatabase upwave userstack vatlayer verimail veriphone vpnapi walkscore weatherbit "
        "weatherstack webscraping yousign zerobounce zerotier",
    ),
    ("alnum 33", "simvoly whoxy"),
    ("alnum 34", "arbiscan bscscan etherscan polygonscan"),
    ("alnum 35", "craftmypdf worldcoinindex"),
    ("alnum 36", "enablex sslmate vultr zonka"),
    ("alnum 37", "smartsheet"),
    ("alnum 39", "apitemplate"),
    (
        "alnum 40",
        "abyssale alpaca apideck beebole brandfetch buddyns buttercms calorieninja cohere deepgram "
        "diggernaut geocodify getgeoapi gitter helpscout instamojo jumpcloud loadmill lokalise oopspam "
        "owlbot pandadoc pipedrive powrbot purestake qase quay semaphore shotstack simplesat sparkpost "
        "stockdata strava teamgate tiingo todoist worksnaps",
    ),
    ("alnum 42", "skrapp"),
    ("alnum 43", "bitcoinaverage cloudelements hybiscus linenotify meistertask mindmeister paralleldots"),
    ("alnum 44", "geckoboard intrinio paymoapp"),
    ("alnum 45", "twitter"),
    ("alnum 46", "nuget voodoosms"),
    ("alnum 48", "clockify foursquare neutrinoapi restpack rownd sigopt technicalanalysisapi"),
    ("alnum 50", "caspio dronahq signalwire twitter vyte"),
    ("alnum 51", "flowflu"),
    ("alnum 52", "azure dyspatch"),
    ("alnum 60", "clustdoc dareboost serphouse sportsmonk webscraper"),
    ("alnum 62", "planyo"),
    (
        "alnum 64",
        "alienvault allsports appsynergy artifactory binance bintray campayn currencycloud disqus "
        "freshbooks hasura hetzner html2pdf iconfinder ipinfodb jfrog lokalise mavenlink mesibo moralis "
        "netsuite newrelic partnerstack peopledatalabs pinata qubole rockset sheety sumo tinybird tmetric "
        "typetalk unplu webflow wistia xray zipcodeapi",
    ),
    ("alnum 73", "artifactory bintray jfrog xray"),
    ("alnum 76", "jupiterone"),
    ("alnum 80", "abuseipdb crowdin fulcrum scrapingbee teamgate"),
    ("alnum 84", "azure"),
    ("alnum 86", "signaturit"),
    ("alnum 91", "airship"),
    ("alnum 128", "chatfuel instamojo yelp"),
    ("word 16", "nexmo"),
    ("word 18", "getemail"),
    ("word 20", "alegra getemail hiveage"),
    ("word 22", "convertkit ethplorer freshworks godaddy mandrill proxycrawl ringcentral travis"),
    ("word 24", "atlassian youtube"),
    ("word 25", "messagebird"),
    ("word 26", "getemail"),
    ("word 27", "cloudinary hypertrack reddit"),
    ("word 28", "browshot fastforex"),
    ("word 29", "userflow"),
    ("word 30", "cloudimage"),
    (
        "word 32",
        "adafruit airbrake apptivo autoklose azure chatbot cloudinary cloudplan datadog discord "
        "faceplusplus fastly fmfw ipifi loyverse mixpanel netcore pastebin paymongo pepipost "
        "positionstack rebrandly screenshotlayer trello uplead",
    ),
    ("word 34", "pixabay"),
    ("word 35", "clearbit iexcloud stitchdata"),
    (
        "word 36",
        "airvisual apacta appcues apptivo besttime censys cloudmersive coinapi deepai dnscheck exportsdk "
        "graphhopper holidayapi insightly kontent kylas mixmax selectpdf statuspage tatum urlscan "
        "vouchery zenserp",
    ),
    ("word 37", "coveralls godaddy"),
    ("word 39", "appcues blitapp rocketreach youtube"),
    (
        "word 40",
        "airbrake bitly cloudflare datadog extractorapi fastly getsandbox gitter gocardless launchdarkly "
        "magicbell netlify plivo versioneye zendesk",
    ),
    ("word 42", "okta"),
    (
        "word 43",
        "bitfinex codemagic gumroad gyazo ibm leadfeeder luno newscatcher storecove supernotes unsplash",
    ),
    ("word 44", "ibm"),
    ("word 45", "salesflare"),
    ("word 48", "commercejs"),
    ("word 49", "stytch"),
    ("word 50", "dwolla overloop rapidapi"),
    ("word 51", "pandascore repairshopr"),
    ("word 54", "hypertrack"),
    ("word 64", "apimatic auth0 codequiry coinbase cryptocompare reachmail teletype"),
    ("word 71", "appoptics solarwinds"),
    ("word 73", "stormglass"),
    ("word 75", "omnisend snipcart"),
    ("word 86", "smooch"),
    ("word 88", "surveysparrow"),
    ("word 128", "dynalist"),
    ("dot 34", "pushbullet"),
    ("dot 39", "fileio"),
    ("dot 40", "fetchrss"),
    ("dot 97", "harvest"),
    ("dot 136", "scalr"),
    ("b64 20", "fxmarket"),
    ("b64 28", "cloverly"),
    ("b64 32", "fastly nytimes"),
    ("b64 36", "imagekit"),
    ("b64 43", "contentful"),
    ("b64 44", "onepagecrm"),
    ("b64 48", "currentsapi"),
    ("b64 51", "asana"),
    ("b64 54", "optimizely"),
    ("b64 64", "bitbucket capsulecrm confluent dropbox hellosign qualaroo"),
    ("b64 68", "getgist"),
    ("b64 72", "imagga"),
    ("b64 88", "appointedd bombbomb fullstory"),
    ("b64 148-152", "borgbase"),
    (
        "uuid",
        "appsignal blazemeter blocknative bugsnag canny captaindata checkly cliengo codecov collect2 "
        "consul datto dockerhub duply exa findl heroku hubspot interseller kontent kucoin logdna loggly "
        "loginradius logz messagebird moosend nftport nomad onesignal opsgenie postbacks postmark railway "
        "refiner rownd runscope salesmate saucelabs scaleway sendbird shortcut signalwire snyk "
        "squarespace statuspage tokeet wakatime wise zenscrape zipcodebase",
    ),
    ("b64 40-46", "netlify"),
    ("b64 60", "intercom"),
    ("b64 80-90", "kraken"),
    ("word 60", "typeform"),
)
"""An alphabet with a length, and the vendors whose keys are so."""

_FORMS: tuple[tuple[str, str], ...] = (
    ("[A-Za-z0-9]{22}tt", "bannerbear storyblok"),
    ("[A-Za-z0-9]{9}-[A-Za-z0-9]{24}", "uptime"),
    ("[A-Z0-9]{7}-[A-Z0-9]{7}-[A-Z0-9]{7}-[A-Z0-9]{7}", "duply mailmodo requestfinance screenshotapi"),
    ("[A-Z0-9]{8}-[A-Z0-9]{8}-[A-Z0-9]{8}-[A-Z0-9]{8}", "ayrshare poloniex"),
    ("[0-9a-f]{32}-[0-9a-f]{78}", "budibase"),
    ("[A-Za-z0-9]{27}_[A-Za-z0-9]{21}", "ngrok"),
    ("[0-9a-z]{8}-[0-9A-Za-z]{32}", "zenkit"),
    ("[0-9]{3}-[0-9a-f]{40}", "avaza"),
    ("[0-9]{1}/[0-9]{16}:[0-9a-f]{32}", "asana"),
    ("[0-9a-f]{32}-us[0-9]{1,2}", "mailchimp"),
    ("[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}", "mailgun"),
    ("key-[0-9a-f]{32}", "mailgun"),
    ("pubkey-[0-9a-f]{32}", "mailgun"),
    (r"[ps]k\.[A-Za-z0-9_-]{60}\.[A-Za-z0-9_-]{22}", "mapbox"),
    ("live_pub_[0-9a-f]{31}", "lob"),
    ("test_pub_[0-9a-f]{31}", "lob"),
    ("[A-Z0-9]{34}", "bscscan etherscan polygonscan arbiscan"),
    (r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}", "discord"),
    (r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", "airtable"),
    (r"[A-Za-z0-9]{17}\.v1\.[A-Za-z0-9_-]{60,800}\.[0-9a-f]{64}", "airtable"),
    ("key-[0-9a-zA-Z]{64}", "salesblink"),
    ("scp-live-[0-9a-z]{32}", "scrapfly"),
    ("live_[A-Za-z0-9_=-]{40,42}", "gocardless"),
    ("live_[0-9a-f]{35}", "lob"),
    ("test_[0-9a-f]{35}", "lob"),
    ("pk_[0-9a-zA-Z]{34}", "klaviyo"),
    ("pk_[0-9]{8}_[0-9A-Z]{32}", "clickup"),
    ("pk_prod_[0-9a-zA-Z]{28}", "courier"),
    ("pk_[0-9a-z]{45}", "checio"),
    ("[A-Za-z0-9]{6}_[A-Za-z0-9]{6}-[A-Za-z0-9]{6}", "swiftype"),
    (r"[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}", "segment"),
    (r"u\+[A-Za-z0-9_+-]{18}", "pagerduty"),
    ("su[A-Za-z0-9]{12}", "sumo"),
    ("api_[A-Za-z0-9.]{45}", "closecrm"),
    ("b_[A-Za-z0-9=_/+-]{44}", "beamer"),
    ("[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{6}-[0-9a-f]{6}-[0-9a-f]{8}", "everhour"),
    ("sk_[0-9]{4}_[0-9]{6}_[0-9a-f]{32}", "tickettailor"),
    ("[0-9a-z]{11}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}", "apifonica"),
    ("[0-9A-Za-z]{16}_[0-9A-Za-z_=-]{64}", "nozbe"),
    ("[0-9]{15,25}-[A-Za-z0-9]{20,40}", "twitter"),
    ("[A-Za-z0-9%]{22}%[A-Za-z0-9%]{60,90}", "twitter"),
    ("AK1[0-9A-Za-z/]{50,55}", "ecostruxureit"),
    ("[0-9A-Za-z]{23}_[0-9A-Za-z]{8}", "alchemy"),
    ("alcht_[0-9A-Za-z]{30}", "alchemy"),
    ("6L[A-Za-z0-9_-]{38}", "recaptcha"),
    ("pri_[0-9a-f]{32}", "besttime"),
    ("secret_[0-9A-Za-z]{16}", "convertapi"),
    (r"[0-9a-f]{8}\.[0-9a-f]{35}", "fibery"),
    ("sk[A-Za-z0-9]{79}", "sanity"),
    ("act_[0-9a-z]{24}", "smooch"),
    ("ptr_[A-Za-z0-9/_+=-]{20,60}", "portainer"),
    ("k_[0-9A-Za-z]{36}", "mailsac"),
    ("[0-9]{10}:[A-Za-z0-9_-]{35}", "telegram tgram"),
)
"""The form of a key, and the vendors whose keys are so."""

_TWICE = frozenset([
    "artifactory", "bannerbear", "fullstory", "heroku", "klaviyo", "launchdarkly", "lob", "mailchimp",
    "mailgun", "mandrill", "maxmind", "newrelic", "nuget", "onesignal", "razorpay", "wandb", "adafruit",
    "linear",
])  # fmt: skip
"""Vendors whose keys begin with something that tells them, but for some."""

# Nothing is tried twice, or an ordinary file would take seconds: so of two words the longer one comes first.
_SEPARATORS = r"""(?:[\s"'`:=>?,;(){}\[\]|<\\-]|</|\.(?==)){1,12}+"""
_WORD = (
    r"(?:access|account|api|app|auth|an|a|client|config|credentials?|debug|dev|env|for|http|info|id|is|keys?|live|"
    r"my|oauth|password|personal|prod|project|private|request|secret|sending|service|set|test|the|token|tok|to|using|"
    r"user|use|value|within|you|AQAAABAAA)"
)
_WORDS = rf"(?>(?i:{_WORD}(?:[_-]?{_WORD}){{0,4}})|td|th|tr|code|span|strong|em|pre|li|div|name|string)"
_REST = r"[A-Za-z0-9]{0,24}+(?:[_.-][A-Za-z0-9]{1,24}+){0,4}?"
_GAP = rf"{_REST}{_SEPARATORS}(?:{_WORDS}{_SEPARATORS}){{0,5}}"
_MIXED = r"(?=[A-Za-z_+/=.:%-]{0,40}[0-9])(?=[0-9_+/=.:%-]{0,24}[A-Za-z])"
_ENDS = r"(?![\w/+-]|\.\w)"
_DIGEST = expression(rb"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f-]{36})$")
_SAYS = expression(rb"(?i)key|token|secret|auth|password|credential|private|access|pat")
_SAME = expression(rb"(.)\1{7}")
_OF_NAMES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_ENOUGH = 5
"""Characters of the name of a vendor that a random value hardly ever has."""
_PUBLIC = expression(rb"(?i)client[_-]?id[^A-Za-z0-9]{1,12}[A-Za-z0-9_-]+$")


def likely(match: bytes) -> int:
    """Whether the end of a match is not a digest beside the name of a vendor by chance, nor a row of
    one character, nor the public name of a client, nor a name of code, such as `github_release_node_v2`."""
    if _SAME.search(match) or _PUBLIC.search(match) or _is_name(match):
        return 0
    digest = _DIGEST.search(match)
    return 0 if digest and not _SAYS.search(match, 0, digest.start()) else len(match)


def _is_name(match: bytes) -> bool:
    """Whether the end of a match has the name of the vendor in it again, or is made of words."""
    value, words = (match[len(match.rstrip(chars)) :] for chars in (_OF_NAMES, _OF_NAMES + b"-"))
    return match[:_ENOUGH].lower() in value.lower() or any(map(is_of_words, (value.decode(), words.decode())))


def _vendors() -> tuple[Detector, ...]:
    bodies: dict[str, list[str]] = {}
    for body, names in [*_FORMS, *((_body(shape), names) for shape, names in _TABLE)]:
        for name in names.split(" "):
            bodies.setdefault(name, []).append(body)
    return tuple(_vendor(name, of_one) for name, of_one in sorted(bodies.items()))


class _Vendor(Detector, frozen=True, eq=False, kw_only=True):
    """Its only start is the vendor's name; `bodies` are patterns of its keys."""

    bodies: tuple[str, ...]

    @property
    def pattern(self) -> str:
        name = re.escape(self.starts[0])
        return rf"(?i:{name}){_GAP}{_MIXED}({'|'.join(self.bodies)}){_ENDS}"

    @property
    def hits(self) -> tuple[str, ...]:
        name, bodies = self.starts[0], self.bodies
        return f"{name}_api_key={filled(bodies[0])}", f'"{name.title()}Token": "{filled(bodies[-1])}"'

    @property
    def misses(self) -> tuple[str, ...]:
        name, hit = self.starts[0], self.hits[0]
        return f"{name}_api_key=", f"{name} {filled(self.bodies[0])[:-1]}", hit + "x" * 40


def _vendor(name: str, bodies: list[str]) -> Detector:
    return _Vendor(
        f"{name.replace('_', '-')}-{'api-' if name in _TWICE else ''}key",
        starts=(name,),
        any_case=True,
        joins=False,
        accept=likely,
        bodies=tuple(bodies),
    )


def _body(shape: str) -> str:
    if shape == "uuid":
        return UUID
    alphabet, length = shape.split(" ")
    return f"{_ALPHABETS[alphabet]}{{{length.replace('-', ',')}}}"


VENDORS: tuple[Detector, ...] = _vendors()
