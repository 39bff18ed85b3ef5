"""Memory that runs out around the networks, stage by stage: one answer says so, and the next is drawn.

What the networks themselves do about it is in tests/diffusion/denoising/test_engine.py.
"""

from pathlib import Path
from typing import Any

import pytest

from writing_service.api.admission import Admission
from writing_service.api.answers import AnswerDesk
from writing_service.api.fingerprints import Fingerprints
from writing_service.api.schemas import WritingImageRequest
from writing_service.conditioning.fan_out import build_fan_out
from writing_service.config import load_settings
from writing_service.diffusion.fake import FakeGPU, FakeLoader
from writing_service.encoding import EncodingPool
from writing_service.errors import GenerationFailed
from writing_service.generator import AIImageGenerator
from writing_service.legibility.gate import LegibilityGate
from writing_service.prompt.builder import PromptBuilder
from writing_service.prompt.semantics import SemanticAnalyzer
from writing_service.prompt.styles import StyleDefinitions
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.result_cache import open_result_cache
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary

REQUEST = WritingImageRequest(word="学", translation="cat", width=100, height=100, seed=3)


class ShortOnce:
    """The real thing, one method of which finds no memory the first time."""

    def __init__(self, real: Any, method: str) -> None:
        self._real = real
        self._method = method
        self._short = True

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._short:
            self._short = False
            return self._fail
        return getattr(self._real, name)

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise MemoryError


STAGES = {
    "meaning": ("semantics", "analyze"),
    "pictogram": ("pictograms", "find"),
    "render": ("composer", "compose"),
    "conditioning": ("fan_out", "generate"),
    "load": ("loader", "load"),
    "prompt": ("prompts", "build_prompt"),
    "legibility": ("gate", "draw"),
    "encode": ("encoding", "files"),
}


def desk_short_of_memory(stage: str, folder: Path) -> AnswerDesk:
    """Everything as `app.py` wires it, but for the one that is short."""
    settings = load_settings([f"cache.folder={folder}", "ai_generation.legibility.min_score=0"])
    drawing = settings.ai_generation
    styles = StyleDefinitions(drawing.styles)
    parts: dict[str, Any] = {
        "loader": FakeLoader(),
        "composer": SceneComposer(WordRenderer(FontLibrary())),
        "pictograms": PictogramLibrary(),
        "fan_out": build_fan_out(drawing.conditioning.options),
        "semantics": SemanticAnalyzer(),
        "prompts": PromptBuilder(styles, 500),
        "gate": LegibilityGate(drawing.legibility),
        "encoding": EncodingPool(1),
    }
    name, method = STAGES[stage]
    parts[name] = ShortOnce(parts[name], method)
    encoding = parts.pop("encoding")
    generator = AIImageGenerator(drawing, gpu=FakeGPU(), styles=styles, **parts)
    fingerprints = Fingerprints(drawing, lambda: "fake", tuple, False)
    admission = Admission(settings.api, generator.workload)
    return AnswerDesk(
        generator, encoding, admission, fingerprints, open_result_cache(settings.cache)
    )


@pytest.mark.parametrize("stage", STAGES)
async def test_one_answer_says_so_and_the_next_is_drawn(stage: str, tmp_path: Path):
    desk = desk_short_of_memory(stage, tmp_path)
    with pytest.raises(GenerationFailed, match="Memory ran out"):
        await desk.answer(REQUEST)
    assert (await desk.answer(REQUEST)).pictures
