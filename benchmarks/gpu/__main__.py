"""How fast the whole of SDXL is on this GPU, ours against diffusers' own pipeline and against what the card can do.

    python -m benchmarks.gpu [parts=floor,plain,engine,...] [seconds=540] [out=out/gpu] [key=value ...]

Weights are random, for speed does not depend on what they are. Every figure is appended to `out`/figures.jsonl at once,
so a run that is cut off loses nothing, and `parts=report` prints what all runs found. A part that does not fit into the
`seconds` that are left is skipped, and told.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.gpu.bench import Bench, NotHere, free_memory
from benchmarks.gpu.clients import clients
from benchmarks.gpu.drawing import engine, savers, union
from benchmarks.gpu.floor import floor
from benchmarks.gpu.memory import ladder, profiles
from benchmarks.gpu.options import parse
from benchmarks.gpu.peers import compiled, plain, plain_union
from benchmarks.gpu.report import report
from benchmarks.gpu.stages import stages
from benchmarks.gpu.trace import trace
from benchmarks.gpu.variants import variants


@dataclass(frozen=True)
class Part:
    """`seconds` is about what it takes with SDXL on a large card; the least time it is begun with."""

    run: Callable[[Bench], None]
    seconds: float


PARTS: Mapping[str, Part] = {
    "floor": Part(floor, 45),
    "plain": Part(plain, 60),
    "compiled": Part(compiled, 180),
    "engine": Part(engine, 180),
    "union": Part(union, 60),
    "plain_union": Part(plain_union, 30),
    "savers": Part(savers, 90),
    "clients": Part(clients, 150),
    "stages": Part(stages, 40),
    "profiles": Part(profiles, 120),
    "ladder": Part(ladder, 60),
    "trace": Part(trace, 45),
    "variants": Part(variants, 120),
    "report": Part(report, 0),
}


def main(arguments: list[str]) -> int:
    """The exit status: 1 when a part failed."""
    bench = Bench(parse(arguments, list(PARTS)))
    failed = [name for name in bench.options.parts if not succeeds(bench, name)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def succeeds(bench: Bench, name: str) -> bool:
    """Run the part, unless time is short. One that fails must not cost the others their turn."""
    part = PARTS[name]
    needed = part.seconds if bench.options.models == "sdxl" else 0
    with bench.part(name):
        if bench.left < needed:
            bench.skip(name, f"it needs about {needed:.0f} s and {bench.left:.0f} s are left")
            return True
        try:
            part.run(bench)
        except NotHere as reason:
            bench.skip(name, str(reason))
        except Exception as error:
            traceback.print_exc()
            bench.fail(name, error)
            return False
        finally:
            free_memory()
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    sys.exit(main(sys.argv[1:]))
