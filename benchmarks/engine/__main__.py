"""`python -m benchmarks.engine [what=clients,memory] [repeats=3] ...`: every part prints its own table.

For a quick look: `steps=2,4 sides=256,512 batches=1,2 pictures=10 requests=2 repeats=1 plot=out/cost.svg`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.engine import alone, clients, cost, memory, overhead


@dataclass(frozen=True)
class Options:
    """What the command line may set."""

    what: tuple[str, ...] = ("alone", "clients", "overhead", "cost", "memory")
    repeats: int = 3
    """Of each figure, of which the median counts."""
    requests: int = 12
    """Of each size, for the overhead."""
    steps: tuple[int, ...] = (4, 6, 10, 20, 40)
    sides: tuple[int, ...] = (256, 384, 512, 768, 1024)
    batches: tuple[int, ...] = (1, 2, 4, 8)
    pictures: int = 200
    """In a row, for the memory."""
    plot: Path = Path("docs/pictures/cost.svg")


PARTS: Mapping[str, Callable[[Options], Awaitable[None]]] = {
    "alone": lambda options: alone.measure(options.repeats),
    "clients": lambda options: clients.measure(options.repeats),
    "overhead": lambda options: overhead.measure(options.requests),
    "cost": lambda options: cost.measure(
        options.steps, options.sides, options.batches, options.repeats, options.plot
    ),
    "memory": lambda options: memory.measure(options.pictures),
}


def parse(arguments: list[str]) -> Options:
    """`key=value` each, lists with commas. Raises SystemExit with what is known on anything else."""
    options, known = Options(), [field.name for field in fields(Options)]
    for argument in arguments:
        key, _, text = argument.partition("=")
        if key not in known:
            raise SystemExit(f"Unknown setting '{argument}'; known: {', '.join(known)}")
        try:
            options = replace(options, **{key: _read(text, getattr(options, key))})
        except ValueError:
            raise SystemExit(f"'{argument}' needs whole numbers.") from None
    if unknown := [part for part in options.what if part not in PARTS]:
        raise SystemExit(f"Unknown part {', '.join(unknown)}; known: {', '.join(PARTS)}")
    return options


def _read(text: str, default: Any) -> Any:
    """As the default is."""
    if isinstance(default, tuple):
        return tuple(type(default[0])(one) for one in text.split(","))
    return type(default)(text)


def main() -> None:
    """One part after the other."""
    options = parse(sys.argv[1:])
    for part in options.what:
        print(f"== {part}", flush=True)
        asyncio.run(PARTS[part](options))


if __name__ == "__main__":
    main()
