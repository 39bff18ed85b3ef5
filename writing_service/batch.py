"""BatchProcessor: many requests at once, so that the engine has pictures to put into each step.

For lists that are there from the start. It only decides who is drawn when; how, is the generator's.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice

from writing_service.errors import WritingServiceError
from writing_service.types import AIGenerationResult, WritingRequest

Draw = Callable[[WritingRequest], Awaitable[AIGenerationResult]]
"""One request's pictures, such as `AIImageGenerator.generate`."""

Outcome = AIGenerationResult | WritingServiceError

IN_FLIGHT = 8
"""Requests at once: enough to fill a step, few enough to hold their images in memory."""


class BatchProcessor:
    """Draws lists of requests, some at a time, alike ones together."""

    def __init__(self, draw: Draw, in_flight: int = IN_FLIGHT) -> None:
        """`in_flight` is how many requests are under way at most, 1 or more."""
        assert in_flight >= 1
        self._draw = draw
        self._in_flight = in_flight

    async def process(
        self, requests: Sequence[WritingRequest]
    ) -> AsyncGenerator[tuple[int, Outcome]]:
        """Each request's index and its result, or why it has none, as they finish.

        A request that fails leaves the others alone. Whoever stops before the end closes the
        generator (`contextlib.aclosing`), which cancels those under way; so does cancelling.
        """
        waiting = self._begun(requests)
        drawing = set(islice(waiting, self._in_flight))
        try:
            while drawing:
                done, drawing = await asyncio.wait(drawing, return_when=asyncio.FIRST_COMPLETED)
                # The next ones begin before anybody looks at these: the engine must not run dry.
                drawing |= set(islice(waiting, len(done)))
                for one in done:
                    yield one.result()
        finally:
            for one in drawing:
                one.cancel()
            await asyncio.gather(*drawing, return_exceptions=True)

    async def process_batch(self, requests: Sequence[WritingRequest]) -> list[Outcome]:
        """All of them, in the given order."""
        async with aclosing(self.process(requests)) as finished:
            outcomes = {index: outcome async for index, outcome in finished}
        return [outcomes[index] for index in range(len(requests))]

    def _begun(
        self, requests: Sequence[WritingRequest]
    ) -> Iterator[asyncio.Task[tuple[int, Outcome]]]:
        """Each is begun when it is asked for."""
        for index in _alike_together(requests):
            yield asyncio.create_task(self._outcome(index, requests[index]))

    async def _outcome(self, index: int, request: WritingRequest) -> tuple[int, Outcome]:
        try:
            return index, await self._draw(request)
        except WritingServiceError as error:
            return index, error


def _alike_together(requests: Sequence[WritingRequest]) -> Iterable[int]:
    """Indices by what shares a step: one size first, then as many rows of it and as many steps."""
    return sorted(range(len(requests)), key=lambda index: _share(requests[index]))


def _share(request: WritingRequest) -> tuple[float, float, float, float, str]:
    """What is left open comes first, and there the style decides, so that it is a part of this."""
    numbers = (
        request.width,
        request.height,
        request.guidance_scale,
        request.num_inference_steps,
    )
    width, height, guidance, steps = (-1.0 if one is None else float(one) for one in numbers)
    return width, height, guidance, steps, request.style
