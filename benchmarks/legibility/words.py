"""A hundred everyday words in twenty scripts, each with a subject in the pictogram library.

tesseract needs its data for all of them (Debian: tesseract-ocr-amh, -ara, -ben, -chi-sim, -deu, -ell, -guj, -heb, -hin,
-hye, -jpn, -kan, -kat, -kor, -mal, -pan, -rus, -tam, -tel, -tha).
"""

from collections.abc import Sequence
from typing import NamedTuple

from writing_service.legibility.reading import READERS, Reader
from writing_service.rendering.scripts import script_of

_WORDS = {
    "Han": "猫 cat, 学习 study, 火箭 rocket, 蝴蝶 butterfly, 西瓜 watermelon",
    "kana": "さくら cherry blossom, とけい clock, くるま car, トマト tomato, ピアノ piano",
    "Hangul": "우산 umbrella, 나비 butterfly, 빵 bread, 물고기 fish, 자전거 bicycle",
    "Latin": "Apfel apple, Brücke bridge, flower flower, guitar guitar, castle castle",
    "Cyrillic": "дом house, рыба fish, солнце sun, медведь bear, зонт umbrella",
    "Greek": "ψάρι fish, κλειδί key, βιβλίο book, χιόνι snow, λιοντάρι lion",
    "Arabic": "سلام peace, مفتاح key, ساعة clock, قلم pen, قطار train",
    "Hebrew": "דג fish, תפוח apple, שעון clock, כוכב star, אריה lion",
    "Devanagari": "कमल lotus, मछली fish, सेब apple, चाबी key, छाता umbrella",
    "Thai": "ปลา fish, กุญแจ key, ช้าง elephant, ดาว star, เรือ boat",
    "Bengali": "মাছ fish, ফুল flower, নৌকা boat, বই book, হাতি elephant",
    "Gurmukhi": "ਮੱਛੀ fish, ਫੁੱਲ flower, ਹਾਥੀ elephant, ਘਰ house, ਰੁੱਖ tree",
    "Gujarati": "માછલી fish, ફૂલ flower, હાથી elephant, ઘર house, ઝાડ tree",
    "Tamil": "மீன் fish, மரம் tree, யானை elephant, பூ flower, வீடு house",
    "Telugu": "చేప fish, పువ్వు flower, ఏనుగు elephant, ఇల్లు house, చెట్టు tree",
    "Kannada": "ಮೀನು fish, ಹೂವು flower, ಆನೆ elephant, ಮನೆ house, ಮರ tree",
    "Malayalam": "മീൻ fish, പൂവ് flower, ആന elephant, വീട് house, മരം tree",
    "Georgian": "თევზი fish, ყვავილი flower, სახლი house, ხე tree, წიგნი book",
    "Armenian": "ձուկ fish, ծաղիկ flower, տուն house, ծառ tree, գիրք book",
    "Ethiopic": "ዓሣ fish, አበባ flower, ቤት house, ዛፍ tree, ዝሆን elephant",
}
"""By script: a word, then its meaning."""


class Word(NamedTuple):
    """`number` is its place in the whole list and the seed that it is drawn with."""

    number: int
    text: str
    script: str
    meaning: str


def _all() -> list[Word]:
    entries = [
        (*entry.strip().partition(" ")[::2], script)
        for script, several in _WORDS.items()
        for entry in several.split(",")
    ]
    return [
        Word(number, text, script, meaning)
        for number, (text, meaning, script) in enumerate(entries)
    ]


WORDS: tuple[Word, ...] = tuple(_all())
"""Five of each script, script by script."""


def some(count: int) -> list[Word]:
    """So many of them, spread over the scripts."""
    by_turns = sorted(WORDS, key=lambda word: (word.number % 5, word.number))
    return sorted(by_turns[:count], key=lambda word: word.number)


def unread(words: Sequence[Word], readers: Sequence[Reader] = READERS) -> list[str]:
    """Their scripts, by Unicode's names, that no reader knows that is here."""
    here = [reader for reader in readers if not reader.missing()]
    scripts = dict.fromkeys(script_of(word.text[0]) for word in words)
    return [one for one in scripts if not any(reader.language_for(one, "") for reader in here)]
