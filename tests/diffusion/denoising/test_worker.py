"""A thread that dies is replaced, and whoever waited for it is told."""

import asyncio
import ctypes
import logging
import threading
import time

import pytest

from tests.diffusion.conftest import Models, make_job
from tests.diffusion.faults import failing
from writing_service.diffusion.denoising.worker import Worker
from writing_service.diffusion.doors import OnProgress, Progress
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import ServiceUnavailable


def kill(thread: threading.Thread) -> None:
    """The interpreter raises SystemExit in it, wherever it is."""
    assert thread.ident is not None
    hit = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    assert hit == 1


def drawing_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "drawing"]


def wait_for(event: threading.Event) -> None:
    assert event.wait(10)


def test_it_works_once_for_each_wake_and_ends_when_closed():
    done, before = threading.Semaphore(0), threading.active_count()
    worker = Worker("testing", lambda: done.release(), lambda _: None)
    assert worker.alive
    for _ in range(3):
        worker.wake()
        assert done.acquire(timeout=10)
    worker.close()
    assert threading.active_count() == before


def test_a_killed_thread_is_replaced_and_tells_first(caplog: pytest.LogCaptureFixture):
    threads, told, again = list[threading.Thread](), list[BaseException](), threading.Event()

    def work() -> None:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            raise SystemExit
        again.set()

    worker = Worker("testing", work, told.append)
    worker.wake()
    wait_for(again)
    assert isinstance(told[0], SystemExit)
    assert threads[0] is not threads[1]
    assert worker.alive
    assert "thread died" in caplog.text
    worker.close()


async def test_jobs_of_a_killed_engine_are_told_and_the_next_is_drawn(
    own_pipeline: MultiControlNetPipeline, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL)
    before, begun = {*drawing_threads()}, [asyncio.Event(), asyncio.Event()]

    def teller(index: int) -> OnProgress:
        def on_progress(progress: Progress) -> None:
            if progress.step:
                begun[index].set()

        return on_progress

    long = make_job(num_inference_steps=900)
    drawn = [asyncio.create_task(own_pipeline.draw(long, teller(index))) for index in (0, 1)]
    for one in begun:
        await one.wait()
    (thread,) = {*drawing_threads()} - before
    kill(thread)
    told = await asyncio.gather(*drawn, return_exceptions=True)
    assert all(isinstance(one, ServiceUnavailable) for one in told)
    assert all("send the request again" in str(one) for one in told)
    assert (await own_pipeline.draw(make_job())).images
    assert own_pipeline.check() == []
    assert not thread.is_alive()
    assert caplog.text.count("thread died") == 1


async def test_an_engine_killed_while_it_is_idle_draws_the_next_job(
    own_pipeline: MultiControlNetPipeline,
):
    before = {*drawing_threads()}
    await own_pipeline.draw(make_job())
    (thread,) = {*drawing_threads()} - before
    kill(thread)
    assert (await own_pipeline.draw(make_job())).images
    assert own_pipeline.check() == []


async def test_what_nobody_catches_costs_its_own_jobs_alone(models: Models):
    ended = SystemExit("a library ends the thread")
    with failing(models.base.unet, ended, at=range(1)), pytest.raises(ServiceUnavailable):
        await models.pipeline.draw(make_job())
    assert (await models.pipeline.draw(make_job())).images


async def test_the_workload_is_what_is_at_hand(own_pipeline: MultiControlNetPipeline):
    assert own_pipeline.workload().seconds_left is None
    await own_pipeline.draw(make_job())
    drawn = [
        asyncio.create_task(own_pipeline.draw(make_job(num_inference_steps=900))) for _ in "abc"
    ]
    started = time.monotonic()
    while own_pipeline.workload().running != 3:
        assert time.monotonic() - started < 10
        await asyncio.sleep(0.01)
    load = own_pipeline.workload()
    assert load.waiting == 0
    assert load.seconds_left is not None
    assert load.seconds_left > 0.5
    for one in drawn:
        one.cancel()
    await asyncio.gather(*drawn, return_exceptions=True)
    assert own_pipeline.workload().seconds_left == 0
