"""Every answer has an id that its log lines have too: the caller's `X-Request-ID` where it is sane, else a new one."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.observability.request_id import REQUEST_ID, new_request_id, sane_request_id

HEADER = "X-Request-ID"


class RequestIds:
    """ASGI middleware, outside of all others that log or answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = sane_request_id(given) or new_request_id()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        token = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, with_id)
        finally:
            REQUEST_ID.reset(token)
