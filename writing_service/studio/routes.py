"""The studio's files over HTTP. The page itself speaks to the API as any other client does."""

import mimetypes
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

FILES = Path(__file__).parent / "static"

# Tables of types differ from one system to the next, and a browser runs no script of the wrong one.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/webp", ".webp")

_HEADERS = {
    # Everything comes from this service; nothing is inline. Pictures are made of what the API answers.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    ),
    # Asked for each time, and sent only when it has changed (ETag): a new version never meets an old script.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class StudioFiles(StaticFiles):
    """The page at the mount's root, everything that it loads below it."""

    def __init__(self) -> None:
        super().__init__(directory=FILES, html=True)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Also where a file has not changed (304)."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(_HEADERS)
        return response


def add_studio(app: FastAPI) -> None:
    """Serves the page at /studio/."""
    app.mount("/studio", StudioFiles(), name="studio")
