"""The flow, around the shipped fake pipeline."""

import asyncio

import pytest

from tests.fakes import fake_generator
from writing_service.diffusion.doors import Progress, Stage
from writing_service.diffusion.fake import FakePipeline
from writing_service.errors import (
    GenerationFailed,
    InvalidRequest,
    ModelsUnavailable,
    UndrawableText,
    UnknownMethod,
    UnknownPictogram,
)
from writing_service.types import ConditioningKind, Size, WritingRequest

CANNY, DEPTH = ConditioningKind.CANNY, ConditioningKind.DEPTH


async def test_a_word_becomes_a_picture_with_everything_it_was_made_from():
    generator, pipeline = fake_generator()
    result = await generator.generate_character_image("学习", "study", seed=7, style="ink")
    assert result.images[0].image.size == (512, 512)
    assert (result.images[0].seed, result.metadata["seed_used"]) == (7, 7)
    assert set(result.control_images) == set(ConditioningKind)
    assert result.scene.pictogram is not None
    assert "study" in result.prompt.main_prompt
    told = result.metadata
    assert (told["character"], told["language"], told["script"]) == ("学习", "zh", "Han")
    assert told["style"] == "ink"
    assert set(told["stage_times_ms"]) == {
        "render",
        "conditioning",
        "prompt",
        "queue",
        "denoise",
        "decode",
        "legibility",
    }
    assert told["pictogram_used"]["name"] == "books"
    assert result.warnings == ()
    (job,) = pipeline.jobs
    assert job.prompt == result.prompt.main_prompt
    assert job.conditioning_scales == told["conditioning_weights_used"]
    assert job.conditioning_scales[CANNY] == 0.6


async def test_the_same_request_and_seed_give_the_same_bytes():
    generator, _ = fake_generator()
    pictures = [
        (await generator.generate(WritingRequest("猫", "cat", seed=seed))).images[0].image.tobytes()
        for seed in (5, 5, 6)
    ]
    assert pictures[0] == pictures[1] != pictures[2]


async def test_a_request_goes_before_configuration_and_configuration_before_style():
    generator, pipeline = fake_generator(
        None,
        "ai_generation.generation.num_inference_steps=null",
        "ai_generation.generation.width=384",
    )
    await generator.generate(WritingRequest("a", style="watercolor"))
    await generator.generate(
        WritingRequest("a", num_inference_steps=3, guidance_scale=0, width=200, height=100)
    )
    by_style, by_request = pipeline.jobs
    assert (by_style.num_inference_steps, by_style.guidance_scale) == (35, 2.0)
    assert by_style.size == Size(384, 512)
    assert (by_request.num_inference_steps, by_request.guidance_scale) == (3, 0)
    assert by_request.size == Size(200, 100)


async def test_weight_0_switches_a_controlnet_off_and_draws_no_image_for_it():
    generator, pipeline = fake_generator()
    result = await generator.generate(
        WritingRequest("a", conditioning_weights={CANNY: 0, DEPTH: 1.5})
    )
    assert CANNY not in result.control_images
    assert CANNY not in pipeline.jobs[0].control_images
    assert pipeline.jobs[0].conditioning_scales[DEPTH] == 1.5
    assert result.metadata["conditioning_weights_used"]["canny"] == 0


async def test_a_batch_has_following_seeds():
    generator, _ = fake_generator()
    result = await generator.generate(WritingRequest("a", seed=9, batch_size=3))
    assert [one.seed for one in result.images] == [9, 10, 11]
    assert len({one.image.tobytes() for one in result.images}) == 3


async def test_the_configuration_may_ask_for_several():
    generator, _ = fake_generator(None, "ai_generation.generation.batch_size=2")
    assert len((await generator.generate(WritingRequest("a"))).images) == 2
    assert len((await generator.generate(WritingRequest("a", batch_size=1))).images) == 1


async def test_random_seeds_differ_and_are_told():
    generator, _ = fake_generator()
    seeds = {(await generator.generate(WritingRequest("a"))).metadata["seed_used"] for _ in "abc"}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("pictogram", "name"),
    [("off", None), ("Rocket", "rocket"), ("auto", "cat face"), (" ", "cat face")],
)
async def test_the_pictogram_can_be_chosen(pictogram: str, name: str | None):
    generator, _ = fake_generator()
    result = await generator.generate(WritingRequest("猫", "cat", pictogram=pictogram))
    assert (result.scene.pictogram and result.scene.pictogram.name) == name


async def test_the_pipeline_decides_whether_auto_means_a_pictogram():
    generator, _ = fake_generator(None, "ai_generation.composition.pictogram=false")
    result = await generator.generate(WritingRequest("猫", "cat"))
    assert result.scene.pictogram is None
    assert result.scene.layout != "alone"
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("translation", "pictogram", "roomy"),
    [
        ("cat", "off", True),
        ("", "off", False),
        ("", "auto", False),
        ("nevertheless", "auto", False),
    ],
)
async def test_a_meaning_that_gets_no_pictogram_by_wish_gets_room_for_one(
    translation: str, pictogram: str, roomy: bool
):
    """Elsewhere the word fills the canvas, also where a pictogram was wanted and none fits."""
    generator, _ = fake_generator()
    for seed in range(4):
        request = WritingRequest("ねこ", translation, pictogram=pictogram, seed=seed)
        scene = (await generator.generate(request)).scene
        assert scene.pictogram is None
        assert (scene.layout != "alone") == roomy


async def test_what_is_odd_is_a_warning():
    generator, _ = fake_generator()
    result = await generator.generate(
        WritingRequest("学", "nevertheless", language="russian", style="mosaic")
    )
    told = " ".join(result.warnings)
    assert all(what in told for what in ("russian", "mosaic", "nevertheless"))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (WritingRequest(" "), InvalidRequest),
        (WritingRequest("a" * 51), InvalidRequest),
        (WritingRequest("\U000e1234"), UndrawableText),
        (WritingRequest("a", conditioning_methods={CANNY: "x"}), UnknownMethod),
        (WritingRequest("a", pictogram="catt"), UnknownPictogram),
    ],
)
async def test_what_its_sender_must_mend_draws_nothing_and_is_no_failure(request_, error):
    generator, pipeline = fake_generator()
    with pytest.raises(error):
        await generator.generate(request_)
    assert pipeline.jobs == []
    assert generator.statistics.as_dict()["failed_generations"] == 0
    assert generator.statistics.under_way == 0


async def test_failures_are_counted_and_told():
    generator, _ = fake_generator(FakePipeline(error=GenerationFailed("No.")))
    with pytest.raises(GenerationFailed):
        await generator.generate(WritingRequest("a"))
    assert generator.get_status()["failed_generations"] == 1
    assert generator.get_status()["total_generations"] == 0


async def test_missing_models_are_told_and_so_is_a_switched_off_service():
    generator, _ = fake_generator(reasons=["there is no folder x"])
    assert generator.check() == ["there is no folder x"]
    with pytest.raises(ModelsUnavailable, match="no folder x"):
        await generator.generate(WritingRequest("a"))
    generator, _ = fake_generator(None, "ai_generation.enabled=false")
    assert "ai_generation.enabled" in generator.check()[0]
    with pytest.raises(ModelsUnavailable, match=r"ai_generation\.enabled"):
        await generator.generate(WritingRequest("a"))


async def test_counts_and_times():
    generator, _ = fake_generator()
    await generator.generate(WritingRequest("a"))
    status = generator.get_status()
    assert status["total_generations"] == 1
    assert status["average_generation_time_ms"] > 0
    assert status["models_loaded"] is True


async def test_every_stage_and_image_is_reported_and_the_deadline_is_passed_on():
    generator, pipeline = fake_generator()
    told = list[Progress]()
    request = WritingRequest("a", num_inference_steps=2, batch_size=2)
    result = await generator.generate(request, told.append, deadline=123.0)
    assert list(dict.fromkeys(one.stage for one in told)) == list(Stage)[:-1]
    assert {one.steps for one in told} == {4}
    denoised = (Stage.DENOISE, Stage.DECODE)
    assert [one.step for one in told if one.stage in denoised] == [1, 2, 3, 4]
    assert [one.word for one in told if one.word] == [result.scene.word.image]
    shown = [one.control_image for one in told if one.control_image]
    assert {one.kind: one for one in shown} == result.control_images
    assert [one for one in told if one.preview] == []
    assert pipeline.deadlines == [123.0]


async def test_previews_come_for_whoever_asks_and_change_nothing():
    generator, _ = fake_generator()
    told = list[Progress]()
    request = WritingRequest("a", num_inference_steps=5, seed=1)
    watched = await generator.generate(request, told.append, preview_every=2)
    assert [one.step for one in told if one.preview] == [2, 4]
    alone = await generator.generate_character_image("a", num_inference_steps=5, seed=1)
    assert watched.images[0].image.tobytes() == alone.images[0].image.tobytes()


async def test_a_picture_that_is_drawn_again_counts_on():
    pipeline = FakePipeline(hides_below=3.0)
    generator, _ = fake_generator(pipeline, "ai_generation.legibility.min_score=0.9")
    told = list[Progress]()
    request = WritingRequest("学", num_inference_steps=3, seed=1)
    await generator.generate(request, told.append)
    attempts = len(pipeline.jobs)
    assert attempts > 1
    assert [one.attempt for one in told] == sorted(one.attempt for one in told)
    assert [one.step for one in told] == sorted(one.step for one in told)
    assert (told[-1].attempt, told[-1].step, told[-1].steps) == (attempts, *[3 * attempts] * 2)
    again = next(one for one in told if one.attempt == 2)
    assert (again.stage, again.step, again.steps) == (Stage.QUEUE, 3, 6)


async def test_status_tells_of_the_batches_once_there_is_a_pipeline():
    generator, _ = fake_generator()
    assert (generator.get_status()["queue_depth"], generator.get_status()["batches"]) == (0, None)
    await generator.generate(WritingRequest("a"))
    assert set(generator.get_status()["batches"]) == {
        "steps",
        "mean_pictures",
        "largest",
        "by_size",
    }


async def test_the_event_loop_stays_free():
    """While a picture is rendered and conditioned, a heartbeat goes on."""
    generator, _ = fake_generator()
    work = asyncio.create_task(generator.generate(WritingRequest("龘", width=1600, height=1600)))
    loop, beats = asyncio.get_running_loop(), list[float]()
    while not work.done():
        before = loop.time()
        await asyncio.sleep(0.005)
        beats.append(loop.time() - before)
    result = await work
    busy = result.metadata["stage_times_ms"]
    assert len(beats) >= 3
    # The longest pause is far shorter than the work that went on beside it.
    assert max(beats) < 0.8 * (busy["render"] + busy["conditioning"]) / 1000
