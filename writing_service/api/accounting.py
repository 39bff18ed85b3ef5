"""What is counted and traced of every request, whatever becomes of it."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.api.problems import REFUSAL
from writing_service.observability.metrics import ServiceMetrics
from writing_service.observability.traces import Tracing

OTHER = "other"
"""In place of a path or a method that is none of the app's: a caller could make up any number of those."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_NO_ANSWER = 499
"""The client had gone, as nginx counts it."""


class Accounting:
    """ASGI middleware, outside of whatever may refuse."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, tracing: Tracing | None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _NO_ANSWER

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_flight.track_inprogress(), self._traced(scope) as told:
            try:
                await self._app(scope, receive, watched)
            finally:
                told |= {"http.route": _route(scope), "http.response.status_code": status}
                self._count(scope, status, time.perf_counter() - started)

    def _traced(self, scope: Scope) -> AbstractContextManager[dict[str, Any]]:
        if self._tracing is None:
            return nullcontext(dict[str, Any]())
        return self._tracing.request(_method(scope), Headers(scope=scope))

    def _count(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        self._metrics.answered(_method(scope), _route(scope), status, seconds)
        if reason := scope.get(REFUSAL):
            self._metrics.refused(reason)


def _method(scope: Mapping[str, Any]) -> str:
    return scope["method"] if scope["method"] in _METHODS else OTHER


def _route(scope: Mapping[str, Any]) -> str:
    """The route's own path, such as /api/jobs/{id}."""
    return getattr(scope.get("route"), "path", OTHER)
