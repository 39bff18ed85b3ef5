"""Pictures in the shape of OpenAI's images API, so that its SDK and what is built on it work unchanged."""

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from writing_service.api.admission import Admission, unless_gone
from writing_service.api.answer import Answer
from writing_service.api.answers import AnswerDesk
from writing_service.api.openai_errors import OPENAI_RESPONSES
from writing_service.api.openai_schemas import (
    OURS,
    GeneratedPicture,
    ImageGenerationRequest,
    ImagesResponse,
    Model,
    ModelList,
    stands_for,
)
from writing_service.encoding import media_type, to_base64
from writing_service.errors import UnknownModel
from writing_service.generation import PictureGenerator


def openai_routes(generator: PictureGenerator, desk: AnswerDesk, admission: Admission) -> APIRouter:
    """Errors become OpenAI's by `OpenAIErrors`."""
    router = APIRouter(prefix="/v1", tags=["openai"], responses=OPENAI_RESPONSES)
    pipeline = str(generator.describe()["models"]["name"])
    started = int(time.time())
    models = [Model(id=name, created=started) for name in dict.fromkeys((pipeline, OURS))]

    @router.post(
        "/images/generations",
        response_model=ImagesResponse,
        response_model_exclude_none=True,
        summary="Draw a word, as OpenAI's SDK asks",
    )
    async def generate_images(request: ImageGenerationRequest, http: Request) -> Response:
        if not stands_for(request.model, pipeline):
            raise UnknownModel(str(request.model), [one.id for one in models])
        asked = request.to_writing()
        async with admission.admitted() as deadline:
            answer = await unless_gone(http, desk.answer(asked, deadline))
        content = await asyncio.to_thread(_content, request, answer)
        return Response(content, media_type="application/json")

    @router.get("/models", response_model=ModelList, summary="The models that may be named")
    async def list_models() -> ModelList:
        return ModelList(data=models)

    @router.get("/models/{model}", response_model=Model, summary="One of them")
    async def get_model(
        model: Annotated[str, Path(max_length=200, description="its name", examples=[OURS])],
    ) -> Model:
        for one in models:
            if one.id == model:
                return one
        raise UnknownModel(model, [one.id for one in models])

    return router


def _content(request: ImageGenerationRequest, answer: Answer) -> bytes:
    """Takes milliseconds: not on the event loop."""
    told = answer.metadata
    response = ImagesResponse(
        created=int(time.time()),
        data=list(_pictures(request, answer)),
        output_format=answer.format,
        size=f"{told['width']}x{told['height']}",
        quality=request.quality or "auto",
        warnings=list(answer.warnings),
    )
    return response.model_dump_json(exclude_none=True).encode()


def _pictures(request: ImageGenerationRequest, answer: Answer) -> Iterator[GeneratedPicture]:
    for number, file in enumerate(answer.pictures):
        encoded = to_base64(file)
        as_url = request.response_format == "url"
        yield GeneratedPicture(
            b64_json=None if as_url else encoded,
            url=f"data:{media_type(answer.format)};base64,{encoded}" if as_url else None,
            revised_prompt=answer.prompt or "",
            seed=answer.metadata["seed_used"] + number,
        )
