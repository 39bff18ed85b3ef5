"""Requests share a fingerprint only where they are to get the same picture."""

from pathlib import Path
from typing import Any

import pytest

from writing_service.api.fingerprints import Fingerprints
from writing_service.api.schemas import WritingImageRequest
from writing_service.config import load_settings

SEEDED = WritingImageRequest(word="学", seed=5)
UNSEEDED = WritingImageRequest(word="学")


def fingerprints(
    *overrides: str, models: str | None = "tiny", missing: tuple[str, ...] = (), reuse: bool = False
) -> Fingerprints:
    settings = load_settings(overrides).ai_generation
    return Fingerprints(settings, lambda: models, lambda: missing, reuse)


async def test_equal_requests_have_equal_ones_in_every_process():
    one, other = fingerprints(), fingerprints()
    again = WritingImageRequest.model_validate({"seed": 5, "word": "学"})
    assert await one.answer(SEEDED) == await other.answer(again)
    assert await one.drawing(SEEDED) == await other.drawing(again)


async def test_without_a_seed_there_is_none_unless_pictures_are_reused():
    assert await fingerprints().answer(UNSEEDED) is None
    reused = fingerprints(reuse=True)
    assert await reused.answer(UNSEEDED) not in (None, await reused.answer(SEEDED))


async def test_while_the_models_are_unknown_there_is_none():
    assert await fingerprints(models=None).answer(SEEDED) is None


async def test_a_drawing_does_not_care_how_it_is_told():
    told = WritingImageRequest.model_validate(
        {"word": "学", "seed": 5, "format": "webp", "quality": 5, "include_prompt": True, "new": 1}
    )
    same = fingerprints()
    assert await same.drawing(told) == await same.drawing(SEEDED)
    assert await same.answer(told) != await same.answer(SEEDED)


CHANGES: list[dict[str, Any]] = [
    {"models": "other"},
    {"missing": ("hed_edge_detection",)},
]
OVERRIDES = [
    "ai_generation.generation.num_inference_steps=7",
    "ai_generation.models.revision=other",
    "ai_generation.models.loras=[{source: /x.safetensors}]",
    "ai_generation.models.scheduler={name: EulerDiscreteScheduler}",
    "ai_generation.styles.comic.negative_prompt=none",
    "ai_generation.prompt.scene=true",
    "ai_generation.gpu.dtype=bfloat16",
    "ai_generation.legibility.min_score=0.5",
]


async def test_other_settings_and_models_have_others():
    usual = await fingerprints().drawing(SEEDED)
    others = [await fingerprints(one).drawing(SEEDED) for one in OVERRIDES]
    others += [await fingerprints(**one).drawing(SEEDED) for one in CHANGES]
    assert len({usual, *others}) == 1 + len(others)


async def test_settings_that_change_no_picture_do_not_count():
    usual = await fingerprints().drawing(SEEDED)
    for one in ("warmup.at_start=true", "memory_leaks.settle=7", "cache.memory_gb=3"):
        assert await fingerprints(f"ai_generation.{one}").drawing(SEEDED) == usual


async def test_fonts_of_ones_own_count_by_what_they_hold(tmp_path: Path):
    folder = f"ai_generation.fonts.folder={tmp_path}"
    (tmp_path / "a.ttf").write_bytes(b"one")
    before = await fingerprints(folder).drawing(SEEDED)
    (tmp_path / "a.ttf").write_bytes(b"two")
    assert await fingerprints(folder).drawing(SEEDED) != before


async def test_files_that_cannot_be_read_are_no_error(caplog: pytest.LogCaptureFixture):
    def unreadable() -> str:
        raise PermissionError("no")

    broken = Fingerprints(load_settings().ai_generation, unreadable, tuple, False)
    assert await broken.answer(SEEDED) is None
    assert "no fingerprint" in caplog.text
