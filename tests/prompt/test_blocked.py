"""Words that are not drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import BlockedWord
from writing_service.prompt.blocked import BlockedWords

LIST = BlockedWords(["Gore", "hot dog", "血", "étude", " "])


def refuses(words: BlockedWords, text: str) -> bool:
    try:
        words.refuse({"translation": text})
    except BlockedWord:
        return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        *("gore", "GORE!", "so much gore.", "ｇｏｒｅ", "g\u200bore", "hot  dog", "Hot\nDog stand"),
        *("流血", "e\u0301tude", "ÉTUDE"),
    ],
)
def test_however_it_is_written_it_is_refused(text: str):
    with pytest.raises(BlockedWord, match="'translation' holds"):
        LIST.refuse({"word": "ok", "translation": text})


@pytest.mark.parametrize(
    "text", ["", "Gorey", "categorey", "hot dogs", "dog", "学习", "gore_field"]
)
def test_what_only_holds_its_letters_is_not(text: str):
    assert not refuses(LIST, text)


@given(st.text())
def test_without_a_list_nothing_is_refused(text: str):
    assert not refuses(BlockedWords([]), text)
    assert not refuses(BlockedWords(["", " "]), text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_blocked_word_stands_out_of_any_text(before: str, after: str):
    with pytest.raises(BlockedWord):
        LIST.refuse({"hint_writing": f"{before} gore {after}"})
