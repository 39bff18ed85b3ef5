"""For everyone: by keyboard, on a phone, with a screen reader, in one's own language and direction."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.studio.conftest import OpenStudio
from tests.studio.test_drawing import ask, wait

pytestmark = pytest.mark.services

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True}

FOCUSED = """
() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const seen = one.matches(".style-card input") ? one.nextElementSibling
    : one.matches(".segments input") ? one.nextElementSibling : one;
  const name = one.id || one.name + one.value || one.getAttribute("aria-label") || one.textContent;
  return {name, outline: getComputedStyle(seen).outlineStyle};
}
"""


def stops_of(page: Page) -> list[dict[str, str]]:
    """Where Tab leads, from the beginning of the page to its end."""
    page.locator(".skip").focus()
    stops = list[dict[str, str]]()
    for _ in range(100):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None or (stops and stop == stops[0]):
            return stops
        stops.append(stop)
    raise AssertionError(f"Tab never leaves the page: {stops[-5:]}")


def test_all_is_done_by_keyboard(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.locator(".style-card").first.wait_for()
    expect(page.locator("#word")).to_be_focused()
    page.keyboard.type("鳥")
    page.keyboard.press("Tab")
    page.keyboard.type("bird")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait(page)
    picture = page.locator("#pictures img")
    assert picture.get_attribute("alt") == "鳥, “bird”, drawn in the style Watercolour"

    stops = stops_of(page)
    names = [stop["name"] for stop in stops]
    for expected in ("word", "seed", "roll", "draw", "download", "again", "keep-seed", "clear"):
        assert expected in names
    assert names.index("draw") < names.index("download") < names.index("clear")
    assert all(stop["outline"] != "none" for stop in stops)

    page.locator(".tile button").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_have_attribute("alt", "Edges of 鳥")


def test_a_deleted_picture_does_not_take_the_keyboard_along(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    for word in ("一", "二"):
        ask(page, word)
        expect(page.locator("#caption")).to_have_text(word)
    expect(page.locator(".entry")).to_have_count(2)
    page.locator(".entry-delete").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".entry-delete")).to_have_count(1)
    expect(page.locator(".entry-delete")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#word")).to_be_focused()


@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
def test_a_phone_need_not_be_scrolled_sideways(
    studio: OpenStudio, quick_server: str, language: str
):
    page = studio(quick_server, locale=language, **PHONE)
    page.locator(".style-card").first.wait_for()
    assert _overflow(page) == 0
    page.click("#advanced summary")
    assert _overflow(page) == 0
    ask(page, "Rindfleischetikettierungsüberwachungsaufgabe", "law")
    wait(page)
    page.locator("#result summary").click()
    assert _overflow(page) == 0
    page.locator(".segments label").nth(3).click()
    page.fill("#pictogram", "no such pictogram")
    ask(page, "水" * 50, "water")
    expect(page.locator("#pictogram")).to_have_attribute("aria-invalid", "true")
    assert _overflow(page) == 0
    page.fill("#pictogram", "")
    page.press("#word", "Enter")
    expect(page.locator(".picture-choice")).to_have_count(8)
    assert _overflow(page) == 0


def test_the_browsers_language_is_spoken_and_another_can_be_chosen(
    studio: OpenStudio, quick_server: str
):
    page = studio(quick_server, locale="ru-RU")
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "ru")
    expect(page.locator("#draw")).to_have_text("Нарисовать")
    expect(page).to_have_title("Студия письма")
    ask(page, "дом", "house")
    wait(page)
    expect(page.locator("#pictures img")).to_have_attribute("alt", "дом, «house», стиль: Комикс")
    expect(page.locator("#legibility")).to_contain_text("легко прочесть")
    page.click("#languages [lang=en]")
    expect(html).to_have_attribute("lang", "en")
    expect(page.locator("#pictures img")).to_have_attribute(
        "alt", "дом, “house”, drawn in the style Comic"
    )
    expect(page.locator("#language option[value=ja]")).to_have_text("Japanese")
    page.reload()
    expect(page.locator("#draw")).to_have_text("Draw")


def test_an_unknown_language_gets_english(studio: OpenStudio, quick_server: str):
    page = studio(quick_server, locale="sw-KE")
    expect(page.locator("#draw")).to_have_text("Draw")


def test_words_run_in_their_own_direction(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.click("#advanced summary")
    page.select_option("#language", "ar")
    page.fill("#word", "سلام")
    assert _direction(page, "#word") == "rtl"
    assert _direction(page, "#practice") == "rtl"
    assert _direction(page, "#translation") == "ltr"
    page.press("#word", "Enter")
    wait(page)
    assert _direction(page, "#caption bdi") == "rtl"
    assert page.locator("#caption bdi").get_attribute("lang") == "ar"
    assert _direction(page, ".entry-word") == "rtl"


def test_the_word_as_it_is_typed_has_its_language(studio: OpenStudio, quick_server: str):
    page = studio(quick_server)
    page.click("#advanced summary")
    page.select_option("#language", "zh-tw")
    page.fill("#word", "學")
    for part in ("#word", "#practice"):
        expect(page.locator(part)).to_have_attribute("lang", "zh-Hant")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(studio: OpenStudio, quick_server: str, colours: str):
    page = studio(quick_server, color_scheme=colours, bypass_csp=True, reduced_motion="reduce")
    page.locator(".style-card").first.wait_for()
    assert _violations(page) == []
    page.click("#advanced summary")
    page.locator("[name='on.depth']").uncheck()
    page.locator(".segments label").nth(1).click()
    page.fill("#seed", "-1")
    ask(page, "水", "water")
    expect(page.locator("#seed")).to_have_attribute("aria-invalid", "true")
    assert _violations(page) == []
    page.fill("#seed", "1")
    page.press("#seed", "Enter")
    wait(page)
    page.locator("#result summary").click()
    assert _violations(page) == []
    page.click("#clear")
    assert _violations(page) == []
    page.keyboard.press("Escape")
    page.click("#key")
    assert _violations(page) == []


def test_nothing_moves_for_those_who_do_not_want_it(studio: OpenStudio, slow_server: str):
    page = studio(slow_server, reduced_motion="reduce")
    ask(page, "水", "water")
    active = page.locator(".tile[data-state=active] .tile-picture").first
    assert active.evaluate("one => getComputedStyle(one).animationName") == "none"


def _overflow(page: Page) -> int:
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def _direction(page: Page, selector: str) -> str:
    return page.locator(selector).first.evaluate("one => getComputedStyle(one).direction")


def _violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
    ]
