"""A host that draws jobs, as a program: `python -m tests.jobs.host URL SECONDS` ends when it is told or killed."""

import asyncio
import sys
from functools import cache

from writing_service.config import JobSettings, load_settings
from writing_service.diffusion.doors import OnProgress, Progress, Stage
from writing_service.jobs.job import Failure, Job, KeptAnswer, KeptFile
from writing_service.jobs.runner import JobRunner
from writing_service.jobs.store import JobStore
from writing_service.jobs.webhook import WebhookSender

LEASE_SECONDS = 1.0
STEPS = 20


def host(url: str, seconds: float, **given: float) -> tuple[JobStore, JobRunner]:
    """A store and what draws its jobs, each in so many seconds. `given` are further JobSettings."""

    async def draw(job: Job, _deadline: float, on_progress: OnProgress) -> KeptAnswer:
        for step in range(STEPS):
            on_progress(Progress(Stage.DENOISE, step, STEPS))
            await asyncio.sleep(seconds / STEPS)
        return KeptAnswer({"word": job.request["word"]}, (KeptFile("picture", bytes(100_000)),))

    usual = {"url": url, "lease_seconds": LEASE_SECONDS, "at_once": 2}
    settings = _defaults().model_copy(update={**usual, **given})
    store = JobStore(settings.url, settings.keep_seconds, settings.lease_seconds)
    explain = lambda error: Failure({"error": str(error)})  # noqa: E731
    return store, JobRunner(store, draw, explain, settings, WebhookSender(settings))


@cache
def _defaults() -> JobSettings:
    return load_settings().jobs


async def _work(url: str, seconds: float) -> None:
    _, runner = host(url, seconds)
    async with runner.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], float(sys.argv[2])))
