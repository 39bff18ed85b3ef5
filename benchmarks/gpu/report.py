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

HEADLINE = {1: (6, 8), 4: (18, 24), 8: (32, 45)}
"""Seconds on an A100, by pictures of 1024² in a batch: what the project was promised to take."""

HIDDEN = ("part", "name", "skipped", "failed")


def report(bench: Bench) -> None:
    """Print them, and write them beside the figures."""
    rows = rows_of(bench.path)
    text = "\n".join(_tables(rows))
    (bench.options.out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def rows_of(path: Path) -> list[Row]:
    """Of the last run's card; of two rows of one name the later."""
    runs = list[tuple[str, list[Row]]]()
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "run" in row:
            runs.append((row["run"]["device"]["name"], []))
        else:
            runs[-1][1].append(row)
    card = runs[-1][0]
    kept = [row for name, some in runs if name == card for row in some]
    return list({(row["part"], row["name"]): row for row in kept}.values())


def _tables(rows: Sequence[Row]) -> Iterable[str]:
    floor = Floor(rows)
    for part in dict.fromkeys(row["part"] for row in rows):
        yield f"\n### {part}\n"
        mine = [row for row in rows if row["part"] == part]
        measured = [{**row, **floor.beside(row)} for row in mine if not _missing(row)]
        yield from _table(measured)
        yield from (f"- {row['name']}: {_missing(row)}" for row in mine if _missing(row))


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
        control = counts["union" if row["union"] else "controlnet"]
        return (
            row["unet_rows"] * counts["unet"]
            + row["shallow_rows"] * counts["shallow"]
            + row["control_rows"] * control
            + row["pictures"] * (4 * counts["embedding"] + counts["decoding"])
        )
