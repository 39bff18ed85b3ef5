"""Plot trainings' logs: `python -m training.evaluation.curves PICTURE LOG.jsonl ...`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

SMOOTHED = 8
"""Reports that a point of the curve is the mean of."""


@dataclass(frozen=True)
class Curve:
    """A figure over a stage's minutes."""

    minutes: Sequence[float]
    values: Sequence[float]


def curve(log: Path, stage: str, figure: str) -> Curve:
    """Of a training's log, one JSON object a line; raises ValueError when the stage is not in it."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    points = [(line["minutes"], line[figure]) for line in lines if line["stage"] == stage]
    if not points:
        raise ValueError(f"{log} tells nothing of the stage '{stage}'.")
    groups = [points[at : at + SMOOTHED] for at in range(0, len(points), SMOOTHED)]
    means = [[sum(values) / len(group) for values in zip(*group, strict=True)] for group in groups]
    return Curve([mean[0] for mean in means], [mean[1] for mean in means])


def plot(picture: Path, logs: Sequence[Path]) -> None:
    """What the diffusion misses over time, on the samples that it trains on; a line each log."""
    figure = Figure(figsize=(6, 3.2), layout="constrained", dpi=110)
    axes = figure.subplots()
    for log in logs:
        missed = curve(log, "diffusion", "missed")
        axes.plot(missed.minutes, missed.values, label=log.stem)
    axes.legend()
    axes.set(xlabel="minutes", ylabel="share of the velocity that is missed")
    axes.grid(alpha=0.3)
    figure.savefig(picture)


if __name__ == "__main__":
    plot(Path(sys.argv[1]), [Path(log) for log in sys.argv[2:]])
