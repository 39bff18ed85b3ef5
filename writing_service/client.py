"""APIClient: the service from another program. It needs httpx and nothing else of this package.

async with APIClient("http://127.0.0.1:8600") as client:
    drawn = await client.generate_writing_image("学习", "study", style="ink")
    Path("study.png").write_bytes(drawn.picture)
"""

import asyncio
import base64
import email.utils
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

TIMEOUT = httpx.Timeout(30.0, read=120.0)
"""Seconds; a picture that takes longer is better asked for as a job."""

_GENERATE = "/api/writing/generate-writing-image"
_JOBS = "/api/writing/jobs"
_TRY_AGAIN = frozenset({429, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class APIError(Exception):
    """The service refused or failed; `str(error)` is its sentence for people.

    `status` is HTTP's, 0 where no answer came; `problem` is the whole of what the service said (RFC 9457).
    """

    def __init__(
        self, sentence: str, status: int = 0, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.problem = dict(problem or {})


class JobEnded(APIError):
    """A job that was waited for failed, or somebody cancelled it; `job` is what it came to."""

    def __init__(self, job: "JobStatus") -> None:
        problem = job.error or {"error": f"The job {job.id} was {job.state}."}
        super().__init__(str(problem["error"]), int(problem.get("status", 0)), problem)
        self.job = job


@dataclass(frozen=True)
class WritingImage:
    """A word's pictures, as files of `format`, in the order of their seeds.

    `base` and `controls` (by kind, then method) are PNG, `prompt` and `analysis` what the picture was made from; they
    are there where the request asked for them. `metadata` is the contract's.
    """

    pictures: tuple[bytes, ...]
    format: str
    seed: int
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...]
    base: bytes | None
    controls: Mapping[str, Mapping[str, bytes]]
    prompt: str | None
    analysis: Mapping[str, Any] | None

    @property
    def picture(self) -> bytes:
        """The first one."""
        return self.pictures[0]


@dataclass(frozen=True)
class JobStatus:
    """How far a job is. `preview`, `word_preview` and `conditioning_previews` are small WebP files.

    `stage` is None while nobody draws, `error` a problem where the job failed. Times are ISO 8601.
    """

    id: str
    state: str
    stage: str | None
    step: int
    steps: int
    attempt: int
    queue_position: int | None
    seconds_left: float | None
    poll_after_ms: int
    preview: bytes | None
    word_preview: bytes | None
    conditioning_previews: Mapping[str, bytes]
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    request: Mapping[str, Any]
    result: WritingImage | None
    error: Mapping[str, Any] | None

    @property
    def finished(self) -> bool:
        """Whether nothing changes any more."""
        return self.state not in ("queued", "running")


OnStatus = Callable[[JobStatus], None]


class APIClient:
    """Asks one service. What fails for the moment is asked again, later each time, `retries` times at most.

    That is an answer of 429, 503 or 504, and a connection that breaks or does not come about; `Retry-After` is
    honoured up to half a minute. An answer that takes longer than the timeout is not waited for twice.
    """

    def __init__(
        self,
        writing_service_url: str = "http://127.0.0.1:8600",
        *,
        api_key: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout` is in seconds; `transport` takes the place of the network (httpx.ASGITransport, ...)."""
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self.writing_service_url = writing_service_url.rstrip("/")
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=self.writing_service_url, headers=headers, timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def generate_writing_image(
        self,
        word: str,
        translation: str = "",
        language: str = "auto",
        style: str = "traditional",
        **kwargs: Any,
    ) -> WritingImage:
        """The word's pictures; `kwargs` are further fields of the request. Raises APIError."""
        asked = _request(word, translation, language, style, kwargs)
        return _image(await self._json("POST", _GENERATE, json=asked))

    async def start_job(
        self,
        word: str,
        translation: str = "",
        language: str = "auto",
        style: str = "traditional",
        *,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> JobStatus:
        """The same as a job, which goes on without anybody waiting. Raises APIError.

        Whoever may ask twice for one thing gives an `idempotency_key`; without one, only this call's own retries are
        one job.
        """
        asked = _request(word, translation, language, style, kwargs)
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return _status(await self._json("POST", _JOBS, json=asked, headers=key))

    async def job(self, job_id: str, result: bool = True) -> JobStatus:
        """How far it is, and its `result`, if there is one yet. Raises APIError, of status 404 where it is unknown."""
        params = {"result": str(result).lower()}
        return _status(await self._json("GET", f"{_JOBS}/{job_id}", params=params))

    async def cancel_job(self, job_id: str) -> JobStatus:
        """As it is then; a finished one stays as it is. Raises APIError."""
        return _status(await self._json("DELETE", f"{_JOBS}/{job_id}"))

    async def wait_for_job(self, job_id: str, on_status: OnStatus | None = None) -> WritingImage:
        """Its pictures, when they are there: asks as often as the service says. Raises JobEnded, APIError.

        For a deadline put it into `asyncio.timeout`; the job itself goes on.
        """
        while True:
            status = await self.job(job_id)
            if on_status is not None:
                on_status(status)
            if status.result is not None:
                return status.result
            if status.finished:
                raise JobEnded(status)
            await asyncio.sleep(status.poll_after_ms / 1000)

    async def job_events(self, job_id: str) -> AsyncIterator[JobStatus]:
        """Its status at every change, without its result; the last one is finished. Raises APIError.

        A stream that breaks is taken up again.
        """
        failures = 0
        while failures <= self._retries:
            try:
                async for status in self._events(job_id):
                    failures = 0
                    yield status
                    if status.finished:
                        return
            except httpx.TransportError:
                pass
            except APIError as error:
                if error.status not in _TRY_AGAIN:
                    raise
            failures += 1
            await asyncio.sleep(pause_before(failures - 1, None))
        raise APIError(f"The events of job {job_id} break off again and again.")

    async def _events(self, job_id: str) -> AsyncIterator[JobStatus]:
        """One stream, as far as it goes."""
        path = f"{_JOBS}/{job_id}/events"
        # A comment comes every 15 seconds.
        async with self._http.stream("GET", path, timeout=httpx.Timeout(30.0)) as response:
            if not response.is_success:
                await response.aread()
                raise _error(response)
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield _status(json.loads(line.removeprefix("data:")))

    async def _json(self, method: str, path: str, **kwargs: Any) -> Any:
        response = await self._make_request(method, path, **kwargs)
        if not response.is_success:
            raise _error(response)
        return response.json()

    async def _make_request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The last answer. Raises APIError where none comes."""
        for failures in range(self._retries + 1):
            last = failures == self._retries
            try:
                response = await self._http.request(method, path, **kwargs)
            except httpx.ReadTimeout:
                raise APIError(
                    "The service did not answer in time; ask for a job instead."
                ) from None
            except httpx.TransportError as error:
                if last:
                    where = self.writing_service_url
                    raise APIError(f"The service at {where} cannot be reached: {error}.") from error
                pause = pause_before(failures, None)
            else:
                pause = pause_before(failures, response.headers.get("Retry-After"))
                if last or response.status_code not in _TRY_AGAIN or pause > _LONGEST_PAUSE:
                    return response
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")


def pause_before(failures: int, retry_after: str | None) -> float:
    """Seconds to wait after so many failures more than one: half a second, doubled each time, by chance up to twice it.

    `Retry-After`, in seconds or as a date of HTTP, is what is waited at least.
    """
    pause = min(_LONGEST_PAUSE / 2, _FIRST_PAUSE * 2**failures) * (1 + random.random())
    return pause if retry_after is None else max(pause, _seconds(retry_after))


def _seconds(retry_after: str) -> float:
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0.0


def _request(
    word: str, translation: str, language: str, style: str, further: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "word": word,
        "translation": translation,
        "language": language,
        "style": style,
        **further,
    }


def _error(response: httpx.Response) -> APIError:
    try:
        problem = response.json()
        sentence = problem["error"]
    except (ValueError, KeyError, TypeError):
        # Whoever stands between answers otherwise.
        problem, sentence = {}, f"The service answered {response.status_code}."
    return APIError(str(sentence), response.status_code, problem)


def _image(told: Mapping[str, Any]) -> WritingImage:
    base = told["base_image_base64"]
    return WritingImage(
        tuple(base64.b64decode(one) for one in told["images_base64"]),
        told["format"],
        told["generation_metadata"]["seed_used"],
        told["generation_metadata"],
        tuple(told["warnings"]),
        None if base is None else base64.b64decode(base),
        {
            kind: {method: base64.b64decode(one) for method, one in methods.items()}
            for kind, methods in told["conditioning_images_base64"].items()
        },
        told["prompt_used"],
        told["semantic_analysis"],
    )


def _status(told: Mapping[str, Any]) -> JobStatus:
    """Keys that a newer service adds are left out."""
    result = told["result"]
    return JobStatus(
        told["id"],
        told["state"],
        told["stage"],
        told["step"],
        told["steps"],
        told["attempt"],
        told["queue_position"],
        told["seconds_left"],
        told["poll_after_ms"],
        _file(told["preview"]),
        _file(told["word_preview"]),
        {kind: _data(url) for kind, url in told["conditioning_previews"].items()},
        told["created_at"],
        told["started_at"],
        told["finished_at"],
        told["expires_at"],
        told["request"],
        None if result is None else _image(result),
        told["error"],
    )


def _file(url: str | None) -> bytes | None:
    return None if url is None else _data(url)


def _data(url: str) -> bytes:
    """Of a data-URL in base64."""
    return base64.b64decode(url.partition(",")[2])
