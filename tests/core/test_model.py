"""A principal that records write as one text is taken apart where it was joined."""

from __future__ import annotations

from mcpguard.core.model import split_principal
from tests.rows import each


@each(
    ("source", "name"),
    [
        ("os-user", "ada"),
        ("os-user", "a:b"),
        ("http", "anonymous"),
        ("https://login.example", "ada"),
        ("https://login.example", "12345"),
        ("https://login.example/realms/team", "ada"),
        ("https://login.example:8443/realms/team", "ada/of/team"),
        ("http://127.0.0.1:9401", "ada"),
        ("http://[::1]:9401", "ada"),
        ("https://kubernetes.default.svc", "system:serviceaccount:prod:bot"),
        ("https://login.example", "urn:ada\nb"),
        ("accounts.example", "ada:b"),
    ],
)
def test_the_source_ends_where_the_id_begins(source: str, name: str) -> None:
    assert split_principal(f"{source}:{name}") == (source, name)


def test_a_text_without_an_id_is_a_source() -> None:
    assert split_principal("os-user") == ("os-user", "")
