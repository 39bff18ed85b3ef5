"""How much the service takes on, and for how long: deadlines, the queue, clients that leave."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.admission import Admission
from writing_service.config import load_settings
from writing_service.diffusion.doors import Workload
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.errors import DeadlinePassed, QueueFull, ServiceUnavailable

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"
SOON_SECONDS = 20
HEADER = "X-Request-Timeout"
NO_WORK = Workload()


def small(**fields: object) -> dict[str, object]:
    return {"word": "学", "width": 100, "height": 100, **fields}


def wait_until(true: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < SOON_SECONDS
        time.sleep(0.01)


@pytest.fixture(scope="module")
def slow() -> FakePipeline:
    """Takes longer than any test."""
    return FakePipeline(seconds=120.0)


@pytest.fixture(scope="module")
def client(slow: FakePipeline) -> Iterator[httpx.Client]:
    with serving(fake_app(FakeLoader(slow))) as client:
        yield client


@contextmanager
def asking(client: httpx.Client, route: str, **fields: object) -> Iterator[None]:
    """A client of its own, who leaves at the end of the block without an answer."""
    body = json.dumps(small(**fields)).encode()
    head = (
        f"POST {route} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + body)
        yield


@pytest.mark.parametrize("route", [JSON, BINARY])
@pytest.mark.parametrize("seed", [None, 7])
def test_a_client_that_leaves_takes_its_work_along(
    client: httpx.Client, slow: FakePipeline, route: str, seed: int | None
):
    with asking(client, route, seed=seed):
        wait_until(lambda: slow.workload().running == 1)
    wait_until(lambda: slow.workload() == Workload(0, 0, 0.0))
    assert slow.jobs == []
    assert client.get("/health/ready").status_code == 200


def test_one_of_several_who_leaves_takes_nothing_along(client: httpx.Client, slow: FakePipeline):
    with asking(client, JSON, seed=8), asking(client, BINARY, seed=8):
        with asking(client, JSON, seed=8):
            wait_until(lambda: slow.workload().running == 1)
            time.sleep(0.2)
        time.sleep(0.2)
        assert slow.workload().running == 1
    wait_until(lambda: slow.workload().running == 0)
    assert slow.jobs == []


@pytest.mark.parametrize("route", [JSON, BINARY])
def test_a_request_may_say_how_long_it_waits(client: httpx.Client, slow: FakePipeline, route: str):
    started = time.monotonic()
    answer = client.post(route, json=small(), headers={HEADER: "0.7"})
    assert answer.status_code == 504
    assert "0.7 s" in answer.json()["error"]
    assert time.monotonic() - started < SOON_SECONDS
    wait_until(lambda: slow.workload().running == 0)
    assert slow.jobs == []


@pytest.mark.parametrize(
    "value", ["0", "-1", "601", "1e9", "nan", "inf", "soon", "", "1,5", "１２x"]
)
def test_a_wrong_deadline_is_422_and_names_the_header(client: httpx.Client, value: str):
    answer = client.post(JSON, json=small(), headers={HEADER: value.encode()})
    body = answer.json()
    assert answer.status_code == 422
    assert [one["field"] for one in body["errors"]] == [HEADER]
    assert body["error"].startswith(f"Header '{HEADER}' ")
    assert body["error"].endswith(".")


VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc", "Zs"])


@settings(max_examples=30)
@given(st.text(VISIBLE, max_size=12))
def test_whatever_the_deadline_says_the_answer_is_a_sentence(client: httpx.Client, value: str):
    # With an empty word, so that nothing is drawn whatever it says.
    headers = {HEADER: value.encode("latin-1")}
    answer = client.post(JSON, json={"word": ""}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_when_the_queue_is_full_the_wait_comes_from_the_queue_itself():
    pipeline = FakePipeline(seconds=6.0, at_once=1)
    with serving(fake_app(FakeLoader(pipeline), "api.max_queue=2")) as client:
        with asking(client, JSON), asking(client, JSON), asking(client, JSON):
            wait_until(lambda: pipeline.workload() == Workload(2, 1, 18.0))
            answer = client.post(JSON, json=small())
            assert client.get("/health").status_code == 200
        wait_until(lambda: pipeline.workload().running == 0)
        patience = {HEADER: "30"}
        assert client.post(JSON, json=small(), headers=patience).status_code == 200
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "18"
    assert "2 pictures wait" in answer.json()["error"]


def test_where_several_share_the_device_more_are_let_in():
    pipeline = FakePipeline(seconds=60.0, at_once=3)
    with (
        serving(fake_app(FakeLoader(pipeline), "api.max_queue=1")) as client,
        ExitStack() as inside,
    ):
        for running in (1, 2, 3):
            inside.enter_context(asking(client, JSON))
            wait_until(lambda running=running: pipeline.workload().running == running)
        inside.enter_context(asking(client, JSON))
        wait_until(lambda: pipeline.workload().waiting == 1)
        assert client.post(JSON, json=small()).status_code == 503


def admission(load: Workload = NO_WORK, **changes: float) -> Admission:
    usual = load_settings().api.model_copy(update=changes)
    return Admission(usual, lambda: load)


async def test_work_that_is_before_the_models_takes_as_long_each():
    full = admission(Workload(1, 1, 10.0), max_queue=2)
    with (
        full.place(),
        full.place(),
        full.place(),
        pytest.raises(QueueFull) as refused,
        full.place(),
    ):
        pass
    assert refused.value.retry_after == 15.0


async def test_without_a_pace_the_wait_is_guessed():
    full = admission(Workload(), max_queue=1)
    with full.place(), full.place(), pytest.raises(QueueFull) as refused, full.place():
        pass
    assert refused.value.retry_after > 0


async def test_dismissal_reaches_everybody_inside():
    busy = admission()

    async def request() -> None:
        async with busy.admitted(30):
            await asyncio.sleep(30)

    inside = [asyncio.create_task(request()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not busy.idle
    busy.dismiss()
    told = await asyncio.gather(*inside, return_exceptions=True)
    assert all(isinstance(one, ServiceUnavailable) for one in told)
    assert busy.idle
    with pytest.raises(ServiceUnavailable):
        async with busy.admitted():
            pass
    with pytest.raises(ServiceUnavailable), busy.place():
        pass


async def test_a_deadline_that_passes_leaves_nobody_inside():
    busy = admission()
    with pytest.raises(DeadlinePassed, match="fewer steps"):
        async with busy.admitted(0.01):
            await asyncio.sleep(5)
    assert busy.idle


def test_a_client_that_reads_slowly_keeps_nobody_waiting():
    pipeline = FakePipeline()
    big = small(width=1024, height=1024, include_conditioning_images=True, seed=1)
    with serving(fake_app(FakeLoader(pipeline))) as client:
        body = json.dumps(big).encode()
        head = f"POST {JSON} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n"
        address = (client.base_url.host, client.base_url.port or 0)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(address)
            reader.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            assert reader.recv(64).startswith(b"HTTP/1.1 200")
            for _ in range(3):
                assert client.post(JSON, json=small()).status_code == 200
            read = 0
            while read < 300_000:
                read += len(reader.recv(4096))


def test_a_thousand_clients_at_once_are_all_answered():
    """A few hundred words among them, each asked for by several."""
    pipeline = FakePipeline(seconds=0.1)
    statuses = list[int]()

    async def ask_all(url: str) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as many:
            bodies = [small(seed=index % 10) for index in range(1000)]
            asked = (many.post(BINARY, json=body, headers={HEADER: "60"}) for body in bodies)
            statuses.extend(one.status_code for one in await asyncio.gather(*asked))

    with serving(fake_app(FakeLoader(pipeline), "api.max_queue=5")) as client:
        threads_before = threading.active_count()
        asyncio.run(ask_all(str(client.base_url)))
        assert client.get("/health/ready").status_code == 200
        assert threading.active_count() < threads_before + 50
    assert len(statuses) == 1000
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 100
    assert len(pipeline.jobs) <= 100
