"""The stroke data against known facts, and how it lies on drawn characters."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.strokes import (
    FOLDER,
    LEAST_FIT,
    CharacterStrokes,
    StrokeLibrary,
    placed,
    read_set,
    with_strokes,
)
from writing_service.types import Box, RenderedWord, Size, StrokeType

LIBRARY = StrokeLibrary()
RENDERER = WordRenderer(FontLibrary())
HANZI_WRITER, KANJIVG = "hanzi-writer-data", "kanjivg"
H, V, L, R, D, T = (
    StrokeType.HORIZONTAL,
    StrokeType.VERTICAL,
    StrokeType.FALLING_LEFT,
    StrokeType.FALLING_RIGHT,
    StrokeType.DOT,
    StrokeType.TURN,
)


def of(source: str, character: str) -> CharacterStrokes:
    """The strokes of one data set."""
    return next(one for one in LIBRARY.candidates(character) if one.source == source)


@lru_cache
def drawn(character: str, language: str = "zh", side: int = 256) -> RenderedWord:
    """One character nearly as large as the canvas."""
    margin = side // 16
    box = Box(margin, margin, side - 2 * margin, side - 2 * margin)
    return RENDERER.render(character, language, Size(side, side), box)


@pytest.mark.parametrize(
    ("character", "radical", "sets"),
    [
        ("学", [5, 6, 7], 2),
        ("習", [0, 1, 2, 3, 4, 5], 2),
        ("明", [0, 1, 2, 3], 2),
        ("江", [0, 1, 2], 2),
        # Simplified, so not in KanjiVG.
        ("树", [0, 1, 2, 3], 1),
    ],
)
def test_radicals_are_as_dictionaries_have_them(
    character: str, radical: list[int], sets: int
) -> None:
    found = list(LIBRARY.candidates(character))
    assert len(found) == sets
    for one in found:
        assert [n for n, stroke in enumerate(one.strokes) if stroke.radical] == radical


@pytest.mark.parametrize(
    ("character", "count"), [("永", 5), ("学", 8), ("习", 3), ("猫", 11), ("一", 1), ("鬱", 29)]
)
def test_stroke_counts(character: str, count: int) -> None:
    assert {len(one.strokes) for one in LIBRARY.candidates(character)} == {count}


@pytest.mark.parametrize(
    ("character", "types"),
    [
        ("一", [H]),
        ("十", [H, V]),
        ("八", [L, R]),
        ("六", [D, H, L, D]),
        ("乙", [T]),
        ("口", [V, T, H]),
        ("大", [H, L, R]),
        ("小", [T, L, D]),
    ],
)
def test_stroke_types_of_simple_characters(character: str, types: list[StrokeType]) -> None:
    assert [stroke.type for stroke in of(HANZI_WRITER, character).strokes] == types


def test_types_of_kanjivg_are_its_own() -> None:
    assert [stroke.type for stroke in of(KANJIVG, "十").strokes] == [H, V]
    assert [stroke.type for stroke in of(KANJIVG, "乙").strokes] == [T]
    assert [stroke.type for stroke in of(KANJIVG, "八").strokes] == [L, R]


def test_the_classifier_agrees_with_the_dictionary() -> None:
    ours, known = read_set(FOLDER / "hanzi_writer.npz"), read_set(FOLDER / "stroke_types.npz")
    pairs = [
        (ours.stroke_types(character), known.stroke_types(character))
        for character in LIBRARY.characters(HANZI_WRITER)
    ]
    same_count = [(one, other) for one, other in pairs if len(one) == len(other)]
    equal = [a == b for pair in same_count for a, b in zip(*pair, strict=True)]
    assert np.mean(equal) > 0.95


def test_writing_order_goes_down_and_to_the_right() -> None:
    for source in (HANZI_WRITER, KANJIVG):
        three = [stroke.line for stroke in of(source, "三").strokes]
        assert [float(line[:, 1].mean()) for line in three] == sorted(
            float(line[:, 1].mean()) for line in three
        )
        assert all(line[0, 0] < line[-1, 0] for line in three)


def test_components_are_counted_in_writing_order() -> None:
    assert [s.component for s in of(KANJIVG, "明").strokes] == [0] * 4 + [1] * 4
    assert [s.component for s in of(HANZI_WRITER, "明").strokes] == [0] * 4 + [1] * 4
    # 国: the enclosure is closed last, and is one component all the same.
    assert [s.component for s in of(KANJIVG, "国").strokes] == [0, 0, 1, 1, 1, 1, 1, 0]


def test_the_language_chooses_the_data_set() -> None:
    assert source_of("学", "ja") == KANJIVG
    assert {source_of("学", code) for code in ("zh", "zh-tw", "ko", "")} == {HANZI_WRITER}
    assert source_of("习", "ja") == HANZI_WRITER


def source_of(character: str, language: str) -> str | None:
    """The data set that the language gets, if one has the character."""
    found = LIBRARY.find(character, language)
    return found.source if found else None


@pytest.mark.parametrize("character", ["あ", "ん", "ア", "ガ", "ー", "ゃ", "ヴ"])
def test_kana_have_strokes_but_no_radical(character: str) -> None:
    assert source_of(character, "ja") == KANJIVG
    assert not any(stroke.radical for stroke in of(KANJIVG, character).strokes)


@pytest.mark.parametrize("text", ["", "a", "ع", "学习", "\ud800", "é", "。", "\U0010ffff"])
def test_what_no_set_has_is_none(text: str) -> None:
    assert LIBRARY.find(text, "zh") is None


def test_variation_selectors_do_not_matter() -> None:
    assert source_of("学\ufe00", "zh") == source_of("学\U000e0100", "zh") == HANZI_WRITER


def test_lines_lie_in_the_unit_square_and_cannot_be_changed() -> None:
    for source in (HANZI_WRITER, KANJIVG):
        for character in LIBRARY.characters(source)[::97]:
            for stroke in of(source, character).strokes:
                assert stroke.line.dtype == np.float32
                assert len(stroke.line) >= 2
                assert ((stroke.line >= 0) & (stroke.line <= 1)).all()
                assert not stroke.line.flags.writeable


@pytest.mark.parametrize("side", [48, 128, 512, 1024])
@pytest.mark.parametrize(("character", "language"), [("永", "zh"), ("学", "ja"), ("猫", "zh")])
def test_placed_strokes_lie_on_the_ink(character: str, language: str, side: int) -> None:
    word = drawn(character, language, side)
    found = LIBRARY.find(character, language)
    assert found
    strokes, fit = placed(found, word.characters[0].box, word.mask)
    assert fit > LEAST_FIT
    assert len(strokes) == len(found.strokes)
    for stroke in strokes:
        assert on_ink(stroke.line, word) > 0.8


def on_ink(line: np.ndarray, word: RenderedWord) -> float:
    """Share of a line that runs over ink."""
    share = np.linspace(0, len(line) - 1, 50)
    columns, rows = (
        np.interp(share, range(len(line)), line[:, axis]).astype(int) for axis in (0, 1)
    )
    return float((word.mask[rows, columns] > 127).mean())


def test_an_offset_character_gets_its_strokes_where_it_is() -> None:
    alone = drawn("永", "zh", 256)
    canvas = np.zeros((400, 700), np.uint8)
    canvas[100:356, 400:656] = alone.mask
    box = alone.characters[0].box
    moved = Box(box.left + 400, box.top + 100, box.width, box.height)
    here, fit = placed(of(HANZI_WRITER, "永"), box, alone.mask)
    there, same_fit = placed(of(HANZI_WRITER, "永"), moved, canvas)
    assert fit == same_fit
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(other.line - one.line, [(400, 100)] * len(one.line), atol=1e-2)


def test_the_same_input_gives_the_same_strokes_and_stays_as_it_is() -> None:
    word, found = drawn("树"), of(HANZI_WRITER, "树")
    before, lines = word.mask.copy(), [stroke.line.copy() for stroke in found.strokes]
    first, second = (placed(found, word.characters[0].box, word.mask) for _ in range(2))
    assert first[1] == second[1]
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one.line, other.line)
    np.testing.assert_array_equal(before, word.mask)
    for stroke, line in zip(found.strokes, lines, strict=True):
        np.testing.assert_array_equal(stroke.line, line)


@pytest.mark.parametrize(
    ("wrong", "right"), [("永", "国"), ("学", "明"), ("三", "川"), ("猫", "得")]
)
def test_strokes_of_another_character_do_not_fit(wrong: str, right: str) -> None:
    word = drawn(right)
    assert placed(of(HANZI_WRITER, wrong), word.characters[0].box, word.mask)[1] < LEAST_FIT


@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(90, 90, 50, 50), Box(0, 0, 60, 60)])
def test_where_nothing_is_drawn_there_are_no_strokes(box: Box) -> None:
    assert placed(of(HANZI_WRITER, "永"), box, np.zeros((64, 64), np.uint8)) == ((), 0.0)


def test_words_get_strokes_for_the_characters_that_have_them() -> None:
    plain = RENDERER.render("学习aあ", "zh", Size(512, 256), Box(20, 20, 472, 216))
    word = with_strokes(plain, LIBRARY)
    assert [len(one.strokes) for one in word.characters] == [8, 3, 0, 3]
    sources = [one.stroke_source for one in word.characters]
    assert sources == [HANZI_WRITER, HANZI_WRITER, None, KANJIVG]
    for character in word.characters:
        for stroke in character.strokes:
            assert on_ink(stroke.line, word) > 0.8
            assert (stroke.line >= (character.box.left, character.box.top)).all()
    assert not any(one.strokes for one in plain.characters)


def test_another_glyph_under_the_name_gets_no_strokes() -> None:
    word = drawn("国")
    disguised = replace(word, characters=(replace(word.characters[0], text="永"),))
    assert with_strokes(disguised, LIBRARY).characters[0].strokes == ()


def test_threads_may_share_a_library() -> None:
    library = StrokeLibrary()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(library.find, "永学习明江树猫永" * 4, ["zh", "ja"] * 16))
    assert all(found)


@given(st.characters(min_codepoint=0x2E80, max_codepoint=0x323AF), st.sampled_from(["zh", "ja"]))
@settings(deadline=None, max_examples=150)
def test_no_character_breaks_the_search(character: str, language: str) -> None:
    found = LIBRARY.find(character, language)
    assert found is None or found.strokes


@given(
    st.sampled_from(LIBRARY.characters(HANZI_WRITER)),
    st.sampled_from("永一丨口鬱"),
    st.tuples(*[st.integers(-40, 200)] * 2, *[st.integers(0, 300)] * 2),
)
@settings(deadline=None, max_examples=60)
def test_no_box_breaks_the_placing(character: str, glyph: str, box: tuple[int, ...]) -> None:
    strokes, fit = placed(of(HANZI_WRITER, character), Box(*box), drawn(glyph).mask)
    assert 0 <= fit <= 1
    assert all(np.isfinite(stroke.line).all() for stroke in strokes)
    assert all(len(stroke.line) >= 2 for stroke in strokes)


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("hanzi_writer", "ARPHICPL.TXT"),
        ("kanjivg", "COPYING-kanjivg.txt"),
        ("stroke_types", "LICENSE-cnchar.txt"),
    ],
)
def test_each_file_says_where_it_is_from(name: str, licence: str) -> None:
    with np.load(FOLDER / f"{name}.npz") as columns:
        notice = str(columns["notice"])
    assert licence in notice
    assert "Changed for this project" in notice
    assert (FOLDER / licence).stat().st_size > 1000
