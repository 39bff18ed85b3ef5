"""JobRunner: real hosts, each a process or a loop of its own, on real databases."""

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.jobs.host import host
from tests.jobs.postgres import PostgresServer
from writing_service.errors import StoreUnavailable
from writing_service.jobs.job import Job, JobState, NewJob
from writing_service.jobs.runner import JobRunner
from writing_service.jobs.store import JobStore

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def drawing(
    url: str, seconds: float = 0.05, **given: float
) -> AsyncIterator[tuple[JobStore, JobRunner]]:
    store, runner = host(url, seconds, **given)
    async with runner.running():
        yield store, runner
    store.close()


@contextmanager
def process(url: str, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Killed in the end, if it still lives."""
    command = [sys.executable, "-m", "tests.jobs.host", url, str(seconds)]
    started = subprocess.Popen(command, cwd=ROOT)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def in_state(store: JobStore, job: Job, *states: JobState) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return (await store.get(job.id)).state in states

    return is_there


async def created(store: JobStore, count: int) -> list[Job]:
    return [(await store.create(NewJob({"word": str(one)}), 100))[0] for one in range(count)]


async def test_a_killed_host_leaves_a_whole_store_and_its_jobs_are_drawn_again(url: str) -> None:
    store, _ = host(url, 0)
    jobs = await created(store, 5)
    with process(url, 0.6) as doomed:
        await until(in_state(store, jobs[0], JobState.SUCCEEDED))
        await until(in_state(store, jobs[2], JobState.RUNNING))
        doomed.send_signal(signal.SIGKILL)
        doomed.wait()
    states = [(await store.get(one.id)).state for one in jobs]
    assert states[0] is JobState.SUCCEEDED
    assert JobState.RUNNING in states
    async with drawing(url):
        for job in jobs:
            await until(in_state(store, job, JobState.SUCCEEDED))
            answer = await store.answer(job)
            assert answer is not None
            assert answer.told == {"word": job.request["word"]}
            assert [len(one.data) for one in answer.files] == [100_000]
    store.close()


async def test_a_host_that_stops_gives_its_jobs_back_at_once(url: str) -> None:
    store, _ = host(url, 0)
    jobs = await created(store, 3)
    async with drawing(url, seconds=60):
        await until(in_state(store, jobs[1], JobState.RUNNING))
    back = [await store.get(one.id) for one in jobs]
    assert [(one.state, one.attempts) for one in back] == [(JobState.QUEUED, 0)] * 3
    store.close()


async def test_two_hosts_share_the_jobs(url: str) -> None:
    store, _ = host(url, 0)
    jobs = await created(store, 4)
    async with drawing(url, 0.6) as (_, one), drawing(url, 0.6) as (_, other):
        for job in jobs:
            await until(in_state(store, job, JobState.RUNNING))
        hosts = [(await store.get(job.id)).host for job in jobs]
        assert sorted(map(str, hosts)) == sorted([one.host, other.host] * 2)
        for job in jobs:
            await until(in_state(store, job, JobState.SUCCEEDED))
            assert (await store.get(job.id)).attempts == 1
    store.close()


async def test_what_is_cancelled_elsewhere_ends_here(url: str) -> None:
    async with drawing(url, seconds=60) as (_, runner):
        store, _ = host(url, 0)
        (job,) = await created(store, 1)
        await until(in_state(store, job, JobState.RUNNING))
        elsewhere = await store.get(job.id)
        assert runner.newest(elsewhere).progress.stage == "denoise"
        await store.cancel(job.id)

        async def is_dropped() -> bool:
            return runner.newest(elsewhere) is elsewhere

        await until(is_dropped)
        store.close()


async def test_a_job_that_takes_too_long_is_given_up() -> None:
    async with drawing("sqlite://", seconds=60, timeout_seconds=0.2) as (store, runner):
        (job,) = await created(store, 1)
        runner.wake()
        await until(in_state(store, job, JobState.FAILED))
        failure = (await store.get(job.id)).failure
        assert failure is not None
        assert "not done within 0.2 s" in failure["error"]


async def test_a_full_disk_is_told_and_gone_when_there_is_room(tmp_path: Path) -> None:
    store, _ = host(f"sqlite:///{tmp_path}/jobs.sqlite3", 0)
    await created(store, 1)
    large = NewJob({"word": "a" * 3_000_000})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # No file may grow beyond this: SQLite fails as it does where the disk is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        with pytest.raises(StoreUnavailable, match="try again later"):
            await store.create(large, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    job, is_new = await store.create(large, 100)
    assert is_new
    assert await store.waiting_before(job) == 1
    store.close()


@pytest.mark.slow
async def test_a_locked_database_is_waited_for_and_then_told(tmp_path: Path) -> None:
    store, _ = host(f"sqlite:///{tmp_path}/jobs.sqlite3", 0)
    await created(store, 1)
    other = sqlite3.connect(tmp_path / "jobs.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await created(store, 1)
    other.close()
    assert len(await created(store, 1)) == 1
    store.close()


@pytest.mark.services
async def test_a_database_that_goes_and_comes_back_costs_no_job(postgresql: PostgresServer) -> None:
    async with drawing(postgresql.create("outage"), 1.0) as (store, _):
        jobs = await created(store, 3)
        await until(in_state(store, jobs[0], JobState.RUNNING))
        await asyncio.to_thread(postgresql.stop)
        with pytest.raises(StoreUnavailable):
            await store.get(jobs[0].id)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(postgresql.start)
        for job in jobs:
            await until(in_state(store, job, JobState.SUCCEEDED))
