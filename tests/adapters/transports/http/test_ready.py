"""`/livez` and `/readyz`: whether it lives, whether it can serve, and what is said to whom."""

from __future__ import annotations

import pytest

from mcpguard.config.file import HttpEntry, TokenEntry
from mcpguard.gateway.ports import Health, Need, Readiness
from tests.adapters.transports.front import FakeVerifier, Front, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

GOOD = Need("evidence", True, 1.0)
BAD = Need("store", False, 2.0, "/home/ada/state cannot be used")
GIT = Health("git", "running", 3.0)
TOKEN = HttpEntry(token=TokenEntry(issuer="https://a.example", audience="https://b.example/mcp"))
YES_OR_NO = {"ready": False, "needs": {"evidence": True, "store": False}}


def ready(front: Front, *needs: Need) -> None:
    front.endpoint.readiness = lambda: Readiness(needs, (GIT,))


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_it_lives_whether_it_can_serve_or_not_and_for_any_host(path: str) -> None:
    async with serving() as front:
        ready(front, BAD)
        answer = await front.ask("GET", path, host="anything.example")
        assert (answer.status, answer.body) == (200, b"ok")
        assert (await front.ask("POST", path)).status == 405


async def test_a_program_of_this_machine_gets_every_fact() -> None:
    async with serving() as front:
        ready(front, GOOD)
        answer = await front.ask("GET", "/readyz")
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.json["ready"] is True
        assert answer.json["needs"]["evidence"] == {
            "name": "evidence",
            "ok": True,
            "since": 1.0,
            "problem": "",
            "warning": "",
        }
        assert answer.json["upstreams"][0]["name"] == "git"
        ready(front, GOOD, BAD)
        answer = await front.ask("GET", "/readyz")
        assert (answer.status, answer.json["ready"]) == (503, False)
        assert answer.json["needs"]["store"]["problem"] == BAD.problem
        assert (await front.ask("POST", "/readyz")).status == 405
        head = await front.open("HEAD", "/readyz")
        assert (await head.head()).status == 503


@pytest.mark.parametrize(
    "header",
    [
        {"x_forwarded_for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
    ],
)
async def test_what_comes_by_a_proxy_or_from_a_page_gets_yes_or_no(header: dict[str, str]) -> None:
    async with serving() as front:
        ready(front, GOOD, BAD)
        answer = await front.ask("GET", "/readyz", **header)
        assert (answer.status, answer.json) == (503, YES_OR_NO)


async def test_without_a_good_token_one_gets_yes_or_no_and_a_good_token_every_fact() -> None:
    async with serving(TOKEN, FakeVerifier()) as front:
        ready(front, GOOD, BAD)
        for proxied in ({}, {"x_forwarded_for": "203.0.113.9"}):
            for wrong in (None, "Bearer bad", "x"):
                told = await front.ask("GET", "/readyz", authorization=wrong, **proxied)
                assert (told.status, told.json) == (503, YES_OR_NO)
            told = await front.ask("GET", "/readyz", authorization="Bearer good", **proxied)
            assert told.json["upstreams"][0]["name"] == "git"
