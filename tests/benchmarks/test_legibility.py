"""The words of the legibility benchmark, its records that can be cut short, its report."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.legibility.records import AFTER, BEFORE, GATED, PLAIN, Key, Record, Records
from benchmarks.legibility.report import plot, put_into, table
from benchmarks.legibility.words import WORDS, some, unread
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Meaning, Pixels


def record(text: str, condition: str, score: float, distance: float) -> Record:
    return Record(text, "Latin", "ink", condition, score, score, distance, text, "parrot")


RECORDS = (
    record("cat", PLAIN, 1.0, 0.0),
    record("cat", BEFORE, 0.8, 0.5),
    record("cat", AFTER, 0.95, 0.0),
    record("cat", "0", 0.6, 1.0),
    record("cat", f"0.05{GATED}", 0.97, 0.0),
    record("owl", PLAIN, 1.0, 0.0),
    record("owl", BEFORE, 0.98, 0.0),
    record("fox", PLAIN, 1.0, 0.3),
    record("fox", BEFORE, 0.97, 0.3),
)


def test_a_hundred_words_in_twenty_scripts_have_subjects():
    library = PictogramLibrary()
    assert len({word.text for word in WORDS}) == 100
    assert len({word.script for word in WORDS}) == 20
    assert all(library.find(Meaning(word.meaning)) for word in WORDS)
    assert len({word.script for word in some(20)}) == 20
    assert some(100) == list(WORDS)


class Parrot:
    """A reader that needs nothing, or something that is not here, and knows two scripts."""

    name = "parrot"

    def __init__(self, needs: str | None = None) -> None:
        self._needs = needs

    def missing(self) -> str | None:
        return self._needs

    def language_for(self, script: str, language: str) -> str | None:
        return "own" if script in ("Latin", "Han") else None

    def texts(self, crop: Pixels, length: int, language: str) -> Iterator[str]:
        yield from ()


def test_scripts_that_nothing_reads_are_told_before_anything_is_drawn():
    words = [word for word in WORDS if word.script in ("Han", "Latin", "Thai")]
    assert unread(words, [Parrot()]) == ["Thai"]
    assert unread(words, [Parrot(needs="seeds")]) == ["Han", "Latin", "Thai"]


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path):
    file = tmp_path / "records.jsonl"
    records = Records(file)
    for one in RECORDS[:3]:
        records.add(one)
    with file.open("a") as open_file:
        open_file.write('{"text": "ow')
    again = Records(file)
    assert [again.get(one.key) for one in RECORDS[:4]] == [*RECORDS[:3], None]
    again.add(RECORDS[3])
    assert Records(file).get(Key("cat", "ink", "0")) == RECORDS[3]
    assert Records(file).case("owl", "ink") is None


def test_only_words_that_are_read_plain_are_counted(tmp_path: Path):
    records = Records(tmp_path / "records.jsonl")
    for one in RECORDS:
        records.add(one)
    cases = [case for text in ("cat", "owl", "fox") if (case := records.case(text, "ink"))]
    told = table(cases, 0.9)
    assert "| all | 2 of 3 | 0.500 (1 of 2) | 1.000 (2 of 2) | 1 |" in told
    assert "| × 0 | 0.000 (0 of 1) | 0.600 |" in told
    assert "| × 0.05, then the gate | 1.000 (1 of 1) | 0.970 |" in told
    assert "(area under the ROC curve) | 1.000 |" in told
    assert "| of the unread, below 0.9 | 2 of 2 |" in told
    document = tmp_path / "legibility.md"
    document.write_text(
        "Before.\n\n<!-- measured -->\n\nold\n\n<!-- end of what is measured -->\nAfter.\n"
    )
    put_into(document, told)
    put_into(document, told)
    text = document.read_text()
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert (text.count("| all |"), "old" in text) == (1, False)
    plot(tmp_path / "plot.webp", cases, 0.9)
    assert (tmp_path / "plot.webp").stat().st_size > 1000
