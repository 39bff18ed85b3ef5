"""Take the pictures of the studio for docs/studio.md and the README, into docs/studio, with the shipped checkpoint.

    python scripts/studio_pictures.py

Needs Chromium and the package playwright (`make check` installs it); the page looks as the system's fonts do. A server
of its own is started and stopped.
"""

import io
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from writing_service.app import create_app
from writing_service.config import load_settings

OUT = Path("docs/studio")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 960}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 1180}, "has_touch": True}
MOST_BYTES = 60 * 1024


def main() -> None:
    """All of them."""
    OUT.mkdir(parents=True, exist_ok=True)
    with serving() as address, browsing() as browser:
        finished(page_at(browser, address, DESKTOP))
        painting(page_at(browser, address, {**DESKTOP, "color_scheme": "dark", "locale": "ru-RU"}))
        several(page_at(browser, address, DESKTOP))
        on_a_phone(page_at(browser, address, PHONE))


def finished(page: Page) -> None:
    """One picture, and the shelf below it."""
    draw(page, "猫", "cat", "ink", 5)
    draw(page, "さくら", "cherry blossom", "watercolor", 7)
    draw(page, "学习", "study", "traditional", 11)
    save(page, "finished")


def painting(page: Page) -> None:
    """In the middle of the steps, dark and in Russian."""
    page.locator("#advanced summary").click()
    page.fill("#steps", "24")
    page.locator("#advanced summary").click()
    page.evaluate("scrollTo(0, 0)")
    ask(page, "дом", "house", "comic", 5)
    page.locator("#progress-text", has_text=re.compile("шаг (9|1[0-9]) ")).wait_for(timeout=120_000)
    save(page, "painting")


def several(page: Page) -> None:
    """Four of one word that is written from right to left, and the weights."""
    page.locator(".segments label").nth(2).click()
    draw(page, "سلام", "peace", "watercolor", 21)
    page.locator(".picture-choice").nth(1).click()
    save(page, "several")


def on_a_phone(page: Page) -> None:
    """The picture, after the choices."""
    draw(page, "ปลา", "fish", "realistic", 12)
    page.evaluate("document.getElementById('stage').scrollIntoView()")
    save(page, "phone")


def draw(page: Page, word: str, meaning: str, style: str, seed: int) -> None:
    """Asks, and waits until the picture is there."""
    ask(page, word, meaning, style, seed)
    page.locator("#caption", has_text=word).wait_for(timeout=120_000)
    page.mouse.move(0, 0)


def ask(page: Page, word: str, meaning: str, style: str, seed: int) -> None:
    """Fills the form and presses the button."""
    page.fill("#word", word)
    page.fill("#translation", meaning)
    page.locator(f"[name=style][value={style}]").check(force=True)
    page.fill("#seed", str(seed))
    page.click("#draw")


def save(page: Page, name: str) -> None:
    """As WebP, as good as fits."""
    page.wait_for_timeout(400)  # Pictures that have come are drawn by then.
    image = Image.open(io.BytesIO(page.screenshot()))
    path = OUT / f"{name}.webp"
    for quality in (90, 85, 80, 75, 70, 60):
        image.save(path, quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(path, path.stat().st_size)


def page_at(browser: Browser, address: str, options: dict[str, Any]) -> Page:
    """The studio in a browser of its own, its choices there."""
    page = browser.new_context(**{"locale": "en-GB", **options}).new_page()
    page.goto(f"{address}/studio/")
    page.locator(".style-card").first.wait_for()
    return page


@contextmanager
def browsing() -> Iterator[Browser]:
    """An installed Chromium, unseen."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """The service on a free port; gives its address."""
    app = create_app(load_settings(["jobs.url=sqlite://", "cache.enabled=false"]))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
