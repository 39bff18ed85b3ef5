"""GET /metrics, for Prometheus."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from fastapi import APIRouter, Request, Response
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder


class Collects(Protocol):
    """A registry of prometheus_client's, or whatever else has families of metrics."""

    def collect(self) -> Iterable[Metric]:
        """Of this moment. Not on the event loop."""
        ...


def metrics_routes(registry: Collects) -> APIRouter:
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
        text = await asyncio.to_thread(encode, registry)
        return Response(text, headers={"Content-Type": media_type})

    return router
