"""Work is done once for all who want it, and not for nobody."""

import asyncio
import time

import pytest

from writing_service.api.coalescing import Coalescer
from writing_service.diffusion.doors import OnProgress, Progress, Stage
from writing_service.errors import DeadlinePassed, GenerationFailed


class Kitchen:
    """Work that counts how often it was begun, and waits to be let go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.cancelled = 0
        self.deadlines = list[float | None]()
        self.tell: OnProgress = lambda _: None
        self.done = asyncio.Event()
        self._error = error

    async def work(self, deadline: float | None, tell: OnProgress) -> str:
        self.begun += 1
        self.deadlines.append(deadline)
        self.tell = tell
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self._error is not None:
            raise self._error
        return f"dish {self.begun}"


async def soon() -> None:
    """Everything that can happen now, happens."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_many_get_what_was_done_once_and_know_who_came_first():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    asked = [asyncio.create_task(coalescer.do("a", kitchen.work)) for _ in range(50)]
    await soon()
    kitchen.done.set()
    assert await asyncio.gather(*asked) == [("dish 1", False), *[("dish 1", True)] * 49]
    assert await coalescer.do("a", kitchen.work) == ("dish 2", False)


async def test_other_keys_are_other_work():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    kitchen.done.set()
    await asyncio.gather(*(coalescer.do(key, kitchen.work) for key in "abc"))
    assert kitchen.begun == 3


async def test_whoever_leaves_leaves_alone_even_the_first():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    first, second, third = (asyncio.create_task(coalescer.do("a", kitchen.work)) for _ in range(3))
    await soon()
    first.cancel()
    third.cancel()
    await soon()
    assert (first.cancelled(), third.cancelled(), kitchen.cancelled) == (True, True, 0)
    kitchen.done.set()
    assert await second == ("dish 1", True)


async def test_when_all_have_left_the_work_is_cancelled_and_who_comes_then_begins_anew():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    asked = [asyncio.create_task(coalescer.do("a", kitchen.work)) for _ in range(2)]
    await soon()
    for one in asked:
        one.cancel()
    # No step in between: whoever comes now must not join what is being given up.
    late = asyncio.create_task(coalescer.do("a", kitchen.work))
    await soon()
    assert kitchen.cancelled == 1
    kitchen.done.set()
    assert await late == ("dish 2", False)


async def test_who_comes_while_the_last_one_leaves_gets_a_result():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    first = asyncio.create_task(coalescer.do("a", kitchen.work))
    await soon()
    late = asyncio.create_task(coalescer.do("a", kitchen.work))
    first.cancel()
    await soon()
    kitchen.done.set()
    assert (await late)[0] in ("dish 1", "dish 2")


async def test_a_failure_reaches_all_and_the_next_one_tries_again():
    coalescer, kitchen = Coalescer[str](), Kitchen(GenerationFailed("burnt"))
    asked = [asyncio.create_task(coalescer.do("a", kitchen.work)) for _ in range(3)]
    await soon()
    kitchen.done.set()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(one) for one in told] == ["burnt"] * 3
    with pytest.raises(GenerationFailed):
        await coalescer.do("a", kitchen.work)
    assert kitchen.begun == 2


async def test_who_has_more_time_than_the_first_does_not_share_its_refusal():
    now = time.monotonic()

    async def work(deadline: float | None, _: OnProgress) -> str:
        await asyncio.sleep(0)
        if deadline is not None and deadline < now + 5:
            raise DeadlinePassed("too late")
        return "done"

    coalescer = Coalescer[str]()
    near, far, never = await asyncio.gather(
        *(coalescer.do("a", work, deadline) for deadline in (now + 1, now + 9, None)),
        return_exceptions=True,
    )
    assert isinstance(near, DeadlinePassed)
    assert far[0] == never[0] == "done"


async def test_progress_reaches_all_who_wait_and_the_last_word_who_comes_late():
    coalescer, kitchen = Coalescer[str](), Kitchen()
    heard = [list[int](), list[int]()]

    def listener(index: int) -> OnProgress:
        return lambda progress: heard[index].append(progress.step)

    first = asyncio.create_task(coalescer.do("a", kitchen.work, on_progress=listener(0)))
    await soon()
    kitchen.tell(Progress(Stage.DENOISE, 1, 3))
    second = asyncio.create_task(coalescer.do("a", kitchen.work, on_progress=listener(1)))
    await soon()
    kitchen.tell(Progress(Stage.DENOISE, 2, 3))
    first.cancel()
    await soon()
    kitchen.tell(Progress(Stage.DECODE, 3, 3))
    kitchen.done.set()
    await second
    assert heard == [[1, 2], [1, 2, 3]]
