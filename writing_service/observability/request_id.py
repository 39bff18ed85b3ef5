"""The id of the request that is being answered, for every line that is logged meanwhile."""

import re
import uuid
from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Tasks and threads (`asyncio.to_thread`) that a request begins inherit it; None outside of any."""

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def new_request_id() -> str:
    """32 hexadecimal digits."""
    return uuid.uuid4().hex


def sane_request_id(text: str) -> str | None:
    """The text where it may stand in a header and a log line as it is, else None."""
    return text if _SANE.fullmatch(text) else None
