"""Real engines behind the real service: who leaves, what vanishes, what dies."""

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.server import serving
from tests.diffusion.conftest import Loaders, loaders, model_settings
from tests.diffusion.denoising.test_worker import drawing_threads, kill
from writing_service.app import create_app
from writing_service.config import load_settings
from writing_service.diffusion.loader import ModelLoader

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"
OVERRIDES = [
    "ai_generation.gpu.device=cpu",
    "ai_generation.legibility.min_score=0",
    "cache.enabled=false",
]


def small(**fields: object) -> dict[str, object]:
    return {"word": "学", "width": 100, "height": 100, "num_inference_steps": 2, **fields}


def wait_until(true: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < 30
        time.sleep(0.01)


class Service:
    def __init__(self, client: httpx.Client, loader: ModelLoader, folder: Path) -> None:
        self.client = client
        self.loader = loader
        self.folder = folder

    @property
    def steps(self) -> int:
        """Taken so far."""
        batches: Any = self.loader.status()["batches"]
        return batches["steps"] if batches else 0


@pytest.fixture(scope="module")
def service(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Of models of its own, to be broken."""
    folder = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("serving") / "models"))
    with loaders() as make:
        loader = served(make, folder)
        with serving(create_app(load_settings(OVERRIDES), loader)) as client:
            client.post(JSON, json=small()).raise_for_status()
            yield Service(client, loader, folder)


def served(make: Loaders, folder: Path) -> ModelLoader:
    return make(model_settings(folder))


@pytest.mark.parametrize("route", [JSON, BINARY])
def test_after_a_client_has_left_no_more_steps_are_taken(service: Service, route: str):
    before = service.steps
    # Far more steps than are taken before the connection is closed.
    body = json.dumps(small(batch_size=8, num_inference_steps=150)).encode()
    head = f"POST {route} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n"
    # Else the engine may refuse, on a busy machine, what cannot be done in time.
    head += "X-Request-Timeout: 600\r\n"
    url = service.client.base_url
    with socket.create_connection((url.host, url.port or 0)) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        wait_until(lambda: service.steps > before)
    wait_until(lambda: service.loader.workload().running == 0)
    taken = service.steps
    time.sleep(0.3)
    assert service.steps == taken
    assert taken - before < 150


def test_after_its_deadline_no_more_steps_are_taken(service: Service):
    asked = small(batch_size=8, num_inference_steps=150, seed=1)
    answer = service.client.post(JSON, json=asked, headers={"X-Request-Timeout": "0.5"})
    assert answer.status_code == 504
    wait_until(lambda: service.loader.workload().running == 0)
    taken = service.steps
    time.sleep(0.3)
    assert service.steps == taken


def test_a_killed_engine_is_told_and_the_service_is_ready_again(service: Service):
    thread = drawing_threads()[-1]
    kill(thread)
    answers = [service.client.post(JSON, json=small()) for _ in range(2)]
    assert answers[-1].status_code == 200
    assert answers[0].status_code in (200, 503)
    if answers[0].status_code == 503:
        assert answers[0].headers["retry-after"] == "1"
    assert service.client.get("/health/ready").status_code == 200


def test_models_that_vanish_while_they_serve_go_on_serving_and_a_new_start_says_so(
    service: Service,
):
    shutil.rmtree(service.folder)
    assert service.client.post(JSON, json=small()).status_code == 200
    assert service.client.get("/health/ready").status_code == 200
    with loaders() as make:
        app = create_app(load_settings(OVERRIDES), served(make, service.folder))
        with serving(app) as client:
            assert client.get("/health/ready").status_code == 503
            refused = client.post(JSON, json=small(seed=3))
            assert refused.status_code == 503
            assert str(service.folder) in refused.json()["error"]
            assert client.get("/health").status_code == 200
