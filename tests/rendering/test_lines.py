"""Where lines may end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.rendering.lines import break_units, breakings, even_split
from writing_service.rendering.scripts import split_graphemes


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("the quick fox", ["the ", "quick ", "fox"]),
        ("well-known", ["well-", "known"]),
        ("「学」习，好。", ["「学」", "习，", "好。"]),
        ("カメラー", ["カ", "メ", "ラー"]),
        ("ちょっと", ["ちょっ", "と"]),
        ("사랑 해", ["사", "랑 ", "해"]),
        ("السلام عليكم", ["السلام ", "عليكم"]),
        ("བོད་སྐད", ["བོད་", "སྐད"]),
        # No spaces, and words only a dictionary can tell.
        ("ภาษาไทย", ["ภาษาไทย"]),
        ("ភាសាខ្មែរ", ["ភាសាខ្មែរ"]),
        ("สวัสดี ครับ", ["สวัสดี ", "ครับ"]),
        ("👨‍👩‍👧👍🏽", ["👨‍👩‍👧", "👍🏽"]),
        ("\ue000\ue040\ue001", ["\ue000\ue040\ue001"]),
    ],
)
def test_lines_end_at_legal_places(text: str, units: list[str]):
    assert break_units(text) == units


@given(st.text(max_size=50))
def test_no_break_is_inside_a_cluster_and_nothing_is_lost(text: str):
    units = break_units(text)
    assert "".join(units) == text
    assert [c for unit in units for c in split_graphemes(unit)] == split_graphemes(text)


@given(st.lists(st.sampled_from(["ab ", "c ", "defg ", "学", "习"]), min_size=1, max_size=30))
def test_breaking_loses_only_spaces(units: list[str]):
    text = "".join(units)
    widths = [float(len(unit)) for unit in units]
    for spans in breakings(units, widths):
        assert 2 <= len(spans) <= 8
        lines = [text[start:end] for start, end in spans]
        assert all(line.strip() == line for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.lists(st.floats(0.5, 9), min_size=1, max_size=12), st.integers(1, 8))
def test_the_widest_line_is_as_narrow_as_can_be(widths: list[float], count: int):
    lines = even_split(widths, count)
    assert [at for start, end in lines for at in range(start, end)] == list(range(len(widths)))
    assert len(lines) <= count
    widest = max(sum(widths[start:end]) for start, end in lines)
    assert widest <= best(widths, count) * 1.001


def best(widths: list[float], count: int) -> float:
    """By trying every first line."""
    if count == 1 or len(widths) == 1:
        return sum(widths)
    rest = (max(sum(widths[:n]), best(widths[n:], count - 1)) for n in range(1, len(widths)))
    return min(sum(widths), *rest)
