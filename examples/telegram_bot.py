"""A Telegram bot that draws words, but for Telegram itself: `Chat` is what it needs of one. See docs/bot.md."""

import asyncio
from typing import Protocol

from writing_service.client import APIClient, APIError, JobStatus

STAGES = {
    "render": "writing the word",
    "conditioning": "tracing its strokes",
    "prompt": "thinking of its meaning",
    "queue": "waiting for the brush",
    "denoise": "painting",
    "decode": "painting",
    "encode": "framing",
}
SQUARES = 10


class Chat(Protocol):
    """One person's chat, as any Telegram library has it."""

    async def send(self, text: str) -> int:
        """A new message; gives its id."""
        ...

    async def edit(self, message: int, text: str) -> None:
        """Another text in place of that message's."""
        ...

    async def photo(self, picture: bytes, caption: str) -> None:
        """A picture."""
        ...


async def draw(client: APIClient, chat: Chat, text: str, update: str) -> None:
    """Answers "学习 study" with its picture; one message tells how far it is meanwhile.

    `update` is Telegram's id of what it sent: it sends it again when it was not sure, and one picture is enough.
    """
    word, _, meaning = text.strip().partition(" ")
    try:
        status = await client.start_job(word, meaning.strip(), idempotency_key=f"telegram {update}")
        message = await chat.send(shown := told(status))
        while not status.finished:
            # The service says when to ask, so that edits stay below Telegram's limits.
            await asyncio.sleep(status.poll_after_ms / 1000)
            status = await client.job(status.id)
            # Telegram refuses an edit that changes nothing.
            if (now := told(status)) != shown:
                await chat.edit(message, shown := now)
    except APIError as error:
        await chat.send(str(error))
        return
    if status.result is not None:
        await chat.photo(status.result.picture, caption=text.strip())


def told(status: JobStatus) -> str:
    """One line for people."""
    if status.error is not None:
        return str(status.error["error"])
    if status.finished:
        return "Done." if status.result else "Cancelled."
    left = "" if status.seconds_left is None else f", about {status.seconds_left:.0f} s"
    if status.state == "queued":
        return f"{status.queue_position} before you{left}"
    done = round(SQUARES * status.step / status.steps) if status.steps else 0
    again = f" again ({status.attempt})" if status.attempt > 1 else ""
    stage = STAGES.get(status.stage or "", "beginning")
    return f"{'▓' * done}{'░' * (SQUARES - done)} {stage}{again}{left}"
