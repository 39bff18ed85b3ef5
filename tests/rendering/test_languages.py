"""Which language a word is in."""

import pytest

from writing_service.rendering.languages import identify, language_code


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("学习", "Han", "zh"),
        ("食べる", "Hiragana", "ja"),
        ("勉強する", "Han", "ja"),
        ("カメラ", "Katakana", "ja"),
        ("사랑", "Hangul", "ko"),
        ("漢字말", "Han", "ko"),
        ("ㄅㄆ", "Bopomofo", "zh"),
        ("house", "Latin", ""),
        ("Straße", "Latin", "de"),
        ("đường", "Latin", "vi"),
        ("дом", "Cyrillic", ""),
        ("їжак", "Cyrillic", "uk"),
        ("воўк", "Cyrillic", "be"),
        ("қазақ", "Cyrillic", "kk"),
        ("σπίτι", "Greek", "el"),
        ("سلام", "Arabic", ""),
        ("پدر", "Arabic", "fa"),
        ("ٹیسٹ", "Arabic", "ur"),
        ("שלום", "Hebrew", "he"),
        ("कमल", "Devanagari", ""),
        ("ปลา", "Thai", "th"),
        ("Հայ", "Armenian", "hy"),
        ("ქართ", "Georgian", "ka"),
        ("ខ្មែរ", "Khmer", "km"),
        ("བོད", "Tibetan", "bo"),
        ("ᠮᠣᠩᠭᠣᠯ", "Mongolian", "mn"),
        ("\uf8d3\uf8d9", "Klingon", "tlh"),
        ("\ue000\ue040", "Tengwar", ""),
        ("\ue080", "Cirth", ""),
        ("123", "Common", ""),
    ],
)
def test_the_script_and_its_likely_language(text: str, script: str, language: str):
    report = identify(text)
    assert (report.script, report.language, report.warnings) == (script, language, ())


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("auto", None),
        (" ", None),
        ("Chinese", "zh"),
        ("中文", "zh"),
        ("Mandarin", "zh"),
        ("zh_TW", "zh-tw"),
        ("zh-Hant", "zh-tw"),
        ("zh-Hant-HK", "zh-hk"),
        ("Traditional  Chinese", "zh-tw"),
        ("Cantonese", "zh-hk"),
        ("zh-Hans-CN", "zh"),
        ("de-AT", "de"),
        ("deu", "de"),
        ("Deutsch", "de"),
        ("en_US", "en"),
        ("Swahili", "sw"),
        ("Tibetan", "bo"),
        ("Klingon", "tlh"),
        ("elvish", "sjn"),
        ("Quenya", "qya"),
        ("Dothraki", "dothraki"),
    ],
)
def test_names_and_codes_of_languages(asked: str, code: str | None):
    assert language_code(asked) == code


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("学习", "zh-hk"),
        ("ёж", "ru"),
        ("سلام", "persian"),
        ("नमस्ते", "nepali"),
        ("\ue000", "elvish"),
        ("\uf8d0", "klingon"),
        ("Qapla'", "klingon"),
        ("ᠮᠣᠩᠭᠣᠯ", "mongolian"),
        ("монгол", "mongolian"),
        ("123", "thai"),
    ],
)
def test_a_language_that_fits_the_script_is_taken(text: str, language: str):
    report = identify(text, language)
    assert report.language == language_code(language)
    assert report.warnings == ()


def test_a_language_that_contradicts_the_script_is_a_warning():
    report = identify("学习", "russian")
    assert report.language == "zh"
    assert "Han" in report.warnings[0]


def test_an_unknown_language_is_a_warning_and_the_script_decides():
    report = identify("学习", "dothraki")
    assert report.language == "zh"
    assert "dothraki" in report.warnings[0]
