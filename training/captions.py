"""Captions: one exactly as the service would prompt, one loosely worded."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import cache

from training.art import STYLES
from writing_service.config import load_settings
from writing_service.prompt.builder import PromptBuilder
from writing_service.prompt.styles import StyleDefinitions
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Meaning

COMMON: tuple[str, ...] = (
    *("cat face", "dog face", "fish", "bird", "horse face", "butterfly", "elephant", "rabbit face"),
    *("turtle", "honeybee", "red apple", "banana", "grapes", "lemon", "strawberry", "watermelon"),
    *("carrot", "mushroom", "bread", "pizza", "birthday cake", "hot beverage", "red heart", "star"),
    *("sun", "crescent moon", "cloud", "rainbow", "fire", "snowflake", "droplet", "water wave"),
    *("deciduous tree", "evergreen tree", "palm tree", "cactus", "sunflower", "tulip", "rose"),
    *("cherry blossom", "four leaf clover", "mountain", "house", "castle", "automobile", "bus"),
    *("bicycle", "airplane", "rocket", "sailboat", "open book", "pencil", "key", "umbrella"),
    *("guitar", "balloon", "soccer ball", "crown", "wrapped gift", "bell", "light bulb", "eye"),
    *("lotus", "dove"),
)
"""Pictograms that are also shown for the text alone."""

_LOOSE = (
    "{style}, {meaning}",
    "{meaning}, {style} style, {word}",
    "a {style} picture of {meaning}",
    "{style} illustration showing {meaning} and the word {word}",
    "{meaning} in the style of {style}",
)


def captions(
    word: str, script: str, meanings: Sequence[str], style: str, rng: random.Random
) -> tuple[str, str]:
    """(the service's prompt, a loose one). `meanings` are a concept's name, then other words for it."""
    name, others = meanings[0], meanings[1:]
    meaning = rng.choice(others) if others and rng.random() < 0.4 else name
    prompt = asyncio.run(
        _builder().build_prompt(word, style=style, meaning=Meaning(meaning), script=script)
    )
    loose = rng.choice(_LOOSE).format(style=style, meaning=name or "a calm scene", word=word)
    return prompt.main_prompt, loose


def caption_corpus() -> Iterator[str]:
    """Text to learn the tokenizer from: every concept with its words, in every style's template."""
    rng = random.Random(0)
    library = PictogramLibrary()
    for name in library.names():
        words = library.keywords_of(name)
        yield from [name] * 3
        yield from words
        for style in STYLES:
            yield from captions("字", "Han", [name, *words[:4]], style, rng)
    for style in STYLES:
        yield from [load_settings().ai_generation.styles[style].negative_prompt] * 50


@cache
def _builder() -> PromptBuilder:
    return PromptBuilder(StyleDefinitions(load_settings().ai_generation.styles))
