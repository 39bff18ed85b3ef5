"""Who shares a step, who waits, and who need not begin."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.diffusion.batching import IntelligentBatcher, Pace, load_of, refusal
from writing_service.errors import DeadlinePassed, QueueFull
from writing_service.types import Size

LARGE, MIDDLE, RARE = Size(1024, 1024), Size(512, 512), Size(768, 512)


@dataclass(frozen=True)
class Waiting:
    arrival: int
    size: Size = MIDDLE
    rows: int = 2
    steps_left: int = 10
    text_chunks: int = 1

    @property
    def rows_left(self) -> int:
        return self.rows * self.steps_left


claims = st.builds(
    Waiting,
    arrival=st.integers(0, 1000),
    size=st.sampled_from([LARGE, MIDDLE, RARE, Size(2048, 2048), Size(104, 104)]),
    rows=st.sampled_from([1, 2]),
    steps_left=st.integers(1, 5),
    text_chunks=st.sampled_from([1, 1, 1, 2]),
)
queues = st.lists(claims, min_size=1, max_size=40, unique_by=lambda one: one.arrival)


def pixels(batch: list[Waiting]) -> int:
    return sum(one.rows * one.size.width * one.size.height for one in batch)


@given(queue=queues, limit=st.integers(1, 8))
def test_the_oldest_leads_and_its_size_follows_as_far_as_the_device_reaches(
    queue: list[Waiting], limit: int
) -> None:
    batch = IntelligentBatcher(limit).choose(queue)

    oldest = min(queue, key=lambda one: one.arrival)
    shape = (oldest.size, oldest.text_chunks)
    alike = sorted(
        (one for one in queue if (one.size, one.text_chunks) == shape), key=lambda one: one.arrival
    )
    most = limit * 2 * 1024 * 1024
    assert batch[0] is oldest
    assert batch == alike[: len(batch)]
    assert len(batch) == 1 or pixels(batch) <= most
    assert len(batch) == len(alike) or pixels(alike[: len(batch) + 1]) > most


@given(queue=queues, limit=st.integers(1, 8))
def test_each_gets_its_steps_and_nobody_waits_for_those_who_came_later(
    queue: list[Waiting], limit: int
) -> None:
    batcher = IntelligentBatcher(limit)
    left = {one.arrival: one for one in queue}
    turns = 0
    while left:
        turns += 1
        for one in batcher.choose(left.values()):
            left[one.arrival] = replace(one, steps_left=one.steps_left - 1)
            if left[one.arrival].steps_left == 0:
                del left[one.arrival]

    assert turns <= sum(one.steps_left for one in queue)


def test_a_rare_size_has_its_turn_while_common_ones_keep_coming() -> None:
    batcher, waiting = IntelligentBatcher(1), {0: Waiting(0), 1: Waiting(1, RARE)}
    turns = 0
    for arrival in range(2, 200):
        waiting[arrival] = Waiting(arrival)
        for one in batcher.choose(waiting.values()):
            waiting[one.arrival] = replace(one, steps_left=one.steps_left - 1)
            if one.steps_left == 1:
                del waiting[one.arrival]
        turns += 1
        if 1 not in waiting:
            break

    assert turns == 20


@pytest.mark.parametrize(
    ("size", "rows", "pictures"),
    [
        (LARGE, 2, 1),
        (MIDDLE, 2, 4),
        (MIDDLE, 1, 8),
        (Size(256, 256), 2, 16),
        (Size(2048, 512), 2, 1),
    ],
)
def test_smaller_pictures_come_in_larger_batches(size: Size, rows: int, pictures: int) -> None:
    queue = [Waiting(arrival, size, rows) for arrival in range(40)]

    assert len(IntelligentBatcher(1).choose(queue)) == pictures


def test_one_at_a_time_is_first_come_first_served() -> None:
    queue = [Waiting(3), Waiting(1, LARGE), Waiting(2, LARGE)]

    assert IntelligentBatcher(8, one_at_a_time=True).choose(queue) == [queue[1]]
    assert IntelligentBatcher(8, one_at_a_time=True).choose([]) == []


def test_after_a_shortage_batches_are_half_until_all_is_done() -> None:
    queue = [Waiting(arrival) for arrival in range(8)]
    batcher = IntelligentBatcher(2)
    whole = batcher.choose(queue)
    batcher.shrink(whole)
    half = batcher.choose(queue)
    batcher.shrink(half[:1])
    least = batcher.choose(queue)
    batcher.recover()

    assert [len(one) for one in (whole, half, least, batcher.choose(queue))] == [8, 4, 1, 8]


def pace_of(*seconds: float, at: float = 0.0) -> Pace:
    """Steps of one guided 512² picture."""
    pace = Pace()
    for one in seconds:
        pace.record(load_of([Waiting(0)]), one, at)
    return pace


def test_what_is_unknown_is_not_refused() -> None:
    assert refusal(Pace(), [Waiting(1)], [Waiting(0)], deadline=0.1, now=0.0) is None


def test_too_much_for_any_queue_is_504() -> None:
    error = refusal(pace_of(1.0, 3.0), [Waiting(1)], [], deadline=9.0, now=0.0)

    assert isinstance(error, DeadlinePassed)
    assert "about 10 s, more than the 9 s" in str(error)
    assert refusal(pace_of(1.0, 3.0), [Waiting(1)], [], deadline=11.0, now=0.0) is None


def test_too_much_behind_others_is_503_and_says_when_to_come_again() -> None:
    ahead = [Waiting(0), Waiting(1)]
    error = refusal(pace_of(1.0, 1.0), [Waiting(2)], ahead, deadline=25.0, now=0.0)

    assert isinstance(error, QueueFull)
    assert error.retry_after == pytest.approx(5.0)
    assert refusal(pace_of(1.0), [Waiting(2)], ahead, deadline=31.0, now=0.0) is None


def test_a_pace_of_long_ago_refuses_nobody() -> None:
    slow = pace_of(100.0, at=0.0)

    assert refusal(slow, [Waiting(0)], [], deadline=60.0, now=50.0) is not None
    assert refusal(slow, [Waiting(0)], [], deadline=160.0, now=100.0) is None
