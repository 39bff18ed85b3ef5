"""Measure a checkpoint: `python -m training.evaluation [what=legibility,meaning] [checkpoint=DIR] ...`.

Each part saves its figures as soon as it has them, and is not measured again with the same checkpoint,
judge and counts unless `again=true`. At the end the table of all that was measured is printed and saved.
"""

import asyncio
import hashlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from training.evaluation import (
    cleanness,
    control,
    diversity,
    formats,
    legibility,
    meaning,
    savers,
    steps,
    style,
    text_alone,
)
from training.evaluation.bench import Bench
from training.evaluation.judge import FILE, Judge
from training.evaluation.readers import Readers
from training.evaluation.results import Figures, Row, load, save, table
from writing_service.app import create_generator
from writing_service.config import load_settings

logger = logging.getLogger("training.evaluation")

SHIPPED = Path("writing_service/embedded/checkpoint")

PARTS: Mapping[str, Callable[[Bench], Awaitable[Figures]]] = {
    "legibility": legibility.measure,
    "meaning": meaning.measure,
    "text_alone": text_alone.measure,
    "diversity": diversity.measure,
    "control": control.measure,
    "formats": formats.measure,
    "cleanness": cleanness.measure,
    "steps": steps.measure,
    "savers": savers.measure,
}


@dataclass(frozen=True)
class Options:
    """What the command line may set."""

    what: str = ",".join(PARTS)
    checkpoint: Path = SHIPPED
    words: int = 100
    concepts: int = 1000
    judge: Path = FILE
    out: Path = Path("out/evaluation")
    gallery: Path = Path()
    """Where the pictures go; with the figures unless given."""
    again: bool = False

    @property
    def parts(self) -> list[str]:
        """Raises SystemExit for one that there is not."""
        wanted = self.what.split(",")
        unknown = [part for part in wanted if part not in PARTS]
        if unknown:
            raise SystemExit(f"Unknown part {', '.join(unknown)}; known: {', '.join(PARTS)}")
        return wanted


def parse(arguments: list[str]) -> Options:
    """`key=value` each; raises SystemExit with the known keys on any other."""
    known = {field.name: getattr(Options(), field.name) for field in fields(Options)}
    options = Options()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in known:
            raise SystemExit(f"Unknown setting '{argument}'; known: {', '.join(known)}")
        options = replace(options, **{key: _read(value, type(known[key]))})
    return options


def _read(text: str, kind: type) -> Any:
    if kind is bool:
        return text.casefold() in ("true", "1", "yes")
    return Path(text) if issubclass(kind, Path) else kind(text)


def run(options: Options) -> str:
    """Measure what is wanted; returns the summary."""
    parts, judge = options.parts, Judge.load(options.judge)
    settings = {
        "checkpoint": digest(options.checkpoint),
        "judge": _hash([options.judge]),
        "words": options.words,
        "concepts": options.concepts,
    }
    generator = create_generator(load_settings(_overrides(options)))
    galleries = options.out if options.gallery == Path() else options.gallery
    with Readers() as readers:
        bench = Bench(
            generator,
            readers,
            judge,
            options.checkpoint,
            galleries,
            options.words,
            options.concepts,
        )
        for part in parts:
            _measure(part, bench, settings, options)
    generator.close()
    summary = table(_summary(options.out, settings))
    (options.out / "summary.md").write_text(summary)
    return summary


def _measure(part: str, bench: Bench, settings: dict[str, Any], options: Options) -> None:
    file = options.out / f"{part}.json"
    if not options.again and load(file, settings):
        logger.info("%s: measured before", part)
        return
    began = time.monotonic()
    figures = asyncio.run(PARTS[part](bench))
    seconds = time.monotonic() - began
    save(file, figures, settings, seconds)
    logger.info("%s: %.0f s\n%s", part, seconds, table(list(figures.rows())))


def _summary(out: Path, settings: dict[str, Any]) -> list[Row]:
    """Rows of every part that was measured with these settings, and of the style over two of them."""
    saved = {part: load(out / f"{part}.json", settings) for part in PARTS}
    rows = [Row(**row) for content in saved.values() if content for row in content["rows"]]
    words, subjects = saved["legibility"], saved["meaning"]
    if words and subjects:
        rows += style.of(words["figures"], subjects["figures"]).rows()
    return rows


def _overrides(options: Options) -> list[str]:
    """The networks are measured, not what the service makes of a picture that failed."""
    overrides = ["ai_generation.legibility.min_score=0"]
    if options.checkpoint != SHIPPED:
        overrides.append(f"ai_generation.models.base_model={options.checkpoint}")
    return overrides


def digest(checkpoint: Path) -> str:
    """Of its weights: another training has another. Raises FileNotFoundError where there are none."""
    weights = sorted(checkpoint.rglob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"There are no weights in {checkpoint}.")
    return _hash(weights)


def _hash(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def main(arguments: list[str]) -> None:
    """Measure and print."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    for chatty in ("writing_service", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    print(run(parse(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
