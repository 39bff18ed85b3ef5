"""The example bot, against a real server, with a chat that is no more than a list."""

import importlib.util
import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.client import APIClient
from writing_service.diffusion.fake import FakeLoader, FakePipeline

PATH = Path(__file__).parents[2] / "examples" / "telegram_bot.py"
_spec = importlib.util.spec_from_file_location("telegram_bot", PATH)
assert _spec
assert _spec.loader
bot = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bot)


class Chat:
    """What was shown, and when."""

    def __init__(self) -> None:
        self.texts = list[str]()
        self.times = list[float]()
        self.photos = list[tuple[bytes, str]]()

    async def send(self, text: str) -> int:
        await self.edit(0, text)
        return 7

    async def edit(self, message: int, text: str) -> None:
        assert message in (0, 7)
        self.texts.append(text)
        self.times.append(time.monotonic())

    async def photo(self, picture: bytes, caption: str) -> None:
        self.photos.append((picture, caption))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    size = ("ai_generation.generation.width=128", "ai_generation.generation.height=128")
    with serving(fake_app(FakeLoader(FakePipeline(seconds=2.5)), *size)) as client:
        yield str(client.base_url)


async def test_a_word_is_answered_with_its_picture_and_edits_stay_below_the_limits(url: str):
    chat = Chat()
    async with APIClient(url) as client:
        await bot.draw(client, chat, " 学习 to study ", "1")
    ((picture, caption),) = chat.photos
    assert Image.open(io.BytesIO(picture)).size == (128, 128)
    assert caption == "学习 to study"
    assert chat.texts[0] == "0 before you"
    assert any("painting, about" in text and "▓" in text for text in chat.texts)
    assert chat.texts[-1] == "Done."
    pauses = [b - a for a, b in zip(chat.times, chat.times[1:], strict=False)]
    assert min(pauses) >= 1
    assert all(a != b for a, b in zip(chat.texts, chat.texts[1:], strict=False))


async def test_what_cannot_be_drawn_is_told(url: str):
    chat = Chat()
    async with APIClient(url) as client:
        await bot.draw(client, chat, "", "2")
        assert "word" in chat.texts[-1]
        await bot.draw(client, chat, "\U00010f70", "3")
    assert "No font here can draw" in chat.texts[-1]
    assert chat.photos == []


async def test_an_update_that_comes_twice_is_one_job(url: str):
    async with APIClient(url) as client:
        first = await client.start_job("a", "", idempotency_key="telegram 4")
        await client.cancel_job(first.id)
        chat = Chat()
        await bot.draw(client, chat, "a", "4")
    assert chat.texts == ["Cancelled."]
