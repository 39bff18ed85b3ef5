"""AIImageGenerator: the whole way from a word to its picture.

Read `generate_character_image` first; everything else here is one of its stations.
"""

import asyncio
import logging
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from writing_service.conditioning.fan_out import ConditioningFanOut
from writing_service.config import AIGenerationSettings
from writing_service.diffusion.doors import (
    GPUWatch,
    OnProgress,
    PictureLoader,
    PicturePipeline,
    Stage,
    Workload,
)
from writing_service.errors import ModelsUnavailable, WritingServiceError
from writing_service.legibility.gate import Draw, LegibilityGate
from writing_service.metadata import generation_metadata
from writing_service.observability.leaks import MemoryLeakDetector
from writing_service.observability.observer import NOBODY, Observer
from writing_service.observability.statistics import (
    GenerationStatistics,
    OnStage,
    StageClock,
    tell_in_turn,
)
from writing_service.progress import Telling
from writing_service.prompt.blocked import BlockedWords
from writing_service.prompt.builder import PromptBuilder
from writing_service.prompt.semantics import SemanticAnalyzer
from writing_service.prompt.styles import StyleDefinitions
from writing_service.rendering.languages import identify
from writing_service.rendering.words import checked_word, dropped_from
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.settling import Settled, settle, style_defaults
from writing_service.types import (
    AIGenerationResult,
    ConditioningKind,
    ControlImages,
    DrawnImages,
    GenerationJob,
    Meaning,
    Pictogram,
    PromptResult,
    Scene,
    WritingRequest,
)

logger = logging.getLogger(__name__)

AUTO, OFF = "auto", "off"
"""What a request may say of its pictogram, beside a concept's name."""

CUSTOM = "custom"
"""What is counted in place of a style in a learner's own words."""

_SWITCHED_OFF = "drawing is switched off (ai_generation.enabled=false)"

Weights = Mapping[ConditioningKind, float]


class AIImageGenerator:
    """Draws pictures of words."""

    def __init__(
        self,
        settings: AIGenerationSettings,
        loader: PictureLoader,
        gpu: GPUWatch,
        composer: SceneComposer,
        pictograms: PictogramLibrary,
        fan_out: ConditioningFanOut,
        styles: StyleDefinitions,
        semantics: SemanticAnalyzer,
        prompts: PromptBuilder,
        gate: LegibilityGate,
        observer: Observer = NOBODY,
    ) -> None:
        self._settings = settings
        self._loader = loader
        self._gpu = gpu
        self._composer = composer
        self._pictograms = pictograms
        self._fan_out = fan_out
        self._styles = styles
        self._semantics = semantics
        self._prompts = prompts
        self._gate = gate
        self._observer = observer
        self._blocked = BlockedWords(settings.prompt.blocked_words)
        self.statistics = GenerationStatistics()
        self.leaks = MemoryLeakDetector(gpu.memory_in_use_mb, settings.memory_leaks)

    async def generate_character_image(
        self,
        character: str,
        translation: str = "",
        conditioning_weights: Weights | None = None,
        seed: int | None = None,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
        **generation_params: Any,
    ) -> AIGenerationResult:
        """One word's pictures; `generation_params` are further fields of WritingRequest.

        A `deadline`, in seconds of the monotonic clock, that cannot be met is refused early. Every `preview_every`
        steps the progress shows what a picture looks like so far; 0 is never.
        Raises InvalidRequest, ServiceUnavailable, DeadlinePassed, GenerationFailed.
        """
        request = WritingRequest(
            checked_word(character),
            translation,
            seed=seed,
            conditioning_weights=conditioning_weights or {},
            **generation_params,
        )
        clock, told = StageClock(self._observer.stage), Telling(on_progress)
        with self._counted(request), _logged(request, clock):
            self._refuse_if_off()
            settled = settle(request, self._settings, self._styles, self._fan_out)
            told.begins(Stage.RENDER, settled.steps)
            meaning = await asyncio.to_thread(self._understand, request)
            with clock.timed("render"):
                scene = await asyncio.to_thread(self._compose, request, settled, meaning)
            told.shows_word(scene.word.image)
            pipeline, control_images = await asyncio.gather(
                self._loader.load(), self._condition(scene, settled, clock, told)
            )
            told.begins(Stage.PROMPT)
            with clock.timed("prompt"):
                prompt = await self._build_prompt(request, meaning, scene, pipeline)
            job = _job(prompt, control_images, settled, preview_every)
            draw = _drawing(pipeline, told, deadline, self._observer.stage)
            checked = await self._gate.draw(draw, job, scene.word, deadline, self._observer.stage)
            clock.add(checked.drawn.stage_times_ms)
            metadata = generation_metadata(
                request, settled, scene, control_images, prompt, pipeline, checked, clock, self._gpu
            )
            self._observer.drawn(metadata)
        return AIGenerationResult(
            request,
            checked.drawn.images,
            scene,
            control_images,
            prompt,
            meaning,
            metadata,
            (
                *dropped_from(character),
                *self._warnings(request, meaning, scene, prompt),
                *checked.warnings,
            ),
        )

    async def generate(
        self,
        request: WritingRequest,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
        preview_every: int = 0,
    ) -> AIGenerationResult:
        """The same for a whole request."""
        given = {one.name: getattr(request, one.name) for one in fields(request)}
        return await self.generate_character_image(
            given.pop("word"),
            on_progress=on_progress,
            deadline=deadline,
            preview_every=preview_every,
            **given,
        )

    @property
    def default_side(self) -> int:
        """Pixels: the longer side of pictures whose size nobody asks for."""
        return max(self._settings.generation.width, self._settings.generation.height)

    def check(self) -> list[str]:
        """Why a request would not be served now; empty when one would."""
        if not self._settings.enabled:
            return [_SWITCHED_OFF]
        return self._loader.check()

    def workload(self) -> Workload:
        """What is at hand to be drawn now."""
        return self._loader.workload()

    def get_status(self) -> dict[str, Any]:
        """Models and counts, ready for JSON."""
        return {
            **self._loader.status(),
            **self.statistics.as_dict(),
        }

    def describe(self) -> dict[str, Any]:
        """What can be asked for, ready for JSON."""
        generation = self._settings.generation
        return {
            "models": self._models(),
            "styles": list(self._styles.names()),
            "style_defaults": {name: self._style_defaults(name) for name in self._styles.names()},
            "free_style_defaults": self._style_defaults("free text"),
            "conditioning_methods": {
                kind.value: list(names) for kind, names in self._fan_out.methods().items()
            },
            "missing_conditioning_methods": self.missing_methods(),
            "presets": list(self._settings.presets),
            "default_image_size": {"width": generation.width, "height": generation.height},
            "pictograms": len(self._pictograms.names()),
        }

    def missing_methods(self) -> dict[str, str]:
        """Conditioning methods that cannot be had here, and what they need."""
        return self._fan_out.missing_methods()

    def memory_leak(self) -> dict[str, Any]:
        """How memory grows over generations, ready for JSON."""
        return self.leaks.check_for_leaks()

    def _style_defaults(self, name: str) -> dict[str, Any]:
        return style_defaults(self._styles.get_style_definition(name), self._settings)

    def close(self) -> None:
        """Let the models go; a running picture ends at its next step."""
        self._loader.close()

    @contextmanager
    def _counted(self, request: WritingRequest) -> Generator[None]:
        """By everyone who counts."""
        style = self._styles.get_style_definition(request.style)
        name = style.name if style.known else CUSTOM
        with self.statistics.counted(), self.leaks.counted(), self._observer.generation(name):
            yield

    def _refuse_if_off(self) -> None:
        if not self._settings.enabled:
            raise ModelsUnavailable(f"No picture can be drawn: {_SWITCHED_OFF}.")

    def _understand(self, request: WritingRequest) -> Meaning:
        """Raises BlockedWord, for the request's own texts and for what its word turns out to mean."""
        texts = ("word", "translation", "hint_writing", "style", "pictogram")
        self._blocked.refuse({field: getattr(request, field) for field in texts})
        report = identify(request.word, request.language)
        meaning = self._semantics.analyze(
            request.word, request.translation, request.hint_writing, report
        )
        self._blocked.refuse({"word": meaning.subject})
        return meaning

    def _compose(self, request: WritingRequest, settled: Settled, meaning: Meaning) -> Scene:
        pictogram = self._pictogram(request, meaning)
        return self._composer.compose(
            request.word,
            request.language,
            settled.size,
            pictogram,
            settled.seed,
            face=settled.style.face,
            direction=request.text_direction,
            # A subject that has no picture is drawn from the text, where that is wanted.
            room=bool(meaning.subject) and not self._wants_pictogram(request),
        )

    def _wants_pictogram(self, request: WritingRequest) -> bool:
        """One that fits the meaning; none if the request or the configuration says so."""
        return self._settings.composition.pictogram and _wish(request) == AUTO

    def _pictogram(self, request: WritingRequest, meaning: Meaning) -> Pictogram | None:
        """Raises UnknownPictogram."""
        wish = _wish(request)
        if wish == OFF:
            return None
        if wish != AUTO:
            return self._pictograms.named(request.pictogram)
        return self._pictograms.find(meaning) if self._wants_pictogram(request) else None

    async def _condition(
        self, scene: Scene, settled: Settled, clock: StageClock, told: Telling
    ) -> ControlImages:
        told.begins(Stage.CONDITIONING)
        with clock.timed("conditioning"):
            return await self._fan_out.generate(
                scene, settled.methods, settled.seed, settled.style.name, told.shows_control
            )

    async def _build_prompt(
        self,
        request: WritingRequest,
        meaning: Meaning,
        scene: Scene,
        pipeline: PicturePipeline,
    ) -> PromptResult:
        return await self._prompts.build_prompt(
            request.word,
            style=request.style,
            meaning=meaning,
            script=scene.word.script,
            language=scene.word.language,
            count_tokens=pipeline.count_tokens,
            max_tokens=pipeline.max_tokens,
        )

    def _warnings(
        self, request: WritingRequest, meaning: Meaning, scene: Scene, prompt: PromptResult
    ) -> Iterable[str]:
        yield from identify(request.word, request.language).warnings
        yield from meaning.warnings
        yield from prompt.warnings
        wanted = self._wants_pictogram(request) and meaning.subject
        if wanted and scene.pictogram is None:
            yield (
                f"There is no pictogram for '{meaning.subject}'; the picture shows the word alone."
            )

    def _models(self) -> dict[str, Any]:
        models = self._settings.models
        controlnets = models.controlnet_union or {
            kind.value: source for kind, source in models.controlnet_models.items()
        }
        return {"name": models.name, "base": models.base_model, "controlnets": controlnets}


@contextmanager
def _logged(request: WritingRequest, clock: StageClock) -> Generator[None]:
    """One line at the start, one at the end."""
    told = {"word": request.word, "style": request.style}
    logger.info("AI generation begins", extra=told)
    try:
        yield
    except WritingServiceError as error:
        # The sentence may hold the learner's words: it is told as they are.
        logger.info("AI generation ended without a picture", extra={**told, "reason": str(error)})
        raise
    logger.info("AI generation done", extra={**told, "time_ms": clock.total_ms})


def _drawing(
    pipeline: PicturePipeline, told: Telling, deadline: float | None, on_stage: OnStage
) -> Draw:
    """Draws, and tells each attempt as one of the same request."""

    async def draw(job: GenerationJob) -> DrawnImages:
        began = time.time_ns()
        drawn = await pipeline.draw(job, told.attempts(), deadline)
        tell_in_turn(on_stage, began, drawn.stage_times_ms)
        return drawn

    return draw


def _job(
    prompt: PromptResult, control_images: ControlImages, settled: Settled, preview_every: int
) -> GenerationJob:
    return GenerationJob(
        prompt.main_prompt,
        prompt.negative_prompt,
        {kind: one.image for kind, one in control_images.items()},
        {kind: settled.weights[kind] for kind in control_images},
        settled.num_inference_steps,
        settled.guidance_scale,
        settled.seeds,
        settled.size,
        settled.windows,
        settled.guidance_window,
        settled.cache_interval,
        preview_every,
    )


def _wish(request: WritingRequest) -> str:
    return request.pictogram.strip().casefold() or AUTO
