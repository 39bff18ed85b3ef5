"""Answer: a finished request as it goes out, all of its pictures files; AnswerDesk, who makes one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from writing_service.api.schemas import WritingImageRequest, WritingImageResponse
from writing_service.diffusion.doors import OnProgress, Stage
from writing_service.encoding import EncodingPool, encode_drawing, encode_result, to_base64
from writing_service.generator import AIImageGenerator
from writing_service.observability.observer import NOBODY, Observer
from writing_service.observability.statistics import StageClock
from writing_service.progress import Telling
from writing_service.types import AIGenerationResult, ImageFormat


@dataclass(frozen=True)
class Answer:
    """Everything that any route tells of a finished request: bytes and plain values.

    `pictures` are files of `format`, in the order of their seeds; `base` and `controls` (by kind, then method) are PNG,
    there where the request asked for them, as are `prompt` and `analysis`.
    """

    format: ImageFormat
    pictures: tuple[bytes, ...]
    base: bytes | None
    controls: Mapping[str, Mapping[str, bytes]]
    prompt: str | None
    analysis: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...]

    def as_json(self) -> bytes:
        """The contract's response. Takes milliseconds: not on the event loop."""
        return self.as_response().model_dump_json().encode()

    def as_response(self) -> WritingImageResponse:
        """The same before it is JSON."""
        files = [to_base64(one) for one in self.pictures]
        return WritingImageResponse(
            success=True,
            status="SUCCESS",
            generated_image_base64=files[0],
            images_base64=files,
            base_image_base64=None if self.base is None else to_base64(self.base),
            conditioning_images_base64={
                kind: {method: to_base64(file) for method, file in methods.items()}
                for kind, methods in self.controls.items()
            },
            prompt_used=self.prompt,
            semantic_analysis=None if self.analysis is None else dict(self.analysis),
            generation_metadata=dict(self.metadata),
            format=self.format,
            warnings=list(self.warnings),
        )


class AnswerDesk:
    """Answers requests: draws, then encodes."""

    def __init__(
        self, generator: AIImageGenerator, encoding: EncodingPool, observer: Observer = NOBODY
    ) -> None:
        self._generator = generator
        self._encoding = encoding
        self._observer = observer

    async def answer(
        self,
        request: WritingImageRequest,
        deadline: float | None = None,
        on_progress: OnProgress | None = None,
        preview_every: int = 0,
    ) -> Answer:
        """The whole of it. `deadline` is in seconds of the monotonic clock.

        Raises InvalidRequest, ServiceUnavailable, DeadlinePassed, GenerationFailed.
        """
        told = Telling(on_progress)
        result = await self._generator.generate(request.to_request(), told, deadline, preview_every)
        told.begins(Stage.ENCODE)
        return await self._encoded(request, result)

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


def _with_encoding(metadata: Mapping[str, Any], encode_ms: float) -> dict[str, Any]:
    times = {**metadata["stage_times_ms"], "encode": encode_ms}
    whole = round(metadata["generation_time_ms"] + encode_ms, 1)
    return {**metadata, "generation_time_ms": whole, "stage_times_ms": times}


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
