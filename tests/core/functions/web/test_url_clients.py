"""No client connects to another host than the one that a condition was told of.

The URLs are made by chance from a seed. MCPGUARD_URLS sets how many, MCPGUARD_URL_SEED which ones.
"""

from __future__ import annotations

import os
import shutil
from random import Random

import pytest

from scripts import node
from tests.conformance import stage
from tests.core.functions.web.test_urls import says
from tests.core.functions.web.url_clients import CLIENTS, curl_hosts, node_hosts, plain
from tests.core.functions.web.url_forms import GOOD, ordinary, urls
from tests.rows import each

COUNT = int(os.environ.get("MCPGUARD_URLS", "1500"))
SEED = int(os.environ.get("MCPGUARD_URL_SEED", "11"))
LISTED = [GOOD, f"*.{GOOD}"]

HTTP = ["http", "https"]
TEXTS = list(urls(SEED, COUNT))
EXAMINED = [
    "evil.com://docs.python.org/x",
    "metadata.google.internal://docs.python.org/",
    "http:80",
    "docs.python.org:80",
    "docs.python.org",
]
"""What an examination found (or could have), besides those by chance."""


def mistakes(texts: list[str], hosts: list[str]) -> list[tuple[str, str]]:
    """The texts for which a condition says something of another host than the one that a client takes."""
    return [(text, host) for text, host in zip(texts, hosts, strict=True) if host and not agreed(text, host)]


def agreed(text: str, host: str) -> bool:
    """Whether all answers about `text` are true of `host`, or there are none."""
    dialled = plain(host)
    seen = says("url", text)
    if seen is not None and seen["host"] != dialled:
        return False
    listed, private = says("hostIn", text, LISTED), says("isPrivateHost", text)
    inside = dialled == GOOD or dialled.endswith("." + GOOD)
    return listed in (None, inside) and (private in (None, True) or says("isPrivateHost", dialled) is False)


@pytest.mark.uncounted
@each("client", CLIENTS)
def test_a_library_connects_to_the_host_that_a_condition_saw(client: str) -> None:
    texts = TEXTS + EXAMINED
    assert mistakes(texts, CLIENTS[client](texts)) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_connects_to_the_host_that_a_condition_saw() -> None:
    texts = TEXTS + EXAMINED
    hosts = curl_hosts(texts)
    assert sum(map(bool, hosts)) > COUNT / 10
    assert mistakes(texts, hosts) == []


@pytest.mark.uncounted
@pytest.mark.node
def test_node_connects_to_the_host_that_a_condition_saw() -> None:
    if stage.without_node():
        pytest.skip("MCPGUARD_WITHOUT_NODE=1")
    texts = TEXTS + EXAMINED
    readers = list(zip(*node_hosts(node.program(node.ready(), "x")[0], texts), strict=True))
    assert [mistakes(texts, list(hosts)) for hosts in readers] == [[], [], []]


def test_an_ordinary_url_is_read_and_every_client_takes_it_so() -> None:
    chance = Random(SEED)
    for text in (ordinary(chance) for _ in range(COUNT // 5)):
        assert says("url", text) is not None, text
        assert says("hostIn", text, LISTED) is not None or says("url", text)["user"], text
        assert says("isPrivateHost", text) is not None, text


@pytest.mark.uncounted
def test_the_clients_take_what_is_made_by_chance() -> None:
    """An oracle that refuses everything would prove nothing."""
    for client, read in CLIENTS.items():
        assert sum(map(bool, read(TEXTS))) > COUNT / 5, client


def test_these_urls_would_find_the_bypass_that_was_there() -> None:
    """`evil.com://docs.python.org/x`: urllib3 takes what looks like a scheme for the host."""
    text = EXAMINED[0]
    assert CLIENTS["urllib3"]([text]) == ["evil.com"]
    assert says("hostIn", text, LISTED) is None
    assert says("isPrivateHost", EXAMINED[1]) is None
