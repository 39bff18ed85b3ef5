"""Pictures of words, and what can be asked for."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from writing_service import __version__
from writing_service.api.admission import Admission
from writing_service.api.problems import PROBLEM_RESPONSES
from writing_service.api.schemas import WritingImageRequest, WritingImageResponse
from writing_service.config import LARGEST_SIDE
from writing_service.encoding import EncodingPool, encode_drawing, encode_result, media_type
from writing_service.generator import AIImageGenerator
from writing_service.types import AIGenerationResult, ImageFormat

SERVICE = "writing_image_service"


def writing_routes(
    generator: AIImageGenerator, encoding: EncodingPool, admission: Admission, started: float
) -> APIRouter:
    """`started` is `time.monotonic()` of the service's start."""
    router = APIRouter(prefix="/api/writing", tags=["writing"])

    @router.post(
        "/generate-writing-image",
        response_model=WritingImageResponse,
        responses=PROBLEM_RESPONSES,
        summary="Draw a word; the pictures come as base64 in JSON",
    )
    async def generate_writing_image(request: WritingImageRequest) -> Response:
        result = await _draw(request)
        files = await _encode(encoding, request, result)
        content = await asyncio.to_thread(_json_answer, request, result, files)
        return Response(content, media_type="application/json")

    @router.post(
        "/generate-writing-image-binary",
        response_class=Response,
        responses={
            200: {
                "content": {media_type(one): {} for one in ImageFormat},
                "description": "The picture",
            },
            **PROBLEM_RESPONSES,
        },
        summary="Draw a word; the answer is the picture itself",
    )
    async def generate_writing_image_binary(request: WritingImageRequest) -> Response:
        result = await _draw(request)
        data = await encoding.file(
            partial(encode_result, result, 0, request.format, request.quality)
        )
        return Response(
            data, media_type=media_type(request.format), headers=_headers(request, result)
        )

    async def _draw(request: WritingImageRequest) -> AIGenerationResult:
        async with admission.admitted() as deadline:
            return await generator.generate(request.to_request(), deadline=deadline)

    @router.get("/status", summary="What the service is, has done and can do")
    async def status() -> Response:
        result = {
            "service": SERVICE,
            "status": "draining" if admission.draining else "running",
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - started, 1),
            "total_generations": generator.statistics.finished,
            "implementation": "stable_diffusion_xl_multi_controlnet",
            **generator.describe(),
            "supported_formats": [one.value for one in ImageFormat],
            "max_image_size": {"width": LARGEST_SIDE, "height": LARGEST_SIDE},
            "features": _FEATURES,
        }
        return JSONResponse({"success": True, "status": 200, "result": result})

    return router


_FEATURES: Mapping[str, bool] = {
    "multi_controlnet": True,
    "conditioning_images": True,
    "pictograms": True,
    "free_text_styles": True,
    "reproducible_seeds": True,
    "semantic_analysis": True,
    "legibility_check": True,
    "batching": False,
    "result_cache": False,
}


@dataclass(frozen=True)
class _Files:
    """The answer's pictures in base64, and how long that took."""

    pictures: list[str]
    base: str | None
    controls: dict[str, dict[str, str]]
    encode_ms: float


async def _encode(
    encoding: EncodingPool, request: WritingImageRequest, result: AIGenerationResult
) -> _Files:
    """All of them at once; the painted ones first, which take longest."""
    started = time.perf_counter()
    painted = [
        partial(encode_result, result, index, request.format, request.quality)
        for index in range(len(result.images))
    ]
    wanted = request.include_conditioning_images
    controls = list(result.control_images.values()) if wanted else []
    plain = [lambda: encode_drawing(result.scene.word.image)] if wanted else []
    drawings = [*plain, *(partial(encode_drawing, one.image) for one in controls)]
    files = await encoding.base64([*painted, *drawings])
    pictures, rest = files[: len(painted)], files[len(painted) :]
    return _Files(
        pictures,
        rest[0] if rest else None,
        {one.kind.value: {one.method: file} for one, file in zip(controls, rest[1:], strict=True)},
        round(1000 * (time.perf_counter() - started), 1),
    )


def _json_answer(request: WritingImageRequest, result: AIGenerationResult, files: _Files) -> bytes:
    answer = WritingImageResponse(
        success=True,
        status="SUCCESS",
        generated_image_base64=files.pictures[0],
        images_base64=files.pictures,
        base_image_base64=files.base,
        conditioning_images_base64=files.controls,
        prompt_used=result.prompt.main_prompt if request.include_prompt else None,
        semantic_analysis=_analysis(result) if request.include_semantic_analysis else None,
        generation_metadata=_with_encoding(result.metadata, files.encode_ms),
        format=request.format,
        warnings=_warnings(request, result),
    )
    return answer.model_dump_json().encode()


def _with_encoding(metadata: Mapping[str, Any], encode_ms: float) -> dict[str, Any]:
    times = {**metadata["stage_times_ms"], "encode": encode_ms}
    whole = round(metadata["generation_time_ms"] + encode_ms, 1)
    return {**metadata, "generation_time_ms": whole, "stage_times_ms": times}


def _analysis(result: AIGenerationResult) -> dict[str, Any]:
    """What was concluded, and from what."""
    concluded = asdict(result.meaning)
    del concluded["warnings"]  # they stand among the answer's own
    return {**concluded, "dropped_phrases": list(result.prompt.dropped)}


def _warnings(request: WritingImageRequest, result: AIGenerationResult) -> list[str]:
    unknown = [
        f"Field '{name}' is not known to this service and was ignored."
        for name in request.unknown_fields()
    ]
    return [*unknown, *result.warnings]


def _headers(request: WritingImageRequest, result: AIGenerationResult) -> dict[str, str]:
    """RFC 6266: a plain name for old clients, the word itself for all others."""
    word = quote(result.request.word, safe="")
    suffix = request.format.value
    return {
        "X-Seed": str(result.images[0].seed),
        "X-Model": quote(str(result.metadata["model_used"]), safe="/:.-_ "),
        "X-Word": word,
        "Content-Disposition": f"inline; filename=\"writing.{suffix}\"; filename*=UTF-8''{word}.{suffix}",
        **(
            {"X-Warnings": quote(" ".join(warnings))}
            if (warnings := _warnings(request, result))
            else {}
        ),
    }
