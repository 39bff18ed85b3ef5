"""RemoteGenerator: AIImageGenerator's doors in front of replicas that draw. A replica that dies loses no request.

Read `_drawn` first.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from writing_service.cluster.stream import Began, Commission, Drawn, Failed, Message
from writing_service.cluster.view import ClusterView
from writing_service.diffusion.doors import OnProgress, Progress, Stage, Workload
from writing_service.errors import ModelsUnavailable, ReplicasDied, ShuttingDown
from writing_service.generation import PictureGenerator
from writing_service.generator import CUSTOM
from writing_service.observability.observer import NOBODY, Observer
from writing_service.observability.request_id import REQUEST_ID
from writing_service.prompt.styles import StyleDefinitions
from writing_service.rendering.words import checked_word
from writing_service.settling import random_seed
from writing_service.types import AIGenerationResult, ConditioningKind, ControlImage, WritingRequest

logger = logging.getLogger(__name__)

MAY_KILL = 2
"""So many replicas may die of a request before it is refused."""
PATIENCE = 40
"""So often a request that no replica has begun is sent again."""
AGAIN_SECONDS = 0.25
"""Before that."""

Call = Callable[[Commission], AsyncGenerator[Message]]
"""The drawing by some replica. Raises ReplicaLost, ModelsUnavailable. Closing it gives the drawing up."""


class ReplicaLost(Exception):
    """It cannot be reached any more, or draws no more."""


class RemoteGenerator:
    """See PictureGenerator. Used on one event loop."""

    def __init__(
        self,
        call: Call,
        view: ClusterView,
        here: PictureGenerator,
        styles: StyleDefinitions,
        observer: Observer = NOBODY,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """`here` has the same settings, and says what can be asked for while no replica does; it never draws."""
        self._call = call
        self._view = view
        self._here = here
        self._styles = styles
        self._observer = observer
        self._again_seconds = again_seconds
        self._under_way = set[_Drawing]()

    @property
    def default_side(self) -> int:
        """See PictureGenerator."""
        return self._here.default_side

    async def generate_character_image(
        self,
        character: str,
        translation: str = "",
        *,
        seed: int | None = None,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
        **generation_params: Any,
    ) -> AIGenerationResult:
        """See AIImageGenerator."""
        checked_word(character)
        request = WritingRequest(character, translation, seed=seed, **generation_params)
        return await self.generate(request, on_progress, deadline, preview_every)

    async def generate(
        self,
        request: WritingRequest,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
    ) -> AIGenerationResult:
        """See AIImageGenerator. Raises ReplicasDied, too."""
        # Settled here, so that whoever draws it again draws the same.
        seed = random_seed() if request.seed is None else request.seed
        drawing = _Drawing(replace(request, seed=seed), on_progress, deadline, preview_every)
        self._under_way.add(drawing)
        try:
            with self._observer.generation(self._style(request)):
                return await self._drawn(drawing)
        finally:
            self._under_way.discard(drawing)

    async def _drawn(self, drawing: "_Drawing") -> AIGenerationResult:
        """By the first replica, or where that dies by a second; never by a third."""
        died = unbegun = 0
        while died < MAY_KILL and unbegun < PATIENCE:
            drawing.start()
            try:
                return await self._drawn_once(drawing)
            except ReplicaLost as lost:
                word = drawing.request.word
                logger.warning("A replica was lost: %s", lost, extra={"word": word})
                died, unbegun = died + drawing.begun, unbegun + (not drawing.begun)
            if not drawing.begun:
                await asyncio.sleep(self._again_seconds)
        if died < MAY_KILL:
            raise ModelsUnavailable("No replica takes the picture on; try again later.", 5.0)
        raise ReplicasDied

    async def _drawn_once(self, drawing: "_Drawing") -> AIGenerationResult:
        async with aclosing(self._call(drawing.commission())) as messages:
            async for message in messages:
                if isinstance(message, Drawn):
                    return self._received(drawing, message)
                drawing.hear(message)
        raise ReplicaLost("its messages ended early")

    def _received(self, drawing: "_Drawing", message: Drawn) -> AIGenerationResult:
        for stage in message.stages:
            self._observer.stage(*stage)
        self._observer.drawn(message.result.metadata)
        images = {kind: drawing.control_images[kind] for kind in message.kinds}
        return replace(message.result, control_images=images)

    def _style(self, request: WritingRequest) -> str:
        style = self._styles.get_style_definition(request.style)
        return style.name if style.known else CUSTOM

    def check(self) -> list[str]:
        """See PictureGenerator."""
        return self._view.reasons()

    def workload(self) -> Workload:
        """What this process has sent; the time is that of a replica with a mean load."""
        running = sum(one.runs for one in self._under_way)
        told = [one.workload.seconds_left for one in self._view.live]
        known = [one for one in told if one is not None]
        seconds = sum(known) / len(known) if known else None
        return Workload(len(self._under_way) - running, running, seconds)

    def get_status(self) -> dict[str, Any]:
        """See PictureGenerator; `replicas` one by one."""
        return {**self._here.get_status(), **self._view.status()}

    def describe(self) -> dict[str, Any]:
        """See PictureGenerator."""
        live = self._view.live
        return {**(live[0].description if live else self._here.describe()), "replicas": len(live)}

    def missing_methods(self) -> dict[str, str]:
        """See PictureGenerator."""
        return dict(self.describe()["missing_conditioning_methods"])

    def memory_leak(self) -> dict[str, Any]:
        """See PictureGenerator."""
        return {**self._here.memory_leak(), **self._view.memory_leak()}

    def close(self) -> None:
        """The replicas are not this process's to close."""
        self._here.close()


@dataclass(eq=False)
class _Drawing:
    """A request under way, and what its present replica has told."""

    request: WritingRequest
    on_progress: OnProgress | None
    deadline: float | None
    preview_every: int
    begun: bool = False
    runs: bool = False
    # Steps never go back for whoever watches, also where another replica begins anew.
    furthest: int = 0
    control_images: dict[ConditioningKind, ControlImage] = field(default_factory=dict)

    def start(self) -> None:
        """With a replica that has told nothing yet."""
        self.begun = self.runs = False
        self.control_images.clear()

    def commission(self) -> Commission:
        """As it stands now."""
        left = None if self.deadline is None else self.deadline - time.monotonic()
        return Commission(self.request, left, self.preview_every, REQUEST_ID.get())

    def hear(self, message: Began | Progress | Failed) -> None:
        """Raises what the replica failed with; ReplicaLost where it only draws no more."""
        if isinstance(message, Failed):
            if isinstance(message.error, ShuttingDown):
                self.begun = False  # no fault of the request's
                raise ReplicaLost("it shuts down")
            raise message.error
        self.begun = True
        if isinstance(message, Progress):
            self._tell(message)

    def _tell(self, progress: Progress) -> None:
        self.runs = self.runs or progress.stage in (Stage.DENOISE, Stage.DECODE)
        if progress.control_image is not None:
            self.control_images[progress.control_image.kind] = progress.control_image
        if self.on_progress is not None and progress.step >= self.furthest:
            self.furthest = progress.step
            self.on_progress(progress)
