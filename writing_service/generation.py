"""PictureGenerator: what the API sees of whoever draws, here or on other machines."""

from typing import Any, Protocol

from writing_service.diffusion.doors import OnProgress, Workload
from writing_service.types import AIGenerationResult, WritingRequest


class PictureGenerator(Protocol):
    """AIImageGenerator is one; `cluster.remote.RemoteGenerator` is another, whose models are elsewhere."""

    @property
    def default_side(self) -> int:
        """Pixels: the longer side of pictures whose size nobody asks for."""
        ...

    async def generate_character_image(
        self,
        character: str,
        translation: str = "",
        *,
        seed: int | None = None,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
        **generation_params: Any,
    ) -> AIGenerationResult:
        """See AIImageGenerator."""
        ...

    async def generate(
        self,
        request: WritingRequest,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
    ) -> AIGenerationResult:
        """The same for a whole request."""
        ...

    def check(self) -> list[str]:
        """Why a request would not be served now; empty when one would. May look at files: not on the event loop."""
        ...

    def workload(self) -> Workload:
        """What is at hand to be drawn now."""
        ...

    def get_status(self) -> dict[str, Any]:
        """Models and counts, ready for JSON."""
        ...

    def describe(self) -> dict[str, Any]:
        """What can be asked for, ready for JSON."""
        ...

    def missing_methods(self) -> dict[str, str]:
        """Conditioning methods that cannot be had, and what they need."""
        ...

    def memory_leak(self) -> dict[str, Any]:
        """How memory grows over generations, ready for JSON."""
        ...

    def close(self) -> None:
        """Draw no more."""
        ...
