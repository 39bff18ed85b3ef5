"""Captions are what the embedded checkpoint has learnt: they change when it is trained again, not by the way."""

import random

import pytest

from training.captions import captions


@pytest.mark.parametrize(
    ("word", "script", "style", "caption"),
    [
        (
            *("猫", "Han", "comic"),
            "A vibrant comic book style illustration of cat face, inspired by the Chinese character 猫, "
            "featuring bold outlines and dynamic composition",
        ),
        (
            *("ねこ", "Hiragana", "watercolor"),
            "A soft watercolor painting depicting cat face, with flowing brushstrokes inspired by the Japanese word "
            "ねこ, featuring delicate washes and artistic spontaneity",
        ),
        (
            *("кот", "Cyrillic", "realistic"),
            "A realistic photograph of cat face, with the Cyrillic word кот as a solid relief, featuring natural "
            "light and fine detail",
        ),
        (
            *("고양이", "Hangul", "ink"),
            "A traditional ink wash painting of cat face, capturing the spirit of the Hangul word 고양이, with flowing "
            "brushstrokes and philosophical depth",
        ),
        (
            *("قط", "Arabic", "traditional"),
            "An ornate traditional folk art picture of cat face, with the Arabic word قط in calligraphy, featuring "
            "patterned paper and a decorated frame",
        ),
    ],
)
def test_the_captions_of_the_shipped_checkpoint(word: str, script: str, style: str, caption: str):
    assert captions(word, script, ["cat face"], style, random.Random(1))[0] == caption
