"""Words that are in no training sample: everyday ones of ten scripts, of one to eight characters.

All are read by tesseract in plain print, and have a subject in the pictogram library. Whatever is
measured with them tells what the networks do with words that they cannot know by heart.
"""

from typing import NamedTuple

SCRIPTS = {
    "chi_sim": "Han",
    "jpn": "kana",
    "kor": "Hangul",
    "deu": "Latin",
    "eng": "Latin",
    "rus": "Cyrillic",
    "ell": "Greek",
    "ara": "Arabic",
    "heb": "Hebrew",
    "hin": "Devanagari",
    "tha": "Thai",
}
"""By the reader's language."""

_WORDS = {
    "chi_sim": "猫 cat, 火 fire, 鞋 shoe, 桥 bridge, 学习 study, 蝴蝶 butterfly, 西瓜 watermelon, "
    "火箭 rocket, 望远镜 telescope, 冰淇淋 ice cream",
    "jpn": "さくら cherry blossom, うさぎ rabbit, とけい clock, かさ umbrella, くるま car, みかん tangerine, "
    "ケーキ cake, ピアノ piano, ロケット rocket, トマト tomato",
    "kor": "사랑 love, 빵 bread, 새 bird, 우산 umbrella, 자전거 bicycle, 나비 butterfly, 비행기 airplane, "
    "눈사람 snowman, 물고기 fish, 컴퓨터 computer",
    "deu": "Apfel apple, Schlüssel key, Käse cheese, Brücke bridge, Löwe lion",
    "eng": "flower flower, guitar guitar, owl owl, umbrella umbrella, castle castle",
    "rus": "дом house, солнце sun, рыба fish, бабочка butterfly, сыр cheese, медведь bear, слон elephant, "
    "гитара guitar, лев lion, зонт umbrella",
    "ell": "βιβλίο book, ψάρι fish, κλειδί key, ποδήλατο bicycle, ομπρέλα umbrella, λιοντάρι lion, "
    "χιόνι snow, κιθάρα guitar, αυτί ear, πεταλούδα butterfly",
    "ara": "سلام peace, مفتاح key, دراجة bicycle, ساعة clock, أسد lion, ثلج snow, فراشة butterfly, "
    "قطار train, موز banana, قلم pen",
    "heb": "שלום peace, דג fish, תפוח apple, גבינה cheese, אופניים bicycle, שעון clock, אריה lion, "
    "פרפר butterfly, כוכב star, מלך king",
    "hin": "कमल lotus, मछली fish, सेब apple, चाबी key, साइकिल bicycle, छाता umbrella, शेर lion, "
    "तितली butterfly, हाथी elephant, मोर peacock",
    "tha": "ปลา fish, กุญแจ key, จักรยาน bicycle, ร่ม umbrella, สิงโต lion, ผีเสื้อ butterfly, "
    "กล้วย banana, ช้าง elephant, ดาว star, เรือ boat",
}
"""By the reader's language: a word, then its meaning."""


class HeldOut(NamedTuple):
    """`language` is tesseract's."""

    word: str
    language: str
    meaning: str

    @property
    def script(self) -> str:
        """As the figures call it."""
        return SCRIPTS[self.language]


def _entry(language: str, text: str) -> HeldOut:
    word, _, meaning = text.strip().partition(" ")
    return HeldOut(word, language, meaning)


HELD_OUT: tuple[HeldOut, ...] = tuple(
    _entry(language, text) for language, words in _WORDS.items() for text in words.split(",")
)
"""Ten of each script, script by script."""
