"""What the picture shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.prompt.semantics import clean, understand


@pytest.mark.parametrize(
    ("translation", "subject", "keywords"),
    [
        ("study", "study", ()),
        ("to study; to learn", "study", ("learn",)),
        ("a cat", "cat", ()),
        ("fire (element), flame / blaze", "fire", ("flame", "blaze")),
        ("house or home", "house", ("home",)),
        ("study; study", "study", ()),
    ],
)
def test_the_first_sense_is_the_subject(translation: str, subject: str, keywords: tuple[str, ...]):
    meaning = understand(translation, "")
    assert (meaning.subject, meaning.keywords, meaning.source) == (subject, keywords, "translation")


def test_a_hint_alone_is_the_subject_and_beside_a_translation_a_hint():
    assert understand("", "a roof over a child").subject == "a roof over a child"
    assert understand("", "a roof over a child").source == "hint"
    assert understand("study", "a roof over a child").hint == "a roof over a child"


def test_nothing_is_known_of_nothing():
    assert understand(" ", "").source == "none"


@given(st.text(), st.text())
def test_any_text_becomes_one_line_without_weights(translation: str, hint: str):
    meaning = understand(translation, hint)
    for text in (meaning.subject, meaning.hint, *meaning.keywords, clean(hint)):
        assert not set(text) & set("(){}[]<>\\|\n\r\t\0")
        assert text == " ".join(text.split())
