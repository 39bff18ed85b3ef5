"""Errors under /v1 in OpenAI's shape, whoever they come from: its SDK raises an exception of its own for each."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.api.openai_schemas import THEIR_NAMES
from writing_service.api.problems import MEDIA_TYPE

_BELOW = "/v1/"
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_CODES: Mapping[int, str] = {
    400: "invalid_value",
    401: "invalid_api_key",
    404: "not_found",
    413: "body_too_large",
    429: "rate_limit_exceeded",
    503: "unavailable",
    504: "timeout",
}


class OpenAIError(BaseModel):
    """What went wrong."""

    message: str = Field(
        description="one sentence that a person can act on",
        examples=["Field 'prompt' is missing."],
    )
    type: str = Field(
        description="invalid_request_error, authentication_error, rate_limit_error or server_error",
        examples=["invalid_request_error"],
    )
    param: str | None = Field(description="the field that is wrong", examples=["prompt"])
    code: str | None = Field(description="what kind of wrong", examples=["invalid_value"])


class OpenAIErrorAnswer(BaseModel):
    """An error as OpenAI's SDK reads it."""

    error: OpenAIError = Field(
        description="what went wrong",
        examples=[
            {
                "message": "Field 'prompt' is missing.",
                "type": "invalid_request_error",
                "param": "prompt",
                "code": "invalid_value",
            }
        ],
    )


OPENAI_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIErrorAnswer, "description": description}
    for status, description in (
        (400, "A field is wrong"),
        (404, "There is no such model"),
        (500, "A failure of our own"),
        (503, "The queue is full, or the models are missing; see Retry-After"),
        (504, "The deadline passed"),
    )
} | {"default": {"model": OpenAIErrorAnswer, "description": "Any other failure"}}
"""For the OpenAPI document."""


class OpenAIErrors:
    """ASGI middleware: rewrites problems (RFC 9457) of the routes under /v1, its own and the middleware's inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"].startswith(_BELOW):
            send = _Rewriting(send)
        await self._app(scope, receive, send)


class _Rewriting:
    """Holds a problem back until all of it is there; lets everything else pass."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._rewritten(self._start)

    async def _rewritten(self, start: Message) -> None:
        status, answer = openai_error(json.loads(self._body))
        body = answer.model_dump_json().encode()
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-type"], headers["content-length"] = "application/json", str(len(body))
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def openai_error(problem: Mapping[str, Any]) -> tuple[int, OpenAIErrorAnswer]:
    """The status and the answer for a problem as it goes out elsewhere."""
    # OpenAI answers 400 where we say 422.
    status = 400 if problem["status"] == 422 else problem["status"]
    field = next((one["field"] for one in problem.get("errors") or ()), None)
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    error = OpenAIError(
        message=problem["error"],
        type=kind,
        param=field and THEIR_NAMES.get(field, field),
        code="model_not_found" if (status, field) == (404, "model") else _CODES.get(status),
    )
    return status, OpenAIErrorAnswer(error=error)


def _is_problem(start: Message) -> bool:
    return MutableHeaders(raw=list(start["headers"])).get("content-type", "") == MEDIA_TYPE
