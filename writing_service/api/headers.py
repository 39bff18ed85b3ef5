"""Headers that tell browsers to be careful: what pages may load, and who may frame them."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_HSTS = "max-age=31536000"

_NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are no pages."""

_DOCUMENTATION = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Swagger UI and Redoc start from a script in the page, which shows nothing that anyone has sent."""

_PAGES = ("/api/docs", "/api/redoc")


class SecurityHeaders:
    """ASGI middleware: adds them to every answer that does not have its own, as the studio's pages have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _headers(scope["path"], scope["scheme"]).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def _headers(path: str, scheme: str) -> dict[str, str]:
    policy = _DOCUMENTATION if any(_is_below(path, one) for one in _PAGES) else _NOTHING
    secure = {"Strict-Transport-Security": _HSTS} if scheme == "https" else {}
    return {**_ALWAYS, "Content-Security-Policy": policy, **secure}


def _is_below(path: str, page: str) -> bool:
    return path == page or path.startswith(f"{page}/")
