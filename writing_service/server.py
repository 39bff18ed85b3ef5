"""The server under the app, and how it stops: what is being drawn is finished first."""

import logging
import os
import signal
import threading
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from writing_service.api.admission import Admission
from writing_service.config import ApiSettings

logger = logging.getLogger(__name__)

LAST_ANSWERS_SECONDS = 5
"""After the grace period: for those who are sent away to read it, and for the models to let go."""


class Server(uvicorn.Server):
    """At the first SIGTERM (or SIGINT) the service lets nobody in any more, and /health/ready says so.

    It stops when everything inside is answered, after the grace period at the latest; then the rest is answered 503.
    A second signal ends the process on the spot.
    """

    def __init__(self, app: ASGIApp, admission: Admission, settings: ApiSettings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                # The same whatever else is installed: Ray, for one, brings other loops and parsers along.
                loop="asyncio",
                http="h11",
                ws="none",
                proxy_headers=False,  # api.trusted_proxies says whose count
                timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
            )
        )
        self._admission = admission
        self._grace_seconds = settings.shutdown_grace_seconds
        self._stops_at: float | None = None
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn.Server; on the main thread, between any two of its instructions."""
        if self._stops_at is not None:
            _end_now(sig)
        super().handle_exit(sig, frame)
        self.should_exit = False
        self._stops_at = time.monotonic() + self._grace_seconds
        self._admission.close()
        _end_later(sig, self._grace_seconds + 2 * LAST_ANSWERS_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        """See uvicorn.Server; every tenth of a second."""
        if self._stops_at is not None:
            self._tell()
            self.should_exit = self._admission.idle or time.monotonic() >= self._stops_at
            if self.should_exit:
                self._admission.dismiss()
        return await super().on_tick(counter)

    def _tell(self) -> None:
        # Not where the signal comes: that may be amid another line of the log.
        if not self._told:
            logger.info("Stopping, within %g s", self._grace_seconds)
        self._told = True


def _end_now(sig: int) -> None:
    signal.signal(sig, signal.SIG_DFL)
    os.kill(os.getpid(), sig)


def _end_later(sig: int, seconds: float) -> None:
    """Unless the process has ended by then: a model that is being loaded cannot be interrupted."""

    def end() -> None:
        logger.warning("Ended amid its work, %g s after the signal to stop", seconds)
        os._exit(128 + sig)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
