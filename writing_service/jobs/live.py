"""LiveJob: how far a job is that is drawn here; Watchers: who waits to hear of it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from writing_service.diffusion.doors import Progress
from writing_service.encoding import PREVIEW_SIDE, preview_url
from writing_service.jobs.job import Job, JobProgress


class Watchers:
    """Wakes those who wait for a change of a job. Used on the event loop only."""

    def __init__(self) -> None:
        self._waiting = defaultdict[str, set[asyncio.Event]](set)

    def tell(self, job_id: str) -> None:
        """It changed."""
        for waiter in self._waiting.get(job_id, ()):
            waiter.set()

    async def changed(self, job_id: str, seconds: float) -> None:
        """Returns when it changes, or after so many seconds."""
        waiter = asyncio.Event()
        self._waiting[job_id].add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter.wait()
        except TimeoutError:
            return
        finally:
            self._waiting[job_id].discard(waiter)
            if not self._waiting[job_id]:
                del self._waiting[job_id]


class LiveJob:
    """Gathers what is told of a job into one JobProgress. Used on the event loop only."""

    def __init__(self, job: Job, on_change: Callable[[], None]) -> None:
        self.job = job
        self.progress = JobProgress()
        self._on_change = on_change
        self._previews = set[asyncio.Future[str]]()

    def on_progress(self, told: Progress) -> None:
        """See OnProgress. Its pictures follow when a thread has made them small."""
        self._set(
            stage=told.stage.value,
            step=told.step,
            steps=told.steps,
            attempt=told.attempt,
            queue_position=told.queue_position,
            seconds_left=told.seconds_left,
        )
        if told.preview is not None:
            # As small as it is already.
            self._shrink(told.preview, lambda url: self._set(preview=url), max(told.preview.size))
        if told.word is not None:
            self._shrink(told.word, lambda url: self._set(word_preview=url))
        if (control := told.control_image) is not None:
            self._shrink(control.image, lambda url: self._add_control(control.kind.value, url))

    async def ended(self) -> JobProgress:
        """The last of it, all pictures included."""
        await asyncio.gather(*self._previews)
        return replace(self.progress, stage=None, queue_position=0, seconds_left=None)

    def _shrink(
        self, image: Image.Image, keep: Callable[[str], None], side: int = PREVIEW_SIDE
    ) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, preview_url, image, side)
        self._previews.add(future)
        future.add_done_callback(self._previews.discard)
        future.add_done_callback(lambda done: keep(done.result()))

    def _add_control(self, kind: str, url: str) -> None:
        self._set(conditioning_previews={**self.progress.conditioning_previews, kind: url})

    def _set(self, **values: object) -> None:
        self.progress = replace(self.progress, **values)
        self._on_change()
