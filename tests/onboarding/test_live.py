"""A real client runs the entry that was written: the server has its secret, and the client's file has none."""

from __future__ import annotations

import pytest

from tests.adapters.credentials.secret_service import needs_secret_service, run_with_secret_service
from tests.onboarding.corpus import Person
from tests.onboarding.live import round_trip
from tests.wire import warm


@pytest.mark.usefixtures("person")
def test_the_entry_that_was_written_gives_the_server_its_secret(person: Person) -> None:
    round_trip(person.home, warm.python(), "--to", "file")


@needs_secret_service
def test_it_does_so_with_a_real_keychain() -> None:
    said = run_with_secret_service("tests.onboarding.live", *warm.python())
    assert said.endswith("moved in and out: all well\n")
