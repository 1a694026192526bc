"""The greeting: which era, which wire, and whether it is still the same server."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.gateway.flight import as_future
from mcpguard.protocol import eras
from tests.adapters.upstreams.fake_wire import (
    MODERN,
    FakeWire,
    World,
    legacy,
    modern,
    modern_caller,
    permit,
    silent,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


def refusing(_code: int = -32601) -> Any:
    def serve(wire: FakeWire, message: Any) -> None:
        wire.error(message["id"], _code)

    return serve


async def refused(world: World) -> str:
    with pytest.raises(UpstreamError) as caught:
        await as_future(world.upstream.ready())
    return str(caught.value)


async def test_a_legacy_server_is_initialized_with_what_the_client_declares() -> None:
    world = await World(legacy({"tools": {}})).ready()
    assert world.wire.methods() == ["initialize", "notifications/initialized"]
    params = world.wire.sent[0]["params"]
    assert params["protocolVersion"] == "2025-11-25"
    assert params["capabilities"] == {"roots": {}}
    assert params["clientInfo"]["name"] == "mcpguard"
    upstream = world.upstream
    assert (upstream.modern, upstream.version) == (False, "2025-06-18")
    assert upstream.capabilities == {"tools": {}}
    assert upstream.past.greeting is not None
    assert upstream.past.greeting.server_info == {"name": "fake", "version": "1"}
    assert world.wire.revision == ("2025-06-18", False)


async def test_a_modern_server_is_discovered_with_an_envelope_and_nothing_more_is_said() -> None:
    world = await World(modern({"tools": {}}), modern=True).ready()
    assert world.wire.methods() == ["server/discover"]
    meta = world.wire.sent[0]["params"]["_meta"]
    assert meta[eras.VERSION_KEY] == MODERN
    assert meta[eras.CAPABILITIES_KEY] == {"roots": {}}
    upstream = world.upstream
    assert (upstream.modern, upstream.version, upstream.instructions) == (True, MODERN, "be kind")
    assert upstream.past.greeting is not None
    assert upstream.past.greeting.server_info == {"name": "fake", "version": "1"}
    assert world.wire.revision == (MODERN, True)


async def test_nothing_is_known_before_the_greeting() -> None:
    upstream = World(legacy()).upstream
    assert (upstream.capabilities, upstream.modern, upstream.version) == (None, False, "")
    assert (upstream.instructions, upstream.past.greeting) == (None, None)


@pytest.mark.parametrize("code", [-32601, -32602, -32600, 1])
async def test_any_error_at_the_probe_means_legacy_on_the_same_wire(code: int) -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        if message["method"] == "server/discover":
            wire.error(message["id"], code)
        else:
            legacy()(wire, message)

    world = await World(serve, modern=True).ready()
    assert world.wire.methods() == ["server/discover", "initialize", "notifications/initialized"]
    assert not world.upstream.modern


@pytest.mark.parametrize("result", [{}, {"supportedVersions": "x"}, {"supportedVersions": ["2099-01-01"]}])
async def test_an_answer_that_is_no_discovery_means_legacy(result: Any) -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        if message["method"] == "server/discover":
            wire.result(message["id"], result)
        else:
            legacy()(wire, message)

    assert not (await World(serve, modern=True).ready()).upstream.modern


async def test_silence_at_the_probe_means_legacy() -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        if message["method"] != "server/discover":
            legacy()(wire, message)

    world = await World(serve, modern=True, start_seconds=0.3).ready()
    assert not world.upstream.modern
    assert world.wire.forgotten == [1]


async def test_a_modern_server_that_starts_slowly_is_asked_again() -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        if len(wire.sent) > 1:
            modern()(wire, message)

    world = await World(serve, modern=True, start_seconds=1.5).ready()
    assert world.wire.methods() == ["server/discover", "initialize", "server/discover"]
    assert world.upstream.modern


async def test_for_a_legacy_client_a_modern_server_is_discovered_after_it_has_refused_initialize() -> None:
    world = await World(modern()).ready()
    assert world.wire.methods() == ["initialize", "server/discover"]
    assert world.upstream.modern


async def test_a_refusal_of_our_revision_that_names_a_common_one_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eras, "MODERN_VERSIONS", ("2027-01-01", MODERN))

    def serve(wire: FakeWire, message: Any) -> None:
        meta = message["params"]["_meta"]
        if meta[eras.VERSION_KEY] != MODERN:
            wire.error(message["id"], -32022, supported=["2025-11-25", MODERN])
        else:
            modern()(wire, message)

    world = await World(serve, modern=True).ready()
    assert world.wire.methods() == ["server/discover", "server/discover"]
    assert world.upstream.version == MODERN


async def test_a_server_that_speaks_nothing_that_we_know_is_one_clear_error() -> None:
    said = await refused(World(refusing()))
    assert "upstream 'x' is not available" in said
    assert "initialize" in said
    assert "revision" in said


async def test_an_unknown_revision_in_the_answer_is_refused() -> None:
    assert "revision" in await refused(World(legacy(version="1999-01-01")))


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    world = World(silent, start_seconds=0.05)
    said = "did not start and complete the handshake within 0.05 seconds (`start_timeout_seconds`)"
    assert said in await refused(world)
    assert world.wire.closed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CredentialError("env:X is not set"), "env:X is not set"),
        (UpstreamError("cannot connect"), "cannot connect"),
        (OSError(13, "Permission denied"), "cannot be started: Permission denied"),
        (
            OSError(24, "Too many open files"),
            "cannot be started: Too many open files: raise the limit of open files (`ulimit -n`)",
        ),
    ],
)
async def test_what_goes_wrong_at_the_opening_is_said(error: Exception, said: str) -> None:
    world = World(legacy())
    world.prepare_wire = lambda wire: setattr(wire, "opening", error)
    assert said in await refused(world)
    assert world.wire.closed


async def test_the_end_of_the_wire_during_the_greeting_is_said_with_its_last_words() -> None:
    def serve(wire: FakeWire, _message: Any) -> None:
        wire.words = " (exit status 7)"
        wire.listener.ended()

    said = await refused(World(serve))
    assert "it ended before it answered initialize (exit status 7)" in said


async def test_an_exchange_that_fails_is_the_reason_that_is_said() -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        wire.listener.failed(message["id"], "cannot be reached")

    assert await refused(World(serve)) == "upstream 'x' is not available: cannot be reached"


async def test_a_legacy_server_that_ends_at_the_probe_is_started_again_without_one() -> None:
    def fragile(wire: FakeWire, message: Any) -> None:
        if message["method"] == "server/discover":
            wire.listener.ended()
        else:
            legacy()(wire, message)

    world = await World(fragile, modern=True).ready()
    assert [wire.methods()[0] for wire in world.wires] == ["server/discover", "initialize"]
    assert world.wires[0].closed
    await world.dead()
    await world.ready()
    assert world.wire.methods()[0] == "initialize"


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_transport_that_is_refused_gives_way_to_the_next(status: int) -> None:
    world = World(refusing(), legacy(), wires=2)
    world.prepare_wire = lambda wire: setattr(wire, "last_status", status)
    await world.ready()
    assert len(world.wires) == 2
    assert world.wires[0].closed
    assert world.wire.methods()[0] == "initialize"


async def test_when_no_transport_fits_all_that_was_said_is_told() -> None:
    world = World(refusing(), refusing(), wires=2)
    world.prepare_wire = lambda wire: setattr(wire, "last_status", 404)
    said = await refused(world)
    assert "no transport worked, so check the path of its `url`: " in said
    assert said.count("; then it ") == 1


@pytest.mark.parametrize("status", [0, 401, 403, 500])
async def test_another_refusal_does_not_lead_to_the_next_transport(status: int) -> None:
    world = World(refusing(), legacy(), wires=2)
    world.prepare_wire = lambda wire: setattr(wire, "last_status", status)
    await refused(world)
    assert len(world.wires) == 1


async def test_a_server_with_another_name_is_refused_for_good() -> None:
    world = await World(legacy(name="good"), legacy(name="evil s3cret\n"), legacy(name="good")).ready()
    await world.dead()
    said = await refused(world)
    assert said == (
        "upstream 'x' is not the same server as before: it called itself 'good' and now 'evil *** '; if that is intended, restart mcpguard"
    )
    await world.settled()
    assert await refused(world) == said
    assert world.upstream.health.state == "failed"
    assert len(world.wires) == 2
    assert "tools/call" not in world.wire.methods()


async def test_a_server_that_changes_its_era_is_refused() -> None:
    world = await World(legacy(), modern()).ready()
    await world.dead()
    assert "used the legacy era and now uses the modern one" in await refused(world)


async def test_a_server_of_both_eras_follows_the_client_and_stays_the_same() -> None:
    def both(wire: FakeWire, message: Any) -> None:
        (legacy() if message.get("method") == "initialize" else modern())(wire, message)

    world = await World(both, modern=True).ready()
    assert world.upstream.modern
    await world.dead()
    world.modern = False
    await world.ready()
    assert not world.upstream.modern


async def test_silence_once_and_an_answer_later_are_no_change() -> None:
    def slow(wire: FakeWire, message: Any) -> None:
        if message.get("method") != "server/discover":
            legacy()(wire, message)

    world = await World(slow, modern(), modern=True, start_seconds=0.3).ready()
    assert not world.upstream.modern
    await world.dead()
    await world.ready()
    assert world.upstream.modern
    assert world.upstream.request(permit(caller=modern_caller()))
