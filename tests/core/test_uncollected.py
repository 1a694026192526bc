"""The collector of garbage waits, and goes on as before."""

import gc

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from mcpguard.core.uncollected import uncollected


@pytest.mark.parametrize("collects", [True, False])
def test_it_waits_and_is_afterwards_what_it_was(collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with uncollected():
            assert not gc.isenabled()
            with uncollected():  # Another one that began meanwhile.
                assert not gc.isenabled()
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_it_collects_again_when_values_are_held_or_cannot_be() -> None:
    redactor = Redactor(b"key")
    redactor.hold("env:A", Secret("tok-9f3Kq7Zx1Lm5Wb8e"))
    redactor.settle()
    assert gc.isenabled()
    with pytest.raises(CredentialError):
        redactor.hold("env:B", Secret("short"))
    assert gc.isenabled()
