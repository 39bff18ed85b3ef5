"""Traces, sent for real to a collector on this machine; and nothing of OpenTelemetry where they are off."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.config import load_settings
from writing_service.errors import ConfigurationError

BINARY = "/api/writing/generate-writing-image-binary"
SMALL = {"word": "zqword", "width": 100, "height": 100, "style": "ink"}
STAGES = {"render", "conditioning", "prompt", "queue", "denoise", "decode", "legibility", "encode"}
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def collecting() -> Iterator[tuple[str, list[Any]]]:
    """A collector's address, and the spans that it was sent."""
    proto = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
        reason="needs OpenTelemetry: pip install 'writing-service[tracing]'",
    )
    spans = list[Any]()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = proto.ExportTraceServiceRequest()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            request.ParseFromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
        finally:
            server.shutdown()
            thread.join()


def attributes(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes}


@pytest.mark.services
def test_a_request_is_one_trace_with_a_span_for_each_stage():
    with collecting() as (endpoint, spans):
        with serving(fake_app(None, f'tracing.endpoint="{endpoint}"')) as client:
            parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            assert client.post(BINARY, json=SMALL, headers=parent).status_code == 200
        by_name = {one.name: one for one in spans}
    assert set(by_name) == {f"POST {BINARY}", "generation", *STAGES}
    assert {one.trace_id.hex() for one in spans} == {TRACE}
    request, generation = by_name[f"POST {BINARY}"], by_name["generation"]
    assert request.parent_span_id.hex() == CALLER
    assert attributes(request)["http.response.status_code"] == "200"
    assert generation.parent_span_id == request.span_id
    assert attributes(generation) == {"style": "ink"}
    for stage in STAGES - {"encode"}:
        assert by_name[stage].parent_span_id == generation.span_id
        assert generation.start_time_unix_nano <= by_name[stage].start_time_unix_nano
        assert by_name[stage].end_time_unix_nano <= generation.end_time_unix_nano + 2_000_000
    assert by_name["encode"].parent_span_id == request.span_id


@pytest.mark.services
def test_a_failure_tells_its_kind_and_no_words():
    with collecting() as (endpoint, spans):
        with serving(fake_app(None, f'tracing.endpoint="{endpoint}"')) as client:
            client.post(BINARY, json={**SMALL, "pictogram": "zqno", "style": "zqstyle"})
        (generation,) = [one for one in spans if one.name == "generation"]
    assert attributes(generation) == {"style": "custom", "error.type": "UnknownPictogram"}
    assert "zq" not in str(spans)


@pytest.mark.services
def test_a_fraction_is_traced_and_a_dead_collector_harms_nobody():
    with collecting() as (endpoint, spans):
        with serving(
            fake_app(None, f'tracing.endpoint="{endpoint}"', "tracing.sample=0")
        ) as client:
            client.get("/health")
        assert spans == []
    with serving(fake_app(None, 'tracing.endpoint="http://127.0.0.1:9/v1/traces"')) as client:
        assert client.get("/health").status_code == 200


def test_off_nothing_of_opentelemetry_is_imported():
    program = (
        "import sys\n"
        "from writing_service.config import TracingSettings\n"
        "from writing_service.observability.traces import tracing_for\n"
        "print(tracing_for(TracingSettings()), [one for one in sys.modules if 'opentelemetry' in one])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "None []\n"


def test_without_the_packages_the_start_ends_with_what_to_install():
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from writing_service.config import TracingSettings\n"
        "from writing_service.observability.traces import tracing_for\n"
        "try: tracing_for(TracingSettings(endpoint='http://localhost:4318/v1/traces'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.startswith("ConfigurationError")
    assert "writing-service[tracing]" in done.stdout


def test_an_endpoint_is_an_address():
    with pytest.raises(ConfigurationError, match=r"tracing\.endpoint"):
        load_settings(["tracing.endpoint=collector"])
