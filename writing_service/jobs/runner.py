"""JobRunner: draws the jobs of the store in their turn, some at a time. Read `_run` first."""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from writing_service.config import JobSettings
from writing_service.diffusion.doors import OnProgress
from writing_service.errors import (
    DeadlinePassed,
    GenerationFailed,
    QueueFull,
    ShuttingDown,
    StoreUnavailable,
)
from writing_service.jobs.job import Failure, Job, JobProgress, KeptAnswer, Outcome
from writing_service.jobs.live import LiveJob, Watchers
from writing_service.jobs.store import JobStore
from writing_service.jobs.webhook import WebhookSender

logger = logging.getLogger(__name__)

Draw = Callable[[Job, float, OnProgress], Awaitable[KeptAnswer]]
"""Draws a job until a deadline in seconds of the monotonic clock."""

Explain = Callable[[Exception], Failure]
"""What is told of an error."""

LOOK_SECONDS = 2.0
"""From one look for jobs that other hosts accepted, or left behind, to the next."""

SWEEP_SECONDS = 60.0
COUNT_SECONDS = 2.0
RETRY_SECONDS = 2.0
"""After the database failed."""

LONGEST_WAIT_SECONDS = 10.0
"""Where the service is full."""

_REMEMBERED = 20


class JobRunner:
    """One host's share of the jobs. Used on the event loop only."""

    def __init__(
        self,
        store: JobStore,
        draw: Draw,
        explain: Explain,
        settings: JobSettings,
        webhooks: WebhookSender,
    ) -> None:
        self.host = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.watchers = Watchers()
        self._store = store
        self._draw = draw
        self._explain = explain
        self._settings = settings
        self._webhooks = webhooks
        self._live = dict[str, LiveJob]()
        self._tasks = dict[str, asyncio.Task[None]]()
        self._slots = asyncio.Semaphore(settings.at_once)
        self._woken = asyncio.Event()
        self._seconds = deque[float](maxlen=_REMEMBERED)
        self.unfinished: Mapping[str, int] = {}
        """Jobs of all hosts by state, counted every few seconds; empty while that is unknown."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Draws beside the block; what is not done at its end waits for the next start."""
        loops = [
            asyncio.create_task(_for_ever(turn, seconds))
            for turn, seconds in (
                (self._begin_next, 0.0),
                (self._keep_leases, self._settings.lease_seconds / 5),
                (self._store.sweep, SWEEP_SECONDS),
                (self._count, COUNT_SECONDS),
                (self._send_webhook, 0.0),
            )
        ]
        try:
            yield
        finally:
            await _cancelled([*loops, *self._tasks.values()])
            await self._hand_back()

    def wake(self) -> None:
        """A job came."""
        self._woken.set()

    def drop(self, job_id: str) -> None:
        """Nobody wants it any more."""
        if task := self._tasks.get(job_id):
            task.cancel()
        self.watchers.tell(job_id)

    def newest(self, job: Job) -> Job:
        """With what has happened since it was kept, where it is drawn here."""
        live = self._live.get(job.id)
        if live is None or job.state.finished:
            return job
        return replace(job, progress=live.progress)

    def seconds_until_done(self, waiting_before: int) -> float | None:
        """Of a job that waits, by what others took here; None while that is unknown."""
        if not self._seconds:
            return None
        usual = sorted(self._seconds)[len(self._seconds) // 2]
        return usual * (1 + (waiting_before + 1) / self._settings.at_once)

    async def _begin_next(self) -> None:
        """Begin a job as soon as there is one and a place for it."""
        await self._slots.acquire()
        job = None
        try:
            self._woken.clear()
            job = await self._store.claim(self.host, self._settings.max_attempts)
        finally:
            if job is None:
                self._slots.release()
        if job is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()
            return
        self._tasks[job.id] = asyncio.create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        """The whole way of one job; cancelled where it is wanted no more, or wanted later."""
        live = LiveJob(job, lambda: self.watchers.tell(job.id))
        self._live[job.id] = live
        started = time.monotonic()
        try:
            outcome = await self._outcome(job, live.on_progress)
            if isinstance(outcome, KeptAnswer):
                self._seconds.append(time.monotonic() - started)
            await self._keep(job, outcome, await live.ended())
        except Exception:
            # Its lease will end, and it is begun anew.
            logger.exception("A job could not be kept", extra={"job": job.id})
        finally:
            del self._live[job.id], self._tasks[job.id]
            self._slots.release()
            self.watchers.tell(job.id)

    async def _outcome(self, job: Job, on_progress: OnProgress) -> Outcome:
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._drawn(job, time.monotonic() + seconds, on_progress)
        except TimeoutError:
            sentence = f"The job was not done within {seconds:g} s and was given up"
            return self._explain(DeadlinePassed(f"{sentence}; ask for a smaller picture."))
        except Exception as error:
            return self._explain(error)

    async def _drawn(self, job: Job, deadline: float, on_progress: OnProgress) -> KeptAnswer:
        """Where others fill the service, the job waits: it has the time."""
        while True:
            try:
                return await self._draw(job, deadline, on_progress)
            except QueueFull as error:
                logger.info("A job waits: %s", error, extra={"job": job.id})
                await asyncio.sleep(min(error.retry_after, LONGEST_WAIT_SECONDS))
            except ShuttingDown:
                # Until the runner ends and hands it back: the next start draws it.
                await asyncio.Event().wait()

    async def _keep(self, job: Job, outcome: Outcome, progress: JobProgress) -> None:
        """However long the database is gone: the pictures are drawn."""
        while True:
            try:
                if not await self._store.finish(job, outcome, progress):
                    logger.info(
                        "A job ended that is not this host's any more", extra={"job": job.id}
                    )
                return
            except StoreUnavailable as error:
                logger.warning("A job's end could not be kept yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _keep_leases(self) -> None:
        """Tell the store what goes on here; drop what somebody cancelled, or took over."""
        told = {job_id: live.progress for job_id, live in self._live.items()}
        if told:
            mine = await self._store.renew(self.host, told)
            for job_id in told.keys() - mine:
                self.drop(job_id)
        for job_id in await self._store.give_up(self._settings.max_attempts, self._given_up):
            self.watchers.tell(job_id)

    def _given_up(self) -> Failure:
        ended = (
            f"{self._settings.max_attempts} hosts ended while they drew this job; it was given up."
        )
        return self._explain(GenerationFailed(ended))

    async def _count(self) -> None:
        self.unfinished = await self._store.unfinished()

    async def _send_webhook(self) -> None:
        if not await self._webhooks.send_next(self._store):
            await asyncio.sleep(LOOK_SECONDS)

    async def _hand_back(self) -> None:
        try:
            await self._store.release(self.host)
        except StoreUnavailable as error:
            logger.warning("Jobs wait until their leases end: %s", error)


async def _for_ever(turn: Callable[[], Awaitable[object]], seconds: float) -> None:
    """One turn after the other; a database that fails is waited for."""
    failing = False
    while True:
        try:
            await turn()
            failing = False
        except StoreUnavailable as error:
            if not failing:
                logger.warning("Jobs wait: %s", error)
            failing = True
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            logger.exception("The jobs' keeper failed for a reason of its own")
            await asyncio.sleep(RETRY_SECONDS)
        await asyncio.sleep(seconds)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
