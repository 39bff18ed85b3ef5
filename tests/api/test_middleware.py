"""What stands before the routes, over HTTP: keys, limits, headers, ids, other sites' pages, and their order."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.keys import hash_of
from writing_service.diffusion.fake import FakeLoader, FakePipeline

BINARY = "/api/writing/generate-writing-image-binary"
KEY, OTHER = "the-key-of-the-bot-here", "the-key-of-the-monitor"
BEARER = {"Authorization": f"Bearer {KEY}"}
SMALL = {"word": "学", "width": 100, "height": 100}
ORIGIN = "https://learners.example"
KEYS = (f'api.keys.bot="{hash_of(KEY)}"', f'api.keys.monitor="{hash_of(OTHER)}"')


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    """Two keys, three pictures a minute for each, behind a proxy on this machine."""
    app = fake_app(
        None,
        *KEYS,
        "api.rate_limits.drawing=3/minute",
        "api.trusted_proxies=[127.0.0.0/8]",
        f"api.cors_origins=[{ORIGIN}]",
    )
    with serving(app) as client:
        yield client


@pytest.fixture(scope="module")
def limited() -> Iterator[httpx.Client]:
    """No keys; two pictures a minute by address; behind a proxy on this machine."""
    limits = ("api.rate_limits.drawing=2/minute", "api.trusted_proxies=[127.0.0.0/8]")
    with serving(fake_app(None, *limits)) as client:
        yield client


@pytest.fixture(scope="module")
def broken() -> Iterator[httpx.Client]:
    """Every picture crashes; nothing is trusted or asked."""
    crash = FakeLoader(FakePipeline(error=RuntimeError("secret of the house")))
    with serving(fake_app(crash)) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"X-API-Key": ""},
        {"X-API-Key": f"{KEY}x"},
        {"X-API-Key": hash_of(KEY)},
        {"X-API-Key": "ключ".encode()},
    ],
)
def test_without_its_key_nothing_is_drawn(guarded: httpx.Client, headers: dict[str, str | bytes]):
    answer = guarded.post(BINARY, json=SMALL, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "X-API-Key" in answer.json()["error"]
    assert KEY not in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/health/detailed", "/api/writing/status", "/none"])
def test_what_is_not_opened_needs_a_key(guarded: httpx.Client, path: str):
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers={"X-API-Key": OTHER}).status_code in (200, 404)
    assert guarded.get(path, headers=BEARER).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/api/docs", "/api/openapi.json"])
def test_what_is_opened_needs_none(guarded: httpx.Client, path: str):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health/", "/health/../metrics", "/studio/../metrics", "//metrics"]
)
def test_no_spelling_of_a_path_goes_around_the_keys(guarded: httpx.Client, path: str):
    # httpx would tidy the path up.
    request = guarded.build_request("GET", "/")
    request.url = httpx.URL(request.url, raw_path=path.encode())
    assert guarded.send(request).status_code in (401, 404)


def test_metrics_may_be_opened_and_drawing_stay_closed():
    with serving(fake_app(None, *KEYS, "api.open_paths=[/health,/metrics]")) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/api/docs").status_code == 401


def test_each_key_has_its_own_limit(guarded: httpx.Client):
    answers = [guarded.post(BINARY, json=SMALL, headers=BEARER) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert answers[3].json()["status"] == 429
    assert answers[3].headers["retry-after"] in answers[3].json()["error"]
    assert guarded.post(BINARY, json={}, headers={"X-API-Key": OTHER}).status_code == 422
    assert guarded.get("/api/writing/status", headers=BEARER).status_code == 200


def test_without_keys_each_address_has_its_own_limit_as_the_trusted_proxy_tells_it(
    limited: httpx.Client,
):
    def ask(address: str) -> int:
        return limited.post(BINARY, json={}, headers={"X-Forwarded-For": address}).status_code

    assert [ask("192.0.2.1") for _ in range(3)] == [422, 422, 429]
    assert ask("192.0.2.2") == 422
    # Made up by the client: the proxy adds the true one at the end.
    assert ask("198.51.100.7, 192.0.2.1") == 429
    # One customer has all of a /64.
    assert [ask(f"2001:db8::{number}") for number in range(3)] == [422, 422, 429]
    assert ask("2001:db8:0:1::") == 422


def test_an_untrusted_proxy_is_the_caller_itself():
    with serving(fake_app(None, "api.rate_limits.requests=2/minute")) as client:
        statuses = [
            client.get("/metrics", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(3)
        ]
        assert statuses == [200, 200, 429]
        assert client.get("/health").status_code == 200


def test_pages_of_listed_sites_may_ask_and_no_others(guarded: httpx.Client, broken: httpx.Client):
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = guarded.options(BINARY, headers={"Origin": ORIGIN, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = guarded.post(BINARY, json=SMALL, headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    stranger = guarded.options(BINARY, headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in stranger.headers
    off = broken.get("/health", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in off.headers


def test_every_answer_tells_browsers_to_be_careful(guarded: httpx.Client, broken: httpx.Client):
    answers = [
        guarded.get("/health"),
        guarded.get("/metrics"),
        broken.get("/nothing"),
        broken.post(BINARY, json=SMALL),
        broken.post(BINARY, content=b"{", headers={"Content-Type": "application/json"}),
    ]
    assert [one.status_code for one in answers] == [200, 401, 404, 500, 422]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "strict-transport-security" not in answer.headers


def test_pages_may_load_from_here_alone(guarded: httpx.Client):
    studio = guarded.get("/studio/").headers["content-security-policy"]
    assert "script-src 'self';" in studio
    assert "unsafe" not in studio
    assert "http" not in studio
    assert "http" not in guarded.get("/api/docs").headers["content-security-policy"]


def test_behind_a_proxy_with_tls_browsers_are_told_to_stay_there(guarded: httpx.Client):
    answer = guarded.get("/health", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/nothing", "/api/writing/status"])
def test_every_answer_has_an_id_and_a_sane_one_is_kept(guarded: httpx.Client, path: str):
    given = {"X-Request-ID": "bot-1:a.b_c"}
    assert guarded.get(path, headers=given).headers["x-request-id"] == "bot-1:a.b_c"
    for insane in ("", "two words", "x" * 65, "a\tb", "<script>"):
        made = guarded.get(path, headers={"X-Request-ID": insane}).headers["x-request-id"]
        assert len(made) == 32
        assert made.isalnum()


def test_a_crash_has_an_id_too_and_no_internals(broken: httpx.Client):
    answer = broken.post(BINARY, json=SMALL, headers={"X-Request-ID": "one"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "one"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
