"""Which addresses are of the public internet."""

from __future__ import annotations

from mcpguard.adapters.network import is_private
from tests.rows import each


@each(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.1.2.3", "169.254.169.254",
        "172.16.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::1",
        "2001:db8::1", "100::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0",
        "fec0::1", "ff02::1", "ff0e::1", "not-an-address",
    ],
)  # fmt: skip
def test_an_address_outside_of_the_public_internet_is_private(address: str) -> None:
    assert is_private(address)


@each(
    "address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)  # fmt: skip
def test_an_address_of_the_public_internet_is_not_private(address: str) -> None:
    assert not is_private(address)
