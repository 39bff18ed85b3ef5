"""A training stage's clock, learning rate, log and checkpoint: all that the stages have in common."""

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from training import processes

logger = logging.getLogger("training")

_LONGEST_STEP = 15.0
"""Seconds of a step that count; no real one takes longer."""


class HasState(Protocol):
    """Modules and optimizers."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...


class Stage:
    """Counts steps and seconds over all runs, saves and restores `parts`, writes a line of JSON per report.

    The length is given in minutes, for machines differ; a run that is cut off goes on where it was saved.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        minutes: float,
        parts: Mapping[str, HasState],
        save_every: float = 120,
    ) -> None:
        self.name, self.folder, self.seconds = name, folder, minutes * 60
        self.parts, self.save_every = parts, save_every
        self.step, self.elapsed = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            self._restore()

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.pt"

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        return min(1.0, self.elapsed / self.seconds) if self.seconds else 1.0

    def steps(self, until: float = 1.0) -> Iterator[int]:
        """Step numbers until that share of the time is over; saves on the way and at the end."""
        end = until * self.seconds
        if self.elapsed >= end:
            return
        saved = time.monotonic()
        while self.elapsed < end:
            began = time.monotonic()
            yield self.step
            self.step += 1
            # A process that was stopped for a while has not trained in that time.
            own = self.elapsed + min(_LONGEST_STEP, time.monotonic() - began)
            self.elapsed = processes.told_by_first(own)
            if time.monotonic() - saved > self.save_every:
                self.save()
                saved = time.monotonic()
        self.save()

    def rate(self, peak: float, warmup: int = 100, hold: float = 0.4) -> float:
        """Learning rate now: linear warm-up, a plateau, then half a cosine down to 2 %."""
        ramp = min(1.0, (self.step + 1) / warmup)
        if self.progress < hold:
            return peak * ramp
        turn = (self.progress - hold) / (1 - hold)
        return peak * ramp * max(0.02, 0.5 * (1 + math.cos(math.pi * turn)))

    def report(self, every: int, **figures: float | torch.Tensor) -> None:
        """Log the figures each `every` steps."""
        if self.step % every or processes.number():
            return
        values = {
            key: round(float(value.detach() if isinstance(value, torch.Tensor) else value), 5)
            for key, value in figures.items()
        }
        line = {
            "stage": self.name,
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            **values,
        }
        logger.info(json.dumps(line))
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write everything, under another name first: a cut-off run never leaves half a file.

        The first process does it for all.
        """
        if processes.number():
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        partial = self._file.with_suffix(".partial")
        torch.save({"step": self.step, "elapsed": self.elapsed, "parts": state}, partial)
        partial.replace(self._file)

    def _restore(self) -> None:
        saved = torch.load(self._file, map_location="cpu", weights_only=True)
        self.step, self.elapsed = saved["step"], saved["elapsed"]
        for name, part in self.parts.items():
            part.load_state_dict(saved["parts"][name])
        logger.info(
            "%s goes on from step %d, %.1f minutes", self.name, self.step, self.elapsed / 60
        )
