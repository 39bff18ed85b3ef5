"""The OpenAPI document and its pages, which load nothing from other sites."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema

from writing_service.api.key_check import is_open
from writing_service.api.problems import PROBLEM_CONTENT
from writing_service.api.schemas import Problem

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_FRAMEWORKS_OWN = "HTTPValidationError"
"""What FastAPI says that it answers to a wrong value; `problems.py` does."""


def documented_app(open_paths: Sequence[str], **arguments: Any) -> FastAPI:
    """An app with Swagger UI, Redoc and their scripts below /api. `arguments` are FastAPI's.

    Its document tells of every operation what the middleware may answer in the route's place.
    """
    app = FastAPIOffline(
        docs_url="/api/docs",
        redoc_url="/api/redoc",
        openapi_url="/api/openapi.json",
        static_url="/api/docs/static",
        swagger_ui_oauth2_redirect_url="/api/docs/oauth2-redirect",
        **arguments,
    )
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_refusals(generate(), open_paths)
        return app.openapi_schema

    app.openapi = openapi
    return app


def _with_refusals(document: dict[str, Any], open_paths: Sequence[str]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_problem_schemas())
    components["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        guarded = not is_open(path, open_paths)
        for operation in operations.values():
            answers = operation["responses"]
            # Routes with errors of another shape tell it of their 500.
            content = answers.get("500", {}).get("content", PROBLEM_CONTENT)
            if _FRAMEWORKS_OWN in str(answers.get("422")):
                del answers["422"]
            for status in _statuses(operation, guarded):
                answers.setdefault(str(status), _refusal(status, content))
            if guarded:
                # Or none at all: keys are the operator's choice.
                operation["security"] = [{}, {"bearer": []}, {"header": []}]
    return document


def _statuses(operation: Mapping[str, Any], guarded: bool) -> tuple[int, ...]:
    """Of the middleware: keys and limits, the body, what crashes."""
    return (
        *((401, 429) if guarded else ()),
        *((408, 413, 422) if "requestBody" in operation else (408, 413)),
        500,
    )


def _problem_schemas() -> dict[str, Any]:
    """Of a problem and its parts, by name."""
    reference = "#/components/schemas/{model}"
    _, found = models_json_schema([(Problem, "serialization")], ref_template=reference)
    return found["$defs"]


def _refusal(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": http.HTTPStatus(status).phrase, "content": content}
