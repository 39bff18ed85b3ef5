"""How the service is: alive, ready, in detail; and warming it up."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from writing_service import __version__
from writing_service.api.admission import Admission
from writing_service.api.health_schemas import DetailedHealth, Health, NotReady, Ready, WarmUp
from writing_service.api.problems import PROBLEM_RESPONSES
from writing_service.api.writing import SERVICE
from writing_service.diffusion.doors import GPUWatch
from writing_service.generation import PictureGenerator
from writing_service.result_cache import ResultCache
from writing_service.warmer import ModelWarmer


def health_routes(
    generator: PictureGenerator,
    gpu: GPUWatch,
    warmer: ModelWarmer,
    admission: Admission,
    results: ResultCache,
    longest_seconds: float,
    started: float,
) -> APIRouter:
    """`longest_seconds` is what warming up may take; `started` is `time.monotonic()` of the service's start."""
    router = APIRouter(prefix="/health", tags=["health"])

    def about() -> dict[str, Any]:
        return {
            "service": SERVICE,
            "timestamp": datetime.now(UTC).isoformat(),
            "uptime_seconds": round(time.monotonic() - started, 1),
            "version": __version__,
        }

    async def reasons() -> list[str]:
        busy = ["the service is shutting down"] if admission.draining else []
        busy += ["the service is warming up"] if warmer.at_work else []
        # Looks at files: not on the event loop.
        return busy + await asyncio.to_thread(generator.check)

    @router.get("", response_model=Health, summary="Alive; looks at nothing")
    async def health() -> Response:
        return JSONResponse({"status": "healthy", **about()})

    @router.get(
        "/ready",
        response_model=Ready,
        responses={503: {"model": NotReady, "description": "Not now, and why"}},
        summary="Whether a request would be served",
    )
    async def ready() -> Response:
        if found := await reasons():
            return JSONResponse({"status": "not_ready", "reasons": found, **about()}, 503)
        return JSONResponse({"status": "ready", **about()})

    @router.get(
        "/detailed",
        response_model=DetailedHealth,
        summary="Everything about models, counts and GPU",
    )
    async def detailed() -> Response:
        diagnostics = await asyncio.to_thread(gpu.get_diagnostics)
        found = await reasons()
        service = {
            "status": "not_ready" if found else "ready",
            "reasons": found,
            "ai_status": {**generator.get_status(), "cache": await results.status()},
            "memory_leak": generator.memory_leak(),
        }
        return JSONResponse(
            {
                "status": "healthy",
                **about(),
                "gpu_status": diagnostics["current_status"],
                "gpu_diagnostics": diagnostics,
                "service_status": service,
            }
        )

    @router.post(
        "/warmup",
        response_model=WarmUp,
        responses=PROBLEM_RESPONSES,
        summary="Draw the warm-up words",
    )
    async def warmup() -> Response:
        async with admission.admitted(longest_seconds):
            words = await warmer.warmup_models()
        success = all(word["success"] for word in words.values())
        return JSONResponse({"success": success, "results": words})

    return router
