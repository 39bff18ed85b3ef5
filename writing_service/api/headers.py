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

_PAGE = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""For pages with scripts and styles in files of their own; pictures may come inside of answers."""

_DOCUMENTATION = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Swagger UI and Redoc start from a script in the page, which shows nothing that anyone has sent."""

_PAGES = (("/studio", _PAGE), ("/api/docs", _DOCUMENTATION), ("/api/redoc", _DOCUMENTATION))


class SecurityHeaders:
    """ASGI middleware: adds them to every answer that does not have its own."""

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
    policy = next((policy for page, policy in _PAGES if _is_below(path, page)), _NOTHING)
    secure = {"Strict-Transport-Security": _HSTS} if scheme == "https" else {}
    return {**_ALWAYS, "Content-Security-Policy": policy, **secure}


def _is_below(path: str, page: str) -> bool:
    return path == page or path.startswith(f"{page}/")
