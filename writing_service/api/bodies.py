"""Bodies of requests: small, in time, and JSON in the strict sense, before anything else looks at them."""

import asyncio
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.api.problems import refusal

LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024
"""So long, and so much, is a body that is too large still taken in, and thrown away."""

_TOO_LARGE = 413
_DEEPEST = 16
"""Levels of lists and objects in each other; a request has three."""


class BodyReader:
    """ASGI middleware that reads a body whole.

    A larger one than `max_bytes` is answered 413 as soon as that is known, one that is not there after `seconds` 408,
    and one that calls itself JSON and is not, or leaves open what it says, 422.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Whoever goes away before the end of the body is forgotten."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
            _check(Headers(scope=scope), body)
        except _Refused as error:
            answer = refusal(scope, error.reason, error.status, str(error), error.headers)
            if error.status == _TOO_LARGE and "expect" not in Headers(scope=scope):
                await _answered_to_a_sender(answer, scope, receive, send)
            else:
                await answer(scope, receive, send)
        except _Gone:
            return
        else:
            await self._app(scope, _replayed(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """Raises _Refused, _Gone."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._collected(receive)
        except TimeoutError:
            raise _Refused(
                "body_late",
                408,
                f"The body did not come within {self._seconds:g} s; send the request again, without a pause.",
                {"Connection": "close"},
            ) from None

    async def _collected(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> "_Refused":
        return _Refused(
            "body_too_large",
            _TOO_LARGE,
            f"The body is larger than {self._max_bytes} bytes; send a smaller one.",
            {"Connection": "close"},
        )


def parse_json(body: bytes) -> Any:
    """The value. Raises ValueError with one sentence.

    UTF-8 alone; no key twice in one object, for readers disagree which counts; no NaN, Infinity or number too large
    to be one; no half of a surrogate pair; at most 16 levels.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8; send JSON as UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"The body is no valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth_and_text(value)
    return value


async def _answered_to_a_sender(
    answer: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer at once, but close only when what still comes is taken in: a socket that is closed before resets the
    connection, and whoever is still sending never reads the answer.
    """

    async def unfinished(message: Message) -> None:
        last = message["type"] == "http.response.body"
        await send({**message, "more_body": True} if last else message)

    await answer(scope, receive, unfinished)
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await _thrown_away(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _thrown_away(receive: Receive) -> None:
    count, more = 0, True
    while more and count < LINGER_BYTES:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)


class _Refused(Exception):
    def __init__(
        self, reason: str, status: int, sentence: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.status = status
        self.headers = headers


class _Gone(Exception):
    """The client went away in the middle of its body."""


def _check(headers: Headers, body: bytes) -> None:
    if not body or "json" not in headers.get("content-type", "").casefold():
        return
    try:
        parse_json(body)
    except ValueError as error:
        raise _Refused("body_invalid", 422, str(error)) from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"The body has {_shown(twice)} twice in one object; send it once.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"The body holds {name}, which JSON does not have; send a number.")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"The body holds the number {_shown(text)}, which is too large.")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"The body holds a number of {len(text)} digits; send a smaller one."
        ) from None


def _check_depth_and_text(value: Any) -> None:
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > _DEEPEST:
            raise _too_deep()
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for pair in one.items() for part in pair]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
        elif isinstance(one, str) and any("\ud800" <= character <= "\udfff" for character in one):
            raise ValueError("The body holds half of a surrogate pair; send valid Unicode text.")


def _too_deep() -> ValueError:
    return ValueError(f"The body nests deeper than {_DEEPEST} levels; send a flat object.")


def _shown(text: str) -> str:
    short = text if len(text) <= 40 else f"{text[:40]}..."
    return "'" + "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short) + "'"


def _replayed(body: bytes, receive: Receive) -> Receive:
    """First what was read, then whatever else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
