"""APIClient, against real servers around the shipped fake pipeline, and against servers that fail on purpose."""

import asyncio
import io
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.api.server import serving
from tests.fakes import fake_app
from tests.loopback import listening
from writing_service.client import APIClient, APIError, JobEnded, JobStatus, pause_before
from writing_service.diffusion.fake import FakeLoader, FakePipeline

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {"width": 128, "height": 112, "num_inference_steps": 4}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(fake_app(FakeLoader(FakePipeline(seconds=0.3)))) as client:
        yield str(client.base_url)


@pytest.fixture
async def client(url: str) -> AsyncIterator[APIClient]:
    async with APIClient(url) as client:
        yield client


@asynccontextmanager
async def answering(*answers: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that gives these answers, one for each connection ("": it just hangs up), and the heads that came."""
    left, came = list(answers), list[str]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if text := left.pop(0):
            head, _, body = text.partition("\n\n")
            head = head.replace("\n", "\r\n")
            length = f"content-length: {len(body.encode())}\r\nconnection: close"
            writer.write(f"HTTP/1.1 {head}\r\n{length}\r\n\r\n{body}".encode())
            await writer.drain()

    async with listening(answer) as host:
        yield f"http://{host}", came


PROBLEM = json.dumps({"status": 422, "error": "Field 'word' is missing.", "success": False})


async def test_a_word_becomes_a_picture(client: APIClient):
    drawn = await client.generate_writing_image(
        "学习",
        "study",
        style="ink",
        seed=7,
        batch_size=2,
        include_conditioning_images=True,
        **SMALL,
    )
    assert [Image.open(io.BytesIO(one)).size for one in drawn.pictures] == [(128, 112)] * 2
    assert drawn.picture == drawn.pictures[0]
    assert (drawn.seed, drawn.format, drawn.metadata["style"]) == (7, "png", "ink")
    assert set(drawn.controls) == {"canny", "depth", "segmentation", "scribble"}
    assert drawn.base is not None
    assert (drawn.prompt, drawn.analysis, drawn.warnings) == (None, None, ())


async def test_a_job_is_started_watched_and_waited_for(client: APIClient):
    started = await client.start_job("学", seed=7, **SMALL)
    assert (started.state, started.finished, started.request["seed"]) == ("queued", False, 7)
    seen = [one async for one in client.job_events(started.id)]
    assert seen[-1].state == "succeeded"
    assert [one.step for one in seen] == sorted(one.step for one in seen)
    assert seen[-1].word_preview is not None
    assert Image.open(io.BytesIO(seen[-1].word_preview)).format == "WEBP"
    told = list[JobStatus]()
    drawn = await client.wait_for_job(started.id, told.append)
    direct = await client.generate_writing_image("学", seed=7, **SMALL)
    assert drawn.pictures == direct.pictures
    assert told[-1].result == drawn
    assert (await client.job(started.id, result=False)).result is None


async def test_waiting_asks_as_often_as_the_service_says(client: APIClient):
    started = await client.start_job("a", **SMALL)
    told = list[JobStatus]()
    began = time.monotonic()
    await client.wait_for_job(started.id, told.append)
    assert len(told) == 2
    assert time.monotonic() - began >= told[0].poll_after_ms / 1000 >= 1


async def test_a_job_that_is_cancelled_or_fails_is_told(client: APIClient):
    job = await client.start_job("a", num_inference_steps=150)
    assert (await client.cancel_job(job.id)).state == "cancelled"
    with pytest.raises(JobEnded, match="was cancelled") as ended:
        await client.wait_for_job(job.id)
    assert ended.value.job.state == "cancelled"
    job = await client.start_job("a", preset="no such")
    with pytest.raises(JobEnded, match="no such") as ended:
        await client.wait_for_job(job.id)
    assert ended.value.status == 422


async def test_one_key_is_one_job(client: APIClient):
    jobs = [await client.start_job("a", idempotency_key="key", **SMALL) for _ in range(2)]
    assert jobs[0].id == jobs[1].id
    assert (await client.start_job("a", **SMALL)).id != jobs[0].id


async def test_refusals_are_errors_with_their_sentence(client: APIClient):
    with pytest.raises(APIError) as refused:
        await client.generate_writing_image("")
    assert refused.value.status == 422
    assert refused.value.problem["errors"][0]["field"] == "word"
    with pytest.raises(APIError, match="no such job") as refused:
        await client.job("nothing")
    assert refused.value.status == 404
    with pytest.raises(APIError, match="no such job"):
        async for _ in client.job_events("nothing"):
            pass


async def test_what_fails_for_the_moment_is_asked_again():
    answers = ("503 Busy\nRetry-After: 1", "", f"422 Unprocessable\n\n{PROBLEM}")
    async with answering(*answers) as (url, came), APIClient(url, api_key="secret") as client:
        began = time.monotonic()
        with pytest.raises(APIError, match="'word' is missing"):
            await client.generate_writing_image("a")
        assert time.monotonic() - began > 1.5
        assert len(came) == 3
        assert "authorization: bearer secret" in came[0].lower()


async def test_retries_end():
    async with (
        answering(*["504 Late\n\n<html>"] * 2) as (url, _),
        APIClient(url, retries=1) as client,
    ):
        with pytest.raises(APIError, match="answered 504") as failed:
            await client.generate_writing_image("a")
        assert failed.value.status == 504
    async with answering("503 Busy\nRetry-After: 3600") as (url, came), APIClient(url) as client:
        with pytest.raises(APIError):
            await client.generate_writing_image("a")
        assert len(came) == 1


async def test_a_retried_start_is_one_job():
    async with answering("", f"422 No\n\n{PROBLEM}") as (url, came), APIClient(url) as client:
        with pytest.raises(APIError):
            await client.start_job("a")
    keys = [
        line for head in came for line in head.splitlines() if "idempotency-key" in line.lower()
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_nobody_answers():
    async with answering() as (url, _):
        pass
    async with APIClient(url, retries=0) as client:
        with pytest.raises(APIError, match="cannot be reached") as failed:
            await client.generate_writing_image("a")
        assert failed.value.status == 0


async def test_an_answer_that_takes_too_long_is_not_waited_for_twice():
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as host, APIClient(f"http://{host}", timeout=0.2) as client:
        with pytest.raises(APIError, match="ask for a job"):
            await client.generate_writing_image("a")


async def test_a_stream_that_breaks_is_taken_up_again(url: str):
    async with httpx.AsyncClient(base_url=url) as http:
        told = (await http.post("/api/writing/jobs", json={"word": "a", **SMALL})).json()
    streams = [
        f"200 OK\n\nevent: status\ndata: {json.dumps({**told, 'state': state})}\n\n"
        for state in ("running", "cancelled")
    ]
    async with answering(*streams) as (broken, came), APIClient(broken) as watcher:
        seen = [one.state async for one in watcher.job_events(told["id"])]
    assert (seen, len(came)) == (["running", "cancelled"], 2)


@given(st.integers(0, 20), st.one_of(st.none(), st.text(), st.integers(0, 10**6).map(str)))
def test_pauses_are_never_shorter_than_what_is_asked(failures: int, retry_after: str | None):
    pause = pause_before(failures, retry_after)
    assert pause >= 0.5
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        assert pause >= int(retry_after)


def test_retry_after_may_be_a_date():
    assert 80 < pause_before(0, formatdate(time.time() + 90, usegmt=True)) <= 90


def test_it_needs_neither_torch_nor_the_service():
    program = (
        "import sys, writing_service.client\n"
        "ours = [m for m in sys.modules if m.startswith('writing_service')]\n"
        "heavy = {'torch', 'fastapi', 'pydantic', 'numpy', 'hydra'} & set(sys.modules)\n"
        "sys.exit(str((ours, heavy)) if heavy or len(ours) > 2 else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
