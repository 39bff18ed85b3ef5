"""AnswerDesk: who gets an Answer to a request, from what was drawn before, is being drawn, or has to be.

Read `answer` first.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from writing_service.api.admission import Admission
from writing_service.api.answer import Answer, pack, unpack
from writing_service.api.coalescing import Coalescer
from writing_service.api.fingerprints import Fingerprints
from writing_service.api.schemas import WritingImageRequest
from writing_service.diffusion.doors import OnProgress, Stage
from writing_service.encoding import EncodingPool, encode_drawing, encode_result
from writing_service.errors import GenerationFailed
from writing_service.generation import PictureGenerator
from writing_service.observability.observer import NOBODY, CacheOutcome, Observer
from writing_service.observability.statistics import StageClock
from writing_service.progress import Telling
from writing_service.result_cache import ResultCache
from writing_service.types import AIGenerationResult

__all__ = ["Answer", "AnswerDesk"]


class AnswerDesk:
    """Answers requests: finds, or draws and encodes. Equal ones at the same time get one answer.

    Those that differ in format or in what they include share the drawing.
    """

    def __init__(
        self,
        generator: PictureGenerator,
        encoding: EncodingPool,
        admission: Admission,
        fingerprints: Fingerprints,
        results: ResultCache,
        observer: Observer = NOBODY,
    ) -> None:
        self._generator = generator
        self._encoding = encoding
        self._admission = admission
        self._fingerprints = fingerprints
        self._results = results
        self._observer = observer
        self._answers = Coalescer[Answer]()
        self._drawings = Coalescer[AIGenerationResult]()

    async def answer(
        self,
        request: WritingImageRequest,
        deadline: float | None = None,
        on_progress: OnProgress | None = None,
        preview_every: int = 0,
    ) -> Answer:
        """The whole of it. `deadline` is in seconds of the monotonic clock.

        Where several share a drawing, the first one's `preview_every` counts. When it is cancelled, its work ends at
        the next step, unless others wait for it, too.
        Raises InvalidRequest, ServiceUnavailable, DeadlinePassed, GenerationFailed.
        """
        answer = await self._answer(request, deadline, on_progress, preview_every)
        self._observer.cached(answer.cache)
        return answer

    async def _answer(
        self,
        request: WritingImageRequest,
        deadline: float | None,
        on_progress: OnProgress | None,
        preview_every: int,
    ) -> Answer:
        key = await self._fingerprints.answer(request)
        work = partial(self._found_or_drawn, request, key, preview_every)
        if key is None:
            return await work(deadline, on_progress)
        answer, joined = await self._answers.do(key, work, deadline, on_progress)
        return _coalesced(answer) if joined else answer

    async def _found_or_drawn(
        self,
        request: WritingImageRequest,
        key: str | None,
        preview_every: int,
        deadline: float | None,
        on_progress: OnProgress | None,
    ) -> Answer:
        draw = partial(self._drawn, request, preview_every, deadline, Telling(on_progress))
        if key is None or not self._results.enabled:
            return await draw(CacheOutcome.OFF)
        if found := await self._results.get(key, unpack):
            return found
        answer = await draw(CacheOutcome.MISS)
        # A picture that was not drawn again for lack of time is not what the request gets next time.
        if not answer.metadata["legibility"]["cut_short"]:
            await self._results.put(key, await asyncio.to_thread(pack, answer))
        return answer

    async def _drawn(
        self,
        request: WritingImageRequest,
        preview_every: int,
        deadline: float | None,
        told: Telling,
        outcome: CacheOutcome,
    ) -> Answer:
        try:
            result, joined = await self._drawing(request, preview_every, deadline, told)
            told.begins(Stage.ENCODE)
            answer = replace(await self._encoded(request, result), cache=outcome)
            return _coalesced(answer) if joined else answer
        except MemoryError:
            # The networks' own lack of memory is met in diffusion/denoising/thrift.py; this is all that is around them.
            raise GenerationFailed(
                "Memory ran out while the picture was made; ask for a smaller one."
            ) from None

    async def _drawing(
        self,
        request: WritingImageRequest,
        preview_every: int,
        deadline: float | None,
        told: Telling,
    ) -> tuple[AIGenerationResult, bool]:
        """And whether another request had begun it."""
        work = partial(self._draw, request, preview_every)
        key = await self._fingerprints.drawing(request)
        if key is None:
            return await work(deadline, told), False
        return await self._drawings.do(key, work, deadline, told)

    async def _draw(
        self,
        request: WritingImageRequest,
        preview_every: int,
        deadline: float | None,
        on_progress: OnProgress,
    ) -> AIGenerationResult:
        with self._admission.place():
            return await self._generator.generate(
                request.to_request(), on_progress, deadline, preview_every
            )

    async def _encoded(self, request: WritingImageRequest, result: AIGenerationResult) -> Answer:
        """All files at once; the painted ones first, which take longest."""
        clock = StageClock(self._observer.stage)
        painted = [
            partial(encode_result, result, index, request.format, request.quality)
            for index in range(len(result.images))
        ]
        wanted = request.include_conditioning_images
        controls = list(result.control_images.values()) if wanted else []
        plain = [lambda: encode_drawing(result.scene.word.image)] if wanted else []
        drawings = [*plain, *(partial(encode_drawing, one.image) for one in controls)]
        with clock.timed("encode"):
            files = await self._encoding.files([*painted, *drawings])
        pictures, rest = files[: len(painted)], files[len(painted) :]
        return Answer(
            request.format,
            tuple(pictures),
            rest[0] if rest else None,
            {
                one.kind.value: {one.method: file}
                for one, file in zip(controls, rest[1:], strict=True)
            },
            result.prompt.main_prompt if request.include_prompt else None,
            _analysis(result) if request.include_semantic_analysis else None,
            _with_encoding(result.metadata, clock.times_ms["encode"]),
            (*_unknown(request), *result.warnings),
        )


def _coalesced(answer: Answer) -> Answer:
    """What is found for several at once is a hit for each of them."""
    return (
        answer
        if answer.cache is CacheOutcome.HIT
        else replace(answer, cache=CacheOutcome.COALESCED)
    )


def _with_encoding(metadata: Mapping[str, Any], encode_ms: float) -> dict[str, Any]:
    """The contract's metadata, of an answer that is made now."""
    times = {**metadata["stage_times_ms"], "encode": encode_ms}
    whole = round(metadata["generation_time_ms"] + encode_ms, 1)
    return {**metadata, "generation_time_ms": whole, "stage_times_ms": times, "cache": None}


def _analysis(result: AIGenerationResult) -> dict[str, Any]:
    """What was concluded, and from what."""
    concluded = asdict(result.meaning)
    del concluded["warnings"]  # they stand among the answer's own
    return {**concluded, "dropped_phrases": list(result.prompt.dropped)}


def _unknown(request: WritingImageRequest) -> list[str]:
    return [
        f"Field '{name}' is not known to this service and was ignored."
        for name in request.unknown_fields()
    ]
