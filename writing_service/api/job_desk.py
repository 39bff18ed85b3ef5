"""JobDesk: what the routes of jobs need of the store, the runner and the desk that answers."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from writing_service.api.answers import Answer, AnswerDesk
from writing_service.api.job_schemas import JobLinks, JobRequest, JobStatus
from writing_service.api.problems import problem_of
from writing_service.api.schemas import Problem, WritingImageRequest
from writing_service.config import JobSettings
from writing_service.diffusion.doors import OnProgress, Stage
from writing_service.errors import JobNotFound, ServiceUnavailable, StoreUnavailable
from writing_service.jobs.job import Failure, Job, JobState, KeptAnswer, KeptFile, NewJob
from writing_service.jobs.runner import JobRunner
from writing_service.jobs.store import JobStore
from writing_service.jobs.webhook import WebhookSender
from writing_service.settling import random_seed
from writing_service.types import ImageFormat

PREFIX = "/api/writing/jobs"
"""Of the routes."""

_EVENT_SECONDS = 0.2
"""Between two events of one job at least: more than that nobody sees."""

_LOOK_SECONDS = 1.0
"""From one look at a job that another host draws, or that waits, to the next."""


class JobDesk:
    """Starts, tells and cancels jobs; `runner` draws them while it runs."""

    def __init__(
        self, settings: JobSettings, desk: AnswerDesk, draining: Callable[[], bool]
    ) -> None:
        """Raises ConfigurationError. While `draining`, event streams end."""
        self._settings = settings
        self._desk = desk
        self._draining = draining
        self._webhooks = WebhookSender(settings)
        self.store = JobStore(settings.url, settings.keep_seconds, settings.lease_seconds)
        self.runner = JobRunner(self.store, self._draw, _failure, settings, self._webhooks)

    async def start(
        self, request: JobRequest, key: str | None, caller: str = ""
    ) -> tuple[Job, bool]:
        """The job, and whether it is new. Callers do not share their Idempotency-Keys.

        Raises InvalidRequest, ServiceUnavailable.
        """
        if self._draining():
            raise ServiceUnavailable("The service is shutting down and takes no more jobs.")
        if request.webhook_url is not None:
            self._webhooks.check(request.webhook_url)
        drawing = request.drawing()
        fingerprint = _digest([drawing, request.webhook_url])
        key = None if key is None else _digest([caller, key])
        if drawing.get("seed") is None:
            # So that the same picture comes out where it has to be drawn twice.
            drawing["seed"] = random_seed()
        new = NewJob(drawing, request.webhook_url, key, fingerprint)
        job, is_new = await self.store.create(new, self._settings.max_queued)
        self.runner.wake()
        return job, is_new

    async def status(self, job: Job, result: bool) -> JobStatus:
        """As of now. Raises StoreUnavailable."""
        job = self.runner.newest(job)
        position, seconds = await self._when(job)
        kept = await self.store.answer(job) if result else None
        answer = None if kept is None else await asyncio.to_thread(_answer(kept).as_response)
        links = JobLinks(
            self=f"{PREFIX}/{job.id}",
            events=f"{PREFIX}/{job.id}/events",
            picture=f"{PREFIX}/{job.id}/picture",
        )
        progress = job.progress
        return JobStatus(
            id=job.id,
            state=job.state,
            stage=None if progress.stage is None else Stage(progress.stage),
            step=progress.step,
            steps=progress.steps,
            attempt=progress.attempt,
            queue_position=position,
            seconds_left=None if seconds is None else round(seconds, 1),
            poll_after_ms=self._poll_after_ms(job, seconds),
            preview=progress.preview,
            word_preview=progress.word_preview,
            conditioning_previews=dict(progress.conditioning_previews),
            created_at=_moment(job.created_at),
            started_at=_moment(job.started_at),
            finished_at=_moment(job.finished_at),
            expires_at=_moment(job.expires_at),
            request=dict(job.request),
            result=answer,
            error=None if job.failure is None else Problem.model_validate(job.failure),
            links=links,
        )

    async def picture(self, job: Job) -> Answer | None:
        """Its pictures alone; None where there are none (yet)."""
        kept = await self.store.answer(job, "picture")
        return None if kept is None else _answer(kept)

    async def cancel(self, job: Job) -> Job:
        """As it is then. Raises JobNotFound, StoreUnavailable."""
        cancelled = await self.store.cancel(job.id)
        self.runner.drop(job.id)
        return cancelled

    async def told(self, job: Job) -> AsyncIterator[JobStatus]:
        """Its status at every change, at last when it is finished."""
        before = None
        while not self._draining():
            if (status := await self._glance(job)) is None:
                return
            if status != before:
                yield status
            if status.state.finished:
                return
            before = status
            await asyncio.sleep(_EVENT_SECONDS)
            await self.runner.watchers.changed(job.id, _LOOK_SECONDS)

    async def _glance(self, job: Job) -> JobStatus | None:
        """How it is now, or as soon as the database is there again; None where nothing more is to be told."""
        while not self._draining():
            try:
                return await self.status(await self.store.get(job.id), result=False)
            except JobNotFound:
                return None
            except StoreUnavailable:
                await asyncio.sleep(_LOOK_SECONDS)
        return None

    async def _when(self, job: Job) -> tuple[int | None, float | None]:
        """Its place in the queue, and the seconds until it is done."""
        if job.state is JobState.RUNNING:
            return job.progress.queue_position, job.progress.seconds_left
        if job.state.finished:
            return None, None
        position = await self.store.waiting_before(job)
        return position, self.runner.seconds_until_done(position)

    def _poll_after_ms(self, job: Job, seconds_left: float | None) -> int:
        if job.state.finished:
            return 0
        least, most = self._settings.poll_least_ms, self._settings.poll_most_ms
        return max(least, min(most, round(1000 * (seconds_left or 0.0))))

    async def _draw(self, job: Job, deadline: float, on_progress: OnProgress) -> KeptAnswer:
        request = WritingImageRequest.model_validate(job.request)
        answer = await self._desk.answer(
            request, deadline, on_progress, self._settings.preview_every
        )
        return _kept(answer)


def _failure(error: Exception) -> Failure:
    """What a route would have told of it."""
    return Failure(problem_of(error))


def _kept(answer: Answer) -> KeptAnswer:
    told = {
        "format": answer.format.value,
        "prompt": answer.prompt,
        "analysis": answer.analysis and dict(answer.analysis),
        "metadata": dict(answer.metadata),
        "warnings": list(answer.warnings),
    }
    files = [KeptFile("picture", one) for one in answer.pictures]
    if answer.base is not None:
        files.append(KeptFile("base", answer.base))
    files += [
        KeptFile("control", file, kind, method)
        for kind, methods in answer.controls.items()
        for method, file in methods.items()
    ]
    return KeptAnswer(told, tuple(files))


def _answer(kept: KeptAnswer) -> Answer:
    """The way back, of the files that are there."""
    told = kept.told
    controls = dict[str, dict[str, bytes]]()
    for one in kept.files:
        if one.role == "control":
            controls.setdefault(one.kind, {})[one.method] = one.data
    return Answer(
        ImageFormat(told["format"]),
        tuple(one.data for one in kept.files if one.role == "picture"),
        next((one.data for one in kept.files if one.role == "base"), None),
        controls,
        told["prompt"],
        told["analysis"],
        told["metadata"],
        tuple(told["warnings"]),
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _moment(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
