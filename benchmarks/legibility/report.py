"""What the records say: tables in Markdown, and a plot."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.legibility.records import GATED, Case, Record

BEGIN, END = "<!-- measured -->", "<!-- end of what is measured -->"
"""Between these lines of the document stand the tables."""

_BINS = np.linspace(0.5, 1.0, 21)


def table(cases: Sequence[Case], min_score: float) -> str:
    """Words read, by style and script; then what the score has to do with it."""
    return (
        "\n".join([*_reading(cases), "", *_by_weight(cases), "", *_agreement(cases, min_score)])
        + "\n"
    )


def put_into(document: Path, tables: str) -> None:
    """In place of the tables that stand there."""
    head, _, rest = document.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    document.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{tail}")


def _reading(cases: Sequence[Case]) -> Iterator[str]:
    heads = (
        "",
        "read in plain print",
        "of these, as first drawn",
        "of these, after the gate",
        "drawn again",
    )
    yield f"| {' | '.join(heads)} | score: median | lowest twentieth |"
    yield "|---|---|---|---|---|---|---|"
    yield _row("all", cases)
    for group in ("style", "script"):
        for name in dict.fromkeys(getattr(case.before, group) for case in cases):
            alike = [case for case in cases if getattr(case.before, group) == name]
            yield _row(f"— {name}", alike)


def _row(name: str, cases: Sequence[Case]) -> str:
    plain = [case for case in cases if case.plain.exact]
    scores = [case.before.score for case in cases]
    again = sum(case.after is not case.before for case in cases)
    return (
        f"| {name} | {len(plain)} of {len(cases)} | {_share([case.before for case in plain])} "
        f"| {_share([case.after for case in plain])} | {again} "
        f"| {np.median(scores):.3f} | {np.quantile(scores, 0.05):.3f} |"
    )


def _share(records: Sequence[Record]) -> str:
    read = sum(one.exact for one in records)
    return f"{read / len(records):.3f} ({read} of {len(records)})" if records else "–"


def _by_weight(cases: Sequence[Case]) -> Iterator[str]:
    """What is read in plain print alone."""
    yield "| control weights | read | score: median | lowest twentieth |"
    yield "|---|---|---|---|"
    by_factor: dict[str, list[Record]] = {}
    for case in cases:
        if case.plain.exact:
            by_factor.setdefault("1", []).append(case.before)
            for one in case.less:
                by_factor.setdefault(one.condition, []).append(one)
    for factor, records in by_factor.items():
        scores = [one.score for one in records]
        yield (
            f"| × {factor} | {_share(records)} | {np.median(scores):.3f} | {np.quantile(scores, 0.05):.3f} |"
        )


def _agreement(cases: Sequence[Case], min_score: float) -> Iterator[str]:
    """The score beside the readers, over all pictures of words that are read in plain print."""
    records = drawn(cases)
    scores = np.array([one.score for one in records])
    exact = np.array([one.exact for one in records])
    distances = np.array([one.distance for one in records])
    yield f"| the score beside OCR, over {len(records)} pictures | |"
    yield "|---|---|"
    if 0 < exact.sum() < len(exact):
        above = stats.mannwhitneyu(scores[exact], scores[~exact]).statistic
        yield (
            "| a read picture scores higher than an unread one (area under the ROC curve) "
            f"| {above / (exact.sum() * (~exact).sum()):.3f} |"
        )
        yield f"| point-biserial correlation with being read | {stats.pointbiserialr(exact, scores).statistic:.3f} |"
        yield f"| Spearman's correlation with the edit distance | {stats.spearmanr(scores, distances).statistic:.3f} |"
    low = scores < min_score
    yield f"| of the unread, below {min_score:g} | {_told(low & ~exact, ~exact)} |"
    yield f"| of the read, below {min_score:g} | {_told(low & exact, exact)} |"


def _told(some: np.ndarray, whole: np.ndarray) -> str:
    return f"{some.sum()} of {whole.sum()}"


def drawn(cases: Sequence[Case]) -> list[Record]:
    """Every picture whose word is read in plain print, those after the gate apart."""
    return [
        one
        for case in cases
        if case.plain.exact
        for one in (case.before, *case.less)
        if not one.condition.endswith(GATED)
    ]


def plot(file: Path, cases: Sequence[Case], min_score: float) -> None:
    """Scores of read and unread pictures; beside it, what part is read at each score."""
    records = drawn(cases)
    read = [one.score for one in records if one.exact]
    unread = [one.score for one in records if not one.exact]
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=110)
    counts, shares = figure.subplots(1, 2)
    colours, names = ("#2a7f62", "#c2543d"), ("read by OCR", "not read")
    for values, colour, name in zip((read, unread), colours, names, strict=True):
        counts.hist(values, _BINS, histtype="stepfilled", alpha=0.7, color=colour, label=name)
    counts.set(xlabel="legibility score", ylabel="pictures", yscale="log", ylim=(0.7, None))
    counts.axvline(min_score, color="black", linestyle="--", linewidth=1, label="drawn again below")
    counts.legend(loc="upper left")
    of_read, of_all = (np.histogram(values, _BINS)[0] for values in (read, read + unread))
    some = of_all > 0
    middles = (_BINS[:-1] + _BINS[1:]) / 2
    shares.plot(middles[some], of_read[some] / of_all[some], "o-", color=colours[0])
    shares.axvline(min_score, color="black", linestyle="--", linewidth=1)
    shares.set(
        xlabel="legibility score", ylabel="share read by OCR", ylim=(-0.03, 1.03), xlim=(0.5, 1)
    )
    for axes in (counts, shares):
        axes.grid(alpha=0.3)
    figure.savefig(file)
