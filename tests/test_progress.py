"""Telling: what comes in any order from the pipeline goes out as one progress."""

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from writing_service.diffusion.doors import Progress, Stage
from writing_service.progress import Telling


def test_a_preview_that_took_its_time_does_not_turn_the_clock_back():
    told = list[Progress]()
    telling = Telling(told.append)
    on_progress = telling.attempts()
    late = Image.new("RGB", (8, 8))
    on_progress(Progress(Stage.DECODE, 4, 4))
    on_progress(Progress(Stage.DENOISE, 2, 4, preview=late))
    assert (told[-1].stage, told[-1].step, told[-1].preview) == (Stage.DECODE, 4, late)
    telling.begins(Stage.ENCODE)
    assert told[-1] == Progress(Stage.ENCODE, 4, 4)


def test_an_attempt_that_was_given_up_leaves_no_steps_open():
    told = list[Progress]()
    telling = Telling(told.append)
    telling.attempts()(Progress(Stage.DECODE, 4, 4))
    telling.attempts()(Progress(Stage.DENOISE, 1, 4))
    assert (told[-1].step, told[-1].steps) == (5, 8)
    telling.begins(Stage.ENCODE)
    assert (told[-1].step, told[-1].steps, told[-1].attempt) == (8, 8, 2)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1), min_size=1, max_size=4))
def test_steps_never_go_back_and_never_exceed_what_is_promised(attempts: list[list[int]]):
    told = list[Progress]()
    telling = Telling(told.append)
    telling.begins(Stage.RENDER, 9)
    for steps in attempts:
        on_progress = telling.attempts()
        for step in [*steps, 9]:
            on_progress(Progress(Stage.DECODE if step == 9 else Stage.DENOISE, step, 9))
    assert [one.step for one in told] == sorted(one.step for one in told)
    assert [one.attempt for one in told] == sorted(one.attempt for one in told)
    assert all(one.step <= one.steps for one in told)
    assert told[-1].step == told[-1].steps == 9 * len(attempts)


def test_nobody_has_to_listen():
    telling = Telling(None)
    assert telling.attempts()(Progress(Stage.DENOISE, 1, 2)) is None  # it would raise
    assert telling.begins(Stage.ENCODE) is None
