"""WebhookSender: tells whoever asked for it that a job is done, signed as https://www.standardwebhooks.com has it.

It goes only to hosts that the operator named, and never follows a redirect: a client must not be able to have this
service call whatever it can reach.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import ssl
import time
from datetime import UTC, datetime

import httpx

from writing_service.config import JobSettings
from writing_service.errors import ConfigurationError, FieldError, InvalidRequest
from writing_service.jobs.job import Job
from writing_service.jobs.store import JobStore

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 5.0
PAUSE_FACTOR = 4.0
LARGEST_PAUSE_SECONDS = 6 * 3600.0

_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)


class WebhookSender:
    """Sends one at a time, and a failed one again, later each time."""

    def __init__(self, settings: JobSettings) -> None:
        """Raises ConfigurationError where hosts are allowed and no secret is there to sign with."""
        self._hosts = {one.casefold() for one in settings.webhook_hosts}
        self._tries = settings.webhook_attempts
        given = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        self._secret = _secret(given) if self._hosts else b""
        self._tls: ssl.SSLContext | None = None

    def check(self, url: str) -> None:
        """Raises InvalidRequest for a URL that nothing may be sent to."""
        if reason := self._refusal(url):
            raise InvalidRequest(reason, [FieldError("webhook_url", reason)])

    async def send_next(self, store: JobStore) -> bool:
        """One that is due; False where none is. Raises StoreUnavailable."""
        if not self._hosts:
            return False
        due = await store.claim_webhook(again_after=3 * TIMEOUT_SECONDS)
        if due is None:
            return False
        job, tries = due
        failure = await self._send(job)
        if failure is None or tries + 1 >= self._tries:
            logger.info("Webhook: %s", failure or "sent", extra={"job": job.id, "tries": tries + 1})
            await store.webhook_sent(job)
        else:
            await store.webhook_failed(job, pause_after(tries))
        return True

    async def _send(self, job: Job) -> str | None:
        """Why it did not arrive."""
        assert job.webhook_url is not None
        if refusal := self._refusal(job.webhook_url):
            return refusal
        body = payload(job)
        message = f"{job.id}.{job.state.value}"
        headers = {
            **signed(self._secret, message, int(time.time()), body),
            "Content-Type": "application/json",
        }
        if self._tls is None:
            # Reading the certificates takes longer than anything may on the event loop.
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        try:
            async with (
                httpx.AsyncClient(
                    timeout=TIMEOUT_SECONDS, follow_redirects=False, verify=self._tls
                ) as client,
                client.stream("POST", job.webhook_url, content=body, headers=headers) as response,
            ):
                # What it answers is not read: only that it did.
                return None if response.is_success else f"answered {response.status_code}"
        except httpx.HTTPError as error:
            return f"not delivered: {error or type(error).__name__}"

    def _refusal(self, url: str) -> str | None:
        if not self._hosts:
            return "This service sends no webhooks; ask for the job's state instead."
        try:
            # As the client that will call it reads it: two readings are what tricks are made of.
            parts = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            return "The webhook's URL cannot be read."
        if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
            return (
                "The webhook's URL must be http:// or https://, a host and a path, without a user."
            )
        name = parts.host if parts.port is None else f"{parts.host}:{parts.port}"
        return None if name in self._hosts else f"Webhooks to '{name}' are not allowed here."


def payload(job: Job) -> bytes:
    """The body: only what happened; what came of it is asked for."""
    assert job.finished_at is not None
    told = {
        "type": f"job.{job.state.value}",
        "timestamp": datetime.fromtimestamp(job.finished_at, UTC).isoformat(),
        "data": {"id": job.id, "state": job.state.value, "error": job.failure},
    }
    return json.dumps(told).encode()


def signed(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Standard Webhooks' headers: HMAC-SHA256 over the message's id, the time in seconds, and the body."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def pause_after(tries: int) -> float:
    """Seconds: 5, 20, 80, ... and at most six hours."""
    return min(LARGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * PAUSE_FACTOR**tries)


def _secret(given: str) -> bytes:
    try:
        secret = base64.b64decode(given.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) not in _SECRET_BYTES:
        raise ConfigurationError(
            "Setting 'jobs.webhook_hosts' needs a secret to sign with: set WRITING_SERVICE_WEBHOOK_SECRET to whsec_ "
            "and 24 to 64 random bytes in base64."
        )
    return secret
