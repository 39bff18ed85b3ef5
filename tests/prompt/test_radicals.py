"""Radicals and what they show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.prompt.radicals import radical_hints, radical_of
from writing_service.rendering.strokes import StrokeLibrary


@pytest.mark.parametrize(
    ("character", "radical", "shows"),
    [
        ("河", "氵", "water"),
        ("水", "水", "water"),
        ("林", "木", "wood"),
        ("说", "讠", "speech"),
        ("語", "言", "speech"),
        ("明", "日", "the sun"),
        ("休", "亻", "a person"),
        ("花", "艹", "grass"),
        ("铁", "钅", "metal"),
    ],
)
def test_what_a_radical_shows(character: str, radical: str, shows: str):
    (hint,) = radical_hints(character)
    assert (hint.character, hint.shows) == (character, shows)
    assert hint.radical == radical


def test_each_character_in_turn_once():
    assert [one.character for one in radical_hints("河水河 a")] == ["河", "水"]


@pytest.mark.parametrize("text", ["", "a", "ね", "한", "龘龘a", "\u9fff", "㐀"])
def test_what_has_none_gives_none_or_its_own(text: str):
    assert all(radical_of(one.character) for one in radical_hints(text))


def test_where_the_stroke_data_mark_a_radical_there_is_one():
    """Two sources: Unicode's order of the characters, and which strokes are marked in the stroke data."""
    library = StrokeLibrary()
    water = [c for c in map(chr, range(0x6C34, 0x706B)) if library.find(c)]
    assert len(water) > 300
    marked = [sum(stroke.radical for stroke in library.find(c).strokes) for c in water]
    assert sum(2 <= count <= 5 for count in marked) > 0.8 * len(marked)


@given(st.characters())
def test_any_character_has_one_radical_or_none(character: str):
    assert len(list(radical_hints(character))) <= 1
