"""How fast the whole of SDXL is on this GPU, ours against diffusers' own pipeline and against what the card can do.

    python -m benchmarks.gpu [parts=floor,plain,engine,...] [seconds=540] [out=out/gpu] [key=value ...]

Weights are random, for speed does not depend on what they are. Every figure is appended to `out`/figures.jsonl at once,
so a run that is cut off loses nothing, and `parts=report` prints what all runs found. A part that does not fit into the
`seconds` that are left is skipped, and told.
"""

import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from benchmarks.gpu.bench import Bench, NotHere, free_memory
from benchmarks.gpu.options import parse


@dataclass(frozen=True)
class Part:
    """A function of the part's name in `module`.

    `seconds` is about what it takes with SDXL on a large card; the least time it is begun with.
    """

    module: str
    seconds: float

    def run(self, name: str, bench: Bench) -> None:
        """Imported only now: what one part needs and this machine lacks must not stop the others."""
        try:
            module = import_module(f"benchmarks.gpu.{self.module}")
        except ModuleNotFoundError as error:
            raise NotHere(f"it needs the package {error.name}") from None
        getattr(module, name)(bench)


PARTS: Mapping[str, Part] = {
    "floor": Part("floor", 45),
    "plain": Part("peers", 90),
    "compiled": Part("peers", 120),
    "engine": Part("drawing", 200),
    "union": Part("drawing", 60),
    "plain_union": Part("peers", 40),
    "savers": Part("drawing", 150),
    "clients": Part("clients", 200),
    "stages": Part("stages", 60),
    "profiles": Part("memory", 120),
    "ladder": Part("memory", 60),
    "trace": Part("trace", 60),
    "variants": Part("variants", 60),
    "report": Part("report", 0),
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
            part.run(name, bench)
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
