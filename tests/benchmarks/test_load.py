"""The load benchmark's arithmetic and its table; the run itself is `make bench-load`."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.__main__ import Options, parse
from benchmarks.load.overload import Answer, Outcome, percentile, table, write

PICTURE, FULL = Answer(200, 2.0), Answer(503, 0.004, "7")


def outcome(*answers: Answer) -> Outcome:
    return Outcome(120.0, 0.7, 1.4, answers, (0.002, 0.004, 0.05), (1.0, 3.0, 5.0, 5.0, 4.0, 4.0))


def test_what_is_drawn_refused_and_neither_is_told_apart():
    found = outcome(
        PICTURE, FULL, Answer(504, 30.0), Answer(503, 0.1, "1"), Answer(500, 1.0), Answer(0, 5.0)
    )
    assert found.drawn == (2.0,)
    assert len(found.refused) == 3
    assert [one.status for one in found.failures] == [500, 0]


def test_a_refusal_that_does_not_say_when_to_come_back_is_a_failure():
    assert not Answer(429, 0.1).polite
    assert not Answer(503, 0.1).polite
    assert outcome(Answer(429, 0.1), Answer(503, 0.1)).failures == (
        Answer(429, 0.1),
        Answer(503, 0.1),
    )
    assert not outcome(PICTURE, FULL, Answer(504, 30.0)).failures


def test_the_table():
    told = table(outcome(*[PICTURE] * 3, FULL))
    assert "1.40 requests a second for 120 s, 2 times the 0.70" in told
    assert "| drawn (200) | 3 | 2.0 s | 2.0 s | 2.0 s |" in told
    assert "| refused (503, 504) | 1 | 4 ms | 4 ms | 4 ms |" in told
    assert "| `/health` meanwhile | 3 | 4 ms | 50 ms | 50 ms |" in told
    assert "0 of 4 requests were neither" in told
    assert "Memory: 1, 3, 5, 5, 4 MB before and after each quarter" in told


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("Head\n<!-- load: begin -->old<!-- load: end -->\nTail\n")
    for _ in range(2):
        write(page, "load", "new")
    assert page.read_text() == "Head\n<!-- load: begin -->\n\nnew\n\n<!-- load: end -->\nTail\n"
    with pytest.raises(ValueError, match="no place"):
        write(page, "other", "new")


@given(st.lists(st.floats(0, 100), min_size=1), st.sampled_from([50, 95, 99]))
def test_so_many_per_cent_lie_at_or_below_a_percentile(values: list[float], percent: int):
    found = percentile(values, percent)
    below = sum(value <= found for value in values)
    assert found in values
    assert 100 * below >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_nothing_has_no_percentile():
    assert math.isnan(percentile([], 50))


def test_the_command_line():
    assert parse(["seconds=20", "what=overload", "api.max_queue=4"]) == Options(
        what="overload", seconds=20, settings=("api.max_queue=4",)
    )
    for wrong in ("second=1", "seconds=x", "what=all"):
        with pytest.raises(SystemExit):
            parse([wrong])
