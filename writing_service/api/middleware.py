"""What a request passes through on its way in, from the outside to the routes; its answer goes the other way."""

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from writing_service.api.accounting import Accounting
from writing_service.api.bodies import BodyReader
from writing_service.api.headers import SecurityHeaders
from writing_service.api.key_check import KeyCheck
from writing_service.api.keys import ApiKeys
from writing_service.api.openai_errors import OpenAIErrors
from writing_service.api.problems import Crashes
from writing_service.api.rate_limits import RateLimit
from writing_service.api.request_ids import RequestIds
from writing_service.config import ApiSettings
from writing_service.observability.metrics import ServiceMetrics
from writing_service.observability.traces import Tracing


def add_middleware(
    app: FastAPI,
    settings: ApiSettings,
    keys: ApiKeys,
    metrics: ServiceMetrics,
    tracing: Tracing | None = None,
) -> None:
    """The order counts: whatever refuses stands inside of those who name, count and mark every answer.

    Keys come before limits, which count by them, and both before the body, which strangers need not send.
    """
    app.user_middleware[:0] = [
        Middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies)),
        Middleware(RequestIds),
        Middleware(Accounting, metrics=metrics, tracing=tracing),
        Middleware(SecurityHeaders),
        *_cors(settings),
        Middleware(OpenAIErrors),
        Middleware(Crashes),
        Middleware(KeyCheck, keys=keys, open_paths=settings.open_paths),
        Middleware(RateLimit, settings=settings.rate_limits, open_paths=settings.open_paths),
        Middleware(
            BodyReader, max_bytes=settings.max_body_bytes, seconds=settings.body_timeout_seconds
        ),
    ]


def _cors(settings: ApiSettings) -> list[Middleware]:
    """Without origins there is none: browsers then keep other sites' pages away."""
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    ]
