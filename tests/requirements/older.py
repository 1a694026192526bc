"""What an older revision asks and the newest of its era no longer does, as far as mcpguard serves it for that
revision alone.

Law of this file: a row is one line and has no number, since the other sentences of these pages are those of 2025-11-25.
"""

from __future__ import annotations

from tests.requirements.rows import Page, ours

# fmt: off
PAGES = (
    Page("2025-03-26", "basic/index", 0, (
        ours("", "Batching", "batches are taken, of a client and of a server", "wire/test_batches.py::test_each_message_of_a_batch_is_decided_and_recorded_by_itself", "wire/test_batches.py::test_over_http_the_answers_of_a_batch_come_on_one_stream", "wire/test_batches.py::test_a_batch_of_a_server_of_this_revision_is_taken_apart", "adapters/transports/http/test_batches.py::test_over_http_sse_each_message_of_a_batch_is_answered_on_the_stream", "adapters/upstreams/wires/test_http.py::test_an_answer_in_a_batch_is_found_in_the_revision_that_has_them", "adapters/upstreams/wires/test_sse.py::test_a_batch_is_taken_apart_in_its_own_revision"),
    )),
    Page("2025-03-26", "basic/lifecycle", 0, (
        ours("", "Initialization", "`initialize` is in no batch", "wire/test_batches.py::test_initialize_in_a_batch_is_refused"),
    )),
    Page("2025-03-26", "basic/transports", 0, (
        ours("", "Sending Messages to the Server", "a batch without requests is answered with 202 and no body", "adapters/transports/http/test_batches.py::test_a_batch_without_requests_is_accepted_with_no_body"),
        ours("", "Sending Messages to the Server", "a batch with requests is answered with a stream or one JSON object", "adapters/transports/http/test_batches.py::test_answers_come_as_they_are_there_and_the_last_ends_the_stream", "adapters/transports/http/test_batches.py::test_a_batch_with_one_request_is_answered_in_json"),
    )),
)
