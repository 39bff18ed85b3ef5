"""Long work over HTTP: start a job, ask for it, watch it, cancel it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from writing_service.api.job_desk import PREFIX, JobDesk
from writing_service.api.job_schemas import JobRequest, JobStatus
from writing_service.api.problems import PROBLEM_RESPONSES, problem
from writing_service.api.writing import picture_headers
from writing_service.encoding import media_type
from writing_service.jobs.job import Job
from writing_service.types import ImageFormat

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="the same key with the same request is the same job, however often it comes",
        examples=["7c9e6679"],
    ),
]

ApiKey = Annotated[str | None, Header(include_in_schema=False)]


def job_routes(jobs: JobDesk) -> APIRouter:
    """Everything under /api/writing/jobs."""
    router = APIRouter(prefix=PREFIX, tags=["jobs"], responses=PROBLEM_RESPONSES)

    async def found(
        job_id: Annotated[str, Path(description="of the job", examples=["4b1f"])],
    ) -> Job:
        return await jobs.store.get(job_id)

    _add_jobs(router, jobs, Depends(found))
    _add_views(router, jobs, Depends(found))
    return router


def _add_jobs(router: APIRouter, jobs: JobDesk, found: Any) -> None:
    """Start, ask, cancel."""

    @router.post(
        "",
        status_code=202,
        response_model=JobStatus,
        responses={200: {"model": JobStatus, "description": "The job of that Idempotency-Key"}},
        summary="Start a job that draws a word",
    )
    async def start_job(
        request: JobRequest,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        authorization: ApiKey = None,
        x_api_key: ApiKey = None,
    ) -> JobStatus:
        caller = authorization or x_api_key or ""
        job, is_new = await jobs.start(request, idempotency_key, caller)
        status = await jobs.status(job, result=True)
        response.headers["Location"] = status.links.self
        response.status_code = 202 if is_new else 200
        return status

    @router.get(
        "/{job_id}",
        response_model=JobStatus,
        responses=_UNKNOWN,
        summary="How far a job is, and its result",
    )
    async def get_job(
        job: Job = found,
        result: Annotated[
            bool, Query(description="false leaves the result out", examples=[False])
        ] = True,
    ) -> JobStatus:
        return await jobs.status(job, result)

    @router.delete(
        "/{job_id}",
        response_model=JobStatus,
        responses=_UNKNOWN,
        summary="Cancel one job; a finished one stays as it is",
    )
    async def cancel_job(job: Job = found) -> JobStatus:
        return await jobs.status(await jobs.cancel(job), result=False)


def _add_views(router: APIRouter, jobs: JobDesk, found: Any) -> None:
    """The pictures alone, and the progress as it goes."""

    @router.get(
        "/{job_id}/picture",
        response_class=Response,
        responses={
            200: {"content": {media_type(one): {} for one in ImageFormat}},
            409: PROBLEM_RESPONSES[422],
            **_UNKNOWN,
        },
        summary="One picture of a job that succeeded",
    )
    async def get_picture(
        job: Job = found,
        index: Annotated[int, Query(ge=0, description="of a batch, from 0", examples=[0])] = 0,
    ) -> Response:
        answer = await jobs.picture(job)
        if answer is None:
            sentence = f"The job is {job.state.value}; a picture is there once it has succeeded."
            return problem(409, sentence)
        count = len(answer.pictures)
        if index >= count:
            return problem(404, f"The job drew {count} picture(s); ask for 0 to {count - 1}.")
        headers = picture_headers(answer)
        headers["X-Seed"] = str(int(headers["X-Seed"]) + index)
        return Response(answer.pictures[index], 200, headers, media_type(answer.format))

    @router.get(
        "/{job_id}/events",
        response_class=EventSourceResponse,
        responses=_UNKNOWN,
        summary="Watch a job: server-sent events",
    )
    async def watch_job(job: Job = found) -> AsyncIterator[ServerSentEvent]:
        """`status` at every change, each with a JobStatus without result; at last `done` with the same."""
        async for status in jobs.told(job):
            yield ServerSentEvent(event="status", data=status)
            if status.state.finished:
                yield ServerSentEvent(event="done", data=status)


_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {**PROBLEM_RESPONSES[422], "description": "Unknown, or kept no longer"}
}
