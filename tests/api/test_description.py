"""The OpenAPI document: every field told, and true of what is answered."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.health_schemas import (
    DetailedHealth,
    Health,
    NotReady,
    Ready,
    Status,
    WarmUp,
)
from writing_service.diffusion.fake import FakeLoader

NUMBERS = ("integer", "number")
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"}
UNBOUNDED = {"temperature_celsius"}


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


@pytest.fixture(scope="module")
def document(server: httpx.Client) -> dict[str, Any]:
    return server.get("/api/openapi.json").json()


def fields(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Schema, name and field: of all schemas, and all parameters of all routes."""
    for schema, part in document["components"]["schemas"].items():
        for name, field in part.get("properties", {}).items():
            yield schema, name, field
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                told = {"description": parameter.get("description")}
                yield path, parameter["name"], {**parameter["schema"], **told}


def kinds_of(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from field.get("anyOf", [field])


def sent(document: dict[str, Any]) -> set[str]:
    """Names of the schemas of requests."""
    return {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    }


def test_every_field_has_a_description_and_an_example(document: dict[str, Any]):
    missing = [
        f"{schema}.{name}"
        for schema, name, field in fields(document)
        if not field.get("description") or not ({"examples", "example"} & field.keys())
    ]
    assert missing == []


def test_every_number_has_a_bound_and_every_text_that_is_sent_a_length(document: dict[str, Any]):
    requests = sent(document)
    assert requests >= {"WritingImageRequest", "ImageGenerationRequest"}
    missing = [
        f"{schema}.{name}"
        for schema, name, field in fields(document)
        for kind in kinds_of(field)
        if name not in UNBOUNDED
        and (
            (kind.get("type") in NUMBERS and not BOUNDS & kind.keys())
            or (
                kind.get("type") == "string"
                and schema in requests
                and not {"minLength", "maxLength", "enum", "const"} & field.keys() | kind.keys()
            )
        )
    ]
    assert missing == []


def test_every_route_has_a_summary_and_its_tag_is_told_in_order(document: dict[str, Any]):
    tags = [tag["name"] for tag in document["tags"]]
    assert tags == ["writing", "jobs", "openai", "health"]
    assert all(tag["description"] for tag in document["tags"])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert len(operation["tags"]) == 1, path
    assert "Ask for a picture" in document["info"]["description"]


def test_examples_of_requests_are_drawn(server: httpx.Client, document: dict[str, Any]):
    examples = document["components"]["schemas"]["WritingImageRequest"]
    for asked in examples["examples"]:
        answer = server.post("/api/writing/generate-writing-image", json=asked)
        assert answer.status_code == 200
    all_of_them = {name: one["examples"][0] for name, one in examples["properties"].items()}
    answer = server.post("/api/writing/generate-writing-image", json=all_of_them)
    assert answer.status_code == 200, answer.text
    for asked in document["components"]["schemas"]["ImageGenerationRequest"]["examples"]:
        assert server.post("/v1/images/generations", json=asked).status_code == 200


def untold(model: type[BaseModel], answer: Any) -> list[str]:
    """Keys of an answer that its model, which must fit, does not tell; those of open models may be more."""
    read = model.model_validate(answer)
    return sorted(set(answer) - set(type(read).model_fields))


def test_what_is_answered_is_what_is_told(server: httpx.Client):
    assert untold(Health, server.get("/health").json()) == []
    assert untold(Ready, server.get("/health/ready").json()) == []
    assert untold(DetailedHealth, server.get("/health/detailed").json()) == []
    status = server.get("/api/writing/status").json()
    assert untold(Status, status) == []
    assert untold(WarmUp, server.post("/health/warmup").json()) == []


def test_what_is_answered_when_nothing_can_be_drawn_is_what_is_told():
    with serving(fake_app(FakeLoader(reasons=["gone"]))) as server:
        answer = server.get("/health/ready")
        assert answer.status_code == 503
        assert untold(NotReady, answer.json()) == []
        assert untold(WarmUp, server.post("/health/warmup").json()) == []
