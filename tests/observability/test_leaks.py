"""MemoryLeakDetector: what is a leak and what only looks like one."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.app import create_generator
from writing_service.config import MemoryLeakSettings, load_settings
from writing_service.observability.leaks import MemoryLeakDetector

CONFIGURED = load_settings().ai_generation.memory_leaks


class Memory:
    """Whatever is in use now, MiB."""

    def __init__(self) -> None:
        self.mb = 1000.0

    def __call__(self) -> float:
        return self.mb


def detector(memory: Memory, **changes: object) -> MemoryLeakDetector:
    return MemoryLeakDetector(memory, CONFIGURED.model_copy(update=changes))


def run(watch: MemoryLeakDetector, memory: Memory, course: list[float]) -> list[bool]:
    """After each generation memory is as the course says; gives whether a leak was seen then."""
    seen = list[bool]()
    for memory.mb in course:
        watch.after_generation()
        seen.append(bool(watch.check_for_leaks()["leak_detected"]))
    return seen


def test_a_planted_leak_is_found_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    watch = detector(memory)

    with caplog.at_level(logging.WARNING):
        seen = run(watch, memory, [1000 + 2.0 * number for number in range(400)])

    told = watch.check_for_leaks()
    # The baseline comes after 20; 100 MiB are reached 50 later, and six looks of ten take 60.
    assert not any(seen[:70])
    assert all(seen[90:])
    assert told["slope_mb_per_generation"] == pytest.approx(2.0)
    assert told["memory_per_generation_mb"] == pytest.approx(2.0, abs=0.02)
    assert told["baseline_memory_mb"] == 1038
    assert told["memory_diff_mb"] == told["current_memory_mb"] - told["baseline_memory_mb"]
    assert len(caplog.records) == 1
    assert "Memory keeps growing" in caplog.text


@pytest.mark.parametrize(
    "course",
    [
        [1000.0] * 400,
        # A first large picture, at any time; caches that fill; load that comes and goes; memory given back.
        *([1000.0] * calm + [1500.0] * (400 - calm) for calm in (50, 83, 110, 141)),
        [1000 + 300 * (1 - 0.97**number) for number in range(400)],
        [1000 + 150 * (number // 60 % 2) for number in range(400)],
        [2000 - 2.0 * number for number in range(400)],
        # Slower than a setting calls a leak.
        [1000 + 0.1 * number for number in range(2000)],
    ],
)
def test_what_rises_and_stays_is_no_leak(course: list[float]) -> None:
    memory = Memory()

    # The curve of caches still climbs while it is young, which is what `settle` is for.
    assert not any(run(detector(memory, settle=60), memory, course))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.8, 20), st.integers(0, 2**32 - 1))
def test_a_leak_is_found_through_noise(slope: float, seed: int) -> None:
    memory = Memory()
    noise = np.random.default_rng(seed).normal(0, 5, 600)

    seen = run(detector(memory), memory, [1000 + slope * n + float(noise[n]) for n in range(600)])

    assert any(seen)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_alone_is_no_leak(seed: int) -> None:
    memory = Memory()
    noise = np.random.default_rng(seed).normal(0, 10, 400)

    assert not any(run(detector(memory), memory, [1000 + float(one) for one in noise]))


def test_generations_that_fail_count_too() -> None:
    watch = detector(Memory(), settle=1000)
    with pytest.raises(ZeroDivisionError), watch.counted():
        _ = 1 / 0
    with watch.counted():
        pass

    assert watch.generation_count == 2
    assert watch.check_for_leaks()["leak_detected"] is False
    assert watch.check_for_leaks()["baseline_memory_mb"] is None


def test_it_can_be_switched_off_and_begun_anew() -> None:
    memory = Memory()
    off = detector(memory, check_every=None)
    run(off, memory, [1000 + 10.0 * number for number in range(100)])
    assert off.generation_count == 0

    watch = detector(memory)
    run(watch, memory, [1000 + 10.0 * number for number in range(200)])
    watch.start_monitoring()
    assert watch.check_for_leaks()["memory_diff_mb"] == 0
    assert watch.check_for_leaks()["slope_mb_per_generation"] is None


def test_settings_must_be_numbers_that_mean_something() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        MemoryLeakSettings(check_every=10, settle=5, threshold_mb=0, slope_mb=1)


@pytest.mark.slow
async def test_two_hundred_real_pictures_leak_nothing() -> None:
    """The shipped checkpoint, with words, styles and seeds that change, as they do in a service."""
    small = [f"ai_generation.generation.{side}=128" for side in ("width", "height")]
    more = ["render_at=requested", "num_inference_steps=2"]
    loaded = load_settings([*small, *(f"ai_generation.generation.{one}" for one in more)])
    generator = create_generator(loaded)
    words = (
        ("学", "study"),
        ("猫", "cat"),
        ("вода", "water"),
        ("한글", "script"),
        ("سلام", "peace"),
    )
    try:
        for number in range(loaded.ai_generation.memory_leaks.settle + 200):
            word, meaning = words[number % len(words)]
            style = ("comic", "ink", "watercolor")[number % 3]
            await generator.generate_character_image(word, meaning, seed=number, style=style)
        found = generator.leaks.check_for_leaks()
    finally:
        generator.close()

    assert found["generation_count"] == 200
    assert not found["leak_detected"], found
    assert found["slope_mb_per_generation"] < loaded.ai_generation.memory_leaks.slope_mb, found
