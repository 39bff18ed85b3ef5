"""Errors as HTTP answers: `application/problem+json` (RFC 9457)."""

import http
import json
import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.api.schemas import Problem, ProblemField
from writing_service.errors import (
    DeadlinePassed,
    InvalidRequest,
    JobNotFound,
    ModelsUnavailable,
    QueueFull,
    ServiceUnavailable,
    UnknownModel,
    WritingServiceError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_UNPROCESSABLE = 422

PROBLEM_CONTENT: Mapping[str, Any] = {
    MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
}
"""For the OpenAPI document, to which `documentation.py` adds the schema."""

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": http.HTTPStatus(status).phrase, "content": PROBLEM_CONTENT}
    for status in (413, 422, 500, 503, 504)
}
"""For the OpenAPI document; `documentation.py` adds those that any route may answer."""

REFUSAL = "writing_service.refusal"
"""In a request's scope: the reason why it was turned away, for whoever counts."""


def add_problem_handlers(app: FastAPI) -> None:
    """Every error of a route becomes a problem; `Crashes` has those that are nobody's on purpose."""
    app.add_exception_handler(WritingServiceError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)


class Crashes:
    """ASGI middleware: an error that nothing else answers becomes a problem.

    The framework would answer it too, but outside of all middleware, so that neither headers nor counts had it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Where the answer has begun, the error goes on, and the server cuts the connection."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await _answer_to(error)(scope, receive, send)


def problem(
    status: int,
    sentence: str,
    fields: Sequence[ProblemField] = (),
    headers: Mapping[str, str] | None = None,
    error_id: str | None = None,
) -> JSONResponse:
    """The answer; `sentence` is what a person can act on."""
    body = Problem(
        type="about:blank",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=sentence,
        error=sentence,
        errors=list(fields) or None,
        error_id=error_id,
    )
    content = body.model_dump(exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> dict[str, Any]:
    """What is told of an error to whoever does not wait for the answer; ready for JSON."""
    return json.loads(bytes(_answer_to(error).body))


def refusal(
    scope: Scope,
    reason: str,
    status: int,
    sentence: str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The problem of a request that is turned away. `reason` is a word of the code's own: it becomes a label."""
    scope[REFUSAL] = reason
    fields = [ProblemField(field="body", message=sentence)] if status == _UNPROCESSABLE else ()
    return problem(status, sentence, fields, headers)


async def _on_our_error(request: Request, error: Exception) -> JSONResponse:
    if reason := next((one for kind, one in _REASONS.items() if isinstance(error, kind)), None):
        request.scope[REFUSAL] = reason
    return _answer_to(error)


_REASONS: Mapping[type[Exception], str] = {
    QueueFull: "queue_full",
    ModelsUnavailable: "models",
    ServiceUnavailable: "unavailable",
    DeadlinePassed: "deadline",
}
"""The first that fits counts."""


def _answer_to(error: Exception) -> JSONResponse:
    if isinstance(error, InvalidRequest):
        return problem(
            422, str(error), [ProblemField(field=f.field, message=f.message) for f in error.fields]
        )
    if isinstance(error, ServiceUnavailable):
        seconds = str(max(1, math.ceil(error.retry_after)))
        return problem(503, str(error), headers={"Retry-After": seconds})
    if isinstance(error, DeadlinePassed):
        return problem(504, str(error))
    if isinstance(error, UnknownModel):
        return problem(404, str(error), [ProblemField(field="model", message=str(error))])
    if isinstance(error, JobNotFound):
        return problem(404, str(error))
    if isinstance(error, WritingServiceError):
        return _failed(error, str(error))
    return _failed(
        error, "The picture could not be drawn, for a reason that is not your request's."
    )


async def _on_crash(_: Request, error: Exception) -> JSONResponse:
    return _answer_to(error)


def _failed(error: Exception, sentence: str) -> JSONResponse:
    """No internals go out: the id leads to them in the log."""
    error_id = uuid.uuid4().hex[:12]
    logger.error("Error %s", error_id, exc_info=error)
    return problem(500, f"{sentence} The log has it under {error_id}.", error_id=error_id)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [_field(one) for one in error.errors()]
    return problem(422, " ".join(one.message for one in fields), fields)


def _field(error: Mapping[str, Any]) -> ProblemField:
    path = [str(part) for part in error["loc"] if part not in ("body", "[key]")]
    if error["type"] == "json_invalid":
        reason = error.get("ctx", {}).get("error", "it cannot be read")
        return ProblemField(field="body", message=f"The body is no valid JSON: {reason}.")
    if not path:
        message = "Send a JSON object with at least a 'word' (Content-Type: application/json)."
        return ProblemField(field="body", message=message)
    name = ".".join(path)
    return ProblemField(field=name, message=_sentence(name, error))


def _sentence(name: str, error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return f"Field '{name}' is missing."
    what = str(error["msg"]).removeprefix("Value error, ")
    if what.startswith("The "):
        return what
    what = what.removeprefix("Input ").removeprefix("String ").removeprefix("Value ")
    return f"Field '{name}' {what[:1].lower()}{what[1:]}.".replace("..", ".")


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        sentence = f"There is nothing at {request.url.path}; the routes are listed at /api/docs."
    elif error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        sentence = f"{request.method} is not for {request.url.path}; /api/docs tells what is."
    elif error.status_code == http.HTTPStatus.BAD_REQUEST:
        # The framework's answer to a body that is not even text.
        return problem(422, "The body cannot be read; send JSON as UTF-8 text.")
    else:
        sentence = str(error.detail)
    return problem(error.status_code, sentence, headers=error.headers)
