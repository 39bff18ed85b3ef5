"""What the engine knows of a job that it was given: its pictures, its clock, who waits for it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType

from PIL import Image

from writing_service.diffusion.denoising.picture import Picture, PreparedJob
from writing_service.diffusion.doors import Progress, Stage
from writing_service.types import DrawnImages, GeneratedImage, GenerationJob, Size

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class JobShape:
    """What a job's pictures take of a batch: the size as drawn, rows of each, and chunks of text in a row."""

    size: Size
    rows: int
    text_chunks: int = 1


class Order:
    """A job on its way, until its future has an answer. Whoever cancels that takes it back."""

    def __init__(self, job: GenerationJob, arrival: int, shape: JobShape, report: Report) -> None:
        self.job = job
        self.arrival = arrival
        self.shape = shape
        self.future = Future[DrawnImages]()
        self.drawings = [Drawing(self, seed) for seed in job.seeds]
        self.prepared: PreparedJob | None = None
        self._report = report
        self._told: Progress | None = None
        self._clock = _StageClock()
        self._watch = ExitStack()
        self._delivering = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits."""
        return not self.future.done()

    @property
    def steps_left(self) -> int:
        """Steps until the last of its pictures is denoised, if none has to wait any more."""
        return max(one.steps_left for one in self.drawings)

    def begin(self, watch: AbstractContextManager[None]) -> None:
        """Its turn has come. `watch` is left when it ends."""
        self._clock.enter(Stage.DENOISE)
        self._watch.enter_context(watch)

    def stepped(self, seconds_left: float | None) -> None:
        """Some of its pictures took a step."""
        done = all(one.steps_left == 0 for one in self.drawings)
        if done:
            self._clock.enter(Stage.DECODE)
        self.tell(Stage.DECODE if done else Stage.DENOISE, seconds_left)

    def tell(
        self, stage: Stage, seconds_left: float | None = None, queue_position: int = 0
    ) -> None:
        """Report how far it is, unless it is where it was."""
        left = sum(one.steps_left for one in self.drawings)
        steps = sum(one.steps for one in self.drawings)
        progress = Progress(stage, steps - left, steps, seconds_left, queue_position)
        told, self._told = self._told, progress
        where = (progress.stage, progress.step, progress.queue_position)
        if told is None or where != (told.stage, told.step, told.queue_position):
            self._report(progress)

    def show(self, preview: Image.Image) -> None:
        """Report what one of its pictures looks like so far. On any thread."""
        if self._told is not None and self.wanted:
            self._report(replace(self._told, preview=preview))

    def deliver(self, drawing: "Drawing", image: GeneratedImage) -> None:
        """One picture is ready; the last one ends the order. On any thread."""
        with self._delivering:
            drawing.image = image
            images = [one.image for one in self.drawings if one.image is not None]
        if len(images) == len(self.drawings):
            drawn = DrawnImages(tuple(images), self._end(), self.shape.size)
            self._answer(lambda: self.future.set_result(drawn))

    def fail(self, error: BaseException) -> None:
        """It ends without pictures. On any thread."""
        self._end()
        self._answer(lambda: self.future.set_exception(error))

    def leave(self) -> None:
        """Nobody waits any more."""
        self._end()

    def _end(self) -> MappingProxyType[str, float]:
        with self._delivering:
            self._watch.close()
            return MappingProxyType(self._clock.end())

    def _answer(self, answer: Callable[[], None]) -> None:
        """Who cancelled in this very moment gets none."""
        try:
            answer()
        except InvalidStateError:
            return


class Drawing:
    """One seed of an order: a claim on the device, then a picture on its way, then an image."""

    def __init__(self, order: Order, seed: int) -> None:
        self.order = order
        self.seed = seed
        self.picture: Picture | None = None
        self.image: GeneratedImage | None = None

    @property
    def arrival(self) -> int:
        """See Claim."""
        return self.order.arrival

    @property
    def size(self) -> Size:
        """See Claim."""
        return self.order.shape.size

    @property
    def rows(self) -> int:
        """See Claim."""
        return 1 + self._guided_at(self._steps_done)

    @property
    def rows_left(self) -> int:
        """See Claim."""
        left = range(self._steps_done, self.steps)
        return len(left) + sum(self._guided_at(step) for step in left)

    @property
    def text_chunks(self) -> int:
        """See Claim."""
        return self.order.shape.text_chunks

    @property
    def steps(self) -> int:
        """In all, as far as is known before the first."""
        return self.order.job.num_inference_steps if self.picture is None else self.picture.steps

    @property
    def steps_left(self) -> int:
        """Until it only has to be decoded."""
        return self.steps - self._steps_done

    @property
    def _steps_done(self) -> int:
        return 0 if self.picture is None else self.picture.steps_done

    def _guided_at(self, step: int) -> bool:
        window = self.order.job.guidance_window
        return self.order.shape.rows > 1 and window.covers(step, self.steps)


class _StageClock:
    """Milliseconds by stage; the stages follow each other without a gap."""

    def __init__(self) -> None:
        self._entered = time.perf_counter()
        self._stage = Stage.QUEUE
        self._times_ms = {one.value: 0.0 for one in (Stage.QUEUE, Stage.DENOISE, Stage.DECODE)}

    def enter(self, stage: Stage) -> None:
        now = time.perf_counter()
        self._times_ms[self._stage.value] += 1000 * (now - self._entered)
        self._entered, self._stage = now, stage

    def end(self) -> dict[str, float]:
        self.enter(self._stage)
        return self._times_ms
