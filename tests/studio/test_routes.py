"""The studio's files over HTTP."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.studio.routes import FILES

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
PATHS = sorted(str(one.relative_to(FILES)) for one in FILES.rglob("*") if one.is_file())


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def test_the_page_is_at_studio(client: httpx.Client):
    page = client.get("/studio", follow_redirects=True)
    assert page.status_code == 200
    assert page.url.path == "/studio/"
    assert page.content == (FILES / "index.html").read_bytes()


@pytest.mark.parametrize("path", PATHS)
def test_each_file_has_its_type_and_may_load_nothing_from_elsewhere(
    client: httpx.Client, path: str
):
    answer = client.get(f"/studio/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[(FILES / path).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy


@pytest.mark.parametrize("path", ["", "studio.js"])
def test_what_has_not_changed_is_not_sent_again(client: httpx.Client, path: str):
    first = client.get(f"/studio/{path}")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(f"/studio/{path}", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["cache-control"] == "no-cache"
    other = client.get(f"/studio/{path}", headers={"If-None-Match": '"something else"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["nothing.js", "../routes.py", "%2e%2e/routes.py", "styles/"])
def test_nothing_else_is_there(client: httpx.Client, path: str):
    answer = client.get(f"/studio/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_it_only_reads(client: httpx.Client):
    assert client.post("/studio/", json={}).status_code == 405


def test_it_can_be_switched_off():
    with serving(fake_app(None, "api.studio=false")) as client:
        assert client.get("/studio/").status_code == 404


def test_nothing_is_inline_or_from_other_hosts():
    page = (FILES / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    for path in PATHS:
        if path.endswith((".html", ".css", ".js")):
            assert not re.search(r"(?:https?:)?//[\w-]+\.", (FILES / path).read_text()), path


def test_the_files_are_small():
    assert sum((FILES / path).stat().st_size for path in PATHS) < 200_000
    for path in PATHS:
        if path.startswith("styles/"):
            assert (FILES / path).stat().st_size <= 12 * 1024, path


def test_the_service_says_what_each_style_comes_to(client: httpx.Client):
    told = client.get("/api/writing/status").json()["result"]
    assert list(told["style_defaults"]) == told["styles"]
    assert told["style_defaults"]["ink"] == {
        "display_name": "Ink Wash Painting",
        "conditioning_weights": {
            "canny": 0.6,
            "depth": 0.3,
            "segmentation": 0.2,
            "scribble": 0.9,
        },
        "num_inference_steps": 6,
        "guidance_scale": 2.0,
    }
    assert set(told["free_style_defaults"]["conditioning_weights"].values()) == {0.5, 0.7}
    for style in told["styles"]:
        assert f"styles/{style}.webp" in PATHS
