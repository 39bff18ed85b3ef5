"""Draw, score and read a hundred words in five styles: `python -m benchmarks.legibility [words=100] [styles=5] ...`.

Each is measured as plain print, as it is first drawn, and as it leaves the gate. So that there are unreadable pictures
too, each word is drawn in one style with a twentieth, a thirtieth and none of the control weights, without the gate,
and with a twentieth at first, which the gate then raises.
What was measured before, with the same checkpoint and settings, is not measured again. About an hour on two cores.
"""

import asyncio
import hashlib
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.legibility.records import (
    AFTER,
    BEFORE,
    GATED,
    PLAIN,
    Key,
    Record,
    Records,
)
from benchmarks.legibility.report import plot, put_into, table
from benchmarks.legibility.words import WORDS, Word, some, unread
from writing_service import legibility
from writing_service.app import assemble_generator
from writing_service.config import load_settings
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.legibility.reading import read_word
from writing_service.legibility.score import LegibilityScorer
from writing_service.types import AIGenerationResult, WritingRequest

STYLES = ("comic", "watercolor", "realistic", "ink", "traditional")
LESS = (0.05, 1 / 30, 0.0)
"""Times the style's weights."""

SIDE = 512
GATE = "ai_generation.legibility"


@dataclass(frozen=True)
class Options:
    """What the command line may set; `docs` says where table and plot go."""

    words: int = len(WORDS)
    styles: int = len(STYLES)
    out: Path = Path("out/legibility")
    docs: Path = Path("docs")


class Bench:
    """Draws, scores and reads what is not measured yet."""

    def __init__(self, records: Records) -> None:
        off = load_settings([f"{GATE}.min_score=0"]).ai_generation
        self.settings = load_settings().ai_generation
        gpu = GPUManager(off.gpu)
        self._loader = ModelLoader(off.models, gpu, off.cache)
        self._free = assemble_generator(off, self._loader, gpu)
        self._gated = assemble_generator(self.settings, self._loader, gpu)
        self._records = records

    async def measure(self, word: Word, style: str, less: bool) -> None:
        """A word in a style; what passes the gate is not drawn again. With `less`, with less weight too."""
        await self._once(word, style, BEFORE)
        before = self._records.get(Key(word.text, style, BEFORE))
        if before and before.score < self.settings.legibility.min_score:
            await self._once(word, style, AFTER)
        for factor in LESS if less else ():
            await self._once(word, style, f"{factor:.3g}", factor)
        if less:
            await self._once(word, style, f"{LESS[0]:.3g}{GATED}", LESS[0])

    def close(self) -> None:
        """Let the models go."""
        self._loader.close()

    async def _once(self, word: Word, style: str, condition: str, factor: float = 1.0) -> None:
        if self._records.get(Key(word.text, style, condition)):
            return
        gated = condition == AFTER or condition.endswith(GATED)
        generator = self._gated if gated else self._free
        usual = self.settings.styles[style].controlnet_weights
        weights = {kind: weight * factor for kind, weight in usual.items()}
        request = WritingRequest(
            word.text,
            word.meaning,
            style=style,
            seed=word.number,
            width=SIDE,
            height=SIDE,
            conditioning_weights=weights,
        )
        result = await generator.generate(request)
        if condition == BEFORE:
            plain = result.scene.word.image
            self._records.add(await _record(result, plain, word, PLAIN))
        picture = result.images[0].image
        self._records.add(await _record(result, picture, word, condition))


async def _record(
    result: AIGenerationResult, image: Image.Image, word: Word, condition: str
) -> Record:
    picture, drawn = np.asarray(image.convert("RGB")), result.scene.word
    score = LegibilityScorer(drawn).score(picture)
    reading = await asyncio.to_thread(read_word, picture, drawn)
    if reading is None:
        raise RuntimeError(f"{word.text} is read as {drawn.script}, which nothing here reads.")
    told = result.metadata["legibility"]["pictures"][0]
    return Record(
        word.text,
        word.script,
        result.request.style,
        condition,
        round(score.value, 4),
        round(score.weakest, 4),
        round(reading.distance, 4),
        reading.text,
        reading.reader,
        len(told["attempts"]),
    )


async def run(options: Options) -> None:
    """Measure what is wanted, then report it."""
    records = Records(options.out / f"{_fingerprint()}.jsonl")
    words, styles = some(options.words), STYLES[: options.styles]
    if scripts := unread(words):
        told = ", ".join(scripts)
        raise SystemExit(f"Nothing here reads {told}; see benchmarks/legibility/words.py.")
    bench, began = Bench(records), time.monotonic()
    for number, word in enumerate(words):
        for index, style in enumerate(styles):
            await bench.measure(word, style, less=word.number % len(styles) == index)
        passed = time.monotonic() - began
        print(f"{word.text}: {number + 1} of {len(words)} words, {passed:.0f} s", flush=True)
    bench.close()
    min_score = bench.settings.legibility.min_score
    cases = [case for word in words for style in styles if (case := records.case(word.text, style))]
    command = f'`make bench-legibility ARGS="words={len(words)} styles={len(styles)}"`:'
    print(told := f"{command}\n\n{table(cases, min_score)}")
    put_into(options.docs / "legibility.md", told)
    plot(options.docs / "pictures" / "legibility.webp", cases, min_score)


def parse(arguments: list[str]) -> Options:
    """`key=value` each; raises SystemExit with the known keys on any other."""
    kinds = {field.name: type(getattr(Options(), field.name)) for field in fields(Options)}
    options = Options()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in kinds:
            raise SystemExit(f"Unknown setting '{argument}'; known: {', '.join(kinds)}")
        kind = kinds[key]
        options = replace(options, **{key: Path(value) if issubclass(kind, Path) else kind(value)})
    return options


def _fingerprint() -> str:
    """Of the checkpoint's weights, the gate's settings and the code that scores and reads: others, other figures."""
    total = hashlib.sha256(load_settings().ai_generation.legibility.model_dump_json().encode())
    code = Path(legibility.__file__).parent
    for file in (*sorted(EMBEDDED.rglob("*.safetensors")), *sorted(code.glob("*.py"))):
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


if __name__ == "__main__":
    asyncio.run(run(parse(sys.argv[1:])))
