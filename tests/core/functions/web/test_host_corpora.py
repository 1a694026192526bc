"""No attack of the corpora gets past the natural guard, and no honest call is refused by it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from mcpguard.core.functions import FUNCTIONS, FunctionError, apply
from mcpguard.core.functions.web.networks import domains
from tests.rows import each

FOLDER = Path(__file__).parents[1] / "corpus"
URLS: dict[str, Any] = yaml.safe_load((FOLDER / "url.yaml").read_text("utf-8"))
PATHS: dict[str, Any] = yaml.safe_load((FOLDER / "path.yaml").read_text("utf-8"))
HOSTS = ["api.example.com", "*.cdn.example.com"]


def says(name: str, *arguments: Any) -> bool | None:
    """The answer; None for an error."""
    try:
        answer = apply(FUNCTIONS[name], arguments)
    except FunctionError:
        return None
    assert type(answer) is bool
    return answer


@each("case", URLS["host"]["attacks"], ids=lambda case: ascii(case["url"]))
def test_an_attack_on_hosts_is_refused(case: dict[str, str]) -> None:
    assert says("hostIn", case["url"], HOSTS) is not True, case["why"]


@each("url", URLS["host"]["benign"], ids=ascii)
def test_an_honest_host_is_in_the_list(url: str) -> None:
    assert says("hostIn", url, HOSTS) is True


@each("case", URLS["private"]["attacks"], ids=lambda case: ascii(case["url"]))
def test_an_attack_on_private_hosts_is_refused(case: dict[str, str]) -> None:
    assert says("isPrivateHost", case["url"]) is not False, case["why"]


@each("url", URLS["private"]["benign"], ids=ascii)
def test_an_honest_host_is_public(url: str) -> None:
    assert says("isPrivateHost", url) is False


@each("case", URLS["private"]["ranges"], ids=lambda case: case["range"])
def test_a_special_range_is_private_from_its_first_address_to_its_last(case: dict[str, str]) -> None:
    network = ip_network(case["range"])
    for address in (network[0], network[-1]):
        assert says("isPrivateHost", str(address)) is True, case["why"]
    ranges = [ip_network(one["range"]) for one in URLS["private"]["ranges"]]
    for beside in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= beside < 2**network.max_prefixlen:
            address = type(network[0])(beside)
            private = any(address in one for one in ranges)
            assert says("isPrivateHost", str(address)) is private, str(address)


@each("case", URLS["private"]["local"], ids=lambda case: case["name"])
def test_a_name_that_the_public_dns_does_not_have_is_private(case: dict[str, str]) -> None:
    for name in (case["name"], f"files.{case['name']}", f"a.b.{case['name']}"):
        assert says("isPrivateHost", f"http://{name}/") is True, case["why"]
    for name in (f"{case['name']}.example.com", f"x{case['name']}x.com"):
        assert says("isPrivateHost", f"http://{name}/") is False, name


@each("case", URLS["private"]["leading_to_private"], ids=lambda case: case["name"])
def test_a_public_name_that_leads_to_a_private_address_is_private(case: dict[str, str]) -> None:
    for name in (case["name"], f"files.{case['name']}", f"a.b.{case['name']}"):
        assert says("isPrivateHost", f"http://{name}/") is True, case["why"]
    for name in (f"x{case['name']}", f"{case['name']}.example.com"):
        assert says("isPrivateHost", f"http://{name}/") is False, name


def test_each_name_that_is_listed_has_its_case() -> None:
    assert {case["name"] for case in URLS["private"]["leading_to_private"]} == domains("rebinding")


@each("case", PATHS["attacks"], ids=lambda case: ascii(case["path"]))
def test_an_attack_on_a_folder_is_refused(case: dict[str, str]) -> None:
    assert says("pathWithin", case["path"], "/srv/data") is not True, case["why"]


@each("case", PATHS["relative"], ids=lambda case: ascii(case["path"]))
def test_an_attack_on_a_relative_folder_is_refused(case: dict[str, str]) -> None:
    assert says("pathWithin", case["path"], "data") is not True, case["why"]


@each("path", PATHS["benign"], ids=ascii)
def test_an_honest_path_is_in_its_folder(path: str) -> None:
    assert says("pathWithin", path, "/srv/data") is True


def test_the_corpora_are_large_enough_and_every_attack_has_a_reason() -> None:
    groups = [URLS["host"], URLS["private"], PATHS]
    for group in groups:
        assert len(group["attacks"]) >= 60
        assert len(group["benign"]) >= 25
        assert all(case["why"] for case in group["attacks"])
        keys = [str(case) for case in group["attacks"]] + group["benign"]
        assert len(set(keys)) == len(keys)
