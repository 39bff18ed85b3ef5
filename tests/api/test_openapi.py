"""The OpenAPI document against the service: made-up requests, right and wrong ones, over a real connection.

A short pass; `make bench-load` makes a long one.
"""

from collections.abc import Iterator

import httpx
import pytest

from benchmarks.load.schema import check_document
from tests.api.server import serving
from tests.fakes import fake_app


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    small = [f"ai_generation.generation.{side}=128" for side in ("width", "height")]
    with serving(fake_app(None, *small)) as client:
        yield client


def test_made_up_requests_get_the_answers_that_the_document_tells(client: httpx.Client):
    found = check_document(str(client.base_url), examples=6)
    assert found.failures == ()
    assert found.operations >= 8
    assert set(found.statuses) >= {200, 422}


def test_a_document_that_is_wrong_is_found_out():
    app = fake_app()

    @app.get("/wrong", response_model=dict[str, int])
    def wrong() -> object:
        raise RuntimeError("undocumented, and a crash")

    with serving(app) as client:
        found = check_document(str(client.base_url), examples=1, only="/wrong")
    assert [one for one in found.failures if "/wrong" in one]
