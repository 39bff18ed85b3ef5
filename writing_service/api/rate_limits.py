"""How often one caller may ask: by key, else by address. Counted in this process's memory."""

import ipaddress
import math
import time
from collections.abc import Sequence

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from writing_service.api.key_check import CALLER, is_open
from writing_service.api.problems import refusal
from writing_service.config import RateLimitSettings


class RateLimit:
    """ASGI middleware: 429 with `Retry-After` past the limits. Open paths do not count, so that health checks pass."""

    def __init__(
        self, app: ASGIApp, settings: RateLimitSettings, open_paths: Sequence[str]
    ) -> None:
        self._app = app
        self._open = tuple(open_paths)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = _parsed(settings.requests)
        self._drawing = _parsed(settings.drawing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and not is_open(scope["path"], self._open):
            passed = self._passed(scope)
            if passed is not None:
                await _too_many(scope, *passed)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _passed(self, scope: Scope) -> tuple[RateLimitItem, float] | None:
        """The limit that is passed, and the seconds after which it is not."""
        drawing = self._drawing if scope["method"] == "POST" else ()
        caller = _caller(scope)
        for what, limits in (("requests", self._requests), ("drawing", drawing)):
            for limit in limits:
                if not self._limiter.hit(limit, what, caller):
                    window = self._limiter.get_window_stats(limit, what, caller)
                    return limit, window.reset_time - time.time()
        return None


def _parsed(text: str | None) -> tuple[RateLimitItem, ...]:
    return () if text is None else tuple(parse_many(text))


def _caller(scope: Scope) -> str:
    """A key's name, an IPv4 address, or the /64 of an IPv6 address, all of which are one customer's."""
    if name := scope.get(CALLER):
        return f"key {name}"
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _too_many(scope: Scope, limit: RateLimitItem, seconds: float) -> ASGIApp:
    wait = max(1, math.ceil(seconds))
    sentence = f"More than {limit} were asked for; try again in {wait} s."
    return refusal(scope, "rate_limit", 429, sentence, {"Retry-After": str(wait)})
