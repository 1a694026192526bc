"""The two eras: what a message of one is in the other."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from mcpguard import __version__
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Caller
from mcpguard.protocol import eras
from mcpguard.protocol.methods import FROM_CLIENT
from tests.rows import each

MODERN = Caller("2026-07-28", True)
LEGACY = Caller("2025-06-18")
READ, CALL = "resources/read", "tools/call"


def meta(**changes: Any) -> dict[str, Any]:
    whole = {eras.VERSION_KEY: "2026-07-28", eras.CAPABILITIES_KEY: {"roots": {}}, **changes}
    return {"_meta": {key: value for key, value in whole.items() if value != "left out"}}


def test_a_request_claims_the_modern_era_with_either_key_of_the_envelope() -> None:
    assert eras.is_enveloped(meta())
    assert eras.is_enveloped({"_meta": {eras.CAPABILITIES_KEY: 1}})
    assert not eras.is_enveloped({"_meta": {"progressToken": 1}})
    assert not eras.is_enveloped({"_meta": 1})
    assert not eras.is_enveloped({})


def test_an_envelope_says_revision_capabilities_and_log_level() -> None:
    read = eras.read_envelope(meta(**{eras.LOG_LEVEL_KEY: "info"}))
    assert read == Caller("2026-07-28", True, {"roots": {}}, "info")
    assert eras.read_envelope(meta()).log_level is None


@each(
    ("params", "said"),
    [
        ({}, "`_meta` must be an object"),
        ({"_meta": []}, "`_meta` must be an object"),
        ({"_meta": {}}, "protocolVersion and .*clientCapabilities"),
        (meta(**{eras.VERSION_KEY: "left out"}), "lacks .*protocolVersion$"),
        (meta(**{eras.CAPABILITIES_KEY: "left out"}), "lacks .*clientCapabilities$"),
        (meta(**{eras.VERSION_KEY: 1}), "must be a string"),
        (meta(**{eras.CAPABILITIES_KEY: []}), "an object"),
        (meta(**{eras.LOG_LEVEL_KEY: 3}), "logLevel must be a string"),
    ],
)
def test_an_envelope_that_lacks_something_is_refused(params: Any, said: str) -> None:
    with pytest.raises(MessageError, match=said) as refused:
        eras.read_envelope(params)
    assert refused.value.code == -32602


def test_a_revision_that_is_not_served_is_refused_with_those_that_are() -> None:
    eras.check_version("2026-07-28")
    with pytest.raises(MessageError) as refused:
        eras.check_version("2027-01-01")
    assert refused.value.code == eras.UNSUPPORTED_VERSION
    assert refused.value.data == {"supported": ["2026-07-28"], "requested": "2027-01-01"}


def test_an_envelope_for_an_upstream_names_us_and_says_what_the_caller_can() -> None:
    caller = Caller("2026-07-28", True, {"roots": {}}, "info")
    said = eras.envelope(caller, "2026-07-28", "mcpguard", "1")
    assert said == {
        eras.VERSION_KEY: "2026-07-28",
        eras.CLIENT_INFO_KEY: {"name": "mcpguard", "version": "1"},
        eras.CAPABILITIES_KEY: {"roots": {}},
        eras.LOG_LEVEL_KEY: "info",
    }
    assert eras.LOG_LEVEL_KEY not in eras.envelope(LEGACY, "2026-07-28", "mcpguard", "1")


@each("method", sorted(eras.CACHEABLE))
@each(("given", "ttl"), [(None, 0), (5, 5), (-1, 0), ("5", 0), (True, 0), (1.5, 0), (0, 0)])
def test_a_cacheable_result_has_a_time_to_live_and_is_private_whatever_the_upstream_says(
    method: str, given: Any, ttl: int
) -> None:
    result = {"x": 1, "cacheScope": "public", **({} if given is None else {"ttlMs": given})}
    expected = {"x": 1, "resultType": "complete", "ttlMs": ttl, "cacheScope": "private"}
    assert eras.result_for(MODERN, method, result) == expected


def test_a_modern_result_keeps_the_type_that_the_upstream_gave() -> None:
    asks = {"resultType": "input_required", "requestState": "s"}
    assert eras.result_for(MODERN, "resources/read", asks) == asks
    assert eras.result_for(MODERN, "tools/call", {"content": []}) == {"resultType": "complete", "content": []}


def test_a_legacy_result_has_nothing_of_the_modern_era_and_the_given_one_is_not_changed() -> None:
    given = {"resultType": "complete", "ttlMs": 1, "cacheScope": "private", "tools": []}
    assert eras.result_for(LEGACY, "tools/list", given) == {"tools": []}
    assert len(given) == 4
    plain: dict[str, Any] = {"tools": []}
    assert eras.result_for(LEGACY, "tools/list", plain) is plain


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (None, {eras.SERVER_INFO_KEY: {"name": "us", "version": "2"}}),
        ("odd", {eras.SERVER_INFO_KEY: {"name": "us", "version": "2"}}),
        ({"x": 1}, {"x": 1, eras.SERVER_INFO_KEY: {"name": "us", "version": "2"}}),
        ({eras.SERVER_INFO_KEY: {"name": "it"}}, {eras.SERVER_INFO_KEY: {"name": "it"}}),
    ],
)
def test_a_modern_result_says_who_serves_unless_it_does_already(meta: Any, expected: Any) -> None:
    given = {"content": [], **({} if meta is None else {"_meta": meta})}
    assert eras.result_for(MODERN, CALL, given, ("us", "2"))["_meta"] == expected
    assert "_meta" not in eras.result_for(LEGACY, CALL, {"content": []}, ("us", "2"))


ENVELOPED = {eras.VERSION_KEY: "2026-07-28", eras.LOG_LEVEL_KEY: "debug", "x": 1}


@each(
    ("given", "token", "expected"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1, "_meta": {"x": 1}}, None, {"a": 1, "_meta": {"x": 1}}),
        ({"a": 1, "_meta": "odd"}, 7, {"a": 1, "_meta": {"progressToken": 7}}),
        ({"_meta": ENVELOPED}, None, {"_meta": {"x": 1}}),
        ({"a": 1, "_meta": {eras.VERSION_KEY: "2026-07-28"}}, None, {"a": 1}),
        ({"a": 1}, 7, {"a": 1, "_meta": {"progressToken": 7}}),
    ],
)
def test_params_for_a_legacy_upstream_have_no_envelope_and_our_token(
    given: Any, token: int | None, expected: Any
) -> None:
    assert eras.legacy_params(given, token) == expected


def test_params_for_a_modern_upstream_have_the_envelope_of_their_caller_and_none_of_the_clients() -> None:
    ours = eras.envelope(LEGACY, "2026-07-28", "mcpguard", __version__)
    assert eras.modern_params({"a": 1}, None, LEGACY, "2026-07-28", None) == {"a": 1, "_meta": ours}
    said = eras.modern_params({"_meta": ENVELOPED}, 7, LEGACY, "2026-07-28", "error")["_meta"]
    assert said == {"x": 1, "progressToken": 7, **ours, eras.LOG_LEVEL_KEY: "error"}
    caller = Caller("2026-07-28", True, {}, "info")
    said = eras.modern_params({}, None, caller, "2026-07-28", "error")["_meta"]
    assert said[eras.LOG_LEVEL_KEY] == "info"


@each(
    ("caller", "method", "code", "from_modern", "expected"),
    [
        (MODERN, READ, -32002, False, -32602),
        (MODERN, CALL, -32002, False, -32602),
        (MODERN, CALL, -32042, False, -32603),
        (MODERN, READ, -32602, True, -32602),
        (MODERN, CALL, [1], True, [1]),
        (LEGACY, READ, -32002, False, -32002),
        (LEGACY, CALL, -32042, False, -32042),
        (LEGACY, READ, -32602, True, -32002),
        (LEGACY, READ, -32602, False, -32602),
        (LEGACY, CALL, -32602, True, -32602),
        (LEGACY, READ, -32603, True, -32603),
    ],
)
def test_an_error_has_the_code_that_the_callers_era_knows(
    caller: Caller, method: str, code: Any, from_modern: bool, expected: Any
) -> None:
    error = {"code": code, "message": "gone"}
    assert eras.error_for(caller, method, error, from_modern) == {"code": expected, "message": "gone"}
    assert error["code"] == code


ELICIT, SAMPLE = "elicitation/create", "sampling/createMessage"


@each(
    ("capabilities", "method", "params", "expected"),
    [
        ({}, ELICIT, {}, False),
        ({"elicitation": None}, ELICIT, {}, False),
        ({"elicitation": {}}, ELICIT, {}, True),
        ({"elicitation": {}}, ELICIT, {"mode": "form"}, True),
        ({"elicitation": {}}, ELICIT, {"mode": "url"}, False),
        ({"elicitation": {"url": {}}}, ELICIT, {"mode": "url"}, True),
        ({"elicitation": {"url": {}}}, ELICIT, {}, False),
        ({"elicitation": {"form": {}}}, ELICIT, {}, True),
        ({"elicitation": {}}, ELICIT, {"mode": ["form"]}, False),
        ({"elicitation": {}}, ELICIT, {"mode": "telepathy"}, False),
        ({"sampling": {}}, SAMPLE, {}, True),
        ({"sampling": {}}, SAMPLE, {"tools": []}, False),
        ({"sampling": {}}, SAMPLE, {"toolChoice": {}}, False),
        ({"sampling": {"tools": {}}}, SAMPLE, {"tools": []}, True),
        ({"roots": {}}, "roots/list", {}, True),
        ({"roots": {}}, SAMPLE, {}, False),
        ({"": {}}, "tools/call", {}, False),
    ],
)
def test_a_client_is_asked_only_what_it_said_it_can_answer(
    capabilities: Any, method: str, params: Any, expected: bool
) -> None:
    assert eras.can_answer(capabilities, method, params) is expected


def test_what_is_cacheable_or_may_ask_is_in_the_table_of_methods() -> None:
    assert FROM_CLIENT.keys() >= eras.CACHEABLE | eras.MAY_ASK


@each(
    ("result", "seconds"),
    [
        ({"task": {"taskId": "1", "ttl": 1500}}, 1.5),
        ({"resultType": "task", "taskId": "1", "ttlMs": 500}, 0.5),
        ({"task": {"taskId": "1", "ttl": None}}, inf),
        ({"content": []}, 0),
        ({"task": "1"}, 0),
    ],
)
def test_a_task_is_kept_as_long_as_its_result_says(result: Any, seconds: float) -> None:
    assert eras.task_seconds(result) == seconds


@each(
    ("method", "result", "over"),
    [
        ("tasks/result", {"content": []}, True),
        ("tasks/get", {"status": "working"}, False),
        ("tasks/get", {"status": "completed"}, True),
        ("tasks/cancel", {"status": "cancelled"}, True),
        ("tasks/update", {}, False),
    ],
)
def test_a_task_is_over_when_its_status_says_so_or_its_result_came(
    method: str, result: dict[str, Any], over: bool
) -> None:
    assert eras.task_over(method, result) is over
