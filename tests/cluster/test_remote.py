"""A generator whose models are elsewhere, without Ray: messages are pickled, replicas die at will."""

import asyncio
import pickle
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from tests.fakes import fake_generator
from writing_service.app import assemble_generator
from writing_service.cluster.remote import PATIENCE, RemoteGenerator, ReplicaLost
from writing_service.cluster.reports import Report, Standing, report_of
from writing_service.cluster.stream import Began, Commission, Message, StageRecorder, drawing
from writing_service.cluster.view import ClusterView
from writing_service.config import load_settings
from writing_service.diffusion.doors import Progress, Stage, Workload
from writing_service.diffusion.fake import FakeGPU, FakeLoader, FakePipeline
from writing_service.errors import (
    GenerationFailed,
    InvalidRequest,
    ModelsUnavailable,
    ReplicasDied,
    ShuttingDown,
    UnknownPictogram,
    WritingServiceError,
)
from writing_service.generation import PictureGenerator
from writing_service.generator import AIImageGenerator
from writing_service.observability.observer import NOBODY, Observer
from writing_service.observability.request_id import REQUEST_ID
from writing_service.prompt.styles import StyleDefinitions
from writing_service.types import WritingRequest

REQUEST = WritingRequest("学", seed=7, width=128, height=128, num_inference_steps=4)


class Replicas:
    """Draw with one generator. `deaths` says of each call after how many messages its replica dies; None: never."""

    def __init__(self, generator: PictureGenerator, *deaths: int | None) -> None:
        self.generator = generator
        self.deaths = list(deaths)
        self.asked = list[Commission]()
        self.given_up = 0

    async def __call__(self, commission: Commission) -> AsyncGenerator[Message]:
        self.asked.append(pickle.loads(pickle.dumps(commission)))
        dies_after = self.deaths.pop(0) if self.deaths else None
        told = 0
        async with aclosing(drawing(self.generator, self.asked[-1])) as messages:
            try:
                while told != dies_after:
                    yield pickle.loads(pickle.dumps(await anext(messages)))
                    told += 1
            except StopAsyncIteration:
                return
            except (asyncio.CancelledError, GeneratorExit):
                self.given_up += 1
                raise
        raise ReplicaLost("dead")


@pytest.fixture
def here() -> AIImageGenerator:
    return fake_generator()[0]


def remote_generator(
    call: Callable[[Commission], AsyncGenerator[Message]],
    here: PictureGenerator,
    view: ClusterView | None = None,
    observer: Observer | None = None,
) -> RemoteGenerator:
    styles = StyleDefinitions({})
    return RemoteGenerator(
        call, view or ClusterView(), here, styles, observer or NOBODY, again_seconds=0.0
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (a fake has no event for it)
            await asyncio.sleep(0.01)


async def test_the_picture_is_that_of_a_generator_here(here: AIImageGenerator):
    found = await remote_generator(Replicas(here), here).generate(REQUEST)
    wanted = await here.generate(REQUEST)
    assert [one.image.tobytes() for one in found.images] == [
        one.image.tobytes() for one in wanted.images
    ]
    assert list(found.control_images) == list(wanted.control_images)
    for kind, image in wanted.control_images.items():
        assert found.control_images[kind].image.tobytes() == image.image.tobytes()
    times = {"generation_time_ms", "stage_times_ms"}
    assert {**found.metadata, **dict.fromkeys(times)} == {
        **wanted.metadata,
        **dict.fromkeys(times),
    }


async def test_it_takes_a_word_and_its_parameters_like_any_generator(here: AIImageGenerator):
    replicas = Replicas(here)
    told = list[Progress]()
    found = await remote_generator(replicas, here).generate_character_image(
        "猫", "cat", seed=3, on_progress=told.append, width=128, height=128, num_inference_steps=4
    )
    assert found.request.word == "猫"
    assert found.metadata["seed_used"] == 3
    assert [one.stage for one in told if one.stage is Stage.DENOISE]
    assert any(one.word for one in told)


@pytest.mark.parametrize("messages", [1, 3, 8, 12])
async def test_a_replica_that_dies_loses_nothing(here: AIImageGenerator, messages: int):
    replicas = Replicas(here, messages)
    found = await remote_generator(replicas, here).generate(WritingRequest("学", width=128))
    assert found.images
    first, second = replicas.asked
    assert first.request == second.request
    assert first.request.seed is not None


async def test_a_request_that_two_replicas_died_of_is_not_given_to_a_third(
    here: AIImageGenerator,
):
    replicas = Replicas(here, 5, 5)
    with pytest.raises(ReplicasDied) as raised:
        await remote_generator(replicas, here).generate(REQUEST)
    assert isinstance(raised.value, GenerationFailed)
    assert len(replicas.asked) == 2


async def test_a_replica_that_was_dead_before_it_began_is_not_the_requests_fault(
    here: AIImageGenerator,
):
    replicas = Replicas(here, 0, 0, 0, 4, 0)
    assert (await remote_generator(replicas, here).generate(REQUEST)).images
    assert len(replicas.asked) == 6
    never = Replicas(here, *[0] * PATIENCE)
    with pytest.raises(ModelsUnavailable):
        await remote_generator(never, here).generate(REQUEST)


async def test_a_replica_that_shuts_down_is_left_for_another(here: AIImageGenerator):
    closing, _ = fake_generator(FakePipeline(error=ShuttingDown()))
    generators = [closing, closing, closing, here]

    async def call(commission: Commission) -> AsyncGenerator[Message]:
        async with aclosing(drawing(generators.pop(0), commission)) as messages:
            async for message in messages:
                yield message

    assert (await remote_generator(call, here).generate(REQUEST)).images
    assert not generators


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (WritingRequest("学", seed=1, pictogram="nosuch"), UnknownPictogram),
        (WritingRequest("学", seed=1, preset="no"), InvalidRequest),
    ],
)
async def test_errors_mean_what_they_mean_here(
    here: AIImageGenerator, request_: WritingRequest, error: type[WritingServiceError]
):
    replicas = Replicas(here)
    with pytest.raises(error) as raised:
        await remote_generator(replicas, here).generate(request_)
    assert raised.value.fields  # type: ignore[attr-defined]
    assert len(replicas.asked) == 1


async def test_whoever_leaves_takes_the_work_along():
    generator, pipeline = fake_generator(FakePipeline(seconds=30))
    replicas = Replicas(generator)
    far = remote_generator(replicas, generator)
    drawing_ = asyncio.create_task(far.generate(REQUEST))
    await until(lambda: pipeline.workload().running == 1)
    assert far.workload().running + far.workload().waiting == 1
    drawing_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing_
    assert replicas.given_up == 1
    await until(lambda: not pipeline.workload().running)
    assert far.workload() == Workload()


async def test_progress_never_goes_back(here: AIImageGenerator):
    told = list[int]()
    far = remote_generator(Replicas(here, 12), here)
    await far.generate(REQUEST, lambda progress: told.append(progress.step))
    assert told == sorted(told)


async def test_deadlines_travel_as_seconds_and_requests_keep_their_id(here: AIImageGenerator):
    replicas = Replicas(here)
    REQUEST_ID.set("bot-42")
    far = remote_generator(replicas, here)
    await far.generate(REQUEST, deadline=time.monotonic() + 50, preview_every=2)
    (asked,) = replicas.asked
    assert asked.seconds_left is not None
    assert 45 < asked.seconds_left <= 50
    assert (asked.preview_every, asked.request_id) == (2, "bot-42")


class Listener(StageRecorder):
    def __init__(self) -> None:
        self.stages = list[str]()

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        self.stages.append(name)


async def test_stages_of_the_replica_are_told_here():
    settings = load_settings(["ai_generation.legibility.min_score=0"]).ai_generation
    far_away = assemble_generator(settings, FakeLoader(), FakeGPU(), (), StageRecorder())
    listener = Listener()
    await remote_generator(Replicas(far_away), far_away, observer=listener).generate(REQUEST)
    assert {"render", "conditioning", "prompt", "denoise"} <= set(listener.stages)


async def test_it_speaks_for_the_replicas_and_for_itself_while_there_are_none(
    here: AIImageGenerator,
):
    view = ClusterView()
    far = remote_generator(Replicas(here), here, view)
    assert far.check()
    assert far.describe()["styles"] == here.describe()["styles"]
    assert far.describe()["replicas"] == 0
    assert far.get_status()["models_loaded"] is False
    assert far.memory_leak()["leak_detected"] is False
    assert far.default_side == here.default_side

    other, _ = fake_generator()
    await other.generate(REQUEST)
    told = report_of("a", "node", other, FakeGPU(), lambda: "models")
    view.standing = Standing(
        (Report(**{**vars(told), "workload": Workload(1, 1, 8.0)}),), ingresses=1
    )
    assert far.check() == []
    assert far.get_status()["models_loaded"] is True
    assert far.workload() == Workload(0, 0, 8.0)
    assert far.missing_methods() == other.missing_methods()
    far.close()


async def test_what_nobody_foresaw_is_raised(here: AIImageGenerator):
    broken, _ = fake_generator(FakePipeline(error=ZeroDivisionError("why")))
    told = list[Message]()

    async def listen() -> None:
        async with aclosing(drawing(broken, Commission(REQUEST))) as messages:
            async for message in messages:
                told.append(message)

    with pytest.raises(ZeroDivisionError):
        await listen()
    assert isinstance(told[0], Began)


def test_the_remote_generator_has_all_doors(here: AIImageGenerator):
    doors: list[Any] = [name for name in vars(PictureGenerator) if not name.startswith("_")]
    assert all(hasattr(RemoteGenerator, name) for name in doors)
    assert all(hasattr(here, name) for name in doors)
