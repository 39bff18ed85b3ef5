"""ModelWarmer: every stage once, before the first person waits for it."""

import time
from typing import Any

from writing_service.diffusion.doors import GPUWatch
from writing_service.errors import WritingServiceError
from writing_service.generator import AIImageGenerator

WORDS = ("测", "试", "验", "学", "习")


class ModelWarmer:
    """Draws `WORDS` as any request would; the first of them loads the models."""

    def __init__(self, generator: AIImageGenerator, gpu: GPUWatch) -> None:
        self._generator = generator
        self._gpu = gpu

    async def warmup_models(self) -> dict[str, dict[str, Any]]:
        """By word: `success`, `time_ms`, `memory` (GiB) and, of a failure, `error`."""
        return {word: await self._warm(word) for word in WORDS}

    async def _warm(self, word: str) -> dict[str, Any]:
        started, failure = time.perf_counter(), None
        try:
            await self._generator.generate_character_image(word, "warm-up", seed=0)
        except WritingServiceError as error:
            failure = str(error)
        return {
            "success": failure is None,
            "time_ms": round(1000 * (time.perf_counter() - started), 1),
            "memory": dict(self._gpu.get_memory_usage()),
            **({"error": failure} if failure else {}),
        }
