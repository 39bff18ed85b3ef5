"""DenoisingEngine: the one thread that owns the models, and the pictures of all jobs on it.

Read `_turn` first.
"""

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from writing_service.diffusion.batching import IntelligentBatcher, Pace, load_of, refusal
from writing_service.diffusion.denoising.decoding import Decoded
from writing_service.diffusion.denoising.denoiser import Denoiser
from writing_service.diffusion.denoising.orders import Drawing, JobShape, Order, Report
from writing_service.diffusion.denoising.picture import Direction, Picture
from writing_service.diffusion.denoising.previews import LatentPreview
from writing_service.diffusion.denoising.thrift import ThriftyDenoiser
from writing_service.diffusion.denoising.worker import Worker
from writing_service.diffusion.doors import Stage, Workload
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import GenerationFailed, ServiceUnavailable, ShuttingDown
from writing_service.types import DrawnImages, GeneratedImage, GenerationJob

logger = logging.getLogger(__name__)

CONVERTERS = 2
"""Threads that make PIL images of decoded ones."""


class DenoisingEngine:
    """Draws many jobs at once: before each step it chooses anew which pictures take it.

    A job that comes joins at the next step, one that nobody wants any more leaves before it. With
    `deterministic` each step has one picture, oldest first, so that its bytes cannot depend on the
    load; the price is what sharing a batch gains.
    """

    def __init__(self, denoiser: Denoiser, gpu: GPUManager, deterministic: bool = False) -> None:
        self._denoiser = denoiser
        self._thrifty = ThriftyDenoiser(denoiser, gpu)
        self._gpu = gpu
        self._batcher = IntelligentBatcher(
            gpu.optimization_profile.max_batch_size, one_at_a_time=deterministic
        )
        self._pace = Pace()
        self._count = BatchCount()
        self._worker = Worker("drawing", self._work, self._died)
        self._converters = ThreadPoolExecutor(CONVERTERS, thread_name_prefix="converting")
        self._arrivals = itertools.count()
        self._lock = threading.Lock()
        # Under the lock: what came since the last step, what is under way, and whether it is worked.
        self._arrived = list[Order]()
        self._drawings = list[Drawing]()
        self._working = False
        self._closing = False

    def submit(
        self, job: GenerationJob, report: Report, deadline: float | None = None
    ) -> Future[DrawnImages]:
        """The job's pictures to come; cancelling the future takes it back at the next step.

        `report` is called on the engine's thread or the caller's; `deadline` is in seconds of the
        monotonic clock. Raises ServiceUnavailable when closed, DeadlinePassed, QueueFull.
        """
        shape = JobShape(
            self._denoiser.frame(job.size).drawn,
            self._denoiser.rows(job),
            self._denoiser.text_chunks(job),
        )
        with self._lock:
            if self._closing:
                raise ShuttingDown
            order = Order(job, next(self._arrivals), shape, report)
            self._refuse_if_late(order, deadline)
            self._wake()
            order.tell(Stage.QUEUE, queue_position=self._waiting())
            self._arrived.append(order)
        return order.future

    def status(self) -> dict[str, Any]:
        """`queue_depth` and `batches`, see PicturePipeline."""
        with self._lock:
            return {"queue_depth": self._waiting(), "batches": self._count.as_dict()}

    def workload(self) -> Workload:
        """See PicturePipeline."""
        with self._lock:
            orders = [*_orders(self._drawings), *self._arrived]
            left = [one for order in orders if order.wanted for one in order.drawings]
            waiting, seconds = self._waiting(), self._pace.seconds(left, time.monotonic())
            return Workload(waiting, len(orders) - waiting, seconds)

    def check(self) -> list[str]:
        """Why nothing can be drawn; empty when all is well."""
        return [] if self._worker.alive else ["the drawing thread has died and cannot be replaced"]

    def close(self) -> None:
        """Take no more jobs; running ones end at their next step."""
        with self._lock:
            self._closing = True
        self._worker.close()
        self._converters.shutdown(wait=True)

    def _wake(self) -> None:
        """Under the lock. Raises ServiceUnavailable."""
        if self._working and self._worker.alive:
            return
        try:
            self._worker.wake()
        except RuntimeError as error:
            raise ServiceUnavailable(f"Nothing can be drawn now: {error}.") from None
        self._working = True

    def _died(self, _: BaseException) -> None:
        """On the engine's thread, in its last moment: those under way are told, who only came is drawn by the next."""
        with self._lock:
            lost, self._drawings = self._drawings, []
            self._working = True
        self._fail(lost, _interrupted())

    def _work(self) -> None:
        """On the engine's thread, as long as there is something to draw."""
        while self._gather():
            try:
                self._turn()
            except Exception as error:
                # A fault of our own must leave nobody waiting for ever.
                logger.exception("A step failed for a reason of our own")
                self._fail(self._drawings, error)

    def _gather(self) -> bool:
        """Take in who came, let go who has an answer or needs none; False when nobody is left."""
        with self._lock:
            self._drawings += [one for order in self._arrived for one in order.drawings]
            self._arrived.clear()
            if self._closing:
                self._fail(self._drawings, ShuttingDown())
            for one in self._drawings:
                if not one.order.wanted:
                    one.order.leave()
            self._drawings = [
                one for one in self._drawings if one.order.wanted and one.steps_left > 0
            ]
            self._working = bool(self._drawings)
        if not self._working:
            self._batcher.recover()
        return self._working

    def _turn(self) -> None:
        """One step of those whose turn it is, from their choice to their pictures."""
        batch = self._begun(self._batcher.choose(self._drawings))
        if not batch:
            return
        started, load = time.perf_counter(), load_of(batch)
        stepped = self._step(batch)
        seconds = time.perf_counter() - started
        if stepped:
            self._pace.record(load, seconds, time.monotonic())
            self._count.add(len(stepped))
        self._tell(stepped, seconds)
        self._show(stepped)
        self._decode([drawing for drawing in stepped if drawing.steps_left == 0])

    def _begun(self, batch: Sequence[Drawing]) -> list[Drawing]:
        """Prepare those that are new; one that cannot be fails alone."""
        for drawing in batch:
            if drawing.picture is None and drawing.order.wanted:
                try:
                    drawing.picture = self._begin(drawing)
                except Exception as error:
                    self._fail([drawing], error)
        return [drawing for drawing in batch if drawing.picture and drawing.order.wanted]

    def _begin(self, drawing: Drawing) -> Picture:
        order = drawing.order
        if order.prepared is None:
            order.begin(self._gpu.memory_monitor("draw"))
            order.prepared = self._thrifty.prepare(order.job)
        return self._denoiser.begin(order.prepared, drawing.seed)

    def _step(self, batch: Sequence[Drawing]) -> list[Drawing]:
        """One step of all, of which those are given back that took it."""
        short = self._thrifty.shortages
        try:
            directions = self._thrifty.directions(_pictures(batch))
        except Exception as error:
            self._fail(batch, error)
            return []
        if self._thrifty.shortages > short:
            self._batcher.shrink(batch)
        pairs = zip(batch, directions, strict=True)
        stepped = [drawing for drawing, direction in pairs if self._advance(drawing, direction)]
        self._denoiser.keep_up()
        return stepped

    def _advance(self, drawing: Drawing, direction: Direction | GenerationFailed) -> bool:
        """Whether it worked."""
        try:
            if isinstance(direction, GenerationFailed):
                raise direction
            _picture(drawing).advance(direction)
        except Exception as error:
            self._fail([drawing], error)
            return False
        return True

    def _decode(self, finished: Sequence[Drawing]) -> None:
        """All that are finished, at once; then other threads make images of them."""
        if not finished:
            return
        try:
            decoded = self._thrifty.decode(_pictures(finished))
        except Exception as error:
            self._fail(finished, error)
            return
        for drawing, one in zip(finished, decoded, strict=True):
            self._converters.submit(self._convert, drawing, one)
        self._gpu.after_picture()

    def _convert(self, drawing: Drawing, decoded: Decoded | GenerationFailed) -> None:
        """On a converting thread."""
        try:
            if isinstance(decoded, GenerationFailed):
                raise decoded
            frame = self._denoiser.frame(drawing.order.job.size)
            image = self._denoiser.decoder.to_picture(decoded, frame)
            drawing.order.deliver(drawing, GeneratedImage(image, drawing.seed))
        except Exception as error:
            self._fail([drawing], error)

    def _tell(self, stepped: Sequence[Drawing], seconds: float) -> None:
        """All who wait, how far they are."""
        for order in _orders(stepped):
            order.stepped(seconds * order.steps_left)
        queue = [order for order in _orders(self._drawings) if order.prepared is None]
        for position, order in enumerate(queue):
            ahead = [one for one in self._drawings if one.arrival <= order.arrival]
            order.tell(Stage.QUEUE, self._pace.seconds(ahead, time.monotonic()), position)

    def _show(self, stepped: Sequence[Drawing]) -> None:
        """Previews to those who asked for them; other threads make images of them."""
        for drawing in stepped:
            every, picture = drawing.order.job.preview_every, _picture(drawing)
            if every and picture.steps_done % every == 0 and drawing.steps_left:
                self._converters.submit(
                    self._preview, drawing, self._denoiser.decoder.preview, picture.expected
                )

    def _preview(self, drawing: Drawing, preview: LatentPreview, expected: Tensor) -> None:
        """On a converting thread."""
        drawing.order.show(preview.pictures(expected)[0])

    def _waiting(self) -> int:
        """Jobs that have not begun."""
        begun = [order.prepared is not None for order in _orders(self._drawings)]
        return len(self._arrived) + begun.count(False)

    def _refuse_if_late(self, order: Order, deadline: float | None) -> None:
        if deadline is None:
            return
        ahead = [*self._drawings, *(one for other in self._arrived for one in other.drawings)]
        ahead = [one for one in ahead if one.order.wanted]
        if error := refusal(self._pace, order.drawings, ahead, deadline, time.monotonic()):
            raise error

    def _fail(self, drawings: Iterable[Drawing], error: BaseException) -> None:
        for order in _orders(drawings):
            order.fail(error)


@dataclass
class BatchCount:
    """How many steps were taken, by the number of pictures that shared them."""

    by_size: Counter[int] = field(default_factory=Counter)

    def add(self, pictures: int) -> None:
        """One step more."""
        self.by_size[pictures] += 1

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        steps = self.by_size.total()
        pictures = sum(size * count for size, count in self.by_size.items())
        return {
            "steps": steps,
            "mean_pictures": round(pictures / steps, 2) if steps else None,
            "largest": max(self.by_size, default=0),
            "by_size": dict(sorted(self.by_size.items())),
        }


def _orders(drawings: Iterable[Drawing]) -> list[Order]:
    """Each once, in their order."""
    return list(dict.fromkeys(drawing.order for drawing in drawings))


def _pictures(drawings: Iterable[Drawing]) -> list[Picture]:
    return [_picture(drawing) for drawing in drawings]


def _picture(drawing: Drawing) -> Picture:
    assert drawing.picture is not None
    return drawing.picture


def _interrupted() -> ServiceUnavailable:
    return ServiceUnavailable(
        "Drawing was interrupted by a fault of the service; send the request again.", retry_after=1
    )
