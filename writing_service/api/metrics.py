"""GET /metrics, for Prometheus."""

import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from writing_service.observability.metrics import ServiceMetrics


def metrics_routes(metrics: ServiceMetrics) -> APIRouter:
    """In the text format of Prometheus or OpenMetrics, as is asked for."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
        summary="Counts and times, for Prometheus",
    )
    async def read_metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        # Asks the GPU how it fares: not on the event loop.
        text = await asyncio.to_thread(encode, metrics.registry)
        return Response(text, headers={"Content-Type": media_type})

    return router
