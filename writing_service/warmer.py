"""ModelWarmer: every stage once, before the first person waits for it."""

import asyncio
import logging
import time
from typing import Any

from writing_service.diffusion.doors import GPUWatch
from writing_service.encoding import encode_result
from writing_service.errors import WritingServiceError
from writing_service.generation import PictureGenerator
from writing_service.types import ImageFormat

logger = logging.getLogger(__name__)

WORDS = ("测", "试", "验", "学", "习")


class ModelWarmer:
    """Draws `WORDS` as any request would; the first of them loads the models.

    Then each batch size that is compiled or recorded beforehand. `at_work` tells whether the warming at the service's
    start is still under way.
    """

    def __init__(self, generator: PictureGenerator, gpu: GPUWatch) -> None:
        self._generator = generator
        self._gpu = gpu
        self.at_work = False

    async def warmup_models(self) -> dict[str, dict[str, Any]]:
        """By word, then by batch ("batch of 4"): `success`, `time_ms`, `memory` (GiB) and `stage_times_ms`.

        In place of the last, of a failure, `error`.
        """
        words = {word: await self._warm(word, seed) for seed, word in enumerate(WORDS)}
        batches = self._gpu.fixed_batch_sizes(self._generator.default_side)
        return words | {f"batch of {size}": await self._warm(WORDS[0], 0, size) for size in batches}

    async def warm_at_start(self) -> None:
        """Warm up and log how it went; never raises, for the service may still serve."""
        self.at_work = True
        try:
            results = await self.warmup_models()
            if failed := [name for name, one in results.items() if not one["success"]]:
                logger.warning("Warming up failed for %s", ", ".join(failed))
        except Exception:
            logger.exception("Warming up failed")
        finally:
            self.at_work = False

    async def _warm(self, word: str, seed: int, pictures: int = 1) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            told = {"stage_times_ms": await self._draw(word, seed, pictures)}
        except WritingServiceError as error:
            told = {"error": str(error)}
        milliseconds = round(1000 * (time.perf_counter() - started), 1)
        logger.info(
            "Warmed up with %s", word, extra={"pictures": pictures, "time_ms": milliseconds}
        )
        return {
            "success": "error" not in told,
            "time_ms": milliseconds,
            "memory": dict(self._gpu.get_memory_usage()),
            **told,
        }

    async def _draw(self, word: str, seed: int, pictures: int) -> dict[str, float]:
        result = await self._generator.generate_character_image(
            word, seed=seed, batch_size=pictures
        )
        started = time.perf_counter()
        await asyncio.to_thread(encode_result, result, 0, ImageFormat.PNG)
        encoding = round(1000 * (time.perf_counter() - started), 1)
        return {**result.metadata["stage_times_ms"], "encode": encoding}
