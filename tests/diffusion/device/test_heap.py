"""Heap: memory that is free goes back to the system, and not too often."""

import psutil
import torch

from writing_service.diffusion.device.heap import EVERY_SECONDS, Heap


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_it_is_trimmed_at_once_then_now_and_then():
    clock, trimmed = Clock(), list[int]()

    def trim(pad: int) -> int:
        trimmed.append(pad)
        return 1

    heap = Heap(trim, clock)
    heap.trim()
    heap.trim()
    assert trimmed == [0]
    clock.seconds += EVERY_SECONDS - 0.1
    heap.trim()
    assert trimmed == [0]
    clock.seconds += 0.2
    heap.trim()
    assert trimmed == [0, 0]


def test_what_lies_free_between_what_is_used_goes_back():
    """The real library. Small tensors lie in the heap; every second one of them is kept."""
    process = psutil.Process()
    tensors = [torch.ones(16_000) for _ in range(4000)]
    full = process.memory_info().rss
    kept, tensors = tensors[::2], []
    Heap().trim()
    assert process.memory_info().rss < full - 60 * 2**20
    assert len(kept) == 2000
