"""Pictures of words, and what can be asked for."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from writing_service import __version__
from writing_service.api.admission import Admission, unless_gone
from writing_service.api.answer import Answer
from writing_service.api.answers import AnswerDesk
from writing_service.api.health_schemas import Status
from writing_service.api.problems import PROBLEM_RESPONSES
from writing_service.api.schemas import WritingImageRequest, WritingImageResponse
from writing_service.config import LARGEST_SIDE, ApiSettings
from writing_service.encoding import media_type
from writing_service.generation import PictureGenerator
from writing_service.types import ImageFormat

SERVICE = "writing_image_service"


def writing_routes(
    generator: PictureGenerator,
    desk: AnswerDesk,
    admission: Admission,
    settings: ApiSettings,
    features: Mapping[str, bool],
    started: float,
) -> APIRouter:
    """`features` are those that depend on the settings; `started` is `time.monotonic()` of the service's start."""
    router = APIRouter(prefix="/api/writing", tags=["writing"])
    timeout_header = Header(
        alias="X-Request-Timeout",
        gt=0,
        le=settings.max_request_timeout_seconds,
        allow_inf_nan=False,
        description="seconds after which the answer is 504 and the work is dropped",
        examples=[120.0],
    )

    @router.post(
        "/generate-writing-image",
        response_model=WritingImageResponse,
        responses=PROBLEM_RESPONSES,
        summary="Draw a word; the pictures come as base64 in JSON",
    )
    async def generate_writing_image(
        request: WritingImageRequest,
        http: Request,
        seconds: Annotated[float, timeout_header] = settings.request_timeout_seconds,
    ) -> Response:
        answer = await _answer(request, http, seconds)
        content = await asyncio.to_thread(answer.as_json)
        return await _response(content, "application/json", answer)

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
    async def generate_writing_image_binary(
        request: WritingImageRequest,
        http: Request,
        seconds: Annotated[float, timeout_header] = settings.request_timeout_seconds,
    ) -> Response:
        answer = await _answer(request, http, seconds)
        kind = media_type(answer.format)
        return await _response(answer.pictures[0], kind, answer, picture_headers(answer))

    async def _answer(request: WritingImageRequest, http: Request, seconds: float) -> Answer:
        async with admission.admitted(seconds) as deadline:
            return await unless_gone(http, desk.answer(request, deadline))

    @router.get(
        "/status", response_model=Status, summary="What the service is, has done and can do"
    )
    async def status() -> Response:
        result = {
            "service": SERVICE,
            "status": "draining" if admission.draining else "running",
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - started, 1),
            "total_generations": generator.get_status()["total_generations"],
            "implementation": "stable_diffusion_xl_multi_controlnet",
            **generator.describe(),
            "supported_formats": [one.value for one in ImageFormat],
            "max_image_size": {"width": LARGEST_SIDE, "height": LARGEST_SIDE},
            "features": {**_FEATURES, **features},
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
    "batching": True,
    "request_coalescing": True,
}


async def _response(
    content: bytes, kind: str, answer: Answer, headers: Mapping[str, str] | None = None
) -> Response:
    tag = await asyncio.to_thread(_entity_tag, content)
    return Response(
        content,
        media_type=kind,
        headers={**(headers or {}), "ETag": tag, "X-Cache": answer.cache.value},
    )


def _entity_tag(content: bytes) -> str:
    """RFC 9110, 8.8.3: a strong one, equal for equal bytes only."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def picture_headers(answer: Answer) -> dict[str, str]:
    """Of the first picture. RFC 6266: a plain name for old clients, the word itself for all others."""
    told = answer.metadata
    word, suffix = quote(str(told["character"]), safe=""), answer.format.value
    warnings = {"X-Warnings": quote(" ".join(answer.warnings))} if answer.warnings else {}
    return {
        "X-Seed": str(told["seed_used"]),
        "X-Model": quote(str(told["model_used"]), safe="/:.-_ "),
        "X-Word": word,
        "Content-Disposition": f"inline; filename=\"writing.{suffix}\"; filename*=UTF-8''{word}.{suffix}",
        **warnings,
    }
