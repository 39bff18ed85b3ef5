"""Prompts: true, whole, and short enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.config import load_settings
from writing_service.prompt.builder import PromptBuilder, word_kind
from writing_service.prompt.styles import StyleDefinitions
from writing_service.types import ConditioningKind, PromptResult

STYLES = StyleDefinitions(load_settings().ai_generation.styles)


async def build(word: str = "学习", translation: str = "study", **options) -> PromptResult:
    return await PromptBuilder(STYLES, options.pop("max_prompt_length", 500)).build_prompt(
        word, translation, **options
    )


def test_the_five_styles_have_steps_guidance_and_four_weights():
    assert STYLES.names() == ("comic", "watercolor", "realistic", "ink", "traditional")
    for name in STYLES.names():
        style = STYLES.get_style_definition(name)
        assert 1 <= style.recommended_steps <= 150
        assert 0 < style.recommended_cfg <= 30
        assert set(style.controlnet_weights) == set(ConditioningKind)
        assert style.known


def test_the_guides_weights():
    weights = STYLES.get_style_definition("Comic ").controlnet_weights
    assert dict(weights) == {"canny": 0.9, "depth": 0.5, "segmentation": 0.7, "scribble": 0.3}


@pytest.mark.parametrize("style", STYLES.names())
async def test_a_prompt_holds_meaning_and_word(style: str):
    prompt = await build(style=style, script="Han")
    assert "study" in prompt.main_prompt
    assert "the Chinese characters 学习" in prompt.main_prompt
    assert prompt.negative_prompt
    assert not {"{", "}"} & set(prompt.main_prompt)
    assert prompt.warnings == ()


@pytest.mark.parametrize(
    ("word", "script", "language", "kind"),
    [
        ("学", "Han", "zh", "the Chinese character"),
        ("学習", "Han", "ja", "the Japanese word"),
        ("سلام", "Arabic", "", "the Arabic word"),
        ("한", "Hangul", "ko", "the Hangul syllable"),
        ("1", "Common", "", "the word"),
    ],
)
def test_what_the_word_is_called(word: str, script: str, language: str, kind: str):
    assert word_kind(word, script, language) == kind


async def test_free_text_is_a_style_with_a_warning():
    prompt = await build(style="stained glass, leaded")
    assert "stained glass" in prompt.main_prompt
    assert "study" in prompt.main_prompt
    assert "stained glass" in prompt.warnings[0]


async def test_the_hint_is_woven_in():
    prompt = await build(hint="a roof over a child")
    assert "a roof over a child" in prompt.main_prompt


async def test_a_long_prompt_loses_whole_phrases_from_its_end():
    whole = (await build()).main_prompt
    short = await build(count_tokens=lambda text: len(text.split()), max_tokens=15)
    assert whole.startswith(short.main_prompt)
    assert len(short.main_prompt.split()) <= 15
    assert short.dropped
    assert short.dropped[-1] in whole
    assert short.dropped[-1] in short.warnings[0]


async def test_a_word_full_of_braces_stays_a_word():
    prompt = await build("{meaning}", "x{character}y")
    assert "{" not in prompt.main_prompt


@given(
    st.text(max_size=200),
    st.text(max_size=300),
    st.text(min_size=1, max_size=200),
    st.integers(8, 60),
)
async def test_any_texts_fit(translation: str, hint: str, style: str, longest: int):
    def count(text: str) -> int:
        return len(text.split(" "))

    prompt = await build(
        "学", translation, hint=hint, style=style, count_tokens=count, max_tokens=longest
    )
    assert 1 <= count(prompt.main_prompt) <= longest
    assert count(prompt.negative_prompt) <= longest
    assert len(prompt.main_prompt) <= 500
