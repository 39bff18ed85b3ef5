"""Real servers on loopback."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from tests.api.watched_loop import WatchedLoop


@contextmanager
def serving(app: Any) -> Iterator[httpx.Client]:
    """The app on a free port, in a thread of its own, and a client for it. Nothing may have blocked its event loop."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app, log_config=None, lifespan="on", proxy_headers=False, http="h11", ws="none"
        )
        server, loop = uvicorn.Server(config), WatchedLoop()

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(server.serve(sockets=[listener]))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            # The server's own start is nobody's to wait for.
            loop.blocked.clear()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(30)
    assert not loop.blocked, loop.blocked
