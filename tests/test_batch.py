"""Every request comes back once, whatever the others do."""

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import fake_generator
from writing_service.batch import BatchProcessor
from writing_service.diffusion.fake import FakePipeline
from writing_service.errors import GenerationFailed, UnknownPictogram
from writing_service.types import AIGenerationResult, WritingRequest

FAILS = "fails"


class Drawing:
    """Ends each request after one turn of the event loop and as many as its seed; a result is its request."""

    def __init__(self) -> None:
        self.begun: list[WritingRequest] = []
        self.cancelled = 0
        self.most = self._now = 0

    async def __call__(self, request: WritingRequest) -> AIGenerationResult:
        self.begun.append(request)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            for _ in range(1 + (request.seed or 0)):
                await asyncio.sleep(0)
            if request.style == FAILS:
                raise GenerationFailed(request.word)
            return cast(AIGenerationResult, request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._now -= 1


requests = st.builds(
    WritingRequest,
    word=st.sampled_from(["学", "猫"]),
    seed=st.integers(0, 9),
    style=st.sampled_from(["comic", "ink", FAILS]),
    width=st.sampled_from([None, 256, 512]),
    num_inference_steps=st.sampled_from([None, 4]),
    guidance_scale=st.sampled_from([None, 0.0, 7.5]),
)


@given(listed=st.lists(requests, max_size=30), in_flight=st.integers(1, 9))
def test_every_request_comes_back_once_and_few_are_under_way(
    listed: list[WritingRequest], in_flight: int
):
    drawing = Drawing()

    async def all_finished() -> list[tuple[int, Any]]:
        return [one async for one in BatchProcessor(drawing, in_flight).process(listed)]

    finished = asyncio.run(all_finished())
    assert sorted(index for index, _ in finished) == list(range(len(listed)))
    assert drawing.most == min(in_flight, len(listed))
    for index, outcome in finished:
        if listed[index].style == FAILS:
            assert isinstance(outcome, GenerationFailed)
        else:
            assert outcome is listed[index]


async def test_one_size_is_drawn_after_another_and_of_it_what_takes_equal_steps():
    drawing = Drawing()
    mixed = [
        WritingRequest("学", width=w, num_inference_steps=n) for n in (4, 8) for w in (512, 256)
    ]
    await BatchProcessor(drawing, in_flight=1).process_batch(mixed)
    begun = [(one.width, one.num_inference_steps) for one in drawing.begun]
    assert begun == [(256, 4), (256, 8), (512, 4), (512, 8)]


async def test_the_quick_come_before_the_slow_and_a_whole_batch_in_its_order():
    listed = [WritingRequest("学", seed=9), WritingRequest("猫", seed=0)]
    processor = BatchProcessor(Drawing())
    assert [index async for index, _ in processor.process(listed)] == [1, 0]
    assert await processor.process_batch(listed) == listed


async def test_the_next_ones_are_under_way_before_a_result_is_looked_at():
    drawing = Drawing()
    listed = [WritingRequest("学", seed=1)] * 6
    async with aclosing(BatchProcessor(drawing, in_flight=2).process(listed)) as finished:
        await anext(finished)
        await asyncio.sleep(0)
        assert len(drawing.begun) > 2


async def test_whoever_stops_early_cancels_those_under_way():
    drawing = Drawing()
    listed = [WritingRequest("学", seed=0), *[WritingRequest("猫", seed=10_000)] * 5]
    async with aclosing(BatchProcessor(drawing, in_flight=3).process(listed)) as finished:
        assert (await anext(finished))[0] == 0
        await asyncio.sleep(0)
    assert drawing.cancelled == 3
    assert len(drawing.begun) == 4


async def test_cancelling_cancels_those_under_way():
    drawing = Drawing()
    whole = asyncio.create_task(
        BatchProcessor(drawing, 2).process_batch([WritingRequest("学", seed=10_000)] * 5)
    )
    await asyncio.sleep(0.01)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert drawing.cancelled == len(drawing.begun) == 2


async def test_an_error_that_nobody_meant_ends_the_batch():
    async def broken(_: WritingRequest) -> AIGenerationResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await BatchProcessor(broken, in_flight=1).process_batch([WritingRequest("学")])


async def test_with_the_generator_each_word_has_its_own_picture():
    generator, pipeline = fake_generator(FakePipeline())
    size = {"width": 128, "height": 128}
    listed = [
        WritingRequest("学", seed=1, **size),
        WritingRequest("猫", pictogram="no such thing", **size),
        WritingRequest("日", seed=2, **size),
    ]
    first, second, third = await BatchProcessor(generator.generate).process_batch(listed)
    assert isinstance(second, UnknownPictogram)
    assert [one.request.word for one in (first, third) if isinstance(one, AIGenerationResult)] == [
        "学",
        "日",
    ]
    assert len(pipeline.jobs) == 2
