"""An authorization server of its own for a test, and an entry that logs in there."""

import pytest

from tests.adapters.credentials.oauth.oauth_stage import Stage
from tests.servers.hosted import hosted


@pytest.fixture
def serving():
    with hosted() as serving:
        yield serving


@pytest.fixture
def stage(serving, backend, tmp_path):
    return Stage(backend, tmp_path, serving.url)
