"""Styles by name; free text is a style too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from writing_service.config import StyleSettings
from writing_service.prompt.semantics import clean
from writing_service.types import EMPTY, ConditioningKind, FaceKind

_FREE_TEMPLATE = (
    "A picture of {{meaning}}, in the style of {style}, with {{word_kind}} {{character}}"
)
_NEUTRAL_WEIGHTS = {
    ConditioningKind.CANNY: 0.7,
    ConditioningKind.DEPTH: 0.5,
    ConditioningKind.SEGMENTATION: 0.5,
    ConditioningKind.SCRIBBLE: 0.5,
}


@dataclass(frozen=True)
class StyleDefinition:
    """How a style is asked for and drawn."""

    name: str
    display_name: str
    base_template: str
    negative_prompt: str = ""
    recommended_steps: int = 30
    recommended_cfg: float = 7.5
    controlnet_weights: Mapping[ConditioningKind, float] = field(default_factory=lambda: EMPTY)
    known: bool = True
    face: FaceKind = FaceKind.SANS


class StyleDefinitions:
    """The configured styles."""

    def __init__(self, styles: Mapping[str, StyleSettings]) -> None:
        self._styles = {name: _definition(name, settings) for name, settings in styles.items()}

    def names(self) -> tuple[str, ...]:
        """Configured ones."""
        return tuple(self._styles)

    def get_style_definition(self, name: str) -> StyleDefinition:
        """The configured style of that name; any other text becomes the style's phrase, with `known` False."""
        asked = " ".join(name.casefold().split())
        return self._styles[asked] if asked in self._styles else _free(name)


def _definition(name: str, settings: StyleSettings) -> StyleDefinition:
    weights = {
        ConditioningKind(kind): weight for kind, weight in settings.controlnet_weights.items()
    }
    return StyleDefinition(
        name,
        settings.display_name,
        settings.base_template,
        settings.negative_prompt,
        settings.recommended_steps,
        settings.recommended_cfg,
        weights,
        face=settings.face,
    )


def _free(text: str) -> StyleDefinition:
    phrase = clean(text)
    template = _FREE_TEMPLATE.format(style=phrase)
    return StyleDefinition(
        phrase, phrase, template, controlnet_weights=_NEUTRAL_WEIGHTS, known=False
    )
