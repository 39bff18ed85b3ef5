"""The gate, around the shipped fake pipeline and around pictures painted here."""

import asyncio
import time

import numpy as np
import pytest
from PIL import Image

from tests.fakes import fake_generator
from tests.legibility.conftest import WordOf, in_colours
from writing_service.config import LegibilitySettings, load_settings
from writing_service.diffusion.fake import FakePipeline
from writing_service.errors import ConfigurationError, GenerationFailed
from writing_service.legibility.gate import CheckedImages, LegibilityGate
from writing_service.legibility.rapid import RapidOCR
from writing_service.legibility.tesseract import Tesseract
from writing_service.parameters import parameters_of
from writing_service.types import (
    ConditioningKind,
    DrawnImages,
    GeneratedImage,
    GenerationJob,
    RenderedWord,
    Size,
    WritingRequest,
)

CANNY, DEPTH = ConditioningKind.CANNY, ConditioningKind.DEPTH
ON = "ai_generation.legibility.min_score=0.9"
WORD = WritingRequest("学习", "study", style="comic", seed=1)


async def test_a_word_that_was_hidden_at_first_is_drawn_again_and_shows():
    """Comic's weights add up to 2.4, and after the first attempt to 3.6."""
    generator, pipeline = fake_generator(FakePipeline(hides_below=3.0), ON)
    result = await generator.generate(WORD)
    told = result.metadata["legibility"]
    (picture,) = told["pictures"]
    first, second = picture["attempts"]
    assert len(pipeline.jobs) == 2
    assert first["score"] < 0.9 <= second["score"] == picture["score"] == told["score"]
    assert told["passed"]
    assert second["weights"]["canny"] == pytest.approx(1.5 * first["weights"]["canny"])
    assert result.metadata["conditioning_weights_used"] == second["weights"] == picture["weights"]
    assert result.warnings == ()
    text = parameters_of(result)
    assert f"Legibility: {second['score']}" in text
    assert f"{first['score']} at canny 0.9 depth 0.5" in text
    assert f"{second['score']} at canny 1.35 depth 0.75" in text
    assert "ControlNet canny: " in text
    assert text.index("1.35") < text.index("Legibility: ")


async def test_asking_for_the_weights_that_the_file_tells_gives_that_picture_at_once():
    generator, pipeline = fake_generator(FakePipeline(hides_below=3.0), ON)
    result = await generator.generate(WORD)
    weights = {
        ConditioningKind(kind): weight
        for kind, weight in result.metadata["conditioning_weights_used"].items()
    }
    again = await generator.generate(
        WritingRequest("学习", "study", style="comic", seed=1, conditioning_weights=weights)
    )
    assert len(pipeline.jobs) == 3
    assert again.images[0].image.tobytes() == result.images[0].image.tobytes()


async def test_the_same_request_and_seed_give_the_same_picture():
    generator, _ = fake_generator(FakePipeline(hides_below=3.0), ON)
    one, two = [await generator.generate(WORD) for _ in range(2)]
    assert one.images[0].image.tobytes() == two.images[0].image.tobytes()
    assert one.metadata["legibility"] == two.metadata["legibility"]


async def test_a_picture_that_passes_is_drawn_once():
    generator, pipeline = fake_generator(FakePipeline(), ON)
    result = await generator.generate(WORD)
    assert len(pipeline.jobs) == 1
    assert len(result.metadata["legibility"]["pictures"][0]["attempts"]) == 1
    assert "Legibility attempts" not in parameters_of(result)


async def test_what_stays_hidden_is_given_up_with_a_warning():
    generator, pipeline = fake_generator(FakePipeline(hides_below=99), ON)
    result = await generator.generate(WORD)
    told = result.metadata["legibility"]
    scores = [one["score"] for one in told["pictures"][0]["attempts"]]
    assert len(pipeline.jobs) == len(scores) == 3
    assert told["score"] == max(scores)
    assert not told["passed"]
    (warning,) = result.warnings
    assert "hard to read" in warning
    assert "3 attempts" in warning


@pytest.mark.parametrize("setting", ["min_score=0", "max_attempts=1"])
async def test_it_can_be_switched_off(setting: str):
    generator, pipeline = fake_generator(
        FakePipeline(hides_below=99), ON, f"ai_generation.legibility.{setting}"
    )
    result = await generator.generate(WORD)
    assert len(pipeline.jobs) == 1
    assert bool(result.warnings) == (setting == "max_attempts=1")


async def test_a_kind_that_is_switched_off_stays_off():
    generator, pipeline = fake_generator(FakePipeline(hides_below=99), ON)
    await generator.generate(WritingRequest("a", conditioning_weights={CANNY: 0, DEPTH: 0.2}))
    assert all(CANNY not in job.conditioning_scales for job in pipeline.jobs)
    assert [job.conditioning_scales[DEPTH] for job in pipeline.jobs] == [0.2, 0.3, 0.45]


async def test_without_controlnets_no_word_is_expected():
    generator, pipeline = fake_generator(FakePipeline(), ON)
    off = dict.fromkeys(ConditioningKind, 0.0)
    result = await generator.generate(WritingRequest("猫", "cat", conditioning_weights=off))
    assert len(pipeline.jobs) == 1
    assert result.metadata["legibility"]["passed"]
    assert result.warnings == ()


async def test_weights_end_at_the_largest_that_a_request_may_ask_for():
    generator, pipeline = fake_generator(
        FakePipeline(hides_below=99), ON, "ai_generation.legibility.max_attempts=8"
    )
    most = dict.fromkeys(ConditioningKind, 1.9)
    await generator.generate(WritingRequest("a", conditioning_weights=most))
    assert [job.conditioning_scales[DEPTH] for job in pipeline.jobs] == [1.9, 2.0]


async def test_near_the_deadline_the_picture_that_is_there_goes_out():
    generator, pipeline = fake_generator(FakePipeline(seconds=0.7, hides_below=99), ON)
    await generator.generate(WORD)  # whatever is slow at the first time
    pipeline.jobs.clear()
    result = await generator.generate(WORD, deadline=time.monotonic() + 1.6)
    assert 1 <= len(pipeline.jobs) < 3
    assert "hard to read" in result.warnings[0]


def painted(word: RenderedWord, shown: bool, seed: int) -> GeneratedImage:
    grey = 40 if shown else 200
    pixels = in_colours(word.mask, (grey,) * 3, (200,) * 3)
    return GeneratedImage(Image.fromarray(pixels), seed)


def job_of(seeds: tuple[int, ...], weight: float = 1.0) -> GenerationJob:
    size = Size(256, 256)
    image = Image.new("RGB", (256, 256))
    return GenerationJob("", "", {CANNY: image}, {CANNY: weight}, 4, 2.0, seeds, size)


def settings(**changed: object) -> LegibilitySettings:
    usual = load_settings().ai_generation.legibility.model_dump()
    return LegibilitySettings(**{**usual, **changed})


async def through_gate(gate: LegibilityGate, word: RenderedWord, shows: dict[int, float]):
    """Pictures that show the word from a weight on, by seed; and the jobs that were drawn."""
    jobs = list[GenerationJob]()

    async def draw(job: GenerationJob) -> DrawnImages:
        jobs.append(job)
        weight = job.conditioning_scales[CANNY]
        images = tuple(painted(word, weight >= shows[seed], seed) for seed in job.seeds)
        return DrawnImages(images, {"queue": 0.0, "denoise": 10.0, "decode": 1.0})

    checked: CheckedImages = await gate.draw(draw, job_of(tuple(shows)), word)
    return checked, jobs


async def test_of_several_pictures_only_those_that_need_it_are_drawn_again(word_of: WordOf):
    word = word_of("river")
    checked, jobs = await through_gate(LegibilityGate(settings()), word, {7: 0, 8: 2, 9: 1.4})
    assert [job.seeds for job in jobs] == [(7, 8, 9), (8, 9), (8,)]
    assert [one.seed for one in checked.drawn.images] == [7, 8, 9]
    assert [len(one.attempts) for one in checked.pictures] == [1, 3, 2]
    assert [one.best.weights[CANNY] for one in checked.pictures] == [1.0, 2.0, 1.5]
    assert checked.as_dict()["passed"]
    assert checked.drawn.stage_times_ms["denoise"] == 30
    assert checked.drawn.stage_times_ms["legibility"] > 0
    assert all(np.asarray(one.image).min() < 50 for one in checked.drawn.images)


async def test_of_equal_attempts_the_first_is_kept_and_each_bad_picture_is_told(word_of: WordOf):
    word = word_of("river")
    checked, _ = await through_gate(LegibilityGate(settings()), word, {7: 0, 8: 99, 9: 99})
    assert [one.best.weights[CANNY] for one in checked.pictures] == [1.0, 1.0, 1.0]
    assert ["seed 8" in one or "seed 9" in one for one in checked.warnings] == [True, True]
    assert checked.as_dict()["score"] == 0.5


async def test_a_second_attempt_that_fails_costs_nothing(word_of: WordOf):
    word, jobs = word_of("river"), list[GenerationJob]()

    async def draw(job: GenerationJob) -> DrawnImages:
        jobs.append(job)
        if len(jobs) > 1:
            raise GenerationFailed("No memory.")
        return DrawnImages((painted(word, False, 7),))

    checked = await LegibilityGate(settings()).draw(draw, job_of((7,)), word)
    assert len(jobs) == 2
    assert checked.drawn.images[0].seed == 7
    assert len(checked.warnings) == 1


async def test_a_first_attempt_that_fails_is_the_requests_failure(word_of: WordOf):
    async def draw(job: GenerationJob) -> DrawnImages:
        await asyncio.sleep(0)
        raise GenerationFailed("No memory.")

    with pytest.raises(GenerationFailed):
        await LegibilityGate(settings()).draw(draw, job_of((7,)), word_of("river"))


@pytest.mark.skipif(bool(RapidOCR().missing()), reason="needs rapidocr")
async def test_ocr_is_a_second_opinion(word_of: WordOf):
    gate = LegibilityGate(settings(ocr=True), [RapidOCR()])
    checked, _ = await through_gate(gate, word_of("river"), {7: 0})
    reading = checked.as_dict()["pictures"][0]["reading"]
    assert (reading["text"], reading["exact"], reading["reader"]) == ("river", True, "rapidocr")
    checked, _ = await through_gate(gate, word_of("ᚠᚢ"), {7: 0})
    assert checked.as_dict()["pictures"][0]["reading"] is None
    assert "Runic" in checked.warnings[0]


class Absent(Tesseract):
    """Of which nothing is installed."""

    def missing(self) -> str | None:
        return "needs a program"


def test_ocr_that_nothing_can_do_ends_the_start():
    with pytest.raises(ConfigurationError, match="tesseract needs a program"):
        LegibilityGate(settings(ocr=True), [Absent()])
    LegibilityGate(settings(ocr=False), [Absent()])
