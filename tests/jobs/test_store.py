"""JobStore, on a real SQLite file and a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from writing_service.errors import InvalidRequest, JobNotFound, QueueFull
from writing_service.jobs.job import (
    Failure,
    Job,
    JobProgress,
    JobState,
    KeptAnswer,
    KeptFile,
    NewJob,
)
from writing_service.jobs.store import JobStore

ANSWER = KeptAnswer(
    {"format": "png", "warnings": ["\x00 and \ud800"]},
    (
        KeptFile("picture", b"\x89PNG\x00\xff"),
        KeptFile("picture", b"second"),
        KeptFile("control", b"edges", "canny", "opencv_canny"),
    ),
)
FAILURE = Failure({"status": 500, "error": "It was given up."})
DEAD = -1.0
"""Lease of a host that died at once."""


@asynccontextmanager
async def opened(url: str, lease: float = 60.0, keep: float = 60.0) -> AsyncIterator[JobStore]:
    store = JobStore(url, keep, lease)
    try:
        yield store
    finally:
        store.close()


def new(word: str = "a", **fields: Any) -> NewJob:
    return NewJob({"word": word, "seed": 1}, **fields)


async def claimed(store: JobStore, host: str = "here") -> Job:
    job = await store.claim(host, 3)
    assert job is not None
    return job


async def test_a_job_goes_from_the_queue_to_its_answer(url: str) -> None:
    async with opened(url) as store:
        job, is_new = await store.create(new("学\x00\ud800"), 10)
        assert (is_new, job.state, job.attempts) == (True, JobState.QUEUED, 0)
        assert job.request == {"word": "学\x00\ud800", "seed": 1}
        begun = await claimed(store)
        assert (begun.id, begun.state, begun.attempts) == (job.id, JobState.RUNNING, 1)
        assert begun.started_at is not None
        assert await store.answer(job) is None
        assert await store.finish(begun, ANSWER, JobProgress(step=4, steps=4))
        done = await store.get(job.id)
        assert (done.state, done.progress.step) == (JobState.SUCCEEDED, 4)
        assert done.finished_at is not None
        assert done.expires_at == pytest.approx(done.finished_at + 60)
        assert await store.answer(done) == ANSWER
        pictures = await store.answer(done, "picture")
        assert pictures is not None
        assert [one.data for one in pictures.files] == [b"\x89PNG\x00\xff", b"second"]


async def test_everything_is_there_after_a_restart(url: str) -> None:
    async with opened(url) as store:
        for word in "abc":
            await store.create(new(word), 10)
        done = await claimed(store)
        await store.finish(done, ANSWER, JobProgress())
        await claimed(store)
        await store.release("here")
    async with opened(url) as store:
        assert await store.answer(done) == ANSWER
        again = [await claimed(store) for _ in "bc"]
        assert [one.request["word"] for one in again] == ["b", "c"]
        assert [one.attempts for one in again] == [1, 1]


async def test_jobs_are_begun_in_their_order_and_told_their_place(url: str) -> None:
    async with opened(url) as store:
        jobs = [(await store.create(new(word), 10))[0] for word in "abcd"]
        assert [await store.waiting_before(one) for one in jobs] == [0, 1, 2, 3]
        await store.cancel(jobs[1].id)
        assert (await claimed(store)).id == jobs[0].id
        assert await store.waiting_before(jobs[3]) == 1
        assert (await claimed(store)).id == jobs[2].id


async def test_unfinished_jobs_are_counted_by_state(url: str) -> None:
    async with opened(url) as store:
        assert await store.unfinished() == {"queued": 0, "running": 0}
        for _ in range(3):
            await store.create(new(), 10)
        job = await claimed(store)
        assert await store.unfinished() == {"queued": 2, "running": 1}
        await store.finish(job, ANSWER, JobProgress())
        assert await store.unfinished() == {"queued": 2, "running": 0}


async def test_a_full_queue_refuses_but_not_whoever_is_in_it(url: str) -> None:
    async with opened(url) as store:
        first, _ = await store.create(new(key="k", fingerprint="f"), 1)
        with pytest.raises(QueueFull, match="1 jobs wait"):
            await store.create(new(), 1)
        assert await store.create(new(key="k", fingerprint="f"), 1) == (first, False)
        await claimed(store)
        await store.create(new(), 1)


async def test_a_key_is_one_job_however_many_come_at_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        asked = [store.create(new(key="k", fingerprint="f"), 10) for store in (one, other) * 4]
        made = await asyncio.gather(*asked)
        assert len({job.id for job, _ in made}) == 1
        assert sum(is_new for _, is_new in made) == 1
        with pytest.raises(InvalidRequest, match="take a new one"):
            await one.create(new(key="k", fingerprint="another"), 10)


async def test_hosts_never_draw_one_job(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        jobs = [(await one.create(new(), 20))[0].id for _ in range(10)]
        claims = [store.claim(host, 3) for store, host in ((one, "1"), (other, "2")) for _ in jobs]
        begun = [job for job in await asyncio.gather(*claims) if job]
        assert sorted(job.id for job in begun) == sorted(jobs)


async def test_a_dead_hosts_job_is_begun_by_another_and_the_first_keeps_nothing(url: str) -> None:
    async with opened(url, lease=DEAD) as dying, opened(url) as store:
        job, _ = await store.create(new(), 10)
        lost = await claimed(dying, "dead")
        begun = await claimed(store, "alive")
        assert (begun.id, begun.attempts) == (job.id, 2)
        assert not await dying.finish(lost, ANSWER, JobProgress())
        assert await dying.renew("dead", {job.id: JobProgress()}) == set()
        assert await store.renew("alive", {job.id: JobProgress(step=2)}) == {job.id}
        assert (await store.get(job.id)).progress.step == 2
        assert await store.claim("third", 3) is None


async def test_a_job_that_its_hosts_die_of_is_given_up(url: str) -> None:
    async with opened(url, lease=DEAD) as store:
        job, _ = await store.create(new(), 10)
        for host in "123":
            assert await store.give_up(3, lambda: FAILURE) == []
            await claimed(store, host)
        assert await store.claim("4", 3) is None
        assert await store.give_up(3, lambda: FAILURE) == [job.id]
        done = await store.get(job.id)
        assert (done.state, done.failure) == (JobState.FAILED, FAILURE.problem)


async def test_cancelling_takes_exactly_one_and_leaves_finished_ones_alone(url: str) -> None:
    async with opened(url) as store:
        jobs = [(await store.create(new(word), 10))[0] for word in "abc"]
        begun = await claimed(store)
        assert (await store.cancel(begun.id)).state is JobState.CANCELLED
        assert not await store.finish(begun, ANSWER, JobProgress())
        done = await claimed(store)
        await store.finish(done, FAILURE, JobProgress())
        assert (await store.cancel(done.id)).state is JobState.FAILED
        assert (await store.get(jobs[2].id)).state is JobState.QUEUED
        with pytest.raises(JobNotFound):
            await store.cancel("nothing")


async def test_what_was_kept_long_enough_is_forgotten_with_its_files(url: str) -> None:
    async with opened(url, keep=-1) as brief, opened(url) as store:
        job, _ = await store.create(new(key="k"), 10)
        waiting, _ = await store.create(new(), 10)
        await brief.finish(await claimed(store), ANSWER, JobProgress())
        assert await store.answer(job) == ANSWER
        assert await store.sweep() == 1
        assert await store.answer(job) is None
        with pytest.raises(JobNotFound):
            await store.get(job.id)
        assert (await store.get(waiting.id)).state is JobState.QUEUED
        _, is_new = await store.create(new(key="k"), 10)
        assert is_new


async def test_a_webhook_is_due_once_its_job_is_done_until_it_is_sent(url: str) -> None:
    async with opened(url) as store:
        await store.create(new(), 10)
        await store.create(new(webhook_url="https://bot.example.org/"), 10)
        assert await store.claim_webhook(60) is None
        for _ in range(2):
            await store.finish(await claimed(store), FAILURE, JobProgress())
        job, tries = await store.claim_webhook(60) or pytest.fail("none is due")
        assert (job.webhook_url, tries) == ("https://bot.example.org/", 0)
        assert await store.claim_webhook(60) is None
        await store.webhook_failed(job, -1)
        assert (await store.claim_webhook(60) or pytest.fail("none is due"))[1] == 1
        await store.webhook_sent(job)
        assert await store.claim_webhook(60) is None


class StoreMachine(RuleBasedStateMachine):
    """Whatever two hosts, one of which dies of everything it begins, and clients do in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        url = f"sqlite:///{self._folder.name}/jobs.sqlite3"
        self._loop = asyncio.new_event_loop()
        self._stores = {"alive": JobStore(url, 60, 60), "dead": JobStore(url, 60, DEAD)}
        self._expected = dict[str, tuple[JobState, str | None, int]]()
        self._begun = list[Job]()

    def run_now(self, work: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(work)  # type: ignore[arg-type]

    @property
    def store(self) -> JobStore:
        return self._stores["alive"]

    def free(self) -> list[str]:
        """Ids that a host would be given, in order."""
        return [
            job_id
            for job_id, (state, host, attempts) in self._expected.items()
            if attempts < 3
            and (state is JobState.QUEUED or (state is JobState.RUNNING and host == "dead"))
        ]

    @rule()
    def create(self) -> None:
        job, _ = self.run_now(self.store.create(new(), 1000))
        self._expected[job.id] = (JobState.QUEUED, None, 0)

    @rule(host=st.sampled_from(["alive", "dead"]))
    def claim(self, host: str) -> None:
        free = self.free()
        job = self.run_now(self._stores[host].claim(host, 3))
        assert (job and job.id) == next(iter(free), None)
        if job:
            self._expected[job.id] = (JobState.RUNNING, host, self._expected[job.id][2] + 1)
            self._begun.append(job)

    @precondition(lambda self: self._begun)
    @rule(data=st.data(), outcome=st.sampled_from([ANSWER, FAILURE]))
    def finish(self, data: st.DataObject, outcome: KeptAnswer | Failure) -> None:
        job = data.draw(st.sampled_from(self._begun))
        state, host, attempts = self._expected[job.id]
        kept = self.run_now(self.store.finish(job, outcome, JobProgress()))
        # Under the same name a host may have begun it twice: it is its own all the same.
        assert kept == (state is JobState.RUNNING and host == job.host)
        if kept:
            ended = JobState.SUCCEEDED if outcome is ANSWER else JobState.FAILED
            self._expected[job.id] = (ended, None, attempts)

    @precondition(lambda self: self._expected)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self._expected)))
        state, _, attempts = self._expected[job_id]
        told = self.run_now(self.store.cancel(job_id)).state
        assert told is (state if state.finished else JobState.CANCELLED)
        self._expected[job_id] = (told, None, attempts)

    @rule(host=st.sampled_from(["alive", "dead"]))
    def release(self, host: str) -> None:
        self.run_now(self.store.release(host))
        for job_id, (state, owner, attempts) in self._expected.items():
            if state is JobState.RUNNING and owner == host:
                self._expected[job_id] = (JobState.QUEUED, None, attempts - 1)

    @rule()
    def give_up(self) -> None:
        hopeless = {
            job_id
            for job_id, expected in self._expected.items()
            if expected == (JobState.RUNNING, "dead", 3)
        }
        assert set(self.run_now(self.store.give_up(3, lambda: FAILURE))) == hopeless
        for job_id in hopeless:
            self._expected[job_id] = (JobState.FAILED, None, 3)

    @invariant()
    def everything_is_as_expected(self) -> None:
        for job_id, expected in self._expected.items():
            job = self.run_now(self.store.get(job_id))
            assert (job.state, job.host, job.attempts) == expected
            answer = self.run_now(self.store.answer(job))
            assert answer == (ANSWER if job.state is JobState.SUCCEEDED else None)
            assert (job.finished_at is not None) == job.state.finished

    def teardown(self) -> None:
        for store in self._stores.values():
            store.close()
        self._loop.close()
        self._folder.cleanup()


TestStoreMachine: Callable[[], None] = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)  # type: ignore[attr-defined]
