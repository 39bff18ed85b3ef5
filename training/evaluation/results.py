"""What the parts of the evaluation give: figures as JSON, and rows of one table."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True)
class Row:
    """A line of the summary: what was measured, of the drawn pictures, of the art for the same scenes, the goal."""

    what: str
    drawn: str
    art: str = ""
    goal: str = ""


class Figures(Protocol):
    """A part's frozen dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def rows(self) -> Iterable[Row]:
        """Its lines of the summary."""
        ...


def share(count: int, of: int) -> float:
    """0 of nothing is 0."""
    return count / of if of else 0.0


def told(count: int, of: int) -> str:
    """ "0.957 (450 of 470)"."""
    return f"{share(count, of):.3f} ({count} of {of})"


def save(file: Path, figures: Figures, settings: dict[str, Any], seconds: float) -> None:
    """Write a part's figures, its rows, and what they were measured with."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "settings": settings,
        "seconds": round(seconds, 1),
        "figures": asdict(figures),
        "rows": [asdict(row) for row in figures.rows()],
    }
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def load(file: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What was saved, if it was measured with just these settings."""
    if not file.exists():
        return None
    content: dict[str, Any] = json.loads(file.read_text())
    return content if content["settings"] == settings else None


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| what | drawn | training art | goal |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.drawn} | {row.art} | {row.goal} |" for row in rows]
    return "\n".join(lines) + "\n"
