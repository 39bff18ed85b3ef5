"""`python -m benchmarks.load [what=schema,overload] [seconds=120] [requests=2000] ...`; each part prints its figures.

For a quick look: `seconds=20 examples=10 write=`. Settings of the service may follow: `api.max_queue=4`.
"""

import asyncio
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks.load import overload
from benchmarks.load.schema import check_document
from tests.api.server import serving
from tests.fakes import fake_app

SMALL = [f"ai_generation.generation.{side}=128" for side in ("width", "height")]


@dataclass(frozen=True)
class Options:
    """What the command line may set, beside settings of the service (`key.of.it=value`)."""

    what: str = "schema,overload"
    seconds: int = 120
    """Of overload, and at most of made-up requests."""
    requests: int = 2000
    """At most, of the overload."""
    factor: float = 2.0
    """Times the capacity."""
    examples: int = 200
    """Right and as many wrong requests, for each operation."""
    write: str = "docs/operations.md"
    """Where the table of the overload goes; nothing: nowhere."""
    settings: tuple[str, ...] = ()


def parse(arguments: list[str]) -> Options:
    """Raises SystemExit with what is known on anything else."""
    options = Options()
    known = [field.name for field in fields(Options) if field.name != "settings"]
    for argument in arguments:
        key, _, text = argument.partition("=")
        if "." in key:
            options = replace(options, settings=(*options.settings, argument))
        elif key not in known:
            raise SystemExit(f"Unknown setting '{argument}'; known: {', '.join(known)}")
        else:
            try:
                options = replace(options, **{key: type(getattr(options, key))(text)})
            except ValueError:
                raise SystemExit(f"'{argument}' needs a number.") from None
    if unknown := set(options.what.split(",")) - set(PARTS):
        raise SystemExit(f"Unknown part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    return options


def made_up(options: Options) -> bool:
    """Whether every answer was as the OpenAPI document has it; the pictures are the fake pipeline's."""
    with serving(fake_app(None, *SMALL)) as client:
        url = str(client.base_url).rstrip("/")
        found = check_document(url, options.examples, seconds=options.seconds)
    told = ", ".join(f"{count} × {status}" for status, count in found.statuses.items())
    print(f"{found.operations} operations, {sum(found.statuses.values())} requests: {told}.")
    print(f"{len(found.failures)} broken promises.", *found.failures, sep="\n  ")
    return not found.failures


def overloaded(options: Options) -> bool:
    """Whether every request was drawn or refused politely."""
    outcome = asyncio.run(
        overload.measure(options.seconds, options.factor, options.requests, options.settings)
    )
    text = overload.table(outcome)
    print(text)
    for one in outcome.failures:
        print(f"  {one.status or 'no answer'} after {one.seconds:.1f} s")
    if options.write:
        overload.write(Path(options.write), "overload", text)
    return not outcome.failures


PARTS = {"schema": made_up, "overload": overloaded}


def main() -> int:
    """Exit status."""
    options = parse(sys.argv[1:])
    good = True
    for part in options.what.split(","):
        print(f"== {part}", flush=True)
        good &= PARTS[part](options)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
