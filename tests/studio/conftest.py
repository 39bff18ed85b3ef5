"""A real Chromium, and real servers with the shipped fake pipeline for it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.diffusion.fake import FakeLoader, FakePipeline

SMALL = ("ai_generation.generation.width=128", "ai_generation.generation.height=128")

OpenStudio = Callable[..., Page]
"""Opens the page at a server; `options` are those of Playwright's contexts."""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    # For these tests alone: meanwhile Playwright's event loop is the thread's, and others cannot run theirs.
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("needs Chromium (Debian's package 'chromium')")
    # Without a display there is no sandbox for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def quick_server() -> Iterator[str]:
    """Draws at once."""
    with serving(fake_app(None, *SMALL)) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture(scope="package")
def slow_server() -> Iterator[str]:
    """Takes two seconds for a picture, and draws one at a time."""
    app = fake_app(FakeLoader(FakePipeline(seconds=2)), "jobs.at_once=1", *SMALL)
    with serving(app) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def studio(chromium: Browser) -> Iterator[OpenStudio]:
    with ExitStack() as stack:

        def opened(server: str, **options: Any) -> Page:
            context = stack.enter_context(_context(chromium, options))
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: pytest.fail(f"In the page: {error}"))
            page.goto(f"{server}/studio/")
            page.locator("#page").wait_for()
            return page

        yield opened


def _context(chromium: Browser, options: dict[str, Any]) -> BrowserContext:
    defaults = {"locale": "en-GB", "viewport": {"width": 1200, "height": 900}}
    return chromium.new_context(**{**defaults, **options})
