"""What goes wrong is said, where it belongs, in the service's own sentence."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from starlette.responses import JSONResponse

from tests.api.server import serving
from tests.fakes import fake_app
from tests.studio.conftest import SMALL, OpenStudio
from tests.studio.test_drawing import ask, wait
from writing_service.diffusion.fake import FakeLoader, FakePipeline

pytestmark = pytest.mark.services


def error_of(page: Page, field: str) -> str:
    """What stands below a field, as its own description."""
    described = page.locator(f"[name='{field}']").get_attribute("aria-describedby")
    return page.locator(f"[id='{described}']").inner_text()


@pytest.mark.parametrize("word", ["", "\U00010f70", "x" * 51])
def test_a_word_that_cannot_be_drawn_is_told_below_it(
    studio: OpenStudio, quick_server: str, word: str
):
    told = httpx.post(f"{quick_server}/api/writing/generate-writing-image", json={"word": word})
    page = studio(quick_server)
    ask(page, word)
    expect(page.locator("#word")).to_have_attribute("aria-invalid", "true")
    assert error_of(page, "word") == told.json()["detail"]
    expect(page.locator("#word")).to_be_focused()
    assert page.locator("#progress").is_hidden()
    page.fill("#word", "水")
    assert page.locator(".error").count() == 0
    page.press("#word", "Enter")
    wait(page)


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("pictogram", "flyingcat", "Unknown pictogram 'flyingcat'; did you mean"),
        ("width", "wide", "Field 'width' should be a valid integer"),
        ("seed", "-1", "Field 'seed' should be greater than or equal to 0."),
        ("num_inference_steps", "151", "Field 'num_inference_steps' should be less than"),
    ],
)
def test_any_bad_field_is_told_below_it_and_comes_into_sight(
    studio: OpenStudio, quick_server: str, field: str, typed: str, sentence: str
):
    page = studio(quick_server)
    page.click("#advanced summary")
    page.locator(f"[name={field}]").fill(typed)
    page.click("#advanced summary")
    ask(page, "水", "water")
    expect(page.locator(f"[name={field}]")).to_be_focused()
    assert error_of(page, field).startswith(sentence)


def test_an_empty_style_of_ones_own_is_told_there(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.locator(".style-card").last.click()
    ask(page, "水")
    expect(page.locator("#own-style")).to_be_focused()
    expect(page.locator("[data-field=style] .error")).to_contain_text("must not be empty")


def test_a_failed_job_says_why_and_can_be_tried_again(studio: OpenStudio):
    pipeline = FakePipeline()
    loader = FakeLoader(pipeline, reasons=["the weights are missing"])
    with serving(fake_app(loader, *SMALL)) as client:
        page = studio(str(client.base_url).rstrip("/"))
        ask(page, "水")
        expect(page.locator("#notice-text")).to_contain_text("the weights are missing")
        loader.reasons.clear()
        page.click("#notice-action")
        wait(page)
        assert page.locator("#notice").is_hidden()


def test_a_full_queue_says_how_long_to_wait(studio: OpenStudio):
    app = fake_app(
        FakeLoader(FakePipeline(seconds=60)), "jobs.at_once=1", "jobs.max_queued=1", *SMALL
    )
    with serving(app) as client:
        while client.post("/api/writing/jobs", json={"word": "山"}).status_code != 503:
            pass
        page = studio(str(client.base_url).rstrip("/"))
        ask(page, "水")
        expect(page.locator("#notice-wait")).to_contain_text("Wait ")
        assert "later" in page.locator("#notice-text").inner_text()
        assert page.locator("#notice-text").get_attribute("lang") == "en"


def test_a_key_is_asked_for_and_kept_in_the_tab(studio: OpenStudio):
    with serving(guarded(fake_app(None, *SMALL), "a right key")) as client:
        page = studio(str(client.base_url).rstrip("/"))
        expect(page.locator("#key-dialog")).to_be_visible()
        page.fill("#key-input", "a wrong key")
        page.press("#key-input", "Enter")
        expect(page.locator("#key-dialog")).to_be_visible()
        page.fill("#key-input", "a right key")
        page.press("#key-input", "Enter")
        ask(page, "水", "water")
        wait(page)
        page.reload()
        page.locator(".style-card").first.wait_for()
        assert page.locator("#key-dialog").is_hidden()
        assert page.evaluate("Object.values(localStorage)") == []


def test_whoever_has_no_key_is_told(studio: OpenStudio):
    with serving(guarded(fake_app(None, *SMALL), "a right key")) as client:
        page = studio(str(client.base_url).rstrip("/"))
        expect(page.locator("#key-dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#notice-text")).to_have_text("Send a key.")


def test_too_many_requests_are_told(studio: OpenStudio):
    def refuse(scope: Any) -> JSONResponse | None:
        if scope["method"] != "POST":
            return None
        told = {"status": 429, "detail": "Too many requests; wait a little."}
        return JSONResponse(told, 429, {"Retry-After": "7"})

    with serving(refusing(fake_app(None, *SMALL), refuse)) as client:
        page = studio(str(client.base_url).rstrip("/"))
        ask(page, "水")
        expect(page.locator("#notice-text")).to_have_text("Too many requests; wait a little.")
        expect(page.locator("#notice-wait")).to_have_text("Wait 7 s.")


def test_without_events_it_asks_again_and_again(studio: OpenStudio):
    def refuse(scope: Any) -> JSONResponse | None:
        return JSONResponse({}, 502) if scope["path"].endswith("/events") else None

    app = fake_app(FakeLoader(FakePipeline(seconds=1)), "jobs.poll_least_ms=200", *SMALL)
    with serving(refusing(app, refuse)) as client:
        page = studio(str(client.base_url).rstrip("/"))
        ask(page, "水", "water")
        expect(page.locator("#progress-text")).to_contain_text("step")
        wait(page)


def test_a_lost_connection_is_told_and_the_job_goes_on(studio: OpenStudio, slow_server: str):
    """Chromium's own "offline" leaves open streams alone, so the line is cut after the job has begun."""
    page = studio(slow_server)
    page.route("**/events", lambda route: route.abort())
    ask(page, "水", "water")
    expect(page.locator("#progress-text")).to_contain_text("step")
    page.context.set_offline(True)
    expect(page.locator("#progress-text")).to_have_text("The connection is lost; trying again")
    page.context.set_offline(False)
    wait(page)


def test_a_service_out_of_reach_is_told(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    expect(page.locator("#draw")).to_be_enabled()
    page.context.set_offline(True)
    ask(page, "水", "water")
    expect(page.locator("#notice-text")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.click("#notice-action")
    wait(page)


def test_old_pictures_are_seen_without_the_service(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    ask(page, "水", "water")
    wait(page)
    page.route("**/api/writing/status", lambda route: route.abort())
    page.reload()
    expect(page.locator("#notice-text")).to_contain_text("cannot be reached")
    expect(page.locator("#draw")).to_be_disabled()
    page.locator(".entry-open").click()
    wait(page)
    expect(page.locator("#pictures img")).to_be_visible()


def test_a_job_that_is_known_no_more_is_told(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.evaluate("localStorage.setItem('writing-studio.job', 'long-gone')")
    page.reload()
    expect(page.locator("#notice-text")).to_contain_text("its result has expired")
    page.reload()
    page.locator(".style-card").first.wait_for()
    assert page.locator("#notice").is_hidden()


def guarded(app: Any, key: str) -> Any:
    """The API behind a key; the page is open to all."""

    def refuse(scope: Any) -> JSONResponse | None:
        sent = dict(scope["headers"]).get(b"authorization", b"").decode()
        if not scope["path"].startswith("/api/") or sent == f"Bearer {key}":
            return None
        return JSONResponse({"status": 401, "detail": "Send a key."}, 401)

    return refusing(app, refuse)


def refusing(app: Any, refuse: Callable[[Any], JSONResponse | None]) -> Any:
    """The app behind a gate; what `refuse` answers goes back in place of the app's own answer."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        answer = refuse(scope) if scope["type"] == "http" else None
        await (answer or app)(scope, receive, send)

    return gate
