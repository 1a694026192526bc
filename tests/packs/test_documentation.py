"""Pages of `documentation` and `pages` are those that only their owners write: what anybody publishes on the same host is a stranger's."""

from __future__ import annotations

from mcpguard.authoring.tests.cases import CallEntry, Case
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from tests.packs.packs import Pack
from tests.rows import each

REDACTOR = Redactor(b"the key of these tests, 32 bytes")
POLICIES = {
    posture: load_policies([PolicyFile(Pack("fetch", posture).path)], OPT_IN)
    for posture in ("careful", "open-with-guards")
}


def labels(posture: str, url: str) -> tuple[str, ...]:
    """What a page that is there adds to a new session."""
    call = CallEntry(server="fetch", tool="fetch", args={"url": url})
    page = {"content": [{"type": "text", "text": "hello"}]}
    found = rehearse(POLICIES[posture], Case(name="a page", call=call, result=page, expect="allow"), REDACTOR)
    assert found.outcome.effect == "allow", url
    return tuple(found.outcome.labels)


@each(
    "url",
    [
        "https://sqlite.org/forum/forumpost/abc",
        "https://www.sqlite.org/src/tktview/abc",
        "https://www.postgresql.org/message-id/flat/CAKFQuwZ",
        "https://www.postgresql.org/list/pgsql-general/2026-12/",
        "https://www.postgresql.org/about/news/",
        "https://www.rfc-editor.org/errata/eid9999",
        "https://www.rfc-editor.org/rfc/inline-errata/rfc9110.html",
        "https://developer.mozilla.org/en-US/play?id=abc",
        "https://developer.mozilla.org/api/v1/play/abc",
        "https://www.typescriptlang.org/play",
        "https://git-scm.com/downloads/guis",
        "https://kubernetes.io/partners/",
        "https://vuejs.org/partners/all.html",
        "https://docs.python.org.example.net/3/",
        "https://example.net/docs.python.org/3/",
        "https://docs.example.net/www.postgresql.org/docs/",
    ],
)
def test_what_others_publish_is_a_strangers_text(url: str) -> None:
    assert {posture: labels(posture, url) for posture in POLICIES} == dict.fromkeys(POLICIES, ("untrusted",))


@each(
    "url",
    [
        "https://docs.python.org/3/library/re.html",
        "https://DOCS.python.org./3/",
        "https://www.sqlite.org/lang_upsert.html",
        "https://www.postgresql.org/docs/current/functions-json.html",
        "https://www.rfc-editor.org/rfc/rfc9110.html",
        "https://developer.mozilla.org/en-US/docs/Web/API/fetch",
        "https://git-scm.com/docs/git-log",
    ],
)
def test_what_only_the_owner_of_a_documentation_writes_is_not(url: str) -> None:
    assert {posture: labels(posture, url) for posture in POLICIES} == dict.fromkeys(POLICIES, ())
