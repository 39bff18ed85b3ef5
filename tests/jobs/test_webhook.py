"""WebhookSender: whom it calls, how it signs, when it tries again; with a real receiver on loopback."""

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.loopback import listening
from writing_service.config import JobSettings, load_settings
from writing_service.errors import ConfigurationError, InvalidRequest
from writing_service.jobs.job import Failure, Job, JobProgress, KeptAnswer, NewJob
from writing_service.jobs.store import JobStore
from writing_service.jobs.webhook import LARGEST_PAUSE_SECONDS, WebhookSender, pause_after, signed

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


SETTINGS = load_settings(["jobs.webhook_attempts=2"]).jobs


def settings_for(*hosts: str, secret: str = SECRET) -> JobSettings:
    given = {"webhook_hosts": hosts, "webhook_secret": SecretStr(secret)}
    return SETTINGS.model_copy(update=given)


SENDER = WebhookSender(settings_for("bot.example.org"))


class Receiver:
    """Keeps what came, and answers with the next of `answers`."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.came = list[tuple[Mapping[str, str], bytes]]()
        self.host = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:-1]
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head)}
        self.came.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = self.answers.pop(0)
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        await writer.drain()


@asynccontextmanager
async def receiving(*answers: str) -> AsyncIterator[Receiver]:
    receiver = Receiver(*answers)
    async with listening(receiver.take) as receiver.host:
        yield receiver


async def done(store: JobStore, url: str, failed: bool = False) -> Job:
    await store.create(NewJob({"word": "a"}, webhook_url=url), 10)
    job = await store.claim("here", 3)
    assert job
    outcome = Failure({"status": 422, "error": "No."}) if failed else KeptAnswer({}, ())
    await store.finish(job, outcome, JobProgress())
    return job


@pytest.fixture
async def store() -> AsyncIterator[JobStore]:
    store = JobStore("sqlite://", 60, 60)
    yield store
    store.close()


async def test_a_job_that_is_done_is_told_once_and_signed(store: JobStore) -> None:
    async with receiving("204 No Content") as receiver:
        sender = WebhookSender(settings_for(receiver.host))
        job = await done(store, f"http://{receiver.host}/told?chat=1", failed=True)
        assert await sender.send_next(store)
        assert not await sender.send_next(store)
    ((headers, body),) = receiver.came
    told = json.loads(body)
    assert (told["type"], told["data"]["id"]) == ("job.failed", job.id)
    assert told["data"]["error"] == {"status": 422, "error": "No."}
    stamp = headers["webhook-timestamp"]
    assert signed(bytes(range(32)), headers["webhook-id"], int(stamp), body) == {
        name: headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }


async def test_what_did_not_arrive_is_tried_again_but_not_for_ever(store: JobStore) -> None:
    async with receiving("500 Oh", "302 Found\r\nlocation: http://127.0.0.1:1/") as receiver:
        sender = WebhookSender(settings_for(receiver.host))
        job = await done(store, f"http://{receiver.host}/")
        assert await sender.send_next(store)
        assert not await sender.send_next(store)
        await store.webhook_failed(job, -1)  # Its pause is over.
        assert await sender.send_next(store)
        await asyncio.sleep(0)
        assert await store.claim_webhook(0) is None
        assert len(receiver.came) == 2
        assert receiver.came[0][0]["webhook-id"] == receiver.came[1][0]["webhook-id"]


async def test_nobody_listens(store: JobStore) -> None:
    async with receiving() as receiver:
        host = receiver.host
    sender = WebhookSender(settings_for(host))
    job = await done(store, f"http://{host}/")
    assert await sender.send_next(store)
    await store.webhook_failed(job, -1)
    assert await store.claim_webhook(1) is not None


async def test_a_host_that_is_allowed_no_more_is_not_called(store: JobStore) -> None:
    async with receiving() as receiver:
        await done(store, f"http://{receiver.host}/")
        assert await WebhookSender(settings_for("bot.example.org")).send_next(store)
        assert not await WebhookSender(settings_for()).send_next(store)
        assert receiver.came == []


def test_the_page_tells_how_to_verify() -> None:
    """The snippet of docs/jobs.md."""
    page = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text("utf-8")
    (snippet,) = (one for one in re.findall(r"```python\n(.*?)```", page, re.S) if "hmac" in one)
    scope = dict[str, Any]()
    exec(snippet, scope)
    is_genuine = scope["is_genuine"]
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    headers = signed(key, "job.succeeded", int(time.time()), b"{}")
    assert is_genuine(headers, b"{}", SECRET)
    assert not is_genuine(headers, b"{ }", SECRET)
    assert not is_genuine(headers, b"{}", "whsec_" + base64.b64encode(bytes(32)).decode())
    assert not is_genuine(signed(key, "job.succeeded", 1, b"{}"), b"{}", SECRET)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Their libraries' own example."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    [
        "http://bot.example.org/a?b=c",
        "https://bot.example.org:443/",
        "https://BOT.example.org/",
        "https://other.example.org:8443/",
    ],
)
def test_allowed_urls(url: str) -> None:
    sender = WebhookSender(settings_for("bot.example.org", "other.example.org:8443"))
    assert sender.check(url) is None  # it raises what it refuses


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://localhost/",
        "https://bot.example.org:8443/",
        "https://bot.example.org.evil.example/",
        "https://evil.example/?bot.example.org",
        "https://bot.example.org@evil.example/",
        "https://user@bot.example.org/",
        "https://evil.example\\@bot.example.org/",
        "ftp://bot.example.org/",
        "file:///etc/passwd",
        "//bot.example.org/",
        "bot.example.org",
        "https://",
        "https://[::1",
        "https://bot.example.org:99999/",
    ],
)
def test_refused_urls(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        SENDER.check(url)
    assert refused.value.fields[0].field == "webhook_url"


@given(st.text(max_size=40).filter(lambda text: "bot.example.org" not in text))
def test_no_text_is_taken_for_an_allowed_host(text: str) -> None:
    with pytest.raises(InvalidRequest):
        SENDER.check(text)
    with pytest.raises(InvalidRequest):
        SENDER.check(f"https://{text}bot.example.net/")


def test_without_hosts_there_are_no_webhooks() -> None:
    with pytest.raises(InvalidRequest, match="sends no webhooks"):
        WebhookSender(settings_for()).check("https://bot.example.org/")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64!"])
def test_hosts_without_a_good_secret_are_a_mistake(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="WRITING_SERVICE_WEBHOOK_SECRET") as refused:
        WebhookSender(settings_for("bot.example.org", secret=secret))
    assert "c2hvcnQ=" not in str(refused.value)


def test_pauses_grow_up_to_six_hours() -> None:
    pauses = [pause_after(tries) for tries in range(10)]
    assert pauses[:3] == [5, 20, 80]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LARGEST_PAUSE_SECONDS
