"""Fingerprints: requests that are to get the same picture have the same, and no others."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import writing_service
from writing_service.api.schemas import WritingImageRequest
from writing_service.config import AIGenerationSettings
from writing_service.digests import digest_of

logger = logging.getLogger(__name__)

PACKAGE = Path(writing_service.__file__).parent

_TOLD_ONLY = (
    "include_conditioning_images",
    "include_prompt",
    "include_semantic_analysis",
    "format",
    "quality",
)
"""Fields that choose what of a drawing is told, and how it is encoded."""

_NOT_OF_PICTURES = {"cache", "warmup", "memory_leaks"}
"""Settings that change no picture."""


class Fingerprints:
    """By everything that changes a picture: the request, the settings, the models and fonts, and the service itself."""

    def __init__(
        self,
        settings: AIGenerationSettings,
        models: Callable[[], str | None],
        missing_methods: Callable[[], Any],
        reuse_unseeded: bool,
    ) -> None:
        """`models` tells which are loaded (None: not yet known), `missing_methods` what chance cannot choose now.

        Only with `reuse_unseeded` do requests without a seed have a fingerprint.
        """
        self._settings = settings
        self._models = models
        self._missing_methods = missing_methods
        self._reuse_unseeded = reuse_unseeded

    async def drawing(self, request: WritingImageRequest) -> str | None:
        """Of what is drawn; None where every request is to be drawn by itself."""
        told = request.model_dump(mode="json", exclude={*_TOLD_ONLY, *request.unknown_fields()})
        return await self._of(request, told)

    async def answer(self, request: WritingImageRequest) -> str | None:
        """Of all that is answered; None where every request is to be drawn by itself."""
        unknown = request.unknown_fields()
        told = request.model_dump(mode="json", exclude={*unknown})
        # The answer's warnings name them.
        return await self._of(request, {**told, "unknown": sorted(unknown)})

    async def _of(self, request: WritingImageRequest, told: dict[str, Any]) -> str | None:
        if request.seed is None and not self._reuse_unseeded:
            return None
        # Files are looked at: not on the event loop.
        return await asyncio.to_thread(self._digest, told)

    def _digest(self, told: dict[str, Any]) -> str | None:
        try:
            if (models := self._models()) is None:
                return None
            made_by = [self._installation, models, sorted(self._missing_methods())]
        except OSError as error:
            logger.warning("Requests have no fingerprint, so each is drawn: %s", error)
            return None
        return hashlib.sha256(json.dumps([told, made_by], sort_keys=True).encode()).hexdigest()

    @cached_property
    def _installation(self) -> tuple[str, str, str]:
        """The service's own files rather than its version, so that a changed checkout draws anew."""
        folder = self._settings.fonts.folder
        settings = self._settings.model_dump_json(exclude=_NOT_OF_PICTURES)
        return settings, digest_of(PACKAGE), digest_of(Path(folder)) if folder else ""
