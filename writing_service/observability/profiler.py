"""AIProfiler: where the time and the memory of one generation go."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from writing_service.types import AIGenerationResult

_OPERATIONS = 15

Draw = Callable[..., Awaitable[AIGenerationResult]]
"""`AIImageGenerator.generate_character_image`."""


class MemoryUse(Protocol):
    """MiB, told when a block has ended: what it left taken, and the most at once."""

    used_mb: float
    peak_mb: float


class Operations(Protocol):
    """(name, calls, milliseconds), the longest first, told when a block has ended."""

    longest: tuple[tuple[str, int, float], ...]


class Tracer(Protocol):
    """Whatever sees inside the models."""

    def measured(self) -> AbstractContextManager[MemoryUse]:
        """Watches the block's memory."""
        ...

    def traced(self, path: Path) -> AbstractContextManager[Operations]:
        """Traces the block into a file at `path`, in Chrome's format."""
        ...


class AIProfiler:
    """Draws words and tells what that took."""

    def __init__(self, draw: Draw, tracer: Tracer, folder: Path) -> None:
        """Traces go into `folder`, which is made if need be."""
        self._draw = draw
        self._tracer = tracer
        self._folder = folder

    async def profile_generation(
        self, character: str, translation: str = "", **generation_params: Any
    ) -> dict[str, Any]:
        """Draw the word three times: the models load, then times and memory are taken, then torch is traced.

        So neither loading nor tracing counts. Gives `character`, `success`, `total_time_ms`, `stage_times_ms`,
        `memory_used_mb` and `peak_memory_mb` (MiB of the GPU; without one of the whole process), `operations` (the
        longest fifteen) and `trace` (a file for chrome://tracing or ui.perfetto.dev). Raises what drawing raises, and
        OSError where the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"ai_profile_{_file_name(character)}_{int(time.time())}.json"
        await self._draw(character, translation, **generation_params)
        with self._tracer.measured() as memory:
            result = await self._draw(character, translation, **generation_params)
        with self._tracer.traced(path) as operations:
            await self._draw(character, translation, **generation_params)
        return {
            "character": character,
            "success": True,
            "total_time_ms": result.metadata["generation_time_ms"],
            "stage_times_ms": dict(result.metadata["stage_times_ms"]),
            "memory_used_mb": round(memory.used_mb, 1),
            "peak_memory_mb": round(memory.peak_mb, 1),
            "operations": [
                {"name": name, "calls": calls, "time_ms": round(milliseconds, 1)}
                for name, calls, milliseconds in operations.longest[:_OPERATIONS]
            ],
            "trace": str(path),
        }


def _file_name(word: str) -> str:
    """The word's letters, and a dash for whatever may mean something to a file system."""
    return "".join(one if one.isalnum() else "-" for one in word)
