"""All figures of one card so far, as the tables of docs/performance.md."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.bench import Bench

Row = Mapping[str, Any]

A100_TFLOPS = 312.0
PEAK_TFLOPS = {"A100": A100_TFLOPS, "H100": 989.0, "H200": 989.0}
"""Dense bfloat16, by the makers' data sheets (SXM)."""

HEADLINE_SIDE = 1024
HEADLINE = {1: (6, 8), 4: (18, 24), 8: (32, 45)}
"""Seconds on an A100, by pictures in a batch: what the project was promised to take."""

HIDDEN = (
    *("part", "name", "skipped", "failed", "side", "pictures", "steps", "united"),
    *("unet_rows", "shallow_rows", "control_rows"),
)
"""What a row's name says already, or what the floor was computed from."""


def report(bench: Bench) -> None:
    """Print them, and write them beside the figures."""
    text = "\n".join(_told_of(*figures_of(bench.path)))
    (bench.options.out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def figures_of(path: Path) -> tuple[str, list[Row]]:
    """The last run's card, and the rows of its models on it; of two rows of one name the later."""
    runs = list[tuple[tuple[str, str], list[Row]]]()
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "run" in row:
            run = row["run"]
            runs.append(((run["device"]["name"], run["options"]["models"]), []))
        else:
            runs[-1][1].append(row)
    last = runs[-1][0]
    kept = [row for one, some in runs if one == last for row in some]
    return last[0], list({(row["part"], row["name"]): row for row in kept}.values())


def _told_of(card: str, rows: Sequence[Row]) -> Iterable[str]:
    floor = Floor(rows)
    yield f"## {card}"
    for part in dict.fromkeys(row["part"] for row in rows):
        yield f"\n### {part}\n"
        mine = [row for row in rows if row["part"] == part]
        yield from _table([{**row, **floor.beside(row)} for row in mine if not _missing(row)])
        yield from (f"- {row['name']}: {_missing(row)}" for row in mine if _missing(row))
    yield from _headline(card, rows)


def _headline(card: str, rows: Sequence[Row]) -> Iterable[str]:
    """What was promised of an A100, scaled by the cards' data sheets, beside ours."""
    peak = next((peak for name, peak in PEAK_TFLOPS.items() if name in card), None)
    ours = {
        row["pictures"]: row["seconds"]
        for row in rows
        if row["part"] == "engine" and row.get("side") == HEADLINE_SIDE
    }
    if peak is None or not ours:
        return
    ratio = A100_TFLOPS / peak
    yield f"\n### headline of {HEADLINE_SIDE}² on an A100, times {ratio:.3f} (data sheets' ratio)\n"
    yield from _table(
        [
            {
                "name": f"{pictures} pictures",
                "promised_seconds": f"{low}–{high}",
                "scaled_seconds": f"{low * ratio:.1f}–{high * ratio:.1f}",
                "ours_seconds": ours.get(pictures),
            }
            for pictures, (low, high) in HEADLINE.items()
        ]
    )


def _missing(row: Row) -> str:
    return row.get("skipped") or row.get("failed") or ""


def _table(rows: Sequence[Row]) -> Iterable[str]:
    if not rows:
        return
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in HIDDEN))
    yield f"| | {' | '.join(one.replace('_', ' ') for one in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {row['name']} | {' | '.join(_told(row.get(one)) for one in columns)} |"


def _told(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Floor:
    """The least time of whole pictures, from the card's own rate and the counted operations."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        mine = [row for row in rows if row["part"] == "floor"]
        products = [row for row in mine if row["name"].startswith("product")]
        self._rate = max((row["tflops"] for row in products), default=None)
        self._counts = {row["side"]: row for row in mine if "unet" in row}
        self._plain = {
            (row["side"], row["pictures"]): row["seconds"]
            for row in rows
            if row["part"] == "plain" and "seconds" in row
        }

    def beside(self, row: Row) -> dict[str, float]:
        """TFLOP, the floor's seconds, the share of the floor's rate, and how much faster than plain diffusers."""
        if "unet_rows" not in row:
            return {}
        told = dict[str, float]()
        if (tflop := self._tflop(row)) is not None and self._rate:
            floor = tflop / self._rate
            told |= {"tflop": tflop, "floor_seconds": floor, "of_floor": floor / row["seconds"]}
        if plain := self._plain.get((row["side"], row["pictures"])):
            told["against_plain"] = plain / row["seconds"]
        return told

    def _tflop(self, row: Row) -> float | None:
        counts = self._counts.get(row["side"])
        if counts is None:
            return None
        control = counts["union" if row["united"] else "controlnet"]
        return (
            row["unet_rows"] * counts["unet"]
            + row["shallow_rows"] * counts["shallow"]
            + row["control_rows"] * control
            + row["pictures"] * (4 * counts["embedding"] + counts["decoding"])
        )
