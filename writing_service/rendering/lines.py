"""Where a text may break into lines (UAX #14), and how to break it evenly.

Thai, Lao, Khmer and Myanmar write no spaces, and their words can be told only with a dictionary. A break
inside a word is a mistake that a learner would copy, so they break at spaces alone.
"""

from collections.abc import Iterator, Sequence

from uniseg.linebreak import line_break_units

from writing_service.rendering.scripts import split_graphemes

MAX_LINES = 8

Span = tuple[int, int]
"""First character, and the one after the last."""


def break_units(text: str) -> list[str]:
    """The text in pieces between which a line may end; spaces belong to the piece before them.

    A grapheme cluster is never broken, whatever UAX #14 says.
    """
    whole = _ends(split_graphemes(text))
    units = [""]
    for unit in line_break_units(text):
        units[-1] += unit
        if sum(map(len, units)) in whole:
            units.append("")
    return [unit for unit in units if unit]


def breakings(units: Sequence[str], widths: Sequence[float]) -> Iterator[list[Span]]:
    """Ways to set the units in two and more lines of nearly equal width, without the spaces at their ends."""
    told = 1
    for count in range(2, min(MAX_LINES, len(units)) + 1):
        lines = even_split(widths, count)
        if len(lines) > told:
            told = len(lines)
            yield [_trimmed(units, first, end) for first, end in lines]


def even_split(widths: Sequence[float], count: int) -> list[Span]:
    """At most `count` runs of widths, none empty, of which the widest is as narrow as can be."""
    low, high = max(widths), sum(widths)
    for _ in range(20):
        limit = (low + high) / 2
        low, high = (low, limit) if len(_filled(widths, limit)) <= count else (limit, high)
    return _filled(widths, high)


def _filled(widths: Sequence[float], limit: float) -> list[Span]:
    """Each line as full as the limit allows."""
    lines: list[Span] = []
    start, filled = 0, 0.0
    for at, width in enumerate(widths):
        if at > start and filled + width > limit * (1 + 1e-9):
            lines.append((start, at))
            start, filled = at, 0.0
        filled += width
    return [*lines, (start, len(widths))]


def _trimmed(units: Sequence[str], first: int, end: int) -> Span:
    """In characters of the text."""
    start = sum(map(len, units[:first]))
    line = "".join(units[first:end])
    return start, start + len(line.rstrip(" "))


def _ends(pieces: Sequence[str]) -> set[int]:
    ends, at = set[int](), 0
    for piece in pieces:
        at += len(piece)
        ends.add(at)
    return ends
