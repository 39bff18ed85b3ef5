"""Requests show their key as `Authorization: Bearer` or `X-API-Key`; all but the open paths need one."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from writing_service.api.keys import ApiKeys
from writing_service.api.problems import refusal

CALLER = "writing_service.caller"
"""In a request's scope: the name of its key, where it showed one."""

_SENTENCE = (
    "This needs an API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'; "
    "whoever runs the service gives them out."
)


class KeyCheck:
    """ASGI middleware: 401 for whoever shows no key, on all but the open paths."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, open_paths: Sequence[str]) -> None:
        self._app = app
        self._keys = keys
        self._open = tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and self._keys:
            scope[CALLER] = self._owner(Headers(scope=scope))
            if scope[CALLER] is None and not is_open(scope["path"], self._open):
                answer = refusal(scope, "key", 401, _SENTENCE, {"WWW-Authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _owner(self, headers: Headers) -> str | None:
        key = _shown(headers)
        return None if key is None else self._keys.owner(key.encode("latin-1"))


def is_open(path: str, open_paths: Sequence[str]) -> bool:
    """Whether one of `open_paths` is the path, or, with `/*` at its end, is above it."""
    return any(
        path == one or (one.endswith("/*") and path.startswith(one.removesuffix("*")))
        for one in open_paths
    )


def _shown(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key")
