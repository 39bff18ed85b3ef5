"""A picture in a real browser: made, watched, cancelled, downloaded, made again, found again."""

import io
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.api.server import serving
from tests.studio.conftest import OpenStudio
from writing_service.app import create_app
from writing_service.config import load_settings

pytestmark = pytest.mark.services

WATCH = """
window.seen = [];
const note = () => {
  const tiles = [...document.querySelectorAll(".tile")].map((one) => one.dataset.state);
  seen.push({
    text: document.getElementById("progress-text").textContent,
    tiles,
    live: !document.getElementById("live").hidden,
  });
};
new MutationObserver(note).observe(document.getElementById("stage"), {childList: true, subtree: true});
"""


def ask(page: Page, word: str, meaning: str = "") -> None:
    """Types and presses Enter, once the page knows what there is to choose from."""
    expect(page.locator("#draw")).to_be_enabled()
    page.fill("#word", word)
    page.fill("#translation", meaning)
    page.press("#translation", "Enter")


def wait(page: Page) -> None:
    """Until a picture is there."""
    page.locator("#result").wait_for()


def download(page: Page) -> tuple[str, bytes]:
    """The file's name and content."""
    with page.expect_download() as started:
        page.click("#download")
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def jobs_of(page: Page) -> list[str]:
    """Ids of the jobs that the page starts from now on, as they come."""
    ids: list[str] = []

    def note(response: Any) -> None:
        if response.request.method == "POST" and response.url.endswith("/jobs"):
            ids.append(response.json()["id"])

    page.on("response", note)
    return ids


def test_a_picture_is_made_and_watched(studio: OpenStudio, slow_server: str):
    page = studio(slow_server)
    page.evaluate(WATCH)
    ask(page, "学习", "study")
    wait(page)
    seen = page.evaluate("seen")
    texts = [one["text"] for one in seen]
    assert any(re.search(r"step [2-5] of 6 · about \d s left", text) for text in texts)
    assert any(one["live"] for one in seen)
    in_between = [one["tiles"] for one in seen if "step" in one["text"]]
    assert ["done"] * 5 + ["active"] in in_between
    assert page.locator(".tile[data-state=done]").count() == 6
    picture = page.locator("#pictures img")
    assert picture.get_attribute("alt") == "学习, “study”, drawn in the style Comic"
    expect(page.locator("#announcer")).to_have_text("The picture is ready: 学习, study")
    expect(page.locator("#legibility")).to_contain_text(re.compile(r"Legibility (0\.\d+|1): "))


def test_it_is_downloaded_as_it_was_served_and_made_again_by_its_seed(
    studio: OpenStudio, quick_server: str
):
    page = studio(quick_server)
    ids = jobs_of(page)
    ask(page, "猫", "cat")
    wait(page)
    name, first = download(page)
    served = httpx.get(f"{quick_server}/api/writing/jobs/{ids[0]}/picture")
    assert first == served.content
    seed = page.locator("#seed-used").inner_text()
    assert name == f"猫-{seed}.png"
    with Image.open(io.BytesIO(first)) as picture:
        assert f"Seed: {seed}" in picture.text["parameters"]

    page.click("#again")
    expect(page.locator("#seed-used")).not_to_have_text(seed)
    assert download(page)[1] != first

    page.fill("#seed", seed)
    ask(page, "猫", "cat")
    expect(page.locator("#seed-used")).to_have_text(seed)
    assert download(page)[1] == first


def test_seeds_beyond_javascripts_numbers_stay_exact(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.fill("#seed", str(2**63 - 1))
    ask(page, "水")
    wait(page)
    assert page.locator("#seed-used").inner_text() == str(2**63 - 1)
    page.click("#roll")
    assert page.input_value("#seed") != str(2**63 - 1)
    page.click("#keep-seed")
    assert page.input_value("#seed") == str(2**63 - 1)


def test_escape_cancels_this_job_alone(studio: OpenStudio, slow_server: str):
    jobs = f"{slow_server}/api/writing/jobs"
    page = studio(slow_server)
    others = [httpx.post(jobs, json={"word": word}).json()["id"] for word in "山川"]
    ids = jobs_of(page)
    ask(page, "火", "fire")
    expect(page.locator("#progress-text")).to_contain_text("Waiting, 1 before this one")
    page.keyboard.press("Escape")
    expect(page.locator("#notice-text")).to_have_text("Cancelled.")
    assert page.locator("#progress").is_hidden()
    assert _state(slow_server, ids[0]) == "cancelled"
    assert {_state(slow_server, other) for other in others} <= {"queued", "running", "succeeded"}


def test_the_cancel_button_gives_the_keyboard_back(studio: OpenStudio, slow_server: str):
    page = studio(slow_server)
    ask(page, "火", "fire")
    page.locator("#cancel").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#notice-text")).to_have_text("Cancelled.")
    expect(page.locator("#draw")).to_be_focused()


def test_a_running_job_goes_on_after_a_reload(studio: OpenStudio, slow_server: str):
    page = studio(slow_server)
    ids = jobs_of(page)
    ask(page, "木", "tree")
    expect(page.locator("#progress-text")).to_contain_text("step")
    page.reload()
    wait(page)
    expect(page.locator("#word")).to_have_value("木")
    assert ids == ids[:1]
    expect(page.locator("#caption")).to_contain_text("木")


def test_several_pictures_stand_side_by_side(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.locator(".segments label").nth(2).click()
    page.fill("#seed", "10")
    ask(page, "茶", "tea")
    wait(page)
    choices = page.locator(".picture-choice")
    assert choices.count() == 4
    first = download(page)
    assert first[0] == "茶-10.png"
    choices.nth(3).click()
    assert page.locator("#seed-used").inner_text() == "13"
    last = download(page)
    assert last[0] == "茶-13.png"
    assert last[1] != first[1]


def test_all_choices_reach_the_service(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    ids = jobs_of(page)
    page.click("#advanced summary")
    page.fill("#hint", "a child under a roof")
    page.select_option("#language", "ja")
    page.select_option("#direction", "vertical")
    page.fill("#width", "160")
    page.fill("#height", "240")
    page.select_option("#preset", "fast")
    page.fill("#pictogram", "off")
    page.fill("#steps", "3")
    page.fill("#guidance", "1,5")
    page.locator("[name='conditioning_weights.canny']").fill("1.25")
    page.locator("[name='on.depth']").uncheck()
    page.select_option("[name='conditioning_methods.scribble']", "hand_drawn_simulation")
    page.locator(".style-card").last.click()
    page.fill("#own-style", "stained glass")
    ask(page, "学", "study")
    wait(page)
    asked = httpx.get(f"{quick_server}/api/writing/jobs/{ids[0]}").json()["request"]
    del asked["seed"]
    assert asked == {
        "word": "学",
        "translation": "study",
        "hint_writing": "a child under a roof",
        "language": "ja",
        "text_direction": "vertical",
        "style": "stained glass",
        "width": 160,
        "height": 240,
        "preset": "fast",
        "pictogram": "off",
        "num_inference_steps": 3,
        "guidance_scale": 1.5,
        "batch_size": 1,
        "conditioning_weights": {"canny": 1.25, "depth": 0},
        "conditioning_methods": {"scribble": "hand_drawn_simulation"},
        "include_conditioning_images": True,
        "include_prompt": True,
    }
    assert page.locator(".tile[data-state=off]").inner_text().startswith("Depth")


def test_the_shelf_survives_a_reload(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    for word, meaning in (("猫", "cat"), ("دار", "house")):
        ask(page, word, meaning)
        expect(page.locator("#caption")).to_contain_text(word)
    before = download(page)
    page.reload()
    entries = page.locator(".entry")
    expect(entries).to_have_count(2)
    assert entries.nth(0).locator(".entry-open").get_attribute("aria-label") == (
        "Show again: دار, house"
    )
    expect(page.locator("#draw")).to_be_enabled()  # the choices are known, and can be set
    entries.nth(0).locator(".entry-open").click()
    expect(page.locator("#word")).to_have_value("دار")
    wait(page)
    assert download(page) == before
    page.press("#word", "Enter")
    expect(page.locator(".entry")).to_have_count(3)
    assert download(page) == before

    page.locator(".entry").nth(0).hover()
    page.locator(".entry-delete").nth(0).click()
    expect(entries).to_have_count(2)
    page.click("#clear")
    page.click("#clear-dialog .quiet")
    expect(entries).to_have_count(2)
    page.click("#clear")
    page.click("#clear-dialog .primary")
    expect(entries).to_have_count(0)
    page.reload()
    expect(page.locator("#shelf-note")).to_contain_text("kept here, in this browser alone")


def test_the_shelf_fills_the_form_as_soon_as_there_are_choices(
    studio: OpenStudio, quick_server: str
):
    page = studio(quick_server)
    ask(page, "猫", "cat")
    expect(page.locator("#caption")).to_contain_text("猫")
    held: list[Route] = []
    page.route("**/api/writing/status", lambda route: held.append(route))
    page.reload()
    page.locator(".entry-open").click()
    expect(page.locator("#caption")).to_contain_text("猫")
    expect(page.locator("#word")).to_have_value("")
    held[0].continue_()
    expect(page.locator("#word")).to_have_value("猫")
    expect(page.locator("#translation")).to_have_value("cat")


def test_the_shipped_checkpoint_draws_in_the_studio(studio: OpenStudio):
    settings = load_settings(
        [
            "jobs.url=sqlite://",
            "ai_generation.gpu.device=cpu",
            "logging.folder=null",
            "cache.enabled=false",
        ]
    )
    with serving(create_app(settings)) as client:
        page = studio(str(client.base_url).rstrip("/"))
        page.evaluate(WATCH)
        page.click("#advanced summary")
        page.fill("#steps", "4")
        page.locator(".style-card").nth(3).click()
        ask(page, "花", "flower")
        page.locator("#result").wait_for(timeout=120_000)
        assert any("Painting" in one["text"] for one in page.evaluate("seen"))
        first = download(page)
        page.click("#keep-seed")
        page.press("#word", "Enter")
        expect(page.locator(".entry")).to_have_count(2, timeout=120_000)
        assert download(page) == first
        with Image.open(io.BytesIO(first[1])) as picture:
            assert picture.size == (512, 512)
        expect(page.locator("#facts")).to_contain_text("embedded")


def _state(server: str, job: str) -> str:
    return httpx.get(f"{server}/api/writing/jobs/{job}?result=false").json()["state"]
