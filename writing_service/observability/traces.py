"""Traces by OpenTelemetry: one span for each request, in it one for the drawing, in that one for each stage.

Off, nothing of OpenTelemetry is imported. On, spans go out by OTLP over HTTP from a thread of their own.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from writing_service.config import TracingSettings
from writing_service.errors import ConfigurationError
from writing_service.observability.observer import CacheOutcome, Observer

_EXPORT_SECONDS = 2.0
"""With its retries; a stop waits for it once, and must end within the grace period."""

_INSTALL = "pip install 'writing-service[tracing]'"


class Tracing(Observer, Protocol):
    """An Observer that also has a span for each request."""

    def request(
        self, method: str, headers: Mapping[str, str]
    ) -> AbstractContextManager[dict[str, Any]]:
        """The block answers one request, as a part of the caller's trace (`traceparent`).

        Gives the span's attributes, to be filled; `http.route` also names it.
        """
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


def tracing_for(settings: TracingSettings) -> Tracing | None:
    """None where traces are off. Raises ConfigurationError where OpenTelemetry is not installed."""
    if settings.endpoint is None:
        return None
    try:
        return OpenTelemetryTracing(settings)
    except ImportError:
        raise ConfigurationError(
            f"tracing.endpoint is set, but OpenTelemetry is missing: {_INSTALL}."
        ) from None


class OpenTelemetryTracing:
    """See Tracing. Has a provider of its own, so that several apps in one process do not meet."""

    def __init__(self, settings: TracingSettings) -> None:
        """Raises ImportError without the packages."""
        from opentelemetry import propagate, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

        self._provider = TracerProvider(
            resource=Resource.create({"service.name": settings.service_name}),
            sampler=ParentBasedTraceIdRatio(settings.sample),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("writing_service")
        self._parent = propagate.extract
        self._current = trace.get_current_span
        self._server = trace.SpanKind.SERVER

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Generator[dict[str, Any]]:
        """See Tracing."""
        told = dict[str, Any]()
        with self._tracer.start_as_current_span(
            method, context=self._parent(headers), kind=self._server, record_exception=False
        ) as span:
            try:
                yield told
            finally:
                span.update_name(f"{method} {told.get('http.route', '')}".strip())
                span.set_attributes({"http.request.method": method, **told})

    @contextmanager
    def generation(self, style: str) -> Generator[None]:
        """See Observer."""
        # An error's message may hold a learner's words: only its kind goes out.
        with self._tracer.start_as_current_span(
            "generation",
            attributes={"style": style},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                raise

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        """See Observer. The stage is over: its span gets both times."""
        span = self._tracer.start_span(name, start_time=started_ns)
        span.end(started_ns + int(1e9 * seconds))

    def drawn(self, metadata: Mapping[str, Any]) -> None:
        """See Observer; the stages tell it all."""

    def cached(self, outcome: CacheOutcome) -> None:
        """See Observer."""
        self._current().add_event("cache", {"outcome": outcome.value})

    def close(self) -> None:
        """See Tracing."""
        self._provider.shutdown()
