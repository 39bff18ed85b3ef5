"""The OpenAPI document tells every answer, and its pages work without any other site."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.server import serving
from tests.fakes import fake_app

JSON = "/api/writing/generate-writing-image"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def test_every_operation_tells_what_may_stand_in_its_way(client: httpx.Client):
    paths = client.get("/api/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            told = set(operation["responses"])
            assert {"200", "500"} <= told | {"200"}, path
            is_open = path in ("/health", "/health/ready")
            assert ({"401", "429"} <= told) == (not is_open), path
            assert ("security" in operation) == (not is_open), path
    drawn = set(paths[JSON]["post"]["responses"])
    assert drawn >= {"200", "401", "408", "413", "422", "429", "500", "503", "504"}


def test_problems_are_told_with_their_schema(client: httpx.Client):
    document = client.get("/api/openapi.json").json()
    answer = document["paths"][JSON]["post"]["responses"]["429"]
    (name,) = re.findall(r"#/components/schemas/(\w+)", str(answer["content"]))
    assert {"error", "status", "success"} <= set(
        document["components"]["schemas"][name]["properties"]
    )
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}


@pytest.mark.parametrize("page", ["/api/docs", "/api/redoc"])
def test_pages_load_nothing_from_elsewhere(client: httpx.Client, page: str):
    html = client.get(page).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(loaded) >= 2
    for address in loaded:
        assert address.startswith("/api/docs/static/"), address
        assert client.get(address).status_code == 200


@pytest.mark.services
@pytest.mark.parametrize("page", ["/api/docs", "/api/redoc"])
def test_a_browser_shows_the_operations(client: httpx.Client, page: str, tmp_path: Path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    done = subprocess.run(
        [
            chromium,
            *options,
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{client.base_url}{page}",
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Draw a word" in done.stdout
    assert "Refused to" not in done.stderr
